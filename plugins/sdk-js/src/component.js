// The component's side of the contract: `rerate plugin build` uses it, an author never does.

import { ConfigError, schema } from './config.js';
import { Decimal, billionths, decimal, unitsOf } from './decimal.js';
import { NULL, Rater as Session, Total, configure, told } from './session.js';

const LEAST = { narrow: -(2n ** 63n), wide: -(2n ** 127n) };

const failure = (error) => ({ tag: 'invalid', val: told(error) });

function attempt(work, refused = failure) {
  try {
    return work();
  } catch (error) {
    throw refused(error);
  }
}

const condition = ({ column, ...test }) => {
  const [[name, values]] = Object.entries(test);
  return { column, test: name.endsWith('_null') ? { tag: name.replace('_', '-') } : { tag: name.replace('_', '-'), val: values } };
};

const contractPlan = (plan) => ({
  ...plan,
  appliesTo: plan.appliesTo.map(condition),
  totals: plan.totals.map(({ groupBy, sums, where }) => ({ groupBy, sums, where: where.map(condition) })),
});

/** A column of the contract as its scale, its units and what stands for null. */
function columnOf({ tag, val }) {
  if (tag === 'narrow') return { scale: val.scale, units: val.units, none: LEAST.narrow };
  const units = [];
  for (let at = 0; at < val.limbs.length; at += 2) units.push(BigInt.asIntN(128, BigInt.asUintN(64, val.limbs[at]) | (BigInt.asUintN(64, val.limbs[at + 1]) << 64n)));
  return { scale: val.scale, units, none: LEAST.wide };
}

const amountAt = ({ scale, units, none }, row) => (units[row] === none ? null : new Decimal(units[row], scale));

function totalOf({ rows, groups, sums }) {
  const columns = sums.map(columnOf);
  const group = (_, row) => ({
    keys: groups.map(({ newValues, codes }) => (codes[row] === NULL ? null : newValues[codes[row]])),
    sums: columns.map((column) => amountAt(column, row)),
  });
  return new Total(Array.from({ length: rows }, group));
}

/** The interfaces of a rule. */
export function component(rule) {
  const asked = (config, period) => configure(rule, config, period).config;
  const { name, version, title, summary, config: fields = [] } = rule.about;
  return {
    describe: {
      about: () => ({ name, version, title, summary, configSchema: schema(fields) }),
      configure: (config, period) =>
        attempt(
          () => contractPlan(configure(rule, config, period).plan),
          (error) => (error instanceof ConfigError ? { pointer: error.pointer, message: error.what } : { pointer: '', message: told(error) }),
        ),
    },
    adjust: { Rater: rater(rule) },
    charge: {
      charge: (config, period, totals, earlier) =>
        attempt(() => {
          const before = earlier.map((one) => ({ period: one.period, amount: decimal(one.amount) }));
          return rule.charge(asked(config, period), period, totals.map(totalOf), before).map(lineOf);
        }),
    },
    check: {
      check: (config, period, totals) =>
        attempt(() => rule.check(asked(config, period), period, totals.map(totalOf)).map(({ severity, message }) => ({ severity, message }))),
    },
  };
}

function lineOf({ description, amount, reason, category = 'Purchase', service = 'Managed services', account }) {
  unitsOf(amount); // an amount that no bill can hold fails here, with the rule's line
  return { description, chargeCategory: category, serviceName: service, subAccountId: account ?? undefined, amount: amount.toString(), reason };
}

function rater(rule) {
  return class Rater {
    constructor(session) {
      this.session = session;
    }

    static open(config, period, totals) {
      return attempt(() => new Rater(new Session(rule, config, period, totals.map(totalOf))));
    }

    decide(dimensions) {
      return attempt(() => this.session.decide(dimensions).map((decision) => placed(decision, this.session.plan)));
    }

    apply(slots, reads) {
      return applied(this.session, slots, reads);
    }
  };
}

function placed({ amount, treatment, labels, reason }, plan) {
  const relabel = labels.map(([column, value]) => [plan.writes.indexOf(column), value ?? undefined]);
  return { amount: placedAmount(amount, plan), treatment, relabel, reason };
}

function placedAmount({ tag, ...of }, plan) {
  const column = plan.reads.indexOf(of.column);
  const { digits, rounding } = of;
  switch (tag) {
    case 'copied':
      return { tag, val: { column, ifMissing: of.ifMissing } };
    case 'scaled':
      return { tag, val: { column, rate: billionths(of.rate), digits, rounding } };
    case 'tiered': {
      const [threshold, scale] = shortest(decimal(of.threshold));
      return { tag, val: { column, threshold, scale, below: billionths(of.below), above: billionths(of.above), digits, rounding } };
    }
    default:
      return { tag };
  }
}

function shortest(amount) {
  let units = unitsOf(amount);
  let scale = 18;
  for (; scale > 0 && units % 10n === 0n; scale -= 1) units /= 10n;
  return [units, scale];
}

function applied(session, slots, reads) {
  const answers = attempt(() => {
    const columns = reads.map(columnOf);
    const names = session.plan.reads;
    return Array.from(slots, (slot, row) => {
      const amounts = {};
      names.forEach((name, at) => {
        amounts[name] = amountAt(columns[at], row);
      });
      const answer = session.apply(slot, amounts);
      return answer === null ? null : decimal(answer);
    });
  });
  if (reads.some(({ tag }) => tag === 'wide')) return attempt(() => wide(answers));
  const scale = reads.reduce((most, { val }) => Math.max(most, val.scale), 0);
  try {
    const units = answers.map((answer) => (answer === null ? LEAST.narrow : unitsOf(answer, scale)));
    if (units.every((unit) => BigInt.asIntN(64, unit) === unit)) return { tag: 'narrow', val: { scale, units: BigInt64Array.from(units) } };
  } catch {
    // more decimals than these rows have
  }
  throw { tag: 'overflow' }; // the daemon sends the same rows wide
}

function wide(answers) {
  const limbs = new BigUint64Array(answers.length * 2);
  answers.forEach((answer, row) => {
    const units = answer === null ? LEAST.wide : unitsOf(answer);
    limbs[row * 2] = BigInt.asUintN(64, units);
    limbs[row * 2 + 1] = BigInt.asUintN(64, units >> 64n);
  });
  return { tag: 'wide', val: { scale: 18, limbs } };
}
