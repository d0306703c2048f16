// Exact decimals: a BigInt count of 10^-scale. Nothing is ever rounded but by `rounded`.

/** The amount that a tenant is charged, as the rules before left it. */
export const CUSTOMER_COST = 'x_CustomerCost';

const PLAIN = /^([-+]?)(\d+\.?\d*|\.\d+)$/;
const LARGEST = 10n ** 38n - 1n;
const MONEY_SCALE = 18;

/** An exact decimal from text such as "-12.50", from a whole number or from another decimal. */
export function decimal(value) {
  if (value instanceof Decimal) return value;
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return new Decimal(BigInt(value), 0);
  if (typeof value !== 'string') throw new RangeError('a decimal number as text, in quotes: "12.50"');
  const found = PLAIN.exec(value);
  if (!found) throw new RangeError('not a decimal number such as "-12.50"');
  const [whole, fraction = ''] = found[2].split('.');
  const units = BigInt(whole + fraction);
  return new Decimal(found[1] === '-' ? -units : units, fraction.length);
}

export class Decimal {
  /** `units * 10^-scale`: use `decimal` unless you have units. */
  constructor(units, scale) {
    this.units = units;
    this.scale = scale;
  }

  plus(other) {
    const [a, b, scale] = aligned(this, decimal(other));
    return new Decimal(a + b, scale);
  }

  minus(other) {
    const [a, b, scale] = aligned(this, decimal(other));
    return new Decimal(a - b, scale);
  }

  times(other) {
    const factor = decimal(other);
    return new Decimal(this.units * factor.units, this.scale + factor.scale);
  }

  negated() {
    return new Decimal(-this.units, this.scale);
  }

  /** Rounded to that many decimals: half-even, half-up, down (towards zero) or up (away from it). */
  rounded(digits, rounding = 'half-even') {
    if (this.scale <= digits) return this;
    const divisor = 10n ** BigInt(this.scale - digits);
    const magnitude = this.units < 0n ? -this.units : this.units;
    let quotient = magnitude / divisor;
    const rest = magnitude % divisor;
    const half = rest * 2n - divisor;
    const up = { 'half-even': half > 0n || (half === 0n && quotient % 2n === 1n), 'half-up': half >= 0n, down: false, up: rest > 0n };
    if (!(rounding in up)) throw new RangeError(`${rounding} is no way of rounding`);
    if (up[rounding]) quotient += 1n;
    return new Decimal(this.units < 0n ? -quotient : quotient, digits);
  }

  /** Less than zero, zero, or more than zero, as this is less than, equal to or more than the other. */
  compare(other) {
    const [a, b] = aligned(this, decimal(other));
    return a < b ? -1 : a > b ? 1 : 0;
  }

  isZero() {
    return this.units === 0n;
  }

  isNegative() {
    return this.units < 0n;
  }

  /** Plain decimal text without trailing zeros: `-0.0000000007`, `12.5`, `0`. */
  toString() {
    const digits = (this.units < 0n ? -this.units : this.units).toString().padStart(this.scale + 1, '0');
    const fraction = this.scale ? digits.slice(-this.scale).replace(/0+$/, '') : '';
    const whole = this.scale ? digits.slice(0, -this.scale) : digits;
    return `${this.units < 0n ? '-' : ''}${whole}${fraction && '.'}${fraction}`;
  }

  // Otherwise `a + b` and `a < b` would go through floats unnoticed.
  valueOf() {
    throw new TypeError('a Decimal is no number: use plus, minus, times and compare');
  }
}

function aligned(a, b) {
  const scale = Math.max(a.scale, b.scale);
  return [a.units * 10n ** BigInt(scale - a.scale), b.units * 10n ** BigInt(scale - b.scale), scale];
}

/** The count of 10^-scale; an error where there are more decimals. */
export function unitsOf(value, scale = MONEY_SCALE) {
  const exact = value.rounded(scale, 'down');
  if (exact.compare(value) !== 0) throw new RangeError(`more than ${scale} decimals`);
  const units = exact.units * 10n ** BigInt(scale - exact.scale);
  if (scale === MONEY_SCALE && (units > LARGEST || units < -LARGEST)) throw new RangeError('more than 20 digits before the decimal point');
  return units;
}

/** A factor as the contract counts it. */
export function billionths(rate) {
  let units;
  try {
    units = unitsOf(decimal(rate), 9);
  } catch {
    throw new RangeError('a rate has at most 9 decimals');
  }
  if (BigInt.asIntN(64, units) !== units) throw new RangeError('a rate has at most 9 digits before the decimal point');
  return units;
}

/** A percentage such as "7.5", of which every use as a factor is exact. */
export class Percent {
  constructor(text) {
    this.percent = decimal(text);
    /** This part of an amount: 75 % is 0.75. */
    this.share = new Decimal(this.percent.units, this.percent.scale + 2);
    /** An amount and this part of it: 30 % more is 1.3. */
    this.onTop = this.share.plus(1);
    billionths(this.share);
  }

  toString() {
    return this.percent.toString();
  }
}
