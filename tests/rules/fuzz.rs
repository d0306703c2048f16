//! Two fuzzers, deterministic and short: bytes that are uploaded, and answers of a rule whose every answer is the bytes of its
//! configuration. `RERATE_FUZZ_SECONDS` gives each more time, `RERATE_FUZZ_SEED` another beginning; a failure prints its seed.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on fails here, and its figures are for people

// Hand-written components are made by the sandbox's own tests' encoder.
#[allow(dead_code, unreachable_pub)]
#[path = "../../host/src/sandbox/tests/guest.rs"]
mod guest;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rerate::domain::columns::{Batch, Column, Dictionary, MoneyColumn, TextColumn};
use rerate::domain::money::ONE;
use rerate::domain::progress::Progress;
use rerate::domain::rated::GroupRef;
use rerate::domain::rule::{BillPeriod, RuleMoney, RuleText};
use rerate::rating::{ChainRule, Input, Owners, RunInput, rate_month};
use rerate::sandbox::{Limits, Plugin, Sandbox, SandboxOptions, sections};
use rerate_tests::components::{BUILTINS, FIXTURES};

use guest::Guest;

fn period() -> BillPeriod {
    BillPeriod { period: "2026-09".parse().unwrap(), currency: "USD".to_owned() }
}

fn sandbox() -> Sandbox {
    let limits = Limits {
        fuel_base: 2_000_000,
        fuel_per_row: 1_000,
        fuel_per_combination: 1_000,
        fuel_per_byte: 1_000,
        deadline: Duration::from_millis(500),
        memory_bytes: 16 << 20,
        instances: 8,
        ..Limits::default()
    };
    Sandbox::new(SandboxOptions { limits, ..SandboxOptions::default() }).unwrap()
}

/// Marsaglia's xorshift: the same numbers for the same seed, for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[3]
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Tries seeds until the time is over, at least some of them however slow the machine, and counts what came of them.
fn fuzz(what: &str, least: u64, mut attempt: impl FnMut(&mut Dice) -> &'static str) {
    let time = Duration::from_secs(number("RERATE_FUZZ_SECONDS").unwrap_or(2));
    let first = number("RERATE_FUZZ_SEED").unwrap_or(1);
    let (began, mut counts, mut slowest) = (Instant::now(), BTreeMap::<&str, u64>::new(), Duration::ZERO);
    let mut tried = 0;
    while tried < least || began.elapsed() < time {
        let seed = first + tried;
        let started = Instant::now();
        let attempt = std::panic::AssertUnwindSafe(|| attempt(&mut Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)));
        match std::panic::catch_unwind(attempt) {
            Ok(outcome) => *counts.entry(outcome).or_default() += 1,
            Err(_) => panic!("{what}: seed {seed} brought the host down; RERATE_FUZZ_SEED={seed} tries it again"),
        }
        let took = started.elapsed();
        assert!(took < Duration::from_secs(20), "{what}: seed {seed} took {took:?}");
        slowest = slowest.max(took);
        tried += 1;
    }
    let rate = u128::from(tried) * 1_000 / began.elapsed().as_millis().max(1);
    println!("{what}: {tried} attempts, {rate} a second, slowest {} ms: {counts:?}", slowest.as_millis());
}

/// One to four changes: a bit, a byte, a number at its edge, a stretch removed, doubled or taken from elsewhere.
fn damage(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        let length = 1 + dice.below(64.min(bytes.len() - at));
        match dice.below(8) {
            0 | 1 => bytes[at] ^= 1 << dice.below(8),
            2 => bytes[at] = dice.byte(),
            3 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5)],
            4 => drop(bytes.drain(at..at + length)),
            5 => {
                let doubled = bytes[at..at + length].to_vec();
                bytes.splice(at..at, doubled);
            }
            6 => bytes.truncate(at.max(9)),
            _ => {
                let from = dice.below(other.len());
                let taken = other[from..other.len().min(from + length)].to_vec();
                bytes.splice(at..at, taken);
            }
        }
        if bytes.len() < 9 {
            return;
        }
    }
}

#[test]
fn no_upload_brings_the_host_down() {
    let sandbox = sandbox();
    let mut crashing = Guest::adjustment().decide("(unreachable)").build();
    sections::append(&mut crashing, sections::LINES, &[1, 1, 1, b'f', 1, 1, b'g', 1, 5, 2, 0, 1, 0, 2, 9, 1, 0, 2]);
    let kept = |path: std::path::PathBuf| std::fs::read(path).unwrap();
    let small = [
        Guest::adjustment().build(),
        Guest::charging().build(),
        Guest::checking().logs().check("(call $log (i32.const 2048) (i32.const 7)) (call $zeroed (i32.const 12))").build(),
        crashing,
    ];
    let large = [kept(BUILTINS.component("exclusion")), kept(BUILTINS.component("charge")), kept(FIXTURES.component("wrong-row-count"))];
    fuzz("uploads", 60, |dice| {
        // A compiled guest takes long to compile again: mostly small ones.
        let pick = if dice.below(12) == 0 { &large[dice.below(large.len())] } else { &small[dice.below(small.len())] };
        let mut bytes = pick.clone();
        damage(&mut bytes, &small[dice.below(small.len())], dice);
        let Ok(plugin) = sandbox.load(&bytes) else { return "refused" };
        match call_all(&plugin, "{}") {
            true => "answered",
            false => "failed",
        }
    });
}

/// Every export once; whether all of them answered.
fn call_all(plugin: &Plugin, config: &str) -> bool {
    let configured = plugin.configure(config, &period()).is_ok();
    let adjusted = plugin.open(config, &period(), &[]).and_then(|mut rater| {
        let services: Dictionary = ["Amazon EC2", "Amazon S3"].into_iter().collect();
        let decisions = rater.decide(&[RuleText { new_values: services, codes: vec![0, 1, RuleText::NULL] }])?;
        assert_eq!(decisions.len(), 3);
        match rater.apply(&[0, 1, 2], &[RuleMoney::Narrow { scale: 2, units: vec![1, -2, 3] }])? {
            RuleMoney::Narrow { units, scale } => assert!(units.len() == 3 && scale <= 18),
            RuleMoney::Wide { units, scale } => assert!(units.len() == 3 && scale <= 18),
        }
        Ok(())
    });
    let charged = plugin.charge(config, &period(), &[], &[]);
    let checked = plugin.check(config, &period(), &[]);
    configured && (adjusted.is_ok() || charged.is_ok() || checked.is_ok())
}

/// Where the parrot keeps the bytes that it says, and how many there are for each export.
const BASE: u32 = 16_384;
const AREA: u32 = 2_048;

/// A rule whose answers are the bytes of its configuration, which gives them in hexadecimal: `configure` says the first 2,048, then
/// `decide`, `charge` or `check`, then `apply`.
fn parrot(guest: Guest) -> Vec<u8> {
    let digit = |place: &str| {
        format!(
            "(local.set $digit (i32.load8_u {place}))
             (local.set $digit (i32.sub (local.get $digit) (select (i32.const 87) (i32.const 48) (i32.gt_u (local.get $digit) (i32.const 57)))))"
        )
    };
    let learn = format!(
        "(func $learn (param $from i32) (param $length i32) (local $to i32) (local $digit i32) (local $high i32)
            (local.set $to (i32.const {BASE}))
            (block $done (loop $again
                (br_if $done (i32.lt_u (local.get $length) (i32.const 2)))
                {}
                (local.set $high (i32.shl (local.get $digit) (i32.const 4)))
                {}
                (i32.store8 (local.get $to) (i32.or (local.get $high) (local.get $digit)))
                (local.set $to (i32.add (local.get $to) (i32.const 1)))
                (local.set $from (i32.add (local.get $from) (i32.const 2)))
                (local.set $length (i32.sub (local.get $length) (i32.const 2)))
                (br $again))))",
        digit("(local.get $from)"),
        digit("offset=1 (local.get $from)")
    );
    let (second, third) = (BASE + AREA, BASE + 2 * AREA);
    let learnt = "(call $learn (local.get 0) (local.get 1))";
    let open = format!(
        "(local $ret i32) {learnt} (local.set $ret (call $zeroed (i32.const 16)))
         (i32.store offset=4 (local.get $ret) (call $new (i32.const 1))) (local.get $ret)"
    );
    guest
        .memory_pages(4)
        .configure(&format!("{learnt} (i32.const {BASE})"))
        .open(&open)
        .decide(&format!("(i32.const {second})"))
        .apply(&format!("(i32.const {third})"))
        .charge(&format!("{learnt} (i32.const {second})"))
        .check(&format!("{learnt} (i32.const {second})"))
        .extra(&learn)
        .build()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Little-endian numbers into the bytes that the parrot will say.
struct Speech(Vec<u8>);

impl Speech {
    fn put(&mut self, at: u32, value: u32) {
        let at = usize::try_from(at).unwrap();
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, at: u32, place: u32, text: &str) {
        let from = usize::try_from(place).unwrap();
        self.0[from..from + text.len()].copy_from_slice(text.as_bytes());
        self.put(at, BASE + place);
        self.put(at + 4, u32::try_from(text.len()).unwrap());
    }

    /// Good answers: a plan over services that reads the cost and relabels the service, three decisions, one amount.
    fn good() -> Self {
        let mut speech = Self(vec![0; usize::try_from(3 * AREA).unwrap()]);
        for (list, place, name, at) in [(4, 100, "ServiceName", 200), (12, 120, "x_CustomerCost", 220), (20, 140, "ServiceName", 240)] {
            speech.put(list, BASE + place);
            speech.put(list + 4, 1);
            speech.text(place, at, name);
        }
        // `decide`: a list of decisions at 64 of its area, each with an amount of another kind.
        speech.put(AREA + 4, BASE + AREA + 64);
        speech.put(AREA + 8, 3);
        for (decision, kind) in (0..3).zip([5_u8, 3, 2]) {
            let at = AREA + 64 + decision * 80;
            speech.0[usize::try_from(at).unwrap()] = kind;
            speech.text(at + 68, AREA + 600, "because");
        }
        // `apply`: a narrow amount with two decimals, for the one charge that is left to row logic.
        speech.0[usize::try_from(2 * AREA + 8).unwrap()] = 2;
        speech.put(2 * AREA + 12, BASE + 2 * AREA + 64);
        speech.put(2 * AREA + 16, 1);
        speech
    }

    /// Some numbers changed, mostly to what might pass.
    fn garble(&mut self, dice: &mut Dice) {
        const PARTS: [(u32, u32); 4] = [(0, 64), (AREA, 330), (2 * AREA, 120), (100, 60)];
        for _ in 0..=dice.below(5) {
            let (from, length) = PARTS[dice.below(PARTS.len())];
            let at = from + u32::try_from(dice.below(usize::try_from(length).unwrap() / 4)).unwrap() * 4;
            match dice.below(7) {
                0 => self.put(at, u32::try_from(dice.roll() & 0xffff_ffff).unwrap()),
                1 => self.put(at, [0, 1, 2, 3, 5, 6, 17, 18, 19, 64, 255, 256, 300][dice.below(13)]),
                2 => self.put(at, [u32::MAX, 1 << 31, (1 << 31) - 1, 1 << 16, 70_000, 262_140][dice.below(6)]),
                3 => self.put(at, BASE + u32::try_from(dice.below(6_144)).unwrap()),
                4 => self.put(at, BASE + u32::try_from(dice.below(1_536)).unwrap() * 4),
                5 => {
                    let at = usize::try_from(at).unwrap() + dice.below(4);
                    self.0[at] = dice.byte();
                }
                _ => {
                    // Big amounts: at the edge of what 64 and 128 bits hold.
                    let at = usize::try_from(2 * AREA + 64).unwrap() + dice.below(6) * 8;
                    let edge = [i64::MAX, i64::MIN, i64::MAX / 10, -1, 1 << 40][dice.below(5)];
                    self.0[at..at + 8].copy_from_slice(&edge.to_le_bytes());
                }
            }
        }
    }
}

/// Rates a bill of three charges with the rule: the outcome holds together, or there is a reason.
fn rate(plugin: &Arc<Plugin>, config: String) -> &'static str {
    let mut batch = Batch::new(3);
    batch.push("SubAccountId", Column::Text(TextColumn::constant(Some("account"), 3)));
    batch.push("BillingAccountId", Column::Text(TextColumn::constant(Some("payer"), 3)));
    batch.push("BillingCurrency", Column::Text(TextColumn::constant(Some("USD"), 3)));
    batch.push("ServiceName", Column::Text(TextColumn::from_rows([Some("EC2"), Some("S3"), None])));
    batch.push("BilledCost", Column::Money(MoneyColumn { units: vec![ONE, 7 * ONE / 100, -3 * ONE] }));
    let rule = ChainRule { id: "rul".to_owned(), title: "Parrot".to_owned(), plugin: Arc::clone(plugin), config, earlier: Vec::new() };
    let month = rate_month(Input {
        period: "2026-09".parse().unwrap(),
        groups: &[(GroupRef { part: 0, group: 0 }, 3)],
        source_of_part: &[0],
        owners: &[Owners::BySubAccount(HashMap::from([("account".to_owned(), 0)]))],
        payers: &BTreeSet::from(["payer".to_owned()]),
        runs: vec![RunInput { tenant: 0, currency: "USD".to_owned(), rules: vec![rule], span: None }],
        workers: 1,
        batch_rows: None,
        watch: None,
        progress: &Progress::new(),
        read: &|_, _| Ok(batch.clone()),
        write: &|_, _, rated| {
            assert!(rated.rows.len() == rated.customer_cost.len() && rated.rows.len() == rated.treatment.len());
            Ok(())
        },
    });
    match month.unwrap().runs.remove(0) {
        Ok(outcome) => {
            let moved: i128 = outcome.by_rule.iter().map(|effect| effect.delta.0).sum();
            assert_eq!(outcome.charged.0 - outcome.billed.0, moved);
            "rated"
        }
        Err(failure) if failure.rule.is_none() => {
            assert!(!failure.reason.contains("defect"), "{failure}");
            "out of range"
        }
        Err(failure) if failure.reason.contains("contract") => "broke the contract",
        Err(failure) if failure.reason.contains("crashed") => "no values",
        Err(_) => "refused",
    }
}

#[test]
fn no_answer_of_a_rule_brings_the_host_down_or_makes_an_outcome_that_does_not_add_up() {
    let sandbox = sandbox();
    let adjusting = sandbox.load(&parrot(Guest::adjustment())).unwrap();
    let charging = sandbox.load(&parrot(Guest::charging())).unwrap();
    let checking = sandbox.load(&parrot(Guest::checking())).unwrap();
    assert_eq!(rate(&adjusting, hex(&Speech::good().0)), "rated", "the parrot must be able to say something sensible");
    fuzz("answers", 1_000, |dice| {
        let mut speech = Speech::good();
        speech.garble(dice);
        let config = hex(&speech.0);
        match dice.below(4) {
            0 => rate(&charging, config),
            1 => rate(&checking, config),
            _ => rate(&adjusting, config),
        }
    });
}
