use std::time::Duration;

use serde_json::json;

use super::World;
use super::world::{crediting, keeping, looping, pondering, zeroing};
use crate::domain::period::Period;
use crate::jobs::Change;
use crate::jobs::preview::{ChainRuleChange, PreviewRequest, PreviewResult, VersionChange};
use crate::plugins::Submission;
use crate::store::{AssignmentFields, Origin, Preview, PreviewState, QuotaFields, RuleFields, Tenant};

/// A version that is stored and not active.
pub(super) async fn push(world: &World, component: Vec<u8>) -> String {
    let digest = crate::plugins::digest_of(&component);
    let submission = Submission {
        bytes: component,
        origin: Origin::Upload,
        from: "upload".to_owned(),
        by: crate::store::Actor::named("test"),
        activate: false,
        dry_run: false,
    };
    world.plugins.submit(submission).await.unwrap().1.unwrap();
    digest
}

fn version(digest: &str) -> PreviewRequest {
    let plugin = VersionChange { name: "fixture".to_owned(), digest: digest.to_owned(), against: None, pinned: false };
    PreviewRequest { plugin: Some(plugin), ..PreviewRequest::default() }
}

async fn ended(world: &World, request: &PreviewRequest) -> Preview {
    request.check(&world.store).await.unwrap();
    let preview = world.store.preview_create(&serde_json::to_value(request).unwrap()).await.unwrap();
    world.jobs.poke(Change::Previews { deleted: None });
    for _ in 0..12_000 {
        let now = world.store.preview(&preview.id).await.unwrap();
        if matches!(now.state, PreviewState::Done | PreviewState::Failed) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the preview does not end");
}

async fn previewed(world: &World, request: &PreviewRequest) -> PreviewResult {
    let ended = ended(world, request).await;
    assert_eq!(ended.failure, None);
    assert!(std::fs::read_dir(world.data.scratch()).unwrap().next().is_none(), "a preview leaves files behind");
    serde_json::from_value(ended.result.unwrap()).unwrap()
}

/// Two months of two tenants under one rule.
async fn world(component: &[u8]) -> (World, Tenant, Tenant) {
    let world = World::new().await;
    let months = ["2026-08", "2026-09"];
    let of = |period| [(period, "111", "EC2", "10.25"), (period, "111", "S3", "0.5"), (period, "222", "EC2", "5")];
    let lines: Vec<(&str, &str, &str, &str)> = months.into_iter().flat_map(of).collect();
    world.write_bill("aws", &lines);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    let other = world.tenant("Other", &["222"]).await;
    world.deploy(component).await;
    world.assign(&world.rule("Rule").await, None).await;
    (world, acme, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_is_previewed_before_it_is_active_and_publishes_nothing() {
    let (world, acme, _) = world(&keeping(1)).await;
    let before = (world.run_ids().await, world.published(&acme).await);
    let digest = push(&world, zeroing(2)).await;
    let result = previewed(&world, &version(&digest)).await;
    assert_eq!((result.months.len(), result.untouched, result.same, result.failed), (4, 0, 0, 0));
    let total = &result.totals[0];
    assert_eq!([total.before, total.after, total.delta].map(|a| a.to_string()), ["31.5", "0", "-31.5"]);
    assert_eq!((total.by_rule[0].title.as_str(), total.by_rule[0].delta.to_string()), ("Rule", "-31.5".to_owned()));
    let services: Vec<_> = total.by_service.iter().map(|s| (s.service.as_deref().unwrap(), s.delta.to_string(), s.changed)).collect();
    assert_eq!(services, [("EC2", "-30.5".to_owned(), 4), ("S3", "-1".to_owned(), 2)]);
    let month = result.months.iter().find(|month| month.tenant == "Acme").unwrap();
    let difference = month.difference.as_ref().unwrap();
    assert_eq!((difference.counts.charges, difference.counts.amounts, difference.counts.treatments), (2, 2, 0));
    let lines: Vec<_> = difference.top.iter().map(|line| (line.service.as_deref().unwrap(), line.delta.to_string())).collect();
    assert_eq!(lines, [("EC2", "-10.25".to_owned()), ("S3", "-0.5".to_owned())]);
    assert_eq!((world.run_ids().await, world.published(&acme).await), before);

    let only = PreviewRequest { periods: vec!["2026-09".parse::<Period>().unwrap()], tenants: vec![acme.id.clone()], ..version(&digest) };
    let result = previewed(&world, &only).await;
    assert_eq!(
        result.months.iter().map(|m| (m.tenant.as_str(), m.period.to_string())).collect::<Vec<_>>(),
        [("Acme", "2026-09".to_owned())]
    );
    // The version that is active already is in every chain, and changes none.
    let active = world.store.plugin("fixture").await.unwrap().active_digest;
    let result = previewed(&world, &version(&active)).await;
    assert_eq!((result.months.len(), result.untouched, result.already), (0, 0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_fails_gives_its_reason_for_each_tenant_and_harms_nothing() {
    let (world, acme, _) = world(&keeping(1)).await;
    let good = world.published(&acme).await;
    let digest = push(&world, looping()).await;
    let result = previewed(&world, &PreviewRequest { periods: vec![good[0].period], ..version(&digest) }).await;
    assert_eq!((result.failed, result.totals.len()), (2, 0));
    for month in &result.months {
        let reason = month.failure.as_deref().unwrap();
        assert!(reason.starts_with("rule \"Rule\": ") && month.after.is_none(), "{reason}");
    }
    assert_eq!(world.published(&acme).await, good);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chain_knows_what_its_rules_would_have_charged_in_the_months_before() {
    let (world, acme, other) = world(&keeping(1)).await;
    let credit = push(&world, crediting()).await;
    let rule = ChainRuleChange {
        rule_id: None,
        title: "Credit once".to_owned(),
        plugin: "fixture".to_owned(),
        digest: Some(credit),
        config: json!({}),
    };
    let request = PreviewRequest { chain: Some(vec![rule]), ..PreviewRequest::default() };
    let result = previewed(&world, &request).await;
    let of = |tenant: &Tenant| -> Vec<String> {
        result.months.iter().filter(|m| m.tenant_id == tenant.id).map(|m| m.delta.unwrap().to_string()).collect()
    };
    // The credit of 10 is given in August, and September is told of it.
    assert_eq!((of(&acme), of(&other)), (vec!["-10".to_owned(), "0".to_owned()], vec!["-10".to_owned(), "0".to_owned()]));
    let difference = result.months[0].difference.as_ref().unwrap();
    assert_eq!((difference.counts.added_before, difference.counts.added_after, difference.counts.changed), (0, 1, 0));
    let titles: Vec<_> = difference.by_rule.iter().map(|rule| (rule.title.as_str(), rule.before.is_some(), rule.after.is_some())).collect();
    assert_eq!(titles, [("Rule", true, false), ("Credit once", false, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_a_stopped_daemon_left_is_computed_by_the_next_one() {
    let (world, _, _) = world(&keeping(1)).await;
    let digest = push(&world, zeroing(2)).await;
    let preview = world.store.preview_create(&serde_json::to_value(version(&digest)).unwrap()).await.unwrap();
    world.store.preview_start_next().await.unwrap();
    let world = world.restart().await;
    for _ in 0..12_000 {
        if world.store.preview(&preview.id).await.unwrap().state == PreviewState::Done {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the preview does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn bills_come_in_and_are_rated_while_a_preview_is_computed() {
    let (world, acme, _) = world(&keeping(1)).await;
    let digest = push(&world, zeroing(2)).await;
    let preview = world.store.preview_create(&serde_json::to_value(version(&digest)).unwrap()).await.unwrap();
    world.jobs.poke(Change::Previews { deleted: None });
    world.write_bill("azure", &[("2026-10", "444", "VM", "3")]);
    world.integration("azure").await;
    world.give(&["444"], Some(&acme)).await;
    assert_eq!(world.published(&acme).await.last().unwrap().charged.unwrap().to_string(), "3");
    for _ in 0..12_000 {
        let now = world.store.preview(&preview.id).await.unwrap();
        if now.state == PreviewState::Done {
            let result: PreviewResult = serde_json::from_value(now.result.unwrap()).unwrap();
            assert_eq!((result.failed, result.months.iter().filter(|month| month.period.to_string() != "2026-10").count()), (0, 4));
            return;
        }
        assert_ne!(now.state, PreviewState::Failed, "{:?}", now.failure);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the preview does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_has_each_tenants_quota_and_no_more() {
    let (world, acme, other) = world(&keeping(1)).await;
    let quota = QuotaFields { fuel: Some(5_000_000), ..QuotaFields::default() };
    world.store.quota_put(&acme.id, &quota, None).await.unwrap();
    let slow = push(&world, pondering()).await;
    let request = PreviewRequest { periods: vec!["2026-09".parse().unwrap()], ..version(&slow) };
    let result = previewed(&world, &request).await;
    let of = |tenant: &Tenant| result.months.iter().find(|month| month.tenant_id == tenant.id).unwrap();
    let reason = of(&acme).failure.clone().unwrap_or_default();
    for part in ["rule \"Rule\": the tenant's quota of 5000000 instructions", "raise fuel with PUT /v1/tenants/"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!((of(&other).failure.clone(), of(&other).delta.map(|delta| delta.to_string())), (None, Some("0".to_owned())));

    // Versions that are compared are both held to it.
    let quick = push(&world, zeroing(2)).await;
    let plugin = VersionChange { name: "fixture".to_owned(), digest: quick, against: Some(slow), pinned: false };
    let request = PreviewRequest { tenants: vec![acme.id.clone()], plugin: Some(plugin), ..request };
    let reason = previewed(&world, &request).await.months[0].failure.clone().unwrap_or_default();
    assert!(reason.starts_with("the version that it is compared with fails: rule \"Rule\": the tenant's quota"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_without_anything_published_are_named_with_the_reason() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "1"), ("2026-09", "222", "S3", "2")]);
    world.integration("aws").await;
    let broken = world.deploy(&looping()).await.version.digest;
    let pinned = RuleFields { title: "Endless".to_owned(), plugin: "fixture".to_owned(), pinned_digest: Some(broken), config: json!({}) };
    let endless = world.store.rule_create(&pinned).await.unwrap();
    let good = world.tenant("Good", &["111"]).await;
    let empty = world.tenant("Empty", &[]).await;
    // Its only run ever fails.
    let bad = world.tenant("Bad", &[]).await;
    let of_bad = AssignmentFields {
        rule_id: endless.id.clone(),
        tenant_id: Some(bad.id.clone()),
        position: None,
        from_period: None,
        to_period: None,
    };
    world.store.assignment_create(&of_bad, None).await.unwrap();
    world.give(&["222"], Some(&bad)).await;
    assert_eq!(world.published(&bad).await, []);

    let rule = ChainRuleChange {
        rule_id: None,
        title: "Zero".to_owned(),
        plugin: "fixture".to_owned(),
        digest: Some(push(&world, zeroing(2)).await),
        config: json!({}),
    };
    let request = PreviewRequest { chain: Some(vec![rule]), ..PreviewRequest::default() };
    let result = previewed(&world, &request).await;
    assert_eq!(result.months.iter().map(|month| month.tenant_id.as_str()).collect::<Vec<_>>(), [good.id.as_str()]);
    let told: Vec<_> = result.skipped.iter().map(|month| (month.tenant.as_str(), month.period.map(|p| p.to_string()))).collect();
    assert_eq!(told, [("Bad", Some("2026-09".to_owned())), ("Empty", None)]);
    let reasons: Vec<&str> = result.skipped.iter().map(|month| month.reason.as_str()).collect();
    assert!(reasons[0].starts_with("nothing is published yet: its run failed: rule \"Endless\""), "{reasons:?}");
    assert_eq!(reasons[1], "it has no bill");

    let only = PreviewRequest { tenants: vec![empty.id.clone()], periods: vec!["2026-09".parse().unwrap()], ..request };
    let failure = ended(&world, &only).await.failure.unwrap_or_default();
    assert_eq!(failure, "nothing is published of these tenants and periods (Empty: it has no bill in 2026-09)");
}
