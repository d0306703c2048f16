//! Answers that do not fit the question, or are no values at all.

use super::{Case, Expect};
use crate::guest::Guest;

/// A list answer of `decide`, `charge` or `check`: its parts are written at 8192 by `fill`.
fn list(count: i64, fill: &str) -> String {
    format!(
        "(local $ret i32)
         (local.set $ret (call $zeroed (i32.const 12)))
         (i32.store offset=4 (local.get $ret) (i32.const 8192))
         (i32.store offset=8 (local.get $ret) (i32.const {count}))
         {fill}
         (local.get $ret)"
    )
}

fn store(offset: u32, value: i64) -> String {
    format!("(i32.store (i32.const {}) (i32.const {value}))", 8_192 + offset)
}

/// Three decisions, with something written over them.
fn decisions(fill: &str) -> Guest {
    Guest::adjustment().decide(&list(3, fill))
}

/// `apply`'s answer: narrow or wide, scale, place and number of its integers.
fn amounts(width: u32, scale: u32, place: i64, count: i64) -> Guest {
    Guest::adjustment().apply(&format!(
        "(local $ret i32)
         (local.set $ret (call $zeroed (i32.const 20)))
         (i32.store8 offset=4 (local.get $ret) (i32.const {width}))
         (i32.store8 offset=8 (local.get $ret) (i32.const {scale}))
         (i32.store offset=12 (local.get $ret) (i32.const {place}))
         (i32.store offset=16 (local.get $ret) (i32.const {count}))
         (local.get $ret)"
    ))
}

/// One line whose amount is this text.
fn line(amount: &str) -> Guest {
    let fill = format!("{} {}", store(36, 16_384), store(40, i64::try_from(amount.len()).unwrap()));
    let text: String = amount.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    Guest::charging().charge(&list(1, &fill)).extra(&format!(r#"(data (i32.const 16384) "{text}")"#))
}

pub(super) fn inconsistent() -> Vec<Case> {
    let not_text = r#"(data (i32.const 16384) "\ff\fe\c3\28")"#;
    let text = |offset: u32, place: i64, length: i64| format!("{} {}", store(offset, place), store(offset + 4, length));
    let bytes = |offset: u32, value: u32| format!("(i32.store8 (i32.const {}) (i32.const {value}))", 8_192 + offset);
    // A decision takes 80 bytes: the amount from 0 on, the treatment at 56, relabelling at 60, the reason at 68.
    let mut guests: Vec<(String, Guest)> = vec![
        ("decide: none for three".to_owned(), Guest::adjustment().decide(&list(0, ""))),
        ("decide: two for three".to_owned(), Guest::adjustment().decide(&list(2, ""))),
        ("decide: a thousand for three".to_owned(), Guest::adjustment().decide(&list(1_000, ""))),
        ("decide: four billion for three".to_owned(), Guest::adjustment().decide(&list(-1, ""))),
        (
            "decide: neither well nor badly".to_owned(),
            Guest::adjustment().decide("(i32.store8 (i32.const 8192) (i32.const 9)) (i32.const 8192)"),
        ),
        ("decide: a reason longer than memory".to_owned(), decisions(&text(68, 0, -1))),
        ("decide: a reason outside of memory".to_owned(), decisions(&text(68, -8, 16))),
        ("decide: a reason that is no text".to_owned(), decisions(&text(68, 16_384, 4)).extra(not_text)),
        ("decide: a reason of five thousand bytes".to_owned(), decisions(&text(68, 20_000, 5_000))),
        ("decide: a reason of a hundred thousand bytes".to_owned(), decisions(&text(68, 20_000, 100_000))),
        ("apply: none for three".to_owned(), amounts(0, 2, 8_192, 0)),
        ("apply: four for three".to_owned(), amounts(0, 2, 8_192, 4)),
        ("apply: four billion for three".to_owned(), amounts(0, 2, 8_192, -1)),
        ("apply: an odd number of halves".to_owned(), amounts(1, 18, 8_192, 5)),
        ("apply: wide, three halves for three".to_owned(), amounts(1, 18, 8_192, 3)),
        ("apply: neither narrow nor wide".to_owned(), amounts(7, 2, 8_192, 3)),
        ("apply: 255 decimals".to_owned(), amounts(0, 255, 8_192, 3)),
        ("apply: wide with 19 decimals".to_owned(), amounts(1, 19, 8_192, 6)),
        ("apply: outside of memory".to_owned(), amounts(0, 2, -8, 3)),
        ("apply: not aligned".to_owned(), amounts(0, 2, 8_193, 3)),
        ("charge: twenty thousand lines".to_owned(), Guest::charging().memory_pages(32).charge(&list(20_000, ""))),
        ("charge: a line outside of memory".to_owned(), Guest::charging().charge(&list(1, &text(0, -4, 40)))),
        ("charge: a description that is no text".to_owned(), Guest::charging().charge(&list(1, &text(0, 16_384, 4))).extra(not_text)),
        ("charge: neither with nor without a subaccount".to_owned(), Guest::charging().charge(&list(1, &bytes(24, 5)))),
        ("check: twenty thousand findings".to_owned(), Guest::checking().memory_pages(32).check(&list(20_000, ""))),
        ("check: a severity that there is not".to_owned(), Guest::checking().check(&list(1, &bytes(0, 200)))),
        ("check: a message that is no text".to_owned(), Guest::checking().check(&list(1, &text(4, 16_384, 4))).extra(not_text)),
        ("check: a message of ten thousand bytes".to_owned(), Guest::checking().check(&list(1, &text(4, 16_384, 10_000)))),
    ];
    for amount in ["", "NaN", "inf", "1e999", "0x10", "1,5", "--1", "1.0000000000000000001", "999999999999999999999999999999999999999999"] {
        guests.push((format!("charge: the amount {amount:?}"), line(amount)));
    }
    guests.push(("charge: an amount of ten thousand digits".to_owned(), line(&"9".repeat(10_000))));
    let mut cases: Vec<Case> = guests.into_iter().map(|(name, guest)| Case::new("answers", name, guest.build(), Expect::Failed)).collect();

    // What a component says of itself: texts at 0, 8, 16, 24 and 32 of the answer.
    let manifest = |fill: &str| {
        let body = format!(
            "(local $ret i32)
             (local.set $ret (i32.const 8192))
             {} {} {} {} {fill} (local.get $ret)",
            text(0, 2_048, 7),
            text(8, 2_064, 5),
            text(16, 2_048, 7),
            text(32, 2_080, 2)
        );
        Guest::checking().about(&body)
    };
    for (name, fill, extra) in [
        ("no name", text(0, 0, 0), ""),
        ("a name of spaces and capitals", text(0, 16_384, 4), r#"(data (i32.const 16384) "A B ")"#),
        ("a name that climbs out of its folder", text(0, 16_384, 4), r#"(data (i32.const 16384) "../x")"#),
        ("a name of ten thousand bytes", text(0, 20_000, 10_000), ""),
        ("a name that is no text", text(0, 16_384, 4), not_text),
        ("no version", text(8, 0, 0), ""),
        ("a schema that is a list", text(32, 16_384, 2), r#"(data (i32.const 16384) "[]")"#),
        ("a schema that is no JSON", text(32, 16_384, 2), r#"(data (i32.const 16384) "{x")"#),
        ("a title outside of memory", text(16, -8, 100), ""),
    ] {
        cases.push(Case::new("manifests", name, manifest(&fill).extra(extra).build(), Expect::Refused));
    }

    // Plans: result at 0, lists from 4 on, history at 44.
    let plan = |fill: &str| Guest::checking().configure(&format!("{fill} (i32.const 8192)"));
    for (name, fill) in [
        ("three hundred dimensions", text(4, 16_384, 300)),
        ("four billion reads", text(12, 16_384, -1)),
        ("writes outside of memory", text(20, -16, 2)),
        ("neither a plan nor a mistake", bytes(0, 9)),
        ("a mistake that is no text", format!("{} {}", bytes(0, 1), text(4, -4, 40))),
    ] {
        cases.push(Case::new("plans", name, plan(&fill).build(), Expect::Failed));
    }
    cases
}
