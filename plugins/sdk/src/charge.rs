//! What charging and checking rules answer.

use crate::money::Money;
use crate::plan::Period;

/// What this rule charged the tenant in an earlier period, as published: the sum of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub period: Period,
    pub amount: Money,
}

/// A line that a rule adds to the tenant's bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub description: String,
    /// `Purchase`, `Credit`, `Tax` or `Adjustment`.
    pub charge_category: String,
    pub service_name: String,
    /// `None` charges the tenant as a whole.
    pub sub_account_id: Option<String>,
    pub amount: Money,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Info,
    Warning,
    /// No invoice is issued while it stands.
    Block,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub message: String,
}
