//! What a rule says and is told: the contract of `wit/rule.wit` as the host's own types.
//!
//! The sandbox converts the bindings of each contract version to and from these, so that nothing else knows a version. No type here
//! trusts its content: the rating checks a plan's names and a decision's positions before it uses them.

use serde::{Deserialize, Serialize};

use super::columns::{Dictionary, NULL_CODE};
use super::money::Amount;
use super::period::Period;

/// What a component may do, by what it exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Changes charges.
    Adjust,
    /// Adds charges.
    Charge,
    /// Reads the outcome and reports findings.
    Check,
}

impl Capability {
    /// As the contract calls its interface.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adjust => "adjust",
            Self::Charge => "charge",
            Self::Check => "check",
        }
    }
}

/// What a component says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    pub title: String,
    pub summary: String,
    /// JSON Schema of the configuration, as text.
    pub config_schema: String,
}

/// The tenant's bill that is being rated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BillPeriod {
    pub period: Period,
    /// ISO 4217.
    pub currency: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Test {
    IsIn(Vec<String>),
    NotIn(Vec<String>),
    StartsWith(Vec<String>),
    IsNull,
    NotNull,
}

impl Test {
    /// Null is in no list and starts with nothing, so `NotIn` holds for it.
    pub fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::IsIn(list) => value.is_some_and(|v| list.iter().any(|l| l == v)),
            Self::NotIn(list) => !value.is_some_and(|v| list.iter().any(|l| l == v)),
            Self::StartsWith(list) => value.is_some_and(|v| list.iter().any(|l| v.starts_with(l.as_str()))),
            Self::IsNull => value.is_none(),
            Self::NotNull => value.is_some(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Condition {
    pub column: String,
    pub test: Test,
}

/// Sums over the charges as the rules before left them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TotalRequest {
    pub group_by: Vec<String>,
    pub sums: Vec<String>,
    pub conditions: Vec<Condition>,
}

/// The answer to a [`TotalRequest`]: group keys in the order of `group_by`, sums in the order of `sums`, groups sorted by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub groups: Vec<TotalGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalGroup {
    pub keys: Vec<Option<String>>,
    pub sums: Vec<Amount>,
}

/// What a rule needs and touches under one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub dimensions: Vec<String>,
    pub reads: Vec<String>,
    pub writes: Vec<String>,
    pub applies_to: Vec<Condition>,
    pub totals: Vec<TotalRequest>,
    pub history: bool,
}

/// A configuration that a rule refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {message}", if .pointer.is_empty() { "the configuration" } else { .pointer })]
pub struct ConfigError {
    /// JSON pointer into the configuration; empty for the whole.
    pub pointer: String,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    HalfEven,
    HalfUp,
    Down,
    Up,
}

/// `x * rate * 10^-9`, rounded to `digits` decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// Position in the plan's `reads`.
    pub column: u8,
    pub rate: i64,
    pub digits: u8,
    pub rounding: Rounding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiered {
    pub column: u8,
    /// `threshold * 10^-scale`.
    pub threshold: i64,
    pub scale: u8,
    pub below: i64,
    pub above: i64,
    pub digits: u8,
    pub rounding: Rounding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    Keep,
    Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Keep,
    Zero,
    Copied { column: u8, if_missing: IfMissing },
    Scaled(Scaled),
    Tiered(Tiered),
    Custom,
}

/// What becomes of a charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Treatment {
    #[default]
    Keep,
    /// The tenant is not charged and does not see it.
    Drop,
    /// A person must look before an invoice is issued.
    Hold,
}

impl Treatment {
    pub const ALL: [Self; 3] = [Self::Keep, Self::Drop, Self::Hold];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::Hold => "hold",
        }
    }

    /// Dropped wins over held, held over kept.
    #[must_use]
    pub const fn or_stronger(self, other: Self) -> Self {
        match (self, other) {
            (Self::Drop, _) | (_, Self::Drop) => Self::Drop,
            (Self::Hold, _) | (_, Self::Hold) => Self::Hold,
            _ => Self::Keep,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub change: Change,
    pub treatment: Treatment,
    /// Position in the plan's `writes`, and the value.
    pub relabel: Vec<(u8, Option<String>)>,
    pub reason: String,
}

/// Text for a rule: values that the rule has not been sent before, then one code a row; codes count all values sent so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleText {
    pub new_values: Dictionary,
    pub codes: Vec<u32>,
}

impl RuleText {
    /// Null as the contract writes it.
    pub const NULL: u32 = NULL_CODE;
}

/// Money for a rule or from it: narrow when every value is an `i64` at `scale`, else 10^-18 units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleMoney {
    /// `i64::MIN` is null.
    Narrow { scale: u8, units: Vec<i64> },
    /// At scale 18; [`NULL`](super::money::NULL) is null.
    Wide { scale: u8, units: Vec<i128> },
}

/// A line that a rule adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Line {
    pub description: String,
    /// `Purchase`, `Credit`, `Tax` or `Adjustment`.
    pub charge_category: String,
    pub service_name: String,
    pub sub_account_id: Option<String>,
    pub amount: Amount,
    pub reason: String,
}

/// What a charging rule charged the tenant in an earlier period, as published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    pub period: BillPeriod,
    pub amount: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Block,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    pub severity: Severity,
    pub message: String,
}
