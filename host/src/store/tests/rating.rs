use super::*;
use crate::domain::rated::{RatedLine, RuleEffect, RuleFinding, RuleLog, RunLogs};
use crate::domain::rule::Line;

async fn rated(fresh: &Fresh, tenant: &Tenant, identity: &str, result: &RunResult) -> Run {
    let run = fresh.run_enqueue(&run_of(tenant, identity)).await.unwrap();
    fresh.run_start(&run.id).await.unwrap();
    fresh.run_complete(&run.id, result).await.unwrap().unwrap()
}

async fn shown(fresh: &Fresh, tenant: &Tenant) -> Option<String> {
    fresh.published(&tenant.id, period("2026-09"), "USD").await.unwrap().map(|run| run.charged.unwrap().to_string())
}

#[tokio::test]
async fn a_completed_run_takes_the_place_of_the_one_before() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    assert_eq!(shown(&fresh, &acme).await, None);
    let first = rated(&fresh, &acme, "a", &charged("11")).await;
    assert_eq!(shown(&fresh, &acme).await.as_deref(), Some("11"));
    rated(&fresh, &acme, "b", &charged("12.000000000000000001")).await;
    assert_eq!(shown(&fresh, &acme).await.as_deref(), Some("12.000000000000000001"));
    let filter = RunFilter { published: true, ..Default::default() };
    assert_eq!(fresh.runs(&filter, &PageRequest::default()).await.unwrap().items.len(), 1);
    assert_eq!(fresh.published_runs(Some(&acme.id), None).await.unwrap().len(), 1);
    let standing = fresh.runs_standing(Some(&acme.id)).await.unwrap();
    assert_eq!(standing.iter().map(|run| run.head.identity.as_str()).collect::<Vec<_>>(), ["b"]);
    let stranger = fresh.on_behalf(Actor::named("ann"), View::of_tenants([]));
    assert_eq!(stranger.runs_standing(None).await.unwrap(), []);

    // The old identity comes back: its result is published again without rating.
    let found = fresh.run_find(&acme.id, period("2026-09"), "USD", "a").await.unwrap();
    assert_eq!(found, Some(FoundRun::Done(first.clone())));
    fresh.run_publish(&first.id).await.unwrap();
    assert_eq!(shown(&fresh, &acme).await.as_deref(), Some("11"));
}

#[tokio::test]
async fn a_failed_run_leaves_the_last_good_result_published_and_says_why() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    rated(&fresh, &acme, "a", &charged("11")).await;
    let run = fresh.run_enqueue(&run_of(&acme, "b")).await.unwrap();
    fresh.run_start(&run.id).await.unwrap();
    let failed = fresh.run_fail(&run.id, "the rule 5 % ran out of fuel").await.unwrap();
    assert_eq!((failed.state, failed.failure.as_deref()), (RunState::Failed, Some("the rule 5 % ran out of fuel")));
    assert_eq!(shown(&fresh, &acme).await.as_deref(), Some("11"));
    assert_eq!(fresh.run_complete(&run.id, &charged("13")).await.unwrap(), None);
    assert_eq!(message(fresh.run_publish(&run.id).await), format!("the run {} is failed, not done", run.id));
    assert_eq!(fresh.run_find(&acme.id, period("2026-09"), "USD", "b").await.unwrap(), None);
}

#[tokio::test]
async fn a_run_that_a_newer_one_overtook_cannot_publish() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let old = fresh.run_enqueue(&run_of(&acme, "a")).await.unwrap();
    fresh.run_start(&old.id).await.unwrap();
    let new = fresh.run_enqueue(&run_of(&acme, "b")).await.unwrap();
    assert_eq!(fresh.run_complete(&old.id, &charged("11")).await.unwrap(), None);
    assert_eq!(shown(&fresh, &acme).await, None);
    let pending: Vec<String> = fresh.runs_pending().await.unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(pending, std::slice::from_ref(&new.id));
    assert_eq!(fresh.run_latest(&acme.id, period("2026-09"), "USD").await.unwrap().unwrap().id, new.id);
    let found = fresh.run_find(&acme.id, period("2026-09"), "USD", "b").await.unwrap();
    assert_eq!(found, Some(FoundRun::Pending(new)));
}

#[tokio::test]
async fn a_run_that_a_stopped_process_left_is_queued_again() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let run = fresh.run_enqueue(&run_of(&acme, "a")).await.unwrap();
    fresh.run_start(&run.id).await.unwrap();
    fresh.run_progress(&run.id, 5, 10).await.unwrap();
    assert_eq!(fresh.run(&run.id).await.unwrap().progress_done, 5);
    assert_eq!(fresh.run_start(&run.id).await.unwrap(), None, "it runs already");
    let again = fresh.runs_requeue().await.unwrap();
    assert_eq!(again.iter().map(|run| (run.state, run.progress_done)).collect::<Vec<_>>(), [(RunState::Queued, 0)]);
    assert!(fresh.run_start(&run.id).await.unwrap().is_some());
}

#[tokio::test]
async fn runs_that_are_queued_and_started_together_leave_out_what_is_gone() {
    let Some(fresh) = fresh().await else { return };
    let (acme, gone) = (fresh.tenant_create(&named("Acme")).await.unwrap(), fresh.tenant_create(&named("Gone")).await.unwrap());
    let runs = [run_of(&acme, "a"), run_of(&gone, "a")];
    fresh.tenant_delete(&gone.id, "Gone", None).await.unwrap();
    let queued = fresh.runs_enqueue(&runs).await.unwrap();
    assert_eq!(queued.iter().map(|run| run.tenant_id.as_str()).collect::<Vec<_>>(), [acme.id.as_str()]);
    let newer = fresh.run_enqueue(&run_of(&acme, "b")).await.unwrap();
    let started = fresh.runs_start(&[queued[0].id.clone(), newer.id.clone()]).await.unwrap();
    assert_eq!(started.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [newer.id.as_str()], "the older one is superseded");
}

#[tokio::test]
async fn a_result_is_read_as_it_was_stored() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let line = RatedLine {
        line: Line {
            description: "Support".to_owned(),
            charge_category: "Purchase".to_owned(),
            service_name: "Support".to_owned(),
            sub_account_id: None,
            amount: amount("10.5"),
            reason: "monthly".to_owned(),
        },
        rule_id: "rul_1".to_owned(),
        rule: "Fee".to_owned(),
        customer_cost: amount("10.500000000000000001"),
        treatment: crate::domain::rule::Treatment::Keep,
        applied: "[]".to_owned(),
    };
    let result = RunResult {
        charges: 3,
        dropped: 1,
        billed: amount("-0.000000000000000001"),
        charged: amount("7"),
        by_rule: vec![RuleEffect { title: "Fee".to_owned(), rows: 1, delta: amount("10.5") }],
        findings: vec![RuleFinding { rule: None, severity: Severity::Warning, message: "look".to_owned() }],
        lines: vec![line],
        logs: RunLogs { lines: vec![RuleLog { rule: "Fee".to_owned(), message: "10.5".to_owned() }], cut: 3 },
        overlay: Some("overlays/run_1.parquet".to_owned()),
        rating_millis: 12,
        recorded: None,
    };
    let run = rated(&fresh, &acme, "a", &result).await;
    let read = fresh.run(&run.id).await.unwrap();
    assert_eq!(read, run);
    let logs = fresh.run_logs(&run.id).await.unwrap();
    let again = RunResult {
        charges: read.charges,
        dropped: read.dropped,
        billed: read.billed.unwrap(),
        charged: read.charged.unwrap(),
        by_rule: read.by_rule,
        findings: read.findings,
        lines: read.lines,
        logs,
        overlay: read.overlay,
        rating_millis: read.rating_millis.unwrap(),
        recorded: None,
    };
    assert_eq!(again, result);
}

#[tokio::test]
async fn a_withdrawn_month_shows_nothing_and_its_runs_end() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    rated(&fresh, &acme, "a", &charged("11")).await;
    let run = fresh.run_enqueue(&run_of(&acme, "b")).await.unwrap();
    fresh.run_withdraw(&acme.id, period("2026-09"), "USD").await.unwrap();
    assert_eq!(shown(&fresh, &acme).await, None);
    assert_eq!(fresh.run(&run.id).await.unwrap().state, RunState::Superseded);
}

#[tokio::test]
async fn a_split_that_does_not_add_up_is_refused() {
    let Some(fresh) = fresh().await else { return };
    let share = TenantShare { tenant_id: "tnt_1".to_owned(), charges: 2, billed: amount("7.000000000000000001") };
    let mut split = PeriodSplit {
        period: period("2026-09"),
        currency: "USD".to_owned(),
        source: amount("10"),
        source_charges: 3,
        unassigned: amount("2.999999999999999999"),
        unassigned_charges: 1,
        tenants: vec![share],
        snapshots: Vec::new(),
    };
    fresh.split_put(&split).await.unwrap();
    split.source = amount("10.000000000000000001");
    let refused = message(fresh.split_put(&split).await);
    assert_eq!(refused, "the split of 2026-09 in USD does not add up: tenants + unassigned differ from the source");
    split.source = amount("10");
    split.unassigned_charges = 0;
    assert!(matches!(fresh.split_put(&split).await, Err(StoreError::Invalid(_))));
    fresh.split_delete(period("2026-09"), "USD").await.unwrap();
    assert!(fresh.splits(Some(period("2026-09"))).await.unwrap().is_empty());
}
