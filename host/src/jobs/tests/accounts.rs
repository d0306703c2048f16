//! Accounts that a bill names in more than one way: each charge goes to whoever holds the subaccount that the import made of it.

use super::World;
use crate::jobs::Change;
use crate::store::{Assign, PageRequest, RunState, SubaccountFilter, Tenant};

/// A FOCUS bill of September: (billing account, sub account, cost) a line.
fn write_bill(world: &World, name: &str, lines: &[(&str, &str, &str)]) {
    let folder = world.folder.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let mut text =
        "BillingAccountId,SubAccountId,SubAccountName,ServiceProviderName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,\
                    ChargePeriodEnd,BillingCurrency,ChargeCategory,ServiceName,ListCost,BilledCost,EffectiveCost\n"
            .to_owned();
    for (billing, sub, cost) in lines {
        let start = "2026-09-01T00:00:00Z";
        text.push_str(&format!("{billing},{sub},,AWS,{start},{start},{start},{start},USD,Usage,EC2,{cost},{cost},{cost}\n"));
    }
    std::fs::write(folder.join("bill.csv"), text).unwrap();
}

/// Gives a tenant the subaccount that the bill names so.
async fn give(world: &World, billing: &str, sub: &str, tenant: &Tenant) {
    let all = world.store.subaccounts(&SubaccountFilter::default(), &PageRequest::largest()).await.unwrap().items;
    let found = all.into_iter().find(|s| s.billing_account_id == billing && s.sub_account_id == sub).unwrap();
    let assign = Assign { subaccounts: vec![found.id], tenant_id: Some(tenant.id.clone()), ..Assign::default() };
    world.store.subaccounts_assign(&assign).await.unwrap();
    world.changed(Change::Subaccounts).await;
}

/// What went wrong with any run.
async fn failures(world: &World) -> Vec<String> {
    world.all_runs().await.into_iter().filter(|run| run.state == RunState::Failed).filter_map(|run| run.failure).collect()
}

async fn split(world: &World) -> (String, Vec<String>) {
    let split = world.store.splits(None).await.unwrap().remove(0);
    (split.unassigned.to_string(), split.tenants.iter().map(|share| share.billed.to_string()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_moved_between_payers_is_split_by_who_holds_it_under_each() {
    let world = World::new().await;
    write_bill(&world, "org", &[("p1", "111", "1"), ("p2", "111", "2"), ("p1", "222", "4")]);
    world.integration("org").await;
    let (acme, bolt) = (world.tenant("Acme", &[]).await, world.tenant("Bolt", &["222"]).await);
    give(&world, "p1", "111", &acme).await;
    assert_eq!(failures(&world).await, [""; 0]);
    assert_eq!((world.charged(&acme).await, world.charged(&bolt).await), ("1".to_owned(), "4".to_owned()));
    assert_eq!(split(&world).await, ("2".to_owned(), vec!["1".to_owned(), "4".to_owned()]));
    give(&world, "p2", "111", &bolt).await;
    assert_eq!(failures(&world).await, [""; 0]);
    assert_eq!((world.charged(&acme).await, world.charged(&bolt).await), ("1".to_owned(), "6".to_owned()));
    let run = world.published(&bolt).await.remove(0);
    let replayer = crate::jobs::replay::Replayer::new(world.store.clone(), world.plugins.clone(), world.data.clone());
    let verdict = replayer.verify(&run.id, crate::jobs::replay::ReplayOptions::default()).await.unwrap();
    assert!(verdict.identical, "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_payer_is_charged_without_an_account_is_not_its_own_account() {
    let world = World::new().await;
    write_bill(&world, "org", &[("p1", "", "1"), ("p1", "p1", "2"), ("p1", "222", "4")]);
    world.integration("org").await;
    let (acme, bolt) = (world.tenant("Acme", &["p1"]).await, world.tenant("Bolt", &["222"]).await);
    assert_eq!(failures(&world).await, [""; 0]);
    assert_eq!((world.charged(&acme).await, world.charged(&bolt).await), ("2".to_owned(), "4".to_owned()));
    assert_eq!(split(&world).await.0, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_that_name_no_account_at_all_can_be_held() {
    let world = World::new().await;
    write_bill(&world, "org", &[("", "", "1"), ("p1", "222", "4")]);
    world.integration("org").await;
    let (acme, bolt) = (world.tenant("Acme", &[]).await, world.tenant("Bolt", &["222"]).await);
    give(&world, "", "", &acme).await;
    assert_eq!(failures(&world).await, [""; 0]);
    assert_eq!((world.charged(&acme).await, world.charged(&bolt).await), ("1".to_owned(), "4".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_beyond_all_reason_stops_its_own_integration_and_nobody_else() {
    let world = World::new().await;
    write_bill(&world, "one", &[("p1", "111", "99999999999999999999")]);
    write_bill(&world, "two", &[("p2", "222", "99999999999999999999")]);
    write_bill(&world, "org", &[("p3", "333", "4")]);
    world.integration("one").await;
    let two = world.integration("two").await;
    world.integration("org").await;
    let bolt = world.tenant("Bolt", &["333"]).await;
    assert_eq!(world.charged(&bolt).await, "4");
    let told = world.store.integration(&two.id).await.unwrap().error.unwrap_or_default();
    assert_eq!(told, "what is billed in 2026-09 in USD has more than 17 digits before the decimal point: that cannot be right");
}
