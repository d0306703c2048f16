//! `rerate plugin bench`: how fast a rule is on a bill and what it costs in fuel, against the build before. One thread; the charges are in
//! memory, so that neither the bill's format nor the disk is measured.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::target::{self, Month, Opened};
use crate::cli::{Failure, kept, output};
use crate::domain::columns::{Batch, TextColumn};
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rule::{BillPeriod, Capability, Plan, Total};
use crate::generate::{Compression, Discounts, Format, Organisation, Provider, Spec, generate};
use crate::rating::adjust::adjust;
use crate::rating::split::{Split, take};
use crate::rating::totals::Gathered;
use crate::rating::working::Working;
use crate::rating::{ChainRule, Owners};
use crate::sandbox::{Meter, Usage};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin bench my-rule --config config.json            on a generated bill, against the build before
  rerate plugin bench my-rule.wasm -i bills/2026-09 --config config.json
  rerate plugin bench my-rule --against old/my-rule.wasm --json | jq .ratio_percent

Both are measured in turns, so that a busy machine slows both. Fuel is the same on every machine.";

/// Long enough for a stable median, short enough to be run after every build.
const MEASURE_FOR: Duration = Duration::from_secs(2);
/// Turns at least, so that there is a percentile at all.
const TURNS_MIN: usize = 10;
const TURNS_MAX: usize = 2_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A project's folder, a component, or a built-in's name
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    rule: PathBuf,
    /// The bill; its largest month counts [default: one that is generated]
    #[arg(short = 'i', long = "input", value_name = "BILL")]
    bill: Option<PathBuf>,
    /// Charges of the generated bill
    #[arg(long, value_name = "N", default_value_t = 200_000, conflicts_with = "bill")]
    rows: u64,
    /// The rule's configuration, JSON [default: that of the project's first golden case, else none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The component to compare with [default: the build that was measured before this one]
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The charges, ready.
struct Bill {
    bill: BillPeriod,
    batches: Vec<(Arc<Batch>, TextColumn)>,
    rows: u64,
}

/// One component's figures.
#[derive(Serialize)]
struct Figures {
    digest: String,
    size: usize,
    rows_per_second: u64,
    /// Fuel of a whole bill, without configuring.
    fuel: u64,
    fuel_per_row: u64,
    /// Distinct combinations, added up over row groups.
    combinations: u64,
    fuel_per_combination: Option<u64>,
    /// Rows that crossed into the rule, and its fuel for each.
    custom_rows: u64,
    fuel_per_custom_row: Option<u64>,
    /// Of one row group through the rule, or of one `charge` or `check`.
    calls: usize,
    p50_micros: u64,
    p99_micros: u64,
    memory_bytes: u64,
}

#[derive(Serialize)]
struct Report {
    plugin: String,
    rows: u64,
    now: Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Figures>,
    /// Rows a second now, in percent of before.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_percent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel_percent: Option<u64>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let opened = target::open(&args.rule)?;
    let config = opened.config(args.config.as_deref())?;
    let kept = Kept::of(&opened);
    let before = match &args.against {
        Some(file) => Some(target::load_file(file)?),
        None => kept.before(&opened)?,
    };
    let scratch = tempfile::tempdir()?;
    let generated;
    let path = match &args.bill {
        Some(path) => path,
        None => {
            generated = generated_bill(args.rows, &scratch.path().join("generated"))?;
            &generated
        }
    };
    let mut months = target::months(path, scratch.path())?;
    months.sort_by_key(|month| std::cmp::Reverse(rows_of(month)));
    let month = months.swap_remove(0);
    let plan = opened.plan(&config, &month.bill)?;
    let bill = load(&month, &plan)?;
    let mut now = Measured::new(&opened, &config, &bill)?;
    let mut then = before.as_ref().map(|before| Measured::new(before, &config, &bill)).transpose()?;
    let started = Instant::now();
    let turns = || now_or_later(started);
    let mut turn = 0;
    while turn < TURNS_MIN || (turn < TURNS_MAX && turns()) {
        now.turn(&bill)?;
        if let Some(then) = &mut then {
            then.turn(&bill)?;
        }
        turn += 1;
    }
    kept.keep(&opened);
    let (now, before) = (now.figures(bill.rows), then.map(|then| then.figures(bill.rows)));
    let part = |now: u64, before: u64| u64::try_from(u128::from(now) * 100 / u128::from(before.max(1))).unwrap_or(u64::MAX);
    let report = Report {
        plugin: opened.plugin.manifest().name.clone(),
        rows: bill.rows,
        ratio_percent: before.as_ref().map(|before| part(now.rows_per_second, before.rows_per_second)),
        fuel_percent: before.as_ref().map(|before| part(now.fuel, before.fuel)),
        now,
        before,
    };
    if args.json {
        output::print_json(&report)?;
    } else {
        print(&report);
    }
    Ok(())
}

fn now_or_later(started: Instant) -> bool {
    started.elapsed() < MEASURE_FOR
}

fn rows_of(month: &Month) -> u64 {
    month.reader.groups().iter().map(|(_, rows)| u64::from(*rows)).sum()
}

/// An AWS bill with every type of line.
fn generated_bill(rows: u64, out: &Path) -> Result<PathBuf, Failure> {
    let period: Period = "2026-09".parse()?;
    let customers = ["Anvil", "Birch", "Cobalt", "Delta"];
    let spec = Spec {
        rows,
        seed: 7,
        format: Format::Cur2,
        compression: Compression::CsvGz,
        period,
        files: Some(1),
        organisation: Organisation::invent(Provider::Aws, 7, "reseller", &customers, 24, Discounts::Lines),
        name: "bench".to_owned(),
        purchases: true,
        closed: true,
    };
    generate(&spec, out, 1, &Progress::new()).map_err(Failure::input)?;
    Ok(out.to_owned())
}

/// Reads what the rule names, and derives whose commitments they are.
fn load(month: &Month, plan: &Plan) -> Result<Bill, Failure> {
    let conditions = plan.applies_to.iter().chain(plan.totals.iter().flat_map(|total| &total.conditions)).map(|c| c.column.as_str());
    let sums = plan.totals.iter().flat_map(|total| total.group_by.iter().chain(&total.sums)).map(String::as_str);
    let own = plan.dimensions.iter().chain(&plan.reads).chain(&plan.writes).map(String::as_str);
    let base = ["BilledCost", "BillingAccountId", "BillingCurrency", "SubAccountId", "x_CommitmentOwnerAccountId", "x_SourceLineType"];
    let mut columns: Vec<&str> = base.into_iter().chain(conditions).chain(sums).chain(own).collect();
    columns.sort_unstable();
    columns.dedup();
    columns.retain(|name| !crate::domain::charge::RATED.iter().any(|(rated, _)| rated == name));
    let owners = [Owners::Everything(0)];
    let split = Split::new(&owners, &month.payers);
    let mut batches = Vec::new();
    let mut rows = 0;
    for (group, _) in month.reader.groups() {
        let batch = Arc::new(month.reader.read(group, &columns)?);
        let shares = split.shares(0, &batch).map_err(|_| Failure::run("the bill adds up to more than amounts can hold"))?;
        for share in shares.into_iter().filter(|share| share.currency == month.bill.currency) {
            let own = take(&batch, &share.rows);
            let derived = own.text("x_CommitmentOwnerAccountId").map(|column| split.commitment_owner(0, column));
            let owner = derived.unwrap_or_else(|| TextColumn::constant(None, own.rows));
            rows += own.rows as u64;
            batches.push((own, owner));
        }
    }
    Ok(Bill { bill: month.bill.clone(), batches, rows })
}

/// One component on its way through the turns.
struct Measured {
    rule: ChainRule,
    size: usize,
    plan: Plan,
    totals: Vec<Total>,
    meter: Arc<Meter>,
    /// Fuel of one turn: every turn is the same.
    usage: Option<Usage>,
    calls: Vec<Duration>,
    turns: Vec<Duration>,
}

impl Measured {
    fn new(opened: &Opened, config: &str, bill: &Bill) -> Result<Self, Failure> {
        let plan = opened.plan(config, &bill.bill)?;
        let mut totals = Vec::new();
        for request in &plan.totals {
            let mut gathered = Gathered::default();
            for (batch, owner) in &bill.batches {
                gathered.add(request, &Working::of_charges(Arc::clone(batch), owner.clone()))?;
            }
            totals.push(gathered.finish(request));
        }
        let meter = Arc::new(Meter::default());
        let rule = ChainRule {
            id: "rule-1".to_owned(),
            title: "rule".to_owned(),
            plugin: opened.plugin.with(opened.plugin.limits().clone(), Some(Arc::clone(&meter))),
            config: config.to_owned(),
            earlier: Vec::new(),
        };
        Ok(Self { rule, size: opened.plugin.size(), plan, totals, meter, usage: None, calls: Vec::new(), turns: Vec::new() })
    }

    /// The whole bill once.
    fn turn(&mut self, bill: &Bill) -> Result<(), Failure> {
        let mut whole = Duration::ZERO;
        for capability in self.rule.plugin.capabilities().to_vec() {
            match capability {
                Capability::Adjust => {
                    for (batch, owner) in &bill.batches {
                        let mut working = Working::of_charges(Arc::clone(batch), owner.clone());
                        let started = Instant::now();
                        adjust(&self.rule, 0, &self.plan, &bill.bill, &self.totals, None, &mut working).map_err(Failure::run)?;
                        whole += self.note(started);
                    }
                }
                Capability::Charge => {
                    let started = Instant::now();
                    self.rule.plugin.charge(&self.rule.config, &bill.bill, &self.totals, &[])?;
                    whole += self.note(started);
                }
                Capability::Check => {
                    let started = Instant::now();
                    self.rule.plugin.check(&self.rule.config, &bill.bill, &self.totals)?;
                    whole += self.note(started);
                }
            }
        }
        self.turns.push(whole);
        self.usage.get_or_insert_with(|| self.meter.usage());
        Ok(())
    }

    fn note(&mut self, started: Instant) -> Duration {
        let taken = started.elapsed();
        self.calls.push(taken);
        taken
    }

    fn figures(mut self, rows: u64) -> Figures {
        self.calls.sort_unstable();
        self.turns.sort_unstable();
        let micros = |part: usize| {
            let place = (self.calls.len() * part / 100).min(self.calls.len().saturating_sub(1));
            self.calls.get(place).map_or(0, |call| u64::try_from(call.as_micros()).unwrap_or(u64::MAX))
        };
        let median = self.turns.get(self.turns.len() / 2).copied().unwrap_or_default();
        let usage = self.usage.clone().unwrap_or_default();
        let call = |name: &str| usage.call(name).map(|call| (call.items, call.fuel)).filter(|(items, _)| *items > 0);
        Figures {
            digest: self.rule.plugin.digest().to_owned(),
            size: self.size,
            rows_per_second: output::per_second(rows, median),
            fuel: usage.fuel,
            fuel_per_row: usage.fuel / rows.max(1),
            combinations: call("decide").map_or(0, |(items, _)| items),
            fuel_per_combination: call("decide").map(|(items, fuel)| fuel / items),
            custom_rows: call("apply").map_or(0, |(items, _)| items),
            fuel_per_custom_row: call("apply").map(|(items, fuel)| fuel / items),
            calls: self.calls.len(),
            p50_micros: micros(50),
            p99_micros: micros(99),
            memory_bytes: usage.memory_bytes,
        }
    }
}

/// Where components that were measured are kept: with the project's other products, else in the user's cache.
struct Kept(Option<PathBuf>);

impl Kept {
    fn of(opened: &Opened) -> Self {
        let base = opened.project.as_ref().map(|dir| dir.join("target/rerate")).or_else(kept::folder);
        Self(base.map(|base| base.join("bench").join(&opened.plugin.manifest().name)))
    }

    /// The last component that was measured and is another than this.
    fn before(&self, opened: &Opened) -> Result<Option<Opened>, Failure> {
        let Some(dir) = &self.0 else { return Ok(None) };
        for name in ["last.wasm", "before.wasm"] {
            let path = dir.join(name);
            if std::fs::read(&path).is_ok_and(|bytes| bytes != opened.bytes) {
                return target::load_file(&path).map(Some);
            }
        }
        Ok(None)
    }

    /// Keeping is a convenience: where it does not work, the next bench has nothing to compare with.
    fn keep(&self, opened: &Opened) {
        let Some(dir) = &self.0 else { return };
        let last = dir.join("last.wasm");
        let is_new = std::fs::read(&last).map_or(true, |bytes| bytes != opened.bytes);
        if is_new && std::fs::create_dir_all(dir).is_ok() {
            if last.exists() && std::fs::rename(&last, dir.join("before.wasm")).is_err() {
                output::complain(&format!("warning: {} cannot be kept for the next comparison", last.display()));
            }
            // Whole or not at all: another bench may be looking for it.
            let kept = tempfile::NamedTempFile::new_in(dir).and_then(|mut file| {
                file.write_all(&opened.bytes)?;
                file.persist(&last).map_err(|error| error.error)
            });
            if let Err(error) = kept {
                output::complain(&format!("warning: {} cannot be kept for the next comparison: {error}", last.display()));
            }
        }
    }
}

fn print(report: &Report) {
    output::print(&format!("{} on {} charges, one thread", report.plugin, output::count(report.rows)));
    let figure = |what: &str, of: &dyn Fn(&Figures) -> String| {
        let mut row = vec![what.to_owned(), of(&report.now)];
        row.extend(report.before.as_ref().map(of));
        row
    };
    let or_dash = |value: Option<u64>| value.map_or("-".to_owned(), output::count);
    let millis = |micros: u64| format!("{}.{:03} ms", micros / 1_000, micros % 1_000);
    let rows = [
        figure("component", &|f| f.digest.chars().take(12).collect()),
        figure("size", &|f| output::bytes(f.size as u64)),
        figure("charges a second", &|f| output::count(f.rows_per_second)),
        figure("p50 of a call", &|f| millis(f.p50_micros)),
        figure("p99 of a call", &|f| millis(f.p99_micros)),
        figure("fuel a charge", &|f| output::count(f.fuel_per_row)),
        figure("combinations", &|f| output::count(f.combinations)),
        figure("fuel a combination", &|f| or_dash(f.fuel_per_combination)),
        figure("custom rows", &|f| output::count(f.custom_rows)),
        figure("fuel a custom row", &|f| or_dash(f.fuel_per_custom_row)),
        figure("memory", &|f| output::bytes(f.memory_bytes)),
    ];
    let titles: &[&str] = if report.before.is_some() { &["", ">now", ">before"] } else { &["", ">now"] };
    output::print(&output::table(titles, rows));
    match (report.ratio_percent, report.fuel_percent) {
        (Some(speed), Some(fuel)) => output::print(&format!("{speed} % of the speed before, {fuel} % of the fuel")),
        _ => output::print("no other build to compare with yet; this one is kept for the next time"),
    }
    output::print(&format!("a call is one row group through the rule, or one `charge` or `check`; {} were measured", report.now.calls));
}
