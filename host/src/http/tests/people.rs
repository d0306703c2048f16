//! People: signing in, sessions, tokens, invitations, teams, entering a tenant.

use super::*;
use crate::domain::access::{Organisation, Role};

pub(super) const PASSWORD: &str = "correct horse battery";

/// Somebody signed in: the cookie and the proof that changes need.
pub(super) struct Browser {
    pub(super) cookie: String,
    pub(super) csrf: String,
}

impl TestApp {
    /// A call with a token other than the administrator's.
    pub(super) async fn with(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.call(method, path, &[("authorization", &format!("Bearer {token}"))], body).await
    }

    pub(super) async fn person(&self, email: &str, organisation: &str, role: &str) -> String {
        let body = json!({"email": email, "name": email, "organisation": organisation, "role": role, "password": PASSWORD});
        self.post("/v1/users", body).await.ok(201)["id"].as_str().unwrap().to_owned()
    }

    async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let request = Request::post("/v1/sessions").header("host", "localhost:8080").header("content-type", "application/json");
        self.send(request.body(Body::from(json!({"email": email, "password": password}).to_string())).unwrap()).await
    }

    pub(super) async fn browser(&self, email: &str) -> Browser {
        let answer = self.sign_in(email, PASSWORD).await;
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Browser { csrf: answer.text("csrf").to_owned(), cookie }
    }

    pub(super) async fn browse(&self, browser: &Browser, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.call(method, path, &[("cookie", &browser.cookie), ("rerate-csrf", &browser.csrf)], body).await
    }
}

#[tokio::test]
async fn a_person_signs_in_and_every_change_needs_the_proof_of_their_own_page() {
    let app = TestApp::new().await;
    app.person("ann@msp.example", "msp", "owner").await;
    let answer = app.sign_in("Ann@MSP.example", PASSWORD).await;
    let set = answer.header("set-cookie").unwrap().to_owned();
    assert!(set.starts_with("rerate_session=") && set.contains("; HttpOnly; SameSite=Lax"), "{set}");
    let (cookie, csrf) = (set.split(';').next().unwrap().to_owned(), answer.text("csrf").to_owned());
    assert!(!answer.body.to_string().contains("argon2"), "{}", answer.body);
    assert_eq!(answer.ok(201)["role"], "owner");

    let who = app.call(Method::GET, "/v1/whoami", &[("cookie", &cookie)], None).await.ok(200);
    assert_eq!((&who["name"], &who["organisation"], &who["role"]), (&json!("ann@msp.example"), &json!("msp"), &json!("owner")));
    assert_eq!(app.call(Method::GET, "/v1/session", &[("cookie", &cookie)], None).await.ok(200)["csrf"], csrf);

    let tenant = || Some(json!({"name": "Acme"}));
    let without = app.call(Method::POST, "/v1/tenants", &[("cookie", &cookie)], tenant()).await;
    assert!(without.problem().starts_with("403 forbidden: a change needs the session's proof"), "{}", without.problem());
    let elsewhere = [("cookie", cookie.as_str()), ("rerate-csrf", &csrf), ("host", "billing.example"), ("origin", "https://evil.example")];
    let elsewhere = app.call(Method::POST, "/v1/tenants", &elsewhere, tenant()).await;
    assert_eq!(elsewhere.problem(), "403 forbidden: a page of another origin sent this");
    let own = [("cookie", cookie.as_str()), ("rerate-csrf", &csrf), ("host", "billing.example"), ("origin", "https://billing.example")];
    app.call(Method::POST, "/v1/tenants", &own, tenant()).await.ok(201);
    let entry = app.get("/v1/audit?noun=session").await.ok(200)["items"][0].clone();
    assert_eq!((&entry["actor"], &entry["action"]), (&json!("ann@msp.example"), &json!("begin")));

    let out = app.call(Method::DELETE, "/v1/session", &own[..2], None).await;
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(app.call(Method::GET, "/v1/whoami", &[("cookie", &cookie)], None).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_failed_sign_in_does_not_tell_whether_the_account_exists_and_has_to_wait() {
    let app = TestApp::new().await;
    app.person("ann@msp.example", "msp", "owner").await;
    let mut told = Vec::new();
    for email in ["ann@msp.example", "nobody@msp.example"] {
        let mut answers = Vec::new();
        for _ in 0..7 {
            let answer = app.sign_in(email, "wrong horse battery").await;
            answers.push(answer.problem());
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                assert_eq!(answer.header("retry-after"), Some("2"));
            }
        }
        told.push(answers);
    }
    assert_eq!(told[0], told[1]);
    assert!(told[0][5].starts_with("401 unauthorized: the e-mail address or the password is wrong"), "{told:?}");
    assert_eq!(told[0][6], "429 too-many: too many failed attempts: wait 2 s");
    assert_eq!(app.sign_in("ann@msp.example", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS, "not even with the right one");
}

#[tokio::test]
async fn the_last_owner_stays() {
    let app = TestApp::new().await;
    let ann = app.person("ann@msp.example", "msp", "owner").await;
    let path = format!("/v1/users/{ann}/memberships/msp");
    let last = "409 conflict: this is the last Owner of msp: make somebody else one first";
    assert_eq!(app.put(&path, json!({"role": "editor"})).await.problem(), last);
    assert_eq!(app.delete(&path).await.problem(), last);
    assert_eq!(app.delete(&format!("/v1/users/{ann}")).await.problem(), last);
    app.person("bob@msp.example", "msp", "owner").await;
    app.put(&path, json!({"role": "editor"})).await.ok(200);
    app.delete(&format!("/v1/users/{ann}")).await.ok(204);
    assert_eq!(app.get("/v1/users?organisation=msp").await.ok(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_removed_persons_sessions_and_tokens_end_at_once() {
    let app = TestApp::new().await;
    app.person("ann@msp.example", "msp", "owner").await;
    let bob = app.person("bob@msp.example", "msp", "editor").await;
    let browser = app.browser("bob@msp.example").await;
    let token = app.browse(&browser, Method::POST, "/v1/tokens", Some(json!({"name": "mine", "role": "viewer"}))).await.ok(201);
    let text = token["text"].as_str().unwrap();
    assert!(text.starts_with(token["shown"].as_str().unwrap()));
    let who = app.with(text, Method::GET, "/v1/whoami", None).await.ok(200);
    assert_eq!((&who["name"], &who["role"]), (&json!("bob@msp.example"), &json!("viewer")));
    app.delete(&format!("/v1/users/{bob}")).await.ok(204);
    assert_eq!(app.with(text, Method::GET, "/v1/whoami", None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(app.browse(&browser, Method::GET, "/v1/whoami", None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(app.sign_in("bob@msp.example", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_person_sees_where_they_are_signed_in_and_ends_it() {
    let app = TestApp::new().await;
    let acme = app.post("/v1/tenants", json!({"name": "Acme"})).await.ok(201)["id"].as_str().unwrap().to_owned();
    let bob = app.person("bob@acme.example", &acme, "viewer").await;
    app.person("eve@acme.example", &acme, "owner").await;
    let ann = app.person("ann@msp.example", "msp", "owner").await;
    let browsers = [app.browser("bob@acme.example").await, app.browser("bob@acme.example").await, app.browser("bob@acme.example").await];
    let [here, there, elsewhere] = &browsers;
    let list = async |browser: &Browser, query: &str| {
        let page = app.browse(browser, Method::GET, &format!("/v1/sessions{query}"), None).await.ok(200);
        page["items"].as_array().unwrap().clone()
    };
    let mine = list(here, "").await;
    assert_eq!(mine.iter().map(|session| session["current"].clone()).collect::<Vec<_>>(), [true, false, false]);
    for session in &mine {
        assert_eq!((&session["organisation"], &session["user_id"]), (&json!(acme), &json!(bob)));
        assert!(session["created_at"].is_string() && session["seen_at"].is_string() && session.get("sha256").is_none(), "{session}");
    }
    let address = |session: &Value| format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    app.browse(here, Method::DELETE, &address(&mine[1]), None).await.ok(204);
    let gone = async |browser: &Browser| app.browse(browser, Method::GET, "/v1/whoami", None).await.status == StatusCode::UNAUTHORIZED;
    assert!(gone(there).await && !gone(elsewhere).await && !gone(here).await);
    app.browse(here, Method::DELETE, "/v1/sessions", None).await.ok(204);
    assert!(gone(elsewhere).await && !gone(here).await, "all but this one");

    // Those of others are an Owner's: a tenant's of its people, the MSP's of everybody.
    let (eve, annes) = (app.browser("eve@acme.example").await, app.browser("ann@msp.example").await);
    let refused = app.browse(here, Method::GET, &format!("/v1/sessions?user_id={ann}"), None).await.problem();
    assert_eq!(refused, "403 forbidden: your role is Viewer; having to do with somebody else's sessions takes Owner");
    let of_ann = list(&annes, "").await;
    for browser in [here, &eve] {
        assert!(app.browse(browser, Method::GET, &address(&of_ann[0]), None).await.problem().starts_with("404 not-found: "));
        assert!(app.browse(browser, Method::DELETE, &address(&of_ann[0]), None).await.problem().starts_with("404 not-found: "));
    }
    assert!(app.browse(&eve, Method::GET, &format!("/v1/sessions?user_id={ann}"), None).await.problem().starts_with("404 not-found: "));
    assert_eq!(list(&eve, &format!("?user_id={bob}")).await.len(), 1);
    app.browse(&eve, Method::DELETE, &format!("/v1/sessions?user_id={bob}"), None).await.ok(204);
    assert!(gone(here).await && !gone(&eve).await);
    let again = app.browser("bob@acme.example").await;
    app.browse(&annes, Method::DELETE, &format!("/v1/sessions?user_id={bob}"), None).await.ok(204);
    assert!(gone(&again).await);
    let log = app.get("/v1/audit?noun=session&limit=1").await.ok(200)["items"][0].clone();
    assert_eq!((&log["action"], &log["actor"], &log["before"]["user_id"]), (&json!("end"), &json!("ann@msp.example"), &json!(bob)));
    assert_eq!(app.get("/v1/sessions").await.ok(200)["items"], json!([]), "a service has none");
}

#[tokio::test]
async fn a_session_that_a_provider_vouched_for_has_nothing_to_do_with_those_in_other_organisations() {
    let app = TestApp::new().await;
    let acme = app.post("/v1/tenants", json!({"name": "Acme"})).await.ok(201)["id"].as_str().unwrap().to_owned();
    let ann = app.person("ann@msp.example", "msp", "owner").await;
    app.put(&format!("/v1/users/{ann}/memberships/{acme}"), json!({"role": "owner"})).await.ok(200);
    let own = app.browser("ann@msp.example").await;
    let secret = crate::signin::secret::Secret::new(&app.state.store.clock().random(), "");
    let new = crate::store::NewSession {
        user_id: ann,
        organisation: Organisation::Tenant(acme),
        sha256: secret.hash(),
        issuer: Some("https://login.acme.example".to_owned()),
    };
    app.state.store.session_begin(&new).await.unwrap();
    let (cookie, csrf) = (format!("rerate_session={}", secret.text()), crate::signin::cookie::proof(secret.text()));
    let vouched = Browser { cookie, csrf };
    let count =
        async |browser: &Browser| app.browse(browser, Method::GET, "/v1/sessions", None).await.ok(200)["items"].as_array().unwrap().len();
    assert_eq!((count(&own).await, count(&vouched).await), (2, 1));
    let there = app.browse(&own, Method::GET, "/v1/session", None).await.ok(200)["session"]["id"].as_str().unwrap().to_owned();
    let ended = app.browse(&vouched, Method::DELETE, &format!("/v1/sessions/{there}"), None).await.problem();
    assert!(ended.starts_with("404 not-found: "), "{ended}");
    app.browse(&vouched, Method::DELETE, "/v1/sessions", None).await.ok(204);
    assert_eq!(count(&own).await, 2);
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_and_a_poor_one_is_refused() {
    let app = TestApp::new().await;
    app.person("ann@msp.example", "msp", "owner").await;
    let (here, there) = (app.browser("ann@msp.example").await, app.browser("ann@msp.example").await);
    let change = async |current: &str, new: &str| {
        app.browse(&here, Method::PUT, "/v1/session/password", Some(json!({"current": current, "new": new}))).await
    };
    assert_eq!(change("wrong", "another horse battery").await.problem(), "422 invalid: /current: this is not the password");
    let short = change(PASSWORD, "short").await.problem();
    assert_eq!(short, "422 invalid: /new: a password has 12 to 200 characters, and this one has 5");
    change(PASSWORD, "another horse battery").await.ok(204);
    app.browse(&here, Method::GET, "/v1/whoami", None).await.ok(200);
    assert_eq!(app.browse(&there, Method::GET, "/v1/whoami", None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(app.sign_in("ann@msp.example", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    app.sign_in("ann@msp.example", "another horse battery").await.ok(201);
    let log = app.get("/v1/audit?noun=user&limit=1").await.ok(200);
    assert_eq!(log["items"][0]["action"], "set-password");
    assert!(!app.get("/v1/audit").await.ok(200).to_string().contains("argon2"));
}

#[tokio::test]
async fn a_person_of_the_msp_acts_in_a_tenant_visibly_and_is_manager_user_there() {
    let app = TestApp::new().await;
    let (acme, other) = (app.tenant("Acme").await, app.tenant("Other").await);
    app.person("ann@msp.example", "msp", "owner").await;
    let ann = app.browser("ann@msp.example").await;
    let entered = app.browse(&ann, Method::POST, &format!("/v1/tenants/{acme}/enter"), None).await.ok(200);
    assert_eq!(entered["acting_in"], acme);
    let made =
        app.browse(&ann, Method::POST, &format!("/v1/tenants/{acme}/cost-centers"), Some(json!({"name": "R", "subaccounts": []}))).await;
    let marked = format!("manager-user; tenant={acme}; user=ann@msp.example");
    assert_eq!(made.header("rerate-acting"), Some(marked.as_str()));
    assert_eq!(made.ok(201)["created_by"], "Manager User");
    let entry = app.get("/v1/audit?noun=cost-center").await.ok(200)["items"][0].clone();
    assert_eq!((&entry["actor"], &entry["acting_in"], &entry["tenant_id"]), (&json!("ann@msp.example"), &json!(acme), &json!(acme)));
    assert_eq!(app.browse(&ann, Method::GET, &format!("/v1/tenants/{other}"), None).await.status, StatusCode::NOT_FOUND);
    let outside = app.browse(&ann, Method::GET, "/v1/rules", None).await;
    assert_eq!(outside.problem(), "403 forbidden: this is the MSP's, and you act in a tenant: leave it first");
    let left = app.browse(&ann, Method::POST, "/v1/session/leave", None).await.ok(200);
    assert_eq!(left["acting_in"], Value::Null);
    let again = app.browse(&ann, Method::GET, "/v1/rules", None).await;
    assert_eq!(again.header("rerate-acting"), None);
    again.ok(200);
    assert_eq!(app.get(&format!("/v1/audit?tenant_id={acme}&noun=tenant&limit=2")).await.ok(200)["items"][0]["action"], "leave");

    // A token enters for one call.
    let header = [("rerate-tenant", acme.as_str())];
    let seen = app.call(Method::GET, "/v1/tenants", &header, None).await;
    assert!(seen.header("rerate-acting").unwrap().starts_with("manager-user; tenant="));
    assert_eq!(seen.ok(200)["items"].as_array().unwrap().len(), 1);
    let editor = app.token_of(&Organisation::Msp, Role::Editor).await;
    let bearer = format!("Bearer {editor}");
    let refused = app.call(Method::GET, "/v1/tenants", &[("authorization", &bearer), header[0]], None).await;
    assert_eq!(refused.problem(), "403 forbidden: your role is Editor; entering a tenant takes Integration Owner");
}

#[tokio::test]
async fn who_is_in_a_team_sees_and_enters_its_tenants_only() {
    let app = TestApp::new().await;
    let (acme, other) = (app.tenant("Acme").await, app.tenant("Other").await);
    let bob = app.person("bob@msp.example", "msp", "integration-owner").await;
    let browser = app.browser("bob@msp.example").await;
    let seen = async || {
        let page = app.browse(&browser, Method::GET, "/v1/tenants", None).await.ok(200);
        page["items"].as_array().unwrap().iter().map(|tenant| tenant["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(seen().await, ["Acme", "Other"], "in no team");
    let team = app.post("/v1/teams", json!({"name": "North", "members": [bob], "tenants": [acme]})).await.ok(201);
    assert_eq!(seen().await, ["Acme"]);
    for (method, path) in [(Method::GET, format!("/v1/tenants/{other}")), (Method::POST, format!("/v1/tenants/{other}/enter"))] {
        assert_eq!(app.browse(&browser, method, &path, None).await.problem(), format!("404 not-found: there is no tenant {other}"));
    }
    assert_eq!(app.browse(&browser, Method::GET, "/v1/previews", None).await.status, StatusCode::FORBIDDEN);
    app.browse(&browser, Method::POST, &format!("/v1/tenants/{acme}/enter"), None).await.ok(200);
    let path = format!("/v1/teams/{}", team["id"].as_str().unwrap());
    assert!(app.delete(&path).await.problem().starts_with("409 conflict: the team North has 1 members"));
    // What was entered closes when the team loses the tenant.
    app.put(&path, json!({"name": "North", "members": [bob], "tenants": [other]})).await.ok(200);
    assert_eq!(app.browse(&browser, Method::GET, "/v1/whoami", None).await.ok(200)["acting_in"], Value::Null);
    assert_eq!(seen().await, ["Other"]);
}

#[tokio::test]
async fn an_invitation_lets_one_person_in_once() {
    let app = TestApp::new().await;
    let acme = app.tenant("Acme").await;
    let invite = json!({"email": "eve@acme.example", "organisation": acme, "role": "owner"});
    let first = app.post("/v1/invitations", invite.clone()).await.ok(201);
    let second = app.post("/v1/invitations", invite).await.ok(201);
    let accept = async |secret: &Value, password: &str| {
        let request = Request::post("/v1/invitations/accept").header("host", "localhost").header("content-type", "application/json");
        let body = json!({"secret": secret, "name": "Eve", "password": password});
        app.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let gone = "404 not-found: this invitation was used, taken back or is too old: ask for another";
    assert_eq!(accept(&first["secret"], PASSWORD).await.problem(), gone, "replaced");
    assert!(accept(&second["secret"], "short").await.problem().starts_with("422 invalid: /password"));
    let session = accept(&second["secret"], PASSWORD).await.ok(201);
    assert_eq!((&session["user"]["email"], &session["session"]["organisation"]), (&json!("eve@acme.example"), &json!(acme)));
    assert_eq!(session["memberships"][0]["created_by"], "eve@acme.example");
    assert_eq!(accept(&second["secret"], PASSWORD).await.problem(), gone, "used");

    // A tenant's Owner invites on their own; who is known already comes with the password that they have.
    let eve = app.browser("eve@acme.example").await;
    app.person("ann@msp.example", "msp", "owner").await;
    let third =
        app.browse(&eve, Method::POST, "/v1/invitations", Some(json!({"email": "ann@msp.example", "role": "viewer"}))).await.ok(201);
    assert_eq!(third["organisation"], acme);
    assert_eq!(accept(&third["secret"], "any other password").await.status, StatusCode::UNAUTHORIZED);
    let ann = accept(&third["secret"], PASSWORD).await.ok(201);
    assert_eq!(ann["memberships"].as_array().unwrap().len(), 2);
    let elsewhere = json!({"email": "x@acme.example", "role": "viewer", "organisation": "msp"});
    assert_eq!(app.browse(&eve, Method::POST, "/v1/invitations", Some(elsewhere)).await.status, StatusCode::NOT_FOUND);

    let fourth =
        app.browse(&eve, Method::POST, "/v1/invitations", Some(json!({"email": "x@acme.example", "role": "viewer"}))).await.ok(201);
    app.browse(&eve, Method::DELETE, &format!("/v1/invitations/{}", fourth["id"].as_str().unwrap()), None).await.ok(204);
    assert_eq!(accept(&fourth["secret"], PASSWORD).await.problem(), gone, "taken back");
    assert_eq!(app.get("/v1/invitations").await.ok(200), json!({"items": []}));
}

#[tokio::test]
async fn a_person_in_two_organisations_goes_from_one_to_the_other() {
    let app = TestApp::new().await;
    let (acme, other) = (app.tenant("Acme").await, app.tenant("Other").await);
    let eve = app.person("eve@acme.example", &acme, "owner").await;
    app.put(&format!("/v1/users/{eve}/memberships/{other}"), json!({"role": "viewer"})).await.ok(200);
    let browser = app.browser("eve@acme.example").await;
    let go = async |organisation: &str| app.browse(&browser, Method::PUT, "/v1/session", Some(json!({"organisation": organisation}))).await;
    assert_eq!(go(&other).await.ok(200)["role"], "viewer");
    assert_eq!(app.browse(&browser, Method::GET, "/v1/tenants", None).await.ok(200)["items"][0]["id"], other);
    assert_eq!(go("msp").await.problem(), "404 not-found: there is no organisation of yours msp");
    assert_eq!(go(&acme).await.ok(200)["role"], "owner");
    let into_msp = app.put(&format!("/v1/users/{eve}/memberships/msp"), json!({"role": "owner"})).await;
    assert!(into_msp.problem().starts_with("409 conflict: eve@acme.example is known already: invite them"), "{}", into_msp.problem());
}

#[tokio::test]
async fn a_token_is_never_more_than_its_maker() {
    let app = TestApp::new().await;
    let acme = app.tenant("Acme").await;
    app.person("bob@msp.example", "msp", "editor").await;
    let bob = app.browser("bob@msp.example").await;
    let make = async |body: Value| app.browse(&bob, Method::POST, "/v1/tokens", Some(body)).await;
    assert_eq!(make(json!({"name": "a", "role": "owner"})).await.problem(), "403 forbidden: your role is Editor: a token cannot be more");
    assert_eq!(make(json!({"name": "a", "role": "viewer", "service": true})).await.status, StatusCode::FORBIDDEN);
    assert_eq!(make(json!({"name": "a", "role": "viewer", "organisation": acme})).await.status, StatusCode::FORBIDDEN);
    let past = make(json!({"name": "a", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(past.problem(), "422 invalid: a token cannot expire before it begins");
    make(json!({"name": "a", "role": "viewer"})).await.ok(201);
    assert_eq!(app.browse(&bob, Method::GET, "/v1/tokens", None).await.ok(200)["items"].as_array().unwrap().len(), 1, "one's own");
    let all = app.get("/v1/tokens").await.ok(200)["items"].clone();
    let admin = all.as_array().unwrap().iter().find(|token| token["name"] == "test").unwrap()["id"].as_str().unwrap().to_owned();
    let others = app.browse(&bob, Method::DELETE, &format!("/v1/tokens/{admin}"), None).await;
    assert_eq!(others.problem(), "403 forbidden: this is somebody else's token: an Owner may see and end it");

    // A token makes none that outlives it, and an expired one opens nothing.
    let now = app.state.store.clock().now();
    let until = crate::clock::Moment(now.0 + 200);
    let short = app.post("/v1/tokens", json!({"name": "short", "role": "owner", "service": true, "expires_at": until})).await.ok(201);
    let short = short["text"].as_str().unwrap().to_owned();
    let child =
        app.with(&short, Method::POST, "/v1/tokens", Some(json!({"name": "child", "role": "owner", "service": true}))).await.ok(201);
    assert_eq!(child["expires_at"], json!(until));
    while app.state.store.clock().now() < until {}
    assert_eq!(app.with(&short, Method::GET, "/v1/whoami", None).await.status, StatusCode::UNAUTHORIZED);
}
