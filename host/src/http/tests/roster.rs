use super::*;

async fn import(app: &TestApp, query: &str, text: &str) -> Answer {
    let request = Request::builder().method(Method::POST).uri(format!("/v1/tenants/import{query}"));
    let request = request.header("authorization", format!("Bearer {}", app.token)).header("content-type", "text/csv");
    app.send(request.body(Body::from(text.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_list_is_tried_then_done_and_the_second_time_changes_nothing() {
    let app = TestApp::new().await;
    let ids = app.bill(&["111", "222", "333"]).await;
    app.post("/v1/tenants", json!({"name": "Acme", "contact_email": "old@msp.example"})).await.ok(201);
    app.told();
    let list = format!("name,contact,subaccounts\nacme,cloud+acme@msp.example,111;{}\nBolt,,333\n", ids[1]);
    let tried = import(&app, "?dry_run=true", &list).await.ok(200);
    assert_eq!((&tried["created"], &tried["updated"], &tried["assigned"]), (&json!(1), &json!(1), &json!(3)));
    assert_eq!(app.get("/v1/tenants").await.ok(200)["items"].as_array().unwrap().len(), 1);
    assert!(app.told().is_empty());
    let done = import(&app, "?from_period=2026-09", &list).await.ok(200);
    let told: Vec<_> =
        done["tenants"].as_array().unwrap().iter().map(|t| json!([t["action"], t["tenant"]["name"], t["assigned"]])).collect();
    assert_eq!(told, [json!(["update", "acme", ["111", "222"]]), json!(["create", "Bolt", ["333"]])]);
    assert_eq!(app.told(), [Change::Tenants, Change::Subaccounts]);
    assert_eq!(app.get(&format!("/v1/subaccounts/{}", ids[2])).await.ok(200)["from_period"], "2026-09");
    let again = import(&app, "?from_period=2026-09", &list).await.ok(200);
    assert_eq!((&again["kept"], &again["assigned"], &again["tenants"][0]["held"]), (&json!(2), &json!(0), &json!(2)));
}

#[tokio::test]
async fn a_partners_file_makes_its_customers_and_knows_them_again_under_another_name() {
    let app = TestApp::new().await;
    app.bill(&["s-1", "s-2"]).await;
    let first = "CustomerName,CustomerTenantId,SubscriptionId,Cost\nAcme,t-1,s-1,1\nAcme,t-1,s-1,2\nBolt,t-2,s-2,3\n";
    let made = import(&app, "", first).await.ok(200);
    assert_eq!((&made["created"], &made["assigned"]), (&json!(2), &json!(2)));
    let renamed = "CustomerName,CustomerTenantId,SubscriptionId,Cost\nAcme International,t-1,s-1,1\n";
    let known = import(&app, "", renamed).await.ok(200);
    assert_eq!((&known["kept"], &known["tenants"][0]["tenant"]["name"]), (&json!(1), &json!("Acme")));
}

#[tokio::test]
async fn a_list_with_faults_does_nothing_and_names_every_one_by_line_and_column() {
    let app = TestApp::new().await;
    let ids = app.bill(&["111", "222"]).await;
    let other = app.post("/v1/tenants", json!({"name": "Other", "contact_email": "o@msp.example"})).await.ok(201)["id"].clone();
    app.put(&format!("/v1/subaccounts/{}/tenant", ids[0]), json!({"tenant_id": other})).await.ok(200);
    let list = "name,contact,subaccounts\nAcme,nobody,222\nBolt,o@msp.example,222\nCord,,111;999\n";
    let refused = import(&app, "", list).await;
    let faults: Vec<(String, String)> = serde_json::from_value::<Vec<Value>>(refused.body["errors"].clone())
        .unwrap()
        .iter()
        .map(|fault| (fault["pointer"].as_str().unwrap().to_owned(), fault["detail"].as_str().unwrap().to_owned()))
        .collect();
    let fault = |place: &str, detail: &str| (place.to_owned(), detail.to_owned());
    let held = format!("the subaccount account 111 ({}) is held by the tenant Other ({})", ids[0], other.as_str().unwrap());
    let expected = [
        fault("line 2, column contact", "\"nobody\" is not an e-mail address"),
        fault("line 3, column contact", "the tenant Other has the contact o@msp.example already"),
        fault("line 4, column subaccounts", "no bill has named the subaccount 999: refresh its integration first"),
        fault("line 4, column subaccounts", &held),
    ];
    assert_eq!(faults, expected);
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.get("/v1/tenants").await.ok(200)["items"].as_array().unwrap().len(), 1);
}
