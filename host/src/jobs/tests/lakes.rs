use std::sync::Arc;

use super::World;
use super::world::keeping;
use crate::clock::Moment;
use crate::depot::Remote;
use crate::jobs::litter::sweep;
use crate::jobs::place::PlaceError;
use crate::store::NewRun;

const LATER: Moment = Moment(i64::MAX);

async fn names(bucket: &Remote) -> Vec<String> {
    let mut names = Vec::new();
    bucket.list(|object| names.push(object.name)).await.unwrap();
    names.sort();
    names
}

async fn refused(folder: &Arc<tempfile::TempDir>, bucket: Option<&Remote>) -> PlaceError {
    match bucket {
        Some(bucket) => World::with_bucket(Arc::clone(folder), bucket).await.err().unwrap(),
        None => World::open(Arc::clone(folder), None).await.err().unwrap(),
    }
}

/// A tenant with one month of one charge of ten, rated by one rule.
async fn one_month(world: &World) -> crate::store::Tenant {
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&keeping(1)).await;
    world.assign(&world.rule("Rule").await, None).await;
    assert_eq!(world.charged(&acme).await, "10");
    acme
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_takes_a_bucket_has_everything_there_and_needs_it_from_then_on() {
    let (bucket, folder) = (Remote::in_memory(), Arc::new(tempfile::tempdir().unwrap()));
    let world = World::restart_from(Arc::clone(&folder)).await;
    let acme = one_month(&world).await;
    world.stop().await;

    let world = World::with_bucket(Arc::clone(&folder), &bucket).await.unwrap();
    let there = names(&bucket).await;
    let ends = |ending: &str| there.iter().filter(|name| name.ends_with(ending)).count();
    assert_eq!((ends("-00000.parquet"), ends(".wasm"), ends("rerate.lake")), (1, 1, 1), "{there:?}");
    assert_eq!(there.iter().filter(|name| name.starts_with("lake/rated/2026-09/run_")).count(), 2, "{there:?}");
    let data = world.data.root().to_owned();
    world.stop().await;
    let in_bucket = refused(&folder, None).await;
    assert!(matches!(&in_bucket, PlaceError::InBucket(known) if known == "s3://lake/msp"), "{in_bucket}");
    let elsewhere = refused(&folder, Some(&bucket.below("elsewhere"))).await;
    assert!(matches!(elsewhere, PlaceError::Elsewhere { .. }), "{elsewhere}");

    // What is lost in the folder comes back, and what follows from it is rated.
    for lost in ["lake", "plugins-store"] {
        std::fs::remove_dir_all(data.join(lost)).unwrap();
    }
    let world = World::with_bucket(Arc::clone(&folder), &bucket).await.unwrap();
    world.idle().await;
    world.deploy(&super::world::zeroing(2)).await;
    assert_eq!(world.charged(&acme).await, "0");
    assert_eq!(names(&bucket).await.len(), there.len() + 2, "the rated charges and the component");

    bucket.remove(["rerate.lake".to_owned()]).await.unwrap();
    world.stop().await;
    let unmarked = refused(&folder, Some(&bucket)).await;
    assert!(matches!(unmarked, PlaceError::Unmarked(_)), "{unmarked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_refused_to_another_database_and_to_a_folder_that_lost_its_bills() {
    let (bucket, folder) = (Remote::in_memory(), Arc::new(tempfile::tempdir().unwrap()));
    World::with_bucket(Arc::new(tempfile::tempdir().unwrap()), &bucket).await.unwrap().stop().await;
    let world = World::restart_from(Arc::clone(&folder)).await;
    one_month(&world).await;
    let snapshot = world.store.snapshots_published(None).await.unwrap().remove(0);
    let path = world.data.lake().join(&snapshot.location).join(&snapshot.parts[0].file_name);
    world.stop().await;
    let foreign = refused(&folder, Some(&bucket)).await;
    assert!(matches!(foreign, PlaceError::Foreign(_)), "{foreign}");
    let other = bucket.below("of-its-own");
    let content = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"cut").unwrap();
    let missing = refused(&folder, Some(&other)).await;
    assert!(missing.to_string().starts_with("1 files that the database names are neither in"), "{missing}");
    // It is not taken yet: the folder alone still is what counts.
    std::fs::write(&path, content).unwrap();
    World::restart_from(Arc::clone(&folder)).await.stop().await;
    World::with_bucket(folder, &other).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_key_of_the_secrets_a_daemon_does_not_start() {
    let (bucket, folder) = (Remote::in_memory(), Arc::new(tempfile::tempdir().unwrap()));
    let world = World::with_bucket(Arc::clone(&folder), &bucket).await.unwrap();
    let key = world.data.root().join("secrets.key");
    let secrets = crate::secrets::Secrets::of(world.data.root(), world.store.clock().clone()).unwrap();
    let old = std::fs::read_to_string(&key).unwrap();
    secrets.add_key().unwrap();
    crate::jobs::place::seal_again(&world.store, &secrets).await.unwrap().unwrap();
    world.stop().await;
    World::with_bucket(Arc::clone(&folder), &bucket).await.unwrap().stop().await;
    std::fs::write(&key, old).unwrap();
    let refused = refused(&folder, Some(&bucket)).await;
    assert!(matches!(refused, PlaceError::OtherKey), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_nothing_names_go_when_they_are_old_and_what_is_under_way_stays() {
    let bucket = Remote::in_memory();
    let world = World::with_bucket(Arc::new(tempfile::tempdir().unwrap()), &bucket).await.unwrap();
    let acme = one_month(&world).await;
    let named = names(&bucket).await;
    world.jobs.stop().await;
    let integration = world.store.snapshots_published(None).await.unwrap().remove(0).integration_id;
    let import = world.store.import_begin(&integration, "digest", None).await.unwrap();
    let done = world.published(&acme).await.remove(0);
    let next = NewRun {
        tenant_id: acme.id.clone(),
        period: done.period,
        currency: done.currency.clone(),
        identity: "of a run that is being rated".to_owned(),
        chain: Vec::new(),
        snapshots: done.snapshots.clone(),
    };
    let pending = world.store.run_enqueue(&next).await.unwrap();
    let under_way = [format!("lake/{}/2026-09-00000.parquet", import.id), format!("lake/rated/2026-09/{}.parquet", pending.id)];
    let strays = ["lake/snp_0/2026-09-00000.parquet", "lake/rated/2026-09/run_0.parquet", "plugins-store/00.wasm"].map(str::to_owned);
    for name in under_way.iter().chain(&strays) {
        bucket.write_text(name, "content").await.unwrap();
    }
    bucket.write_text("somebody-elses", "content").await.unwrap();
    assert_eq!(sweep(&world.store, &bucket, Moment(0)).await.unwrap(), 0, "they are new");
    assert_eq!(sweep(&world.store, &bucket, LATER).await.unwrap(), 3);
    let mut expected = [&named[..], &under_way, &["somebody-elses".to_owned()]].concat();
    expected.sort();
    assert_eq!(names(&bucket).await, expected);
}
