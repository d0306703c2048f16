//! Customers that a partner's bill names.

use super::*;

fn customer(id: &str, name: &str, subscriptions: &[&str]) -> BilledCustomer {
    let subaccounts = subscriptions.iter().map(|sub| ("999".to_owned(), (*sub).to_owned())).collect();
    BilledCustomer { id: id.to_owned(), name: name.to_owned(), domain: Some(format!("{id}.example")), subaccounts }
}

async fn bill(fresh: &Fresh, integration: &Integration, name: &str, accounts: &[&str], customers: &[BilledCustomer]) {
    let import = fresh.import_begin(&integration.id, name, None).await.unwrap();
    let accounts = accounts.iter().map(|id| account(id, 1, "1")).collect();
    let content = PeriodContent { report: json!({ CUSTOMERS: customers }), ..month(name, accounts) };
    fresh.import_publish(&import.id, &[content]).await.unwrap();
}

fn partner() -> IntegrationFields {
    IntegrationFields { create_tenants: Some(true), ..folder("csp") }
}

async fn told(fresh: &Fresh) -> Vec<(String, Option<String>, Vec<String>)> {
    let tenants = fresh.tenants(&TenantFilter::default(), &PageRequest::default()).await.unwrap().items;
    let mut told = Vec::new();
    for tenant in tenants {
        let filter = SubaccountFilter { tenant_id: Some(tenant.id.clone()), ..SubaccountFilter::default() };
        let held = fresh.subaccounts(&filter, &PageRequest::default()).await.unwrap().items;
        let mut held: Vec<String> = held.into_iter().map(|s| s.sub_account_id).collect();
        held.sort();
        told.push((tenant.name, tenant.external_id, held));
    }
    told
}

fn line(name: &str, id: Option<&str>, held: &[&str]) -> (String, Option<String>, Vec<String>) {
    (name.to_owned(), id.map(str::to_owned), held.iter().map(|text| (*text).to_owned()).collect())
}

#[tokio::test]
async fn customers_become_tenants_once_and_hold_what_nobody_ever_held() {
    let Some(fresh) = fresh().await else { return };
    let csp = fresh.integration_create(&partner()).await.unwrap();
    bill(&fresh, &csp, "2026-08", &["s1", "s2", "s3"], &[customer("t-1", "Acme", &["s1", "s2"]), customer("t-2", "Bolt", &["s3"])]).await;
    let done = fresh.customers_admit(&csp.id).await.unwrap();
    assert_eq!(done, CustomersAdmitted { created: 2, assigned: 3 });
    let first = [line("Acme", Some("t-1"), &["s1", "s2"]), line("Bolt", Some("t-2"), &["s3"])];
    assert_eq!(told(&fresh).await, first);
    let made = fresh.tenant_by_name("Acme").await.unwrap();
    assert_eq!(made.domain.as_deref(), Some("t-1.example"));
    let of_it = AuditFilter { subject: Some(made.id), ..AuditFilter::default() };
    let entries = fresh.audit_entries(&of_it, &PageRequest::default()).await.unwrap().items;
    assert_eq!((entries[0].action.as_str(), entries[0].actor.as_str()), ("create", "import of csp"));
    assert_eq!(fresh.customers_admit(&csp.id).await.unwrap(), CustomersAdmitted::default());

    // A customer with another name is the same one; what was taken from it by hand stays where it is.
    let all = fresh.subaccounts(&SubaccountFilter::default(), &PageRequest::default()).await.unwrap().items;
    let s2 = all.iter().find(|s| s.sub_account_id == "s2").unwrap().id.clone();
    fresh.subaccounts_move(&[s2], None).await.unwrap();
    bill(&fresh, &csp, "2026-09", &["s1", "s2", "s4"], &[customer("t-1", "Acme International", &["s1", "s2", "s4"])]).await;
    assert_eq!(fresh.customers_admit(&csp.id).await.unwrap(), CustomersAdmitted { created: 0, assigned: 1 });
    assert_eq!(told(&fresh).await, [line("Acme", Some("t-1"), &["s1", "s4"]), line("Bolt", Some("t-2"), &["s3"])]);

    // One that was deleted does not come back.
    let bolt = fresh.tenant_by_name("Bolt").await.unwrap();
    fresh.tenant_delete(&bolt.id, "Bolt", None).await.unwrap();
    assert_eq!(fresh.customers_admit(&csp.id).await.unwrap(), CustomersAdmitted::default());
    assert_eq!(told(&fresh).await.len(), 1);
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_on_the_integration_and_the_others_come_in() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("ACME")).await.unwrap();
    let csp = fresh.integration_create(&partner()).await.unwrap();
    let customers = [
        customer("t-1", "Acme", &["s1"]),
        customer("t-2", "Bolt", &["s2"]),
        customer("t-3", "bolt", &["s3"]),
        customer("t-4", "\u{7}", &["s4"]),
    ];
    bill(&fresh, &csp, "2026-09", &["s1", "s2", "s3", "s4"], &customers).await;
    assert_eq!(fresh.customers_admit(&csp.id).await.unwrap(), CustomersAdmitted { created: 1, assigned: 1 });
    let notice = fresh.integration(&csp.id).await.unwrap().notice.unwrap();
    let expected = "the customer Acme (t-1): a tenant named ACME exists already; set its external id to t-1, or rename it; \
                    the customer bolt (t-3): a tenant named Bolt exists already; it is the customer t-2, or rename it; \
                    the customer \u{7} (t-4): a tenant's name has control characters";
    assert_eq!(notice, expected);
    // Done as it says, the next look gives it what is its own, without a new bill.
    let known = TenantFields { external_id: Some("t-1".to_owned()), ..named("ACME") };
    fresh.tenant_update(&acme.id, &known, None).await.unwrap();
    assert_eq!(fresh.customers_admit(&csp.id).await.unwrap(), CustomersAdmitted { created: 0, assigned: 1 });
    assert!(!fresh.integration(&csp.id).await.unwrap().notice.unwrap().contains("t-1"));
    fresh.integration_update(&csp.id, &IntegrationFields { create_tenants: Some(false), ..folder("csp") }, None).await.unwrap();
    fresh.customers_admit(&csp.id).await.unwrap();
    assert_eq!(fresh.integration(&csp.id).await.unwrap().notice, None);
}

#[tokio::test]
async fn only_a_shared_integration_of_the_msp_makes_tenants_and_only_if_it_is_set_so() {
    let Some(fresh) = fresh().await else { return };
    let acme = fresh.tenant_create(&named("Acme")).await.unwrap();
    for fields in [
        IntegrationFields { tenant_id: Some(acme.id.clone()), ..partner() },
        IntegrationFields { dedicated_to: Some(acme.id.clone()), ..partner() },
    ] {
        assert!(message(fresh.integration_create(&fields).await).starts_with("create_tenants is for a shared integration of the MSP"));
    }
    let plain = fresh.integration_create(&folder("csp")).await.unwrap();
    bill(&fresh, &plain, "2026-09", &["s1"], &[customer("t-1", "Bolt", &["s1"])]).await;
    assert_eq!(fresh.customers_admit(&plain.id).await.unwrap(), CustomersAdmitted::default());
    let dedicated = IntegrationFields { dedicated_to: Some(acme.id), ..partner() };
    assert!(matches!(fresh.integration_update(&plain.id, &dedicated, None).await, Err(StoreError::Invalid(_))));
    fresh.integration_update(&plain.id, &partner(), None).await.unwrap();
    fresh.integration_update(&plain.id, &folder("csp"), None).await.unwrap(); // absent is no change
    assert_eq!(fresh.customers_admit(&plain.id).await.unwrap().created, 1);
}
