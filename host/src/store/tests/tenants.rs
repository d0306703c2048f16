use super::*;

async fn organisation(store: &Store, name: &str) -> Tenant {
    let fields = TenantFields { name: name.to_owned(), kind: Some(TenantKind::Organisation), ..TenantFields::default() };
    store.tenant_create(&fields).await.unwrap()
}

fn below(name: &str, parent: &Tenant) -> TenantFields {
    TenantFields { name: name.to_owned(), parent_id: Some(parent.id.clone()), ..TenantFields::default() }
}

#[tokio::test]
async fn a_parent_is_an_active_organisation_and_is_chosen_once() {
    let Some(fresh) = fresh().await else { return };
    let group = organisation(&fresh, "Group").await;
    let other = organisation(&fresh, "Other group").await;
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    assert_eq!(
        message(fresh.tenant_create(&below("B", &acme)).await),
        format!("Acme ({}) is a customer; a parent is an organisation", acme.id)
    );
    fresh.tenant_set_state(&group.id, TenantState::Suspended, true, None).await.unwrap();
    let refused = message(fresh.tenant_update(&acme.id, &below("Acme", &group), None).await);
    assert_eq!(refused, "the organisation Group is suspended: it must be active to be chosen");
    fresh.tenant_set_state(&group.id, TenantState::Active, true, None).await.unwrap();
    let chosen = fresh.tenant_update(&acme.id, &below("Acme", &group), None).await.unwrap();
    assert_eq!((chosen.parent_id.as_ref(), chosen.parent.as_deref()), (Some(&group.id), Some("Group")));
    let refused = message(fresh.tenant_update(&acme.id, &below("Acme", &other), None).await);
    assert_eq!(refused, "the parent organisation is permanent: Acme belongs to Group");
    assert_eq!(fresh.tenant_update(&acme.id, &named("Acme"), None).await.unwrap().parent_id, Some(group.id.clone()));
    let listed = TenantFilter { parent_id: Some(group.id.clone()), ..TenantFilter::default() };
    let listed = fresh.tenants(&listed, &PageRequest::default()).await.unwrap().items;
    assert_eq!(listed.iter().map(|tenant| tenant.parent.as_deref()).collect::<Vec<_>>(), [Some("Group")]);
    let refused = message(fresh.tenant_delete(&group.id, "Group", None).await);
    assert_eq!(refused, "Group is the parent organisation of Acme: delete those first");
    let changed = TenantFields { kind: Some(TenantKind::Organisation), ..named("Acme") };
    assert!(matches!(fresh.tenant_update(&acme.id, &changed, None).await, Err(StoreError::Conflict(_))));
}

#[tokio::test]
async fn an_organisation_and_an_unlinked_tenant_are_given_nothing() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let import = fresh.import_begin(&aws.id, "d1", None).await.unwrap();
    fresh.import_publish(&import.id, &[month("2026-09", vec![account("1", 3, "10")])]).await.unwrap();
    let ids = vec![fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items.remove(0).id];
    let group = organisation(&fresh, "Group").await;
    let text = format!("Group ({}) is an organisation: it has no subaccounts, integrations or runs of its own", group.id);
    assert_eq!(message(fresh.subaccounts_move(&ids, Some(&group.id)).await), text);
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    fresh.subaccounts_move(&ids, Some(&acme.id)).await.unwrap();
    let run = fresh.run_enqueue(&run_of(&acme, "a")).await.unwrap();
    fresh.tenant_set_state(&acme.id, TenantState::Unlinked, true, None).await.unwrap();
    assert_eq!(fresh.run(&run.id).await.unwrap().state, RunState::Superseded);
    let text = format!("the tenant Acme ({}) is unlinked: link it again before you change anything of it", acme.id);
    assert_eq!(message(fresh.tenant_update(&acme.id, &named("Acme Ltd"), None).await), text);
    assert_eq!(message(fresh.quota_put(&acme.id, &QuotaFields::default(), None).await), text);
    assert_eq!(message(fresh.subaccounts_move(&ids, Some(&acme.id)).await), text);
    assert_eq!(fresh.tenants_frozen().await.unwrap(), [acme.id.as_str()]);
    fresh.tenant_set_state(&acme.id, TenantState::Active, true, None).await.unwrap();
    fresh.tenant_update(&acme.id, &named("Acme Ltd"), None).await.unwrap();
}

#[tokio::test]
async fn a_run_of_a_tenant_that_is_not_active_is_not_published() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    fresh.tenant_set_state(&acme.id, TenantState::Suspended, true, None).await.unwrap();
    // Planned before, started after.
    let run = fresh.run_enqueue(&run_of(&acme, "a")).await.unwrap();
    fresh.run_start(&run.id).await.unwrap();
    assert!(fresh.runs_publish(&[(run.id.clone(), charged("10"))], &[]).await.unwrap().is_empty());
    assert_eq!(fresh.published_runs(None, None).await.unwrap(), []);
}

#[tokio::test]
async fn contacts_are_on_the_domains_once_there_are_any() {
    let Some(fresh) = fresh().await else { return };
    let with = |name: &str, email: &str| TenantFields { contact_email: Some(email.to_owned()), ..named(name) };
    fresh.tenant_create(&with("Acme", "cloud+acme@msp.example")).await.unwrap();
    let other = fresh.tenant_create(&with("Other", "it@other.example")).await.unwrap();
    let domains = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let refused = message(fresh.domains_set(&domains(&["msp.example"]), None).await);
    assert_eq!(refused, "tenants have their contact on another domain: Other (it@other.example); change those first");
    assert_eq!(message(fresh.domains_set(&domains(&["msp"]), None).await), "\"msp\" is not a domain such as msp.example");
    fresh.tenant_update(&other.id, &with("Other", "it+other@msp.example"), None).await.unwrap();
    assert_eq!(fresh.domains_set(&domains(&["MSP.example", "msp.test"]), None).await.unwrap(), ["msp.example", "msp.test"]);
    let refused = message(fresh.tenant_create(&with("Third", "it@third.example")).await);
    assert_eq!(refused, "the contact it@third.example is on none of the MSP's domains: msp.example, msp.test");
    fresh.tenant_create(&with("Third", "it+third@msp.test")).await.unwrap();
    let filter = AuditFilter { noun: Some("setting".to_owned()), ..AuditFilter::default() };
    assert_eq!(fresh.audit_entries(&filter, &PageRequest::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn what_is_removed_with_a_tenant_is_told_first_and_then_no_table_names_it() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let import = fresh.import_begin(&aws.id, "d1", None).await.unwrap();
    fresh.import_publish(&import.id, &[month("2026-09", vec![account("1", 3, "10")])]).await.unwrap();
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let list = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items;
    fresh.subaccounts_move(&[list[0].id.clone()], Some(&acme.id)).await.unwrap();
    deploy(&fresh, "markup", "1").await;
    let rule = markup(&fresh, "5 %").await;
    fresh.assignment_create(&AssignmentFields { tenant_id: Some(acme.id.clone()), ..everywhere(&rule) }, None).await.unwrap();
    fresh.quota_put(&acme.id, &QuotaFields::default(), None).await.unwrap();
    let run = fresh.run_enqueue(&run_of(&acme, "a")).await.unwrap();
    fresh.run_start(&run.id).await.unwrap();
    let result = RunResult { overlay: Some("rated/2026-09/x.parquet".to_owned()), ..charged("10") };
    fresh.run_complete(&run.id, &result).await.unwrap().unwrap();
    fresh.preview_create(&json!({"tenants": [acme.id]})).await.unwrap();

    let removal = fresh.tenant_removal(&acme.id).await.unwrap();
    assert_eq!((removal.refused.as_ref(), removal.assignments, removal.runs, removal.previews), (None, 1, 1, 1));
    assert_eq!((removal.released[0].name.as_str(), removal.published.as_slice()), ("account 1", &[period("2026-09")][..]));
    assert!(matches!(fresh.tenant_delete(&acme.id, "acme", None).await, Err(StoreError::Invalid(_))));
    let removed = fresh.tenant_delete(&acme.id, "Acme", None).await.unwrap();
    assert_eq!(removed.files, ["rated/2026-09/x.parquet"]);
    assert_eq!(removed.released, [list[0].id.as_str()]);
    assert_eq!(naming::naming(&fresh, &acme.id).await, ["audit"], "the log of changes is only ever appended to");
}

#[tokio::test]
async fn whoever_is_limited_to_some_tenants_takes_nothing_from_the_others_and_does_not_learn_their_names() {
    let Some(fresh) = fresh().await else { return };
    let (acme, other) = (fresh.tenant_create(&named("Acme")).await.unwrap(), fresh.tenant_create(&named("Other")).await.unwrap());
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let import = fresh.import_begin(&aws.id, "d1", None).await.unwrap();
    fresh
        .import_publish(&import.id, &[month("2026-09", vec![account("1", 3, "1"), account("2", 3, "2"), account("3", 1, "4")])])
        .await
        .unwrap();
    let all = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items;
    let id = |account: &str| all.iter().find(|s| s.sub_account_id == account).unwrap().id.clone();
    fresh.subaccounts_move(&[id("1")], Some(&other.id)).await.unwrap();
    fresh.subaccounts_move(&[id("2")], Some(&other.id)).await.unwrap();
    let handed = Assign {
        subaccounts: vec![id("2")],
        tenant_id: Some(acme.id.clone()),
        from_period: Some(period("2026-09")),
        from_tenant_id: Some(other.id.clone()),
        ..Assign::default()
    };
    fresh.subaccounts_assign(&handed).await.unwrap();

    let limited = fresh.on_behalf(Actor::named("ann"), View::of_tenants([acme.id.as_str()]));
    let seen = limited.subaccounts(&SubaccountFilter::default(), &PageRequest::new(Some(1), None)).await.unwrap();
    assert!(seen.next.is_some());
    let rest = limited.subaccounts(&SubaccountFilter::default(), &PageRequest::new(Some(5), seen.next.clone())).await.unwrap();
    let mut seen: Vec<_> = seen.items.into_iter().chain(rest.items).map(|s| s.sub_account_id).collect();
    seen.sort();
    assert_eq!(seen, ["2", "3"]);
    assert!(matches!(limited.subaccount(&id("1")).await, Err(StoreError::NotFound { .. })));
    let give =
        |account: &str, tenant: &Tenant| Assign { subaccounts: vec![id(account)], tenant_id: Some(tenant.id.clone()), ..Assign::default() };
    assert!(matches!(limited.subaccounts_assign(&give("1", &acme)).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(limited.subaccounts_assign(&give("3", &other)).await, Err(StoreError::NotFound { .. })));
    // Account 2 was Other's before: not theirs to take back in time, nor to release then.
    let text = format!("the subaccount account 2 ({}) is held by the tenant another tenant ()", id("2"));
    assert_eq!(message(limited.subaccounts_assign(&give("2", &acme)).await), text);
    let release = Assign { subaccounts: vec![id("2")], ..Assign::default() };
    assert_eq!(message(limited.subaccounts_assign(&release).await), text);
    let history = limited.subaccount_history(&id("2"), &PageRequest::default()).await.unwrap().items;
    let told: Vec<_> = history.iter().map(|held| (held.tenant.as_deref(), held.tenant_id.is_some())).collect();
    assert_eq!(told, [(Some("Acme"), true), (Some("another tenant"), false)]);
    limited.subaccounts_assign(&give("3", &acme)).await.unwrap();
    limited.subaccounts_assign(&Assign { from_period: Some(period("2026-10")), ..release }).await.unwrap();
    assert_eq!(limited.integrations(&IntegrationFilter::default(), &PageRequest::default()).await.unwrap().items.len(), 1);
    let hidden = fresh.integration_create(&IntegrationFields { tenant_id: Some(other.id), ..folder("own") }).await.unwrap();
    assert_eq!(limited.integrations(&IntegrationFilter::default(), &PageRequest::default()).await.unwrap().items.len(), 1);
    assert!(matches!(limited.integration_delete(&hidden.id, None).await, Err(StoreError::NotFound { .. })));
}

/// Two tenants, the first with an integration of its own; and the snapshots of the MSP's bill and of that one.
async fn with_own_bills(fresh: &Fresh) -> (Tenant, Tenant, Vec<String>) {
    let (acme, other) = (fresh.tenant_create(&named("Acme")).await.unwrap(), fresh.tenant_create(&named("Other")).await.unwrap());
    let own = IntegrationFields { tenant_id: Some(acme.id.clone()), ..folder("own") };
    let mut snapshots = Vec::new();
    for (fields, accounts) in [(folder("aws"), vec![account("1", 3, "10"), account("2", 1, "5")]), (own, vec![account("3", 2, "7")])] {
        let integration = fresh.integration_create(&fields).await.unwrap();
        let import = fresh.import_begin(&integration.id, &fields.name, None).await.unwrap();
        snapshots.push(fresh.import_publish(&import.id, &[month("2026-09", accounts)]).await.unwrap().remove(0).id);
    }
    (acme, other, snapshots)
}

fn share(tenant: &Tenant, charges: u64, billed: &str) -> TenantShare {
    TenantShare { tenant_id: tenant.id.clone(), charges, billed: amount(billed) }
}

#[tokio::test]
async fn what_a_deleted_tenant_held_is_unassigned_in_the_same_moment_and_what_it_brought_itself_is_gone() {
    let Some(fresh) = fresh().await else { return };
    let (acme, other, snapshots) = with_own_bills(&fresh).await;
    let split = PeriodSplit {
        period: period("2026-09"),
        currency: "USD".to_owned(),
        source: amount("22"),
        source_charges: 6,
        unassigned: Amount::ZERO,
        unassigned_charges: 0,
        tenants: vec![share(&acme, 5, "17"), share(&other, 1, "5")],
        snapshots: snapshots.clone(),
    };
    fresh.split_put(&split).await.unwrap();
    let mine = PeriodSplit {
        period: period("2026-08"),
        source: amount("7"),
        source_charges: 2,
        tenants: vec![share(&acme, 2, "7")],
        snapshots: vec![snapshots[1].clone()],
        ..split.clone()
    };
    fresh.split_put(&mine).await.unwrap();
    let untouched = PeriodSplit {
        currency: "EUR".to_owned(),
        source: amount("5"),
        source_charges: 1,
        tenants: vec![share(&other, 1, "5")],
        snapshots: vec![snapshots[0].clone()],
        ..split.clone()
    };
    fresh.split_put(&untouched).await.unwrap();
    fresh.tenant_delete(&acme.id, "Acme", None).await.unwrap();
    let left = PeriodSplit {
        source: amount("15"),
        source_charges: 4,
        unassigned: amount("10"),
        unassigned_charges: 3,
        tenants: vec![share(&other, 1, "5")],
        snapshots: vec![snapshots[0].clone()],
        ..split
    };
    assert!(left.balances());
    assert_eq!(fresh.splits(None).await.unwrap(), [untouched, left]);
}

#[tokio::test]
async fn a_rating_that_began_before_a_tenant_was_deleted_does_not_bring_it_back_into_a_months_sums() {
    let Some(fresh) = fresh().await else { return };
    let (acme, other, snapshots) = with_own_bills(&fresh).await;
    let shared = PeriodSplit {
        period: period("2026-09"),
        currency: "USD".to_owned(),
        source: amount("15"),
        source_charges: 4,
        unassigned: Amount::ZERO,
        unassigned_charges: 0,
        tenants: vec![share(&acme, 3, "10"), share(&other, 1, "5")],
        snapshots: vec![snapshots[0].clone()],
    };
    let with_its_own = PeriodSplit {
        source: amount("22"),
        source_charges: 6,
        tenants: vec![share(&acme, 5, "17"), share(&other, 1, "5")],
        snapshots,
        ..shared.clone()
    };
    fresh.tenant_delete(&acme.id, "Acme", None).await.unwrap();
    // Its bills are gone too: what the rating read cannot be divided any more.
    assert!(fresh.runs_publish(&[], std::slice::from_ref(&with_its_own)).await.unwrap().is_empty());
    fresh.split_put(&with_its_own).await.unwrap();
    assert_eq!(fresh.splits(None).await.unwrap(), []);
    let left = PeriodSplit { unassigned: amount("10"), unassigned_charges: 3, tenants: vec![share(&other, 1, "5")], ..shared.clone() };
    assert!(left.balances());
    fresh.runs_publish(&[], std::slice::from_ref(&shared)).await.unwrap();
    assert_eq!(fresh.splits(None).await.unwrap(), std::slice::from_ref(&left));
    fresh.split_put(&shared).await.unwrap();
    fresh.split_put(&with_its_own).await.unwrap();
    assert_eq!(fresh.splits(None).await.unwrap(), [left]);
}

#[tokio::test]
async fn only_who_may_links_a_tenant_again_and_nobody_of_a_suspended_one_comes_in() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    fresh.tenant_set_state(&acme.id, TenantState::Unlinked, false, None).await.unwrap();
    for state in [TenantState::Active, TenantState::Suspended] {
        let refused = message(fresh.tenant_set_state(&acme.id, state, false, None).await);
        assert_eq!(refused, "the tenant Acme is unlinked: linking it again takes an Owner of the MSP");
    }
    fresh.tenant_set_state(&acme.id, TenantState::Active, true, None).await.unwrap();

    let organisation = Organisation::Tenant(acme.id.clone());
    let owner = MembershipFields { organisation: organisation.clone(), role: Role::Owner, cost_centers: None };
    let person = |email: &str| UserFields { email: email.to_owned(), name: "Eve".to_owned(), password_hash: None };
    let (eve, _) = fresh.user_add(&person("eve@acme.example"), &owner).await.unwrap();
    let session =
        |sha256: &str| NewSession { user_id: eve.id.clone(), organisation: organisation.clone(), sha256: sha256.to_owned(), issuer: None };
    let invited = InvitationFields { email: "bob@acme.example".to_owned(), membership: owner.clone(), sha256: "link".to_owned() };
    fresh.invitation_create(&invited).await.unwrap();
    let fields = SignInFields {
        issuer: "https://login.acme.example".to_owned(),
        client_id: "rerate".to_owned(),
        secret: ClientSecret::None,
        scopes: vec!["email".to_owned()],
        group_claim: "groups".to_owned(),
        roles: Vec::new(),
        enforced: false,
        just_in_time: false,
        unverified_email: false,
    };
    let settings = fresh.sign_in_put(&organisation, &fields, None).await.unwrap();
    let vouched = Vouched {
        issuer: fields.issuer.clone(),
        subject: "1".to_owned(),
        email: Some(eve.email.clone()),
        email_verified: true,
        name: None,
        groups: Vec::new(),
    };
    let bob = NewPerson { name: "Bob".to_owned(), password_hash: Some("hash".to_owned()) };
    fresh.tenant_set_state(&acme.id, TenantState::Suspended, true, None).await.unwrap();
    assert_eq!(message(fresh.session_begin(&session("a")).await), SUSPENDED);
    assert_eq!(message(fresh.invitation_accept("link", &bob).await), SUSPENDED);
    assert_eq!(message(fresh.sign_in_admit(&settings, &vouched).await), SUSPENDED);
    // An unlinked one's people stay; what was refused before was not used up.
    fresh.tenant_set_state(&acme.id, TenantState::Unlinked, true, None).await.unwrap();
    let begun = fresh.session_begin(&session("b")).await.unwrap();
    fresh.invitation_accept("link", &bob).await.unwrap();
    assert!(matches!(fresh.sign_in_admit(&settings, &vouched).await.unwrap(), Admission::In(_)));
    fresh.tenant_set_state(&acme.id, TenantState::Suspended, true, None).await.unwrap();
    assert_eq!(message(fresh.session_switch(&begun.id, &organisation).await), SUSPENDED);
}

#[tokio::test]
async fn a_snapshot_is_seen_by_whom_everything_in_it_is_seen() {
    let Some(fresh) = fresh().await else { return };
    let (acme, other) = (fresh.tenant_create(&named("Acme")).await.unwrap(), fresh.tenant_create(&named("Other")).await.unwrap());
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let import = fresh.import_begin(&aws.id, "d1", None).await.unwrap();
    let months = ["2026-08", "2026-09"].map(|name| month(name, vec![account("1", 3, "1"), account("2", 3, "2")]));
    let made = fresh.import_publish(&import.id, &months).await.unwrap();
    let all = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items;
    let limited = fresh.on_behalf(Actor::named("ann"), View::of_tenants([acme.id.as_str()]));
    let seen = async || {
        let list = limited.snapshots(None, None, &PageRequest::default()).await.unwrap().items;
        list.iter().map(|snapshot| snapshot.period.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(seen().await, ["2026-08", "2026-09"], "what nobody holds is shown, so that it can be assigned");
    fresh.subaccounts_move(&[all[0].id.clone()], Some(&acme.id)).await.unwrap();
    assert_eq!(seen().await, ["2026-08", "2026-09"]);
    let later = Assign {
        subaccounts: vec![all[1].id.clone()],
        tenant_id: Some(other.id.clone()),
        from_period: Some(period("2026-09")),
        ..Assign::default()
    };
    fresh.subaccounts_assign(&later).await.unwrap();
    assert_eq!(seen().await, ["2026-08"]);
    assert!(limited.snapshot(&made[0].id).await.is_ok());
    assert!(matches!(limited.snapshot(&made[1].id).await, Err(StoreError::NotFound { .. })));
}
