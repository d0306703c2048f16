//! One tenant's rules beside everyone else's: slow ones are rated aside, greedy ones end at their quota.

use super::World;
use super::deploying::until;
use super::world::{keeping, looping, pondering, zeroing};
use crate::events::Event;
use crate::jobs::{Change, DataDir};
use crate::store::{AssignmentFields, QuotaFields, Rule, RuleFields, Run, RunState, Tenant};

/// Two tenants of one bill.
async fn neighbours(world: &World) -> (Tenant, Tenant) {
    world.write_bill("aws", &[("2026-09", "111", "EC2", "1"), ("2026-09", "222", "S3", "2")]);
    world.integration("aws").await;
    (world.tenant("Bad", &["111"]).await, world.tenant("Good", &["222"]).await)
}

/// A rule that stays at one component.
async fn pinned(world: &World, title: &str, component: &[u8]) -> Rule {
    let digest = world.deploy(component).await.version.digest;
    let plugin = "fixture".to_owned();
    let fields = RuleFields { title: title.to_owned(), plugin, pinned_digest: Some(digest), config: serde_json::json!({}) };
    world.store.rule_create(&fields).await.unwrap()
}

/// Without telling anyone.
async fn give(world: &World, rule: &Rule, tenant: &Tenant) {
    let (rule_id, tenant_id) = (rule.id.clone(), Some(tenant.id.clone()));
    let fields = AssignmentFields { rule_id, tenant_id, position: None, from_period: None, to_period: None };
    world.store.assignment_create(&fields, None).await.unwrap();
}

async fn latest(world: &World, tenant: &Tenant) -> Run {
    world.all_runs().await.into_iter().rfind(|run| run.tenant_id == tenant.id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_rule_is_rated_aside_and_the_others_are_published_before_it() {
    let world = World::new().await;
    let (bad, good) = neighbours(&world).await;
    let (slow, quick) = (pinned(&world, "Slow", &pondering()).await, pinned(&world, "Quick", &zeroing(2)).await);
    give(&world, &slow, &bad).await;
    give(&world, &quick, &good).await;
    world.changed(Change::Assignments).await;
    let (of_bad, of_good) = (world.published(&bad).await.remove(0), world.published(&good).await.remove(0));
    assert_eq!((world.charged(&bad).await.as_str(), world.charged(&good).await.as_str()), ("1", "0"));
    assert_eq!(of_bad.by_rule[0].title, "Slow");
    assert!(of_good.finished_at < of_bad.finished_at, "{of_good:?} {of_bad:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_was_set_aside_does_not_come_back_before_its_rules_are_quick() {
    let world = World::new().await;
    let (bad, good) = neighbours(&world).await;
    let endless = pinned(&world, "Endless", &looping()).await;
    let (zero, keep) = (pinned(&world, "Zero", &zeroing(2)).await, pinned(&world, "Keep", &keeping(3)).await);
    give(&world, &endless, &bad).await;
    world.changed(Change::Assignments).await;
    assert_eq!(latest(&world, &bad).await.state, RunState::Failed);

    // Both change again: the slow one begins aside at once.
    give(&world, &keep, &bad).await;
    give(&world, &zero, &good).await;
    world.jobs.poke(Change::Assignments);
    until("the quick rule is published", async || world.charged(&good).await == "0").await;
    world.idle().await;
    let failed = latest(&world, &bad).await;
    assert!(latest(&world, &good).await.finished_at < failed.finished_at, "the endless rule is not waited for");
    assert_eq!((failed.state, failed.chain.len()), (RunState::Failed, 2));
    assert!(failed.failure.is_some_and(|reason| reason.contains("Endless")));
    assert_eq!(world.charged(&bad).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_takes_up_a_run_that_was_set_aside() {
    let world = World::new().await;
    let (bad, good) = neighbours(&world).await;
    let before = world.published(&bad).await;
    let slow = pinned(&world, "Slow", &pondering()).await;
    give(&world, &slow, &bad).await;
    world.jobs.poke(Change::Assignments);
    until("the slow rule is at work", async || latest(&world, &bad).await.state == RunState::Running).await;
    let folder = world.stop().await;
    // The rule is in the middle of a call, which a new process would not wait for.
    until("the folder is free", async || DataDir::open(&folder.path().join("data")).is_ok()).await;
    let world = World::restart_from(folder).await;
    world.idle().await;
    let after = world.published(&bad).await;
    assert_ne!(after[0].id, before[0].id);
    assert_eq!(after[0].by_rule[0].title, "Slow");
    assert_eq!(world.charged(&good).await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_beyond_its_tenants_quota_fails_with_what_it_used_and_what_to_do() {
    let world = World::new().await;
    let (bad, good) = neighbours(&world).await;
    let slow = pinned(&world, "Slow", &pondering()).await;
    let quota = QuotaFields { fuel: Some(5_000_000), ..QuotaFields::default() };
    world.store.quota_put(&bad.id, &quota, None).await.unwrap();
    give(&world, &slow, &bad).await;
    give(&world, &slow, &good).await;
    world.changed(Change::Assignments).await;
    let failed = latest(&world, &bad).await;
    let reason = failed.failure.clone().unwrap_or_default();
    for part in ["rule \"Slow\"", "quota", "of 5000000 instructions", "raise fuel with PUT /v1/tenants/", "retry"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(world.published(&good).await[0].by_rule[0].title, "Slow", "another tenant's quota is its own");

    world.store.quota_put(&bad.id, &QuotaFields::default(), None).await.unwrap();
    world.store.run_retry(&failed.id, None).await.unwrap();
    world.changed(Change::Runs).await;
    assert_eq!(world.published(&bad).await[0].id, failed.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_of_time_and_one_of_memory_end_a_run_too() {
    let world = World::new().await;
    let (bad, _) = neighbours(&world).await;
    let slow = pinned(&world, "Slow", &pondering()).await;
    let quota = QuotaFields { time_ms: Some(20), ..QuotaFields::default() };
    world.store.quota_put(&bad.id, &quota, None).await.unwrap();
    give(&world, &slow, &bad).await;
    world.changed(Change::Assignments).await;
    let failed = latest(&world, &bad).await;
    let reason = failed.failure.unwrap_or_default();
    assert!(reason.contains("of 20 ms: make the rule cheaper, or raise time_ms"), "{reason}");

    let greedy = pinned(&world, "Greedy", &super::world::hoarding()).await;
    let quota = QuotaFields { memory_mib: Some(2), ..QuotaFields::default() };
    world.store.quota_put(&bad.id, &quota, None).await.unwrap();
    for assignment in world.store.assignments(None, None, &crate::store::PageRequest::largest()).await.unwrap().items {
        world.store.assignment_delete(&assignment.id, None).await.unwrap();
    }
    give(&world, &greedy, &bad).await;
    world.changed(Change::Assignments).await;
    let reason = latest(&world, &bad).await.failure.unwrap_or_default();
    assert!(reason.contains("MiB of memory") && reason.contains("of 2 MiB: make the rule cheaper, or raise memory_mib"), "{reason}");
}

/// A tenant with bills in three currencies, which become due at once; gives the most runs of it that were ever
/// under way at the same time, and all that were published.
async fn most_at_once(component: &[u8], concurrent_runs: Option<i64>) -> (usize, usize) {
    let world = World::new().await;
    let tenant = world.tenant("Acme", &[]).await;
    let accounts = [("USD", "111"), ("EUR", "222"), ("GBP", "333")];
    for (currency, account) in accounts {
        world.write_bill_in(currency, currency, &[("2026-09", account, "S3", "2")]);
        world.integration(currency).await;
    }
    world.give(&accounts.map(|(_, account)| account), Some(&tenant)).await;
    let rule = pinned(&world, "Rule", component).await;
    world.store.quota_put(&tenant.id, &QuotaFields { concurrent_runs, ..QuotaFields::default() }, None).await.unwrap();
    let mut events = world.events.subscribe();
    give(&world, &rule, &tenant).await;
    world.changed(Change::Assignments).await;

    let (mut under_way, mut most) = (std::collections::BTreeSet::new(), 0);
    while let Ok(event) = events.try_recv() {
        let Event::Run { id, state, .. } = event else { continue };
        if state == "running" {
            assert!(under_way.insert(id), "a run begins once");
        } else if state != "queued" {
            under_way.remove(&id);
        }
        most = most.max(under_way.len());
    }
    assert!(under_way.is_empty(), "{under_way:?}");
    let published = world.published(&tenant).await;
    (most, published.into_iter().filter(|run| run.by_rule.iter().any(|effect| effect.title == "Rule")).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_one_concurrent_run_never_has_two_under_way() {
    assert_eq!(most_at_once(&keeping(1), Some(1)).await, (1, 3));
    assert_eq!(most_at_once(&keeping(1), Some(2)).await, (2, 3));
    assert_eq!(most_at_once(&keeping(1), None).await, (3, 3), "the default has room for all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_set_aside_counts_as_one_of_its_tenants_runs() {
    assert_eq!(most_at_once(&pondering(), Some(1)).await, (1, 3));
}
