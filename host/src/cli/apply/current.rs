//! The organisation as a daemon has it, in the shape of the file, and what its names are called there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::file::{Assignment, Held, Integration, MSP, Organisation, Rule, Team, Tenant, User, UserRole, key};
use crate::cli::Failure;
use crate::cli::client::Client;

/// Ids by noun and name.
#[derive(Debug, Default)]
pub(super) struct Ids(BTreeMap<(&'static str, String), String>);

impl Ids {
    pub(super) fn put(&mut self, noun: &'static str, name: &str, id: &str) {
        self.0.insert((noun, key(name)), id.to_owned());
    }

    pub(super) fn of(&self, noun: &'static str, name: &str) -> Result<&str, Failure> {
        let found = self.0.get(&(noun, key(name))).map(String::as_str);
        found.ok_or_else(|| Failure::input(format!("there is no {noun} {name}, neither in the file nor at the daemon")))
    }
}

/// A daemon's organisation.
pub(super) struct Current {
    pub(super) organisation: Organisation,
    pub(super) ids: Ids,
    /// Of the assignments, in their order.
    pub(super) assignment_ids: Vec<String>,
    /// All that bills have named, by integration and account: the id and who holds it.
    pub(super) accounts: BTreeMap<(String, String), Account>,
}

pub(super) struct Account {
    pub(super) id: String,
    /// By name.
    pub(super) holder: Option<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn maybe(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn parsed<T: std::str::FromStr>(value: &Value) -> Option<T> {
    value.as_str().and_then(|text| text.parse().ok())
}

pub(super) fn read(client: &Client) -> Result<Current, Failure> {
    let mut ids = Ids::default();
    let (tenants, integrations) = (client.list("/v1/tenants")?, client.list("/v1/integrations")?);
    let tenant_names = named(&mut ids, "tenant", &tenants, "name");
    let integration_names = named(&mut ids, "integration", &integrations, "name");
    let name_of = |id: &Value| id.as_str().and_then(|id| tenant_names.get(id).cloned());
    let mut accounts = BTreeMap::new();
    let mut held: BTreeMap<String, Vec<Held>> = BTreeMap::new();
    for subaccount in client.list("/v1/subaccounts")? {
        let integration = integration_names.get(&text(&subaccount["integration_id"])).cloned().unwrap_or_default();
        let named = if text(&subaccount["sub_account_id"]).is_empty() { "billing_account_id" } else { "sub_account_id" };
        let (account, holder) = (text(&subaccount[named]), name_of(&subaccount["tenant_id"]));
        if let Some(holder) = &holder {
            let from = parsed(&subaccount["from_period"]);
            held.entry(holder.clone()).or_default().push(Held { integration: integration.clone(), account: account.clone(), from });
        }
        accounts.insert((key(&integration), account), Account { id: text(&subaccount["id"]), holder });
    }
    let tenants = tenants.iter().map(|tenant| {
        let mut subaccounts = held.remove(&text(&tenant["name"])).unwrap_or_default();
        subaccounts.sort();
        Tenant {
            name: text(&tenant["name"]),
            contact_email: maybe(&tenant["contact_email"]),
            kind: text(&tenant["kind"]),
            state: text(&tenant["state"]),
            organisation: name_of(&tenant["parent_id"]),
            external_id: maybe(&tenant["external_id"]),
            subaccounts: Some(subaccounts),
        }
    });
    let tenants: Vec<Tenant> = tenants.collect();
    let integrations = integrations.iter().map(|integration| Integration {
        name: text(&integration["name"]),
        kind: text(&integration["kind"]),
        location: text(&integration["location"]),
        endpoint: maybe(&integration["endpoint"]),
        region: maybe(&integration["region"]),
        owner: name_of(&integration["tenant_id"]),
        dedicated_to: name_of(&integration["dedicated_to"]),
        exclude: text(&integration["exclude"]),
        refresh_minutes: integration["refresh_minutes"].as_i64(),
    });
    let integrations = integrations.collect();
    let rules = client.list("/v1/rules")?;
    let titles = named(&mut ids, "rule", &rules, "title");
    let rules = rules.iter().map(rule).collect::<Result<_, _>>()?;
    let assigned = client.list("/v1/assignments")?;
    let assignment_ids = assigned.iter().map(|assignment| text(&assignment["id"])).collect();
    let assignments = assigned.iter().map(|assignment| Assignment {
        rule: titles.get(&text(&assignment["rule_id"])).cloned().unwrap_or_default(),
        tenant: name_of(&assignment["tenant_id"]),
        from: parsed(&assignment["from_period"]),
        to: parsed(&assignment["to_period"]),
    });
    let assignments = Some(assignments.collect());
    let users = client.list("/v1/users")?;
    let emails = named(&mut ids, "user", &users, "email");
    let users = users.iter().map(|user| {
        let memberships = user["memberships"].as_array().map(Vec::as_slice).unwrap_or_default();
        let role = |membership: &Value| {
            let organisation = match membership["organisation"].as_str() {
                Some(MSP) | None => MSP.to_owned(),
                Some(_) => name_of(&membership["organisation"]).unwrap_or_default(),
            };
            UserRole { organisation, role: text(&membership["role"]) }
        };
        let mut roles: Vec<UserRole> = memberships.iter().map(role).collect();
        roles.sort();
        User { email: text(&user["email"]), name: text(&user["name"]), roles }
    });
    let users = users.collect();
    let teams = client.list("/v1/teams")?;
    named(&mut ids, "team", &teams, "name");
    let listed = |value: &Value, names: &BTreeMap<String, String>| {
        let mut listed: Vec<String> = value.as_array().into_iter().flatten().filter_map(|id| names.get(&text(id)).cloned()).collect();
        listed.sort();
        listed
    };
    let teams = teams.iter().map(|team| Team {
        name: text(&team["name"]),
        members: listed(&team["members"], &emails),
        tenants: listed(&team["tenants"], &tenant_names),
    });
    let teams = teams.collect();
    let domains = client.get("/v1/settings/domains")?;
    let domains = domains["domains"].as_array().map(|domains| domains.iter().map(text).collect());
    let organisation = Organisation { domains, tenants, integrations, rules, assignments, users, teams };
    Ok(Current { organisation, ids, assignment_ids, accounts })
}

/// Remembers what a list's things are called; gives their names by id.
fn named(ids: &mut Ids, noun: &'static str, items: &[Value], field: &str) -> BTreeMap<String, String> {
    for item in items {
        ids.put(noun, &text(&item[field]), &text(&item["id"]));
    }
    items.iter().map(|item| (text(&item["id"]), text(&item[field]))).collect()
}

fn rule(rule: &Value) -> Result<Rule, Failure> {
    let title = text(&rule["title"]);
    let config = toml::Table::try_from(&rule["config"])
        .map_err(|error| Failure::run(format!("the configuration of {title} cannot be written as TOML: {error}")))?;
    Ok(Rule { plugin: text(&rule["plugin"]), pinned_digest: maybe(&rule["pinned_digest"]), config, title })
}
