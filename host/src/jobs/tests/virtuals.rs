//! Views of subaccounts and of tagged charges.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::World;
use crate::domain::rule::{Condition, Test};
use crate::jobs::virtuals::{Selection, months, page};
use crate::store::tests::naming::naming;
use crate::store::{PageRequest, Snapshot, VirtualFields};

/// A bill of two currencies: (account, tags, currency, billed) a line.
fn write_bill(world: &World, lines: &[(&str, &str, &str, &str)]) {
    let folder = world.folder.path().join("aws");
    std::fs::create_dir_all(&folder).unwrap();
    let mut text =
        "BillingAccountId,SubAccountId,ServiceProviderName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,\
                    BillingCurrency,ChargeCategory,ServiceName,ListCost,BilledCost,EffectiveCost,Tags\n"
            .to_owned();
    for (account, tags, currency, billed) in lines {
        let (start, tags) = ("2026-09-01T00:00:00Z", tags.replace('"', "\"\""));
        text.push_str(&format!(
            "payer-{currency},{account},AWS,{start},{start},{start},{start},{currency},Usage,EC2,{billed},{billed},{billed},\"{tags}\"\n"
        ));
    }
    std::fs::write(folder.join("bill.csv"), text).unwrap();
}

async fn snapshots(world: &World) -> Vec<Arc<Snapshot>> {
    world.store.snapshots_published(None).await.unwrap().into_iter().map(Arc::new).collect()
}

fn told(world: &World, snapshots: &[Arc<Snapshot>], selection: &Selection) -> Vec<(String, u64, String, u64, String)> {
    let found = months(world.data.charges(), snapshots, selection).unwrap();
    let row = |m: crate::jobs::virtuals::VirtualMonth| {
        (m.currency, m.charges, m.billed.to_string(), m.outside_charges, m.outside_billed.to_string())
    };
    found.into_iter().map(row).collect()
}

fn row(currency: &str, charges: u64, billed: &str, outside: u64, rest: &str) -> (String, u64, String, u64, String) {
    (currency.to_owned(), charges, billed.to_owned(), outside, rest.to_owned())
}

fn files_naming(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.display().to_string();
        if entry.is_dir() {
            found.extend(files_naming(&entry, text));
        } else if !name.contains("rerate.db") && std::fs::read(&entry).unwrap().windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(name.clone());
        }
        if name.contains(text) {
            found.push(name);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_shows_its_charges_and_with_the_rest_they_are_the_bill_to_the_last_digit() {
    let world = World::new().await;
    let lines = [
        ("111", r#"{"team": "web"}"#, "USD", "1.000000000000000001"),
        ("222", r#"{"team": "data"}"#, "USD", "2"),
        ("222", r#"{"team": "web-shop"}"#, "USD", "4"),
        ("333", "{}", "EUR", "8"),
        ("444", r#"{"team": "web"}"#, "EUR", "16"),
    ];
    write_bill(&world, &lines);
    let integration = world.integration("aws").await;
    let snapshots = snapshots(&world).await;
    let tag = |test| Selection::Conditions(vec![Condition { column: "Tags.team".to_owned(), test }]);
    let starts = tag(Test::StartsWith(vec!["web".to_owned()]));
    assert_eq!(told(&world, &snapshots, &starts), [row("EUR", 1, "16", 1, "8"), row("USD", 2, "5.000000000000000001", 1, "2")]);
    assert_eq!(told(&world, &snapshots, &tag(Test::IsNull)), [row("EUR", 1, "8", 1, "16")]);
    let both = Selection::Conditions(vec![
        Condition { column: "Tags.team".to_owned(), test: Test::NotIn(vec!["data".to_owned()]) },
        Condition { column: "SubAccountId".to_owned(), test: Test::IsIn(vec!["222".to_owned()]) },
    ]);
    assert_eq!(told(&world, &snapshots, &both), [row("USD", 1, "4", 2, "3.000000000000000001")]);
    let accounts = |names: &[(&str, &str)]| {
        let set: BTreeSet<(String, String)> = names.iter().map(|(payer, sub)| ((*payer).to_owned(), (*sub).to_owned())).collect();
        Selection::Accounts(BTreeMap::from([(integration.id.clone(), set)]))
    };
    assert_eq!(
        told(&world, &snapshots, &accounts(&[("payer-USD", "222"), ("payer-EUR", "222")])),
        [row("USD", 2, "6", 1, "1.000000000000000001")]
    );

    // Page by page, every charge once.
    for limit in 1..4 {
        let (mut seen, mut from) = (Vec::new(), None);
        loop {
            let columns = ["BilledCost".to_owned()];
            let found = page(world.data.charges(), &snapshots, &starts, &columns, from.as_ref(), limit).unwrap();
            assert!(found.charges.len() <= limit);
            seen.extend(found.charges.iter().map(|charge| charge["BilledCost"].as_str().unwrap().to_owned()));
            from = found.next;
            if from.is_none() {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, ["1.000000000000000001", "16", "4"], "limit {limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_view_leaves_nothing_in_any_table_or_folder_and_a_wrong_edit_changes_nothing() {
    let world = World::new().await;
    write_bill(&world, &[("111", r#"{"team": "web"}"#, "USD", "1")]);
    world.integration("aws").await;
    let subaccount = world.store.subaccounts(&Default::default(), &PageRequest::default()).await.unwrap().items.remove(0).id;
    let fields = VirtualFields { name: "Web".to_owned(), subaccounts: vec![subaccount.clone()], conditions: Vec::new() };
    let view = world.store.virtual_create(&fields).await.unwrap();
    let wrong = VirtualFields { name: "Other".to_owned(), subaccounts: vec!["sub_none".to_owned()], conditions: Vec::new() };
    assert_eq!(
        world.store.virtual_update(&view.id, &wrong, None).await.unwrap_err().to_string(),
        "subaccounts: there is no subaccount sub_none"
    );
    assert_eq!(world.store.virtual_integration(&view.id).await.unwrap(), view);
    let runs = world.run_ids().await;
    let tables = naming(&world.store, &view.id).await;
    assert_eq!(tables, ["audit", "virtual_integration_subaccounts", "virtual_integrations"]);
    world.store.virtual_delete(&view.id, None).await.unwrap();
    assert_eq!(naming(&world.store, &view.id).await, ["audit"], "the log of changes is only ever appended to");
    assert_eq!(files_naming(world.data.root(), &view.id), [""; 0]);
    assert_eq!(world.run_ids().await, runs);
    assert!(world.store.subaccount(&subaccount).await.is_ok());
}
