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
        "kind": "customer", "state": "active", "parent_id": null, "parent": null, "external_id": null, "domain": null,
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
    let unnamed = app.delete(&path).await.problem();
    assert_eq!(unnamed, "422 invalid: the query: missing field `name`");
    let refused = "422 invalid: deleting a tenant is for good: give its name again, name=Acme Ltd, as it is written";
    assert_eq!(app.delete(&format!("{path}?name=Acme")).await.problem(), refused);
    assert!(app.told().is_empty());
    let named = format!("{path}?name=Acme%20Ltd");
    app.delete(&named).await.ok(204);
    assert_eq!(app.told(), [Change::Tenants]);
    assert_eq!(app.get(&path).await.problem(), format!("404 not-found: there is no tenant {id}"));
    assert_eq!(app.delete(&named).await.problem(), format!("404 not-found: there is no tenant {id}"));
    let log = app.get("/v1/audit?noun=tenant").await.ok(200);
    let actions: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["delete", "update", "create"]);
    assert_eq!(log["items"][1]["before"]["name"], "Acme");
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

#[tokio::test]
async fn tenants_are_suspended_searched_and_put_below_an_organisation() {
    let app = TestApp::new().await;
    let group = app.post("/v1/tenants", json!({"name": "Group", "kind": "organisation"})).await.ok(201)["id"].clone();
    let body = json!({"name": "Acme", "contact_email": "cloud+acme@msp.example", "parent_id": group});
    let acme = app.post("/v1/tenants", body).await.ok(201);
    assert_eq!((&acme["parent_id"], &acme["parent"]), (&group, &json!("Group")));
    let path = format!("/v1/tenants/{}", acme["id"].as_str().unwrap());
    app.told();
    let stale = app.call(Method::PUT, &format!("{path}/state"), &[("if-match", "\"9\"")], Some(json!({"state": "suspended"}))).await;
    assert!(stale.problem().starts_with("412 "));
    assert_eq!(app.put(&format!("{path}/state"), json!({"state": "suspended"})).await.ok(200)["state"], "suspended");
    assert_eq!(app.told(), [Change::Tenants]);
    let names = async |query: &str| {
        let page = app.get(&format!("/v1/tenants?{query}")).await.ok(200);
        page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("search=CLOUD%2B").await, ["Acme"]);
    assert_eq!(names("search=%25").await, [""; 0]);
    assert_eq!(names("state=suspended").await, ["Acme"]);
    assert_eq!(names("kind=organisation&state=active").await, ["Group"]);
    assert_eq!(names(&format!("parent_id={}", group.as_str().unwrap())).await, ["Acme"]);
    let domains = app.put("/v1/settings/domains", json!({"domains": ["msp.example"]})).await.ok(200);
    assert_eq!(domains, app.get("/v1/settings/domains").await.ok(200));
    let elsewhere = app.post("/v1/tenants", json!({"name": "B", "contact_email": "b@b.example"})).await.problem();
    assert_eq!(elsewhere, "422 invalid: the contact b@b.example is on none of the MSP's domains: msp.example");
    let removal = app.get(&format!("{path}/removal")).await.ok(200);
    assert_eq!((&removal["tenant"]["name"], &removal["runs"], &removal["refused"]), (&json!("Acme"), &json!(0), &Value::Null));
}

#[tokio::test]
async fn a_subaccount_is_given_from_a_period_on_after_a_review() {
    let app = TestApp::new().await;
    let ids = app.bill(&["111", "222"]).await;
    let acme = app.post("/v1/tenants", json!({"name": "Acme"})).await.ok(201)["id"].clone();
    let other = app.post("/v1/tenants", json!({"name": "Other"})).await.ok(201)["id"].clone();
    app.put(&format!("/v1/subaccounts/{}/tenant", ids[0]), json!({"tenant_id": other})).await.ok(200);
    app.told();
    let body = json!({"tenant_id": acme, "from_period": "2026-09", "subaccounts": ids});
    let review = app.post("/v1/subaccounts/review", body.clone()).await.ok(200);
    assert_eq!(review["submittable"], false);
    let refused = json!([{"id": ids[0], "name": "account 111", "sub_account_id": "111", "held_by": [{"id": other, "name": "Other"}]}]);
    assert_eq!(review["refused"], refused);
    assert_eq!(
        review["money"],
        json!([{"period": "2026-09", "currency": "USD", "from": null, "to": {"id": acme, "name": "Acme"},
        "charges": 1, "billed": "1.5"}])
    );
    let handed = json!({"tenant_id": acme, "from_tenant_id": other, "from_period": "2026-09", "subaccounts": ids});
    let review = app.post("/v1/subaccounts/review", handed.clone()).await.ok(200);
    assert_eq!(review["submittable"], true);
    let months: Vec<_> = review["months"].as_array().unwrap().iter().map(|m| (m["tenant"]["name"].clone(), m["effect"].clone())).collect();
    let mut expected = vec![(json!("Acme"), json!("new")), (json!("Other"), json!("withdrawn"))];
    expected.sort_by_key(|(name, _)| if name == "Acme" { acme.to_string() } else { other.to_string() });
    assert_eq!(months, expected);
    assert!(app.told().is_empty(), "a review changes nothing");
    assert_eq!(app.post("/v1/subaccounts/assign", handed).await.ok(200)["moved"].as_array().unwrap().len(), 2);
    let history = app.get(&format!("/v1/subaccounts/{}/history", ids[0])).await.ok(200);
    let told: Vec<_> =
        history["items"].as_array().unwrap().iter().map(|h| json!([h["tenant"], h["from_period"], h["until_period"]])).collect();
    assert_eq!(told, [json!(["Acme", "2026-09", null]), json!(["Other", null, "2026-09"])]);
    let path = format!("/v1/subaccounts/{}/tenant", ids[0]);
    app.delete(&format!("{path}?from_period=2026-10")).await.ok(200);
    assert_eq!(app.get(&format!("/v1/subaccounts/{}", ids[0])).await.ok(200)["from_period"], "2026-10");
    let empty = json!({"tenant_id": acme, "subaccounts": []});
    assert_eq!(app.post("/v1/subaccounts/review", empty).await.problem(), "422 invalid: select 1 to 10000 subaccounts");
    let wrong = json!({"tenant_id": acme, "from_period": "2026-13", "subaccounts": ids});
    assert!(app.post("/v1/subaccounts/assign", wrong).await.problem().starts_with("422 invalid: the body: from_period"));
}

#[tokio::test]
async fn a_virtual_integration_is_made_of_subaccounts_or_of_conditions() {
    let app = TestApp::new().await;
    let ids = app.bill(&["111", "222"]).await;
    let refused = async |body: Value| app.post("/v1/virtual-integrations", body).await.problem();
    assert_eq!(refused(json!({"name": "a"})).await, "422 invalid: say which charges: `subaccounts`, or `where` with conditions");
    let both = json!({"name": "a", "subaccounts": ids, "where": [{"column": "Tags.a", "not_null": true}]});
    assert_eq!(refused(both).await, "422 invalid: `subaccounts` or `where`, not both");
    let two = json!({"name": "a", "where": [{"column": "Tags.a", "not_null": true, "is_in": ["x"]}]});
    assert!(refused(two).await.starts_with("422 invalid: /where/0: a condition needs exactly one of is_in"));
    let unknown = json!({"name": "a", "where": [{"column": "Colour", "is_in": ["x"]}]});
    assert!(refused(unknown).await.starts_with("422 invalid: where[0]: bills have no column \"Colour\""));
    let conditions = json!([{"column": "Tags.team", "starts_with": ["web"]}]);
    let made = app.post("/v1/virtual-integrations", json!({"name": "Web team", "where": conditions})).await.ok(201);
    assert_eq!((&made["where"], &made["subaccounts"]), (&conditions, &json!([])));
    let path = format!("/v1/virtual-integrations/{}", made["id"].as_str().unwrap());
    let changed = app.put(&path, json!({"name": "Two accounts", "subaccounts": ids})).await.ok(200);
    assert_eq!((&changed["where"], &changed["subaccounts"], &changed["version"]), (&json!([]), &json!(ids), &json!(2)));
    assert_eq!(app.get("/v1/virtual-integrations?search=TWO").await.ok(200)["items"], json!([changed]));
    assert!(app.told().is_empty(), "nothing is rated again for a view");
    app.delete(&path).await.ok(204);
    assert!(app.get(&path).await.problem().starts_with("404 "));
}
