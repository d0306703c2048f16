use super::*;

fn acme() -> Value {
    json!({"name": "Acme"})
}

#[tokio::test]
async fn a_body_that_cannot_be_taken_is_refused_with_where_and_why() {
    let app = TestApp::new().await;
    let raw = |kind: &str, body: &str| {
        let request = Request::post("/v1/tenants").header("authorization", format!("Bearer {}", app.token)).header("content-type", kind);
        app.send(request.body(Body::from(body.to_owned())).unwrap())
    };
    assert_eq!(
        raw("application/json", "{\"name\": ").await.problem(),
        "400 unreadable: the body: name: EOF while parsing a value at line 1 column 9"
    );
    assert_eq!(
        raw("application/json", "{\"name\": 7}").await.problem(),
        "422 invalid: the body: name: invalid type: integer `7`, expected a string at line 1 column 10"
    );
    assert_eq!(
        raw("application/json", "{\"name\": \"x\", \"colour\": 1}").await.problem(),
        "422 invalid: the body: colour: unknown field `colour`, expected one of `name`, `contact_email`, `kind`, `parent_id`, `external_id` at line 1 column 22"
    );
    let twice = r#"{"title": "x", "plugin": "markup", "config": {"percent": "1", "services": {"a": "1"}, "percent": "2"}}"#;
    let request =
        Request::post("/v1/rules").header("authorization", format!("Bearer {}", app.token)).header("content-type", "application/json");
    let answer = app.send(request.body(Body::from(twice)).unwrap()).await;
    assert_eq!(answer.problem(), "422 invalid: the body: duplicate field `percent` at line 1 column 95");
    assert_eq!(raw("text/plain", "{}").await.problem(), "415 unsupported-media-type: send the body as Content-Type: application/json");
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(raw("application/json", &long).await.problem(), "413 too-large: a JSON body has at most 2097152 bytes");
    assert!(app.told().is_empty());
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused() {
    let app = TestApp::new().await;
    assert_eq!(app.get("/v1/tenants?limit=0").await.problem(), "422 invalid: limit is 1 to 1000");
    assert_eq!(app.get("/v1/tenants?limit=1001").await.problem(), "422 invalid: limit is 1 to 1000");
    assert_eq!(app.get("/v1/tenants?limit=ten").await.problem(), "422 invalid: the query: limit: invalid digit found in string");
    let unknown = app.get("/v1/tenants?page=2").await.problem();
    assert_eq!(
        unknown,
        "422 invalid: the query: page: unknown field `page`, expected one of `search`, `state`, `kind`, `parent_id`, `limit`, `after`"
    );
}

#[tokio::test]
async fn an_address_that_is_not_text_is_refused() {
    let app = TestApp::new().await;
    for address in ["/v1/tenants/%ff", "/v1/tenants/%ff/lines?period=2026-09", "/v1/tenants/%ff/export?period=2026-09&format=csv"] {
        assert_eq!(app.get(address).await.problem(), "400 unreadable: Invalid URL: Invalid UTF-8 in `id`");
    }
    assert_eq!(app.post("/v1/runs/%ff/verify", json!({})).await.problem(), "400 unreadable: Invalid URL: Invalid UTF-8 in `id`");
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let app = TestApp::new().await;
    for name in ["a", "b", "c"] {
        app.post("/v1/tenants", json!({"name": name})).await.ok(201);
    }
    let first = app.get("/v1/tenants?limit=2").await.ok(200);
    let names = |page: &Value| page["items"].as_array().unwrap().iter().map(|item| item["name"].to_string()).collect::<String>();
    assert_eq!(names(&first), "\"a\"\"b\"");
    let second = app.get(&format!("/v1/tenants?limit=2&after={}", first["next"].as_str().unwrap())).await.ok(200);
    assert_eq!(names(&second), "\"c\"");
    assert_eq!(second.get("next"), None);
}

#[tokio::test]
async fn the_same_creating_call_sent_twice_creates_once() {
    let app = TestApp::new().await;
    let key = [("idempotency-key", "order-1")];
    let first = app.call(Method::POST, "/v1/tenants", &key, Some(acme())).await;
    let again = app.call(Method::POST, "/v1/tenants", &key, Some(acme())).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    assert_eq!(app.told(), [Change::Tenants]);

    let other = app.call(Method::POST, "/v1/tenants", &key, Some(json!({"name": "Other"}))).await;
    assert_eq!(other.problem(), "422 invalid: this idempotency key was used for a different request");
    let elsewhere = app.call(Method::POST, "/v1/rules", &key, Some(acme())).await;
    assert_eq!(elsewhere.problem(), "422 invalid: this idempotency key was used for a different request");
    let long = "x".repeat(201);
    let wrong = app.call(Method::POST, "/v1/tenants", &[("idempotency-key", &long)], Some(acme())).await;
    assert_eq!(wrong.problem(), "422 invalid: an idempotency key has 1 to 200 visible ASCII characters");
}

#[tokio::test]
async fn a_key_whose_call_failed_may_be_used_again() {
    let app = TestApp::new().await;
    let taken = app.post("/v1/tenants", acme()).await.ok(201);
    let key = [("idempotency-key", "order-1")];
    let failed = app.call(Method::POST, "/v1/tenants", &key, Some(acme())).await;
    assert_eq!(failed.problem(), "409 conflict: a tenant named Acme exists already");
    app.delete(&format!("/v1/tenants/{}?name=Acme", taken["id"].as_str().unwrap())).await.ok(204);
    app.call(Method::POST, "/v1/tenants", &key, Some(acme())).await.ok(201);
}

#[tokio::test]
async fn of_two_calls_with_one_key_at_once_one_creates() {
    let app = TestApp::new().await;
    let key = [("idempotency-key", "order-1")];
    let send = || app.call(Method::POST, "/v1/tenants", &key, Some(acme()));
    let answers = futures::future::join_all([send(), send(), send(), send()]).await;
    for answer in &answers {
        let replayed = answer.status == StatusCode::CREATED;
        assert!(replayed || answer.problem() == "409 conflict: the request with this idempotency key is being worked on");
    }
    assert!(answers.iter().any(|answer| answer.status == StatusCode::CREATED));
    assert_eq!(app.get("/v1/tenants").await.ok(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_that_names_an_old_etag_is_refused() {
    let app = TestApp::new().await;
    let created = app.post("/v1/tenants", acme()).await;
    let path = created.header("location").unwrap().to_owned();
    let etag = created.header("etag").unwrap().to_owned();
    assert_eq!(etag, "\"1\"");
    let rename = |name: &str| Some(json!({"name": name}));
    let changed = app.call(Method::PUT, &path, &[("if-match", &etag)], rename("Acme Ltd")).await;
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let late = app.call(Method::PUT, &path, &[("if-match", &etag)], rename("Acme Inc")).await;
    let id = created.text("id");
    assert_eq!(late.problem(), format!("412 changed: the tenant {id} has changed since you read it: it is at version 2"));
    let named = format!("{path}?name=Acme%20Ltd");
    let late = app.call(Method::DELETE, &named, &[("if-match", &etag)], None).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    let wrong = app.call(Method::PUT, &path, &[("if-match", "2")], rename("Acme Inc")).await;
    assert_eq!(wrong.problem(), "412 changed: If-Match takes one ETag as it was given, or *");
    app.call(Method::DELETE, &named, &[("if-match", "*")], None).await.ok(204);
}

#[tokio::test]
async fn what_failed_inside_is_not_told() {
    let app = TestApp::new().await;
    app.state.store.close().await;
    let answer = app.send(Request::get("/v1/health").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.problem(), "500 internal: something failed inside; the daemon's log says what");
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_own_request_only() {
    let response = super::super::trace::panicked(Box::new("the secret"));
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    assert!(!String::from_utf8_lossy(&body).contains("secret"));
}

#[tokio::test]
async fn the_service_stops_when_told_after_the_requests_under_way() {
    let app = TestApp::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(super::super::serve(listener, app.state.clone(), async move { stopped.await.unwrap() }));
    let url = format!("http://{address}/v1/health");
    let health = tokio::task::spawn_blocking(move || ureq::get(&url).call().unwrap().status().as_u16());
    assert_eq!(health.await.unwrap(), 200);
    stop.send(()).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(60), serving).await.unwrap().unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
