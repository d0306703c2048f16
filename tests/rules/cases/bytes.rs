//! Damage to the bytes of good components.

use rerate::sandbox::sections;
use rerate_tests::components::BUILTINS;

use super::{Case, Expect};
use crate::guest::Guest;

/// A section's identifier, where it begins and where it ends.
struct Span {
    id: u8,
    start: usize,
    end: usize,
}

fn spans(bytes: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 8;
    while at < bytes.len() {
        let (start, id) = (at, bytes[at]);
        let (mut size, mut shift) = (0_usize, 0);
        loop {
            at += 1;
            size |= usize::from(bytes[at] & 0x7f) << shift;
            shift += 7;
            if bytes[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1 + size;
        spans.push(Span { id, start, end: at });
    }
    spans
}

/// Cut at every section boundary and inside every section, of a small component and of a built-in one.
pub(super) fn truncated() -> Vec<Case> {
    let mut cases = Vec::new();
    let builtin = std::fs::read(BUILTINS.component("charge")).unwrap();
    for (of, bytes) in [("small", Guest::checking().build()), ("charge", builtin)] {
        let spans = spans(&bytes);
        // What follows the last section that matters may be missing.
        let whole = spans.iter().filter(|span| span.id != 0).map(|span| span.end).max().unwrap();
        for span in &spans {
            for (place, length) in
                [("before", span.start), ("inside", usize::midpoint(span.start, span.end)), ("at the end of", span.end - 1)]
            {
                let starts_section = spans.iter().any(|other| other.start == length);
                let expect = if starts_section && length >= whole { Expect::Harmless } else { Expect::Refused };
                let name = format!("{of}: cut {place} the section at {}", span.start);
                cases.push(Case::new("truncated", name, bytes[..length].to_vec(), expect));
            }
        }
    }
    cases
}

/// A bit here and there, the same every time.
pub(super) fn flipped() -> Vec<Case> {
    let mut cases = Vec::new();
    let builtin = std::fs::read(BUILTINS.component("exclusion")).unwrap();
    for (of, bytes, count) in [("small", Guest::adjustment().build(), 120), ("exclusion", builtin, 12)] {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..count {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let bit = usize::try_from(state % (bytes.len() as u64 * 8)).unwrap();
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            cases.push(Case::new("bit flipped", format!("{of}: bit {bit}"), damaged, Expect::Harmless));
        }
    }
    cases
}

/// Sections of ours that say nonsense: what a rule computes does not depend on them.
pub(super) fn own_sections() -> Vec<Case> {
    let mut cases = Vec::new();
    let with = |guest: &Guest, name: &str, data: &[u8]| {
        let mut bytes = guest.build();
        sections::append(&mut bytes, name, data);
        bytes
    };
    let crashing = Guest::adjustment().decide("(unreachable)");
    let contents: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("zeroes", vec![0; 1_000]),
        ("all ones", vec![0xff; 1_000]),
        ("a count of nothing", vec![1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("many rows of nothing", [&[1, 0, 0, 1, 0, 0xff, 0xff, 0x7f][..], &[0; 5_000]].concat()),
        ("two megabytes", vec![1; 2 << 20]),
    ];
    for name in [sections::LINES, sections::CASES, sections::SIGNATURE] {
        for (what, data) in &contents {
            cases.push(Case::new("own sections", format!("{name}: {what}"), with(&Guest::checking(), name, data), Expect::Answered));
            cases.push(Case::new("own sections", format!("{name}: {what}, and it crashes"), with(&crashing, name, data), Expect::Failed));
        }
    }
    let mut many = Guest::checking().build();
    (0..50_000).for_each(|_| sections::append(&mut many, sections::LINES, &[1]));
    cases.push(Case::new("own sections", "fifty thousand of one name", many, Expect::Answered));
    let mut unnamed = Guest::checking().build();
    unnamed.extend([0, 3, 2, 0xc3, 0x28]);
    cases.push(Case::new("own sections", "a name that is no text", unnamed, Expect::Refused));
    let mut short = Guest::checking().build();
    short.extend([0, 2, 200, b'x']);
    cases.push(Case::new("own sections", "a name longer than its section", short, Expect::Refused));
    cases
}
