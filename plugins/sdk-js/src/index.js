// What the author of a billing rule sees.
//
// A rule is an object: `about` says what it is and what its configuration has, `plan` which columns it needs, and `open`, `charge` or
// `check` what it does. Amounts are exact `Decimal`s, never numbers. An error fails the tenant's run with its message and line.

export { ConfigError, Kind, field } from './config.js';
export { CUSTOMER_COST, Decimal, Percent, decimal } from './decimal.js';
export { Decision, Failure } from './decision.js';
