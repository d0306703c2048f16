//! Components of the wrong shape: what they export and import, how they are built.

use super::{Case, Expect};
use crate::guest::Guest;

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// Exports these interfaces, each with these functions of one type.
fn exporting(interfaces: &[(&str, &[&str])], types: &str, signature: &str, results: &str) -> Vec<u8> {
    let mut text = format!(
        r#"(component
            (core module $m (memory (export "memory") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func (export "f") {results} (unreachable)))
            (core instance $i (instantiate $m)) {types}
            (func $f {signature} (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc"))))"#
    );
    for (number, (interface, functions)) in interfaces.iter().enumerate() {
        let exports: String = functions.iter().map(|name| format!(r#"(export "{name}" (func $f))"#)).collect();
        text += &format!(r#"(instance $e{number} {exports}) (export "{interface}" (instance $e{number}))"#);
    }
    wat(&(text + ")"))
}

const DESCRIBE: &str = "rerate:rule/describe@1.0.0";

pub(super) fn wrong_exports() -> Vec<Case> {
    let empty = |names: &[&str]| {
        let interfaces: Vec<(&str, &[&str])> = names.iter().map(|name| (*name, &[][..])).collect();
        exporting(&interfaces, "", "", "")
    };
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", wat("(component)")),
        ("an empty file", Vec::new()),
        ("a core module", wat("(module)")),
        ("a component of a version to come", [b"\0asm".as_slice(), &[0xff, 0, 1, 0]].concat()),
        ("only what it is called", empty(&[DESCRIBE])),
        ("no description", empty(&["rerate:rule/charge@1.0.0"])),
        ("empty interfaces", empty(&[DESCRIBE, "rerate:rule/charge@1.0.0"])),
        ("another interface", empty(&[DESCRIBE, "rerate:rule/everything@1.0.0"])),
        ("another package", empty(&["acme:rule/describe@1.0.0", "acme:rule/charge@1.0.0"])),
        ("no version", empty(&["rerate:rule/describe", "rerate:rule/charge"])),
        ("version 2.0.0", empty(&["rerate:rule/describe@2.0.0", "rerate:rule/charge@2.0.0"])),
        ("version 1.1.0", empty(&["rerate:rule/describe@1.1.0", "rerate:rule/charge@1.1.0"])),
        ("half of the interface", exporting(&[(DESCRIBE, &["about"]), ("rerate:rule/adjust@1.0.0", &["rater"])], "", "", "")),
        ("functions of other names", exporting(&[(DESCRIBE, &["abaut", "config"]), ("rerate:rule/check@1.0.0", &["chek"])], "", "", "")),
        (
            "a resource that is none",
            exporting(&[(DESCRIBE, &["about", "configure"]), ("rerate:rule/adjust@1.0.0", &["rater", "open"])], "", "", ""),
        ),
    ];
    let function = format!(
        r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f"))) (export "{DESCRIBE}" (func $f)) (export "rerate:rule/check@1.0.0" (func $f)))"#
    );
    cases.push(("functions for interfaces", wat(&function)));
    let component =
        format!(r#"(component (component $c) (export "{DESCRIBE}" (component $c)) (export "rerate:rule/check@1.0.0" (component $c)))"#);
    cases.push(("components for interfaces", wat(&component)));
    cases.into_iter().map(|(name, component)| Case::new("wrong exports", name, component, Expect::Refused)).collect()
}

/// All functions there, none of the right type.
pub(super) fn wrong_types() -> Vec<Case> {
    let signatures = [
        ("nothing in, nothing out", "", "", ""),
        ("a number for a text", "", "(result u32)", "(result i32)"),
        ("a text for a manifest", "", "(result string)", "(result i32)"),
        ("a float for an answer", "", "(result float64)", "(result f64)"),
        ("one parameter too many", "", r#"(param "a" u8) (param "b" u8) (param "c" u8) (param "d" u8)"#, "(param i32 i32 i32 i32)"),
        ("a list for an answer", "", "(result (list u64))", "(result i32)"),
        ("a tuple for a result", "", "(result (tuple string string))", "(result i32)"),
        ("an error alone", "", "(result (result (error string)))", "(result i32)"),
    ];
    let functions: [(&str, &[&str]); 4] = [
        (DESCRIBE, &["about", "configure"]),
        ("rerate:rule/adjust@1.0.0", &["[static]rater.open"]),
        ("rerate:rule/charge@1.0.0", &["charge"]),
        ("rerate:rule/check@1.0.0", &["check"]),
    ];
    let mut cases = Vec::new();
    for (name, types, signature, results) in signatures {
        for capability in [functions[2], functions[3]] {
            let component = exporting(&[functions[0], capability], types, signature, results);
            cases.push(Case::new("wrong types", format!("{}: {name}", capability.1[0]), component, Expect::Refused));
        }
    }
    cases
}

pub(super) fn huge_types() -> Vec<Case> {
    let fields = |count: usize| (0..count).map(|field| format!(r#"(field "f{field}" u64) "#)).collect::<String>();
    let cases_of = |count: usize| (0..count).map(|case| format!(r#"(case "c{case}" u64) "#)).collect::<String>();
    let nested = |depth: usize| {
        let mut types = "(type $t0 (list u8))".to_owned();
        (1..depth).for_each(|level| types += &format!("(type $t{level} (list $t{}))", level - 1));
        types
    };
    let doubling = |depth: usize| {
        let mut types = "(type $t0 (tuple u64 u64))".to_owned();
        (1..depth).for_each(|level| types += &format!("(type $t{level} (tuple $t{0} $t{0}))", level - 1));
        types
    };
    let alone = |types: &str| wat(&format!("(component {types})"));
    let types: Vec<(&str, Vec<u8>)> = vec![
        ("a record of a thousand fields", alone(&format!("(type $t (record {}))", fields(1_000)))),
        ("a record of twenty thousand fields", alone(&format!("(type $t (record {}))", fields(20_000)))),
        ("a variant of ten thousand cases", alone(&format!("(type $t (variant {}))", cases_of(10_000)))),
        ("lists nested a hundred deep", alone(&nested(100))),
        ("lists nested ten thousand deep", alone(&nested(10_000))),
        ("a tuple of 2^14 numbers", alone(&doubling(14))),
        ("a tuple of 2^40 numbers", alone(&doubling(40))),
        ("an enumeration of a hundred thousand", {
            let names: String = (0..100_000).map(|name| format!(r#""n{name}" "#)).collect();
            alone(&format!("(type $t (enum {names}))"))
        }),
        ("fifty thousand types", alone(&(0..50_000).map(|_| "(type (list u8))").collect::<String>())),
        ("a function of a thousand parameters", {
            let parameters: String = (0..1_000).map(|name| format!(r#"(param "p{name}" string)"#)).collect();
            alone(&format!("(type $t (func {parameters}))"))
        }),
        ("a name of a hundred thousand letters", {
            let name = "n".repeat(100_000);
            alone(&format!(r#"(type $t (record (field "{name}" u8)))"#))
        }),
    ];
    types.into_iter().map(|(name, component)| Case::new("huge types", name, component, Expect::Refused)).collect()
}

/// Everything that a component might want to have.
pub(super) fn imports() -> Vec<Case> {
    let instances = [
        "wasi:io/poll@0.2.0",
        "wasi:io/streams@0.2.3",
        "wasi:clocks/wall-clock@0.2.0",
        "wasi:clocks/monotonic-clock@0.2.0",
        "wasi:random/random@0.2.0",
        "wasi:random/insecure@0.2.0",
        "wasi:filesystem/types@0.2.0",
        "wasi:filesystem/preopens@0.2.0",
        "wasi:sockets/tcp@0.2.0",
        "wasi:sockets/network@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:cli/environment@0.2.0",
        "wasi:cli/stdout@0.2.0",
        "wasi:cli/exit@0.2.0",
        "wasi:threads/spawn@0.1.0",
        "rerate:host/store@1.0.0",
        "rerate:log/log@1.1.0",
        "rerate:log/log@2.0.0",
        "rerate:log/read@1.0.0",
        "rerate:rule/adjust@1.0.0",
        "rerate:rule/types@1.0.0",
        "rerate:rule/types@2.0.0",
    ];
    let import = |name: &str, what: &str| wat(&format!(r#"(component (import "{name}" {what}))"#));
    let mut cases: Vec<(String, Vec<u8>)> =
        instances.iter().map(|name| ((*name).to_owned(), import(name, r#"(instance (export "get" (func (result u64))))"#))).collect();
    cases.extend([
        ("a function".to_owned(), import("now", "(func (result u64))")),
        ("a core module".to_owned(), import("code", "(core module)")),
        ("a component".to_owned(), import("other", "(component)")),
        ("a resource".to_owned(), import("file", "(type (sub resource))")),
        (
            "a log that answers".to_owned(),
            import("rerate:log/log@1.0.0", r#"(instance (export "line" (func (param "message" string) (result u64))))"#),
        ),
        ("a log that reads".to_owned(), import("rerate:log/log@1.0.0", r#"(instance (export "read" (func (result string))))"#)),
        ("a log of numbers".to_owned(), import("rerate:log/log@1.0.0", r#"(instance (export "line" (func (param "message" u64))))"#)),
    ]);
    let all: String = instances.iter().map(|name| format!(r#"(import "{name}" (instance (export "get" (func (result u64)))))"#)).collect();
    cases.push(("everything at once".to_owned(), wat(&format!("(component {all})"))));
    let many: String = (0..20_000).map(|number| format!(r#"(import "i{number}" (func))"#)).collect();
    cases.push(("twenty thousand functions".to_owned(), wat(&format!("(component {many})"))));
    cases.into_iter().map(|(name, component)| Case::new("imports", name, component, Expect::Refused)).collect()
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

/// Components inside of components.
fn nested(depth: usize) -> Vec<u8> {
    const HEADER: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
    // From the inside out, written backwards so that no level is copied.
    let mut reversed: Vec<u8> = HEADER.iter().rev().copied().collect();
    for _ in 0..depth {
        let size = leb(reversed.len());
        reversed.extend(size.iter().rev());
        reversed.push(4);
        reversed.extend(HEADER.iter().rev());
    }
    reversed.reverse();
    reversed
}

pub(super) fn deep() -> Vec<Case> {
    let mut cases = Vec::new();
    for depth in [10, 1_000, 100_000] {
        cases.push(Case::new("deep nesting", format!("{depth} components"), nested(depth), Expect::Refused));
    }
    let flat = |open: &str, close: &str, depth: usize| format!("{} {} unreachable", open.repeat(depth), close.repeat(depth));
    let checking = |name: String, body: &str| Case::new("deep nesting", name, Guest::checking().check(body).build(), Expect::Stopped);
    for depth in [200, 20_000] {
        for (name, open) in [("blocks", "block "), ("loops", "loop "), ("choices", "i32.const 1 if ")] {
            let case = checking(format!("{depth} {name}"), &flat(open, "end ", depth));
            cases.push(if depth > 1_000 { case.in_child() } else { case });
        }
    }
    let operands = format!("{} {} drop unreachable", "i32.const 1 ".repeat(30_001), "i32.add ".repeat(30_000));
    cases.push(checking("thirty thousand operands".to_owned(), &operands).in_child());
    cases
}

/// Within the size limit, but much work for a compiler: what it does not end in time is refused.
pub(super) fn slow_to_compile() -> Vec<Case> {
    let straight: String =
        (0..20_000).map(|step| format!("local.get 0 i32.const {step} i32.mul local.get 1 i32.xor local.set 0 ")).collect();
    let branches: String = (0..3_000).map(|_| "block local.get 0 br_if 0 i32.const 8 call $zeroed local.set 0 end ").collect();
    let targets = format!("block local.get 0 br_table {} end ", "0 ".repeat(50_000));
    let locals = format!("(local {})", "i64 ".repeat(49_000));
    let functions: String = (0..5_000)
        .map(|number| format!("(func $f{number} (param i32) (result i32) (i32.add (local.get 0) (i32.const {number})))"))
        .collect();
    let too_many_locals = format!("(local {})", "i64 ".repeat(51_000));
    let check = |body: &str| Guest::checking().check(&format!("{body} unreachable"));
    let guests = [
        ("a long straight function", check(&straight)),
        ("three thousand branches", check(&branches)),
        ("a branch with fifty thousand targets", check(&targets)),
        ("49,000 variables", check(&locals)),
        ("five thousand functions", check("").extra(&functions)),
    ];
    let case = |(name, guest): (&str, Guest)| Case::new("slow to compile", name, guest.build(), Expect::Stopped).in_child();
    let mut cases: Vec<Case> = guests.into_iter().map(case).collect();
    // More than the format allows: the encoder would refuse to make it, so a module stands for the rule.
    let text = format!("(component (core module (func {too_many_locals})))");
    cases.push(Case::new("slow to compile", "51,000 variables", wat(&text), Expect::Refused));
    cases
}
