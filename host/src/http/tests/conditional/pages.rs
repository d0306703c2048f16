//! Lists, page by page.

use super::*;

#[tokio::test]
async fn lists_come_in_pages_that_are_the_list_together() {
    let mut world = World::new().await;
    let tenant = world.tenant().await;
    for name in ["b", "a", "c"] {
        world.key().await;
        world.make("/v1/tokens", json!({"name": name, "role": "viewer", "service": true})).await;
        world.make(&format!("{tenant}/cost-centers"), json!({"name": name, "subaccounts": []})).await;
        let own = json!({"name": name, "kind": "folder", "location": format!("/bills/{name}"), "tenant_id": World::id(&tenant)});
        world.make("/v1/integrations", own).await;
    }
    let subaccount = format!("/v1/subaccounts/{}", world.subaccounts[0]);
    for period in ["2026-07", "2026-08", "2026-09"] {
        world.app.delete(&format!("{subaccount}/tenant")).await.ok(200);
        world.app.put(&format!("{subaccount}/tenant"), json!({"tenant_id": World::id(&tenant), "from_period": period})).await.ok(200);
    }
    for list in [
        "/v1/keys".to_owned(),
        "/v1/tokens".to_owned(),
        format!("{tenant}/cost-centers"),
        format!("{tenant}/integrations"),
        format!("{subaccount}/history"),
        "/v1/plugins/fixture/versions".to_owned(),
    ] {
        let whole = world.app.get(&list).await.ok(200);
        assert_eq!(whole.get("next"), None, "{list}");
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let page = world.app.get(&format!("{list}?limit=1{after}")).await.ok(200);
            items.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={}", next.replace(' ', "%20"));
        }
        assert!(items.len() > 1, "{list}");
        assert_eq!(json!(items), whole["items"], "{list}");
    }
    let names: Vec<Value> =
        world.app.get("/v1/tokens").await.ok(200)["items"].as_array().unwrap().iter().map(|t| t["name"].clone()).collect();
    assert_eq!(names, ["test", "b", "a", "c"], "oldest first");
    let history = world.app.get(&format!("{subaccount}/history?limit=1")).await.ok(200);
    assert_eq!((&history["items"][0]["from_period"], &history["items"][0]["in_effect"]), (&json!("2026-09"), &json!(true)), "latest first");
    for list in ["/v1/keys".to_owned(), format!("{subaccount}/history")] {
        let refused = world.app.get(&format!("{list}?after=nonsense")).await.problem();
        assert_eq!(refused, "422 invalid: not a page of this list");
    }
}
