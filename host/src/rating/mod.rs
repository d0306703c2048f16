//! Rating: from charges to what each tenant owes. The heart of the product.
//!
//! A month's row groups are read once, split to tenants, and each tenant's rows stream through its chain while they are in cache. Rules
//! decide once per combination of the text columns they name; [`kernel`] applies the closed forms exactly; rows that need code cross
//! into the sandbox as integers. The result is an overlay ([`RatedGroup`]) and exact totals that are checked before they leave.
//!
//! No files, no store, no clock, no async here: charges come from a closure, results go to a closure, so the same code rates a bill on a
//! laptop and a month in the daemon. A failing rule is data ([`RunFailure`]) and fails only its tenant's run.
//!
//! - [`chain`]: a tenant's rules under their configurations, checked
//! - [`source`]: what the tenants' shares must add up to
//! - [`split`]: whose row is it, and whose commitment priced it
//! - [`combine`]: distinct combinations of text columns
//! - [`working`]: the rows of one tenant in one row group, as the rules change them
//! - [`adjust`]: one rule over those rows
//! - [`totals`]: sums that rules ask for
//! - [`lines`]: lines that rules add
//! - [`logs`]: lines that rules write
//! - [`commitment`]: are a commitment's negations and fees treated alike
//! - [`trace`]: one row's way through its chain, watched
//! - [`month`]: passes, threads and the invariants

pub mod adjust;
pub mod chain;
pub mod combine;
mod commitment;
pub mod kernel;
mod lines;
mod logs;
pub mod month;
pub mod outcome;
mod source;
pub mod split;
#[cfg(test)]
mod tests;
pub mod totals;
pub mod trace;
pub mod working;

pub use chain::{Chain, ChainRule};
pub use month::{Input, MonthError, RunInput, rate_month};
pub use outcome::{Month, RunFailure, RunOutcome, SplitTotal};
pub use split::{Owners, Split, both};
pub use trace::{LabelChange, Trace, TraceStep, Watch};

#[cfg(doc)]
use crate::domain::rated::RatedGroup;
