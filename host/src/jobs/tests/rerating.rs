use super::World;
use super::world::{crediting, keeping, looping, zeroing};
use crate::jobs::Change;
use crate::store::{RunState, TenantFields};

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_subaccount_rates_again_its_old_and_its_new_holder_and_nobody_else() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "1"), ("2026-09", "222", "S3", "2"), ("2026-09", "333", "S3", "4")]);
    world.write_bill("azure", &[("2026-09", "444", "VM", "8")]);
    world.integration("aws").await;
    world.integration("azure").await;
    let a = world.tenant("A", &["111", "222"]).await;
    let b = world.tenant("B", &["333"]).await;
    let c = world.tenant("C", &["444"]).await;
    let (of_a, of_b, of_c) = (world.published(&a).await, world.published(&b).await, world.published(&c).await);
    world.give(&["222"], None).await;
    world.give(&["222"], Some(&b)).await;
    assert_ne!(world.published(&a).await[0].id, of_a[0].id);
    assert_ne!(world.published(&b).await[0].id, of_b[0].id);
    assert_eq!(world.published(&c).await, of_c);
    assert_eq!((world.charged(&a).await.as_str(), world.charged(&b).await.as_str()), ("1", "6"));
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_again_without_a_change_starts_no_run() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-08", "111", "EC2", "1"), ("2026-09", "111", "EC2", "1")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&keeping(1)).await;
    world.assign(&world.rule("Rule").await, None).await;
    let runs = world.all_runs().await;
    for _ in 0..2 {
        world.changed(Change::Rules).await;
    }
    let fields = TenantFields { name: "Acme Corporation".to_owned(), ..TenantFields::default() };
    world.store.tenant_update(&acme.id, &fields, None).await.unwrap();
    world.changed(Change::Tenants).await;
    assert_eq!(world.all_runs().await, runs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_looping_rule_fails_its_tenant_alone_and_is_not_tried_again_by_itself() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "1"), ("2026-09", "222", "S3", "2")]);
    world.integration("aws").await;
    let (bad, good) = (world.tenant("Bad", &["111"]).await, world.tenant("Good", &["222"]).await);
    let before = world.published(&bad).await;
    world.deploy(&looping()).await;
    let rule = world.rule("Endless").await;
    world.assign(&rule, Some(&bad)).await;
    let failed = world.all_runs().await.pop().unwrap();
    assert_eq!((failed.state, failed.tenant_id.as_str()), (RunState::Failed, bad.id.as_str()));
    assert!(failed.failure.as_deref().is_some_and(|reason| reason.contains("Endless")), "{failed:?}");
    assert_eq!(world.published(&bad).await, before);
    assert_eq!(world.charged(&good).await, "2");
    let overlay = world.data.overlays().join("2026-09").join(format!("{}.parquet", failed.id));
    assert!(!overlay.exists());

    let runs = world.run_ids().await;
    world.changed(Change::Rules).await;
    assert_eq!(world.run_ids().await, runs);
    world.deploy(&zeroing(2)).await;
    assert_eq!(world.charged(&bad).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_tried_again_when_asked() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "1")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    let deployed = world.deploy(&zeroing(1)).await;
    let stored = world.data.components().join(format!("{}.wasm", deployed.version.digest));
    let component = std::fs::read(&stored).unwrap();
    // A component whose file is lost cannot be loaded after a restart.
    std::fs::remove_file(&stored).unwrap();
    let world = world.restart().await;
    world.assign(&world.rule("Rule").await, None).await;
    let failed = world.all_runs().await.pop().unwrap();
    assert_eq!(failed.state, RunState::Failed, "{failed:?}");
    std::fs::write(&stored, component).unwrap();
    world.store.run_retry(&failed.id, None).await.unwrap();
    world.changed(Change::Runs).await;
    assert_eq!(world.published(&acme).await[0].id, failed.id);
    assert_eq!(world.charged(&acme).await, "0");
    assert!(world.store.run_retry(&failed.id, None).await.is_err(), "it is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_is_not_given_twice_and_a_changed_earlier_month_is_told_to_the_later_ones() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "100")]);
    let integration = world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&crediting()).await;
    world.assign(&world.rule("Credit").await, None).await;
    assert_eq!(world.charged(&acme).await, "90");
    // An earlier month comes in later: the credit moves there.
    world.write_bill("aws", &[("2026-08", "111", "EC2", "50"), ("2026-09", "111", "EC2", "100")]);
    world.changed(Change::Refresh { integration_id: integration.id }).await;
    let charged: Vec<String> = world.published(&acme).await.iter().map(|run| run.charged.unwrap().to_string()).collect();
    assert_eq!(charged, ["40", "100"]);
    let runs = world.run_ids().await;
    world.changed(Change::Rules).await;
    assert_eq!(world.run_ids().await, runs);
}
