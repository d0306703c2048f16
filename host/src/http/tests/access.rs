use super::*;

fn without_token(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

const REFUSED: &str = "401 unauthorized: send a token that this daemon knows: Authorization: Bearer <token>";

#[tokio::test]
async fn every_documented_route_but_the_open_ones_wants_a_token() {
    let app = TestApp::new().await;
    let described = serde_json::to_value(document()).unwrap();
    let mut refused = 0;
    for (path, operations) in described["paths"].as_object().unwrap() {
        let address = path.replace("{id}", "some").replace("{name}", "some").replace("{digest}", "some");
        for method in operations.as_object().unwrap().keys() {
            let row = crate::http::access::row_of(&method.to_uppercase(), path);
            if row.is_some_and(|row| row.msp == crate::http::access::Needs::Open) {
                continue;
            }
            let answer = app.send(without_token(&method.to_uppercase(), &address)).await;
            assert_eq!(answer.problem(), REFUSED, "{method} {path}");
            assert_eq!(answer.header(header::WWW_AUTHENTICATE), Some("Bearer"));
            refused += 1;
        }
    }
    assert!(refused >= 25, "{refused}");
    assert!(app.told().is_empty());
}

#[tokio::test]
async fn an_address_that_does_not_exist_says_so_only_to_a_token() {
    let app = TestApp::new().await;
    for path in ["/", "/v1/openapi.json", "/v1/nothing", "/v1/health/more", "//v1/health", "/v1/health/"] {
        assert_eq!(app.send(without_token("GET", path)).await.problem(), REFUSED, "{path}");
    }
    assert_eq!(app.get("/v1/nothing").await.problem(), "404 not-found: there is nothing at this address");
    let wrong = app.call(Method::PATCH, "/v1/tenants", &[], None).await;
    assert_eq!(wrong.problem(), "405 method-not-allowed: this address does not answer to this method");
}

#[tokio::test]
async fn health_answers_without_a_token() {
    let app = TestApp::new().await;
    let answer = app.send(without_token("GET", "/v1/health")).await;
    assert_eq!(answer.ok(200), json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
}

#[tokio::test]
async fn only_the_whole_token_in_the_right_scheme_opens() {
    let app = TestApp::new().await;
    let with = |value: String| {
        let request = Request::builder().uri("/v1/whoami").header("authorization", value).body(Body::empty()).unwrap();
        app.send(request)
    };
    let token = &app.token;
    let shorter = &token[..token.len() - 1];
    for value in ["Bearer".to_owned(), "Bearer ".to_owned(), format!("Bearer {shorter}"), format!("Basic {token}"), token.clone()] {
        assert_eq!(with(value.clone()).await.problem(), REFUSED, "{value}");
    }
    assert_eq!(with(format!("bearer {token}")).await.ok(200)["name"], "test");
    // What is stored opens nothing.
    let stored = crate::plugins::digest_of(token.as_bytes());
    assert!(app.state.store.token_by_sha256(&stored).await.unwrap().is_some());
    assert_eq!(with(format!("Bearer {stored}")).await.problem(), REFUSED);
}

#[tokio::test]
async fn the_administrators_token_is_written_once_for_its_owner_only() {
    let app = TestApp::new().await;
    let path = auth::ensure_admin_token(&app.state.store, app.folder.path(), false).await.unwrap();
    assert_eq!(path, app.folder.path().join("admin.token"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let again = auth::ensure_admin_token(&app.state.store, app.folder.path(), false).await.unwrap();
    assert_eq!(std::fs::read_to_string(again).unwrap(), text);
    let admin = TestApp { token: text.trim().to_owned(), ..app };
    assert_eq!(admin.get("/v1/whoami").await.ok(200)["name"], "administrator");

    // A lost file is replaced, and what was in it opens nothing any more.
    std::fs::remove_file(&path).unwrap();
    auth::ensure_admin_token(&admin.state.store, admin.folder.path(), false).await.unwrap();
    assert_ne!(std::fs::read_to_string(&path).unwrap(), text);
    assert_eq!(admin.get("/v1/whoami").await.problem(), REFUSED);
}
