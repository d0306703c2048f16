//! What the sandbox costs: the same rules as components and compiled natively, on the same charges with the same kernels.
//!
//! `cargo bench -p rerate --bench rules`. One thread; elements are charges, so a rate is charges per second and core.
//!
//! Measured on one of four quiet x86-64 cores: the chain 9.2 million charges a second as components and 10.4 natively, 6.2 with provenance
//! and relabelling; custom rows 6.1 ns narrow (natively 5.2) and 21 ns wide (9.7); an instance opened and asked once 17 us;
//! a component of 75 KB ready in 102 ms compiled, 1.7 ms from the cache.

#![allow(clippy::unwrap_used)] // a benchmark that cannot be set up has nothing to say

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Mutex};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rerate::bills;
use rerate::domain::columns::{Batch, Dictionary, NULL_CODE, TextColumn};
use rerate::domain::money::NULL;
use rerate::domain::progress::Progress;
use rerate::domain::rule::{BillPeriod, Change, Decision, IfMissing, Plan, Rounding, RuleMoney, RuleText, Scaled, Treatment};
use rerate::generate::{Compression, Discounts, Format, Organisation, Provider, Spec, generate};
use rerate::plugins::build::{BuildError, build_component};
use rerate::rating::adjust::adjust;
use rerate::rating::combine::combinations;
use rerate::rating::working::Working;
use rerate::rating::{Chain, ChainRule, kernel};
use rerate::sandbox::{Plugin, Rater, Sandbox, SandboxOptions};
use rerate_rule::session::{self, PlacedAmount, PlacedDecision, TextColumn as GuestText};
use rerate_rule::{Adjust, MoneyColumn};

/// Charges of the bill, and rows of a batch of `custom` rows.
const ROWS: u64 = 200_000;
const CUSTOM_ROWS: usize = 65_536;

const CHAIN: [(&str, &str); 3] = [
    ("public-price", "{}"),
    ("commitments", r#"{"owners":"both"}"#),
    ("markup", r#"{"percent":"30","services":{"AmazonS3":"12.5","AmazonCloudFront":"20"}}"#),
];
const ROUNDING_MARKUP: &str = r#"{"percent":"7.25","digits":2}"#;

fn september() -> BillPeriod {
    BillPeriod { period: "2026-09".parse().unwrap(), currency: "USD".to_owned() }
}

fn built_in(name: &str) -> &'static [u8] {
    rerate::plugins::builtin::builtin(name).unwrap().component
}

/// The example is not committed as a component: it is built here, where a compiler for it is found.
fn example() -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("rule.wasm");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/rounding-markup");
    match build_component(&source, &component, None) {
        Ok(_) => Some(std::fs::read(component).unwrap()),
        Err(BuildError::NoCompiler) => None,
        Err(error) => panic!("{error}"),
    }
}

/// A made-up AWS bill with every line type, as the import gives it.
fn bill() -> Vec<Arc<Batch>> {
    let folder = tempfile::tempdir().unwrap();
    let customers = ["Anvil", "Birch", "Cobalt", "Delta"];
    let spec = Spec {
        rows: ROWS,
        seed: 7,
        format: Format::Cur2,
        compression: Compression::CsvGz,
        period: "2026-09".parse().unwrap(),
        files: Some(1),
        organisation: Organisation::invent(Provider::Aws, 7, "Reseller", &customers, 24, Discounts::Lines),
        name: "bench".to_owned(),
        purchases: true,
        closed: true,
    };
    let progress = Progress::new();
    let made = generate(&spec, folder.path(), 1, &progress).unwrap();
    let bill = bills::discover(&made.files[0]).unwrap().remove(0);
    let batches = Mutex::new(Vec::new());
    bills::import(&bill, 1, &progress, &|chunk, batch| {
        batches.lock().unwrap().push((chunk.seq, Arc::new(batch)));
        Ok(())
    })
    .unwrap();
    let mut batches = batches.into_inner().unwrap();
    batches.sort_by_key(|(seq, _)| *seq);
    batches.into_iter().map(|(_, batch)| batch).collect()
}

fn working(batch: &Arc<Batch>) -> Working {
    let owner = TextColumn::from_rows((0..batch.rows).map(|row| ["tenant", "payer", "other-tenant"].get(row % 3).copied()));
    Working::of_charges(Arc::clone(batch), owner)
}

/// Whatever decides: a component's rater or the same type compiled natively.
type Decide<'a> = Box<dyn FnMut(&[RuleText]) -> Vec<Decision> + 'a>;
type Open<'a> = Box<dyn Fn() -> Decide<'a> + 'a>;

struct Step<'a> {
    plan: &'a Plan,
    open: Open<'a>,
}

fn sandboxed<'a>(plugin: &'a Plugin, config: &'a str) -> Open<'a> {
    Box::new(move || {
        let mut rater = plugin.open(config, &september(), &[]).unwrap();
        Box::new(move |dimensions| rater.decide(dimensions).unwrap())
    })
}

fn native<R: Adjust>(config: &str) -> Open<'_> {
    let period = rerate_rule::Period { start: "2026-09-01".to_owned(), end: "2026-10-01".to_owned(), currency: "USD".to_owned() };
    Box::new(move || {
        let mut rater = session::Rater::<R>::open(config, &period, &[]).unwrap();
        Box::new(move |dimensions| {
            let texts = dimensions
                .iter()
                .map(|text| GuestText { new_values: text.new_values.iter().map(str::to_owned).collect(), codes: text.codes.clone() });
            rater.decide(texts.collect()).unwrap().into_iter().map(placed).collect()
        })
    })
}

fn placed(decision: PlacedDecision) -> Decision {
    let missing = |if_missing| match if_missing {
        rerate_rule::IfMissing::Keep => IfMissing::Keep,
        rerate_rule::IfMissing::Hold => IfMissing::Hold,
    };
    let change = match decision.amount {
        PlacedAmount::Keep => Change::Keep,
        PlacedAmount::Zero => Change::Zero,
        PlacedAmount::Custom => Change::Custom,
        PlacedAmount::Copied { column, if_missing } => Change::Copied { column, if_missing: missing(if_missing) },
        PlacedAmount::Scaled { column, rate, digits, .. } => Change::Scaled(Scaled { column, rate, digits, rounding: Rounding::HalfEven }),
        PlacedAmount::Tiered { .. } => panic!("no rule of the chain has tiers of amounts"),
    };
    let treatment = match decision.treatment {
        rerate_rule::Treatment::Keep => Treatment::Keep,
        rerate_rule::Treatment::Drop => Treatment::Drop,
        rerate_rule::Treatment::Hold => Treatment::Hold,
    };
    Decision { change, treatment, relabel: decision.relabel, reason: decision.reason }
}

/// One rule over one batch: what rating does, without provenance and relabelling.
fn decide_and_apply(step: &Step<'_>, working: &mut Working) {
    let selection = working.select(&step.plan.applies_to);
    let columns: Vec<&TextColumn> = step.plan.dimensions.iter().map(|name| working.text(name)).collect();
    let combined = combinations(&columns, &selection);
    let dimensions: Vec<RuleText> = columns
        .iter()
        .map(|column| {
            let mut sent = vec![NULL_CODE; column.values.len()];
            let mut new_values = Dictionary::new();
            let codes = combined.first.iter().map(|first| match column.codes[selection[*first as usize] as usize] {
                NULL_CODE => NULL_CODE,
                code => {
                    let slot = &mut sent[code as usize];
                    if *slot == NULL_CODE {
                        *slot = new_values.push(column.values.get(code));
                    }
                    *slot
                }
            });
            RuleText { codes: codes.collect(), new_values }
        })
        .collect();
    let decisions = (step.open)()(&dimensions);
    let batch = working.batch();
    let reads: Vec<Option<&[i128]>> = step.plan.reads.iter().map(|name| batch.money(name).map(|column| column.units.as_slice())).collect();
    for (row, slot) in selection.iter().zip(&combined.slots) {
        let row = *row as usize;
        let decision = &decisions[*slot as usize];
        let before = working.cost[row];
        let read = |column: u8| match step.plan.reads[usize::from(column)].as_str() {
            "x_CustomerCost" => before,
            _ => reads[usize::from(column)].map_or(NULL, |units| units[row]),
        };
        working.cost[row] = match (&decision.change, decision.treatment) {
            (_, Treatment::Drop) | (Change::Zero, _) => 0,
            (Change::Copied { column, .. }, _) => match read(*column) {
                NULL | 0 => before,
                units => units,
            },
            (Change::Scaled(form), _) => match read(form.column) {
                NULL => before,
                units => kernel::scaled(form, units).unwrap(),
            },
            _ => before,
        };
        working.treatment[row] = working.treatment[row].max(decision.treatment);
    }
}

fn run(steps: &[Step<'_>], batches: &[Arc<Batch>]) -> i128 {
    let mut total = 0;
    for batch in batches {
        let mut working = working(batch);
        for step in steps {
            decide_and_apply(step, &mut working);
        }
        total += working.cost.iter().sum::<i128>();
    }
    total
}

fn chain(c: &mut Criterion) {
    let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
    let rules: Vec<ChainRule> = CHAIN
        .iter()
        .map(|(name, config)| ChainRule {
            id: (*name).to_owned(),
            title: (*name).to_owned(),
            plugin: sandbox.load(built_in(name)).unwrap(),
            config: (*config).to_owned(),
            earlier: Vec::new(),
        })
        .collect();
    let chain = Chain::prepare(rules, &september()).unwrap();
    let batches = bill();
    let rows: usize = batches.iter().map(|batch| batch.rows).sum();

    let natively = [
        Step { plan: &chain.plans[0], open: native::<rerate_rule_public_price::PublicPrice>(CHAIN[0].1) },
        Step { plan: &chain.plans[1], open: native::<rerate_rule_commitments::Commitments>(CHAIN[1].1) },
        Step { plan: &chain.plans[2], open: native::<rerate_rule_markup::Markup>(CHAIN[2].1) },
    ];
    let as_components: Vec<Step<'_>> =
        chain.rules.iter().zip(&chain.plans).map(|(rule, plan)| Step { plan, open: sandboxed(&rule.plugin, &rule.config) }).collect();
    assert_eq!(run(&natively, &batches), run(&as_components, &batches), "native rules and components must agree");

    let mut group = c.benchmark_group("chain of public-price, commitments, markup");
    group.throughput(Throughput::Elements(rows as u64)).sample_size(20);
    group.bench_function("native", |b| b.iter(|| black_box(run(&natively, &batches))));
    group.bench_function("components", |b| b.iter(|| black_box(run(&as_components, &batches))));
    group.bench_function("components, with provenance and relabelling", |b| {
        b.iter(|| {
            for batch in &batches {
                let mut working = working(batch);
                for (index, (rule, plan)) in chain.rules.iter().zip(&chain.plans).enumerate() {
                    adjust(rule, index, plan, &september(), &[], None, &mut working).unwrap();
                }
                black_box(working.cost.len());
            }
        });
    });
    group.bench_function("no rules", |b| b.iter(|| black_box(run(&[], &batches))));
    group.finish();
}

/// Row logic of a guest: `x * 1.0725`, rounded down to whole cents.
fn custom(c: &mut Criterion) {
    let Some(component) = example() else { return };
    let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
    let plugin = sandbox.load(&component).unwrap();
    let dimension: Vec<RuleText> = plugin
        .configure(ROUNDING_MARKUP, &september())
        .unwrap()
        .dimensions
        .iter()
        .map(|_| RuleText { new_values: std::iter::once("x").collect(), codes: vec![0] })
        .collect();
    let slots = vec![0_u32; CUSTOM_ROWS];
    let units: Vec<i64> = (0..).map(|row: i64| (row * 7_919) % 90_000_000_000 - 1_000_000).take(CUSTOM_ROWS).collect();
    let narrow = RuleMoney::Narrow { scale: 10, units: units.clone() };
    let wide = RuleMoney::Wide { scale: 18, units: units.iter().map(|units| i128::from(*units) * 100_000_000).collect() };

    let open = || -> Rater {
        let mut rater = plugin.open(ROUNDING_MARKUP, &september(), &[]).unwrap();
        rater.decide(&dimension).unwrap();
        rater
    };
    let period = rerate_rule::Period { start: "2026-09-01".to_owned(), end: "2026-10-01".to_owned(), currency: "USD".to_owned() };
    let mut natively = session::Rater::<rounding_markup::RoundingMarkup>::open(ROUNDING_MARKUP, &period, &[]).unwrap();
    natively.decide(dimension.iter().map(|_| GuestText { new_values: vec!["x".to_owned()], codes: vec![0] }).collect()).unwrap();

    let mut group = c.benchmark_group("custom rows");
    group.throughput(Throughput::Elements(CUSTOM_ROWS as u64));
    for (width, money) in [("narrow", narrow), ("wide", wide)] {
        let for_guest = || match &money {
            RuleMoney::Narrow { scale, units } => MoneyColumn::Narrow { scale: *scale, units: units.clone() },
            RuleMoney::Wide { scale, units } => MoneyColumn::wide(*scale, units),
        };
        let reads = std::slice::from_ref(&money);
        match (open().apply(&slots, reads).unwrap(), natively.apply(&slots, vec![for_guest()]).unwrap()) {
            (RuleMoney::Narrow { units: ours, .. }, MoneyColumn::Narrow { units: theirs, .. }) => assert_eq!(ours, theirs),
            (RuleMoney::Wide { units: ours, .. }, MoneyColumn::Wide { limbs, .. }) => {
                assert!(ours.into_iter().eq(MoneyColumn::wide_units(&limbs)))
            }
            _ => panic!("native row logic and the component's must agree"),
        }
        group.bench_function(BenchmarkId::new("native", width), |b| {
            b.iter_batched(|| vec![for_guest()], |reads| black_box(natively.apply(&slots, reads).unwrap()), BatchSize::LargeInput);
        });
        let mut rater = open();
        group.bench_function(BenchmarkId::new("component", width), |b| {
            b.iter(|| black_box(rater.apply(&slots, reads).unwrap()));
        });
    }
    group.finish();
}

fn deploy(c: &mut Criterion) {
    let bytes = built_in("markup");
    let mut group = c.benchmark_group("deploy");
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(20);
    let uncached = Sandbox::new(SandboxOptions::default()).unwrap();
    group.bench_function("compiled", |b| b.iter(|| black_box(uncached.load(bytes).unwrap())));
    let folder = tempfile::tempdir().unwrap();
    let cached = Sandbox::new(SandboxOptions { cache_dir: Some(folder.path().to_owned()), ..SandboxOptions::default() }).unwrap();
    cached.load(bytes).unwrap();
    group.bench_function("from the cache", |b| b.iter(|| black_box(cached.load(bytes).unwrap())));
    group.finish();

    let plugin = cached.load(bytes).unwrap();
    let mut group = c.benchmark_group("instance");
    group.bench_function("open and decide once", |b| {
        b.iter(|| plugin.open(r#"{"percent":"30"}"#, &september(), &[]).unwrap().decide(&[]).unwrap());
    });
    group.finish();
}

criterion_group!(rules, chain, custom, deploy);
criterion_main!(rules);
