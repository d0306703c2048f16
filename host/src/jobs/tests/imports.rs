use super::World;
use crate::jobs::Change;
use crate::store::{IntegrationStatus, PageRequest, Snapshot};

async fn snapshots(world: &World) -> Vec<Snapshot> {
    world.store.snapshots(None, None, &PageRequest::largest()).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_imported_once_and_a_changed_one_replaces_its_period() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-08", "111", "EC2", "1"), ("2026-09", "111", "EC2", "2")]);
    let integration = world.integration("aws").await;
    assert_eq!(integration.status, IntegrationStatus::Stable, "{:?}", integration.error);
    let first = snapshots(&world).await;
    assert_eq!(first.iter().map(|s| s.period.to_string()).collect::<Vec<_>>(), ["2026-08", "2026-09"]);
    let again = || Change::Refresh { integration_id: integration.id.clone() };
    world.changed(again()).await;
    assert_eq!(snapshots(&world).await, first);
    world.write_bill("aws", &[("2026-09", "111", "EC2", "3")]);
    world.changed(again()).await;
    let published = world.store.snapshots_published(None).await.unwrap();
    assert_eq!(published.iter().map(|s| s.totals[0].billed.to_string()).collect::<Vec<_>>(), ["1", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_bill_is_told_by_file_line_and_column_and_the_published_snapshot_stays() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "2")]);
    let integration = world.integration("aws").await;
    let good = snapshots(&world).await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "2"), ("2026-09", "111", "EC2", "two")]);
    world.changed(Change::Refresh { integration_id: integration.id.clone() }).await;
    let integration = world.store.integration(&integration.id).await.unwrap();
    assert_eq!(integration.status, IntegrationStatus::Error);
    let error = integration.error.unwrap();
    assert!(["bill.csv", "line 3", "Cost", "\"two\""].iter().all(|part| error.contains(part)), "{error}");
    assert_eq!(snapshots(&world).await, good);
    assert_eq!(world.store.imports().await.unwrap(), []);
    let folders = std::fs::read_dir(world.data.lake()).unwrap().count();
    assert_eq!(folders, 2, "the snapshot's folder and the rated files'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_has_nothing_of_a_published_month_is_told_and_the_month_stays() {
    let world = World::new().await;
    let folder = world.write_bill("aws", &[]);
    let manifest = serde_json::json!({"assemblyId": "a1", "reportName": "r", "reportKeys": ["bill.csv"],
        "billingPeriod": {"start": "20260901T000000.000Z"}});
    std::fs::write(folder.join("r-Manifest.json"), manifest.to_string()).unwrap();
    let integration = world.integration("aws").await;
    assert_eq!(integration.status, IntegrationStatus::Stable, "a month may begin without charges: {:?}", integration.error);
    let refreshed = async || {
        world.changed(Change::Refresh { integration_id: integration.id.clone() }).await;
        world.store.integration(&integration.id).await.unwrap()
    };
    world.write_bill("aws", &[("2026-09", "111", "EC2", "2")]);
    assert_eq!(refreshed().await.status, IntegrationStatus::Stable);
    let good = snapshots(&world).await;
    assert_eq!(good.len(), 1);
    world.write_bill("aws", &[]);
    let emptied = refreshed().await;
    assert_eq!(emptied.status, IntegrationStatus::Error);
    let error = emptied.error.unwrap();
    assert!(error.contains("r-Manifest.json, lists no charge of 2026-09, of which 1 are published"), "{error}");
    assert_eq!(snapshots(&world).await, good);
    assert_eq!(world.store.imports().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_holds_is_unassigned_and_tenants_and_unassigned_add_up_to_the_source() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10.10"), ("2026-09", "222", "S3", "0.000000000000000001")]);
    world.integration("aws").await;
    let split = world.store.splits(None).await.unwrap().remove(0);
    assert_eq!((split.source, split.tenants.len()), (split.unassigned, 0));
    let acme = world.tenant("Acme", &["111"]).await;
    let split = world.store.splits(None).await.unwrap().remove(0);
    assert!(split.balances());
    assert_eq!((split.unassigned.to_string(), split.source.to_string()), ("0.000000000000000001".into(), "10.100000000000000001".into()));
    assert_eq!(split.tenants[0].tenant_id, acme.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_integration_leaves_its_tenants_without_a_bill() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    let integration = world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    assert_eq!(world.charged(&acme).await, "10");
    world.store.integration_delete(&integration.id, None).await.unwrap();
    world.changed(Change::Integrations).await;
    assert_eq!(world.published(&acme).await, []);
    assert_eq!(world.store.splits(None).await.unwrap(), []);
}
