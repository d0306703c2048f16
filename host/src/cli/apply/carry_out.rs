//! Does a plan's steps at a daemon, one call each. A step that is refused ends it; what was done stays, and the next plan is shorter.

use serde_json::{Value, json};

use super::current::{Account, Current};
use super::file::{Held, Integration, MSP, Rule, Team, Tenant, key};
use super::plan::Step;
use crate::cli::Failure;
use crate::cli::client::{Client, encode};

pub(super) struct Worker<'a> {
    pub(super) client: &'a Client,
    pub(super) current: Current,
}

impl Worker<'_> {
    pub(super) fn carry_out(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Domains(domains) => self.put("/v1/settings/domains".to_owned(), &json!({ "domains": domains })),
            Step::MakeTenant(tenant) => self.make("tenant", "/v1/tenants", &tenant.name, &self.tenant(tenant)?),
            Step::ChangeTenant(tenant) => self.put(format!("/v1/tenants/{}", self.id("tenant", &tenant.name)?), &self.tenant(tenant)?),
            Step::SetState { tenant, state } => {
                self.put(format!("/v1/tenants/{}/state", self.id("tenant", tenant)?), &json!({ "state": state }))
            }
            Step::MakeIntegration(integration) => {
                self.make("integration", "/v1/integrations", &integration.name, &self.integration(integration)?)
            }
            Step::ChangeIntegration(integration) => {
                let path = format!("/v1/integrations/{}", self.id("integration", &integration.name)?);
                self.put(path, &self.integration(integration)?)
            }
            Step::MakeRule(rule) => self.make("rule", "/v1/rules", &rule.title, &body_of_rule(rule)),
            Step::ChangeRule(rule) => self.put(format!("/v1/rules/{}", self.id("rule", &rule.title)?), &body_of_rule(rule)),
            Step::Hold { tenant, account, from_tenant } => {
                let from = from_tenant.as_ref().map(|name| self.id("tenant", name)).transpose()?;
                let to = self.id("tenant", tenant)?;
                self.assign(account, &json!({ "tenant_id": to, "from_tenant_id": from, "from_period": account.from }))
            }
            Step::Release(account) => self.assign(account, &json!({ "tenant_id": null })),
            Step::EndAssignment { place, .. } => {
                self.client.delete(&format!("/v1/assignments/{}", self.current.assignment_ids[*place])).map(drop)
            }
            Step::MakeAssignment(wanted) => {
                let tenant = wanted.tenant.as_ref().map(|name| self.id("tenant", name)).transpose()?;
                let rule = self.id("rule", &wanted.rule)?;
                let body = json!({ "rule_id": rule, "tenant_id": tenant, "from_period": wanted.from, "to_period": wanted.to });
                self.client.post("/v1/assignments", &body).map(drop)
            }
            Step::Order(wanted) => {
                let now = super::current::read(self.client)?;
                let mut ids = Vec::with_capacity(wanted.len());
                let listed = now.organisation.assignments.unwrap_or_default();
                let mut left: Vec<_> = listed.into_iter().zip(now.assignment_ids).collect();
                for assignment in wanted {
                    if let Some(at) = left.iter().position(|(known, _)| known == assignment) {
                        ids.push(left.remove(at).1);
                    }
                }
                self.put("/v1/assignments/order".to_owned(), &json!({ "assignments": ids }))
            }
            Step::MakeUser(user) => {
                let first = user.roles.first().ok_or_else(|| {
                    Failure::input(format!("{} has no role anywhere", user.email))
                        .next("roles = [{ organisation = \"msp\", role = \"viewer\" }]")
                })?;
                let organisation = self.organisation(&first.organisation)?;
                let body = json!({ "email": user.email, "name": user.name, "organisation": organisation, "role": first.role });
                self.make("user", "/v1/users", &user.email, &body)
            }
            Step::GiveRole { email, role } => {
                // A role that is limited to cost centers stays limited: the file does not speak of them.
                let organisation = self.organisation(&role.organisation)?;
                let known = self.client.get(&format!("/v1/users/{}", self.id("user", email)?))?;
                let memberships = known["memberships"].as_array().map(Vec::as_slice).unwrap_or_default();
                let before = memberships.iter().find(|membership| membership["organisation"] == organisation.as_str());
                let cost_centers = before.map_or(&Value::Null, |membership| &membership["cost_centers"]);
                self.put(self.membership(email, &role.organisation)?, &json!({ "role": role.role, "cost_centers": cost_centers }))
            }
            Step::TakeRole { email, role } => self.client.delete(&self.membership(email, &role.organisation)?).map(drop),
            Step::MakeTeam(team) => self.make("team", "/v1/teams", &team.name, &self.team(team)?),
            Step::ChangeTeam(team) => self.put(format!("/v1/teams/{}", self.id("team", &team.name)?), &self.team(team)?),
            Step::Remove { noun, name } => {
                let id = self.id(noun, name)?;
                let again = if *noun == "tenant" { format!("?name={}", encode(name)) } else { String::new() };
                self.client.delete(&format!("/v1/{noun}s/{id}{again}")).map(drop)
            }
        }
    }

    fn id(&self, noun: &'static str, name: &str) -> Result<String, Failure> {
        self.current.ids.of(noun, name).map(str::to_owned)
    }

    fn organisation(&self, name: &str) -> Result<String, Failure> {
        if key(name) == MSP { Ok(MSP.to_owned()) } else { self.id("tenant", name) }
    }

    fn membership(&self, email: &str, organisation: &str) -> Result<String, Failure> {
        Ok(format!("/v1/users/{}/memberships/{}", self.id("user", email)?, self.organisation(organisation)?))
    }

    fn make(&mut self, noun: &'static str, path: &str, name: &str, body: &Value) -> Result<(), Failure> {
        let made = self.client.post(path, body)?;
        self.current.ids.put(noun, name, made["id"].as_str().unwrap_or_default());
        Ok(())
    }

    fn put(&self, path: String, body: &Value) -> Result<(), Failure> {
        self.client.put(&path, body).map(drop)
    }

    fn tenant(&self, tenant: &Tenant) -> Result<Value, Failure> {
        let parent = tenant.organisation.as_ref().map(|name| self.id("tenant", name)).transpose()?;
        Ok(json!({ "name": tenant.name, "contact_email": tenant.contact_email, "kind": tenant.kind, "parent_id": parent,
            "external_id": tenant.external_id }))
    }

    fn integration(&self, integration: &Integration) -> Result<Value, Failure> {
        let tenant = |name: &Option<String>| name.as_ref().map(|name| self.id("tenant", name)).transpose();
        let mut body = json!({ "name": integration.name, "kind": integration.kind, "location": integration.location,
            "endpoint": integration.endpoint, "region": integration.region, "tenant_id": tenant(&integration.owner)?,
            "dedicated_to": tenant(&integration.dedicated_to)?, "exclude": integration.exclude });
        if let Some(minutes) = integration.refresh_minutes {
            body["refresh_minutes"] = minutes.into();
        }
        Ok(body)
    }

    fn team(&self, team: &Team) -> Result<Value, Failure> {
        let ids = |noun, names: &[String]| names.iter().map(|name| self.id(noun, name)).collect::<Result<Vec<_>, _>>();
        Ok(json!({ "name": team.name, "members": ids("user", &team.members)?, "tenants": ids("tenant", &team.tenants)? }))
    }

    fn assign(&self, account: &Held, body: &Value) -> Result<(), Failure> {
        let found = self.current.accounts.get(&(key(&account.integration), account.account.clone()));
        let Account { id, .. } = found.ok_or_else(|| unknown(account))?;
        let mut body = body.clone();
        body["subaccounts"] = json!([id]);
        self.client.post("/v1/subaccounts/assign", &body).map(drop)
    }
}

fn unknown(account: &Held) -> Failure {
    Failure::input(format!("no bill of {} has named the account {} yet", account.integration, account.account))
        .next("rerate apply again when its bills are imported, or leave the account out until then")
}

fn body_of_rule(rule: &Rule) -> Value {
    json!({ "title": rule.title, "plugin": rule.plugin, "pinned_digest": rule.pinned_digest, "config": rule.config })
}
