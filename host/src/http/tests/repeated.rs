use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::*;
use crate::jobs::DataDir;
use crate::sandbox::tests::guest::Guest;
use crate::signin::mail::Mailer;
use crate::signin::tests::letters::mail_server;

/// The same service, set up otherwise.
fn with(app: TestApp, change: impl FnOnce(AppState) -> AppState) -> TestApp {
    let state = change(app.state.clone());
    TestApp { router: router(state.clone()), state, ..app }
}

#[tokio::test]
async fn a_post_without_a_body_or_with_a_file_is_done_once_for_a_key() {
    let app = TestApp::new().await;
    let integration = app.post("/v1/integrations", json!({"name": "aws", "kind": "folder", "location": "/bills"})).await.ok(201);
    app.told();
    let refresh = format!("/v1/integrations/{}/refresh", integration["id"].as_str().unwrap());
    let key = [("idempotency-key", "again")];
    let first = app.call(Method::POST, &refresh, &key, None).await;
    let second = app.call(Method::POST, &refresh, &key, None).await;
    assert_eq!((first.header("idempotency-replayed"), second.header("idempotency-replayed")), (None, Some("true")));
    assert_eq!((first.ok(202), app.told().len()), (second.ok(202), 1));

    let upload = |query: &str, component: Vec<u8>| {
        let request = Request::post(format!("/v1/plugins{query}")).header("authorization", format!("Bearer {}", app.token));
        let request = request.header("content-type", "application/wasm").header("idempotency-key", "file");
        app.send(request.body(Body::from(component)).unwrap())
    };
    let first = upload("", Guest::adjustment().build()).await.ok(201);
    let second = upload("", Guest::adjustment().build()).await;
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(second.ok(201), first);
    let other = upload("?activate=false", Guest::adjustment().build()).await;
    assert_eq!(other.problem(), "422 invalid: this idempotency key was used for a different request");
}

#[tokio::test]
async fn an_answer_that_is_kept_for_a_key_does_not_lie_open_in_the_database() {
    let app = TestApp::new().await;
    let data = Arc::new(DataDir::open(&app.folder.path().join("data")).unwrap());
    let app = with(app, |state| state.with_data(data));
    let create = || app.call(Method::POST, "/v1/tenants", &[("idempotency-key", "one")], Some(json!({"name": "Acme Rocket Powder"})));
    let (first, again) = (create().await, create().await);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.ok(201), first.ok(201));
    let caller = app.get("/v1/whoami").await.ok(200)["token_id"].as_str().unwrap().to_owned();
    let reserved = app.state.store.idempotency_reserve(&caller, "one", "another request").await.unwrap();
    assert_eq!(reserved, crate::store::Reserved::Different);
    let kept = std::fs::read(app.folder.path().join("rerate.db")).unwrap();
    let log = std::fs::read(app.folder.path().join("rerate.db-wal")).unwrap_or_default();
    let sealed = b"sealed1:";
    assert!(kept.windows(sealed.len()).chain(log.windows(sealed.len())).any(|bytes| bytes == sealed));
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_back() {
    let app = with(TestApp::new().await, |state| state.with_rate_limit(1));
    for left in (0..10).rev() {
        let answer = app.get("/v1/whoami").await;
        assert_eq!(answer.header("ratelimit").unwrap(), format!("\"caller\";r={left};t=10"));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"caller\";q=10;w=10"));
    }
    let refused = app.get("/v1/whoami").await;
    assert_eq!(refused.header(header::RETRY_AFTER), Some("1"));
    assert_eq!(refused.problem(), "429 too-many: you may call 1 times a second: try again in 1 s");
    // Another caller is not held up.
    let other = TestApp { token: auth::token_create(&app.state.store, "other").await.unwrap(), ..app };
    other.get("/v1/whoami").await.ok(200);
}

#[tokio::test]
async fn an_invitation_is_mailed_and_stands_where_the_mail_fails() {
    let (url, mut received) = mail_server().await;
    let app = TestApp::new().await;
    let unmailed = app.post("/v1/invitations", json!({"email": "ann@people.example", "role": "viewer"})).await.ok(201);
    assert_eq!((&unmailed["mailed"], unmailed.get("mail_error")), (&json!(false), None));
    let link = |invitation: &Value| format!("https://rerate.msp.example/v1/invitations/accept#{}", invitation["secret"].as_str().unwrap());
    // An address on which it listens everywhere leads nowhere.
    let app = with(app, |state| state.with_public_url("http://0.0.0.0:8080"));
    assert_eq!(app.post("/v1/invitations", json!({"email": "ann@people.example", "role": "viewer"})).await.ok(201)["link"], Value::Null);
    let app = with(app, |state| state.with_public_url("https://rerate.msp.example/"));
    let app = with(app, |state| state.with_mailer(Some(Mailer::new(&url, "billing@msp.example").unwrap())));
    let mailed = app.post("/v1/invitations", json!({"email": "bob@people.example", "role": "viewer"})).await.ok(201);
    assert_eq!(mailed["mailed"], json!(true));
    let mail = received.recv().await.unwrap();
    let plain = mail.replace("=\n", "").replace("=3D", "=");
    assert!(mail.contains("To: bob@people.example") && plain.contains(&link(&mailed)), "{mail}");
    assert_eq!(mailed["link"], link(&mailed));
    let failed = app.post("/v1/invitations", json!({"email": "carl@people.test", "role": "viewer"})).await.ok(201);
    assert_eq!(failed["mailed"], json!(false));
    assert!(failed["mail_error"].as_str().unwrap().contains("no such person"), "{failed}");
    let accept = json!({"secret": failed["secret"], "name": "Carl", "password": "a long enough password"});
    app.post("/v1/invitations/accept", accept).await.ok(201);
}

#[tokio::test]
async fn the_page_of_an_invitation_runs_nothing_but_its_own_script() {
    let app = TestApp::new().await;
    let request = Request::get("/v1/invitations/accept").body(Body::empty()).unwrap();
    let response = app.router.clone().oneshot(request).await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert_eq!((response.status().as_u16(), response.headers()["referrer-policy"].to_str().unwrap()), (200, "no-referrer"));
    let page = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let page = String::from_utf8(page.to_vec()).unwrap();
    let (_, script) = page.split_once("<script>").unwrap();
    let script = STANDARD.encode(Sha256::digest(script.split_once("</script>").unwrap().0));
    assert!(policy.starts_with("default-src 'none'") && policy.contains(&format!("script-src 'sha256-{script}';")), "{policy}");
    assert_eq!((page.matches("<script").count(), page.contains(" onclick"), page.contains("http")), (1, false, false));
}
