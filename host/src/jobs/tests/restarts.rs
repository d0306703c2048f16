use super::World;
use super::world::{keeping, zeroing};
use crate::clock::{Clock, Moment};
use crate::store::{Actor, RunState};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_an_idle_daemon_does_nothing() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&keeping(1)).await;
    world.assign(&world.rule("Rule").await, None).await;
    let (runs, snapshots) = (world.all_runs().await, world.store.snapshots_published(None).await.unwrap());
    let world = world.restart().await;
    world.idle().await;
    assert_eq!(world.all_runs().await, runs);
    assert_eq!(world.store.snapshots_published(None).await.unwrap(), snapshots);
    assert_eq!(world.charged(&acme).await, "10");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_crash_left_running_is_rated_at_the_next_start() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    let done = world.published(&acme).await.remove(0);
    let (store, overlays) = (world.store.clone(), world.data.overlays());
    world.jobs.stop().await;
    // As a crash in the middle of a rating leaves it: the run is running, its file half written.
    let next = crate::store::NewRun {
        tenant_id: acme.id.clone(),
        period: done.period,
        currency: done.currency.clone(),
        identity: "of a chain that was never published".to_owned(),
        chain: Vec::new(),
        snapshots: done.snapshots.clone(),
    };
    let crashed = store.run_enqueue(&next).await.unwrap();
    store.run_start(&crashed.id).await.unwrap();
    let half = overlays.join("2026-09").join(format!("{}.parquet.unfinished", crashed.id));
    std::fs::write(&half, b"PAR1").unwrap();
    let world = world.restart().await;
    world.idle().await;
    assert!(!half.exists());
    assert_eq!(world.store.run(&crashed.id).await.unwrap().state, RunState::Superseded);
    assert_eq!(world.published(&acme).await[0].id, done.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_run_with_the_wanted_identity_is_taken_up_and_not_queued_twice() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&zeroing(1)).await;
    world.assign(&world.rule("Rule").await, None).await;
    let wanted = world.published(&acme).await.remove(0);
    let (store, folder) = (world.store.clone(), world.data.lake());
    world.jobs.stop().await;
    // The same run again, as if the process had ended before it was published, and its file were lost.
    std::fs::remove_file(folder.join(wanted.overlay.as_deref().unwrap())).unwrap();
    store.run_withdraw(&acme.id, wanted.period, &wanted.currency).await.unwrap();
    let again = crate::store::NewRun {
        tenant_id: acme.id.clone(),
        period: wanted.period,
        currency: wanted.currency.clone(),
        identity: wanted.identity.clone(),
        chain: wanted.chain.clone(),
        snapshots: wanted.snapshots.clone(),
    };
    let again = store.run_enqueue(&again).await.unwrap();
    store.run_start(&again.id).await.unwrap();
    let world = world.restart().await;
    world.idle().await;
    assert_eq!(world.published(&acme).await[0].id, again.id);
    assert_eq!(world.charged(&acme).await, "0");
    assert_eq!(world.all_runs().await.last().unwrap().id, again.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_a_crash_left_is_removed_and_done_again() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    let integration = world.integration("aws").await;
    let store = world.store.clone();
    world.jobs.stop().await;
    let import = store.import_begin(&integration.id, "digest", None).await.unwrap();
    let half = world.data.lake().join(&import.id);
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("part.parquet.unfinished"), b"PAR1").unwrap();
    world.write_bill("aws", &[("2026-09", "111", "EC2", "11")]);
    let folder = world.stop().await;
    let world = World::restart_from(folder).await;
    world.idle().await;
    assert!(!half.exists());
    assert_eq!(world.store.imports().await.unwrap(), []);
    let published = world.store.snapshots_published(None).await.unwrap();
    assert_eq!(published[0].totals[0].billed.to_string(), "11");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_while_the_daemon_was_stopped_lets_what_fails_fail_once() {
    let world = World::with_clock(Clock::scripted(Moment(2_200_000_000_000))).await; // the year 2039
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    world.tenant("Acme", &["111"]).await;
    world.deploy(&keeping(1)).await;
    world.assign(&world.rule("Rule").await, None).await;
    let before = world.all_runs().await.len();
    let world = world.restart().await;
    world.plugins.set_disabled("fixture", true, &Actor::named("test"), None).await.unwrap();
    world.idle().await;
    let states: Vec<RunState> = world.all_runs().await.into_iter().skip(before).map(|run| run.state).collect();
    assert_eq!(states, [RunState::Failed]);
}
