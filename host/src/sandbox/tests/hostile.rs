//! Rules that misbehave while they run.

use std::time::Duration;

use super::*;

const LOOP: &str = "(loop $again (br $again)) (unreachable)";

fn small() -> Limits {
    Limits { fuel_base: 1_000_000, ..Limits::default() }
}

fn open(guest: &Guest, limits: Limits) -> Rater {
    with_limits(limits).load(&guest.build()).unwrap().open("{}", &september(), &[]).unwrap()
}

#[test]
fn a_looping_rule_is_stopped_by_its_fuel() {
    let mut rater = open(&Guest::adjustment().decide(LOOP), small());
    let failure = rater.decide(&[]).unwrap_err();
    let at = Some("body_decide".to_owned());
    assert_eq!(failure, RuleFailure::OutOfFuel { call: "decide", limit: 1_500_000, at });
    assert!(failure.to_string().ends_with("; it was in body_decide"), "{failure}");
    assert!(failure.to_string().contains("after 1500000 instructions"), "{failure}");
}

#[test]
fn fuel_grows_with_the_rows_so_that_a_large_month_is_not_refused_for_its_size() {
    // Some two hundred instructions a row: a multiple of the base for this many rows.
    let work = "(local $ret i32) (local $left i32)
        (local.set $left (i32.mul (local.get 2) (i32.const 20)))
        (block $done (loop $again
            (br_if $done (i32.eqz (local.get $left)))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br $again)))
        (local.set $ret (call $zeroed (i32.const 20)))
        (memory.copy (i32.add (local.get $ret) (i32.const 4)) (local.get 3) (i32.const 16))
        (local.get $ret)";
    let mut rater = open(&Guest::adjustment().apply(work), small());
    let rows = 100_000;
    let money = RuleMoney::Narrow { scale: 2, units: vec![5; rows] };
    assert_eq!(rater.apply(&vec![0; rows], std::slice::from_ref(&money)).unwrap(), money);
}

#[test]
fn a_rule_that_outlasts_its_deadline_is_stopped_by_the_clock() {
    let limits = Limits { fuel_base: u64::MAX / 4, deadline: Duration::from_secs(1), ..Limits::default() };
    let mut rater = open(&Guest::adjustment().decide(LOOP), limits);
    let failure = rater.decide(&[]).unwrap_err();
    assert!(matches!(failure, RuleFailure::Deadline { call: "decide", .. }), "{failure}");
}

#[test]
fn the_clock_stops_only_the_call_that_is_overdue() {
    let sandbox = with_limits(Limits::default());
    let brief = Limits { fuel_base: u64::MAX / 4, deadline: Duration::from_millis(100), ..Limits::default() };
    let looping = sandbox.load(&Guest::adjustment().decide(LOOP).build()).unwrap().with(brief, None);
    let honest = sandbox.load(&Guest::adjustment().build()).unwrap();
    let mut neighbour = honest.open("{}", &september(), &[]).unwrap();
    std::thread::scope(|scope| {
        let overdue = scope.spawn(|| looping.open("{}", &september(), &[]).and_then(|mut rater| rater.decide(&[])));
        while !overdue.is_finished() {
            assert_eq!(neighbour.decide(&[]).unwrap().len(), 1);
        }
        assert!(matches!(overdue.join().unwrap(), Err(RuleFailure::Deadline { .. })));
    });
    assert_eq!(neighbour.decide(&[]).unwrap().len(), 1);
}

#[test]
fn a_memory_bomb_is_stopped_at_the_limit() {
    let bomb = "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) (unreachable)";
    let mut rater = rater(&Guest::adjustment().decide(bomb));
    let failure = rater.decide(&[]).unwrap_err();
    assert!(matches!(failure, RuleFailure::Memory { call: "decide", limit: 67_108_864, .. }), "{failure}");
    assert!(failure.to_string().contains("its limit is 64 MiB"), "{failure}");
}

#[test]
fn a_rule_that_starts_with_too_much_memory_is_refused_with_the_amount() {
    let refusal = sandbox().load(&Guest::adjustment().memory_pages(2_000).build()).map(|_| ()).unwrap_err();
    assert!(refusal.to_string().contains("starts with 125 MiB of memory; a rule may have 64 MiB"), "{refusal}");
    let larger = with_limits(Limits { memory_bytes: 128 << 20, ..Limits::default() });
    larger.load(&Guest::adjustment().memory_pages(2_000).build()).unwrap();
}

#[test]
fn a_crash_names_the_function_and_the_rater_answers_nothing_more() {
    let guest = Guest::adjustment().decide("(call $look_up_price) (unreachable)").extra("(func $look_up_price (unreachable))");
    let mut rater = rater(&guest);
    let failure = rater.decide(&[]).unwrap_err();
    let RuleFailure::Trap { call: "decide", message } = &failure else { panic!("{failure}") };
    assert!(message.starts_with("it panicked (`unreachable`) in look_up_price < body_decide"), "{message}");
    assert_eq!(rater.decide(&[]), Err(RuleFailure::Dead));
    assert_eq!(rater.apply(&[], &[]), Err(RuleFailure::Dead));
}

#[test]
fn a_crash_leaves_no_trace_in_the_next_instance() {
    // Crashes when its memory shows that it was here before.
    let once = "(block (result i32)
        (if (i32.load (i32.const 8)) (then (unreachable)))
        (i32.store (i32.const 8) (i32.const 1))
        (i32.const 1))";
    let guest = Guest::adjustment().decide(&Guest::decisions(once));
    let plugin = sandbox().load(&guest.build()).unwrap();
    for _ in 0..20 {
        let mut rater = plugin.open("{}", &september(), &[]).unwrap();
        assert_eq!(rater.decide(&[]).unwrap().len(), 1);
        assert!(matches!(rater.decide(&[]), Err(RuleFailure::Trap { .. })));
    }
}

#[test]
fn endless_recursion_is_a_crash_of_the_rule_and_not_of_the_host() {
    let mut rater = rater(&Guest::adjustment().decide("(call $body_decide (local.get 0) (local.get 1) (local.get 2))"));
    let failure = rater.decide(&[]).unwrap_err();
    assert!(failure.to_string().contains("recursed too deeply"), "{failure}");
}

#[test]
fn division_by_zero_is_told_as_such() {
    let mut rater = rater(&Guest::adjustment().decide("(i32.div_u (i32.const 1) (i32.const 0))"));
    let failure = rater.decide(&[]).unwrap_err();
    assert!(failure.to_string().contains("integer divide by zero in body_decide"), "{failure}");
}

#[test]
fn a_wrong_number_of_decisions_breaks_the_contract() {
    let mut rater = rater(&Guest::adjustment().decide(&Guest::decisions("(i32.const 2)")));
    let failure = rater.decide(&[text(&["a", "b", "c"], &[0, 1, 2])]).unwrap_err();
    assert_eq!(failure.to_string(), "the rule broke the contract: `decide` was given 3 combinations and returned 2 decisions");
    assert_eq!(rater.decide(&[]), Err(RuleFailure::Dead));
}

#[test]
fn a_wrong_number_of_amounts_breaks_the_contract() {
    let mut rater = rater(&Guest::adjustment());
    let failure = rater.apply(&[0, 0, 0], &[RuleMoney::Narrow { scale: 2, units: vec![1, 2] }]).unwrap_err();
    assert_eq!(failure.to_string(), "the rule broke the contract: `apply` was given 3 rows and returned 2 amounts");
}

#[test]
fn an_answer_beyond_all_measure_is_not_taken_into_memory() {
    let mut rater = rater(&Guest::adjustment().decide(&Guest::decisions("(i32.const 700000)")));
    let failure = rater.decide(&[]).unwrap_err();
    assert!(matches!(failure, RuleFailure::Output { call: "decide", .. }), "{failure}");
}

#[test]
fn a_pointer_outside_the_rules_memory_is_a_crash() {
    let mut rater = rater(&Guest::adjustment().decide("(i32.const -8)"));
    assert!(matches!(rater.decide(&[]), Err(RuleFailure::Trap { .. })));
}

#[test]
fn amounts_of_lines_are_decimals() {
    let guest = Guest::charging().charge(
        "(local $ret i32)
         (local.set $ret (call $zeroed (i32.const 12)))
         (i32.store offset=4 (local.get $ret) (call $zeroed (i32.const 56)))
         (i32.store offset=8 (local.get $ret) (i32.const 1))
         (local.get $ret)",
    );
    let plugin = sandbox().load(&guest.build()).unwrap();
    let failure = plugin.charge("{}", &september(), &[], &[]).unwrap_err();
    assert_eq!(failure.to_string(), "the rule broke the contract: line 0 has the amount \"\": not a decimal number");
}

#[test]
fn a_rule_that_crashes_while_it_describes_itself_is_refused_with_the_reason() {
    let refusal = sandbox().load(&Guest::adjustment().about("(unreachable)").build()).map(|_| ()).unwrap_err();
    assert!(refusal.to_string().contains("crashed in `about`: it panicked"), "{refusal}");
}

#[test]
fn a_rule_that_loops_over_its_configuration_fails_without_a_plan() {
    let plugin = with_limits(small()).load(&Guest::adjustment().configure(LOOP).build()).unwrap();
    let error = plugin.configure("{}", &september()).unwrap_err();
    assert!(matches!(error, ConfigureError::Failed(RuleFailure::OutOfFuel { call: "configure", .. })), "{error}");
}

#[test]
fn more_raters_than_the_pool_holds_run_beside_it() {
    // Loops when it is given a dimension.
    let decide = Guest::decisions("(block (result i32) (if (local.get 2) (then (call $forever))) (i32.const 1))");
    let guest = Guest::adjustment().decide(&decide).extra("(func $forever (loop $again (br $again)))");
    let plugin = with_limits(small()).load(&guest.build()).unwrap();
    let mut raters: Vec<_> = (0..12).map(|_| plugin.open("{}", &september(), &[]).unwrap()).collect();
    for rater in &mut raters {
        assert_eq!(rater.decide(&[]).unwrap().len(), 1);
    }
    for rater in &mut raters {
        assert!(matches!(rater.decide(&[text(&["a"], &[0])]), Err(RuleFailure::OutOfFuel { .. })));
    }
}
