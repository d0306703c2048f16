// A rule as the daemon drives it, in plain values: the component and the native tests are thin coats over this.

import { ConfigError, read } from './config.js';
import { Decimal, billionths } from './decimal.js';
import { Decision, Failure } from './decision.js';

export const NULL = 0xffffffff;

/** The configuration, read, and what the rule needs under it. */
export function configure(rule, text, period) {
  const config = read(rule.about.config ?? [], text);
  const plan = { dimensions: [], reads: [], writes: [], appliesTo: [], totals: [], history: false, ...rule.plan(config, period) };
  plan.totals = plan.totals.map((request) => ({ groupBy: [], where: [], ...request }));
  return { config, plan };
}

/** What went wrong, with the rule's own line. */
export function told(error) {
  if (!(error instanceof Error)) return String(error);
  const own = String(error.stack)
    .split('\n')
    .map((frame) => /([^\s@(]*?):(\d+):\d+\)?$/.exec(frame))
    .find((place) => place && !/(^|\/)sdk(-js\/src)?\//.test(place[1]) && place[1] !== '' && !place[1].startsWith('node:'));
  const place = own ? `${own[1].replace(/^.*\//, '')}:${own[2]}: ` : '';
  const kind = error instanceof Failure || error instanceof ConfigError ? '' : `${error.name}: `;
  return `${place}${kind}${error.message}`;
}

/** The answer to a request for totals. */
export class Total {
  constructor(groups) {
    /** Each has `keys` in the order of `groupBy` and `sums` in the order of `sums`. */
    this.groups = groups;
  }

  /** The first sum of the first group: the answer to a request without `groupBy`. */
  get grand() {
    return this.groups[0]?.sums[0] ?? new Decimal(0n, 0);
  }
}

export class Rater {
  constructor(rule, text, period, totals) {
    const { config, plan } = configure(rule, text, period);
    this.plan = plan;
    this.rule = rule.open(config, period, totals);
    this.values = plan.dimensions.map(() => []);
    this.slots = 0;
  }

  /** Objects of new values and codes, one a dimension; answers a decision for each new combination. */
  decide(dimensions) {
    dimensions.forEach(({ newValues }, at) => {
      for (const value of newValues) this.values[at].push(value);
    });
    const count = dimensions.length ? dimensions[0].codes.length : 1;
    const decisions = [];
    for (let index = 0; index < count; index += 1) {
      const charge = {};
      this.plan.dimensions.forEach((name, at) => {
        const code = dimensions[at].codes[index];
        charge[name] = code === NULL ? null : this.values[at][code];
      });
      decisions.push(this.#checked(this.rule.decide(charge, this.slots)));
      this.slots += 1;
    }
    return decisions;
  }

  #checked(decision) {
    if (!(decision instanceof Decision)) throw new Failure('decide must return a Decision');
    const { column, rate, below, above } = decision.amount;
    if (column !== undefined && !this.plan.reads.includes(column)) throw new Failure(`decides on ${column}, which its plan does not read`);
    for (const [label] of decision.labels) {
      if (!this.plan.writes.includes(label)) throw new Failure(`relabels ${label}, which its plan does not write`);
    }
    for (const factor of [rate, below, above]) if (factor !== undefined) billionths(factor);
    return decision;
  }

  /** The customer amount of one row, or null to leave it. */
  apply(slot, row) {
    if (!this.rule.apply) throw new Failure('decides `custom` but has no row logic: give open an `apply`');
    return this.rule.apply(slot, row) ?? null;
  }
}
