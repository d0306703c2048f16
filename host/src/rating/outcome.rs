//! What rating a month gives, apart from the overlays: exact totals, lines that rules added, findings, or the reason for a failure.

use serde::{Deserialize, Serialize};

use crate::domain::money::Amount;
use crate::domain::rated::{RatedLine, RuleEffect, RuleFinding, RunLogs};

use super::trace::Trace;

/// A tenant's bill of one period and currency, rated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutcome {
    /// Source charges of the tenant.
    pub rows: u64,
    pub dropped: u64,
    pub held: u64,
    pub billed: Amount,
    pub charged: Amount,
    /// In the order of the chain.
    pub by_rule: Vec<RuleEffect>,
    pub lines: Vec<RatedLine>,
    pub findings: Vec<RuleFinding>,
    pub logs: RunLogs,
    /// Of the row that the caller watched, if it is one of this run's.
    pub trace: Option<Trace>,
}

/// Why a tenant's bill could not be rated. The last good one stays published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}{reason}", .rule.as_ref().map_or(String::new(), |title| format!("rule {title:?}: ")))]
pub struct RunFailure {
    /// Title of the rule that failed; none when an invariant of the rating did not hold.
    pub rule: Option<String>,
    pub reason: String,
    /// What its rules wrote up to the failure.
    #[serde(default)]
    pub logs: RunLogs,
}

impl RunFailure {
    pub fn of_rule(title: &str, reason: impl ToString) -> Self {
        Self { rule: Some(title.to_owned()), reason: reason.to_string(), logs: RunLogs::default() }
    }

    pub fn of_invariant(reason: impl ToString) -> Self {
        Self { rule: None, reason: reason.to_string(), logs: RunLogs::default() }
    }
}

/// What the source bills hold for one tenant, or for nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitTotal {
    /// Index of the tenant; none is what nobody holds.
    pub tenant: Option<usize>,
    pub currency: String,
    pub rows: u64,
    pub billed: Amount,
}

/// A month, split and rated.
#[derive(Debug)]
pub struct Month {
    /// One per run asked for, in the same order.
    pub runs: Vec<Result<RunOutcome, RunFailure>>,
    /// Sorted by currency, then tenant, unassigned first. Adds up to the source exactly; that was checked.
    pub split: Vec<SplitTotal>,
}
