//! A run's identity: the hash of everything that its result depends on. The same identity gives the same bytes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::period::Period;
use crate::domain::rule::Earlier;
use crate::store::AccountOwner;

/// Goes up whenever the same inputs would give another result.
///
/// 2: a rule that answers null for a charge leaves no trace on it.
pub(super) const ENGINE: u32 = 2;

#[derive(Clone, Debug, Serialize)]
pub(super) struct SourceIdentity<'a> {
    pub(super) snapshot: &'a str,
    pub(super) source_digest: &'a str,
    /// Subaccounts that the tenant holds in it, sorted.
    pub(super) accounts: Vec<&'a str>,
    /// Accounts that bought commitments in it. Only what the tenant's rules can see of other accounts counts, so that moving a
    /// subaccount between two tenants leaves the third one's runs alone.
    pub(super) commitment_owners: BTreeMap<&'a str, AccountOwner>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct RuleIdentity<'a> {
    pub(super) rule: &'a str,
    /// In the charges' provenance, so a part of the result.
    pub(super) title: &'a str,
    pub(super) digest: &'a str,
    pub(super) disabled: bool,
    /// With sorted keys.
    pub(super) config: &'a Value,
    pub(super) earlier: &'a [Earlier],
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct RunIdentity<'a> {
    engine: u32,
    tenant: &'a str,
    period: Period,
    currency: &'a str,
    sources: Vec<SourceIdentity<'a>>,
    chain: Vec<RuleIdentity<'a>>,
}

impl<'a> RunIdentity<'a> {
    pub(super) fn new(
        tenant: &'a str,
        period: Period,
        currency: &'a str,
        sources: Vec<SourceIdentity<'a>>,
        chain: Vec<RuleIdentity<'a>>,
    ) -> Self {
        Self { engine: ENGINE, tenant, period, currency, sources, chain }
    }

    /// # Panics
    /// Never: texts, numbers and maps by text have a JSON form.
    pub(super) fn digest(&self) -> String {
        let json = serde_json::to_vec(self).expect("an identity has a JSON form");
        crate::plugins::hex(&Sha256::digest(json))
    }

    /// The same without the components: two runs with the same basis differ by a deploy and nothing else.
    pub(super) fn basis(&self) -> String {
        let mut basis = self.clone();
        basis.chain.iter_mut().for_each(|rule| rule.digest = "");
        basis.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_rules_and_the_value_of_a_setting_matter_but_the_order_of_settings_does_not() {
        let of = |configs: [&str; 2]| {
            let configs = configs.map(|text| serde_json::from_str::<Value>(text).unwrap());
            let rule = |config| RuleIdentity { rule: "rul_1", title: "t", digest: "d", disabled: false, config, earlier: &[] };
            let chain = configs.iter().map(rule).collect();
            RunIdentity::new("tnt_1", "2026-09".parse().unwrap(), "USD", Vec::new(), chain).digest()
        };
        let first = of([r#"{"a": 1, "b": "2"}"#, "{}"]);
        assert_eq!(first, of([r#"{"b": "2", "a": 1}"#, "{}"]));
        assert_ne!(first, of(["{}", r#"{"a": 1, "b": "2"}"#]));
        assert_ne!(first, of([r#"{"a": 1, "b": "3"}"#, "{}"]));
    }

    #[test]
    fn only_a_deploy_keeps_the_basis() {
        let config = Value::Null;
        let of = |digest, title| {
            let rule = RuleIdentity { rule: "rul_1", title, digest, disabled: false, config: &config, earlier: &[] };
            RunIdentity::new("tnt_1", "2026-09".parse().unwrap(), "USD", Vec::new(), vec![rule])
        };
        let first = of("d1", "t");
        assert_eq!(first.basis(), of("d2", "t").basis());
        assert_ne!(first.digest(), of("d2", "t").digest());
        assert_ne!(first.basis(), of("d1", "other").basis());
    }
}
