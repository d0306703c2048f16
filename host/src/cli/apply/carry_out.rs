//! Does a plan's steps at a daemon, one call each. A step that is refused ends it; what was done stays, and the next plan is shorter.

use serde_json::{Value, json};

use super::current::Current;
use super::file::{CostCenter, Held, Integration, Key, MSP, Named, Rule, SignIn, Team, Tenant, User, UserRole, Virtual, account_key, key};
use super::plan::{Noun, Removal, Step, same_assignment};
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
            Step::MakeTenant(tenant) => self.make(Noun::Tenant, "/v1/tenants", &tenant.name, &self.tenant(tenant)?),
            Step::ChangeTenant(tenant) => self.put(self.path(Noun::Tenant, &tenant.name)?, &self.tenant(tenant)?),
            Step::SetState { tenant, state } => self.put(format!("{}/state", self.path(Noun::Tenant, tenant)?), &json!({ "state": state })),
            Step::SetQuota { tenant, quota } => self.put(format!("{}/quota", self.path(Noun::Tenant, tenant)?), &json!(quota)),
            Step::MakeIntegration(made) => self.make(Noun::Integration, "/v1/integrations", &made.name, &self.integration(made)?),
            Step::ChangeIntegration(changed) => self.put(self.path(Noun::Integration, &changed.name)?, &self.integration(changed)?),
            Step::MakeRule(rule) => self.make(Noun::Rule, "/v1/rules", &rule.title, &body_of_rule(rule)),
            Step::ChangeRule(rule) => self.put(self.path(Noun::Rule, &rule.title)?, &body_of_rule(rule)),
            Step::Hold { tenant, account, from_tenant } => {
                let from = from_tenant.as_ref().map(|name| self.id(Noun::Tenant, name)).transpose()?;
                let to = self.id(Noun::Tenant, tenant)?;
                self.assign(account, &json!({ "tenant_id": to, "from_tenant_id": from, "from_period": account.from }))
            }
            Step::Release(account) => self.assign(account, &json!({ "tenant_id": null })),
            Step::MakeCostCenter(center) => {
                let path = format!("{}/cost-centers", self.path(Noun::Tenant, &center.tenant)?);
                let made = self.client.post(&path, &self.cost_center(center)?)?;
                self.current.ids.put_center(&center.tenant, &center.name, made["id"].as_str().unwrap_or_default());
                Ok(())
            }
            Step::ChangeCostCenter(center) => {
                let id = self.current.ids.center(&center.tenant, &center.name)?;
                self.put(format!("/v1/cost-centers/{id}"), &self.cost_center(center)?)
            }
            Step::MakeVirtual(view) => self.make(Noun::Virtual, "/v1/virtual-integrations", &view.name, &self.selection(view)?),
            Step::ChangeVirtual(view) => self.put(self.path(Noun::Virtual, &view.name)?, &self.selection(view)?),
            Step::EndAssignment { place, .. } => {
                self.client.delete(&format!("/v1/assignments/{}", self.current.assignment_ids[*place])).map(drop)
            }
            Step::MakeAssignment(wanted) => {
                let tenant = wanted.tenant.as_ref().map(|name| self.id(Noun::Tenant, name)).transpose()?;
                let rule = self.id(Noun::Rule, &wanted.rule)?;
                let body = json!({ "rule_id": rule, "tenant_id": tenant, "from_period": wanted.from, "to_period": wanted.to });
                self.client.post("/v1/assignments", &body).map(drop)
            }
            Step::Order(wanted) => self.order(wanted),
            Step::MakeUser(user) => self.make_user(user),
            Step::RenameUser { email, name } => self.put(self.path(Noun::User, email)?, &json!({ "name": name })),
            Step::GiveRole { email, role } => self.put(self.membership(email, &role.organisation)?, &self.role(role)?),
            Step::TakeRole { email, role } => self.client.delete(&self.membership(email, &role.organisation)?).map(drop),
            Step::MakeTeam(team) => self.make(Noun::Team, "/v1/teams", &team.name, &self.team(team)?),
            Step::ChangeTeam(team) => self.put(self.path(Noun::Team, &team.name)?, &self.team(team)?),
            Step::SignIn { settings, with_secret, .. } => self.sign_in(settings, *with_secret),
            Step::Trust(trusted) => self.make(Noun::Key, "/v1/keys", &trusted.public_key, &body_of_key(trusted)),
            Step::TrustAnew(trusted) => {
                self.client.delete(&self.path(Noun::Key, &trusted.public_key)?)?;
                self.make(Noun::Key, "/v1/keys", &trusted.public_key, &body_of_key(trusted))
            }
            Step::Policy(policy) => self.put("/v1/signing-policy".to_owned(), &json!({ "policy": policy })),
            Step::Remove(removal) => self.remove(removal),
        }
    }

    fn remove(&self, Removal { noun, name, tenant }: &Removal) -> Result<(), Failure> {
        let path = match (noun, tenant) {
            (Noun::CostCenter, Some(tenant)) => format!("/v1/cost-centers/{}", self.current.ids.center(tenant, name)?),
            (Noun::Tenant, _) => format!("{}?name={}", self.path(Noun::Tenant, name)?, encode(name)),
            _ => self.path(*noun, name)?,
        };
        self.client.delete(&path).map(drop)
    }

    fn id(&self, noun: Noun, name: &str) -> Result<String, Failure> {
        self.current.ids.of(noun, name).map(str::to_owned)
    }

    fn ids(&self, noun: Noun, names: &[String]) -> Result<Vec<String>, Failure> {
        names.iter().map(|name| self.id(noun, name)).collect()
    }

    /// Where the daemon has it.
    fn path(&self, noun: Noun, name: &str) -> Result<String, Failure> {
        let list = match noun {
            Noun::Tenant => "tenants",
            Noun::Integration => "integrations",
            Noun::CostCenter => "cost-centers",
            Noun::Virtual => "virtual-integrations",
            Noun::Rule => "rules",
            Noun::User => "users",
            Noun::Team => "teams",
            Noun::Key => "keys",
            Noun::SignIn => return Ok(format!("/v1/organisations/{}/sign-in", self.organisation(name)?)),
        };
        Ok(format!("/v1/{list}/{}", self.id(noun, name)?))
    }

    fn organisation(&self, name: &str) -> Result<String, Failure> {
        if key(name) == MSP { Ok(MSP.to_owned()) } else { self.id(Noun::Tenant, name) }
    }

    fn membership(&self, email: &str, organisation: &str) -> Result<String, Failure> {
        Ok(format!("{}/memberships/{}", self.path(Noun::User, email)?, self.organisation(organisation)?))
    }

    fn make(&mut self, noun: Noun, path: &str, name: &str, body: &Value) -> Result<(), Failure> {
        let made = self.client.post(path, body)?;
        self.current.ids.put(noun, name, made["id"].as_str().unwrap_or_default());
        Ok(())
    }

    fn put(&self, path: String, body: &Value) -> Result<(), Failure> {
        self.client.put(&path, body).map(drop)
    }

    fn tenant(&self, tenant: &Tenant) -> Result<Value, Failure> {
        let parent = tenant.organisation.as_ref().map(|name| self.id(Noun::Tenant, name)).transpose()?;
        Ok(json!({ "name": tenant.name, "contact_email": tenant.contact_email, "kind": tenant.kind, "parent_id": parent,
            "external_id": tenant.external_id }))
    }

    fn integration(&self, integration: &Integration) -> Result<Value, Failure> {
        let tenant = |name: &Option<String>| name.as_ref().map(|name| self.id(Noun::Tenant, name)).transpose();
        let mut body = json!({ "name": integration.name, "kind": integration.kind, "location": integration.location,
            "endpoint": integration.endpoint, "region": integration.region, "tenant_id": tenant(&integration.owner)?,
            "dedicated_to": tenant(&integration.dedicated_to)?, "exclude": integration.exclude });
        if let Some(minutes) = integration.refresh_minutes {
            body["refresh_minutes"] = minutes.into();
        }
        Ok(body)
    }

    fn cost_center(&self, center: &CostCenter) -> Result<Value, Failure> {
        Ok(json!({ "name": center.name, "subaccounts": self.accounts(&center.subaccounts)? }))
    }

    fn selection(&self, view: &Virtual) -> Result<Value, Failure> {
        Ok(json!({ "name": view.name, "subaccounts": self.accounts(&view.subaccounts)?, "where": view.conditions }))
    }

    fn accounts(&self, accounts: &[Named]) -> Result<Vec<String>, Failure> {
        accounts.iter().map(|account| self.account(&account.integration, &account.account)).collect()
    }

    fn account(&self, integration: &str, account: &str) -> Result<String, Failure> {
        let found = self.current.accounts.get(&account_key(integration, account)).map(|found| found.id.clone());
        found.ok_or_else(|| {
            Failure::input(format!("no bill of {integration} has named the account {account} yet"))
                .next("rerate apply again when its bills are imported, or leave the account out until then")
        })
    }

    fn assign(&self, account: &Held, body: &Value) -> Result<(), Failure> {
        let mut body = body.clone();
        body["subaccounts"] = json!([self.account(&account.integration, &account.account)?]);
        self.client.post("/v1/subaccounts/assign", &body).map(drop)
    }

    /// The daemon's assignments in the file's order, as they are there by now.
    fn order(&self, wanted: &[super::file::Assignment]) -> Result<(), Failure> {
        let now = super::current::read(self.client)?;
        let mut ids = Vec::with_capacity(wanted.len());
        let listed = now.organisation.assignments.unwrap_or_default();
        let mut left: Vec<_> = listed.into_iter().zip(now.assignment_ids).collect();
        for assignment in wanted {
            if let Some(at) = left.iter().position(|(known, _)| same_assignment(known, assignment)) {
                ids.push(left.remove(at).1);
            }
        }
        self.put("/v1/assignments/order".to_owned(), &json!({ "assignments": ids }))
    }

    fn make_user(&mut self, user: &User) -> Result<(), Failure> {
        let first = user.roles.first().ok_or_else(|| Failure::input(format!("{} has no role anywhere", user.email)))?;
        let mut body = self.role(first)?;
        body["email"] = user.email.as_str().into();
        body["name"] = user.name.as_str().into();
        body["organisation"] = self.organisation(&first.organisation)?.into();
        self.make(Noun::User, "/v1/users", &user.email, &body)
    }

    fn role(&self, role: &UserRole) -> Result<Value, Failure> {
        let ids = |names: &Vec<String>| {
            names.iter().map(|name| self.current.ids.center(&role.organisation, name).map(str::to_owned)).collect::<Result<Vec<_>, _>>()
        };
        Ok(json!({ "role": role.role, "cost_centers": role.cost_centers.as_ref().map(ids).transpose()? }))
    }

    fn team(&self, team: &Team) -> Result<Value, Failure> {
        let (members, tenants) = (self.ids(Noun::User, &team.members)?, self.ids(Noun::Tenant, &team.tenants)?);
        Ok(json!({ "name": team.name, "members": members, "tenants": tenants }))
    }

    fn sign_in(&self, settings: &SignIn, with_secret: bool) -> Result<(), Failure> {
        let mut body = json!({ "issuer": settings.issuer, "client_id": settings.client_id, "scopes": settings.scopes,
            "group_claim": settings.group_claim, "roles": settings.roles, "enforced": settings.enforced,
            "just_in_time": settings.just_in_time, "unverified_email": settings.unverified_email });
        if let Some(name) = settings.client_secret_env.as_deref().filter(|_| with_secret) {
            body["client_secret"] = if name.is_empty() { Value::Null } else { secret(name)?.into() };
        }
        self.put(self.path(Noun::SignIn, &settings.organisation)?, &body)
    }
}

/// A secret from the environment: an argument would be seen by everybody on the machine, and a file's copies by more.
pub(super) fn secret(name: &str) -> Result<String, Failure> {
    let found = std::env::var(name).unwrap_or_default();
    if found.is_empty() {
        return Err(Failure::input(format!("the environment has no {name}, which the file names for a client's secret"))
            .next(format!("set {name}, or leave client_secret_env out to keep the stored one")));
    }
    Ok(found)
}

fn body_of_rule(rule: &Rule) -> Value {
    json!({ "title": rule.title, "plugin": rule.plugin, "pinned_digest": rule.pinned_digest, "config": rule.config })
}

fn body_of_key(trusted: &Key) -> Value {
    json!({ "name": trusted.name, "public_key": trusted.public_key })
}
