use std::time::Duration;

use super::World;
use super::previews::push;
use super::world::{keeping, looping, pondering, zeroing};
use crate::jobs::shadow::{ShadowSummary, summarise};
use crate::jobs::{Change, shadow};
use crate::store::{QuotaFields, Rule, RuleFields, ShadowState, StoreError};

/// What a shadow found once it has looked at so many runs.
async fn found(world: &World, id: &str, runs: usize) -> ShadowSummary {
    for _ in 0..12_000 {
        let looked = world.store.shadow_runs(id).await.unwrap();
        if looked.len() == runs {
            return shadow::summarise(looked);
        }
        assert!(looked.len() < runs, "it looked at {} runs", looked.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the shadow does not look at {runs} runs: {:?}", summarise(world.store.shadow_runs(id).await.unwrap()));
}

/// Makes every month be rated again.
async fn rename(world: &World, rule: &Rule, title: &str) {
    let fields = RuleFields { title: title.to_owned(), plugin: "fixture".to_owned(), pinned_digest: None, config: serde_json::json!({}) };
    world.store.rule_update(&rule.id, &fields, None).await.unwrap();
    world.changed(Change::Rules).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_looks_at_every_later_run_and_is_promoted() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10"), ("2026-09", "222", "S3", "5"), ("2026-09", "333", "S3", "1")]);
    world.integration("aws").await;
    let (acme, other, free) =
        (world.tenant("Acme", &["111"]).await, world.tenant("Other", &["222"]).await, world.tenant("Free", &["333"]).await);
    let active = world.deploy(&keeping(1)).await.version.digest;
    let rule = world.rule("Rule").await;
    world.assign(&rule, Some(&acme)).await;
    world.assign(&rule, Some(&other)).await;
    let candidate = push(&world, zeroing(2)).await;
    let shadow = world.store.shadow_create("fixture", &candidate).await.unwrap();
    assert!(matches!(world.store.shadow_create("fixture", &candidate).await, Err(StoreError::Conflict(_))));
    assert!(matches!(world.store.shadow_create("fixture", &active).await, Err(StoreError::Conflict(_))));
    assert!(
        world.plugins.delete_version("fixture", &candidate, &crate::store::Actor::named("test"), None).await.is_err(),
        "a running shadow keeps its version"
    );
    assert_eq!(world.store.shadow_runs(&shadow.id).await.unwrap(), [], "runs of before are not looked at");

    rename(&world, &rule, "Renamed").await;
    let summary = found(&world, &shadow.id, 2).await;
    assert_eq!((summary.diverged, summary.same, summary.failed), (2, 0, 0));
    assert_eq!([summary.totals[0].before, summary.totals[0].after].map(|a| a.to_string()), ["15", "0"]);
    assert_eq!((summary.tenants[0].tenant_id.as_str(), summary.tenants[0].delta.to_string()), (acme.id.as_str(), "-10".to_owned()));
    assert_eq!((summary.by_rule[0].title.as_str(), summary.by_rule[0].delta.to_string()), ("Renamed", "-15".to_owned()));
    assert_eq!(summary.samples[0].difference.as_ref().unwrap().top.len(), 1);
    assert_eq!(world.charged(&acme).await, "10", "the shadow does not reach the bill");

    // It goes on after a restart, and a run without the rule is counted apart.
    let world = world.restart().await;
    world.give(&["333"], None).await;
    world.give(&["333"], Some(&free)).await;
    rename(&world, &rule, "Again").await;
    let summary =
        found(&world, &shadow.id, if world.published(&free).await[0].finished_at >= Some(shadow.created_at) { 5 } else { 4 }).await;
    assert_eq!(summary.diverged, 4);
    world.plugins.activate("fixture", &candidate, &crate::store::Actor::named("test"), None).await.unwrap();
    world.store.shadow_end(&shadow.id, ShadowState::Promoted, None).await.unwrap();
    world.idle().await;
    assert_eq!(world.charged(&acme).await, "0");
    assert!(std::fs::read_dir(world.data.scratch()).unwrap().next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_loops_is_counted_and_the_run_does_not_notice() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&keeping(1)).await;
    let rule = world.rule("Rule").await;
    let candidate = push(&world, looping()).await;
    let shadow = world.store.shadow_create("fixture", &candidate).await.unwrap();
    world.assign(&rule, None).await;
    assert_eq!(world.charged(&acme).await, "10");
    let summary = found(&world, &shadow.id, 1).await;
    assert_eq!((summary.failed, summary.samples.len()), (1, 1));
    let reason = summary.samples[0].failure.as_deref().unwrap();
    assert!(reason.starts_with("rule \"Rule\": "), "{reason}");
    world.store.shadow_end(&shadow.id, ShadowState::Dropped, None).await.unwrap();
    rename(&world, &rule, "Renamed").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.store.shadow_runs(&shadow.id).await.unwrap().len(), 1, "a dropped shadow looks at nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_in_the_shadow_has_the_tenants_quota() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&keeping(1)).await;
    let quota = QuotaFields { fuel: Some(5_000_000), ..QuotaFields::default() };
    world.store.quota_put(&acme.id, &quota, None).await.unwrap();
    let rule = world.rule("Rule").await;
    let shadow = world.store.shadow_create("fixture", &push(&world, pondering()).await).await.unwrap();
    world.assign(&rule, None).await;
    let summary = found(&world, &shadow.id, 1).await;
    let reason = summary.samples[0].failure.as_deref().unwrap();
    assert!(reason.starts_with("rule \"Rule\": the tenant's quota of 5000000 instructions is used up"), "{reason}");
    assert_eq!(world.charged(&acme).await, "10");
}
