//! A key on what begins a session: neither a second session, nor a way past the password, nor a way back.

use std::sync::Arc;

use super::people::PASSWORD;
use super::*;
use crate::jobs::DataDir;

impl TestApp {
    async fn open(&self, path: &str, key: &str, body: Value) -> Answer {
        let request = Request::post(path).header("host", "localhost:8080").header("content-type", "application/json");
        let request = request.header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn sessions_begun(&self) -> usize {
        let log = self.get("/v1/audit?noun=session").await.ok(200);
        log["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "begin").count()
    }
}

async fn service() -> TestApp {
    let app = TestApp::new().await;
    let data = Arc::new(DataDir::open(&app.folder.path().join("data")).unwrap());
    let state = app.state.clone().with_data(data);
    TestApp { router: router(state.clone()), state, ..app }
}

fn ann() -> Value {
    json!({"email": "ann@msp.example", "password": PASSWORD})
}

#[tokio::test]
async fn signing_in_again_under_a_key_gives_the_same_session_as_long_as_it_lasts() {
    let app = service().await;
    app.person("ann@msp.example", "msp", "owner").await;
    let first = app.open("/v1/sessions", "one", ann()).await;
    let again = app.open("/v1/sessions", "one", ann()).await;
    let cookie = first.header("set-cookie").unwrap().to_owned();
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    assert_eq!((again.header("set-cookie"), again.header("location")), (Some(cookie.as_str()), first.header("location")));
    let first = first.ok(201);
    assert_eq!(again.ok(201), first);
    assert_eq!(app.sessions_begun().await, 1);
    let elsewhere = json!({"email": "ann@msp.example", "password": PASSWORD, "organisation": "msp"});
    let different = app.open("/v1/sessions", "one", elsewhere).await;
    assert_eq!(different.problem(), "422 invalid: this idempotency key was used for a different request");
    let other = app.open("/v1/sessions", "two", ann()).await;
    assert_ne!(other.header("set-cookie"), Some(cookie.as_str()));
    assert_eq!(app.sessions_begun().await, 2);

    // Neither the password nor the cookie's secret lies in the database, as text or as a hash that is quick to try.
    let secret = cookie.split(['=', ';']).nth(1).unwrap();
    let mut stored = std::fs::read(app.folder.path().join("rerate.db")).unwrap();
    stored.extend(std::fs::read(app.folder.path().join("rerate.db-wal")).unwrap_or_default());
    for text in [secret, PASSWORD, &crate::plugins::digest_of(ann().to_string().as_bytes())] {
        assert!(!stored.windows(text.len()).any(|bytes| bytes == text.as_bytes()), "{text}");
    }

    let cookie = cookie.split(';').next().unwrap();
    let csrf = first["csrf"].as_str().unwrap();
    app.call(Method::DELETE, "/v1/session", &[("cookie", cookie), ("rerate-csrf", csrf)], None).await.ok(204);
    let ended = app.open("/v1/sessions", "one", ann()).await;
    assert_eq!(ended.problem(), "409 conflict: the session that began under this idempotency key has ended: use another key");
    assert_eq!(ended.header("set-cookie"), None);
    assert_eq!(app.call(Method::GET, "/v1/session", &[("cookie", cookie)], None).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_is_no_way_past_the_password_or_its_waits() {
    let app = service().await;
    app.person("ann@msp.example", "msp", "owner").await;
    app.open("/v1/sessions", "one", ann()).await.ok(201);
    let wrong = json!({"email": "ann@msp.example", "password": "wrong horse battery"});
    for _ in 0..6 {
        let refused = app.open("/v1/sessions", "one", wrong.clone()).await;
        assert_eq!((refused.status, refused.header("set-cookie")), (StatusCode::UNAUTHORIZED, None));
    }
    for body in [wrong, ann()] {
        let waits = app.open("/v1/sessions", "one", body).await;
        assert_eq!(waits.problem(), "429 too-many: too many failed attempts: wait 2 s");
    }
    assert_eq!(app.sessions_begun().await, 1);
}

#[tokio::test]
async fn an_invitation_is_accepted_once_for_a_key_and_a_failure_leaves_the_key_free() {
    let app = service().await;
    let invited = app.post("/v1/invitations", json!({"email": "bob@people.example", "role": "viewer"})).await.ok(201);
    let accept = |password: &str| json!({"secret": invited["secret"], "name": "Bob", "password": password});
    let short = app.open("/v1/invitations/accept", "one", accept("short")).await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    let first = app.open("/v1/invitations/accept", "one", accept(PASSWORD)).await;
    let again = app.open("/v1/invitations/accept", "one", accept(PASSWORD)).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("set-cookie"), first.header("set-cookie"));
    assert_eq!(again.ok(201), first.ok(201));
    assert_eq!(app.sessions_begun().await, 1);
    let wrong = app.open("/v1/invitations/accept", "one", accept("wrong horse battery")).await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (StatusCode::UNAUTHORIZED, None));
    let used = app.open("/v1/invitations/accept", "two", accept(PASSWORD)).await;
    assert_eq!(used.problem(), "404 not-found: this invitation was used, taken back or is too old: ask for another");
}
