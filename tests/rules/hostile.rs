//! A rule that misbehaves is stopped, and the reason says how it misbehaved. One fixture for each way.
//!
//! First what the sandbox sees in a call, then what rating makes of all of them: the run of the tenant whose chain has the rule fails with
//! the reason, and its neighbour's bill is rated.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails here

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rerate::bills;
use rerate::domain::columns::Dictionary;
use rerate::domain::progress::Progress;
use rerate::domain::rule::{BillPeriod, Decision, RuleMoney, RuleText};
use rerate::jobs::ingest::ingest;
use rerate::jobs::rate::{PeriodRequest, RunRequest, SnapshotInput, rate_period};
use rerate::rating::{ChainRule, Owners};
use rerate::sandbox::{Log, Rater, Refusal, RuleFailure, Sandbox, SandboxOptions};
use rerate_tests::components::{BUILTINS, FIXTURES, root};

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

/// Rates a bill of two tenants, whose first has this rule in its chain, and gives the reason why that one has no result.
fn reason(name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let bill = folder.path().join("bill.csv");
    std::fs::write(
        &bill,
        "BillingAccountId,SubAccountId,ServiceProviderName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,\
         BillingCurrency,ChargeCategory,ServiceName,ListCost,BilledCost,EffectiveCost\n\
         payer,first,AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,2026-09-01T00:00:00Z,2026-09-02T00:00:00Z,USD,Usage,EC2,10,7,7\n\
         payer,first,AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,2026-09-01T00:00:00Z,2026-09-02T00:00:00Z,USD,Usage,S3,3,2,2\n\
         payer,second,AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,2026-09-01T00:00:00Z,2026-09-02T00:00:00Z,USD,Usage,EC2,10,7,7\n",
    )
    .unwrap();
    let snapshot = folder.path().join("snapshot");
    let progress = Progress::new();
    let ingested = ingest(&bills::discover(&bill).unwrap()[0], &snapshot, 1, &progress).unwrap();
    let written = &ingested.periods[0];

    let plugin = sandbox().load(&std::fs::read(FIXTURES.component(name)).unwrap()).unwrap();
    let hostile =
        ChainRule { id: "rul_1".to_owned(), title: "The hostile one".to_owned(), plugin, config: "{}".to_owned(), earlier: Vec::new() };
    let run = |tenant: usize, rules: Vec<ChainRule>| RunRequest {
        tenant,
        currency: "USD".to_owned(),
        rules,
        overlay: folder.path().join(format!("{tenant}.overlay")),
        note: "{}".to_owned(),
        span: None,
    };
    let request = PeriodRequest {
        period: "2026-09".parse().unwrap(),
        snapshots: vec![SnapshotInput {
            parts: written.parts.iter().map(|part| snapshot.join(&part.file_name)).collect(),
            owners: Owners::BySubAccount(HashMap::from([("first".to_owned(), 0), ("second".to_owned(), 1)])),
            totals: written.totals.clone(),
        }],
        payers: BTreeSet::from(["payer".to_owned()]),
        runs: vec![run(0, vec![hostile]), run(1, Vec::new())],
        workers: 1,
        batch_rows: None,
    };
    let month = rate_period(request, &progress).unwrap();
    assert_eq!(month.runs[1].as_ref().unwrap().charged.to_string(), "7");
    let failure = month.runs[0].as_ref().unwrap_err();
    assert_eq!(failure.rule.as_deref(), Some("The hostile one"));
    failure.reason.clone()
}

#[test]
fn every_misbehaviour_fails_the_run_of_its_tenant_alone_and_says_what_it_was() {
    for (name, said) in [
        ("allocates", "MiB of memory"),
        ("beyond-range", "range"),
        ("loops", "stopped"),
        ("loops-per-row", "stopped"),
        ("overflows", "range"),
        ("reads-outside-plan", "reads column 9"),
        ("traps", "crashed"),
        ("writes-billed-cost", "BilledCost"),
        ("writes-outside-plan", "writes column 7"),
        ("wrong-decision-count", "2 combinations and returned 3 decisions"),
        ("wrong-row-count", "returned 1"),
    ] {
        let reason = reason(name);
        assert!(reason.contains(said), "{name}: {reason}");
    }
}

/// The number of the first line of a fixture's source that has this text.
fn line_of(fixture: &str, text: &str) -> usize {
    let source = std::fs::read_to_string(root().join("tests/fixtures").join(fixture).join("src/lib.rs")).unwrap();
    source.lines().position(|line| line.contains(text)).unwrap() + 1
}

#[test]
fn a_crash_names_the_line_of_the_rules_own_source_and_its_function() {
    let failure = decide(&mut rater("traps")).unwrap_err();
    let line = line_of("traps", "panic!(");
    let place = format!("rerate_fixture_traps::Traps::decide at src/lib.rs:{line}");
    assert_eq!(failure.to_string(), format!("the rule crashed in `decide`: it panicked (`unreachable`) in {place}"));
}

#[test]
fn a_rule_that_was_stopped_is_told_where_it_was() {
    let failure = decide(&mut rater("loops")).unwrap_err().to_string();
    let lines = [line_of("loops", "loop {"), line_of("loops", "spin_loop")];
    assert!(
        lines.iter().any(|line| failure.contains(&format!("it was in rerate_fixture_loops::Loops::decide at src/lib.rs:{line}"))),
        "{failure}"
    );

    let failure = decide(&mut rater("allocates")).unwrap_err().to_string();
    assert!(failure.contains("; it was in rerate_fixture_allocates::Allocates::decide at src/lib.rs:"), "{failure}");
}

#[test]
fn a_rule_writes_lines_and_its_panic_too_when_it_writes_lines() {
    let log = Arc::new(Log::default());
    let plugin = sandbox().load(&std::fs::read(FIXTURES.component("logs")).unwrap()).unwrap().logging(&log);
    let period = BillPeriod { period: "2026-09".parse().unwrap(), currency: "USD".to_owned() };
    let mut rater = plugin.open("{}", &period, &[]).unwrap();
    let services: Dictionary = ["Amazon EC2", "panic"].into_iter().collect();
    let failure = rater.decide(&[RuleText { new_values: services, codes: vec![0, 1] }]).unwrap_err().to_string();
    let line = line_of("logs", ".expect(");
    assert!(failure.contains(&format!("rerate_fixture_logs::Logs::decide at src/lib.rs:{line}")), "{failure}");
    let lines = log.take().lines;
    assert_eq!(lines[..3], ["opened for 2026-09-01", "deciding on Amazon EC2", "deciding on panic"]);
    // Debian's compiler leaves out the words of a panic, not its place.
    assert!(lines.get(3).is_none_or(|line| line.contains("a service that can be decided on")), "{lines:?}");
}

#[test]
fn a_rule_that_writes_no_lines_imports_nothing() {
    let imports_log = |bytes: &[u8]| bytes.windows(10).any(|window| window == b"rerate:log");
    for (name, _) in BUILTINS.crates {
        assert!(!imports_log(&std::fs::read(BUILTINS.component(name)).unwrap()), "{name}");
    }
    assert!(imports_log(&std::fs::read(FIXTURES.component("logs")).unwrap()));
}
