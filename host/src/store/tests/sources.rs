use std::collections::BTreeSet;

use super::*;

async fn published(fresh: &Fresh, integration: &Integration, digest: &str, content: PeriodContent) -> Snapshot {
    let import = fresh.import_begin(&integration.id, digest, Some("manifest")).await.unwrap();
    fresh.import_publish(&import.id, &[content]).await.unwrap().remove(0)
}

#[tokio::test]
async fn an_integrations_location_fits_its_kind_and_is_read_once() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let same = IntegrationFields { name: "again".to_owned(), ..folder("aws") };
    assert_eq!(message(fresh.integration_create(&same).await), "another integration reads /bills/aws already");
    let same = IntegrationFields { location: "/elsewhere".to_owned(), ..folder("AWS") };
    assert_eq!(message(fresh.integration_create(&same).await), "an integration named AWS exists already");
    let relative = IntegrationFields { location: "bills".to_owned(), ..folder("relative") };
    assert_eq!(message(fresh.integration_create(&relative).await), "\"bills\" is not a folder's absolute path");
    let bucket = IntegrationFields { kind: IntegrationKind::S3, location: "bucket".to_owned(), ..folder("s3") };
    assert_eq!(message(fresh.integration_create(&bucket).await), "\"bucket\" is not of the form s3://bucket/prefix");

    let failed = fresh.integration_set_status(&aws.id, IntegrationStatus::Error, Some("line 7")).await.unwrap();
    assert_eq!((failed.status, failed.error.as_deref(), failed.version), (IntegrationStatus::Error, Some("line 7"), 1));
    let stable = fresh.integration_set_status(&aws.id, IntegrationStatus::Stable, None).await.unwrap();
    assert_eq!(stable.error, None);
    assert!(stable.last_refresh_at > failed.last_refresh_at);
}

#[tokio::test]
async fn a_new_snapshot_supersedes_that_of_its_period_and_no_other() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let august = published(&fresh, &aws, "d1", month("2026-08", vec![account("1", 3, "1.5")])).await;
    let first = published(&fresh, &aws, "d2", month("2026-09", vec![account("1", 3, "1.5")])).await;
    assert_eq!(fresh.snapshots_of_source(&aws.id, "d2").await.unwrap(), std::slice::from_ref(&first));
    let second = published(&fresh, &aws, "d3", month("2026-09", vec![account("1", 4, "2.5"), account("2", 1, "-1")])).await;

    let ids = |snapshots: Vec<Snapshot>| snapshots.into_iter().map(|snapshot| snapshot.id).collect::<Vec<_>>();
    assert_eq!(ids(fresh.snapshots_published(None).await.unwrap()), [august.id.as_str(), &second.id]);
    assert_eq!(ids(fresh.snapshots_published(Some(period("2026-09"))).await.unwrap()), [second.id.as_str()]);
    assert_eq!(fresh.snapshot(&first.id).await.unwrap().state, SnapshotState::Superseded);
    assert!(fresh.snapshots_of_source(&aws.id, "d2").await.unwrap().is_empty());
    assert_eq!(second.totals[0].billed, amount("1.5"));
}

#[tokio::test]
async fn an_import_of_two_periods_is_published_whole_or_not_at_all() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let import = fresh.import_begin(&aws.id, "d1", None).await.unwrap();
    let twice = month("2026-09", vec![account("1", 1, "1"), account("1", 1, "1")]);
    let failed = fresh.import_publish(&import.id, &[month("2026-08", vec![account("1", 1, "1")]), twice]).await;
    assert_eq!(message(failed), "the subaccount 1 is listed twice");
    assert!(fresh.snapshots_published(None).await.unwrap().is_empty());
    assert!(fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items.is_empty());
    assert_eq!(fresh.imports().await.unwrap(), std::slice::from_ref(&import));

    let periods = [month("2026-08", vec![account("1", 1, "1")]), month("2026-09", vec![account("1", 1, "1")])];
    let snapshots = fresh.import_publish(&import.id, &periods).await.unwrap();
    assert_eq!(snapshots[0].id, import.id);
    assert!(snapshots.iter().all(|snapshot| snapshot.location == import.id));
    assert!(fresh.imports().await.unwrap().is_empty());
    assert!(matches!(fresh.import_publish(&import.id, &periods).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_failed_import_leaves_what_was_published() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let before = published(&fresh, &aws, "d1", month("2026-09", vec![account("1", 3, "1")])).await;
    let import = fresh.import_begin(&aws.id, "d2", None).await.unwrap();
    fresh.import_discard(&import.id).await.unwrap();
    assert!(fresh.imports().await.unwrap().is_empty());
    assert_eq!(fresh.snapshots_published(None).await.unwrap(), [before]);
}

#[tokio::test]
async fn a_subaccount_keeps_its_id_and_holder_when_the_next_bill_renames_it() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    published(&fresh, &aws, "d1", month("2026-08", vec![account("1", 3, "1")])).await;
    let list = async |filter: SubaccountFilter| fresh.subaccounts(&filter, &PageRequest::default()).await.unwrap().items;
    let before = list(SubaccountFilter::default()).await.remove(0);
    fresh.subaccounts_move(std::slice::from_ref(&before.id), Some(&acme.id)).await.unwrap();
    let renamed = SubaccountContent { name: "Production".to_owned(), ..account("1", 3, "1") };
    published(&fresh, &aws, "d2", month("2026-09", vec![renamed, account("2", 1, "2")])).await;

    let after = list(SubaccountFilter::default()).await;
    assert_eq!((&after[0].id, after[0].name.as_str(), after[0].tenant_id.as_ref()), (&before.id, "Production", Some(&acme.id)));
    let ids = |list: Vec<Subaccount>| list.into_iter().map(|subaccount| subaccount.sub_account_id).collect::<Vec<_>>();
    assert_eq!(ids(list(SubaccountFilter { search: Some("PROD".to_owned()), ..Default::default() }).await), ["1"]);
    assert_eq!(ids(list(SubaccountFilter { search: Some("%".to_owned()), ..Default::default() }).await), [""; 0]);
    assert_eq!(ids(list(SubaccountFilter { unassigned: true, ..Default::default() }).await), ["2"]);
    assert_eq!(ids(list(SubaccountFilter { tenant_id: Some(acme.id.clone()), ..Default::default() }).await), ["1"]);
    assert_eq!(ids(list(SubaccountFilter { provider: Some("Azure".to_owned()), ..Default::default() }).await), [""; 0]);
    assert_eq!(ids(list(SubaccountFilter { integration_id: Some(aws.id.clone()), ..Default::default() }).await), ["1", "2"]);
}

#[tokio::test]
async fn a_subaccount_that_another_tenant_holds_is_not_taken_and_nothing_of_the_batch_moves() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let other = fresh.tenant_create(&named("Other")).await.unwrap();
    published(&fresh, &aws, "d1", month("2026-09", vec![account("1", 3, "1"), account("2", 1, "2")])).await;
    let list = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items;
    let ids: Vec<String> = list.into_iter().map(|subaccount| subaccount.id).collect();
    fresh.subaccounts_move(&ids[1..], Some(&acme.id)).await.unwrap();

    let refused = message(fresh.subaccounts_move(&ids, Some(&other.id)).await);
    assert_eq!(refused, format!("the subaccount account 2 ({}) is held by the tenant Acme ({})", ids[1], acme.id));
    assert_eq!(fresh.subaccount(&ids[0]).await.unwrap().tenant_id, None);

    let released = fresh.subaccounts_move(&ids, None).await.unwrap();
    assert_eq!(released, [Moved { id: ids[1].clone(), from: Some(acme.id.clone()), to: None }]);
    assert_eq!(fresh.subaccounts_move(&ids, Some(&other.id)).await.unwrap().len(), 2);
    assert_eq!(message(fresh.subaccounts_move(&[], None).await), "select 1 to 10000 subaccounts");
    assert!(matches!(fresh.subaccounts_move(&ids, Some("tnt_none")).await, Err(StoreError::NotFound { noun: "tenant", .. })));
}

#[tokio::test]
async fn holdings_tell_who_holds_the_published_charges() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    published(&fresh, &aws, "d1", month("2026-09", vec![account("1", 9, "9")])).await;
    let euro = SubaccountContent { currency: "EUR".to_owned(), ..account("2", 1, "0.000000000000000001") };
    let snapshot = published(&fresh, &aws, "d2", month("2026-09", vec![account("1", 3, "1"), account("2", 1, "2"), euro])).await;
    let list = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items;
    fresh.subaccounts_move(std::slice::from_ref(&list[1].id), Some(&acme.id)).await.unwrap();

    let all = fresh.holdings(&HoldingFilter::default()).await.unwrap();
    let seen: Vec<_> =
        all.iter().map(|h| (h.currency.as_str(), h.sub_account_id.as_str(), h.billed.to_string(), h.tenant_id.is_some())).collect();
    let tiny = "0.000000000000000001".to_owned();
    assert_eq!(seen, [("EUR", "2", tiny, true), ("USD", "1", "1".to_owned(), false), ("USD", "2", "2".to_owned(), true)]);
    assert!(all.iter().all(|holding| holding.snapshot_id == snapshot.id));
    let own = HoldingFilter { tenant_id: Some(acme.id.clone()), ..Default::default() };
    assert_eq!(fresh.holdings(&own).await.unwrap().len(), 2);
    let elsewhere = HoldingFilter { period: Some(period("2026-10")), ..Default::default() };
    assert!(fresh.holdings(&elsewhere).await.unwrap().is_empty());

    fresh.integration_delete(&aws.id, None).await.unwrap();
    assert!(fresh.holdings(&HoldingFilter::default()).await.unwrap().is_empty());
    assert!(fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn each_month_has_the_holder_of_its_period_and_the_history_keeps_what_was_overridden() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let other = fresh.tenant_create(&named("Other")).await.unwrap();
    for (digest, text) in [("d1", "2026-07"), ("d2", "2026-08"), ("d3", "2026-09")] {
        published(&fresh, &aws, digest, month(text, vec![account("1", 1, "1")])).await;
    }
    let id = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items.remove(0).id;
    let assign = async |tenant: Option<&Tenant>, from: Option<&str>, given_up_by: Option<&Tenant>| {
        let wanted = Assign {
            subaccounts: vec![id.clone()],
            tenant_id: tenant.map(|tenant| tenant.id.clone()),
            from_period: from.map(period),
            from_tenant_id: given_up_by.map(|tenant| tenant.id.clone()),
            ..Assign::default()
        };
        fresh.by("anna").subaccounts_assign(&wanted).await
    };
    let holders = async || {
        let held = fresh.holdings(&HoldingFilter::default()).await.unwrap();
        held.into_iter().map(|h| h.tenant_id.map_or("-", |t| if t == acme.id { "acme" } else { "other" })).collect::<Vec<_>>()
    };
    assign(Some(&acme), None, None).await.unwrap();
    assign(Some(&other), Some("2026-09"), Some(&acme)).await.unwrap();
    assert_eq!(holders().await, ["acme", "acme", "other"]);
    let held = message(assign(Some(&other), Some("2026-08"), None).await);
    assert_eq!(held, format!("the subaccount account 1 ({id}) is held by the tenant Acme ({})", acme.id));
    assign(None, Some("2026-08"), None).await.unwrap();
    assert_eq!(holders().await, ["acme", "-", "-"]);
    assert!(assign(None, Some("2026-09"), None).await.unwrap().is_empty(), "nobody holds it then already");
    let only_other = HoldingFilter { tenant_id: Some(other.id.clone()), ..Default::default() };
    assert!(fresh.holdings(&only_other).await.unwrap().is_empty());

    let history = fresh.subaccount_history(&id, &PageRequest::default()).await.unwrap().items;
    let told: Vec<_> = history.iter().map(|h| (h.tenant.as_deref(), h.from_period, h.until_period, h.in_effect)).collect();
    let (aug, sep) = (Some(period("2026-08")), Some(period("2026-09")));
    assert_eq!(told, [(None, aug, None, true), (Some("Other"), sep, None, false), (Some("Acme"), None, aug, true)]);
    assert!(history.iter().all(|held| held.assigned_by == "anna"));
    let filter = AuditFilter { noun: Some("subaccount".to_owned()), ..AuditFilter::default() };
    let audited = fresh.audit_entries(&filter, &PageRequest::default()).await.unwrap().items;
    assert_eq!(audited.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["release", "assign", "assign"]);
    assert_eq!(audited[1].after, Some(json!({"tenant_id": other.id, "from_period": "2026-09"})));

    fresh.tenant_delete(&acme.id, "Acme", None).await.unwrap();
    assert_eq!(holders().await, ["-", "-", "-"]);
}

#[tokio::test]
async fn new_subaccounts_go_to_the_tenant_of_a_dedicated_integration_but_for_the_excluded() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let fields = IntegrationFields { dedicated_to: Some(acme.id.clone()), exclude: "account 2, 33*".to_owned(), ..folder("aws") };
    let aws = fresh.integration_create(&fields).await.unwrap();
    published(&fresh, &aws, "d1", month("2026-08", vec![account("1", 1, "1"), account("2", 1, "2"), account("333", 1, "3")])).await;
    let holders = async || {
        let list = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items;
        list.into_iter().map(|s| (s.sub_account_id, s.tenant_id.is_some())).collect::<Vec<_>>()
    };
    let one = |id: &str, held| (id.to_owned(), held);
    assert_eq!(holders().await, [one("1", true), one("2", false), one("333", false)]);
    // What a person released stays released when the next bill names it again; only new ones are given.
    let list = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items;
    fresh.subaccounts_move(&[list[0].id.clone()], None).await.unwrap();
    published(&fresh, &aws, "d2", month("2026-09", vec![account("1", 1, "1"), account("4", 1, "2")])).await;
    assert_eq!(holders().await, [one("1", false), one("2", false), one("333", false), one("4", true)]);
    let history = fresh.subaccount_history(&list[0].id, &PageRequest::default()).await.unwrap().items;
    assert_eq!(history.last().unwrap().assigned_by, "rerate");
}

#[tokio::test]
async fn what_a_tenants_own_integration_brings_is_the_tenants_and_goes_with_it() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let other = fresh.tenant_create(&named("Other")).await.unwrap();
    let own = fresh.integration_create(&IntegrationFields { tenant_id: Some(acme.id.clone()), ..folder("own") }).await.unwrap();
    let msps = fresh.integration_create(&folder("msp")).await.unwrap();
    published(&fresh, &own, "d1", month("2026-09", vec![account("1", 1, "1")])).await;
    published(&fresh, &msps, "d2", month("2026-09", vec![account("2", 1, "2")])).await;
    let list = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items;
    assert_eq!(list.iter().map(|s| s.tenant_id.as_deref()).collect::<Vec<_>>(), [Some(acme.id.as_str()), None]);
    let moved = message(fresh.subaccounts_assign(&Assign { subaccounts: vec![list[0].id.clone()], ..Assign::default() }).await);
    assert!(moved.contains("comes from a tenant's own integration"), "{moved}");
    fresh.integration_set_status(&msps.id, IntegrationStatus::Error, Some("/secret/path is not readable")).await.unwrap();
    assert!(fresh.integrations_of_tenant(&other.id, &PageRequest::default()).await.unwrap().items.is_empty());
    fresh.subaccounts_move(&[list[1].id.clone()], Some(&acme.id)).await.unwrap();
    let seen = fresh.integrations_of_tenant(&acme.id, &PageRequest::default()).await.unwrap().items;
    let told: Vec<_> = seen.iter().map(|i| (i.name.as_str(), i.own, i.status, i.error.as_deref(), i.subaccounts)).collect();
    assert_eq!(told, [("own", true, IntegrationStatus::Stable, None, 1), ("msp", false, IntegrationStatus::Error, None, 1)]);
    let removal = fresh.tenant_removal(&acme.id).await.unwrap();
    let names = |named: &[Named]| named.iter().map(|n| n.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&removal.integrations), names(&removal.released)), (vec!["own".to_owned()], vec!["account 2".to_owned()]));
    let removed = fresh.tenant_delete(&acme.id, "Acme", None).await.unwrap();
    assert_eq!((removed.integrations, removed.files.len()), (vec![own.id.clone()], 1));
    assert!(matches!(fresh.integration(&own.id).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn an_integrations_schedule_owner_and_exclude_expression_are_checked() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let told = async |fields: IntegrationFields| message(fresh.integration_create(&fields).await);
    assert_eq!(told(IntegrationFields { refresh_minutes: 4, ..folder("a") }).await, "refresh_minutes is 4; it can be 5 to 10080");
    assert_eq!(
        told(IntegrationFields { exclude: "x".to_owned(), ..folder("a") }).await,
        "exclude is for an integration that is dedicated to a tenant"
    );
    assert_eq!(
        told(IntegrationFields { tenant_id: Some("tnt_none".to_owned()), ..folder("a") }).await,
        "tenant_id: there is no tenant tnt_none"
    );
    let both = IntegrationFields { tenant_id: Some(acme.id.clone()), dedicated_to: Some(acme.id.clone()), ..folder("a") };
    assert_eq!(told(both).await, "a tenant's own integration is not dedicated: all it brings is the tenant's");
    let hourly = fresh.integration_create(&IntegrationFields { refresh_minutes: 60, ..folder("a") }).await.unwrap();
    assert_eq!(hourly.next_refresh_at, None);
    let looked = fresh.integration_set_status(&hourly.id, IntegrationStatus::Stable, None).await.unwrap();
    assert_eq!(looked.next_refresh_at.unwrap().0 - looked.last_refresh_at.unwrap().0, 3_600_000);
    let given = IntegrationFields { tenant_id: Some(acme.id.clone()), ..folder("a") };
    assert_eq!(message(fresh.integration_update(&hourly.id, &given, None).await), "whose an integration is, is chosen when it is made");
}

#[tokio::test]
async fn credentials_are_gone_when_the_address_changes_and_never_in_the_log() {
    let Some(fresh) = fresh().await else { return };
    let fields = IntegrationFields { kind: IntegrationKind::S3, location: "s3://bills".to_owned(), ..folder("s3") };
    let bucket = fresh.integration_create(&fields).await.unwrap();
    let set = fresh.credentials_set(&bucket.id, "k:sealed-text", "MPLE", None).await.unwrap();
    assert_eq!(set.credentials.unwrap().access_key_ends, "MPLE");
    assert_eq!(fresh.credentials_sealed(&bucket.id).await.unwrap().as_deref(), Some("k:sealed-text"));
    assert_eq!(
        fresh
            .integration_update(&bucket.id, &IntegrationFields { refresh_minutes: 30, ..fields.clone() }, None)
            .await
            .unwrap()
            .credentials
            .unwrap()
            .access_key_ends,
        "MPLE"
    );
    let elsewhere = IntegrationFields { endpoint: Some("http://elsewhere.example".to_owned()), ..fields };
    assert_eq!(fresh.integration_update(&bucket.id, &elsewhere, None).await.unwrap().credentials, None);
    assert_eq!(fresh.credentials_sealed(&bucket.id).await.unwrap(), None);
    assert_eq!(naming::naming(&fresh, "sealed-text").await, [""; 0]);
    let folder = fresh.integration_create(&folder("f")).await.unwrap();
    assert_eq!(message(fresh.credentials_set(&folder.id, "x", "x", None).await), "a folder has no credentials");
}

#[tokio::test]
async fn any_number_of_people_may_ask_for_histories_at_once() {
    let Some(fresh) = fresh().await else { return };
    let integration = fresh.integration_create(&folder("aws")).await.unwrap();
    let import = fresh.import_begin(&integration.id, "d1", None).await.unwrap();
    fresh.import_publish(&import.id, &[month("2026-09", vec![account("1", 3, "10")])]).await.unwrap();
    let id = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items.remove(0).id;
    let page = PageRequest::default();
    let asked = futures::future::join_all((0..40).map(|_| fresh.subaccount_history(&id, &page))).await;
    assert_eq!(asked.into_iter().map(|history| history.unwrap().items.len()).sum::<usize>(), 0);
}

#[tokio::test]
async fn a_region_is_a_word_and_no_part_of_another_address() {
    let Some(fresh) = fresh().await else { return };
    let bucket = |region: &str| IntegrationFields {
        name: format!("in {region}"),
        kind: IntegrationKind::S3,
        location: format!("s3://bills-{}/x", region.len()),
        region: Some(region.to_owned()),
        ..IntegrationFields::default()
    };
    for region in ["x@10.0.0.5:8443/?", "10.0.0.5/", "evil.example#", "a b", "", "a:1"] {
        let refused = message(fresh.integration_create(&bucket(region)).await);
        assert_eq!(refused, format!("{region:?} is not a region: write it as in eu-central-1"));
    }
    for region in ["eu-central-1", "RegionOne", "auto", "us_gov.1"] {
        fresh.integration_create(&bucket(region)).await.unwrap();
    }
}

#[tokio::test]
async fn bills_are_read_as_they_are_at_one_moment() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let (store, id) = (fresh.store.clone(), aws.id.clone());
    let replaced = tokio::spawn(async move {
        for number in 0..200_u64 {
            let import = store.import_begin(&id, &format!("d{number}"), None).await.unwrap();
            let months = ["2026-08", "2026-09"].map(|name| month(name, vec![account("1", number + 1, "1")]));
            store.import_publish(&import.id, &months).await.unwrap();
        }
    });
    while !replaced.is_finished() {
        let (snapshots, holdings) = fresh.bills().await.unwrap();
        let (known, held) = (snapshots.iter().map(|s| &s.id).collect::<BTreeSet<_>>(), holdings.iter().map(|h| &h.snapshot_id).collect());
        assert_eq!(known, held);
    }
    replaced.await.unwrap();
}

#[tokio::test]
async fn an_account_id_that_no_provider_gives_is_refused_and_the_bill_before_stays() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let before = published(&fresh, &aws, "d1", month("2026-09", vec![account("1", 3, "10")])).await;
    for id in ["p1\u{1f}111".to_owned(), "x".repeat(513)] {
        let import = fresh.import_begin(&aws.id, &id, None).await.unwrap();
        let refused = message(fresh.import_publish(&import.id, &[month("2026-09", vec![account(&id, 3, "10")])]).await);
        assert!(refused.ends_with(": an id has at most 512 bytes and no control characters"), "{refused}");
        assert!(fresh.import_discard(&import.id).await.unwrap());
    }
    assert_eq!(fresh.snapshots_published(None).await.unwrap(), [before]);
}

#[tokio::test]
async fn a_bill_of_many_accounts_is_published_with_each_and_their_newest_names() {
    let Some(fresh) = fresh().await else { return };
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let accounts = |name: &str| -> Vec<SubaccountContent> {
        let of = |number: usize| SubaccountContent { name: format!("{name} {number}"), ..account(&number.to_string(), 1, "0.5") };
        (0..450).map(of).collect()
    };
    let import = fresh.import_begin(&aws.id, "d1", None).await.unwrap();
    let months = [month("2026-08", accounts("old")), month("2026-09", accounts("new"))];
    let snapshots = fresh.import_publish(&import.id, &months).await.unwrap();
    let (_, holdings) = fresh.bills().await.unwrap();
    for snapshot in snapshots {
        let held: Vec<_> = holdings.iter().filter(|held| held.snapshot_id == snapshot.id).collect();
        assert_eq!((held.len(), held.iter().map(|held| held.charges).sum::<u64>()), (450, 450));
        assert!(held.iter().all(|held| held.billed.to_string() == "0.5"));
    }
    let all = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::largest()).await.unwrap().items;
    assert!(!all.is_empty() && all.iter().all(|found| found.name == format!("new {}", found.sub_account_id)), "{all:?}");
}
