//! The organisation as one TOML file: what `export` writes and `apply` reads. Things are named as people name them, never by ids.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cli::Failure;
use crate::domain::period::Period;

/// What the MSP's own organisation is called where a person's roles are.
pub(super) const MSP: &str = "msp";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Organisation {
    /// On which tenants' contacts must be; absent leaves them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) domains: Option<Vec<String>>,
    #[serde(default, rename = "tenant", skip_serializing_if = "Vec::is_empty")]
    pub(super) tenants: Vec<Tenant>,
    #[serde(default, rename = "integration", skip_serializing_if = "Vec::is_empty")]
    pub(super) integrations: Vec<Integration>,
    #[serde(default, rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub(super) rules: Vec<Rule>,
    /// In the order in which the rules apply. Absent leaves them as they are.
    #[serde(default, rename = "assignment", skip_serializing_if = "Option::is_none")]
    pub(super) assignments: Option<Vec<Assignment>>,
    #[serde(default, rename = "user", skip_serializing_if = "Vec::is_empty")]
    pub(super) users: Vec<User>,
    #[serde(default, rename = "team", skip_serializing_if = "Vec::is_empty")]
    pub(super) teams: Vec<Team>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tenant {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) contact_email: Option<String>,
    /// `customer`, or `organisation`: an anchor for customers. Chosen when it is made.
    #[serde(default = "customer")]
    pub(super) kind: String,
    /// `active`, `suspended` or `unlinked`.
    #[serde(default = "active")]
    pub(super) state: String,
    /// The organisation that it belongs to, by name; chosen once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) organisation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) external_id: Option<String>,
    /// All that it holds; absent leaves them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subaccounts: Option<Vec<Held>>,
}

fn customer() -> String {
    "customer".to_owned()
}

fn active() -> String {
    "active".to_owned()
}

/// A subaccount that bills have named already.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Held {
    pub(super) integration: String,
    /// As the bills name it: the sub account, or the billing account where charges name none.
    pub(super) account: String,
    /// The first billing period of it; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Period>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Integration {
    pub(super) name: String,
    /// `folder` or `s3`.
    pub(super) kind: String,
    pub(super) location: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<String>,
    /// The tenant that owns it, by name; the MSP if absent. Chosen when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    /// The tenant that gets its new subaccounts, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dedicated_to: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) exclude: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_minutes: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) title: String,
    pub(super) plugin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pinned_digest: Option<String>,
    #[serde(default)]
    pub(super) config: toml::Table,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Assignment {
    /// The rule's title.
    pub(super) rule: String,
    /// By name; all tenants if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Period>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<Period>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) email: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) roles: Vec<UserRole>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserRole {
    /// `msp`, or a tenant's name.
    pub(super) organisation: String,
    pub(super) role: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Team {
    pub(super) name: String,
    /// By e-mail address.
    #[serde(default)]
    pub(super) members: Vec<String>,
    /// By name.
    #[serde(default)]
    pub(super) tenants: Vec<String>,
}

/// Reads a file; its mistakes are told with line and column.
pub(super) fn read(path: &Path) -> Result<Organisation, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    let organisation: Organisation = toml::from_str(&text).map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    organisation.named_once().map_err(|what| Failure::input(format!("{}: {what}", path.display())))?;
    Ok(organisation)
}

/// As names are compared.
pub(super) fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

impl Organisation {
    fn named_once(&self) -> Result<(), String> {
        let nouns: [(&str, Vec<&str>); 5] = [
            ("tenant", self.tenants.iter().map(|tenant| tenant.name.as_str()).collect()),
            ("integration", self.integrations.iter().map(|integration| integration.name.as_str()).collect()),
            ("rule", self.rules.iter().map(|rule| rule.title.as_str()).collect()),
            ("user", self.users.iter().map(|user| user.email.as_str()).collect()),
            ("team", self.teams.iter().map(|team| team.name.as_str()).collect()),
        ];
        for (noun, names) in nouns {
            let mut seen = std::collections::BTreeSet::new();
            if let Some(twice) = names.into_iter().find(|name| !seen.insert(key(name))) {
                return Err(format!("the {noun} {twice} is there twice"));
            }
        }
        let mut held = std::collections::BTreeMap::new();
        for tenant in &self.tenants {
            for account in tenant.subaccounts.iter().flatten() {
                if let Some(other) = held.insert((key(&account.integration), account.account.clone()), &tenant.name) {
                    return Err(format!("{} of {} is held by {other} and by {}", account.account, account.integration, tenant.name));
                }
            }
        }
        Ok(())
    }
}
