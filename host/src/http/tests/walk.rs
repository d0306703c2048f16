//! Every route, as every role, on one's own tenant's things and on another's: what the table allows is answered for the one, and for the
//! other nothing is told and nothing is changed.

mod fixtures;
mod world;

use fixtures::{Asked, Kind};
use world::{Caller, World};

use super::*;
use crate::domain::access::{Organisation, Role};
use crate::events::Event;
use crate::http::access::{Row, TABLE};

/// A walk's answer: a body may be anything.
struct Seen {
    status: u16,
    text: String,
}

impl World {
    async fn send(&self, caller: &Caller, method: &str, asked: &Asked) -> Seen {
        let browser = self.browser(caller).await;
        let mut request = Request::builder().method(method).uri(&asked.path).header("host", "localhost");
        for (name, value) in &browser {
            request = request.header(*name, value);
        }
        let body = match &asked.body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self.app.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        if asked.path.starts_with("/v1/events") && status == 200 {
            self.happen();
        }
        let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
        Seen { status, text: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Something of each side, and the end of the stream.
    fn happen(&self) {
        for side in [&self.own, &self.other] {
            let (period, currency) = (world::MONTH.parse().unwrap(), "USD".to_owned());
            let (id, tenant, state) = (side.run.clone(), side.tenant.clone(), "done".to_owned());
            self.app.state.events.send(Event::Run { id, tenant: tenant.clone(), period, currency: currency.clone(), state, reason: None });
            self.app.state.events.send(Event::Rating { runs: vec![side.run.clone()], period, position: Default::default() });
            self.app.state.events.send(Event::Withdrawn { tenant, period, currency });
            let (id, reason) = (side.integration.clone(), Some(format!("{} cannot be read", side.marker)));
            self.app.state.events.send(Event::Integration { id: id.clone(), state: "error".to_owned(), reason });
            self.app.state.events.send(Event::Import { integration: id.clone(), position: Default::default() });
            self.app.state.events.send(Event::Snapshot { integration: id, period, rows: 1 });
        }
        self.app.state.events.send(Event::Stopping);
    }

    /// A call that must be refused: nothing is changed and nothing of the other side told.
    async fn refused(&self, caller: &Caller, row: &Row, asked: &Asked, told: &str) {
        let before = if row.method == "GET" { Vec::new() } else { self.everything_but_sessions().await };
        self.app.told();
        let seen = self.send(caller, row.method, asked).await;
        let what = format!("{told} {} {:?}: {} {}", asked.path, asked.body, seen.status, seen.text);
        let at = [403, 404].contains(&seen.status) || asked.hides.contains(&seen.status);
        self.holds(at, || format!("is let in: {what}"));
        self.discreet(asked, &seen, &what);
        if row.method != "GET" {
            let changed = self.everything_but_sessions().await != before;
            self.holds(!changed, || format!("something is changed: {what}"));
            self.holds(self.app.told().is_empty(), || format!("the jobs are told: {what}"));
        }
    }

    /// Beginning a session is what every call of the walk does.
    async fn everything_but_sessions(&self) -> Vec<(String, Vec<Value>)> {
        let mut all = self.everything().await;
        for (table, rows) in &mut all {
            match table.as_str() {
                "sessions" | "audit_chain" | "audit_head" => rows.clear(),
                "audit" => rows.retain(|row| row["noun"] != "session" && row["action"] != "enter"),
                _ => {}
            }
        }
        all
    }

    fn discreet(&self, asked: &Asked, seen: &Seen, what: &str) {
        let sent = format!("{} {}", asked.path, asked.body.as_ref().map(Value::to_string).unwrap_or_default());
        let leak = self.other.told_by(&seen.text, &sent);
        self.holds(leak.is_none(), || format!("tells {leak:?} of the other tenant: {what}"));
    }

    async fn walk(&self, caller: &Caller) {
        for row in TABLE {
            self.route(caller, row).await;
        }
        let faults = std::mem::take(&mut *self.faults.lock().unwrap());
        assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    }

    /// All that is wrong is told at the end of a walk.
    fn holds(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.faults.lock().unwrap().push(what());
        }
    }

    async fn route(&self, caller: &Caller, row: &Row) {
        let needs = if caller.organisation() == Organisation::Msp { row.msp } else { row.tenant };
        let told = format!("{} of {} {:?}: {} {}", caller.role, caller.home, caller.acting, row.method, row.path);
        let Some(own) = self.fixture(row, caller, &self.own).await else {
            panic!("a new route needs its arm in host/src/http/tests/walk/fixtures.rs: {} {}", row.method, row.path)
        };
        if own.kind == Kind::Open {
            return;
        }
        let everything = caller.sees_everything();
        let allowed = needs.allows(caller.role) && (own.kind != Kind::Everywhere || everything);
        if !allowed {
            return self.refused(caller, row, &own.asked, &told).await;
        }
        let seen = self.send(caller, row.method, &own.asked).await;
        let what = format!("{told} {} {:?}: {} {}", own.asked.path, own.asked.body, seen.status, seen.text);
        let lands = (200..300).contains(&seen.status) || own.asked.lands.contains(&seen.status);
        self.holds(lands, || format!("is refused: {what}"));
        if !everything {
            self.discreet(&own.asked, &seen, &what);
        }
        if own.kind == Kind::List {
            self.holds(self.own.told_by(&seen.text, "").is_some(), || format!("has nothing of the own tenant: {what}"));
        }
        if everything && own.kind != Kind::Personal {
            return;
        }
        if let Kind::Thing | Kind::Personal = own.kind {
            let theirs = self.fixture(row, caller, &self.other).await.unwrap();
            self.refused(caller, row, &theirs.asked, &told).await;
        }
        for asked in self.crossed(row, &self.own, &self.other).await {
            self.refused(caller, row, &asked, &told).await;
        }
        if let Some(path) = World::narrowed(row, &self.other) {
            let asked = Asked { path, ..Asked::default() };
            let seen = self.send(caller, row.method, &asked).await;
            self.discreet(&asked, &seen, &format!("{told} {}: {} {}", asked.path, seen.status, seen.text));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_people_of_every_role_have_their_own_things_and_nothing_of_another_tenant() {
    let world = World::new().await;
    let own = Organisation::Tenant(world.own.tenant.clone());
    for role in Role::ALL {
        let caller = world.caller(&own, role).await;
        world.walk(&caller).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_the_msp_whose_team_has_one_tenant_have_its_things_and_nothing_of_another() {
    let world = World::new().await;
    for role in Role::ALL {
        let caller = world.caller(&Organisation::Msp, role).await;
        world.walk(&caller).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_the_msp_who_act_in_a_tenant_have_its_things_and_nothing_of_another() {
    let world = World::new().await;
    for role in [Role::IntegrationOwner, Role::Owner] {
        let caller = world.caller(&Organisation::Msp, role).await;
        let acting = Caller { acting: Some(world.own.tenant.clone()), ..caller };
        world.walk(&acting).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_would_find_what_is_told_and_what_is_changed() {
    let world = World::new().await;
    let owner = world.caller(&Organisation::Msp, Role::Owner).await;
    let path = format!("/v1/tenants/{}", world.other.tenant);
    let seen = world.send(&owner, "GET", &Asked { path, ..Asked::default() }).await;
    assert_eq!(seen.status, 200);
    assert_eq!(world.other.told_by(&seen.text, "").as_deref(), Some(world.other.tenant.as_str()));
    let before = world.everything_but_sessions().await;
    assert_eq!(world.everything_but_sessions().await, before);
    world.fresh_user(&world.own).await;
    assert_ne!(world.everything_but_sessions().await, before);
}
