//! Lines that rules write.

use super::*;

/// Writes "fixture" as often as `times` says, then answers.
fn chatty(times: u32) -> Guest {
    let body = format!(
        "(local $left i32) {}
        ",
        Guest::decisions("(i32.const 1)")
    );
    let write = format!(
        "(local.set $left (i32.const {times}))
         (block $done (loop $again
            (br_if $done (i32.eqz (local.get $left)))
            (call $log (i32.const 2048) (i32.const 7))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br $again)))"
    );
    let at = body.find("(local.set").unwrap();
    Guest::adjustment().logs().decide(&format!("{}{write}{}", &body[..at], &body[at..]))
}

fn decide(guest: &Guest, limits: Limits) -> (Result<usize, RuleFailure>, Logged, Usage) {
    let (log, meter) = (Arc::new(Log::default()), Arc::new(Meter::default()));
    let plugin = sandbox().load(&guest.build()).unwrap().with(limits, Some(Arc::clone(&meter))).logging(&log);
    let answer = plugin.open("{}", &september(), &[]).unwrap().decide(&[]).map(|decisions| decisions.len());
    (answer, log.take(), meter.usage())
}

#[test]
fn lines_come_back_in_order_and_a_flood_is_counted() {
    let (answer, logged, _) = decide(&chatty(2), Limits::default());
    assert_eq!((answer, logged), (Ok(1), Logged { lines: vec!["fixture".to_owned(); 2], cut: 0 }));
    let (answer, logged, _) = decide(&chatty(5_000), Limits::default());
    assert_eq!((answer, logged.lines.len(), logged.cut), (Ok(1), 100, 4_900));
}

#[test]
fn every_line_costs_fuel_so_that_writing_for_ever_ends() {
    let limits = Limits { fuel_base: 1_000_000, fuel_per_combination: 0, ..Limits::default() };
    let (answer, logged, usage) = decide(&chatty(u32::MAX), limits.clone());
    assert!(matches!(answer, Err(RuleFailure::OutOfFuel { call: "decide", limit: 1_000_000, .. })), "{answer:?}");
    assert!(logged.lines.len() == 100 && logged.cut < 1_000, "{}", logged.cut);
    assert_eq!(usage.call("decide").unwrap().fuel, 1_000_000);
    let again = decide(&chatty(u32::MAX), limits);
    assert_eq!((again.1, again.2.fuel), (logged, usage.fuel));
}

#[test]
fn what_a_rule_wrote_before_it_crashed_is_kept() {
    let guest = Guest::adjustment().logs().decide("(call $log (i32.const 2064) (i32.const 5)) (unreachable)");
    let (answer, logged, _) = decide(&guest, Limits::default());
    assert!(matches!(answer, Err(RuleFailure::Trap { .. })));
    assert_eq!(logged.lines, ["1.2.3"]);
}

#[test]
fn a_long_line_is_shortened_and_control_characters_are_blanked() {
    let long = "(memory.fill (i32.const 4096) (i32.const 97) (i32.const 600)) (i32.store8 (i32.const 4097) (i32.const 10))
        (call $log (i32.const 4096) (i32.const 600)) (unreachable)";
    let (_, logged, _) = decide(&Guest::adjustment().logs().decide(long), Limits::default());
    assert_eq!(logged.lines, [format!("a {}…", "a".repeat(498))]);
}

#[test]
fn a_line_that_is_no_text_or_lies_outside_of_memory_ends_the_call_and_nothing_else() {
    let outside = "(call $log (i32.const -16) (i32.const 64)) (unreachable)";
    let not_utf8 = "(i32.store8 (i32.const 4096) (i32.const 255)) (call $log (i32.const 4096) (i32.const 1)) (unreachable)";
    for body in [outside, not_utf8] {
        let (answer, logged, _) = decide(&Guest::adjustment().logs().decide(body), Limits::default());
        assert!(matches!(answer, Err(RuleFailure::Trap { call: "decide", .. })), "{answer:?}");
        assert_eq!(logged, Logged::default());
    }
    let huge = "(drop (memory.grow (i32.const 200))) (call $log (i32.const 0) (i32.const 8000000)) (unreachable)";
    let (answer, _, _) = decide(&Guest::adjustment().logs().decide(huge), Limits::default());
    assert!(matches!(answer, Err(RuleFailure::Output { call: "decide", .. })), "{answer:?}");
}

#[test]
fn lines_of_a_plugin_without_a_log_are_not_kept() {
    let plugin = sandbox().load(&chatty(3).build()).unwrap();
    assert_eq!(plugin.open("{}", &september(), &[]).unwrap().decide(&[]).unwrap().len(), 1);
}

#[test]
fn the_log_is_imported_with_its_own_type_or_not_at_all() {
    let load = |ty: &str, name: &str| {
        let text = format!(r#"(component (import "{name}" (instance {ty})))"#);
        sandbox().load(&wat::parse_str(text).unwrap()).map(|_| ()).unwrap_err()
    };
    let line = r#"(export "line" (func (param "message" string)))"#;
    assert_eq!(load(line, "rerate:log/log@1.0.0"), Refusal::NoCapability);
    for (ty, name) in [
        (line, "rerate:log/log@1.1.0"),
        (line, "rerate:log/log@2.0.0"),
        (line, "rerate:log/log"),
        (r#"(export "line" (func (param "message" string))) (export "read" (func (result string)))"#, "rerate:log/log@1.0.0"),
        (r#"(export "line" (instance))"#, "rerate:log/log@1.0.0"),
    ] {
        let refusal = load(ty, name);
        assert_eq!(refusal, Refusal::Import { name: name.to_owned() });
        assert!(refusal.to_string().contains("and `rerate:log/log@1.0.0` with its one function `line`"), "{refusal}");
    }
}
