//! The organisation as one file: what `export` writes and `apply` reads. Things are named as people name them, never by ids.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::access::Role;
use crate::domain::period::Period;
use crate::http::{Where, usual_claim, usual_scopes};
use crate::store::{GroupRole, SigningPolicy};

/// What the MSP's own organisation is called where a person's roles are.
pub(super) const MSP: &str = "msp";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Organisation {
    /// On which tenants' contacts must be; absent leaves them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) domains: Option<Vec<String>>,
    /// What becomes of components that no trusted key has signed; absent leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signing_policy: Option<SigningPolicy>,
    #[serde(default, rename = "key", skip_serializing_if = "Vec::is_empty")]
    pub(super) keys: Vec<Key>,
    #[serde(default, rename = "tenant", skip_serializing_if = "Vec::is_empty")]
    pub(super) tenants: Vec<Tenant>,
    #[serde(default, rename = "integration", skip_serializing_if = "Vec::is_empty")]
    pub(super) integrations: Vec<Integration>,
    #[serde(default, rename = "cost_center", skip_serializing_if = "Vec::is_empty")]
    pub(super) cost_centers: Vec<CostCenter>,
    #[serde(default, rename = "virtual", skip_serializing_if = "Vec::is_empty")]
    pub(super) virtuals: Vec<Virtual>,
    #[serde(default, rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub(super) rules: Vec<Rule>,
    /// In the order in which the rules apply. Absent leaves them as they are.
    #[serde(default, rename = "assignment", skip_serializing_if = "Option::is_none")]
    pub(super) assignments: Option<Vec<Assignment>>,
    #[serde(default, rename = "user", skip_serializing_if = "Vec::is_empty")]
    pub(super) users: Vec<User>,
    #[serde(default, rename = "team", skip_serializing_if = "Vec::is_empty")]
    pub(super) teams: Vec<Team>,
    #[serde(default, rename = "sign_in", skip_serializing_if = "Vec::is_empty")]
    pub(super) sign_ins: Vec<SignIn>,
}

/// A key whose signatures count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    /// Whose it is.
    pub(super) name: String,
    /// As `rerate key new` shows it.
    pub(super) public_key: String,
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
    /// What its rules may use; absent leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) quota: Option<Quota>,
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

/// Bounds of each run of a tenant; what is absent is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quota {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fuel: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) memory_mib: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) concurrent_runs: Option<i64>,
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

/// The same, where it does not matter from when on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) integration: String,
    pub(super) account: String,
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

/// A named group of subaccounts that a tenant holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CostCenter {
    /// By name.
    pub(super) tenant: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) subaccounts: Vec<Named>,
}

/// A virtual integration: a view of some subaccounts, or of the charges that meet conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Virtual {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) subaccounts: Vec<Named>,
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub(super) conditions: Vec<Where>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) title: String,
    pub(super) plugin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pinned_digest: Option<String>,
    #[serde(default)]
    pub(super) config: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(super) roles: Vec<UserRole>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserRole {
    /// `msp`, or a tenant's name.
    pub(super) organisation: String,
    pub(super) role: Role,
    /// The cost centers of the tenant that it is limited to, by name; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cost_centers: Option<Vec<String>>,
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

/// How an organisation's people sign in beside their passwords, or instead of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// `msp`, or a tenant's name.
    pub(super) organisation: String,
    pub(super) issuer: String,
    pub(super) client_id: String,
    /// The environment's variable that holds the client's secret; `""`: a public client has none. Absent leaves what is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_secret_env: Option<String>,
    #[serde(default = "usual_scopes")]
    pub(super) scopes: Vec<String>,
    #[serde(default = "usual_claim")]
    pub(super) group_claim: String,
    #[serde(default)]
    pub(super) roles: Vec<GroupRole>,
    #[serde(default)]
    pub(super) enforced: bool,
    #[serde(default)]
    pub(super) just_in_time: bool,
    #[serde(default)]
    pub(super) unverified_email: bool,
}

/// As names are compared.
pub(super) fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Whether two names are of the same thing.
pub(super) fn same(one: &str, other: &str) -> bool {
    key(one) == key(other)
}

/// Names of accounts as they are compared.
pub(super) fn account_key(integration: &str, account: &str) -> (String, String) {
    (key(integration), account.to_owned())
}
