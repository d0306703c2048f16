//! The table of permissions against the routes that there are, and against what the roles are said to be.

use std::collections::BTreeSet;

use super::*;
use crate::domain::access::{Organisation, Role};
use crate::http::access::{Needs, TABLE};
use crate::signin::secret::Secret;
use crate::store::NewToken;

impl TestApp {
    /// A service's token.
    pub(super) async fn token_of(&self, organisation: &Organisation, role: Role) -> String {
        let secret = Secret::new(&self.state.store.clock().random(), auth::PREFIX);
        let new = NewToken {
            name: secret.hash(),
            sha256: secret.hash(),
            shown: secret.shown(),
            user_id: None,
            organisation: organisation.clone(),
            role,
            virtual_integration_id: None,
            expires_at: None,
        };
        self.state.store.token_create(&new).await.unwrap();
        secret.text().to_owned()
    }

    pub(super) async fn tenant(&self, name: &str) -> String {
        let made = self.post("/v1/tenants", json!({ "name": name })).await;
        made.text("id").to_owned()
    }

    /// The status alone: a stream's body does not end.
    async fn status(&self, method: &str, path: &str, token: Option<&str>) -> u16 {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if ["POST", "PUT"].contains(&method) {
            request = request.header("content-type", "application/json");
            Body::from("{}")
        } else {
            Body::empty()
        };
        self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap().status().as_u16()
    }
}

/// The roles as FEATURES has them, written down a second time: view the account all, create there all but Viewer, tenants and integrations
/// Owner and Integration Owner, people and settings Owner.
fn may(needs: Needs, role: Role) -> bool {
    match needs {
        Needs::Open | Needs::View => true,
        Needs::Create => [Role::Owner, Role::IntegrationOwner, Role::Editor].contains(&role),
        Needs::Tenants => [Role::Owner, Role::IntegrationOwner].contains(&role),
        Needs::Govern => role == Role::Owner,
        Needs::Nobody => false,
    }
}

fn documented() -> BTreeSet<(String, String)> {
    let described = serde_json::to_value(document()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, operations) in described["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            routes.insert((method.to_uppercase(), path.clone()));
        }
    }
    routes
}

#[test]
fn every_route_has_its_row_and_every_row_its_route() {
    let rows: BTreeSet<(String, String)> = TABLE.iter().map(|row| (row.method.to_owned(), row.path.to_owned())).collect();
    assert_eq!(rows.len(), TABLE.len(), "a route has two rows");
    let documented = documented();
    let without: Vec<_> = documented.difference(&rows).collect();
    assert!(without.is_empty(), "give these routes their rows in http/access.rs: {without:?}");
    let stray: Vec<_> = rows.difference(&documented).collect();
    assert!(stray.is_empty(), "rows without a route: {stray:?}");
}

#[tokio::test]
async fn every_role_is_let_in_where_the_table_says_and_nowhere_else() {
    let app = TestApp::new().await;
    // Some of what is let in needs the data folder.
    let data = std::sync::Arc::new(crate::jobs::DataDir::open(&app.folder.path().join("data")).unwrap());
    let state = app.state.clone().with_data(data);
    let app = TestApp { router: router(state.clone()), state, ..app };
    let acme = Organisation::Tenant(app.tenant("Acme").await);
    let mut looked = 0;
    for organisation in [Organisation::Msp, acme] {
        for role in Role::ALL {
            let token = app.token_of(&organisation, role).await;
            for row in TABLE {
                let needs = if organisation == Organisation::Msp { row.msp } else { row.tenant };
                let path = row.path.replace("{id}", "some").replace("{name}", "some").replace("{digest}", "some").replace("{key}", "some");
                let path = path.replace("{user}", "some").replace("{organisation}", "msp");
                let status = app.status(row.method, &path, Some(&token)).await;
                assert_eq!(status != 403, may(needs, role), "{role} of {organisation}: {} {path} answers {status}", row.method);
                assert_ne!(status, 401, "{role} of {organisation}: {} {path}", row.method);
                assert_ne!(status, 500, "{role} of {organisation}: {} {path}", row.method);
                looked += 1;
            }
        }
    }
    assert_eq!(looked, TABLE.len() * 8);
    for row in TABLE {
        let status = app.status(row.method, &row.path.replace(['{', '}'], ""), None).await;
        assert_eq!(status != 401, row.msp == Needs::Open, "without a token: {} {} answers {status}", row.method, row.path);
        assert_eq!(row.msp == Needs::Open, row.tenant == Needs::Open, "{}", row.path);
    }
}

#[tokio::test]
async fn a_refusal_says_what_the_caller_is_and_what_it_takes() {
    let app = TestApp::new().await;
    let viewer = app.token_of(&Organisation::Msp, Role::Viewer).await;
    let refused = app.call(Method::POST, "/v1/rules", &[("authorization", &format!("Bearer {viewer}"))], Some(json!({}))).await;
    assert_eq!(refused.problem(), "403 forbidden: your role is Viewer; this takes Editor (create and change resources there)");
}

#[tokio::test]
async fn a_token_for_a_virtual_integration_shows_that_one_and_nothing_else_and_ends_with_it() {
    let app = TestApp::new().await;
    let ids = app.bill(&["111", "222"]).await;
    let data = std::sync::Arc::new(crate::jobs::DataDir::open(&app.folder.path().join("data")).unwrap());
    let state = app.state.clone().with_data(data);
    let app = TestApp { router: router(state.clone()), state, ..app };
    let view = async |name: &str, subaccount: &str| {
        let made = app.post("/v1/virtual-integrations", json!({"name": name, "subaccounts": [subaccount]})).await.ok(201);
        made["id"].as_str().unwrap().to_owned()
    };
    let (own, other) = (view("Web team", &ids[0]).await, view("Data team", &ids[1]).await);
    let wrong = json!({"name": "t", "role": "editor", "service": true, "virtual_integration_id": own});
    let refused = app.post("/v1/tokens", wrong).await.problem();
    assert_eq!(refused, "422 invalid: a token for a virtual integration is a Viewer's of the MSP");
    let none = json!({"name": "t", "role": "viewer", "service": true, "virtual_integration_id": "vin_none"});
    assert_eq!(app.post("/v1/tokens", none).await.problem(), "404 not-found: there is no virtual integration vin_none");
    let made = app.post("/v1/tokens", json!({"name": "t", "role": "viewer", "service": true, "virtual_integration_id": own})).await.ok(201);
    let token = made["text"].as_str().unwrap();
    let get = async |path: &str| app.with(token, Method::GET, path, None).await;
    let list = get("/v1/virtual-integrations").await.ok(200);
    assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["id"]), (1, &json!(own)));
    get(&format!("/v1/virtual-integrations/{own}")).await.ok(200);
    for part in ["", "/months", "/lines?period=2026-09"] {
        let answer = get(&format!("/v1/virtual-integrations/{other}{part}")).await.problem();
        assert_eq!(answer, format!("404 not-found: there is no virtual integration {other}"));
    }
    let mut open = BTreeSet::new();
    for row in TABLE.iter().filter(|row| row.msp != Needs::Open) {
        let path = row.path.replace("{id}", &own).replace(['{', '}'], "");
        if app.status(row.method, &path, Some(token)).await != 403 {
            open.insert(format!("{} {}", row.method, row.path));
        }
    }
    let expected = [
        "GET /v1/openapi.json",
        "GET /v1/virtual-integrations",
        "GET /v1/virtual-integrations/{id}",
        "GET /v1/virtual-integrations/{id}/lines",
        "GET /v1/virtual-integrations/{id}/months",
        "GET /v1/whoami",
    ];
    assert_eq!(open.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    app.delete(&format!("/v1/virtual-integrations/{own}")).await.ok(204);
    assert_eq!(get("/v1/whoami").await.status, StatusCode::UNAUTHORIZED);
}
