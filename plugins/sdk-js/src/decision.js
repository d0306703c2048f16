// What a rule decides about every charge of one combination.

/** The tenant's run fails with this message. */
export class Failure extends Error {}

export class Decision {
  constructor(amount, reason, treatment = 'keep') {
    this.amount = amount;
    this.reason = reason;
    this.treatment = treatment;
    this.labels = [];
  }

  /** Leaves the charge as it is. */
  static keep(reason) {
    return new Decision({ tag: 'keep' }, reason);
  }

  /** The tenant sees the charge and pays nothing for it. */
  static zero(reason) {
    return new Decision({ tag: 'zero' }, reason);
  }

  /** The tenant neither sees nor pays the charge. */
  static drop(reason) {
    return new Decision({ tag: 'keep' }, reason, 'drop');
  }

  /** A person must look before an invoice is issued. */
  static hold(reason) {
    return new Decision({ tag: 'keep' }, reason, 'hold');
  }

  /** Another money column; null or zero counts as missing: 'keep' or 'hold'. */
  static copied(column, reason, { ifMissing = 'keep' } = {}) {
    return new Decision({ tag: 'copied', column, ifMissing }, reason);
  }

  /** column * rate, rounded once. */
  static scaled(column, rate, digits, reason, { rounding = 'half-even' } = {}) {
    return new Decision({ tag: 'scaled', column, rate, digits, rounding }, reason);
  }

  /** One rate up to the threshold and another for the part above it, rounded once. */
  static tiered(column, threshold, below, above, digits, reason, { rounding = 'half-even' } = {}) {
    return new Decision({ tag: 'tiered', column, threshold, below, above, digits, rounding }, reason);
  }

  /** `apply` computes each row. */
  static custom(reason) {
    return new Decision({ tag: 'custom' }, reason);
  }

  /** Also sets a text column; null sets null. */
  relabel(column, value) {
    this.labels.push([column, value]);
    return this;
  }
}
