//! What a rule can do to the host: nothing.

mod built_in;
pub(crate) mod guest;
mod hostile;
mod logging;
mod metered;
mod refused;
mod stored;
mod wit;

use self::guest::Guest;
use super::*;
use crate::domain::columns::NULL_CODE;
use crate::domain::money::{self, Amount};
use crate::domain::rule::{Change, TotalGroup, Treatment};

fn sandbox() -> Sandbox {
    with_limits(Limits::default())
}

fn with_limits(limits: Limits) -> Sandbox {
    // Tests run many sandboxes at once; each pool reserves address space.
    Sandbox::new(SandboxOptions { limits: Limits { instances: 8, ..limits }, ..SandboxOptions::default() }).unwrap()
}

fn september() -> BillPeriod {
    BillPeriod { period: "2026-09".parse().unwrap(), currency: "EUR".to_owned() }
}

fn text(values: &[&str], codes: &[u32]) -> RuleText {
    RuleText { new_values: values.iter().copied().collect(), codes: codes.to_vec() }
}

fn rater(guest: &Guest) -> Rater {
    sandbox().load(&guest.build()).unwrap().open("{}", &september(), &[]).unwrap()
}

#[test]
fn a_component_is_known_by_its_digest_its_manifest_and_what_it_exports() {
    let sandbox = sandbox();
    let bytes = Guest::adjustment().build();
    let plugin = sandbox.load(&bytes).unwrap();
    assert_eq!(plugin.digest(), hex(&Sha256::digest(&bytes)));
    assert_eq!(plugin.size(), bytes.len());
    assert_eq!(plugin.manifest().name, "fixture");
    assert_eq!(plugin.manifest().version, "1.2.3");
    assert_eq!(plugin.capabilities(), [Capability::Adjust]);
    assert!(Arc::ptr_eq(&plugin.code, &sandbox.load(&bytes).unwrap().code));
    assert_eq!(sandbox.load(&Guest::charging().build()).unwrap().capabilities(), [Capability::Charge]);
    assert_eq!(sandbox.load(&Guest::checking().build()).unwrap().capabilities(), [Capability::Check]);
}

#[test]
fn a_rule_decides_once_for_each_combination_and_once_when_it_looks_at_no_column() {
    let mut rater = rater(&Guest::adjustment());
    let dimensions = [text(&["AmazonEC2", "AmazonS3"], &[0, 1, NULL_CODE]), text(&["eu-west-1"], &[0, 0, 0])];
    let decisions = rater.decide(&dimensions).unwrap();
    assert_eq!(decisions.len(), 3);
    let kept = Decision { change: Change::Keep, treatment: Treatment::Keep, relabel: Vec::new(), reason: String::new() };
    assert_eq!(decisions, vec![kept; 3]);
    assert_eq!(rater.decide(&[]).unwrap().len(), 1);
}

#[test]
fn money_crosses_unchanged_narrow_and_wide_with_its_nulls() {
    let mut rater = rater(&Guest::adjustment());
    let narrow = RuleMoney::Narrow { scale: 10, units: vec![0, -7, i64::MAX, i64::MIN] };
    assert_eq!(rater.apply(&[0, 0, 0, 0], std::slice::from_ref(&narrow)).unwrap(), narrow);
    let wide = RuleMoney::Wide { scale: 18, units: vec![0, -7, i128::MAX, money::NULL, 1 << 64, -(1 << 64)] };
    assert_eq!(rater.apply(&[0; 6], std::slice::from_ref(&wide)).unwrap(), wide);
}

#[test]
fn wide_money_at_a_coarser_scale_is_brought_to_eighteen_decimals() {
    let mut rater = rater(&Guest::adjustment());
    let coarse = RuleMoney::Wide { scale: 2, units: vec![1_250, money::NULL] };
    let units = vec![12_500_000_000_000_000_000, money::NULL];
    assert_eq!(rater.apply(&[0, 0], &[coarse]).unwrap(), RuleMoney::Wide { scale: 18, units });
    let too_large = RuleMoney::Wide { scale: 0, units: vec![i128::MAX] };
    assert_eq!(rater.apply(&[0], &[too_large]), Err(RuleFailure::Overflow));
}

#[test]
fn totals_reach_the_rule_as_columns() {
    // Adds one line whose amount is the text of the second group's key.
    let guest = Guest::charging().charge(
        "(local $ret i32) (local $line i32) (local $text i32)
         ;; totals are parameter 8; its first group column's values are at 4, the second value's text is at 8 and 12 of them
         (local.set $text (i32.load (i32.load offset=4 (local.get 8))))
         (local.set $ret (call $zeroed (i32.const 12)))
         (local.set $line (call $zeroed (i32.const 56)))
         (i32.store offset=4 (local.get $ret) (local.get $line))
         (i32.store offset=8 (local.get $ret) (i32.const 1))
         (i32.store offset=36 (local.get $line) (i32.load offset=8 (local.get $text)))
         (i32.store offset=40 (local.get $line) (i32.load offset=12 (local.get $text)))
         (local.get $ret)",
    );
    let group = |key: Option<&str>, sum: i128| TotalGroup { keys: vec![key.map(str::to_owned)], sums: vec![Amount(sum)] };
    let total = Total { groups: vec![group(None, 1), group(Some("-12.50"), money::ONE), group(Some("0"), i128::MAX)] };
    let plugin = sandbox().load(&guest.build()).unwrap();
    let earlier = [Earlier { period: september(), amount: Amount(-money::ONE) }];
    assert_eq!(plugin.charge("{}", &september(), std::slice::from_ref(&total), &earlier).unwrap()[0].amount, Amount(0));
    let total = Total { groups: total.groups[..2].iter().chain(&[group(Some("-13"), 0)]).cloned().collect() };
    assert_eq!(plugin.charge("{}", &september(), &[total], &[]).unwrap()[0].amount, Amount(-13 * money::ONE));
}

#[test]
fn a_checking_rule_reports_and_one_that_only_adjusts_cannot_charge() {
    let sandbox = sandbox();
    let checking = sandbox.load(&Guest::checking().build()).unwrap();
    assert_eq!(checking.check("{}", &september(), &[]).unwrap(), []);
    let adjusting = sandbox.load(&Guest::adjustment().build()).unwrap();
    assert_eq!(adjusting.configure("{}", &september()).unwrap(), Plan::default());
    assert_eq!(adjusting.charge("{}", &september(), &[], &[]), Err(RuleFailure::NotExported("charge")));
}

#[test]
fn a_rule_may_compute_with_wide_arithmetic() {
    // `decide` answers as many decisions as the high half of 2^40 * 2^25.
    let count = "(block (result i32)
        (i64.mul_wide_u (i64.const 0x10000000000) (i64.const 0x2000000))
        (local.set $wide) (drop) (i32.wrap_i64 (local.get $wide)))";
    let guest = Guest::adjustment().decide(&format!("(local $wide i64) {}", Guest::decisions(count)));
    assert_eq!(rater(&guest).decide(&[text(&["a", "b"], &[0, 1])]).unwrap().len(), 2);
}

#[test]
fn a_machine_without_room_for_the_pool_runs_rules_all_the_same() {
    // More address space than any machine has: the pool is refused.
    let limits = Limits { instances: 1 << 20, ..Limits::default() };
    let sandbox = Sandbox::new(SandboxOptions { limits, ..SandboxOptions::default() }).unwrap();
    let plugin = sandbox.load(&Guest::adjustment().build()).unwrap();
    assert_eq!(plugin.open("{}", &september(), &[]).unwrap().decide(&[]).unwrap().len(), 1);
}
