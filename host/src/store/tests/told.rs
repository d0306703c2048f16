//! What a tenant's people are told of changes, and texts that not every database holds.

use super::*;

#[tokio::test]
async fn a_tenants_people_read_what_happened_in_their_organisation_and_not_who_of_the_msp_did_it() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let other = fresh.tenant_create(&named("Other")).await.unwrap();
    let organisation = Organisation::Tenant(acme.id.clone());
    let ann = Actor { id: Some("usr_ann".to_owned()), address: Some("10.0.0.1".to_owned()), ..Actor::named("ann@msp.example") };
    let eve = Actor { organisation: organisation.clone(), ..Actor::named("eve@acme.example") };
    let msp = fresh.by_actor(&ann);
    deploy(&fresh, "markup", "1").await;
    let rule = markup(&fresh, "5 %").await;
    msp.assignment_create(&AssignmentFields { tenant_id: Some(acme.id.clone()), ..everywhere(&rule) }, None).await.unwrap();
    msp.quota_put(&acme.id, &QuotaFields::default(), None).await.unwrap();
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let import = fresh.import_begin(&aws.id, "d1", None).await.unwrap();
    fresh.import_publish(&import.id, &[month("2026-09", vec![account("1", 3, "10")])]).await.unwrap();
    let id = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items.remove(0).id;
    msp.subaccounts_move(std::slice::from_ref(&id), Some(&other.id)).await.unwrap();
    let handed =
        Assign { subaccounts: vec![id], tenant_id: Some(acme.id.clone()), from_tenant_id: Some(other.id.clone()), ..Assign::default() };
    msp.subaccounts_assign(&handed).await.unwrap();
    let center = CostCenterFields { name: "Research".to_owned(), subaccounts: Vec::new() };
    let center = fresh.by_actor(&eve).cost_center_create(&acme.id, &center).await.unwrap();

    let own = fresh.on_behalf(eve, View::of_tenant(&acme.id, None));
    let list = own.audit_entries(&AuditFilter::default(), &PageRequest::default()).await.unwrap().items;
    let told: Vec<_> = list.iter().map(|entry| (entry.noun.as_str(), entry.action.as_str(), entry.actor.as_str())).collect();
    let expected =
        [("cost-center", "create", "eve@acme.example"), ("subaccount", "assign", "Manager User"), ("tenant", "create", "rerate")];
    assert_eq!(told, expected);
    let text = serde_json::to_string(&list).unwrap();
    for secret in ["ann", "10.0.0.1", other.id.as_str(), "5 %"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains(&center.id) && text.contains("Research"));
    assert!(own.audit_entry(&list[0].id).await.is_ok());
    let all = fresh.audit_entries(&AuditFilter::default(), &PageRequest::default()).await.unwrap().items;
    let hidden = all.iter().find(|entry| entry.noun == "assignment").unwrap();
    assert!(matches!(own.audit_entry(&hidden.id).await, Err(StoreError::NotFound { .. })));
    assert!(fresh.audit_verify().await.unwrap().intact);
}

#[tokio::test]
async fn a_nul_character_in_what_failed_is_stored_and_one_in_a_question_is_the_askers() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    let run = fresh.run_enqueue(&run_of(&acme, "a")).await.unwrap();
    fresh.run_start(&run.id).await.unwrap();
    assert_eq!(fresh.run_fail(&run.id, "the rule wrote \0").await.unwrap().failure.as_deref(), Some("the rule wrote ?"));
    let aws = fresh.integration_create(&folder("aws")).await.unwrap();
    let failed = fresh.integration_set_status(&aws.id, IntegrationStatus::Error, Some("a\0b")).await.unwrap();
    assert_eq!(failed.error.as_deref(), Some("a?b"));
    let filter = TenantFilter { search: Some("\0".to_owned()), ..TenantFilter::default() };
    match fresh.tenants(&filter, &PageRequest::default()).await {
        Ok(_) => assert_eq!(fresh.kind(), Kind::Sqlite),
        Err(error) => assert!(error.is_of_text(), "{error:?}"),
    }
}
