use super::*;

fn deployment(store: &Store, state: DeploymentState, steps: &[Step]) -> Deployment {
    let done = |step: &Step| StepResult { step: *step, outcome: StepOutcome::Done, reason: "well".to_owned(), millis: 1 };
    Deployment {
        id: store.clock().id("dep"),
        digest: "d".to_owned(),
        name: None,
        origin: Origin::Upload,
        from: "upload".to_owned(),
        state,
        steps: steps.iter().map(done).collect(),
        actor: "test".to_owned(),
        created_at: store.clock().now(),
        finished_at: None,
    }
}

#[tokio::test]
async fn what_was_under_way_is_marked_with_the_step_that_it_was_in() {
    let Some(fresh) = fresh().await else { return };
    let under_way = deployment(&fresh, DeploymentState::Validated, &[Step::Uploaded, Step::Validated]);
    let mut over = deployment(&fresh, DeploymentState::Refused, &[Step::Uploaded]);
    over.finished_at = Some(fresh.clock().now());
    for deployment in [&under_way, &over] {
        fresh.deployment_save(deployment).await.unwrap();
    }
    assert_eq!(fresh.deployments_interrupt().await.unwrap(), 1);
    let marked = fresh.deployment(&under_way.id).await.unwrap();
    assert_eq!(marked.state, DeploymentState::Interrupted);
    assert!(marked.finished_at.is_some());
    let last = marked.steps.last().unwrap();
    assert_eq!((last.step, last.outcome), (Step::Compiled, StepOutcome::Interrupted));
    assert_eq!(fresh.deployment(&over.id).await.unwrap(), over);
    assert_eq!(fresh.deployments_interrupt().await.unwrap(), 0);
}

#[tokio::test]
async fn a_change_and_its_entry_in_the_log_are_there_together_or_not_at_all() {
    let Some(fresh) = fresh().await else { return };
    deploy(&fresh, "markup", "1").await;
    let entries = async || fresh.audit_entries(&AuditFilter::default(), &PageRequest::default()).await.unwrap().items;
    let before = entries().await;
    let rule = markup(&fresh.by("Ann"), "Five percent").await;
    let fields = RuleFields { title: "FIVE PERCENT".to_owned(), plugin: "markup".to_owned(), pinned_digest: None, config: json!({}) };
    assert!(fresh.rule_create(&fields).await.is_err(), "the title is taken");
    let after = entries().await;
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!((after[0].actor.as_str(), after[0].action.as_str(), after[0].subject.as_str()), ("Ann", "create", rule.id.as_str()));
    assert_eq!(after[0].after.as_ref().unwrap()["config"], json!({"percent": "5"}));
    assert_eq!(after[1].actor, "rerate");
}

#[tokio::test]
async fn the_log_of_changes_cannot_be_rewritten_even_by_the_one_who_writes_it() {
    let Some(fresh) = fresh().await else { return };
    deploy(&fresh, "markup", "1").await;
    for statement in ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"] {
        let mut tx = fresh.begin().await.unwrap();
        let refused = sqlx::query(statement).execute(&mut *tx).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
}

#[tokio::test]
async fn a_version_that_rated_a_kept_run_is_not_deleted() {
    let Some(fresh) = fresh().await else { return };
    let first = deploy(&fresh, "markup", "1").await;
    let second = deploy(&fresh, "markup", "2").await;
    assert_eq!(fresh.plugin("markup").await.unwrap().previous_digest, Some(first.clone()));
    let tenant = fresh.tenant_create(&named("Acme")).await.unwrap();
    let link = ChainEntry {
        rule_id: "rul_1".to_owned(),
        title: "Ours".to_owned(),
        plugin: "markup".to_owned(),
        digest: first.clone(),
        config: json!({}),
    };
    let run = fresh.run_enqueue(&NewRun { chain: vec![link], ..run_of(&tenant, "one") }).await.unwrap();
    let refused = message(fresh.plugin_version_delete(&first, None).await);
    assert_eq!(refused, format!("the run {} of Acme in 2026-09 was rated by the version {first}", run.id));
    assert_eq!(message(fresh.plugin_version_delete(&second, None).await), format!("the version {second} is the active one of markup"));
    fresh.tenant_delete(&tenant.id, "Acme", None).await.unwrap();
    let shadow = fresh.shadow_create("markup", &first).await.unwrap();
    let refused = message(fresh.plugin_version_delete(&first, None).await);
    assert_eq!(refused, format!("the shadow {} runs the version {first}: drop or promote it first", shadow.id));
    fresh.shadow_end(&shadow.id, ShadowState::Dropped, None).await.unwrap();
    fresh.plugin_version_delete(&first, None).await.unwrap();
    assert_eq!(fresh.plugin("markup").await.unwrap().previous_digest, None, "there is nothing to roll back to");
    assert_eq!(message(fresh.shadow_create("nothing", &second).await), "there is no plugin nothing");
}
