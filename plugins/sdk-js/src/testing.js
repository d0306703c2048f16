// Native tests: a table of charges, rated as the daemon would. Small and plain on purpose; the daemon has its own arithmetic.

import { CUSTOMER_COST, Decimal, decimal, unitsOf } from './decimal.js';
import { NULL, Rater, Total, configure } from './session.js';

const ZERO = new Decimal(0n, 0);

/** A month in US dollars, for tests that do not care: `period('2026-09')`. */
export function period(month, currency = 'USD') {
  const [year, number] = month.split('-').map(Number);
  const next = number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, '0')}`;
  return { start: `${month}-01`, end: `${next}-01`, currency };
}

function amount(row, column) {
  const text = row[column] ?? (column === CUSTOMER_COST ? row.BilledCost : undefined);
  return text === undefined || text === null ? null : decimal(text);
}

function holds(row, conditions) {
  return conditions.every(({ column, is_in, not_in, starts_with, is_null, not_null }) => {
    const value = row[column] ?? null;
    if (is_in) return value !== null && is_in.includes(value);
    if (not_in) return value === null || !not_in.includes(value);
    if (starts_with) return value !== null && starts_with.some((start) => value.startsWith(start));
    return is_null ? value === null : not_null && value !== null;
  });
}

/** Text in the order of its bytes, as the daemon sorts; `<` compares UTF-16. */
export const bytewise = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Null before every text. */
export function byKeys(a, b) {
  const at = a.findIndex((key, index) => key !== b[index]);
  if (at < 0) return 0;
  return a[at] === null ? -1 : b[at] === null ? 1 : bytewise(a[at], b[at]);
}

/** Charges as objects of text by column; a column that is not there is null. */
export class Table {
  constructor(rows, { month = '2026-09', currency = 'USD' } = {}) {
    this.rows = rows;
    this.period = period(month, currency);
  }

  /** What becomes of each charge under an adjusting rule; null for one that the rule does not see. */
  rate(rule, config) {
    const rater = new Rater(rule, JSON.stringify(config), this.period, this.totals(rule, config));
    const decided = new Map();
    return this.rows.map((row) => {
      if (!holds(row, rater.plan.appliesTo)) return null;
      const combination = rater.plan.dimensions.map((column) => row[column] ?? null);
      const key = JSON.stringify(combination);
      if (!decided.has(key)) {
        const dimensions = combination.map((value, at) =>
          value === null ? { newValues: [], codes: [NULL] } : { newValues: [value], codes: [rater.values[at].length] },
        );
        decided.set(key, { slot: decided.size, decision: rater.decide(dimensions)[0] });
      }
      const { slot, decision } = decided.get(key);
      return rated(rater, slot, decision, row);
    });
  }

  charge(rule, config, earlier = []) {
    return rule.charge(configure(rule, JSON.stringify(config), this.period).config, this.period, this.totals(rule, config), earlier);
  }

  check(rule, config) {
    return rule.check(configure(rule, JSON.stringify(config), this.period).config, this.period, this.totals(rule, config));
  }

  totals(rule, config) {
    return configure(rule, JSON.stringify(config), this.period).plan.totals.map(({ groupBy, sums, where }) => {
      const groups = new Map();
      if (groupBy.length === 0) groups.set('[]', { keys: [], sums: sums.map(() => ZERO) });
      for (const row of this.rows.filter((row) => holds(row, where))) {
        const keys = groupBy.map((column) => row[column] ?? null);
        const key = JSON.stringify(keys);
        const before = groups.get(key)?.sums ?? sums.map(() => ZERO);
        groups.set(key, { keys, sums: sums.map((column, at) => before[at].plus(amount(row, column) ?? ZERO)) });
      }
      return new Total([...groups.values()].sort((a, b) => byKeys(a.keys, b.keys)));
    });
  }
}

function rated(rater, slot, decision, row) {
  const before = amount(row, CUSTOMER_COST) ?? ZERO;
  let { treatment, reason } = decision;
  let cost = before;
  const { tag, column, digits, rounding, ...of } = decision.amount;
  const read = column === undefined ? null : amount(row, column);
  if (tag === 'zero') cost = ZERO;
  else if (tag === 'copied' && read !== null && !read.isZero()) cost = read;
  else if (tag === 'copied') {
    reason += ': the amount is missing';
    if (of.ifMissing === 'hold') treatment = 'hold';
  } else if (tag === 'scaled' && read !== null) cost = read.times(of.rate).rounded(digits, rounding);
  else if (tag === 'tiered' && read !== null) {
    const below = read.compare(of.threshold) < 0 ? read : decimal(of.threshold);
    cost = below.times(of.below).plus(read.minus(below).times(of.above)).rounded(digits, rounding);
  } else if (tag === 'custom') {
    cost = rater.apply(slot, Object.fromEntries(rater.plan.reads.map((name) => [name, amount(row, name)]))) ?? before;
  }
  if (treatment === 'drop') cost = ZERO;
  return { cost: new Decimal(unitsOf(cost), 18), treatment, reason, labels: Object.fromEntries(decision.labels) };
}
