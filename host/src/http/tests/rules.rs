use super::*;
use crate::store::Origin;

/// A service that has the built-in `exclusion`.
async fn with_exclusion() -> TestApp {
    let app = TestApp::new().await;
    let component = crate::plugins::builtin::builtin("exclusion").unwrap().component.to_vec();
    app.state.plugins.deploy(component, Origin::Builtin, "exclusion").await.unwrap();
    app
}

fn no_tax(title: &str) -> Value {
    json!({"title": title, "plugin": "exclusion", "config": {"where": [{"column": "ChargeCategory", "is_in": ["Tax"]}]}})
}

#[tokio::test]
async fn a_rule_is_created_only_with_a_configuration_that_its_plugin_takes() {
    let app = with_exclusion().await;
    let created = app.post("/v1/rules", no_tax("No tax")).await;
    assert_eq!(created.header("etag"), Some("\"1\""));
    let path = created.header("location").unwrap().to_owned();
    let body = created.ok(201);
    assert_eq!(body["config"], no_tax("")["config"]);
    assert_eq!(app.get(&path).await.ok(200), body);
    assert_eq!(app.told(), [Change::Rules]);

    let mut wrong = no_tax("Wrong");
    wrong["config"]["wher"] = json!([]);
    let refused = app.post("/v1/rules", wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.problem().contains("wher"), "{}", refused.problem());
    assert!(refused.body["errors"][0]["pointer"].as_str().unwrap().starts_with("/config"), "{}", refused.body);

    let mut wrong = no_tax("No tax");
    wrong["config"]["where"][0]["column"] = json!(7);
    let refused = app.put(&path, wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body["errors"][0]["pointer"].as_str().unwrap().starts_with("/config/where/0"), "{}", refused.body);
    for (column, reason) in [("ServceName", "there is no column"), ("BilledCost", "is not a text column"), ("x_Treatment", "is a result")] {
        let mut wrong = no_tax("No such column");
        wrong["config"]["where"][0]["column"] = json!(column);
        let refused = app.post("/v1/rules", wrong).await.problem();
        assert!(refused.starts_with("422 invalid: /config: ") && refused.contains(reason), "{refused}");
    }
    let mut wrong = no_tax("Pinned");
    wrong["pinned_digest"] = json!("abc");
    assert_eq!(app.post("/v1/rules", wrong).await.problem(), "422 invalid: /pinned_digest: the plugin exclusion has no version abc");
    assert_eq!(app.post("/v1/rules", no_tax("NO TAX")).await.problem(), "409 conflict: a rule with the title NO TAX exists already");
    assert!(app.told().is_empty(), "nothing changed");
    assert_eq!(app.get(&path).await.ok(200), body);
}

#[tokio::test]
async fn rules_are_assigned_in_an_order_that_can_be_changed() {
    let app = with_exclusion().await;
    let rule = app.post("/v1/rules", no_tax("No tax")).await.ok(201)["id"].clone();
    let tenant = app.post("/v1/tenants", json!({"name": "Acme"})).await.ok(201)["id"].clone();
    app.told();
    let all = app.post("/v1/assignments", json!({"rule_id": rule})).await.ok(201);
    let own = json!({"rule_id": rule, "tenant_id": tenant, "position": 1, "from_period": "2026-08", "to_period": "2026-09"});
    let own = app.post("/v1/assignments", own).await.ok(201);
    assert_eq!((&own["position"], &own["from_period"], &own["to_period"]), (&json!(1), &json!("2026-08"), &json!("2026-09")));
    let order = async |query: &str| {
        let page = app.get(&format!("/v1/assignments{query}")).await.ok(200);
        page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(order("").await, [own["id"].clone(), all["id"].clone()]);
    let ordered = app.put("/v1/assignments/order", json!({"assignments": [all["id"], own["id"]]})).await.ok(200);
    assert_eq!(ordered["items"][0]["position"], 1);
    assert_eq!(order("?limit=1").await, [all["id"].clone()]);
    assert_eq!(order("?tenant_id=tnt_other").await, [all["id"].clone()]);
    assert_eq!(app.told(), [Change::Assignments, Change::Assignments, Change::Assignments]);

    let path = format!("/v1/assignments/{}", own["id"].as_str().unwrap());
    let longer = json!({"rule_id": rule, "tenant_id": tenant, "from_period": "2026-08"});
    let changed = app.call(Method::PUT, &path, &[("if-match", "\"1\"")], Some(longer.clone())).await;
    assert_eq!(changed.status, StatusCode::PRECONDITION_FAILED, "its place has changed");
    let changed = app.call(Method::PUT, &path, &[("if-match", "\"2\"")], Some(longer)).await.ok(200);
    assert_eq!((&changed["to_period"], &changed["position"]), (&Value::Null, &json!(2)));

    let rule_path = format!("/v1/rules/{}", rule.as_str().unwrap());
    assert_eq!(app.delete(&rule_path).await.problem(), "409 conflict: the rule No tax is in use by 2 assignments: delete that first");
    app.delete(&path).await.ok(204);
    app.delete(&format!("/v1/assignments/{}", all["id"].as_str().unwrap())).await.ok(204);
    app.delete(&rule_path).await.ok(204);
}

#[tokio::test]
async fn an_assignment_that_makes_no_sense_is_refused() {
    let app = with_exclusion().await;
    let rule = app.post("/v1/rules", no_tax("No tax")).await.ok(201)["id"].clone();
    app.told();
    let refused = async |body: Value| app.post("/v1/assignments", body).await.problem();
    assert_eq!(refused(json!({"rule_id": "rul_none"})).await, "422 invalid: there is no rule rul_none");
    assert_eq!(refused(json!({"rule_id": rule, "tenant_id": "tnt_none"})).await, "422 invalid: there is no tenant tnt_none");
    assert_eq!(refused(json!({"rule_id": rule, "position": 0})).await, "422 invalid: positions count from 1");
    assert_eq!(
        refused(json!({"rule_id": rule, "from_period": "2026-09", "to_period": "2026-08"})).await,
        "422 invalid: the assignment ends in 2026-08, before it begins in 2026-09"
    );
    let month = refused(json!({"rule_id": rule, "from_period": "2026-13"})).await;
    assert!(month.starts_with("422 invalid: the body: from_period: \"2026-13\" is not a billing period; write it as YYYY-MM"), "{month}");
    let twice = app.put("/v1/assignments/order", json!({"assignments": ["asg_none"]})).await;
    assert_eq!(twice.problem(), "404 not-found: there is no assignment asg_none");
    assert!(app.told().is_empty());
}

#[tokio::test]
async fn a_rule_is_assigned_to_many_tenants_at_once_or_to_none() {
    let app = with_exclusion().await;
    let rule = app.post("/v1/rules", no_tax("No tax")).await.ok(201);
    let mut tenants = Vec::new();
    for name in ["A", "B", "C"] {
        tenants.push(app.post("/v1/tenants", json!({"name": name})).await.ok(201)["id"].clone());
    }
    let many = |ids: &[Value]| json!({"rule_id": rule["id"], "tenant_ids": ids, "from_period": "2026-09"});
    let unknown = app.post("/v1/assignments/batch", many(&[tenants[0].clone(), json!("tnt_none")])).await;
    assert_eq!(unknown.problem(), "422 invalid: there is no tenant tnt_none");
    let nobody = app.post("/v1/assignments/batch", many(&[])).await;
    assert_eq!(nobody.problem(), "422 invalid: /tenant_ids: name 1 to 1000 tenants");
    let twice = app.post("/v1/assignments/batch", many(&[tenants[0].clone(), tenants[0].clone()])).await;
    assert_eq!(twice.problem(), "422 invalid: /tenant_ids: a tenant is named twice");
    assert_eq!(app.get("/v1/assignments").await.ok(200)["items"], json!([]));

    let told = app.post("/v1/assignments/review", json!({"assign_many": many(&tenants)})).await.ok(200);
    assert_eq!(told, json!({"months": [], "charges": 0}), "there is no bill yet");
    app.told();
    let made = app.post("/v1/assignments/batch", many(&tenants)).await.ok(201);
    assert_eq!(app.told(), [Change::Assignments]);
    let places: Vec<&Value> = made["items"].as_array().unwrap().iter().map(|item| &item["position"]).collect();
    assert_eq!(places, [1, 2, 3]);
    assert_eq!(app.get("/v1/assignments").await.ok(200)["items"], made["items"]);
    let several = app.post("/v1/assignments/review", json!({"end": "asg_none", "order": {"assignments": []}})).await;
    assert_eq!(several.problem(), "422 invalid: say one change: assign, assign_many, change, end or order");
    let ended = app.post("/v1/assignments/review", json!({"end": "asg_none"})).await;
    assert_eq!(ended.problem(), "404 not-found: there is no assignment asg_none");
}
