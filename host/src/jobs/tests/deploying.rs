use std::time::{Duration, Instant};

use super::World;
use super::world::{PATIENCE, keeping, pondering, zeroing};
use crate::jobs::Change;
use crate::plugins::{DeployError, watch_folder};
use crate::sandbox::tests::guest::Guest;
use crate::store::{AssignmentFields, Deployment, DeploymentFilter, DeploymentState, Origin, PageRequest, RunState};

/// The latest first.
async fn refusals(world: &World) -> Vec<Deployment> {
    let filter = DeploymentFilter { state: Some(DeploymentState::Refused), ..DeploymentFilter::default() };
    world.store.deployments(&filter, &PageRequest::largest()).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_rates_again_the_tenants_whose_chain_has_it() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10"), ("2026-09", "222", "S3", "5")]);
    world.integration("aws").await;
    let (acme, other) = (world.tenant("Acme", &["111"]).await, world.tenant("Other", &["222"]).await);
    world.deploy(&keeping(1)).await;
    world.assign(&world.rule("Rule").await, Some(&acme)).await;
    let (before, untouched) = (world.published(&acme).await, world.published(&other).await);
    assert_eq!(before[0].charged.unwrap().to_string(), "10");
    world.deploy(&zeroing(2)).await;
    let after = world.published(&acme).await;
    assert_ne!(after[0].id, before[0].id);
    assert_eq!((after[0].billed.unwrap().to_string(), after[0].charged.unwrap().to_string()), ("10".to_owned(), "0".to_owned()));
    assert_eq!(world.published(&other).await, untouched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_way_at_a_deploy_finishes_on_the_old_version_and_the_new_one_follows() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    let new = world.deploy(&zeroing(2)).await.version.digest;
    let old = world.deploy(&pondering()).await.version.digest;
    let before = world.run_ids().await;
    let rule = world.rule("Rule").await;
    let fields = AssignmentFields { rule_id: rule.id, tenant_id: None, position: None, from_period: None, to_period: None };
    world.store.assignment_create(&fields, None).await.unwrap();
    world.jobs.poke(Change::Assignments);
    let begun = async || world.all_runs().await.into_iter().find(|run| !before.contains(&run.id));
    until("the month is being rated", async || begun().await.is_some_and(|run| run.state == RunState::Running)).await;
    world.plugins.activate("fixture", &new, &crate::store::Actor::named("test"), None).await.unwrap();
    assert_eq!(begun().await.unwrap().state, RunState::Running, "it ended before the deploy: this machine is too fast for the test");

    until("the old version's run is published", async || begun().await.is_some_and(|run| run.state == RunState::Done)).await;
    world.idle().await;
    let runs: Vec<_> = world.all_runs().await.into_iter().filter(|run| !before.contains(&run.id)).collect();
    let told: Vec<_> = runs.iter().map(|run| (run.state, run.chain[0].digest.as_str(), run.charged.unwrap().to_string())).collect();
    assert_eq!(told, [(RunState::Done, old.as_str(), "10".to_owned()), (RunState::Done, new.as_str(), "0".to_owned())]);
    assert!(runs[1].created_at >= runs[0].finished_at.unwrap(), "the next run waits for the one under way");
    assert_eq!(world.published(&acme).await[0].id, runs[1].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_rule_itself_overtakes_the_run_under_way() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&pondering()).await;
    let before = world.run_ids().await;
    let rule = world.rule("Rule").await;
    let fields = AssignmentFields { rule_id: rule.id.clone(), tenant_id: None, position: None, from_period: None, to_period: None };
    let assignment = world.store.assignment_create(&fields, None).await.unwrap();
    world.jobs.poke(Change::Assignments);
    let begun = async || world.all_runs().await.into_iter().find(|run| !before.contains(&run.id));
    until("the month is being rated", async || begun().await.is_some_and(|run| run.state == RunState::Running)).await;
    world.store.assignment_delete(&assignment.id, Some(assignment.version)).await.unwrap();
    world.changed(Change::Assignments).await;
    assert_eq!(begun().await.unwrap().state, RunState::Superseded);
    assert_eq!(world.charged(&acme).await, "10");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_component_is_refused_with_a_reason_and_the_old_version_goes_on() {
    let world = World::new().await;
    let first = world.deploy(&keeping(1)).await;
    let mut damaged = keeping(2);
    damaged.truncate(damaged.len() / 2);
    let refused = world.plugins.deploy(damaged, Origin::Upload, "upload").await.unwrap_err();
    assert!(matches!(refused, DeployError::Refused(_)), "{refused}");
    let refused = world.plugins.deploy(b"PK not wasm".to_vec(), Origin::Folder, "zip.wasm").await.unwrap_err();
    assert!(matches!(refused, DeployError::Refused(_)), "{refused}");
    assert_eq!(world.store.plugin("fixture").await.unwrap().active_digest, first.version.digest);
    let told = refusals(&world).await;
    assert_eq!(told.len(), 2);
    assert_eq!((told[0].from.as_str(), told[0].refusal()), ("zip.wasm", refused.to_string().as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_refuses_a_rules_configuration_is_refused_and_names_the_rule() {
    let world = World::new().await;
    let first = world.deploy(&keeping(1)).await;
    world.rule("Our markup").await;
    let refused = world.plugins.deploy(Guest::refusing().build(), Origin::Upload, "upload").await.unwrap_err();
    assert_eq!(refused.to_string(), "one rule of this plugin would stop working: \"Our markup\" at /percent: is missing");
    assert_eq!(world.store.plugin("fixture").await.unwrap().active_digest, first.version.digest);
    assert_eq!(world.store.plugin_versions("fixture").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rolling_back_publishes_the_earlier_result_again_without_rating() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    let first = world.deploy(&keeping(1)).await;
    world.assign(&world.rule("Rule").await, None).await;
    let good = world.published(&acme).await;
    world.deploy(&zeroing(2)).await;
    assert_eq!(world.charged(&acme).await, "0");
    let runs = world.run_ids().await;
    world.plugins.activate("fixture", &first.version.digest, &crate::store::Actor::named("test"), None).await.unwrap();
    world.idle().await;
    assert_eq!(world.published(&acme).await[0].id, good[0].id);
    assert_eq!(world.run_ids().await, runs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_plugin_fails_its_runs_and_the_last_good_result_stays() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&keeping(1)).await;
    world.assign(&world.rule("Rule").await, None).await;
    let good = world.published(&acme).await;
    world.plugins.set_disabled("fixture", true, &crate::store::Actor::named("test"), None).await.unwrap();
    world.idle().await;
    assert_eq!(world.published(&acme).await, good);
    let last = world.all_runs().await.pop().unwrap();
    assert!(last.failure.as_deref().is_some_and(|reason| reason.contains("fixture is disabled")), "{last:?}");
    world.plugins.set_disabled("fixture", false, &crate::store::Actor::named("test"), None).await.unwrap();
    world.idle().await;
    assert_eq!(world.published(&acme).await[0].id, good[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_version_is_deleted_and_one_in_use_is_not() {
    let world = World::new().await;
    let first = world.deploy(&keeping(1)).await.version.digest;
    let second = world.deploy(&keeping(2)).await.version.digest;
    assert!(world.plugins.delete_version("fixture", &second, &crate::store::Actor::named("test"), None).await.is_err());
    world.plugins.delete_version("fixture", &first, &crate::store::Actor::named("test"), None).await.unwrap();
    let left: Vec<String> = world.store.plugin_versions("fixture").await.unwrap().into_iter().map(|v| v.digest).collect();
    assert_eq!(left, [second]);
    assert!(!world.data.components().join(format!("{first}.wasm")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_dropped_into_the_folder_is_deployed_and_a_bad_one_is_not() {
    let world = World::new().await;
    let watch = watch_folder(&world.plugins, &world.data.plugins()).unwrap();
    std::fs::write(world.data.plugins().join("rule.wasm"), keeping(1)).unwrap();
    let active = || async { world.store.plugin("fixture").await.ok().map(|plugin| plugin.active_digest) };
    until("the component is deployed", async || active().await.is_some()).await;
    let first = active().await;
    std::fs::write(world.data.plugins().join("rule.wasm"), b"\0asm and nonsense").unwrap();
    until("the bad file is refused", async || refusals(&world).await.len() == 1).await;
    assert_eq!(active().await, first);
    assert_eq!(refusals(&world).await[0].from, "rule.wasm");
    std::fs::write(world.data.plugins().join("other.wasm"), keeping(2)).unwrap();
    until("the next component is deployed", async || active().await != first).await;
    let files = std::fs::read_dir(world.data.plugins()).unwrap().count();
    assert_eq!(files, 2, "nothing is written into the author's folder");
    tokio::task::spawn_blocking(move || drop(watch)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_leaves_a_rolled_back_plugin_rolled_back() {
    let world = World::new().await;
    let first = world.deploy(&keeping(1)).await.version.digest;
    let watch = watch_folder(&world.plugins, &world.data.plugins()).unwrap();
    std::fs::write(world.data.plugins().join("rule.wasm"), keeping(2)).unwrap();
    until("the new version is active", async || world.store.plugin("fixture").await.unwrap().active_digest != first).await;
    tokio::task::spawn_blocking(move || drop(watch)).await.unwrap();
    world.plugins.activate("fixture", &first, &crate::store::Actor::named("test"), None).await.unwrap();
    let world = world.restart().await;
    let watch = watch_folder(&world.plugins, &world.data.plugins()).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.store.plugin("fixture").await.unwrap().active_digest, first);
    tokio::task::spawn_blocking(move || drop(watch)).await.unwrap();
}

pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < PATIENCE, "it does not come: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
