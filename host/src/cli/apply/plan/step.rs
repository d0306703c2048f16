//! One thing to do, and how it is told.

use super::super::file::{
    Assignment, CostCenter, Held, Integration, Key, MSP, Quota, Rule, SignIn, Team, Tenant, User, UserRole, Virtual, key,
};
use crate::store::SigningPolicy;

/// One thing to do, in the order in which it can be done.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Step {
    Domains(Vec<String>),
    MakeTenant(Tenant),
    ChangeTenant(Tenant),
    SetState {
        tenant: String,
        state: String,
    },
    SetQuota {
        tenant: String,
        quota: Quota,
    },
    MakeIntegration(Integration),
    ChangeIntegration(Integration),
    MakeRule(Rule),
    ChangeRule(Rule),
    /// Who gave it up, if somebody held it.
    Hold {
        tenant: String,
        account: Held,
        from_tenant: Option<String>,
    },
    Release(Held),
    MakeCostCenter(CostCenter),
    ChangeCostCenter(CostCenter),
    MakeVirtual(Virtual),
    ChangeVirtual(Virtual),
    /// By its place at the daemon.
    EndAssignment {
        place: usize,
        assignment: Assignment,
    },
    MakeAssignment(Assignment),
    /// The order of all assignments is the file's.
    Order(Vec<Assignment>),
    MakeUser(User),
    RenameUser {
        email: String,
        name: String,
    },
    GiveRole {
        email: String,
        role: UserRole,
    },
    TakeRole {
        email: String,
        role: UserRole,
    },
    MakeTeam(Team),
    ChangeTeam(Team),
    SignIn {
        settings: SignIn,
        is_new: bool,
        /// Whether the client's secret is to be sent, or that there is none.
        with_secret: bool,
    },
    Trust(Key),
    /// A trusted key's name changes only by trusting it anew.
    TrustAnew(Key),
    Policy(SigningPolicy),
    Remove(Removal),
}

/// What is taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Removal {
    pub(in super::super) noun: Noun,
    /// What it is known by: a name, an address, a public key.
    pub(in super::super) name: String,
    /// The tenant that it is in.
    pub(in super::super) tenant: Option<String>,
}

/// What the daemon keeps under an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Noun {
    Tenant,
    Integration,
    CostCenter,
    Virtual,
    Rule,
    User,
    Team,
    SignIn,
    Key,
}

impl Noun {
    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Integration => "integration",
            Self::CostCenter => "cost center",
            Self::Virtual => "virtual integration",
            Self::Rule => "rule",
            Self::User => "user",
            Self::Team => "team",
            Self::SignIn => "sign-in",
            Self::Key => "key",
        }
    }
}

impl Step {
    /// `+` makes, `~` changes, `-` ends; the noun, its name, and what is said of it.
    pub(in super::super) fn told(&self) -> (char, &'static str, String, String) {
        let nothing = String::new;
        let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
        let held = |account: &Held| format!("{} of {}", account.account, account.integration);
        let from = |account: &Held| account.from.map(|from| format!(" from {from}")).unwrap_or_default();
        match self {
            Self::Domains(domains) => ('~', "domains", domains.join(", "), nothing()),
            Self::MakeTenant(tenant) => ('+', "tenant", tenant.name.clone(), or_nothing(&tenant.contact_email)),
            Self::ChangeTenant(tenant) => ('~', "tenant", tenant.name.clone(), or_nothing(&tenant.contact_email)),
            Self::SetState { tenant, state } => ('~', "tenant", tenant.clone(), state.clone()),
            Self::SetQuota { tenant, quota } => ('~', "quota", tenant.clone(), bounds(quota)),
            Self::MakeIntegration(integration) => ('+', "integration", integration.name.clone(), integration.location.clone()),
            Self::ChangeIntegration(integration) => ('~', "integration", integration.name.clone(), integration.location.clone()),
            Self::MakeRule(rule) => ('+', "rule", rule.title.clone(), shown(rule)),
            Self::ChangeRule(rule) => ('~', "rule", rule.title.clone(), shown(rule)),
            Self::Hold { tenant, account, from_tenant } => {
                let giver = from_tenant.as_ref().map(|name| format!(", given up by {name}")).unwrap_or_default();
                ('~', "subaccount", held(account), format!("to {tenant}{}{giver}", from(account)))
            }
            Self::Release(account) => ('-', "subaccount", held(account), "released".to_owned()),
            Self::MakeCostCenter(center) => ('+', "cost center", center.name.clone(), accounts(center)),
            Self::ChangeCostCenter(center) => ('~', "cost center", center.name.clone(), accounts(center)),
            Self::MakeVirtual(view) => ('+', "virtual integration", view.name.clone(), selection(view)),
            Self::ChangeVirtual(view) => ('~', "virtual integration", view.name.clone(), selection(view)),
            Self::EndAssignment { assignment, .. } => ('-', "assignment", assignment.rule.clone(), reach(assignment)),
            Self::MakeAssignment(assignment) => ('+', "assignment", assignment.rule.clone(), reach(assignment)),
            Self::Order(all) => {
                ('~', "assignments", "order".to_owned(), all.iter().map(|a| a.rule.as_str()).collect::<Vec<_>>().join(", "))
            }
            Self::MakeUser(user) => (
                '+',
                "user",
                user.email.clone(),
                user.roles.first().map_or_else(String::new, |role| format!("{}, {}", user.name, as_what(role))),
            ),
            Self::RenameUser { email, name } => ('~', "user", email.clone(), name.clone()),
            Self::GiveRole { email, role } => ('~', "user", email.clone(), as_what(role)),
            Self::TakeRole { email, role } => ('-', "role", email.clone(), as_what(role)),
            Self::MakeTeam(team) => ('+', "team", team.name.clone(), team.tenants.join(", ")),
            Self::ChangeTeam(team) => ('~', "team", team.name.clone(), team.tenants.join(", ")),
            Self::SignIn { settings, is_new, with_secret } => {
                let sign = if *is_new { '+' } else { '~' };
                let secret = match (&settings.client_secret_env, with_secret) {
                    (Some(name), true) if name.is_empty() => ", without a secret".to_owned(),
                    (Some(name), true) => format!(", its secret from {name}"),
                    _ => String::new(),
                };
                (sign, "sign-in", settings.organisation.clone(), format!("{}{secret}", settings.issuer))
            }
            Self::Trust(trusted) => ('+', "key", trusted.name.clone(), trusted.public_key.clone()),
            Self::TrustAnew(trusted) => ('~', "key", trusted.name.clone(), trusted.public_key.clone()),
            Self::Policy(policy) => ('~', "signing policy", policy.name().to_owned(), nothing()),
            Self::Remove(Removal { noun, name, tenant }) => {
                ('-', noun.name(), name.clone(), tenant.as_ref().map(|tenant| format!("of {tenant}")).unwrap_or_default())
            }
        }
    }

    /// The environment's variable that it needs.
    pub(in super::super) fn secret_env(&self) -> Option<&str> {
        match self {
            Self::SignIn { settings, with_secret: true, .. } => settings.client_secret_env.as_deref().filter(|name| !name.is_empty()),
            _ => None,
        }
    }
}

fn as_what(role: &UserRole) -> String {
    let organisation = if key(&role.organisation) == MSP { "the MSP" } else { role.organisation.as_str() };
    let limited = role.cost_centers.as_ref().map(|centers| format!(", only {}", centers.join(", "))).unwrap_or_default();
    format!("{} in {organisation}{limited}", role.role)
}

fn bounds(quota: &Quota) -> String {
    let fields =
        [("fuel", quota.fuel), ("time_ms", quota.time_ms), ("memory_mib", quota.memory_mib), ("concurrent_runs", quota.concurrent_runs)];
    let set: Vec<String> = fields.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?))).collect();
    if set.is_empty() { "the defaults".to_owned() } else { set.join(", ") }
}

fn accounts(center: &CostCenter) -> String {
    let accounts: Vec<&str> = center.subaccounts.iter().map(|account| account.account.as_str()).collect();
    format!("of {}: {}", center.tenant, if accounts.is_empty() { "nothing".to_owned() } else { accounts.join(", ") })
}

fn selection(view: &Virtual) -> String {
    if view.conditions.is_empty() {
        return view.subaccounts.iter().map(|account| account.account.as_str()).collect::<Vec<_>>().join(", ");
    }
    serde_json::to_string(&view.conditions).unwrap_or_default()
}

fn shown(rule: &Rule) -> String {
    let pinned = rule.pinned_digest.as_ref().map(|digest| format!(" {}", digest.get(..12).unwrap_or(digest))).unwrap_or_default();
    format!("{}{pinned} {}", rule.plugin, serde_json::to_string(&rule.config).unwrap_or_default())
}

fn reach(assignment: &Assignment) -> String {
    let tenant = assignment.tenant.as_deref().unwrap_or("all tenants");
    let from = assignment.from.map(|from| format!(" from {from}")).unwrap_or_default();
    let to = assignment.to.map(|to| format!(" to {to}")).unwrap_or_default();
    format!("{tenant}{from}{to}")
}
