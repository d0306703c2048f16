//! Every change of something that is there takes `If-Match`: called with an ETag from before, it is refused and changes nothing.

mod pages;
mod reviewed;

use std::sync::Arc;

use super::people::Browser;
use super::*;
use crate::domain::access::Organisation;
use crate::http::conditional::{UNCONDITIONAL, exception};
use crate::jobs::DataDir;
use crate::plugins::signature::PrivateKey;
use crate::sandbox::sections::append;
use crate::sandbox::tests::guest::Guest;
use crate::store::{ClientSecret, NewRun, SignInFields};

/// An ETag that nothing has.
const STALE: &str = "\"999999999999999999\"";

/// A change that would be taken, of a thing of its own.
struct Change {
    address: String,
    /// What gives its ETag.
    read: String,
    body: Option<Value>,
    /// What is asked there, where a review gives its ETag.
    review: Option<Value>,
    /// Somebody other than the administrator.
    by: Option<Browser>,
}

fn change(address: impl Into<String>, read: impl Into<String>, body: impl Into<Option<Value>>) -> Change {
    Change { address: address.into(), read: read.into(), body: body.into(), review: None, by: None }
}

/// The same address for both.
fn of(address: &str, body: impl Into<Option<Value>>) -> Change {
    change(address, address, body)
}

struct World {
    app: TestApp,
    made: u32,
    subaccounts: Vec<String>,
}

impl World {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let data = Arc::new(DataDir::open(&app.folder.path().join("data")).unwrap());
        let state = app.state.clone().with_data(data);
        let app = TestApp { router: router(state.clone()), state, ..app };
        let subaccounts = app.bill(&["111", "222", "333"]).await;
        let mut world = Self { app, made: 0, subaccounts };
        world.version("").await;
        world.version("").await;
        world
    }

    fn name(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what} {}", self.made)
    }

    /// Makes a thing and gives its address.
    async fn make(&self, path: &str, body: Value) -> String {
        let made = self.app.post(path, body).await;
        assert!(made.status.is_success(), "{path}: {}", made.body);
        made.header(header::LOCATION).unwrap_or_else(|| panic!("{path} says no address")).to_owned()
    }

    fn id(address: &str) -> &str {
        address.rsplit('/').next().unwrap()
    }

    async fn tenant(&mut self) -> String {
        let name = self.name("Tenant");
        self.make("/v1/tenants", json!({ "name": name })).await
    }

    async fn user(&mut self) -> String {
        let email = format!("{}@msp.example", self.name("person").replace(' ', ""));
        self.app.person(&email, "msp", "viewer").await
    }

    /// Somebody who is signed in: who, and where.
    async fn signed_in(&mut self) -> (String, String) {
        let email = format!("{}@msp.example", self.name("person").replace(' ', ""));
        let user = self.app.person(&email, "msp", "viewer").await;
        self.app.browser(&email).await;
        let sessions = self.app.get(&format!("/v1/sessions?user_id={user}")).await.ok(200);
        (user, sessions["items"][0]["id"].as_str().unwrap().to_owned())
    }

    async fn rule(&mut self) -> String {
        let title = self.name("Rule");
        self.make("/v1/rules", json!({"title": title, "plugin": "fixture", "config": {}})).await
    }

    async fn assignment(&mut self) -> String {
        let rule = self.rule().await;
        self.make("/v1/assignments", json!({ "rule_id": Self::id(&rule) })).await
    }

    async fn bucket(&mut self) -> String {
        let name = self.name("bucket").replace(' ', "-");
        self.make("/v1/integrations", json!({"name": name, "kind": "s3", "location": format!("s3://{name}/bills")})).await
    }

    /// Another version of the plugin; gives its digest.
    async fn version(&mut self, query: &str) -> String {
        self.made += 1;
        let mut component = Guest::adjustment().build();
        append(&mut component, "note", &self.made.to_be_bytes());
        let digest = crate::plugins::digest_of(&component);
        let request = Request::post(format!("/v1/plugins{query}")).header("authorization", format!("Bearer {}", self.app.token));
        let request = request.header("content-type", "application/wasm").body(Body::from(component)).unwrap();
        self.app.send(request).await.ok(201);
        digest
    }

    async fn shadow(&mut self) -> String {
        let digest = self.version("?activate=false").await;
        self.make("/v1/shadows", json!({"plugin": "fixture", "digest": digest})).await
    }

    async fn key(&self) -> String {
        let (key, _) = PrivateKey::new(self.app.state.store.clock()).unwrap();
        self.make("/v1/keys", json!({"name": "Release", "public_key": key.public()})).await
    }

    /// A provider of a tenant, set behind the service's back: the service itself would ask it.
    async fn sign_in(&mut self) -> String {
        let tenant = self.tenant().await;
        let organisation = Organisation::Tenant(Self::id(&tenant).to_owned());
        let fields = SignInFields {
            issuer: "https://login.example".to_owned(),
            client_id: "rerate".to_owned(),
            secret: ClientSecret::None,
            scopes: Vec::new(),
            group_claim: "groups".to_owned(),
            roles: Vec::new(),
            enforced: false,
            just_in_time: false,
            unverified_email: false,
        };
        self.app.state.store.sign_in_put(&organisation, &fields, None).await.unwrap();
        format!("/v1/organisations/{organisation}/sign-in")
    }

    async fn failed_run(&mut self) -> String {
        let tenant = self.tenant().await;
        let new = NewRun {
            tenant_id: Self::id(&tenant).to_owned(),
            period: "2026-09".parse().unwrap(),
            currency: "USD".to_owned(),
            identity: "identity".to_owned(),
            chain: Vec::new(),
            snapshots: Vec::new(),
        };
        let run = self.app.state.store.run_enqueue(&new).await.unwrap();
        self.app.state.store.run_fail(&run.id, "it failed").await.unwrap();
        format!("/v1/runs/{}", run.id)
    }

    /// A change by this method of this route; none of a route that nobody has written down here.
    async fn change(&mut self, method: &str, path: &str) -> Option<Change> {
        let name = self.name("Changed");
        Some(match (method, path) {
            ("PUT", "/v1/tenants/{id}") => of(&self.tenant().await, json!({ "name": name })),
            ("DELETE", "/v1/tenants/{id}") => {
                let tenant = self.tenant().await;
                let name = self.app.get(&tenant).await.text("name").replace(' ', "%20");
                change(format!("{tenant}?name={name}"), tenant, None)
            }
            ("PUT", "/v1/tenants/{id}/state") => {
                let tenant = self.tenant().await;
                change(format!("{tenant}/state"), tenant, json!({"state": "suspended"}))
            }
            ("PUT", "/v1/tenants/{id}/quota") => of(&format!("{}/quota", self.tenant().await), json!({"concurrent_runs": 2})),
            ("PUT", "/v1/settings/domains") => of("/v1/settings/domains", json!({"domains": ["msp.example"]})),
            // The provider is not there: a stale change must be refused before it is asked.
            ("PUT", "/v1/organisations/{id}/sign-in") => {
                of(&self.sign_in().await, json!({"issuer": "https://login.example", "client_id": "other"}))
            }
            ("DELETE", "/v1/organisations/{id}/sign-in") => of(&self.sign_in().await, None),
            ("PUT", "/v1/session/password") => {
                let email = format!("{}@msp.example", self.name("person").replace(' ', ""));
                self.app.person(&email, "msp", "viewer").await;
                let by = Some(self.app.browser(&email).await);
                let body = json!({"current": super::people::PASSWORD, "new": "another horse battery"});
                Change { by, ..change("/v1/session/password", "/v1/session", body) }
            }
            ("DELETE", "/v1/sessions") => {
                let list = format!("/v1/sessions?user_id={}", self.signed_in().await.0);
                change(list.clone(), list, None)
            }
            ("DELETE", "/v1/sessions/{id}") => {
                let session = self.signed_in().await.1;
                of(&format!("/v1/sessions/{session}"), None)
            }
            ("PUT", "/v1/users/{id}") => of(&format!("/v1/users/{}", self.user().await), json!({ "name": name })),
            ("DELETE", "/v1/users/{id}") => of(&format!("/v1/users/{}", self.user().await), None),
            ("PUT", "/v1/users/{id}/password") => {
                let user = self.user().await;
                change(format!("/v1/users/{user}/password"), format!("/v1/users/{user}"), json!({"password": "another horse battery"}))
            }
            ("PUT", "/v1/users/{id}/memberships/{organisation}") => {
                of(&format!("/v1/users/{}/memberships/msp", self.user().await), json!({"role": "editor"}))
            }
            ("DELETE", "/v1/users/{id}/memberships/{organisation}") => {
                of(&format!("/v1/users/{}/memberships/msp", self.user().await), None)
            }
            ("DELETE", "/v1/invitations/{id}") => {
                let invited = json!({"email": format!("{}@msp.example", name.replace(' ', "")), "role": "viewer"});
                of(&self.make("/v1/invitations", invited).await, None)
            }
            ("PUT", "/v1/teams/{id}") => {
                let team = self.make("/v1/teams", json!({"name": name, "members": [], "tenants": []})).await;
                of(&team, json!({"name": format!("{name} again"), "members": [], "tenants": []}))
            }
            ("DELETE", "/v1/teams/{id}") => of(&self.make("/v1/teams", json!({"name": name, "members": [], "tenants": []})).await, None),
            ("PUT", "/v1/cost-centers/{id}") => {
                let tenant = self.tenant().await;
                let center = self.make(&format!("{tenant}/cost-centers"), json!({"name": "Research", "subaccounts": []})).await;
                of(&center, json!({"name": name, "subaccounts": []}))
            }
            ("DELETE", "/v1/cost-centers/{id}") => {
                let tenant = self.tenant().await;
                of(&self.make(&format!("{tenant}/cost-centers"), json!({"name": name, "subaccounts": []})).await, None)
            }
            ("DELETE", "/v1/tokens/{id}") => {
                of(&self.make("/v1/tokens", json!({"name": name, "role": "viewer", "service": true})).await, None)
            }
            ("PUT", "/v1/integrations/{id}") => {
                let bucket = self.bucket().await;
                of(
                    &bucket,
                    json!({"name": name, "kind": "s3", "location": format!("s3://{}/bills", name.replace(' ', "-").to_lowercase())}),
                )
            }
            ("DELETE", "/v1/integrations/{id}") => of(&self.bucket().await, None),
            ("POST", "/v1/integrations/{id}/refresh") => {
                let bucket = self.bucket().await;
                change(format!("{bucket}/refresh"), bucket, None)
            }
            ("PUT", "/v1/integrations/{id}/credentials") => {
                let bucket = self.bucket().await;
                change(format!("{bucket}/credentials"), bucket, json!({"access_key_id": "AKIAEXAMPLE", "secret_access_key": "secret"}))
            }
            ("DELETE", "/v1/integrations/{id}/credentials") => {
                let bucket = self.bucket().await;
                let credentials = format!("{bucket}/credentials");
                self.app.put(&credentials, json!({"access_key_id": "AKIAEXAMPLE", "secret_access_key": "secret"})).await.ok(200);
                change(credentials, bucket, None)
            }
            ("PUT", "/v1/virtual-integrations/{id}") => {
                let subaccounts = json!([self.subaccounts[2]]);
                let made = self.make("/v1/virtual-integrations", json!({"name": name, "subaccounts": subaccounts})).await;
                of(&made, json!({"name": format!("{name} again"), "subaccounts": subaccounts}))
            }
            ("DELETE", "/v1/virtual-integrations/{id}") => {
                of(&self.make("/v1/virtual-integrations", json!({"name": name, "subaccounts": [self.subaccounts[2]]})).await, None)
            }
            ("PUT", "/v1/subaccounts/{id}/tenant") => {
                let tenant = self.tenant().await;
                let subaccount = format!("/v1/subaccounts/{}", self.subaccounts[0]);
                change(format!("{subaccount}/tenant"), subaccount, json!({ "tenant_id": Self::id(&tenant) }))
            }
            ("DELETE", "/v1/subaccounts/{id}/tenant") => {
                let tenant = self.tenant().await;
                let subaccount = format!("/v1/subaccounts/{}", self.subaccounts[1]);
                let holder = format!("{subaccount}/tenant");
                self.app.put(&holder, json!({ "tenant_id": Self::id(&tenant) })).await.ok(200);
                change(holder, subaccount, None)
            }
            ("PUT", "/v1/rules/{id}") => of(&self.rule().await, json!({"title": name, "plugin": "fixture", "config": {}})),
            ("DELETE", "/v1/rules/{id}") => of(&self.rule().await, None),
            ("POST", "/v1/subaccounts/assign") => {
                let tenant = self.tenant().await;
                let body = json!({ "tenant_id": Self::id(&tenant), "subaccounts": [self.subaccounts[2]] });
                Change { review: Some(body.clone()), ..change("/v1/subaccounts/assign", "/v1/subaccounts/review", body) }
            }
            ("POST", "/v1/assignments") => {
                let body = json!({ "rule_id": Self::id(&self.rule().await) });
                let review = Some(json!({ "assign": body }));
                Change { review, ..change("/v1/assignments", "/v1/assignments/review", body) }
            }
            ("POST", "/v1/assignments/batch") => {
                let tenants = [Self::id(&self.tenant().await).to_owned(), Self::id(&self.tenant().await).to_owned()];
                let body = json!({ "rule_id": Self::id(&self.rule().await), "tenant_ids": tenants });
                let review = Some(json!({ "assign_many": body }));
                Change { review, ..change("/v1/assignments/batch", "/v1/assignments/review", body) }
            }
            ("PUT", "/v1/assignments/order") => {
                let (first, second) = (self.assignment().await, self.assignment().await);
                change("/v1/assignments/order", "/v1/assignments", json!({"assignments": [Self::id(&second), Self::id(&first)]}))
            }
            ("PUT", "/v1/assignments/{id}") => {
                let rule = self.rule().await;
                of(&self.assignment().await, json!({"rule_id": Self::id(&rule), "from_period": "2026-09"}))
            }
            ("DELETE", "/v1/assignments/{id}") => of(&self.assignment().await, None),
            ("POST", "/v1/plugins/{name}/activate") => {
                let digest = self.version("?activate=false").await;
                change("/v1/plugins/fixture/activate", "/v1/plugins/fixture", json!({ "digest": digest }))
            }
            ("POST", "/v1/plugins/{name}/rollback") => change("/v1/plugins/fixture/rollback", "/v1/plugins/fixture", None),
            ("POST", "/v1/plugins/{name}/disable") => {
                self.app.post("/v1/plugins/fixture/enable", json!({})).await.ok(200);
                change("/v1/plugins/fixture/disable", "/v1/plugins/fixture", None)
            }
            ("POST", "/v1/plugins/{name}/enable") => {
                self.app.post("/v1/plugins/fixture/disable", json!({})).await.ok(200);
                change("/v1/plugins/fixture/enable", "/v1/plugins/fixture", None)
            }
            ("DELETE", "/v1/plugins/{name}/versions/{digest}") => {
                let digest = self.version("?activate=false").await;
                change(format!("/v1/plugins/fixture/versions/{digest}"), "/v1/plugins/fixture", None)
            }
            ("DELETE", "/v1/keys/{id}") => of(&self.key().await, None),
            ("PUT", "/v1/signing-policy") => of("/v1/signing-policy", json!({"policy": "warn"})),
            ("DELETE", "/v1/previews/{id}") => {
                let digest = self.version("?activate=false").await;
                of(&self.make("/v1/previews", json!({"plugin": {"name": "fixture", "digest": digest}})).await, None)
            }
            ("POST", "/v1/shadows/{id}/promote") => {
                let shadow = self.shadow().await;
                change(format!("{shadow}/promote"), shadow, None)
            }
            ("POST", "/v1/shadows/{id}/drop") => {
                let shadow = self.shadow().await;
                change(format!("{shadow}/drop"), shadow, None)
            }
            ("POST", "/v1/runs/{id}/retry") => {
                let run = self.failed_run().await;
                change(format!("{run}/retry"), run, None)
            }
            _ => return None,
        })
    }

    async fn call(&self, method: &str, change: &Change, tag: &str) -> Answer {
        let method: Method = method.parse().unwrap();
        let mut headers = vec![("if-match", tag)];
        if let Some(by) = &change.by {
            headers.extend([("cookie", by.cookie.as_str()), ("rerate-csrf", &by.csrf)]);
        }
        self.app.call(method, &change.address, &headers, change.body.clone()).await
    }

    async fn read(&self, change: &Change) -> Answer {
        if let Some(review) = &change.review {
            return self.app.post(&change.read, review.clone()).await;
        }
        match &change.by {
            Some(by) => self.app.browse(by, Method::GET, &change.read, None).await,
            None => self.app.get(&change.read).await,
        }
    }

    async fn newest_change(&self) -> Value {
        self.app.get("/v1/audit?limit=1").await.ok(200)["items"][0]["id"].clone()
    }
}

/// `(method, path, whether the document has the header and the answer)` of every change.
fn changes() -> Vec<(String, String, bool)> {
    let document = serde_json::to_value(document()).unwrap();
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let header = operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "If-Match"));
            assert_eq!(header, operation["responses"].get("412").is_some(), "{method} {path}: the header and 412 go together");
            if method == "get" {
                assert!(!header, "{path}");
            } else {
                found.push((method.to_uppercase(), path.clone(), header));
            }
        }
    }
    found
}

#[test]
fn every_change_takes_if_match_or_is_an_exception_with_a_reason() {
    let changes = changes();
    for (method, path, header) in &changes {
        assert_ne!(*header, exception(method, path).is_some(), "{method} {path}");
    }
    for known in UNCONDITIONAL {
        assert!(changes.iter().any(|(method, path, _)| method == known.method && path == known.path), "{} {}", known.method, known.path);
        assert!(!known.reason.is_empty());
        assert!(known.method == "POST" || known.path == "/v1/session", "{} {} acts on a thing", known.method, known.path);
    }
}

#[tokio::test]
async fn a_change_of_what_has_changed_meanwhile_is_refused_and_changes_nothing() {
    let mut world = World::new().await;
    let mut called = 0;
    for (method, path, _) in changes().into_iter().filter(|(.., header)| *header) {
        let route = format!("{method} {path}");
        let change = world.change(&method, &path).await.unwrap_or_else(|| panic!("say in World::change how {route} is called"));
        let before = world.read(&change).await;
        let tag = before.header(header::ETAG).unwrap_or_else(|| panic!("{} gives no ETag: {}", change.read, before.body)).to_owned();
        let log = world.newest_change().await;
        world.app.told();
        let stale = world.call(&method, &change, STALE).await;
        assert!(stale.problem().starts_with("412 changed: "), "{route}: {}", stale.problem());
        let after = world.read(&change).await;
        assert_eq!((after.header(header::ETAG), &after.body), (Some(tag.as_str()), &before.body), "{route}");
        assert_eq!(world.newest_change().await, log, "{route}");
        assert!(world.app.told().is_empty(), "{route}");
        called += 1;
        if route == "PUT /v1/organisations/{id}/sign-in" {
            continue; // a success needs the provider: tests/suite/sign_in.rs
        }
        let taken = world.call(&method, &change, &tag).await;
        assert!(taken.status.is_success(), "{route}: {}", taken.body);
        if route == "POST /v1/integrations/{id}/refresh" {
            continue; // it looks again, and nothing of the integration is other than before
        }
        let again = world.call(&method, &change, &tag).await.status.as_u16();
        assert!([404, 412].contains(&again), "{route}: the ETag from before the change answers {again}");
    }
    assert!(called > 40, "{called}");
}

#[tokio::test]
async fn a_membership_that_is_not_there_matches_no_etag() {
    let mut world = World::new().await;
    let (user, tenant) = (world.user().await, world.tenant().await);
    let path = format!("/v1/users/{user}/memberships/{}", World::id(&tenant));
    assert!(world.app.get(&path).await.problem().starts_with("404 not-found: "));
    let refused = world.call("PUT", &of(&path, json!({"role": "viewer"})), STALE).await;
    assert!(refused.problem().starts_with("412 changed: "), "{}", refused.problem());
    let made = world.app.put(&path, json!({"role": "viewer"})).await;
    assert_eq!(world.app.get(&path).await.header(header::ETAG), made.header(header::ETAG));
}
