//! A difference as it is told: over HTTP, in a stored preview, on the command line.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::money::Amount;
use crate::domain::rated::RuleFinding;
use crate::domain::rule::Treatment;

/// What differs between two results. Amounts are exact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    pub before: Amount,
    pub after: Amount,
    pub delta: Amount,
    pub counts: Counts,
    /// In the order of the chain, rules that only one side has among them.
    pub by_rule: Vec<RuleDifference>,
    /// Those that change most first; all of them together are the totals.
    pub by_service: Vec<ServiceDifference>,
    /// Services beyond the hundredth, as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_services: Option<ServiceDifference>,
    /// The lines that change most, largest change first.
    pub top: Vec<LineDifference>,
    pub findings_new: Vec<RuleFinding>,
    pub findings_gone: Vec<RuleFinding>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Source charges looked at.
    pub charges: u64,
    /// Charges of which anything but the reason differs.
    pub changed: u64,
    /// Of which the amount differs.
    pub amounts: u64,
    /// That are kept, dropped or held otherwise.
    pub treatments: u64,
    /// Of which a label differs.
    pub labels: u64,
    /// That were touched by other rules or for other reasons.
    pub reasons: u64,
    /// Lines that rules added.
    pub added_before: u64,
    pub added_after: u64,
    pub added_changed: u64,
    pub findings_new: u64,
    pub findings_gone: u64,
}

impl Counts {
    /// Whether nobody would notice the difference: not in money, not in treatment, not in a finding.
    pub fn is_same(&self) -> bool {
        let Self { changed, added_changed, findings_new, findings_gone, .. } = self;
        (changed, added_changed, findings_new, findings_gone) == (&0, &0, &0, &0)
    }
}

/// What a rule moves on either side; none where the side does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleDifference {
    pub rule_id: String,
    pub title: String,
    pub before: Option<Amount>,
    pub after: Option<Amount>,
    pub delta: Amount,
    pub rows_before: Option<u64>,
    pub rows_after: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceDifference {
    /// As the source names it; none where it does not.
    pub service: Option<String>,
    pub before: Amount,
    pub after: Amount,
    pub delta: Amount,
    /// Charges and added lines that change.
    pub changed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineDifference {
    /// The source's own key of the charge, else its address; `added:` and the rule's id for lines that a rule adds.
    pub key: String,
    pub sub_account: Option<String>,
    pub service: Option<String>,
    pub description: Option<String>,
    pub before: Amount,
    pub after: Amount,
    pub delta: Amount,
    /// None where the side does not have the line.
    pub treatment_before: Option<Treatment>,
    pub treatment_after: Option<Treatment>,
    /// As `x_AppliedRules`.
    pub applied_before: Option<String>,
    pub applied_after: Option<String>,
}
