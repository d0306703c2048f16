use std::num::NonZero;

use super::World;
use super::world::{crediting, hoarding, keeping, talking, zeroing};
use crate::jobs::Change;
use crate::jobs::replay::{ReplayError, ReplayOptions, Replayer, Verdict, What};
use crate::lake::{OverlayReader, OverlayWriter};
use crate::store::{QuotaFields, RuleFields, Run};

fn replayer(world: &World) -> Replayer {
    Replayer::new(world.store.clone(), world.plugins.clone(), world.data.clone())
}

async fn verify(world: &World, run: &Run) -> Verdict {
    replayer(world).verify(&run.id, ReplayOptions::default()).await.unwrap()
}

fn scratch_is_empty(world: &World) -> bool {
    std::fs::read_dir(world.data.scratch()).unwrap().next().is_none()
}

/// Two months of two accounts, one rule that keeps everything, and a credit that asks what it gave before.
async fn world() -> (World, Vec<Run>) {
    let world = World::new().await;
    let lines: Vec<(&str, &str, &str, &str)> = ["2026-08", "2026-09"]
        .into_iter()
        .flat_map(|period| [(period, "111", "EC2", "10.25"), (period, "111", "S3", "0.5"), (period, "222", "EC2", "5")])
        .collect();
    world.write_bill("aws", &lines);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.tenant("Other", &["222"]).await;
    world.deploy(&crediting()).await;
    world.assign(&world.rule("Credit").await, None).await;
    let runs = world.published(&acme).await;
    (world, runs)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_computed_again_to_the_same_bytes_whatever_has_changed_since() {
    let (world, runs) = world().await;
    assert_eq!(runs.iter().map(|run| run.charged.unwrap().to_string()).collect::<Vec<_>>(), ["0.75", "10.75"]);
    for run in &runs {
        let verdict = verify(&world, run).await;
        assert!(verdict.identical, "{verdict:#?}");
        assert_eq!((verdict.charges, verdict.charged), (2, run.charged));
    }
    // The subaccount moves, the rule is edited, the plugin gets another version, the daemon is started again.
    let other = world
        .store
        .tenants(&crate::store::TenantFilter::default(), &crate::store::PageRequest::largest())
        .await
        .unwrap()
        .items
        .pop()
        .unwrap();
    world.give(&["111"], None).await;
    world.give(&["111"], Some(&other)).await;
    world.deploy(&zeroing(7)).await;
    let rule = world.store.rules(&crate::store::PageRequest::largest()).await.unwrap().items.pop().unwrap();
    let fields = RuleFields { title: "Renamed".to_owned(), plugin: rule.plugin, pinned_digest: None, config: serde_json::json!({}) };
    world.store.rule_update(&rule.id, &fields, None).await.unwrap();
    world.changed(Change::Rules).await;
    let world = world.restart().await;
    world.idle().await;
    for run in &runs {
        let options = ReplayOptions { workers: NonZero::new(3), batch_rows: NonZero::new(1) };
        let verdict = replayer(&world).verify(&run.id, options).await.unwrap();
        assert!(verdict.identical, "{verdict:#?}");
        assert_eq!((verdict.workers, verdict.batch_rows), (3, Some(1)));
    }
    assert!(scratch_is_empty(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_charge_in_a_stored_result_is_found_and_shown() {
    let (world, runs) = world().await;
    let path = world.data.lake().join(runs[1].overlay.as_ref().unwrap());
    let reader = OverlayReader::open(&path).unwrap();
    let groups: Vec<_> = reader.groups().into_iter().map(|(group, _)| group).collect();
    let mut rated = reader.read(groups[0]).unwrap();
    rated.customer_cost[1] += 1;
    let writer = OverlayWriter::create(&path, &groups, reader.note()).unwrap();
    writer.write(groups[0], &rated).unwrap();
    writer.finish().unwrap();

    let verdict = verify(&world, &runs[1]).await;
    assert!(!verdict.identical);
    let first = verdict.first.unwrap();
    assert_eq!((first.what, first.column.as_str(), first.row), (What::Row, "x_CustomerCost", Some(rated.rows[1])));
    assert_eq!((first.stored.as_str(), first.computed.as_str()), ("0.500000000000000001", "0.5"));
    assert_eq!(verdict.bytes.computed.as_ref(), Some(&verdict.bytes.recorded));
    assert_ne!(verdict.bytes.stored, verdict.bytes.computed);
    assert!(verify(&world, &runs[0]).await.identical, "the other month is whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_lost_file_and_a_run_without_result_are_told() {
    let (world, runs) = world().await;
    let path = world.data.lake().join(runs[0].overlay.as_ref().unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let first = verify(&world, &runs[0]).await.first.unwrap();
    assert_eq!((first.what, first.computed.as_str()), (What::File, "a whole file"));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(verify(&world, &runs[0]).await.first.unwrap().stored, "the file is gone");

    let unknown = replayer(&world).verify("run_none", ReplayOptions::default()).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no run run_none");
    world.deploy(&keeping(3)).await;
    let queued = crate::store::NewRun {
        tenant_id: runs[0].tenant_id.clone(),
        period: "2026-01".parse().unwrap(),
        currency: "USD".to_owned(),
        identity: "x".to_owned(),
        chain: Vec::new(),
        snapshots: Vec::new(),
    };
    let queued = world.store.run_enqueue(&queued).await.unwrap();
    let refused = replayer(&world).verify(&queued.id, ReplayOptions::default()).await.unwrap_err();
    assert!(matches!(refused, ReplayError::NotDone { .. }), "{refused}");
    assert!(scratch_is_empty(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_walked_through_its_chain_and_a_tenant_sees_less_of_it() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10.25"), ("2026-09", "222", "S3", "5"), ("2026-09", "111", "S3", "0.5")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    let first = world.deploy(&keeping(1)).await.version.digest;
    let (kept, credit) = (world.rule("Kept").await, world.rule("Credit").await);
    let pin = |digest: &str| RuleFields {
        title: "Kept".to_owned(),
        plugin: "fixture".to_owned(),
        pinned_digest: Some(digest.to_owned()),
        config: serde_json::json!({}),
    };
    world.store.rule_update(&kept.id, &pin(&first), None).await.unwrap();
    let zero = world.rule("Zero").await;
    let second = world.deploy(&zeroing(2)).await.version.digest;
    world.store.rule_update(&zero.id, &RuleFields { title: "Zero".to_owned(), ..pin(&second) }, None).await.unwrap();
    world.deploy(&crediting()).await;
    for rule in [&kept, &zero, &credit] {
        world.assign(rule, None).await;
    }
    let run = world.published(&acme).await.remove(0);
    assert_eq!(run.charged.unwrap().to_string(), "-10");
    let replayer = replayer(&world);
    let key = format!("{}:0.0.2", run.snapshots[0]);
    let line = replayer.provenance(&run.id, &key).await.unwrap();
    assert_eq!((line.billed.unwrap().to_string(), line.charged.to_string()), ("0.5".to_owned(), "0".to_owned()));
    let steps: Vec<_> = line
        .steps
        .iter()
        .map(|step| {
            (
                step.title.as_str(),
                step.digest == second,
                step.before.unwrap().to_string(),
                step.after.unwrap().to_string(),
                step.reason.is_some(),
            )
        })
        .collect();
    assert_eq!(steps, [("Kept", false, "0.5".to_owned(), "0.5".to_owned(), false), ("Zero", true, "0.5".to_owned(), "0".to_owned(), true)]);
    assert_eq!(line.steps[1].version.as_deref(), Some("1.0.2"));

    let seen = serde_json::to_string(&replayer.tenant_line(&run.id, &key, None).await.unwrap()).unwrap();
    assert!(seen.contains("S3") && seen.contains("\"charged\":\"0\""), "{seen}");
    for secret in ["BilledCost", "0.5", "x_Treatment", "digest", "Zero", "Kept", second.as_str()] {
        assert!(!seen.contains(secret), "a tenant is shown {secret}: {seen}");
    }

    let added = replayer.provenance(&run.id, &format!("added:{}:1", credit.id)).await.unwrap();
    assert_eq!((added.billed, added.charged.to_string(), added.steps.len()), (None, "-10".to_owned(), 1));
    assert_eq!((added.steps[0].title.as_str(), added.steps[0].reason.as_deref()), ("Credit", Some("Credit")));
    for unknown in [format!("{}:0.0.1", run.snapshots[0]), "added:rul_x:1".to_owned(), "li-1".to_owned()] {
        let refused = replayer.provenance(&run.id, &unknown).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("the bill has no line {unknown}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_once_ran_is_computed_again_though_its_tenant_may_use_less_today() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&hoarding()).await;
    let rule = world.rule("Greedy").await;
    world.assign(&rule, None).await;
    let run = world.published(&acme).await.remove(0);
    let least = QuotaFields { fuel: Some(1_000_000), time_ms: Some(10), memory_mib: Some(1), concurrent_runs: Some(1) };
    world.store.quota_put(&acme.id, &least, None).await.unwrap();
    assert!(verify(&world, &run).await.identical);
    let line = replayer(&world).provenance(&run.id, &format!("{}:0.0.0", run.snapshots[0])).await.unwrap();
    assert_eq!((line.charged.to_string(), line.steps[0].title.as_str()), ("10".to_owned(), "Greedy"));

    // A run of today is refused.
    let fields =
        RuleFields { title: "Still greedy".to_owned(), plugin: "fixture".to_owned(), pinned_digest: None, config: serde_json::json!({}) };
    world.store.rule_update(&rule.id, &fields, None).await.unwrap();
    world.changed(Change::Rules).await;
    let failed = world.store.runs_failed().await.unwrap().remove(0);
    assert!(failed.failure.is_some_and(|reason| reason.contains("raise memory_mib")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_wrote_is_compared_as_well() {
    let world = World::new().await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    let acme = world.tenant("Acme", &["111"]).await;
    world.deploy(&talking()).await;
    world.assign(&world.rule("Talkative").await, None).await;
    let run = world.published(&acme).await.remove(0);
    let mut logs = world.store.run_logs(&run.id).await.unwrap();
    assert_eq!(logs.lines.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(), ["fixture", "1.0.5"]);
    assert!(verify(&world, &run).await.identical);

    let put = async |logs: &crate::domain::rated::RunLogs| world.store.run_logs_put(&run.id, logs).await.unwrap();
    logs.lines[1].message = "1.0.6".to_owned();
    put(&logs).await;
    let first = verify(&world, &run).await.first.unwrap();
    assert_eq!((first.what, first.column.as_str()), (What::Log, "2"));
    assert!(first.stored.contains("1.0.6") && first.computed.contains("\"message\":\"1.0.5\""), "{first:?}");
    logs.lines.pop();
    put(&logs).await;
    let first = verify(&world, &run).await.first.unwrap();
    assert_eq!((first.what, first.stored.as_str()), (What::Log, "nothing"));
    put(&crate::domain::rated::RunLogs::default()).await;
    assert_eq!(verify(&world, &run).await.first.unwrap().column, "1");
}
