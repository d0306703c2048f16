use super::*;

#[tokio::test]
async fn a_preview_that_makes_no_sense_is_refused_before_it_waits() {
    let app = TestApp::new().await;
    let component = crate::plugins::builtin::builtin("exclusion").unwrap().component.to_vec();
    let digest = crate::plugins::digest_of(&component);
    app.state.plugins.deploy(component, crate::store::Origin::Builtin, "exclusion").await.unwrap();
    let refused = async |body: Value| app.post("/v1/previews", body).await.problem();
    assert_eq!(refused(json!({})).await, "422 invalid: say what to preview: one of plugin, rules and chain");
    let version = json!({"name": "exclusion", "digest": digest});
    let both = json!({"plugin": version, "rules": [{"rule_id": "rul_1", "config": {}}]});
    assert_eq!(refused(both).await, "422 invalid: say what to preview: one of plugin, rules and chain");
    let unknown = json!({"plugin": {"name": "exclusion", "digest": "abc"}});
    assert_eq!(refused(unknown).await, "422 invalid: the plugin exclusion has no version abc: push it first, it need not be active");
    let rule = json!({"rules": [{"rule_id": "rul_1", "config": {}}]});
    assert_eq!(refused(rule).await, "404 not-found: there is no rule rul_1");
    let tenant = json!({"plugin": version, "tenants": ["tnt_1"]});
    assert_eq!(refused(tenant).await, "404 not-found: there is no tenant tnt_1");
    let runs = json!({"plugin": version, "runs": ["run_1"], "periods": ["2026-09"]});
    assert_eq!(refused(runs).await, "422 invalid: name runs, or periods and tenants, not both");
    assert!(refused(json!({"plugin": version, "top": 201})).await.starts_with("422 invalid: top is 0 to"));
    assert!(app.told().is_empty(), "nothing waits");

    let created = app.post("/v1/previews", json!({"plugin": version, "periods": ["2026-09"]})).await;
    let path = created.header("location").unwrap().to_owned();
    let body = created.ok(202);
    assert_eq!(
        (&body["state"], &body["request"]["plugin"]["name"], &body["result"]),
        (&json!("queued"), &json!("exclusion"), &Value::Null)
    );
    assert_eq!(app.told(), [Change::Previews { deleted: None }]);
    assert_eq!(app.get(&path).await.ok(200), body);
    assert_eq!(app.get("/v1/previews").await.ok(200)["items"][0]["id"], body["id"]);
    assert_eq!(app.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.told(), [Change::Previews { deleted: body["id"].as_str().map(str::to_owned) }]);
    assert_eq!(app.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn too_many_previews_do_not_wait() {
    let app = TestApp::new().await;
    for _ in 0..20 {
        app.state.store.preview_create(&json!({})).await.unwrap();
    }
    let refused = app.state.store.preview_create(&json!({})).await.unwrap_err();
    assert_eq!(refused.to_string(), "20 previews are waiting already: delete one, or wait");
}
