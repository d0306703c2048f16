//! Splitting and the invariants, without rules. What rules do to charges is tested with real components in `tests/`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use proptest::prelude::*;

use super::month::{RunInput, rate_month};
use super::split::Owners;
use super::{ChainRule, Input, Month, MonthError};
use crate::domain::columns::{Batch, Column, MoneyColumn, TextColumn};
use crate::domain::money::{self, Amount};
use crate::domain::progress::Progress;
use crate::domain::rated::{GroupRef, RatedGroup};
use crate::sandbox::tests::guest::Guest;
use crate::sandbox::{Limits, Sandbox, SandboxOptions};

/// Subaccount, currency, billed units.
type Row = (Option<&'static str>, &'static str, i128);

fn batch(rows: &[Row]) -> Batch {
    let mut batch = Batch::new(rows.len());
    batch.push("SubAccountId", Column::Text(TextColumn::from_rows(rows.iter().map(|r| r.0))));
    batch.push("BillingAccountId", Column::Text(TextColumn::constant(Some("payer"), rows.len())));
    batch.push("BillingCurrency", Column::Text(TextColumn::from_rows(rows.iter().map(|r| Some(r.1)))));
    batch.push("BilledCost", Column::Money(MoneyColumn { units: rows.iter().map(|r| r.2).collect() }));
    batch
}

fn holders(list: &[(&str, usize)]) -> Owners {
    Owners::BySubAccount(list.iter().map(|(account, tenant)| ((*account).to_owned(), *tenant)).collect::<HashMap<_, _>>())
}

fn rate(groups: &[Vec<Row>], owners: Owners, runs: &[(usize, &str)], workers: usize) -> (Result<Month, MonthError>, usize) {
    rate_by(groups, owners, runs, workers, &[])
}

fn rate_by(
    groups: &[Vec<Row>],
    owners: Owners,
    runs: &[(usize, &str)],
    workers: usize,
    rules: &[ChainRule],
) -> (Result<Month, MonthError>, usize) {
    let batches: Vec<Batch> = groups.iter().map(|rows| batch(rows)).collect();
    let refs: Vec<(GroupRef, u32)> =
        (0_u32..).zip(&batches).map(|(group, b)| (GroupRef { part: 0, group }, u32::try_from(b.rows).unwrap())).collect();
    let written = Mutex::new(0);
    let month = rate_month(Input {
        period: "2026-09".parse().unwrap(),
        groups: &refs,
        source_of_part: &[0],
        owners: &[owners],
        payers: &BTreeSet::from(["payer".to_owned()]),
        runs: runs
            .iter()
            .map(|(tenant, currency)| RunInput { tenant: *tenant, currency: (*currency).to_owned(), rules: rules.to_vec(), span: None })
            .collect(),
        workers,
        batch_rows: None,
        watch: None,
        progress: &Progress::new(),
        read: &|group, _| Ok(batches[group.group as usize].clone()),
        write: &|_, _, rated: &RatedGroup| {
            *written.lock().unwrap() += 1;
            assert_eq!(rated.rows.len(), rated.customer_cost.len());
            Ok(())
        },
    });
    (month, written.into_inner().unwrap())
}

#[test]
fn without_rules_a_tenant_is_charged_what_was_billed_and_nobody_loses_a_row() {
    let groups = [
        vec![(Some("a"), "USD", 5), (Some("b"), "USD", 7), (None, "USD", 11)],
        vec![(Some("a"), "EUR", 13), (Some("x"), "USD", money::NULL), (Some("a"), "USD", -2)],
    ];
    let owners = holders(&[("a", 0), ("b", 1)]);
    let (month, written) = rate(&groups, owners, &[(0, "USD"), (0, "EUR"), (1, "USD")], 2);
    let month = month.unwrap();
    let charged: Vec<i128> = month.runs.iter().map(|run| run.as_ref().unwrap().charged.0).collect();
    assert_eq!(charged, [3, 13, 7]);
    assert_eq!(written, 6, "every run is told of every group");
    let split: Vec<_> = month.split.iter().map(|s| (s.currency.as_str(), s.tenant, s.rows, s.billed)).collect();
    assert_eq!(
        split,
        [("EUR", Some(0), 1, Amount(13)), ("USD", None, 2, Amount(11)), ("USD", Some(0), 2, Amount(3)), ("USD", Some(1), 1, Amount(7)),]
    );
}

#[test]
fn a_row_without_a_subaccount_goes_to_whoever_holds_the_billing_account() {
    let (month, _) = rate(&[vec![(None, "USD", 11), (Some("a"), "USD", 1)]], holders(&[("payer", 0)]), &[(0, "USD")], 1);
    assert_eq!(month.unwrap().runs[0].as_ref().unwrap().billed, Amount(11));
}

fn rule(title: &str, guest: &Guest) -> ChainRule {
    let limits = Limits { instances: 8, ..Limits::default() };
    let sandbox = Sandbox::new(SandboxOptions { limits, ..SandboxOptions::default() }).unwrap();
    let plugin = sandbox.load(&guest.build()).unwrap();
    ChainRule { id: title.to_owned(), title: title.to_owned(), plugin, config: "{}".to_owned(), earlier: Vec::new() }
}

/// Writes a line of some digits for each combination, its only one, and then does what `then` says.
fn writing(digits: u32, then: &str) -> Guest {
    let decide = Guest::decisions("(i32.const 1)");
    let at = decide.find("(local.set").unwrap();
    let write = format!("(call $log (i32.const 3000) (i32.const {digits})) {then}");
    let decide = format!("{}{write}{}", &decide[..at], &decide[at..]);
    Guest::adjustment().logs().decide(&decide).extra(r#"(data (i32.const 3000) "0123456789")"#)
}

#[test]
fn what_rules_write_comes_back_by_row_group_and_rule_whatever_the_workers() {
    let groups: Vec<Vec<Row>> = (0..30).map(|_| vec![(Some("a"), "USD", 1)]).collect();
    let rules = [rule("first", &writing(3, "")), rule("second", &writing(5, ""))];
    let check = "(call $log (i32.const 3000) (i32.const 7)) (call $zeroed (i32.const 12))";
    let checks = Guest::checking().logs().check(check).extra(r#"(data (i32.const 3000) "0123456789")"#);
    let rules = [rules.as_slice(), &[rule("last", &checks)]].concat();
    for workers in [1, 2, 4] {
        let (month, _) = rate_by(&groups, holders(&[("a", 0)]), &[(0, "USD")], workers, &rules);
        let logs = month.unwrap().runs.remove(0).unwrap().logs;
        let found: Vec<(&str, &str)> = logs.lines.iter().map(|line| (line.rule.as_str(), line.message.as_str())).collect();
        let expected: Vec<_> = [("first", "012"), ("second", "01234")].repeat(30).into_iter().chain([("last", "0123456")]).collect();
        assert_eq!((found, logs.cut), (expected, 0));
    }
}

#[test]
fn a_failure_carries_what_was_written_before_it_and_is_the_first_in_order_whatever_the_workers() {
    // The tenth group and the twelfth have two accounts; the rule decides by account and crashes on a second one.
    let groups: Vec<Vec<Row>> = (0..30)
        .map(
            |group| {
                if group == 9 || group == 11 { vec![(Some("a"), "USD", 1), (Some("b"), "USD", 1)] } else { vec![(Some("a"), "USD", 1)] }
            },
        )
        .collect();
    let by_account = "
        (local $ret i32) (local $names i32)
        (local.set $ret (call $zeroed (i32.const 64)))
        (local.set $names (call $zeroed (i32.const 8)))
        (i32.store (local.get $names) (i32.const 3100)) (i32.store offset=4 (local.get $names) (i32.const 12))
        (i32.store offset=4 (local.get $ret) (local.get $names)) (i32.store offset=8 (local.get $ret) (i32.const 1))
        (local.get $ret)";
    let crash = "(if (i32.gt_u (i32.load offset=12 (local.get 1)) (i32.const 1)) (then (unreachable)))";
    let guest = writing(4, crash).configure(by_account);
    let guest = guest.extra(r#"(data (i32.const 3000) "0123456789") (data (i32.const 3100) "SubAccountId")"#);
    let rules = [rule("steady", &writing(2, "")), rule("fragile", &guest)];
    for workers in [1, 2, 4] {
        let (month, _) = rate_by(&groups, holders(&[("a", 0), ("b", 0)]), &[(0, "USD")], workers, &rules);
        let failure = month.unwrap().runs.remove(0).unwrap_err();
        assert_eq!(failure.rule.as_deref(), Some("fragile"));
        assert_eq!(failure.logs.lines.len(), 20, "{workers}");
        assert_eq!((failure.logs.lines[19].rule.as_str(), failure.logs.lines[19].message.as_str()), ("fragile", "0123"));
    }
}

#[test]
fn amounts_that_add_up_beyond_the_range_are_an_error_not_a_wrong_sum() {
    let largest = 10_i128.pow(38) - 1;
    let (month, _) = rate(&[vec![(Some("a"), "USD", largest), (Some("a"), "USD", largest)]], holders(&[("a", 0)]), &[(0, "USD")], 1);
    assert!(matches!(month, Err(MonthError::SumOutOfRange)), "{month:?}");
}

proptest! {
    #[test]
    fn tenants_and_unassigned_are_the_source_whatever_the_threads(
        rows in prop::collection::vec((0_usize..5, 0_usize..2, -1_000_000_i128..1_000_000), 1..80),
        size in 1_usize..20,
        workers in 1_usize..4,
    ) {
        let accounts = [Some("a"), Some("b"), Some("c"), Some("d"), None];
        let rows: Vec<Row> = rows.into_iter().map(|(a, c, units)| (accounts[a], ["USD", "EUR"][c], units)).collect();
        let groups: Vec<Vec<Row>> = rows.chunks(size).map(<[Row]>::to_vec).collect();
        let owners = holders(&[("a", 0), ("b", 1), ("c", 1)]);
        let (month, _) = rate(&groups, owners, &[(0, "USD"), (1, "EUR")], workers);
        let month = month.unwrap();
        for currency in ["USD", "EUR"] {
            let source: i128 = rows.iter().filter(|r| r.1 == currency).map(|r| r.2).sum();
            let parts: i128 = month.split.iter().filter(|s| s.currency == currency).map(|s| s.billed.0).sum();
            prop_assert_eq!(source, parts);
        }
        let own: i128 = rows.iter().filter(|r| r.0 == Some("a") && r.1 == "USD").map(|r| r.2).sum();
        prop_assert_eq!(month.runs[0].as_ref().unwrap().charged, Amount(own));
    }
}
