use super::*;

#[tokio::test]
async fn a_tenants_name_and_contact_are_taken_once_whatever_their_case() {
    let Some(fresh) = fresh().await else { return };
    let fields =
        TenantFields { name: " Acme ".to_owned(), contact_email: Some("Billing+a@acme.example".to_owned()), ..TenantFields::default() };
    let acme = fresh.tenant_create(&fields).await.unwrap();
    assert_eq!((acme.name.as_str(), acme.version), ("Acme", 1));
    assert!(acme.id.starts_with("tnt_"));
    assert_eq!(message(fresh.tenant_create(&named("ACME")).await), "a tenant named ACME exists already");
    let same_contact =
        TenantFields { name: "Other".to_owned(), contact_email: Some("billing+A@acme.example".to_owned()), ..TenantFields::default() };
    assert_eq!(message(fresh.tenant_create(&same_contact).await), "another tenant has the contact billing+A@acme.example already");
    assert_eq!(fresh.tenant_by_name("acme").await.unwrap(), acme);
}

#[tokio::test]
async fn a_tenant_without_a_proper_name_or_address_is_refused() {
    let Some(fresh) = fresh().await else { return };
    assert_eq!(message(fresh.tenant_create(&named("  ")).await), "a tenant's name is empty");
    assert_eq!(message(fresh.tenant_create(&named(&"x".repeat(201))).await), "a tenant's name is longer than 200 bytes");
    assert_eq!(message(fresh.tenant_create(&named("a\nb")).await), "a tenant's name has control characters");
    for address in ["nobody", "@acme.example", "a b@acme.example", "a@b@c"] {
        let fields = TenantFields { name: "Acme".to_owned(), contact_email: Some(address.to_owned()), ..TenantFields::default() };
        assert_eq!(message(fresh.tenant_create(&fields).await), format!("{address:?} is not an e-mail address"));
    }
}

#[tokio::test]
async fn a_change_that_names_an_old_version_is_refused() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let renamed = fresh.tenant_update(&acme.id, &named("Acme Ltd"), Some(1)).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.version), ("Acme Ltd", 2));
    assert!(renamed.updated_at > acme.updated_at);
    let late = fresh.tenant_update(&acme.id, &named("Acme Inc"), Some(1)).await.unwrap_err();
    assert!(matches!(late, StoreError::Changed { current: 2, .. }), "{late}");
    assert!(matches!(fresh.tenant_delete(&acme.id, "Acme", Some(1)).await, Err(StoreError::Changed { .. })));
    assert!(matches!(fresh.tenant_update("tnt_none", &named("x"), None).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_deleted_tenant_releases_its_subaccounts_and_takes_its_assignments_and_runs_along() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let integration = fresh.integration_create(&folder("aws")).await.unwrap();
    let import = fresh.import_begin(&integration.id, "d1", None).await.unwrap();
    fresh.import_publish(&import.id, &[month("2026-09", vec![account("1", 3, "10")])]).await.unwrap();
    let subaccount = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items.remove(0);
    fresh.subaccounts_move(std::slice::from_ref(&subaccount.id), Some(&acme.id)).await.unwrap();
    deploy(&fresh, "markup", "1").await;
    let rule = markup(&fresh, "5 %").await;
    fresh.assignment_create(&AssignmentFields { tenant_id: Some(acme.id.clone()), ..everywhere(&rule) }, None).await.unwrap();
    let kept = fresh.assignment_create(&everywhere(&rule), None).await.unwrap();
    let run = fresh.run_enqueue(&run_of(&acme, "a")).await.unwrap();

    let removed = fresh.tenant_delete(&acme.id, "Acme", None).await.unwrap();

    assert_eq!(removed.released, [subaccount.id.as_str()]);
    assert_eq!(fresh.subaccount(&subaccount.id).await.unwrap().tenant_id, None);
    let left = fresh.assignments(None, None, &PageRequest::default()).await.unwrap().items;
    assert_eq!(left.iter().map(|a| (a.id.as_str(), a.position)).collect::<Vec<_>>(), [(kept.id.as_str(), 1)]);
    assert!(matches!(fresh.run(&run.id).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(fresh.tenant(&acme.id).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn pages_hold_every_item_once_and_the_last_one_says_so() {
    let Some(fresh) = fresh().await else { return };
    for number in 0..7 {
        fresh.tenant_create(&named(&format!("tenant {number}"))).await.unwrap();
    }
    let mut names = Vec::new();
    let mut next = None;
    let mut sizes = Vec::new();
    loop {
        let page = fresh.tenants(&TenantFilter::default(), &PageRequest::new(Some(3), next.take())).await.unwrap();
        sizes.push(page.items.len());
        names.extend(page.items.into_iter().map(|tenant| tenant.name));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(names, (0..7).map(|number| format!("tenant {number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_rule_names_a_plugin_and_a_version_that_exist() {
    let Some(fresh) = fresh().await else { return };
    let fields = RuleFields { title: "5 %".to_owned(), plugin: "markup".to_owned(), pinned_digest: None, config: json!({}) };
    assert_eq!(message(fresh.rule_create(&fields).await), "there is no plugin markup");
    deploy(&fresh, "markup", "1").await;
    let other = deploy(&fresh, "charge", "1").await;
    let pinned = RuleFields { pinned_digest: Some(other), ..fields.clone() };
    assert_eq!(message(fresh.rule_create(&pinned).await), "the plugin markup has no version charge-1");
    let rule = fresh.rule_create(&fields).await.unwrap();
    assert_eq!(message(fresh.rule_create(&fields).await), "a rule with the title 5 % exists already");
    fresh.assignment_create(&everywhere(&rule), None).await.unwrap();
    assert_eq!(message(fresh.rule_delete(&rule.id, None).await), "the rule 5 % is in use by an assignment: delete that first");
}

#[tokio::test]
async fn an_assignment_is_put_where_it_is_asked_and_the_list_stays_without_gaps() {
    let Some(fresh) = fresh().await else { return };
    deploy(&fresh, "markup", "1").await;
    let rule = markup(&fresh, "5 %").await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(fresh.assignment_create(&everywhere(&rule), None).await.unwrap().id);
    }
    let order = async || {
        let list = fresh.assignments(None, None, &PageRequest::default()).await.unwrap().items;
        assert_eq!(list.iter().map(|a| a.position).collect::<Vec<_>>(), (1..=i64::try_from(list.len()).unwrap()).collect::<Vec<_>>());
        list.iter().map(|a| ids.iter().position(|id| *id == a.id).unwrap_or(9)).collect::<Vec<_>>()
    };
    let at = |position| AssignmentFields { position: Some(position), ..everywhere(&rule) };
    fresh.assignment_update(&ids[3], &at(1), None).await.unwrap();
    assert_eq!(order().await, [3, 0, 1, 2]);
    fresh.assignment_update(&ids[3], &at(3), None).await.unwrap();
    assert_eq!(order().await, [0, 1, 3, 2]);
    fresh.assignment_update(&ids[0], &at(99), None).await.unwrap();
    assert_eq!(order().await, [1, 3, 2, 0]);
    fresh.assignments_reorder(&[ids[0].clone(), ids[1].clone()], None).await.unwrap();
    assert_eq!(order().await, [0, 3, 2, 1]);
    fresh.assignment_delete(&ids[3], None).await.unwrap();
    assert_eq!(order().await, [0, 2, 1]);
    fresh.assignment_create(&at(2), None).await.unwrap();
    assert_eq!(order().await, [0, 9, 2, 1]);
    let twice = [ids[0].clone(), ids[0].clone()];
    assert_eq!(message(fresh.assignments_reorder(&twice, None).await), "an assignment is named twice");
    assert_eq!(message(fresh.assignment_create(&at(0), None).await), "positions count from 1");
}

#[tokio::test]
async fn a_tenants_chain_is_what_is_assigned_to_it_or_to_all_and_effective_in_the_period() {
    let Some(fresh) = fresh().await else { return };
    let first = deploy(&fresh, "markup", "1").await;
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let other = fresh.tenant_create(&named("Other")).await.unwrap();
    let all = markup(&fresh, "for all").await;
    let own = markup(&fresh, "for Acme").await;
    let foreign = markup(&fresh, "for Other").await;
    let short = markup(&fresh, "from July to August").await;
    let of = |rule: &Rule, tenant: &Tenant| AssignmentFields { tenant_id: Some(tenant.id.clone()), ..everywhere(rule) };
    fresh.assignment_create(&of(&own, &acme), None).await.unwrap();
    fresh.assignment_create(&everywhere(&all), None).await.unwrap();
    fresh.assignment_create(&of(&foreign, &other), None).await.unwrap();
    let effective = AssignmentFields { from_period: Some(period("2026-07")), to_period: Some(period("2026-08")), ..everywhere(&short) };
    fresh.assignment_create(&effective, None).await.unwrap();
    let titles = async |month: &str| {
        let chain = fresh.chain(&acme.id, period(month)).await.unwrap();
        chain.into_iter().map(|link| link.title).collect::<Vec<_>>()
    };
    assert_eq!(titles("2026-06").await, ["for Acme", "for all"]);
    assert_eq!(titles("2026-07").await, ["for Acme", "for all", "from July to August"]);
    assert_eq!(titles("2026-08").await, ["for Acme", "for all", "from July to August"]);
    assert_eq!(titles("2026-09").await, ["for Acme", "for all"]);
    let backwards = AssignmentFields { from_period: Some(period("2026-08")), to_period: Some(period("2026-07")), ..everywhere(&short) };
    assert_eq!(message(fresh.assignment_create(&backwards, None).await), "the assignment ends in 2026-07, before it begins in 2026-08");

    // A deployed version reaches the rules that are not pinned.
    let pinned = RuleFields { title: own.title.clone(), plugin: own.plugin.clone(), pinned_digest: Some(first.clone()), config: json!({}) };
    fresh.rule_update(&own.id, &pinned, None).await.unwrap();
    let second = deploy(&fresh, "markup", "2").await;
    let digests: Vec<String> = fresh.chain(&acme.id, period("2026-09")).await.unwrap().into_iter().map(|link| link.digest).collect();
    assert_eq!(digests, [first, second]);
    fresh.plugin_set_disabled("markup", true, None).await.unwrap();
    assert!(fresh.chain(&acme.id, period("2026-09")).await.unwrap().iter().all(|link| link.disabled));
}

#[tokio::test]
async fn a_plugin_is_rolled_back_to_a_version_of_its_own_only() {
    let Some(fresh) = fresh().await else { return };
    let first = deploy(&fresh, "markup", "1").await;
    let second = deploy(&fresh, "markup", "2").await;
    let foreign = deploy(&fresh, "charge", "1").await;
    assert_eq!(fresh.plugin("markup").await.unwrap().active_digest, second);
    assert_eq!(message(fresh.plugin_activate("markup", &foreign, None).await), "the component charge-1 calls itself charge, not markup");
    assert_eq!(fresh.plugin_activate("markup", &first, None).await.unwrap().active_digest, first);
    assert_eq!(message(fresh.plugin_version_delete(&first, None).await), "the version markup-1 is the active one of markup");
    assert_eq!(fresh.plugin_digests_in_use().await.unwrap(), ["charge-1", "markup-1"]);
    fresh.plugin_version_delete(&second, None).await.unwrap();
    let left: Vec<String> = fresh.plugin_versions("markup").await.unwrap().into_iter().map(|version| version.digest).collect();
    assert_eq!(left, [first]);
}

#[tokio::test]
async fn an_idempotency_key_is_answered_again_for_the_same_request_only() {
    let Some(fresh) = fresh().await else { return };
    let token = fresh.token_create(&admin("hash")).await.unwrap();
    assert_eq!(fresh.token_by_sha256("hash").await.unwrap(), Some(token.clone()));
    assert_eq!(fresh.token_by_sha256("other").await.unwrap(), None);
    assert_eq!(message(fresh.token_create(&admin("hash2")).await), "a token named admin exists already");
    let reserve = async |request: &str| fresh.idempotency_reserve(&token.id, "key", request).await.unwrap();
    assert_eq!(reserve("a").await, Reserved::New);
    assert_eq!(reserve("a").await, Reserved::UnderWay);
    assert_eq!(reserve("b").await, Reserved::Different);
    let answer = StoredResponse { status: 201, headers: "{}".to_owned(), body: "{\"id\":1}".to_owned() };
    fresh.idempotency_store(&token.id, "key", &answer).await.unwrap();
    fresh.idempotency_release_all().await.unwrap();
    assert_eq!(reserve("a").await, Reserved::Answered(answer));
    assert!(matches!(fresh.idempotency_reserve(&token.id, "white space", "a").await, Err(StoreError::Invalid(_))));
}
