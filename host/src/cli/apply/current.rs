//! The organisation as a daemon has it, in the shape of the file, and what its names are called there.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::file::{
    Assignment, CostCenter, Held, Integration, Key, MSP, Named, Organisation, Quota, Rule, SignIn, Team, Tenant, User, UserRole, Virtual,
    account_key, key,
};
use super::plan::{Known, Noun};
use crate::cli::Failure;
use crate::cli::client::{Client, encode, refused};
use crate::domain::access::Role;
use crate::http::Where;
use crate::store::{DEFAULT_CONCURRENT_RUNS, DEFAULT_FUEL, DEFAULT_MEMORY_MIB, DEFAULT_TIME_MS, GroupRole};

/// Ids by noun and name.
#[derive(Debug, Default)]
pub(super) struct Ids {
    named: BTreeMap<(Noun, String), String>,
    /// Of cost centers, by tenant and name.
    centers: BTreeMap<(String, String), String>,
}

impl Ids {
    pub(super) fn put(&mut self, noun: Noun, name: &str, id: &str) {
        self.named.insert((noun, key(name)), id.to_owned());
    }

    pub(super) fn put_center(&mut self, tenant: &str, name: &str, id: &str) {
        self.centers.insert((key(tenant), key(name)), id.to_owned());
    }

    pub(super) fn of(&self, noun: Noun, name: &str) -> Result<&str, Failure> {
        let found = self.named.get(&(noun, key(name))).map(String::as_str);
        found.ok_or_else(|| Failure::input(format!("there is no {} {name}, neither in the file nor at the daemon", noun.name())))
    }

    pub(super) fn center(&self, tenant: &str, name: &str) -> Result<&str, Failure> {
        let found = self.centers.get(&(key(tenant), key(name))).map(String::as_str);
        found.ok_or_else(|| Failure::input(format!("{tenant} has no cost center {name}, neither in the file nor at the daemon")))
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
    /// Organisations for whose sign-in a client's secret is kept.
    secrets: BTreeSet<String>,
}

pub(super) struct Account {
    pub(super) id: String,
    /// By name.
    holder: Option<String>,
}

impl Known for Current {
    fn holder(&self, account: &Held) -> Option<String> {
        self.accounts.get(&account_key(&account.integration, &account.account)).and_then(|account| account.holder.clone())
    }

    fn has_secret(&self, organisation: &str) -> bool {
        self.secrets.contains(&key(organisation))
    }
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

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Names by id.
type Names = BTreeMap<String, String>;

/// Remembers what a list's things are called; gives their names by id.
fn named(ids: &mut Ids, noun: Noun, items: &[Value], field: &str) -> Names {
    for item in items {
        ids.put(noun, &text(&item[field]), &text(&item["id"]));
    }
    items.iter().map(|item| (text(&item["id"]), text(&item[field]))).collect()
}

fn name_in(names: &Names, id: &Value) -> Option<String> {
    id.as_str().and_then(|id| names.get(id).cloned())
}

fn names_in(names: &Names, listed: &Value) -> Vec<String> {
    let mut found: Vec<String> = items(listed).iter().filter_map(|id| name_in(names, id)).collect();
    found.sort();
    found
}

pub(super) fn read(client: &Client) -> Result<Current, Failure> {
    let mut ids = Ids::default();
    let (tenants, integrations) = (client.list("/v1/tenants")?, client.list("/v1/integrations")?);
    let tenant_names = named(&mut ids, Noun::Tenant, &tenants, "name");
    let integration_names = named(&mut ids, Noun::Integration, &integrations, "name");
    let billed = billed(client, &tenant_names, &integration_names)?;
    let (cost_centers, center_names) = cost_centers(client, &mut ids, &tenants, &billed)?;
    let virtuals = virtuals(client, &mut ids, &billed)?;
    let rules = client.list("/v1/rules")?;
    let titles = named(&mut ids, Noun::Rule, &rules, "title");
    let rules = rules.iter().map(rule).collect();
    let assigned = client.list("/v1/assignments")?;
    let assignments = assigned.iter().map(|assignment| Assignment {
        rule: name_in(&titles, &assignment["rule_id"]).unwrap_or_default(),
        tenant: name_in(&tenant_names, &assignment["tenant_id"]),
        from: parsed(&assignment["from_period"]),
        to: parsed(&assignment["to_period"]),
    });
    let assignments = Some(assignments.collect());
    let (users, emails) = users(client, &mut ids, &tenant_names, &center_names)?;
    let teams = client.list("/v1/teams")?;
    named(&mut ids, Noun::Team, &teams, "name");
    let team = |team: &Value| Team {
        name: text(&team["name"]),
        members: names_in(&emails, &team["members"]),
        tenants: names_in(&tenant_names, &team["tenants"]),
    };
    let teams = teams.iter().map(team).collect();
    let (sign_ins, secrets) = sign_ins(client, &tenants)?;
    let keys = keys(client, &mut ids)?;
    let domains = client.get("/v1/settings/domains")?;
    let domains = domains["domains"].as_array().map(|domains| domains.iter().map(text).collect());
    let signing_policy = Some(Deserialize::deserialize(&client.get("/v1/signing-policy")?["policy"])?);
    let integrations = integrations.iter().map(|known| integration(known, &tenant_names)).collect();
    let mut held = billed.held;
    let tenants = tenants.iter().map(|known| {
        let mut subaccounts = held.remove(&text(&known["id"])).unwrap_or_default();
        subaccounts.sort();
        Ok(tenant(known, &tenant_names, quota(client, known)?, subaccounts))
    });
    let tenants = tenants.collect::<Result<_, Failure>>()?;
    let organisation = Organisation {
        domains,
        signing_policy,
        keys,
        tenants,
        integrations,
        cost_centers,
        virtuals,
        rules,
        assignments,
        users,
        teams,
        sign_ins,
    };
    let assignment_ids = assigned.iter().map(|assignment| text(&assignment["id"])).collect();
    Ok(Current { organisation, ids, assignment_ids, accounts: billed.accounts, secrets })
}

/// What the bills name.
struct Billed {
    accounts: BTreeMap<(String, String), Account>,
    /// By the holder's id.
    held: BTreeMap<String, Vec<Held>>,
    /// By id: the name, and who holds it, by id.
    named: BTreeMap<String, (Named, Value)>,
}

fn billed(client: &Client, tenants: &Names, integrations: &Names) -> Result<Billed, Failure> {
    let mut billed = Billed { accounts: BTreeMap::new(), held: BTreeMap::new(), named: BTreeMap::new() };
    for subaccount in client.list("/v1/subaccounts")? {
        let integration = name_in(integrations, &subaccount["integration_id"]).unwrap_or_default();
        let by = if text(&subaccount["sub_account_id"]).is_empty() { "billing_account_id" } else { "sub_account_id" };
        let (id, account, holder) = (text(&subaccount["id"]), text(&subaccount[by]), &subaccount["tenant_id"]);
        if let Some(holder) = holder.as_str() {
            let from = parsed(&subaccount["from_period"]);
            billed.held.entry(holder.to_owned()).or_default().push(Held {
                integration: integration.clone(),
                account: account.clone(),
                from,
            });
        }
        let entry = Account { id: id.clone(), holder: name_in(tenants, holder) };
        billed.accounts.insert(account_key(&integration, &account), entry);
        billed.named.insert(id, (Named { integration, account }, holder.clone()));
    }
    Ok(billed)
}

fn tenant(known: &Value, names: &Names, quota: Option<Quota>, subaccounts: Vec<Held>) -> Tenant {
    Tenant {
        name: text(&known["name"]),
        contact_email: maybe(&known["contact_email"]),
        kind: text(&known["kind"]),
        state: text(&known["state"]),
        organisation: name_in(names, &known["parent_id"]),
        external_id: maybe(&known["external_id"]),
        quota,
        subaccounts: Some(subaccounts),
    }
}

/// What was set and is not the default.
fn quota(client: &Client, tenant: &Value) -> Result<Option<Quota>, Failure> {
    let quota = client.get(&format!("/v1/tenants/{}/quota", text(&tenant["id"])))?;
    let set = |field: &str, default: i64| quota[field].as_i64().filter(|value| *value != default);
    let quota = Quota {
        fuel: set("fuel", DEFAULT_FUEL),
        time_ms: set("time_ms", DEFAULT_TIME_MS),
        memory_mib: set("memory_mib", DEFAULT_MEMORY_MIB),
        concurrent_runs: set("concurrent_runs", DEFAULT_CONCURRENT_RUNS),
    };
    Ok((quota != Quota::default()).then_some(quota))
}

fn integration(known: &Value, tenants: &Names) -> Integration {
    Integration {
        name: text(&known["name"]),
        kind: text(&known["kind"]),
        location: text(&known["location"]),
        endpoint: maybe(&known["endpoint"]),
        region: maybe(&known["region"]),
        owner: name_in(tenants, &known["tenant_id"]),
        dedicated_to: name_in(tenants, &known["dedicated_to"]),
        exclude: text(&known["exclude"]),
        refresh_minutes: known["refresh_minutes"].as_i64(),
    }
}

/// Of the subaccounts those that the tenant still holds: the others count for nothing.
fn cost_centers(client: &Client, ids: &mut Ids, tenants: &[Value], billed: &Billed) -> Result<(Vec<CostCenter>, Names), Failure> {
    let (mut centers, mut names) = (Vec::new(), Names::new());
    for tenant in tenants {
        for center in client.list(&format!("/v1/tenants/{}/cost-centers", text(&tenant["id"])))? {
            let (owner, name) = (text(&tenant["name"]), text(&center["name"]));
            let held =
                |id: &Value| billed.named.get(&text(id)).filter(|(_, holder)| *holder == tenant["id"]).map(|(named, _)| named.clone());
            let mut subaccounts: Vec<Named> = items(&center["subaccounts"]).iter().filter_map(held).collect();
            subaccounts.sort();
            ids.put_center(&owner, &name, &text(&center["id"]));
            names.insert(text(&center["id"]), name.clone());
            centers.push(CostCenter { tenant: owner, name, subaccounts });
        }
    }
    Ok((centers, names))
}

fn virtuals(client: &Client, ids: &mut Ids, billed: &Billed) -> Result<Vec<Virtual>, Failure> {
    let views = client.list("/v1/virtual-integrations")?;
    named(ids, Noun::Virtual, &views, "name");
    let view = |view: &Value| {
        let mut subaccounts: Vec<Named> =
            items(&view["subaccounts"]).iter().filter_map(|id| billed.named.get(&text(id)).map(|(named, _)| named.clone())).collect();
        subaccounts.sort();
        let conditions: Vec<Where> = Deserialize::deserialize(&view["where"])?;
        Ok(Virtual { name: text(&view["name"]), subaccounts, conditions })
    };
    views.iter().map(view).collect()
}

fn rule(rule: &Value) -> Rule {
    let config = rule["config"].as_object().cloned().unwrap_or_default();
    Rule { title: text(&rule["title"]), plugin: text(&rule["plugin"]), pinned_digest: maybe(&rule["pinned_digest"]), config }
}

fn users(client: &Client, ids: &mut Ids, tenants: &Names, centers: &Names) -> Result<(Vec<User>, Names), Failure> {
    let known = client.list("/v1/users")?;
    let emails = named(ids, Noun::User, &known, "email");
    let role = |membership: &Value| {
        let organisation = match membership["organisation"].as_str() {
            Some(MSP) | None => MSP.to_owned(),
            Some(_) => name_in(tenants, &membership["organisation"]).unwrap_or_default(),
        };
        let cost_centers = membership["cost_centers"].is_array().then(|| names_in(centers, &membership["cost_centers"]));
        let role: Role = Deserialize::deserialize(&membership["role"])?;
        Ok(UserRole { organisation, role, cost_centers })
    };
    let user = |user: &Value| {
        let mut roles: Vec<UserRole> = items(&user["memberships"]).iter().map(role).collect::<Result<_, Failure>>()?;
        roles.sort_by(|one, other| one.organisation.cmp(&other.organisation));
        Ok(User { email: text(&user["email"]), name: text(&user["name"]), roles })
    };
    Ok((known.iter().map(user).collect::<Result<_, Failure>>()?, emails))
}

/// What is set for the MSP and for each tenant, and whose client has a secret.
fn sign_ins(client: &Client, tenants: &[Value]) -> Result<(Vec<SignIn>, BTreeSet<String>), Failure> {
    let (mut found, mut secrets) = (Vec::new(), BTreeSet::new());
    let organisations = tenants.iter().map(|tenant| (text(&tenant["id"]), text(&tenant["name"])));
    for (id, organisation) in std::iter::once((MSP.to_owned(), MSP.to_owned())).chain(organisations) {
        let answer = client.call(&Method::GET, &format!("/v1/organisations/{}/sign-in", encode(&id)), None)?;
        match answer.status {
            404 => continue, // none is set
            _ if answer.is_success() => {}
            status => return Err(refused(status, &answer.body)),
        }
        let settings = answer.body;
        if settings["has_secret"] == true {
            secrets.insert(key(&organisation));
        }
        let roles: Vec<GroupRole> = Deserialize::deserialize(&settings["roles"])?;
        found.push(SignIn {
            organisation,
            issuer: text(&settings["issuer"]),
            client_id: text(&settings["client_id"]),
            client_secret_env: None,
            scopes: items(&settings["scopes"]).iter().map(text).collect(),
            group_claim: text(&settings["group_claim"]),
            roles,
            enforced: settings["enforced"] == true,
            just_in_time: settings["just_in_time"] == true,
            unverified_email: settings["unverified_email"] == true,
        });
    }
    Ok((found, secrets))
}

/// Those that are trusted now.
fn keys(client: &Client, ids: &mut Ids) -> Result<Vec<Key>, Failure> {
    let trusted: Vec<Value> = client.list("/v1/keys")?.into_iter().filter(|known| known["revoked_at"].is_null()).collect();
    named(ids, Noun::Key, &trusted, "public_key");
    Ok(trusted.iter().map(|known| Key { name: text(&known["name"]), public_key: text(&known["public_key"]) }).collect())
}
