//! What to call each route with: one arm a route. A route without an arm fails the walk.

use super::super::*;
use super::world::{Caller, MONTH, Side, World};
use crate::domain::access::{Organisation, Role};
use crate::http::access::Row;
use crate::store::{AuditFilter, PageRequest};

/// A call of a route.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// Answers beside success that tell that the call was let in.
    pub(super) lands: Vec<u16>,
    /// Answers beside 403 and 404 that refuse another tenant's thing: a body's field that names it.
    pub(super) hides: Vec<u16>,
}

impl Asked {
    fn of(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn lands(self, status: u16) -> Self {
        Self { lands: vec![status], ..self }
    }

    fn hides(self, status: u16) -> Self {
        Self { hides: vec![status], ..self }
    }

    fn thing(self) -> Fixture {
        Fixture { kind: Kind::Thing, asked: self }
    }

    /// A thing that is somebody's own: not even who sees every tenant has another's.
    fn personal(self) -> Fixture {
        Fixture { kind: Kind::Personal, asked: self }
    }

    fn list(self) -> Fixture {
        Fixture { kind: Kind::List, asked: self }
    }

    fn everywhere(self) -> Fixture {
        Fixture { kind: Kind::Everywhere, asked: self }
    }

    fn general(self) -> Fixture {
        Fixture { kind: Kind::General, asked: self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It answers to everybody.
    Open,
    /// It names no tenant's thing. Nothing of another tenant is in the answer all the same.
    General,
    /// It shows or reaches every tenant: refused to whom teams limit.
    Everywhere,
    /// It names a tenant's thing.
    Thing,
    Personal,
    /// It has the own tenant's things in its answer.
    List,
}

#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) kind: Kind,
    pub(super) asked: Asked,
}

impl World {
    /// The call of a route on a side's thing; none for a route that has no arm yet.
    #[allow(clippy::too_many_lines)] // a table
    pub(super) async fn fixture(&self, row: &Row, caller: &Caller, of: &Side) -> Option<Fixture> {
        let own_side = of.marker == self.own.marker;
        let tenant = &of.tenant;
        let on = |asked: Asked| match row.method {
            "PUT" | "POST" => asked.with(json!({})),
            _ => asked,
        };
        let unique = || format!("{} {}", of.marker, self.next());
        let plain = || on(Asked::of(row.path.replace(['{', '}'], "")));
        Some(match (row.method, row.path) {
            (_, "/v1/health" | "/v1/ready" | "/v1/sign-in/callback" | "/v1/sign-in/{id}" | "/v1/invitations/accept")
            | ("POST", "/v1/sessions") => Fixture { kind: Kind::Open, asked: Asked::default() },
            (method, "/v1/organisations/{id}/sign-in") => {
                self.provider(of).await;
                let asked = Asked::of(format!("/v1/organisations/{tenant}/sign-in"));
                // Nobody listens there.
                let body = json!({"issuer": "https://127.0.0.1:1/", "client_id": "rerate"});
                if method == "PUT" { asked.with(body).lands(422).thing() } else { asked.thing() }
            }
            (_, "/metrics" | "/v1/openapi.json" | "/v1/whoami" | "/v1/session/leave") => plain().general(),
            ("GET" | "DELETE", "/v1/session" | "/v1/sessions") => plain().general(),
            (_, "/v1/sessions/{id}") => {
                let session = if own_side { self.signed_in(&caller.user, &caller.home).await.0.id } else { self.fresh_session(of).await };
                Asked::of(format!("/v1/sessions/{session}")).thing()
            }
            ("PUT", "/v1/session") => {
                let organisation = if own_side { caller.home.name() } else { tenant };
                Asked::of("/v1/session").with(json!({ "organisation": organisation })).personal()
            }
            ("PUT", "/v1/session/password") => plain().with(json!({"new": "short"})).lands(422).general(),
            ("POST", "/v1/tenants/{id}/enter") => on(Asked::of(format!("/v1/tenants/{tenant}/enter"))).thing(),

            ("GET", "/v1/users") => {
                self.fresh_user(of).await;
                Asked::of(format!("/v1/users?organisation={tenant}")).list()
            }
            ("POST", "/v1/users") => {
                let email = format!("n{}@{}.example", self.next(), of.marker);
                plain().with(json!({"email": email, "name": "New", "organisation": tenant, "role": "viewer"})).thing()
            }
            (_, "/v1/users/{id}") => {
                let asked = on(Asked::of(format!("/v1/users/{}", self.fresh_user(of).await)));
                if row.method == "PUT" { asked.with(json!({"name": unique()})).thing() } else { asked.thing() }
            }
            ("PUT", "/v1/users/{id}/password") => {
                let user = self.fresh_user(of).await;
                Asked::of(format!("/v1/users/{user}/password")).with(json!({"password": "short"})).lands(422).thing()
            }
            (_, "/v1/users/{id}/memberships/{organisation}") => {
                let asked = Asked::of(format!("/v1/users/{}/memberships/{tenant}", self.fresh_user(of).await));
                if row.method == "PUT" { asked.with(json!({"role": "editor"})).thing() } else { asked.thing() }
            }
            ("GET", "/v1/invitations") => {
                self.fresh_invitation(of).await;
                plain().list()
            }
            ("POST", "/v1/invitations") => {
                let email = format!("n{}@{}.example", self.next(), of.marker);
                plain().with(json!({"email": email, "organisation": tenant, "role": "viewer"})).thing()
            }
            (_, "/v1/invitations/{id}") => Asked::of(format!("/v1/invitations/{}", self.fresh_invitation(of).await)).thing(),
            ("POST", "/v1/teams") => plain().with(json!({"name": unique(), "members": [], "tenants": []})).general(),
            (_, "/v1/teams" | "/v1/teams/{id}") => plain().lands(404).lands_too(422).general(),
            ("GET", "/v1/tenants/{id}/cost-centers") => {
                self.fresh_cost_center(of).await;
                Asked::of(format!("/v1/tenants/{tenant}/cost-centers")).thing()
            }
            ("POST", "/v1/tenants/{id}/cost-centers") => {
                let body = json!({"name": unique(), "subaccounts": [of.subaccount]});
                Asked::of(format!("/v1/tenants/{tenant}/cost-centers")).with(body).thing()
            }
            (_, "/v1/cost-centers/{id}") => {
                let asked = Asked::of(format!("/v1/cost-centers/{}", self.fresh_cost_center(of).await));
                let body = json!({"name": unique(), "subaccounts": [of.subaccount]});
                if row.method == "PUT" { asked.with(body).thing() } else { asked.thing() }
            }
            ("GET", "/v1/tokens") => {
                self.fresh_token(of, &Organisation::Tenant(tenant.clone()), None).await;
                plain().general()
            }
            ("POST", "/v1/tokens") => {
                let mut body = json!({"name": unique(), "role": "viewer"});
                if !own_side {
                    body["organisation"] = json!(tenant);
                } else if caller.acting.is_some() {
                    body["service"] = json!(true);
                }
                // Who acts in a tenant makes services' tokens there, which takes an Owner.
                let asked = plain().with(body);
                if caller.acting.is_some() && caller.role < Role::Owner { asked.lands(403).thing() } else { asked.thing() }
            }
            (_, "/v1/tokens/{id}") => {
                let organisation = if own_side { caller.home.clone() } else { Organisation::Tenant(tenant.clone()) };
                let acting = caller.acting.is_some();
                let token = match (own_side, acting) {
                    (true, false) => self.fresh_token(of, &organisation, Some(&caller.user)).await,
                    _ => self.fresh_token(of, &Organisation::Tenant(tenant.clone()), None).await,
                };
                let asked = Asked::of(format!("/v1/tokens/{token}"));
                if caller.acting.is_some() && caller.role < Role::Owner { asked.lands(403).thing() } else { asked.thing() }
            }

            ("GET", "/v1/tenants") => plain().list(),
            ("POST", "/v1/tenants") => plain().with(json!({"name": unique(), "parent_id": of.group})).hides(422).thing(),
            ("POST", "/v1/tenants/import") => plain().lands(422).everywhere(),
            ("PUT", "/v1/tenants/{id}") => {
                Asked::of(format!("/v1/tenants/{}", self.fresh_tenant(of).await)).with(json!({"name": unique()})).thing()
            }
            ("DELETE", "/v1/tenants/{id}") => {
                let id = self.fresh_tenant(of).await;
                let name = self.app.state.store.tenant(&id).await.unwrap().name.replace(' ', "%20");
                Asked::of(format!("/v1/tenants/{id}?name={name}")).thing()
            }
            ("PUT", "/v1/tenants/{id}/state") => {
                let id = self.fresh_tenant(of).await;
                Asked::of(format!("/v1/tenants/{id}/state")).with(json!({"state": "suspended"})).thing()
            }
            (method, "/v1/tenants/{id}" | "/v1/tenants/{id}/removal" | "/v1/tenants/{id}/integrations" | "/v1/tenants/{id}/quota") => {
                let asked = Asked::of(row.path.replace("{id}", tenant));
                if method == "PUT" { asked.with(json!({"memory_mib": 16})).thing() } else { asked.thing() }
            }
            (_, "/v1/settings/domains") => plain().lands(422).general(),
            ("GET", "/v1/tenants/{id}/lines") => Asked::of(format!("/v1/tenants/{tenant}/lines?period={MONTH}")).thing(),
            ("GET", "/v1/tenants/{id}/export") => Asked::of(format!("/v1/tenants/{tenant}/export?period={MONTH}&format=csv")).thing(),
            ("GET", "/v1/charges/{key}/provenance") => {
                Asked::of(format!("/v1/charges/{}/provenance?tenant={tenant}&period={MONTH}", of.key)).thing()
            }

            ("GET", "/v1/integrations") => plain().list(),
            ("POST", "/v1/integrations") => {
                let number = self.next();
                let location = format!("s3://{}-new-{number}", of.marker);
                plain().with(json!({"name": unique(), "kind": "s3", "location": location, "tenant_id": tenant})).hides(422).thing()
            }
            (method, "/v1/integrations/{id}") => {
                let (id, body) = self.fresh_integration(of).await;
                let asked = Asked::of(format!("/v1/integrations/{id}"));
                if method == "PUT" { asked.with(body).thing() } else { asked.thing() }
            }
            (method, "/v1/integrations/{id}/credentials") => {
                let (id, _) = self.fresh_integration(of).await;
                let asked = Asked::of(format!("/v1/integrations/{id}/credentials"));
                let body = json!({"access_key_id": "AKIA", "secret_access_key": "secret"});
                if method == "PUT" { asked.with(body).thing() } else { asked.thing() }
            }
            ("POST", "/v1/integrations/{id}/refresh") => on(Asked::of(format!("/v1/integrations/{}/refresh", of.integration))).thing(),
            ("POST", "/v1/secrets/rotate") => plain().lands(409).general(), // the fixtures' credentials are not sealed
            (_, "/v1/virtual-integrations") => plain().lands(422).everywhere(),
            (_, "/v1/virtual-integrations/{id}") => plain().lands(404).lands_too(422).everywhere(),
            (_, "/v1/virtual-integrations/{id}/months") => plain().lands(404).everywhere(),
            (_, "/v1/virtual-integrations/{id}/lines") => {
                Asked::of(format!("/v1/virtual-integrations/id/lines?period={MONTH}")).lands(404).everywhere()
            }
            ("GET", "/v1/snapshots") => plain().list(),
            ("GET", "/v1/snapshots/{id}") => Asked::of(format!("/v1/snapshots/{}", of.snapshot)).thing(),
            ("GET", "/v1/subaccounts") => plain().list(),
            ("GET", "/v1/subaccounts/{id}" | "/v1/subaccounts/{id}/history") => Asked::of(row.path.replace("{id}", &of.subaccount)).thing(),
            (method, "/v1/subaccounts/{id}/tenant") => {
                let asked = Asked::of(format!("/v1/subaccounts/{}/tenant", self.fresh_subaccount(of).await));
                if method == "PUT" { asked.with(json!({ "tenant_id": tenant })).thing() } else { asked.thing() }
            }
            ("POST", "/v1/subaccounts/assign" | "/v1/subaccounts/review") => {
                plain().with(json!({"tenant_id": tenant, "subaccounts": [self.fresh_subaccount(of).await]})).thing()
            }

            ("PUT" | "DELETE", "/v1/rules/{id}") => {
                self.fresh_assignment(of).await; // it reaches somebody
                let body = json!({"title": "No tax", "plugin": "exclusion", "config": {"where": [{"column": "ChargeCategory", "is_in": ["Tax"]}]}});
                let asked = Asked::of(format!("/v1/rules/{}", self.rule));
                let asked = if row.method == "PUT" { asked.with(body) } else { asked.lands(409) };
                asked.everywhere()
            }
            ("POST", "/v1/rules/{id}/review") => {
                let body = json!({"title": "No tax", "plugin": "exclusion", "config": {"where": [{"column": "ChargeCategory", "is_in": ["Fee"]}]}});
                self.fresh_assignment(of).await;
                Asked::of(format!("/v1/rules/{}/review", self.rule)).with(body).general()
            }
            (_, "/v1/rules" | "/v1/rules/{id}") => plain().lands(404).lands_too(422).general(),
            ("GET", "/v1/assignments") => {
                self.fresh_assignment(of).await;
                plain().list()
            }
            ("POST", "/v1/assignments") => plain().with(json!({"rule_id": self.rule, "tenant_id": tenant})).hides(422).thing(),
            ("POST", "/v1/assignments/batch") => plain().with(json!({"rule_id": self.rule, "tenant_ids": [tenant]})).hides(422).thing(),
            ("POST", "/v1/assignments/review") => plain().with(json!({"end": self.fresh_assignment(of).await})).thing(),
            ("PUT", "/v1/assignments/order") => plain().with(json!({"assignments": [self.fresh_assignment(of).await]})).everywhere(),
            (method, "/v1/assignments/{id}") => {
                let asked = Asked::of(format!("/v1/assignments/{}", self.fresh_assignment(of).await));
                if method == "PUT" { asked.with(json!({"rule_id": self.rule, "tenant_id": tenant})).thing() } else { asked.thing() }
            }

            // What runs for everybody is changed by who sees everybody.
            (
                "POST" | "DELETE",
                "/v1/plugins"
                | "/v1/plugins/{name}/activate"
                | "/v1/plugins/{name}/rollback"
                | "/v1/plugins/{name}/disable"
                | "/v1/plugins/{name}/enable"
                | "/v1/plugins/{name}/versions/{digest}",
            ) => plain().lands(404).lands_too(422).lands_too(415).everywhere(),
            (
                "GET",
                "/v1/plugins"
                | "/v1/plugins/{name}"
                | "/v1/plugins/versions/{digest}/component"
                | "/v1/plugins/{name}/versions"
                | "/v1/plugins/{name}/schema"
                | "/v1/plugins/{name}/versions/{digest}/check"
                | "/v1/deployments"
                | "/v1/deployments/{id}",
            )
            | (_, "/v1/keys" | "/v1/keys/{id}" | "/v1/signing-policy") => plain().lands(404).lands_too(422).general(),
            (
                _,
                "/v1/previews"
                | "/v1/previews/{id}"
                | "/v1/shadows"
                | "/v1/shadows/{id}"
                | "/v1/shadows/{id}/promote"
                | "/v1/shadows/{id}/drop",
            ) => plain().lands(404).lands_too(422).everywhere(),

            ("GET", "/v1/runs") => plain().list(),
            ("GET", "/v1/runs/{id}" | "/v1/runs/{id}/explain" | "/v1/runs/{id}/logs") => {
                Asked::of(row.path.replace("{id}", &of.run)).thing()
            }
            ("POST", "/v1/runs/{id}/verify") => on(Asked::of(format!("/v1/runs/{}/verify", of.run))).thing(),
            ("POST", "/v1/runs/{id}/retry") => on(Asked::of(format!("/v1/runs/{}/retry", self.fresh_failed_run(of).await))).thing(),
            ("GET", "/v1/reports/margin" | "/v1/reports/charged") => plain().list(),
            // Two rules must change the same charge; the report is read for what it must not tell.
            ("GET", "/v1/reports/overlaps") => Asked::of(format!("/v1/reports/overlaps?period={MONTH}&tenant_id={tenant}")).thing(),
            ("GET", "/v1/events") => plain().list(),
            ("GET", "/v1/audit") => plain().list(),
            ("GET", "/v1/audit/verify") => plain().general(),
            ("GET", "/v1/audit/{id}") => {
                self.fresh_cost_center(of).await;
                let filter =
                    AuditFilter { tenant_id: Some(tenant.clone()), noun: Some("cost-center".to_owned()), ..AuditFilter::default() };
                let entries = self.app.state.store.audit_entries(&filter, &PageRequest::default()).await.unwrap();
                Asked::of(format!("/v1/audit/{}", entries.items[0].id)).thing()
            }
            _ => return None,
        })
    }

    /// Calls that begin at one's own thing and name another tenant's in the body or the query.
    pub(super) async fn crossed(&self, row: &Row, own: &Side, other: &Side) -> Vec<Asked> {
        let unique = || format!("{} {}", own.marker, self.next());
        match (row.method, row.path) {
            (_, "/v1/users/{id}/memberships/{organisation}") => {
                let theirs = Asked::of(format!("/v1/users/{}/memberships/{}", self.fresh_user(other).await, own.tenant));
                let ours = Asked::of(format!("/v1/users/{}/memberships/{}", self.fresh_user(own).await, other.tenant));
                let role = json!({"role": "viewer"});
                if row.method == "PUT" { vec![theirs.with(role.clone()), ours.with(role)] } else { vec![theirs, ours] }
            }
            ("POST", "/v1/invitations") => {
                let center = self.fresh_cost_center(other).await;
                let email = format!("n{}@{}.example", self.next(), own.marker);
                let body = json!({"email": email, "organisation": own.tenant, "role": "viewer", "cost_centers": [center]});
                vec![Asked::of(row.path).with(body)]
            }
            ("POST", "/v1/tenants/{id}/cost-centers") => {
                let body = json!({"name": unique(), "subaccounts": [other.subaccount]});
                vec![Asked::of(format!("/v1/tenants/{}/cost-centers", own.tenant)).with(body)]
            }
            ("PUT", "/v1/cost-centers/{id}") => {
                let body = json!({"name": unique(), "subaccounts": [other.subaccount]});
                vec![Asked::of(format!("/v1/cost-centers/{}", self.fresh_cost_center(own).await)).with(body)]
            }
            ("GET", "/v1/tenants/{id}/lines") => {
                vec![Asked::of(format!("/v1/tenants/{}/lines?period={MONTH}&cursor={}", own.tenant, other.cursor))]
            }
            ("GET", "/v1/charges/{key}/provenance") => {
                vec![Asked::of(format!("/v1/charges/{}/provenance?tenant={}&period={MONTH}", other.key, own.tenant))]
            }
            ("PUT", "/v1/integrations/{id}") => {
                let (id, body) = self.fresh_integration(own).await;
                let field = |name: &str| {
                    let mut body = body.clone();
                    body[name] = json!(other.tenant);
                    Asked::of(format!("/v1/integrations/{id}")).with(body).hides(422)
                };
                vec![field("tenant_id"), field("dedicated_to")]
            }
            ("PUT", "/v1/subaccounts/{id}/tenant") => {
                let give = json!({"tenant_id": other.tenant, "from_tenant_id": own.tenant});
                let take = json!({"tenant_id": own.tenant, "from_tenant_id": other.tenant});
                vec![
                    Asked::of(format!("/v1/subaccounts/{}/tenant", own.subaccount)).with(give),
                    Asked::of(format!("/v1/subaccounts/{}/tenant", other.subaccount)).with(take),
                ]
            }
            ("POST", "/v1/subaccounts/assign" | "/v1/subaccounts/review") => {
                let one = |to: &Side, from: &Side, what: &[&String]| {
                    Asked::of(row.path).with(json!({"tenant_id": to.tenant, "from_tenant_id": from.tenant, "subaccounts": what}))
                };
                let both = [&own.subaccount, &other.subaccount];
                let release = Asked::of(row.path).with(json!({"tenant_id": null, "subaccounts": both}));
                vec![one(other, own, &[&own.subaccount]), one(own, other, &[&other.subaccount]), one(own, other, &both), release]
            }
            ("POST", "/v1/assignments/batch") => {
                vec![Asked::of(row.path).with(json!({"rule_id": self.rule, "tenant_ids": [own.tenant, other.tenant]})).hides(422)]
            }
            ("POST", "/v1/assignments/review") => {
                let ours = self.fresh_assignment(own).await;
                let to = json!({"rule_id": self.rule, "tenant_id": other.tenant});
                let many = json!({"rule_id": self.rule, "tenant_ids": [other.tenant]});
                let theirs = self.fresh_assignment(other).await;
                let bodies = [
                    json!({"assign": to}),
                    json!({"assign_many": many}),
                    json!({"change": {"id": ours, "to": to}}),
                    json!({"change": {"id": theirs, "to": {"rule_id": self.rule, "tenant_id": own.tenant}}}),
                    json!({"order": [theirs]}),
                ];
                bodies.into_iter().map(|body| Asked::of(row.path).with(body).hides(422)).collect()
            }
            ("PUT", "/v1/assignments/{id}") => {
                let body = json!({"rule_id": self.rule, "tenant_id": other.tenant});
                vec![Asked::of(format!("/v1/assignments/{}", self.fresh_assignment(own).await)).with(body).hides(422)]
            }
            ("GET", "/v1/reports/margin" | "/v1/reports/charged") => vec![Asked::of(format!("{}?tenant_id={}", row.path, other.tenant))],
            _ => Vec::new(),
        }
    }

    /// A list asked for by another tenant: whatever it answers, nothing of that tenant is in it.
    pub(super) fn narrowed(row: &Row, other: &Side) -> Option<String> {
        let by = match row.path {
            "/v1/tenants" => "parent_id",
            "/v1/users" => "organisation",
            "/v1/integrations" | "/v1/subaccounts" | "/v1/assignments" | "/v1/runs" | "/v1/audit" => "tenant_id",
            "/v1/snapshots" => return Some(format!("{}?integration_id={}", row.path, other.integration)),
            _ => return None,
        };
        let value = if by == "parent_id" { &other.group } else { &other.tenant };
        (row.method == "GET").then(|| format!("{}?{by}={value}", row.path))
    }
}

impl Asked {
    fn lands_too(mut self, status: u16) -> Self {
        self.lands.push(status);
        self
    }
}
