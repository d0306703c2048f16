use super::*;

#[tokio::test]
async fn a_tenant_is_created_shown_renamed_and_deleted() {
    let app = TestApp::new().await;
    let created = app.post("/v1/tenants", json!({"name": " Acme ", "contact_email": "cloud+acme@msp.example"})).await;
    let id = created.text("id").to_owned();
    assert_eq!(created.header("location"), Some(format!("/v1/tenants/{id}").as_str()));
    let body = created.ok(201);
    let expected = json!({
        "id": id, "name": "Acme", "contact_email": "cloud+acme@msp.example", "version": 1,
        "created_at": body["created_at"], "updated_at": body["updated_at"],
    });
    assert_eq!(body, expected);
    assert!(body["created_at"].as_str().unwrap().starts_with("2026-09-21T"), "{body}");
    let path = format!("/v1/tenants/{id}");
    assert_eq!(app.get(&path).await.ok(200), body);
    let renamed = app.put(&path, json!({"name": "Acme Ltd"})).await.ok(200);
    assert_eq!((&renamed["name"], &renamed["contact_email"], &renamed["version"]), (&json!("Acme Ltd"), &Value::Null, &json!(2)));
    assert_eq!(
        app.post("/v1/tenants", json!({"name": "ACME LTD"})).await.problem(),
        "409 conflict: a tenant named ACME LTD exists already"
    );
    assert_eq!(app.post("/v1/tenants", json!({"name": ""})).await.problem(), "422 invalid: a tenant's name is empty");
    assert_eq!(app.told(), [Change::Tenants, Change::Tenants]);
    app.delete(&path).await.ok(204);
    assert_eq!(app.told(), [Change::Tenants]);
    assert_eq!(app.get(&path).await.problem(), format!("404 not-found: there is no tenant {id}"));
    assert_eq!(app.delete(&path).await.problem(), format!("404 not-found: there is no tenant {id}"));
}

#[tokio::test]
async fn a_tenants_quota_has_defaults_and_is_set_as_a_whole() {
    let app = TestApp::new().await;
    let id = app.post("/v1/tenants", json!({"name": "Acme"})).await.ok(201)["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/tenants/{id}/quota");
    let defaults = app.get(&path).await;
    assert_eq!(defaults.header("etag"), Some("\"0\""));
    let defaults = defaults.ok(200);
    assert_eq!((&defaults["memory_mib"], &defaults["version"], &defaults["updated_at"]), (&json!(64), &json!(0), &Value::Null));
    let set =
        app.call(Method::PUT, &path, &[("if-match", "\"0\"")], Some(json!({"fuel": 2_000_000_000, "concurrent_runs": 1}))).await.ok(200);
    assert_eq!((&set["fuel"], &set["concurrent_runs"], &set["time_ms"]), (&json!(2_000_000_000), &json!(1), &defaults["time_ms"]));
    assert_eq!(app.get(&path).await.ok(200), set);
    let late = app.call(Method::PUT, &path, &[("if-match", "\"0\"")], Some(json!({}))).await;
    assert!(late.problem().starts_with("412 "), "{}", late.problem());
    assert_eq!(app.put(&path, json!({})).await.ok(200)["fuel"], defaults["fuel"]);
    let refused = app.put(&path, json!({"memory_mib": 65})).await;
    assert_eq!(refused.problem(), "422 invalid: memory_mib is 65; it can be 1 to 64");
    assert_eq!(app.get("/v1/tenants/tnt_none/quota").await.problem(), "404 not-found: there is no tenant tnt_none");
    let told = app.get("/v1/audit?noun=quota").await.ok(200)["items"].clone();
    assert_eq!(told.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn an_integration_is_read_at_once_and_on_demand() {
    let app = TestApp::new().await;
    let body = json!({"name": "aws", "kind": "s3", "location": "s3://bills/aws", "endpoint": "http://127.0.0.1:5000"});
    let created = app.post("/v1/integrations", body.clone()).await.ok(201);
    assert_eq!((&created["status"], &created["last_refresh_at"]), (&json!("stable"), &Value::Null));
    let integration_id = created["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/integrations/{integration_id}");
    app.call(Method::POST, &format!("{path}/refresh"), &[], None).await.ok(202);
    let refresh = Change::Refresh { integration_id };
    assert_eq!(app.told(), [refresh.clone(), refresh]);
    assert_eq!(
        app.post("/v1/integrations", json!({"name": "b", "kind": "folder", "location": "bills"})).await.problem(),
        "422 invalid: \"bills\" is not a folder's absolute path"
    );
    assert_eq!(
        app.post("/v1/integrations", json!({"name": "b", "kind": "ftp", "location": "/bills"})).await.problem(),
        "422 invalid: the body: kind: unknown variant `ftp`, expected `folder` or `s3` at line 1 column 13"
    );
    assert_eq!(app.post("/v1/integrations", body).await.problem(), "409 conflict: another integration reads s3://bills/aws already");
    let refused = app.call(Method::POST, "/v1/integrations/int_none/refresh", &[], None).await;
    assert_eq!(refused.problem(), "404 not-found: there is no integration int_none");
    assert!(app.told().is_empty());
    app.delete(&path).await.ok(204);
    assert_eq!(app.told(), [Change::Integrations]);
}

#[tokio::test]
async fn subaccounts_are_found_given_and_released() {
    let app = TestApp::new().await;
    let ids = app.bill(&["111", "222", "333"]).await;
    let tenant = app.post("/v1/tenants", json!({"name": "Acme"})).await.ok(201)["id"].clone();
    let other = app.post("/v1/tenants", json!({"name": "Other"})).await.ok(201)["id"].clone();
    app.told();
    let path = format!("/v1/subaccounts/{}/tenant", ids[0]);
    let given = app.put(&path, json!({"tenant_id": tenant})).await.ok(200);
    assert_eq!((&given["tenant_id"], &given["name"]), (&tenant, &json!("account 111")));
    assert_eq!(app.told(), [Change::Subaccounts]);
    app.put(&path, json!({"tenant_id": tenant})).await.ok(200);
    assert!(app.told().is_empty(), "nothing moved");
    let held = format!("409 conflict: the subaccount account 111 ({}) is held by the tenant Acme ({})", ids[0], tenant.as_str().unwrap());
    assert_eq!(app.put(&path, json!({"tenant_id": other})).await.problem(), held);
    let batch = json!({"tenant_id": other, "subaccounts": [ids[1], ids[0]]});
    assert_eq!(app.post("/v1/subaccounts/assign", batch).await.problem(), held);

    let batch = json!({"tenant_id": other, "subaccounts": [ids[1], ids[2]]});
    let moved = app.post("/v1/subaccounts/assign", batch).await.ok(200);
    assert_eq!(moved["moved"].as_array().unwrap().len(), 2);
    assert_eq!(moved["moved"][0], json!({"id": ids[1], "from": null, "to": other}));
    let found = async |query: &str| {
        let page = app.get(&format!("/v1/subaccounts?{query}")).await.ok(200);
        page["items"].as_array().unwrap().iter().map(|item| item["sub_account_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("search=ACCOUNT%202").await, ["222"]);
    assert_eq!(found(&format!("tenant_id={}", other.as_str().unwrap())).await, ["222", "333"]);
    assert!(found("unassigned=true").await.is_empty());
    assert_eq!(found("provider=AWS&limit=1").await, ["111"]);

    assert_eq!(app.delete(&path).await.ok(200)["tenant_id"], Value::Null);
    assert_eq!(app.told(), [Change::Subaccounts, Change::Subaccounts]);
    assert_eq!(found("unassigned=true").await, ["111"]);
    let handed_over = json!({"tenant_id": tenant, "from_tenant_id": other, "subaccounts": ids});
    assert_eq!(app.post("/v1/subaccounts/assign", handed_over).await.ok(200)["moved"].as_array().unwrap().len(), 3);
    assert_eq!(found(&format!("tenant_id={}", tenant.as_str().unwrap())).await, ["111", "222", "333"]);
    let wrong = app.put(&path, json!({"tenant_id": other, "from_tenant_id": other})).await;
    assert_eq!(wrong.problem(), held);
    app.delete(&path).await.ok(200);
    let nobody = app.put(&path, json!({"tenant_id": "tnt_none"})).await;
    assert_eq!(nobody.problem(), "404 not-found: there is no tenant tnt_none");
    let none = app.post("/v1/subaccounts/assign", json!({"tenant_id": null, "subaccounts": []})).await;
    assert_eq!(none.problem(), "422 invalid: select 1 to 10000 subaccounts");
}

#[tokio::test]
async fn a_rule_of_an_unknown_plugin_is_refused_with_the_place() {
    let app = TestApp::new().await;
    let answer = app.post("/v1/rules", json!({"title": "5 %", "plugin": "nothing", "config": {}})).await;
    assert_eq!(answer.problem(), "422 invalid: /plugin: there is no plugin nothing");
    assert_eq!(answer.body["errors"], json!([{"pointer": "/plugin", "detail": "there is no plugin nothing"}]));
}

#[tokio::test]
async fn what_was_imported_is_shown_with_its_report() {
    let app = TestApp::new().await;
    app.bill(&["111"]).await;
    let page = app.get("/v1/snapshots?period=2026-09").await.ok(200);
    let snapshot = &page["items"][0];
    assert_eq!((&snapshot["state"], &snapshot["period"], &snapshot["report"]), (&json!("published"), &json!("2026-09"), &json!({})));
    let path = format!("/v1/snapshots/{}", snapshot["id"].as_str().unwrap());
    assert_eq!(app.get(&path).await.ok(200), *snapshot);
    assert_eq!(app.get("/v1/snapshots?period=2026-10").await.ok(200), json!({"items": []}));
    let wrong = app.get("/v1/snapshots?period=September").await.problem();
    assert_eq!(wrong, "422 invalid: the query: period: \"September\" is not a billing period; write it as YYYY-MM");
}
