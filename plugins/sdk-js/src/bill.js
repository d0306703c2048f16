// The daemon's side of a golden case: it selects charges, combines them, sums totals, and computes what closed forms decide.
//
// Amounts are BigInt counts of 10^-18, as the daemon has them; what goes to the rule and comes back are values of the contract. It is for
// tests: the daemon has its own arithmetic, and limits that are not tried here.

import { decimal, unitsOf } from './decimal.js';
import { NULL } from './session.js';
import { byKeys } from './testing.js';

const LARGEST = 10n ** 38n - 1n;
const LEAST = { narrow: -(2n ** 63n), wide: -(2n ** 127n) };
/** Scales at which the daemon tries to narrow the amounts of rows, in its order. */
const NARROW_SCALES = [10, 6, 12, 14, 18];

/** The run fails with this reason, which is not the rule's. */
export class Failed extends Error {}

const outOfRange = () => new Failed('an amount left the range of 20 digits before and 18 after the decimal point');

function storable(units) {
  if (units > LARGEST || units < -LARGEST) throw outOfRange();
  return units;
}

/** An intermediate of the daemon's, which has 128 bits. */
function product(units) {
  if (BigInt.asIntN(128, units) !== units) throw outOfRange();
  return units;
}

export function unitsIn(row, column) {
  const text = row[column] ?? null;
  return text === null ? null : unitsOf(decimal(text));
}

function holds(row, { column, test: { tag, val } }) {
  const value = row[column] ?? null;
  switch (tag) {
    case 'is-in':
      return value !== null && val.includes(value);
    case 'not-in':
      return value === null || !val.includes(value);
    case 'starts-with':
      return value !== null && val.some((start) => value.startsWith(start));
    case 'is-null':
      return value === null;
    default:
      return value !== null;
  }
}

export const selected = (rows, conditions) => rows.filter((row) => conditions.every((condition) => holds(row, condition)));

/** The answer to a request for totals, as the contract has it. */
export function total(rows, { groupBy, sums, where }) {
  const groups = new Map();
  if (groupBy.length === 0) groups.set('[]', { keys: [], sums: sums.map(() => 0n) });
  for (const row of selected(rows, where)) {
    const own = groupBy.map((column) => row[column] ?? null);
    const key = JSON.stringify(own);
    if (!groups.has(key)) groups.set(key, { keys: own, sums: sums.map(() => 0n) });
    const group = groups.get(key);
    group.sums = sums.map((column, at) => group.sums[at] + (unitsIn(row, column) ?? 0n));
  }
  const sorted = [...groups.values()].sort((a, b) => byKeys(a.keys, b.keys));
  return {
    rows: sorted.length,
    groups: groupBy.map((_, at) => textColumn(sorted.map((group) => group.keys[at]))),
    sums: sums.map((_, at) => narrowest(sorted.map((group) => group.sums[at]))),
  };
}

/** Distinct values in the order of their appearance, and a code for each place. */
function textColumn(values) {
  const newValues = [...new Set(values.filter((value) => value !== null))];
  return { newValues, codes: Uint32Array.from(values, (value) => (value === null ? NULL : newValues.indexOf(value))) };
}

/** Which combination each row has, in the order of their appearance, and the combinations as the contract hands them over. */
export function combine(rows, dimensions) {
  const known = new Map();
  const combinations = [];
  const slots = rows.map((row) => {
    const values = dimensions.map((column) => row[column] ?? null);
    const key = JSON.stringify(values);
    if (!known.has(key)) {
      known.set(key, combinations.length);
      combinations.push(values);
    }
    return known.get(key);
  });
  return { slots, count: combinations.length, columns: dimensions.map((_, at) => textColumn(combinations.map((values) => values[at]))) };
}

function narrowed(units, scale) {
  const unit = 10n ** BigInt(18 - scale);
  const fits = (value) => value === null || (value % unit === 0n && BigInt.asIntN(64, value / unit) === value / unit && value / unit !== LEAST.narrow);
  if (!units.every(fits)) return null;
  return { tag: 'narrow', val: { scale, units: BigInt64Array.from(units, (value) => (value === null ? LEAST.narrow : value / unit)) } };
}

function widened(units) {
  const limbs = new BigUint64Array(units.length * 2);
  units.forEach((value, at) => {
    limbs[at * 2] = BigInt.asUintN(64, value ?? LEAST.wide);
    limbs[at * 2 + 1] = BigInt.asUintN(64, (value ?? LEAST.wide) >> 64n);
  });
  return { tag: 'wide', val: { scale: 18, limbs } };
}

/** Totals come at the smallest scale that loses no digit. */
function narrowest(units) {
  let scale = 0;
  while (units.some((value) => value % 10n ** BigInt(18 - scale) !== 0n)) scale += 1;
  return narrowed(units, scale) ?? widened(units);
}

function forRows(units) {
  for (const scale of NARROW_SCALES) {
    const column = narrowed(units, scale);
    if (column) return column;
  }
  return widened(units);
}

/** What `apply` answers for rows and their slots; narrow amounts first, wide ones where it says overflow. */
export function applied(rater, rows, slots, reads) {
  const columns = reads.map((column) => rows.map((row) => unitsIn(row, column)));
  const ask = (form) => rater.apply(Uint32Array.from(slots), columns.map(form));
  let answer;
  try {
    answer = ask(forRows);
  } catch (failure) {
    if (failure.tag !== 'overflow') throw failure;
    answer = ask(widened);
  }
  const { tag, val } = answer;
  if (tag === 'narrow') return Array.from(val.units, (value) => (value === LEAST.narrow ? null : storable(value * 10n ** BigInt(18 - val.scale))));
  return rows.map((_, at) => {
    const value = BigInt.asIntN(128, val.limbs[at * 2] | (val.limbs[at * 2 + 1] << 64n));
    return value === LEAST.wide ? null : storable(value);
  });
}

function divided(value, exponent, rounding) {
  const divisor = 10n ** BigInt(exponent);
  const magnitude = value < 0n ? -value : value;
  const [quotient, rest] = [magnitude / divisor, magnitude % divisor];
  const half = rest * 2n - divisor;
  const up = { down: false, up: rest > 0n, 'half-up': half >= 0n, 'half-even': half > 0n || (half === 0n && quotient % 2n === 1n) }[rounding];
  const rounded = up ? quotient + 1n : quotient;
  return value < 0n ? -rounded : rounded;
}

const atDigits = (value, digits, rounding) => storable(product(divided(value, 9 + 18 - digits, rounding) * 10n ** BigInt(18 - digits)));

/** What a closed form makes of a row: units, null where it leaves the amount alone, or undefined where the amount is missing. */
export function formed({ tag, val }, row, reads) {
  const read = () => unitsIn(row, reads[val.column]);
  if (tag === 'zero') return 0n;
  if (tag === 'copied') return read() || undefined;
  if (tag === 'scaled') {
    const units = read();
    return units === null ? null : atDigits(product(units * val.rate), val.digits, val.rounding);
  }
  if (tag === 'tiered') {
    const units = read();
    if (units === null) return null;
    const threshold = product(val.threshold * 10n ** BigInt(18 - val.scale));
    const lower = units < threshold ? units : threshold;
    const sum = product(product(lower * val.below) + product((units - lower) * val.above));
    return atDigits(sum, val.digits, val.rounding);
  }
  return null;
}

/** Plain text of units. */
export function plain(units) {
  const digits = (units < 0n ? -units : units).toString().padStart(19, '0');
  const fraction = digits.slice(-18).replace(/0+$/, '');
  return `${units < 0n ? '-' : ''}${digits.slice(0, -18)}${fraction && '.'}${fraction}`;
}
