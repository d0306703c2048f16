//! A partner's bill whose customers become tenants as it is imported.

use super::World;
use crate::jobs::Change;
use crate::store::{IntegrationFields, IntegrationKind, PageRequest, TenantFilter};

/// A CSP bill: (customer's id, name, domain, subscription, cost) a line.
fn write_bill(world: &World, lines: &[(&str, &str, &str, &str, &str)]) -> String {
    let folder = world.folder.path().join("csp");
    std::fs::create_dir_all(&folder).unwrap();
    let mut text =
        "PartnerId,CustomerTenantId,CustomerName,CustomerDomainName,SubscriptionId,SubscriptionName,Date,BillingPeriodStartDate,\
                    MeterId,MeterCategory,ChargeType,BillingCurrency,Cost\n"
            .to_owned();
    for (id, name, domain, subscription, cost) in lines {
        text.push_str(&format!(
            "partner,{id},{name},{domain},{subscription},Subscription {subscription},2026-09-03,2026-09-01,m,VM,Usage,USD,{cost}\n"
        ));
    }
    std::fs::write(folder.join("bill.csv"), text).unwrap();
    folder.display().to_string()
}

async fn integration(world: &World, location: String, create_tenants: bool) -> String {
    let (name, create_tenants) = ("csp".to_owned(), Some(create_tenants));
    let fields = IntegrationFields { name, kind: IntegrationKind::Folder, location, create_tenants, ..IntegrationFields::default() };
    let id = world.store.integration_create(&fields).await.unwrap().id;
    world.changed(Change::Integrations).await;
    id
}

/// Tenants with what they are charged.
async fn told(world: &World) -> Vec<(String, Option<String>, Vec<String>)> {
    let mut told = Vec::new();
    for tenant in world.store.tenants(&TenantFilter::default(), &PageRequest::default()).await.unwrap().items {
        let charged = world.published(&tenant).await.iter().map(|run| run.charged.unwrap().to_string()).collect();
        told.push((tenant.name, tenant.domain, charged));
    }
    told
}

fn line(name: &str, domain: Option<&str>, charged: &str) -> (String, Option<String>, Vec<String>) {
    (name.to_owned(), domain.map(str::to_owned), vec![charged.to_owned()])
}

const FIRST: [(&str, &str, &str, &str, &str); 4] = [
    ("t-1", "Acme", "acme.example", "s-1", "1"),
    ("t-1", "Acme", "acme.example", "s-2", "2"),
    ("t-2", "Bolt", "", "s-3", "4"),
    ("", "", "", "s-4", "8"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_customers_of_a_bill_are_tenants_once_however_often_it_comes() {
    let world = World::new().await;
    let location = write_bill(&world, &FIRST);
    let id = integration(&world, location, true).await;
    let found = world.store.integration(&id).await.unwrap();
    assert_eq!((found.error, found.notice), (None, None));
    let first = [line("Acme", Some("acme.example"), "3"), line("Bolt", None, "4")];
    assert_eq!(told(&world).await, first);
    let split = world.store.splits(None).await.unwrap().remove(0);
    assert_eq!((split.unassigned.to_string(), split.source.to_string()), ("8".to_owned(), "15".to_owned()), "the partner's own");
    world.changed(Change::Refresh { integration_id: id.clone() }).await;
    assert_eq!(told(&world).await, first);
    let mut second = FIRST.to_vec();
    second.push(("t-1", "Acme International", "acme.example", "s-5", "16"));
    second.push(("t-3", "Cord", "cord.example", "s-6", "32"));
    write_bill(&world, &second);
    world.changed(Change::Refresh { integration_id: id }).await;
    let then = [line("Acme", Some("acme.example"), "19"), line("Bolt", None, "4"), line("Cord", Some("cord.example"), "32")];
    assert_eq!(told(&world).await, then);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_between_a_bill_and_its_customers_is_done_at_the_next_start() {
    let world = World::new().await;
    let location = write_bill(&world, &FIRST);
    // As such a crash leaves it: the bill is published, its customers are nobody yet.
    let id = integration(&world, location.clone(), false).await;
    assert_eq!(told(&world).await, []);
    let snapshots = world.store.snapshots_published(None).await.unwrap();
    world.jobs.stop().await;
    let fields = IntegrationFields { name: "csp".to_owned(), location, create_tenants: Some(true), ..IntegrationFields::default() };
    world.store.integration_update(&id, &fields, None).await.unwrap();
    let world = world.restart().await;
    world.idle().await;
    assert_eq!(told(&world).await, [line("Acme", Some("acme.example"), "3"), line("Bolt", None, "4")]);
    assert_eq!(world.store.snapshots_published(None).await.unwrap(), snapshots, "nothing was imported again");
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_of_a_bill_that_was_read_before_anybody_looked_for_them_are_found_in_what_is_stored() {
    let world = World::new().await;
    let location = write_bill(&world, &FIRST);
    let id = integration(&world, location.clone(), false).await;
    let ids = async || world.store.snapshots_published(None).await.unwrap().into_iter().map(|snapshot| snapshot.id).collect::<Vec<_>>();
    let imported = ids().await;
    for snapshot in &imported {
        world.store.snapshot_customers_put(snapshot, &[]).await.unwrap();
    }
    let fields = IntegrationFields { name: "csp".to_owned(), location, create_tenants: Some(true), ..IntegrationFields::default() };
    world.store.integration_update(&id, &fields, None).await.unwrap();
    world.changed(Change::Refresh { integration_id: id }).await;
    assert_eq!(told(&world).await, [line("Acme", Some("acme.example"), "3"), line("Bolt", None, "4")]);
    assert_eq!(ids().await, imported, "nothing was imported again");
}
