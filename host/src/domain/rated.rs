//! What rating gives for one tenant: an overlay on the immutable snapshot, and the lines that rules added.

use std::sync::Arc;

use super::columns::TextColumn;
use super::rule::{Line, Treatment};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatedLine {
    /// The line as the rule gave it; `amount` is what it asked for.
    pub line: Line,
    /// The title of the rule that added it.
    pub rule: String,
    pub customer_cost: i128,
    pub treatment: Treatment,
    /// As `x_AppliedRules`.
    pub applied: String,
}
