use super::*;

impl TestApp {
    async fn text(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).header("authorization", format!("Bearer {}", self.token)).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_daemon_is_ready_when_its_database_answers() {
    let app = TestApp::new().await;
    let open = || app.send(Request::get("/v1/ready").body(Body::empty()).unwrap());
    let ready = json!({"status": "ready", "checks": [{"name": "database", "ok": true}, {"name": "jobs", "ok": true}]});
    assert_eq!(open().await.ok(200), ready);
    app.state.store.close().await;
    let answer = open().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body["status"], "not-ready");
    assert_eq!(answer.body["checks"][0], json!({"name": "database", "ok": false, "reason": "it does not answer"}));
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status_without_ids() {
    let app = TestApp::new().await;
    let tenant = app.post("/v1/tenants", json!({"name": "Acme"})).await.ok(201);
    let id = tenant["id"].as_str().unwrap();
    app.get(&format!("/v1/tenants/{id}")).await.ok(200);
    app.get("/v1/tenants/other").await;
    app.get("/v1/nothing").await;
    let made_up = Method::from_bytes(b"BREW").unwrap();
    app.call(made_up, "/v1/tenants", &[], None).await;
    let (status, text) = app.text("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "rerate_http_requests_total{method=\"GET\",route=\"/v1/tenants/{id}\",status=\"200\"} 1",
        "rerate_http_requests_total{method=\"GET\",route=\"/v1/tenants/{id}\",status=\"404\"} 1",
        "rerate_http_requests_total{method=\"POST\",route=\"/v1/tenants\",status=\"201\"} 1",
        "rerate_http_requests_total{method=\"GET\",route=\"-\",status=\"404\"} 1",
        "rerate_http_requests_total{method=\"other\",route=\"/v1/tenants\",status=\"405\"} 1",
        "rerate_http_request_seconds_count{method=\"GET\",route=\"/v1/tenants/{id}\"} 2",
        "rerate_runs{state=\"queued\"} 0",
        "rerate_database_connections{state=\"open\"}",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    assert!(!text.contains(id) && !text.contains("Acme"), "{text}");
    if cfg!(target_os = "linux") {
        let resident = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
        assert!(resident.parse::<u64>().unwrap() > 1 << 20, "{resident}");
    }
}
