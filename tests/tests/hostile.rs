//! A rule that misbehaves is stopped, and the reason says how it misbehaved. One fixture for each way.
//!
//! What the sandbox itself sees is tried here; what rating sees in an answer of the right shape is tried where a bill is rated.

use std::time::{Duration, Instant};

use rerate::domain::columns::Dictionary;
use rerate::domain::rule::{BillPeriod, Decision, RuleMoney, RuleText};
use rerate::sandbox::{Rater, Refusal, RuleFailure, Sandbox, SandboxOptions};
use rerate_tests::components::FIXTURES;

fn sandbox() -> Sandbox {
    Sandbox::new(SandboxOptions::default()).unwrap()
}

fn rater(name: &str) -> Rater {
    let plugin = sandbox().load(&std::fs::read(FIXTURES.component(name)).unwrap()).unwrap();
    let period = BillPeriod { period: "2026-09".parse().unwrap(), currency: "USD".to_owned() };
    plugin.open("{}", &period, &[]).unwrap()
}

/// The answer for three services.
fn decide(rater: &mut Rater) -> Result<Vec<Decision>, RuleFailure> {
    let services: Dictionary = ["Amazon EC2", "Amazon S3", "AWS Lambda"].into_iter().collect();
    rater.decide(&[RuleText { new_values: services, codes: vec![0, 1, 2] }])
}

fn apply(rater: &mut Rater) -> Result<RuleMoney, RuleFailure> {
    rater.apply(&[0, 1, 2], &[RuleMoney::Wide { scale: 18, units: vec![1, 2, 3] }])
}

#[test]
fn a_rule_that_loops_is_stopped() {
    let started = Instant::now();
    let failure = decide(&mut rater("loops")).unwrap_err();
    assert!(matches!(failure, RuleFailure::OutOfFuel { .. } | RuleFailure::Deadline { .. }), "{failure}");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn row_logic_that_loops_is_stopped() {
    let mut rater = rater("loops-per-row");
    decide(&mut rater).unwrap();
    let failure = apply(&mut rater).unwrap_err();
    assert!(matches!(failure, RuleFailure::OutOfFuel { .. } | RuleFailure::Deadline { .. }), "{failure}");
}

#[test]
fn a_rule_that_allocates_without_end_is_stopped_at_its_memory_limit() {
    let failure = decide(&mut rater("allocates")).unwrap_err();
    assert!(matches!(failure, RuleFailure::Memory { .. }), "{failure}");
}

#[test]
fn a_rule_that_panics_has_crashed_and_answers_nothing_more() {
    let mut rater = rater("traps");
    assert!(matches!(decide(&mut rater).unwrap_err(), RuleFailure::Trap { .. }));
    assert_eq!(decide(&mut rater).unwrap_err(), RuleFailure::Dead);
}

#[test]
fn a_rule_whose_amounts_no_width_holds_says_overflow_on_wide_rows_too() {
    let mut rater = rater("overflows");
    decide(&mut rater).unwrap();
    assert_eq!(rater.apply(&[0], &[RuleMoney::Narrow { scale: 10, units: vec![1] }]).unwrap_err(), RuleFailure::Overflow);
    assert_eq!(apply(&mut rater).unwrap_err(), RuleFailure::Overflow);
}

#[test]
fn a_component_that_imports_a_clock_is_refused_by_the_name_of_the_import() {
    let Err(refusal) = sandbox().load(&std::fs::read(FIXTURES.component("imports-wasi")).unwrap()) else {
        panic!("it was accepted");
    };
    assert!(matches!(&refusal, Refusal::Wasi { name } if name.contains("wall-clock")), "{refusal}");
}
