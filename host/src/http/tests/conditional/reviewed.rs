//! What was reviewed is what happens: the ETag of a review.

use super::*;

#[tokio::test]
async fn what_was_reviewed_is_what_happens_or_nothing_does() {
    let mut world = World::new().await;
    let (acme, bolt) = (world.tenant().await, world.tenant().await);
    let ids = [world.subaccounts[0].clone(), world.subaccounts[1].clone()];
    let body = json!({"tenant_id": World::id(&acme), "from_period": "2026-09", "subaccounts": ids});
    let reviewed = async |app: &TestApp| {
        let review = app.post("/v1/subaccounts/review", body.clone()).await;
        review.header(header::ETAG).unwrap().to_owned()
    };
    let submit =
        async |app: &TestApp, tag: &str| app.call(Method::POST, "/v1/subaccounts/assign", &[("if-match", tag)], Some(body.clone())).await;
    // One of them is given away, and comes back: what the second review tells is what the first told.
    let first = reviewed(&world.app).await;
    let holder = format!("/v1/subaccounts/{}/tenant", ids[0]);
    world.app.put(&holder, json!({"tenant_id": World::id(&bolt)})).await.ok(200);
    assert!(submit(&world.app, &first).await.problem().starts_with("412 changed: the review of the subaccounts has changed"));
    world.app.delete(&holder).await.ok(200);
    assert_eq!(reviewed(&world.app).await, first);
    // The bill of a month in question is another one; the holders are the same.
    let integration = world.app.get("/v1/integrations").await.ok(200)["items"][0]["id"].as_str().unwrap().to_owned();
    let import = world.app.state.store.import_begin(&integration, "another digest", None).await.unwrap();
    let period = "2026-09".parse().unwrap();
    let bill = PeriodContent { period, parts: Vec::new(), charges: 0, totals: Vec::new(), report: json!({}), subaccounts: Vec::new() };
    world.app.state.store.import_publish(&import.id, &[bill]).await.unwrap();
    assert!(submit(&world.app, &first).await.problem().starts_with("412 changed: "));
    let second = reviewed(&world.app).await;
    // The tenant is not rated for any more.
    world.app.put(&format!("{acme}/state"), json!({"state": "suspended"})).await.ok(200);
    assert!(submit(&world.app, &second).await.problem().starts_with("412 changed: "));
    world.app.put(&format!("{acme}/state"), json!({"state": "active"})).await.ok(200);
    // What is not in question may change.
    world.app.put(&format!("/v1/subaccounts/{}/tenant", world.subaccounts[2]), json!({"tenant_id": World::id(&bolt)})).await.ok(200);
    assert_eq!(submit(&world.app, &second).await.ok(200)["moved"].as_array().unwrap().len(), 2);
    assert!(submit(&world.app, &second).await.problem().starts_with("412 changed: "), "it is done already");
}

#[tokio::test]
async fn the_review_of_a_rule_or_an_assignment_gives_the_etag_that_the_change_goes_by() {
    let mut world = World::new().await;
    let (rule, assignment, other) = (world.rule().await, world.assignment().await, world.assignment().await);
    let (id, body) = (World::id(&assignment), json!({"rule_id": World::id(&rule), "from_period": "2026-09"}));
    let changed = json!({"title": "Changed", "plugin": "fixture", "config": {}});
    let cases = [
        (rule.clone(), format!("{rule}/review"), changed),
        (assignment.clone(), "/v1/assignments/review".to_owned(), json!({"change": {"id": id, "to": body}})),
        (assignment.clone(), "/v1/assignments/review".to_owned(), json!({ "end": id })),
        ("/v1/assignments".to_owned(), "/v1/assignments/review".to_owned(), json!({"order": {"assignments": [World::id(&other), id]}})),
    ];
    for (read, review, body) in cases {
        let (read, review) = (world.app.get(&read).await, world.app.post(&review, body.clone()).await);
        assert!(review.status.is_success(), "{body}: {}", review.body);
        assert_eq!(review.header(header::ETAG), read.header(header::ETAG), "{body}");
        assert!(read.header(header::ETAG).is_some(), "{body}");
    }
}
