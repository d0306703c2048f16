//! Every export misbehaves in every way that a program can.

use super::{Case, Expect};
use crate::guest::Guest;

const EXPORTS: [&str; 7] = ["about", "configure", "open", "decide", "apply", "charge", "check"];

fn with(export: &str, body: &str, extra: &str) -> Guest {
    let guest = match export {
        "about" => Guest::checking().about(body),
        "configure" => Guest::charging().configure(body),
        "open" => Guest::adjustment().open(body),
        "decide" => Guest::adjustment().decide(body),
        "apply" => Guest::adjustment().apply(body),
        "charge" => Guest::charging().charge(body),
        _ => Guest::checking().check(body),
    };
    guest.extra(extra)
}

pub(super) fn misbehaving() -> Vec<Case> {
    let ways = [
        ("endless loop", "(loop $again (br $again)) (unreachable)", ""),
        ("endless recursion", "(call $down) (unreachable)", "(func $down (call $down))"),
        ("crash", "(unreachable)", ""),
        ("memory bomb", "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) (unreachable)", ""),
        (
            "filling memory",
            "(drop (memory.grow (i32.const 200)))
             (loop $again (memory.fill (i32.const 65536) (i32.const 1) (i32.const 13000000)) (br $again)) (unreachable)",
            "",
        ),
        ("division by zero", "(i32.div_u (i32.const 1) (i32.const 0))", ""),
        ("answer outside of memory", "(i32.const -8)", ""),
        ("answer at the edge of memory", "(i32.const 131068)", ""),
        ("answer not aligned", "(i32.const 4097)", ""),
        (
            "wrong function by table",
            "(call_indirect (type $odd) (i64.const 1) (i32.const 0))",
            "(type $odd (func (param i64) (result i32))) (table 1 funcref) (elem (i32.const 0) $realloc)",
        ),
    ];
    let mut cases = Vec::new();
    for (way, body, extra) in ways {
        for export in EXPORTS {
            cases.push(Case::new(way, format!("in {export}"), with(export, body, extra).build(), Expect::Stopped));
        }
    }
    cases
}

/// Before any export is called: the module's own start, and its size.
pub(super) fn at_start() -> Vec<Case> {
    let mut cases = Vec::new();
    let starts = [
        ("loops", "(func $begin (loop $again (br $again))) (start $begin)"),
        ("crashes", "(func $begin (unreachable)) (start $begin)"),
        ("grows", "(func $begin (loop $again (drop (memory.grow (i32.const 16))) (br $again))) (start $begin)"),
        ("data outside of memory", r#"(data (i32.const 99999999) "x")"#),
        ("elements outside of the table", "(table 1 funcref) (elem (i32.const 9) $realloc)"),
        ("a table of ten million", "(table 10000000 funcref)"),
        ("loops when it is thanked", r#"(func (export "cabi_post_rerate:rule/check@1.0.0#check") (param i32) (loop $again (br $again)))"#),
        ("loops when it is thanked first", r#"(func (export "cabi_post_rerate:rule/describe@1.0.0#about") (param i32) (loop $a (br $a)))"#),
    ];
    for (name, extra) in starts {
        cases.push(Case::new("at start", name, Guest::checking().extra(extra).build(), Expect::Stopped));
    }
    for pages in [257, 2_000, 65_536] {
        cases.push(Case::new(
            "at start",
            format!("{pages} pages of memory"),
            Guest::checking().memory_pages(pages).build(),
            Expect::Refused,
        ));
    }
    let flood = Guest::checking().logs().check("(loop $again (call $log (i32.const 2048) (i32.const 7)) (br $again)) (unreachable)");
    cases.push(Case::new("flood of lines", "short ones", flood.build(), Expect::Failed));
    let long = "(drop (memory.grow (i32.const 100))) (loop $a (call $log (i32.const 0) (i32.const 4000000)) (br $a)) (unreachable)";
    cases.push(Case::new("flood of lines", "four megabytes each", Guest::checking().logs().check(long).build(), Expect::Failed));
    let outside = "(call $log (i32.const -100) (i32.const 99)) (unreachable)";
    cases.push(Case::new("flood of lines", "outside of memory", Guest::checking().logs().check(outside).build(), Expect::Failed));
    cases
}
