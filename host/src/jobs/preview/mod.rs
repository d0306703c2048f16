//! What a change would do to published months before it is made: another plugin version, changed rules, or another chain, over chosen
//! tenants and periods.
//!
//! Each month is rated again from what its published run recorded, so that only the change differs and not what happened since. Nothing
//! is published and no file stays. A rule that fails fails its tenant's month here too, and says why.

mod asked;
mod candidate;
mod compute;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub(super) use asked::Asked;
pub(super) use candidate::Candidate;
pub(super) use compute::{Other, compute, earlier_of, rate_other, sum_rules};

use super::compare::{Difference, RuleDifference, ServiceDifference};
use super::replay::ReplayError;
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::store::Store;

/// Lines of a month that are told when the caller does not say, and at most.
const TOP_DEFAULT: usize = 20;
const TOP_MAX: usize = 200;

/// Months of one preview: a thousand tenants over a year are rated overnight, not on a button.
const MONTHS_MAX: usize = 2_000;

/// Rules of one candidate chain.
const RULES_MAX: usize = 200;

/// What to preview: exactly one of `plugin`, `rules` and `chain`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"periods": ["2026-09"], "plugin": {"name": "markup", "digest": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}}))]
pub struct PreviewRequest {
    /// All published ones if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub periods: Vec<Period>,
    /// Ids; all tenants if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<String>,
    /// These done runs, published or not, instead of periods and tenants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<VersionChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<RuleChange>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Vec<ChainRuleChange>>,
    /// Lines told of each month, 0 to 200; 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
}

/// Another version of a plugin, active or not, for the rules that follow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionChange {
    pub name: String,
    pub digest: String,
    /// Compare with this version instead of what is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// Also for rules that are pinned to a version.
    #[serde(default)]
    pub pinned: bool,
}

/// A rule under another configuration, another version, or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleChange {
    pub rule_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub config: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A rule of a candidate chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChainRuleChange {
    /// The rule that it stands for, so that it is compared with it and knows what it charged before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<String>,
    pub title: String,
    pub plugin: String,
    /// The active version if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[schema(value_type = Object)]
    pub config: Value,
}

impl PreviewRequest {
    fn top(&self) -> usize {
        self.top.unwrap_or(TOP_DEFAULT)
    }

    /// Refuses what makes no sense, before it is queued.
    pub async fn check(&self, store: &Store) -> Result<(), ReplayError> {
        let asked = [self.plugin.is_some(), self.rules.is_some(), self.chain.is_some()].into_iter().filter(|asked| *asked).count();
        if asked != 1 {
            return Err(ReplayError::Invalid("say what to preview: one of plugin, rules and chain".to_owned()));
        }
        if self.top() > TOP_MAX {
            return Err(ReplayError::Invalid(format!("top is 0 to {TOP_MAX}")));
        }
        let named = !(self.periods.is_empty() && self.tenants.is_empty());
        if named && !self.runs.is_empty() {
            return Err(ReplayError::Invalid("name runs, or periods and tenants, not both".to_owned()));
        }
        if self.runs.len().max(self.tenants.len()).max(self.periods.len()) > MONTHS_MAX {
            return Err(ReplayError::Invalid(format!("a preview is of {MONTHS_MAX} months at most")));
        }
        let rules = self.rules.as_ref().map_or(0, Vec::len).max(self.chain.as_ref().map_or(0, Vec::len));
        if rules > RULES_MAX || self.rules.as_ref().is_some_and(Vec::is_empty) {
            return Err(ReplayError::Invalid(format!("a preview changes 1 to {RULES_MAX} rules")));
        }
        for tenant in &self.tenants {
            store.tenant(tenant).await?;
        }
        for run in &self.runs {
            store.run(run).await?;
        }
        Candidate::of(self, store).await.map(drop)
    }
}

/// What a preview found. Amounts are exact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewResult {
    /// One a currency, over all months that could be rated.
    pub totals: Vec<CurrencyDifference>,
    /// The months whose chain has what changes, ordered by period, currency and tenant.
    pub months: Vec<MonthDifference>,
    /// Months that do not have it.
    pub untouched: u64,
    /// Months whose chain has it just so already.
    #[serde(default)]
    pub already: u64,
    /// Months that come out the same.
    pub same: u64,
    /// Months that the change makes fail.
    pub failed: u64,
    /// Months of which only the sums are kept in `months`, since there are so many.
    pub without_details: u64,
    /// Months and tenants of which nothing is published to compare with, and why; a hundred at most.
    pub skipped: Vec<SkippedMonth>,
    pub millis: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrencyDifference {
    pub currency: String,
    pub before: Amount,
    pub after: Amount,
    pub delta: Amount,
    pub by_rule: Vec<RuleDifference>,
    pub by_service: Vec<ServiceDifference>,
}

/// One tenant's month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MonthDifference {
    pub tenant_id: String,
    pub tenant: String,
    pub period: Period,
    pub currency: String,
    /// The run that it is compared with.
    pub run_id: String,
    pub before: Option<Amount>,
    /// None where it fails.
    pub after: Option<Amount>,
    pub delta: Option<Amount>,
    /// Why it could not be rated under the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

/// A month, or a tenant altogether, that cannot be previewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SkippedMonth {
    pub tenant_id: String,
    pub tenant: String,
    /// None where nothing is published of the tenant in any of the periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub period: Option<Period>,
    pub reason: String,
}
