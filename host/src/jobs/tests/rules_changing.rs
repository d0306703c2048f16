//! What a change of rules rates again, told before it is made; and rules that change the same charges.

use serde_json::json;

use super::World;
use crate::jobs::change::Change;
use crate::jobs::overlaps::overlaps;
use crate::jobs::review::Effect;
use crate::jobs::rule_review::{RuleChange, review_rules};
use crate::store::{AssignmentFields, RuleFields};

const BILL: [(&str, &str, &str, &str); 4] =
    [("2026-08", "111", "EC2", "1"), ("2026-09", "111", "EC2", "2"), ("2026-09", "111", "S3", "4"), ("2026-09", "222", "S3", "8")];

fn of(rule: &str, tenant: Option<&str>, from: Option<&str>) -> AssignmentFields {
    let from_period = from.map(|period| period.parse().unwrap());
    AssignmentFields { rule_id: rule.to_owned(), tenant_id: tenant.map(str::to_owned), position: None, from_period, to_period: None }
}

fn markup(title: &str, config: serde_json::Value) -> RuleFields {
    RuleFields { title: title.to_owned(), plugin: "markup".to_owned(), pinned_digest: None, config }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_of_rules_tells_the_months_that_are_then_rated_again() {
    let world = World::new().await;
    world.deploy(crate::plugins::builtin::builtin("markup").unwrap().component).await;
    world.write_bill("aws", &BILL);
    world.integration("aws").await;
    let a = world.tenant("A", &["111"]).await;
    let b = world.tenant("B", &["222"]).await;
    let rule = world.store.rule_create(&markup("more", json!({"percent": "10"}))).await.unwrap();
    let review = async |change: RuleChange| {
        let review = review_rules(&world.store, &world.store, &world.plugins, change).await.unwrap();
        assert!(review.months.iter().all(|month| month.effect == Effect::Changed && month.billed_before == month.billed_after));
        let months = review.months.into_iter().map(|month| format!("{} {}", month.tenant.name, month.period)).collect::<Vec<_>>();
        (months, review.charges)
    };
    let before = world.run_ids().await;
    assert_eq!(review(RuleChange::Assign(vec![of(&rule.id, Some(&b.id), None)])).await, (vec!["B 2026-09".to_owned()], 1));
    let many = vec![of(&rule.id, Some(&a.id), Some("2026-09")), of(&rule.id, Some(&b.id), Some("2026-09"))];
    let (mut months, charges) = review(RuleChange::Assign(many.clone())).await;
    months.sort();
    assert_eq!((months.as_slice(), charges), (&["A 2026-09".to_owned(), "B 2026-09".to_owned()][..], 3));
    assert_eq!(world.run_ids().await, before, "a review rates nothing");

    let assigned = world.store.assignments_create(&many, None).await.unwrap();
    world.changed(Change::Assignments).await;
    let rated = world.run_ids().await.len() - before.len();
    assert_eq!(rated, 2, "as the review said");
    let other = RuleFields { config: json!({"percent": "20"}), ..markup("more", json!({})) };
    assert_eq!(review(RuleChange::Rule { id: rule.id.clone(), fields: other }).await.1, 3);
    assert_eq!(review(RuleChange::End(assigned[1].id.clone())).await, (vec!["B 2026-09".to_owned()], 1));
    let same = vec![assigned[1].id.clone(), assigned[0].id.clone()];
    assert_eq!(review(RuleChange::Order(same)).await, (Vec::new(), 0), "each tenant's chain stays as it is");
    let narrower = RuleChange::Change { id: assigned[0].id.clone(), fields: of(&rule.id, Some(&a.id), Some("2026-10")) };
    assert_eq!(review(narrower).await, (vec!["A 2026-09".to_owned()], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_changed_the_same_charges_overlap_and_one_that_is_assigned_twice_overlaps_itself() {
    let world = World::new().await;
    world.deploy(crate::plugins::builtin::builtin("markup").unwrap().component).await;
    world.write_bill("aws", &BILL);
    world.integration("aws").await;
    let a = world.tenant("A", &["111"]).await;
    let all = world.store.rule_create(&markup("all", json!({"percent": "10"}))).await.unwrap();
    let only = json!({"percent": "100", "where": [{"column": "ServiceName", "is_in": ["S3"]}]});
    let storage = world.store.rule_create(&markup("storage", only)).await.unwrap();
    for fields in [of(&all.id, None, None), of(&storage.id, None, None), of(&all.id, Some(&a.id), Some("2026-09"))] {
        world.store.assignment_create(&fields, None).await.unwrap();
    }
    world.changed(Change::Assignments).await;
    let lake = world.data.charges();
    let runs = world.published(&a).await;
    let told = |period: &str| {
        let run = runs.iter().find(|run| run.period.to_string() == period).unwrap();
        let pairs = overlaps(lake, run).unwrap().into_iter();
        pairs.map(|o| format!("{} then {}: {} charges, {}", o.first, o.second, o.charges, o.charged)).collect::<Vec<_>>()
    };
    assert_eq!(told("2026-08"), Vec::<String>::new());
    // EC2: 2 * 1.1 * 1.1 = 2.42; S3: 4 * 1.1 * 2 * 1.1 = 9.68
    let expected = ["all then all: 2 charges, 12.1", "all then storage: 1 charges, 9.68", "storage then all: 1 charges, 9.68"];
    assert_eq!(told("2026-09"), expected);
}
