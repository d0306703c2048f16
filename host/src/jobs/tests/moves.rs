//! Subaccounts that change hands from a billing period on.

use super::World;
use super::world::crediting;
use crate::jobs::Change;
use crate::jobs::review::{Effect, Review, review};
use crate::store::{Assign, Run, Tenant, TenantState};

const BILL: [(&str, &str, &str, &str); 6] = [
    ("2026-07", "111", "EC2", "1"),
    ("2026-08", "111", "EC2", "2"),
    ("2026-09", "111", "EC2", "4"),
    ("2026-07", "222", "S3", "8"),
    ("2026-08", "222", "S3", "16"),
    ("2026-09", "333", "S3", "32"),
];

async fn told(world: &World, wanted: &Assign) -> Review {
    let (considered, _) = world.store.subaccounts_consider(wanted).await.unwrap();
    review(&world.store, &world.plugins, wanted, considered).await.unwrap()
}

/// (period, charged) of what is published.
async fn charged(world: &World, tenant: &Tenant) -> Vec<(String, String)> {
    let runs = world.published(tenant).await;
    runs.iter().map(|run| (run.period.to_string(), run.charged.unwrap().to_string())).collect()
}

fn months(charged: &[(&str, &str)]) -> Vec<(String, String)> {
    charged.iter().map(|(period, amount)| ((*period).to_owned(), (*amount).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_from_a_period_on_rates_those_months_again_and_leaves_every_other_run_alone() {
    let world = World::new().await;
    world.write_bill("aws", &BILL);
    world.integration("aws").await;
    let a = world.tenant("A", &["111", "222"]).await;
    let b = world.tenant("B", &["333"]).await;
    let before: Vec<Run> = world.all_runs().await;

    world.hand_over(&["111"], &a, &b, "2026-08").await;

    assert_eq!(charged(&world, &a).await, months(&[("2026-07", "9"), ("2026-08", "16")]));
    assert_eq!(charged(&world, &b).await, months(&[("2026-08", "2"), ("2026-09", "36")]));
    let new: Vec<(String, String)> =
        world.all_runs().await.into_iter().skip(before.len()).map(|r| (r.tenant_id, r.period.to_string())).collect();
    let expected = [(&b, "2026-08"), (&a, "2026-08"), (&b, "2026-09")];
    let mut expected: Vec<(String, String)> = expected.iter().map(|(t, period)| (t.id.clone(), (*period).to_owned())).collect();
    let mut seen = new;
    expected.sort();
    seen.sort();
    assert_eq!(seen, expected);
    for split in world.store.splits(None).await.unwrap() {
        assert!(split.balances());
        assert_eq!(split.unassigned_charges, 0);
    }
    // And back: what was rated before is published again, without rating anything.
    let runs = world.run_ids().await;
    world.hand_over(&["111"], &b, &a, "2026-08").await;
    assert_eq!(world.run_ids().await, runs);
    assert_eq!(charged(&world, &a).await, months(&[("2026-07", "9"), ("2026-08", "18"), ("2026-09", "4")]));
    assert_eq!(charged(&world, &b).await, months(&[("2026-09", "32")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_tells_the_months_that_the_move_then_rates_again_and_the_money_that_moves() {
    let world = World::new().await;
    world.write_bill("aws", &BILL);
    world.integration("aws").await;
    let a = world.tenant("A", &["111", "222"]).await;
    let b = world.tenant("B", &[]).await;

    let held = world.wanted(&["111", "333"], Some(&b), Some("2026-08")).await;
    let refused = told(&world, &held).await;
    assert!(!refused.submittable);
    let names = |review: &Review| review.refused.iter().map(|r| (r.sub_account_id.clone(), r.held_by[0].name.clone())).collect::<Vec<_>>();
    assert_eq!(names(&refused), [("111".to_owned(), "A".to_owned())]);
    assert!(world.store.subaccounts_assign(&held).await.is_err());

    let wanted = Assign { from_tenant_id: Some(a.id.clone()), ..held };
    let runs = world.run_ids().await;
    let review = told(&world, &wanted).await;
    assert!(review.submittable && review.refused.is_empty());
    let seen: Vec<_> = review
        .months
        .iter()
        .map(|m| (m.period.to_string(), m.tenant.name.as_str(), m.effect, m.billed_before.to_string(), m.billed_after.to_string()))
        .collect();
    let text = |text: &str| text.to_owned();
    let expected = [
        (text("2026-08"), "A", Effect::Changed, text("18"), text("16")),
        (text("2026-08"), "B", Effect::New, text("0"), text("2")),
        (text("2026-09"), "A", Effect::Withdrawn, text("4"), text("0")),
        (text("2026-09"), "B", Effect::New, text("0"), text("36")),
    ];
    assert_eq!(seen, expected);
    let money: Vec<_> = review
        .money
        .iter()
        .map(|m| (m.period.to_string(), m.from.as_ref().map(|t| t.name.as_str()), m.billed.to_string(), m.charges))
        .collect();
    assert_eq!(
        money,
        [(text("2026-08"), Some("A"), text("2"), 1), (text("2026-09"), None, text("32"), 1), (text("2026-09"), Some("A"), text("4"), 1)]
    );
    assert_eq!(world.run_ids().await, runs, "a review changes nothing");

    world.store.subaccounts_assign(&wanted).await.unwrap();
    world.changed(Change::Subaccounts).await;
    assert_eq!(charged(&world, &a).await, months(&[("2026-07", "9"), ("2026-08", "16")]));
    assert_eq!(charged(&world, &b).await, months(&[("2026-08", "2"), ("2026-09", "36")]));
    let again = told(&world, &wanted).await;
    assert!(!again.submittable && again.months.is_empty() && again.money.is_empty());
    assert_eq!(again.unchanged.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_names_later_months_whose_rules_look_at_what_changes() {
    let world = World::new().await;
    world.write_bill("aws", &BILL);
    world.integration("aws").await;
    let a = world.tenant("A", &["111"]).await;
    world.tenant("B", &["222"]).await;
    world.deploy(&crediting()).await;
    world.assign(&world.rule("Credit").await, None).await;
    // 333 has charges in 2026-09 only; 222 in 2026-07 and 2026-08.
    let wanted = world.wanted(&["222"], None, None).await;
    let wanted =
        Assign { tenant_id: Some(a.id.clone()), from_tenant_id: world.store.tenant_by_name("B").await.ok().map(|b| b.id), ..wanted };
    let review = told(&world, &wanted).await;
    let of_a: Vec<_> = review.months.iter().filter(|m| m.tenant.name == "A").map(|m| (m.period.to_string(), m.effect)).collect();
    let text = |text: &str| text.to_owned();
    assert_eq!(of_a, [(text("2026-07"), Effect::Changed), (text("2026-08"), Effect::Changed), (text("2026-09"), Effect::Follows)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_suspended_tenant_nothing_new_is_published_and_what_was_stays_until_it_is_active_again() {
    let world = World::new().await;
    world.write_bill("aws", &BILL);
    world.integration("aws").await;
    let a = world.tenant("A", &["111"]).await;
    let b = world.tenant("B", &["222"]).await;
    let before = charged(&world, &a).await;
    for state in [TenantState::Suspended, TenantState::Unlinked] {
        world.store.tenant_set_state(&a.id, state, true, None).await.unwrap();
        world.changed(Change::Tenants).await;
        world.give(&["111"], None).await;
        world.give(&["333"], Some(&b)).await;
        assert_eq!(charged(&world, &a).await, before);
        assert_eq!(world.published(&b).await.len(), 3, "the others go on");
        world.give(&["333"], None).await;
        world.store.tenant_set_state(&a.id, TenantState::Active, true, None).await.unwrap();
        world.changed(Change::Tenants).await;
        assert_eq!(charged(&world, &a).await, []);
        world.give(&["111"], Some(&a)).await;
        assert_eq!(charged(&world, &a).await, before);
    }
}
