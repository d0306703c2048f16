//! What rating gives for one tenant: an overlay on the immutable snapshot, and the lines that rules added.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::columns::TextColumn;
use super::money::Amount;
use super::rule::{Line, Severity, Treatment};

/// One row group of one snapshot part. Parts are numbered in the order in which a reader was given them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupRef {
    pub part: u32,
    pub group: u32,
}

/// A tenant's charges of one row group, as rated. All vectors have one entry a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RatedGroup {
    /// Positions in the snapshot's row group, ascending.
    pub rows: Vec<u32>,
    /// `x_CustomerCost` in 10^-18; zero where dropped.
    pub customer_cost: Vec<i128>,
    pub treatment: Vec<Treatment>,
    /// `x_AppliedRules`; null where no rule touched the row.
    pub applied: TextColumn,
    /// `x_CommitmentOwner`.
    pub commitment_owner: TextColumn,
    /// Columns that a rule relabelled in this group, whole.
    pub relabelled: Vec<(Arc<str>, TextColumn)>,
}

/// A line that a rule added, as the rules after it left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RatedLine {
    /// The line as the rule gave it; `amount` is what it asked for.
    #[serde(flatten)]
    pub line: Line,
    /// The rule that added it.
    pub rule_id: String,
    /// Its title.
    pub rule: String,
    pub customer_cost: Amount,
    pub treatment: Treatment,
    /// As `x_AppliedRules`.
    pub applied: String,
}

/// What one rule of a chain did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RuleEffect {
    pub title: String,
    /// Charges that the rule changed, dropped, held or relabelled, and lines that it added.
    pub rows: u64,
    /// Customer cost after minus before.
    pub delta: Amount,
}

/// A line that a rule wrote for its author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RuleLog {
    /// Title of the rule.
    pub rule: String,
    pub message: String,
}

/// What the rules of a run wrote, in the order of the charges and the chain: the same every time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunLogs {
    pub lines: Vec<RuleLog>,
    /// Lines that were too many to keep.
    pub cut: u64,
}

/// Something that a person should know before an invoice is issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RuleFinding {
    /// Title of the rule; none when the rating itself found it.
    pub rule: Option<String>,
    pub severity: Severity,
    pub message: String,
}
