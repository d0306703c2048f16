//! `rerate plugin run`: a bill rated by one rule, and what that changes. The daemon's own import and rating; nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::target::{self, Month, Opened};
use crate::cli::{Failure, output};
use crate::domain::columns::NULL_CODE;
use crate::domain::money::Amount;
use crate::domain::progress::Progress;
use crate::domain::rated::{GroupRef, RatedGroup, RatedLine, RuleFinding, RunLogs};
use crate::domain::rule::{BillPeriod, Treatment};
use crate::lake::LakeError;
use crate::rating::{ChainRule, Input, Owners, RunInput, RunOutcome, rate_month};
use crate::sandbox::{Meter, Usage};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin run my-rule -i bills/2026-09 --config my-rule/config.json
  rerate plugin run my-rule.wasm -i cur.csv.gz --config config.json --top 50
  rerate plugin run markup -i bills --config <(echo '{\"percent\":\"30\"}') --json | jq '.[].decisions'

BILL is whatever `rerate rate` reads: a file, or a folder with or without a manifest. The whole bill is one tenant's.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A project's folder, a component, or a built-in's name
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    rule: PathBuf,
    /// The bill
    #[arg(short = 'i', long = "input", value_name = "BILL")]
    bill: PathBuf,
    /// The rule's configuration, JSON [default: that of the project's first golden case, else none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How many of the charges that change most are shown
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Print JSON: one object a month and currency
    #[arg(long)]
    json: bool,
}

/// Columns that tell a person which charge it is.
const SHOWN: [&str; 5] = ["BilledCost", "ChargeDescription", "ServiceName", "SubAccountId", "x_SourceLineType"];

/// Groups of decisions that are shown.
const REASONS_MAX: usize = 100;

/// What the rule did to one month in one currency.
#[derive(Serialize)]
struct Report {
    period: String,
    currency: String,
    rows: u64,
    /// Charges that the rule changed, dropped, held or relabelled, and lines that it added.
    touched: u64,
    dropped: u64,
    held: u64,
    billed: Amount,
    charged: Amount,
    delta: Amount,
    decisions: Vec<Decided>,
    top: Vec<Changed>,
    lines: Vec<RatedLine>,
    findings: Vec<RuleFinding>,
    logs: RunLogs,
    fuel: u64,
    memory_bytes: u64,
    longest_call_micros: u64,
}

/// Charges with the same reason.
#[derive(Clone, Serialize)]
struct Decided {
    reason: String,
    rows: u64,
    delta: Amount,
}

/// One charge that changed.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct Changed {
    sub_account_id: Option<String>,
    service_name: Option<String>,
    description: Option<String>,
    line_type: Option<String>,
    before: Amount,
    after: Amount,
    treatment: Treatment,
    reason: String,
    /// Where it stands in the bill: what makes the order of equal changes certain.
    #[serde(skip)]
    place: (GroupRef, u32),
}

impl Changed {
    fn by(&self) -> u128 {
        self.after.0.abs_diff(self.before.0)
    }
}

/// What row groups add up to.
#[derive(Default)]
struct Changes {
    by_reason: BTreeMap<String, (u64, i128)>,
    top: Vec<Changed>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let opened = target::open(&args.rule)?;
    let config = opened.config(args.config.as_deref())?;
    let scratch = tempfile::tempdir()?;
    let mut reports = Vec::new();
    for month in target::months(&args.bill, scratch.path())? {
        reports.push(rate(&opened, &config, &month, args.top)?);
    }
    if args.json {
        output::print_json(&reports)?;
    } else {
        reports.iter().for_each(print);
    }
    Ok(())
}

fn rate(opened: &Opened, config: &str, month: &Month, top: usize) -> Result<Report, Failure> {
    opened.plan(config, &month.bill)?;
    let meter = Arc::new(Meter::default());
    let title = opened.plugin.manifest().title.clone();
    let rule = ChainRule {
        id: "rule-1".to_owned(),
        title,
        plugin: opened.plugin.with(opened.plugin.limits().clone(), Some(Arc::clone(&meter))),
        config: config.to_owned(),
        earlier: Vec::new(),
    };
    let groups = month.reader.groups();
    let parts: BTreeSet<u32> = groups.iter().map(|(group, _)| group.part).collect();
    let changes: Mutex<Changes> = Mutex::default();
    let progress = Progress::new();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let input = Input {
        period: month.bill.period,
        groups: &groups,
        source_of_part: &vec![0; parts.len()],
        owners: &[Owners::Everything(0)],
        payers: &month.payers,
        runs: vec![RunInput { tenant: 0, currency: month.bill.currency.clone(), rules: vec![rule], span: None }],
        workers,
        batch_rows: None,
        watch: None,
        progress: &progress,
        read: &|group, columns| month.reader.read(group, columns).map_err(Into::into),
        write: &|_, group, rated| Ok(note(month, group, rated, top, &changes)?),
    };
    let mut rated = output::with_bar(&format!("rate {}", month.bill.period), &progress, false, || rate_month(input))?;
    let outcome = rated.runs.pop().ok_or_else(|| Failure::run("it was not rated"))?.map_err(|failure| {
        tell(&failure.logs).iter().for_each(|line| output::complain(line)); // what it wrote before it failed says most
        Failure::run(failure)
    })?;
    let changes = changes.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(report(&month.bill, outcome, changes, &meter.usage()))
}

/// Adds up what a row group's overlay changes, and keeps the charges that change most.
fn note(month: &Month, group: GroupRef, rated: &RatedGroup, top: usize, changes: &Mutex<Changes>) -> Result<(), LakeError> {
    if rated.rows.is_empty() {
        return Ok(());
    }
    let batch = month.reader.read(group, &SHOWN)?;
    let text = |name: &str, row: u32| batch.text(name).and_then(|column| column.get(row as usize)).map(str::to_owned);
    let billed = batch.money("BilledCost");
    let mut by_code: BTreeMap<u32, (u64, i128)> = BTreeMap::new();
    let mut moved: Vec<(u128, usize, i128)> = Vec::new();
    for (place, row) in rated.rows.iter().enumerate() {
        let before = billed.and_then(|column| column.get(*row as usize)).map_or(0, |amount| amount.0);
        let after = rated.customer_cost[place];
        let entry = by_code.entry(rated.applied.codes[place]).or_default();
        *entry = (entry.0 + 1, entry.1.saturating_add(after.saturating_sub(before)));
        if before != after {
            moved.push((after.abs_diff(before), place, before));
        }
    }
    moved.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let changed = moved.into_iter().take(top).map(|(_, place, before)| Changed {
        sub_account_id: text("SubAccountId", rated.rows[place]),
        service_name: text("ServiceName", rated.rows[place]),
        description: text("ChargeDescription", rated.rows[place]),
        line_type: text("x_SourceLineType", rated.rows[place]),
        before: Amount(before),
        after: Amount(rated.customer_cost[place]),
        treatment: rated.treatment[place],
        reason: rated.applied.get(place).map(reason_of).unwrap_or_default(),
        place: (group, rated.rows[place]),
    });
    let changed: Vec<Changed> = changed.collect();
    let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
    for (code, (rows, delta)) in by_code {
        let reason = if code == NULL_CODE { String::new() } else { reason_of(rated.applied.values.get(code)) };
        let entry = changes.by_reason.entry(reason).or_default();
        *entry = (entry.0 + rows, entry.1.saturating_add(delta));
    }
    changes.top.extend(changed);
    changes.top.sort_by(|a, b| b.by().cmp(&a.by()).then(a.place.cmp(&b.place)));
    changes.top.truncate(top);
    Ok(())
}

/// The reason in a trail of one rule.
fn reason_of(applied: &str) -> String {
    let steps: Vec<serde_json::Value> = serde_json::from_str(applied).unwrap_or_default();
    steps.last().and_then(|step| step["reason"].as_str()).filter(|reason| !reason.is_empty()).unwrap_or("(no reason given)").to_owned()
}

fn report(bill: &BillPeriod, outcome: RunOutcome, changes: Changes, usage: &Usage) -> Report {
    let decided = |(reason, (rows, delta)): (String, (u64, i128))| {
        let reason = if reason.is_empty() { "(left alone)".to_owned() } else { reason };
        Decided { reason, rows, delta: Amount(delta) }
    };
    let mut decisions: Vec<Decided> = changes.by_reason.into_iter().map(decided).collect();
    decisions.sort_by(|a, b| b.delta.0.unsigned_abs().cmp(&a.delta.0.unsigned_abs()).then(b.rows.cmp(&a.rows)));
    Report {
        period: bill.period.to_string(),
        currency: bill.currency.clone(),
        rows: outcome.rows,
        touched: outcome.by_rule.iter().map(|effect| effect.rows).sum(),
        dropped: outcome.dropped,
        held: outcome.held,
        billed: outcome.billed,
        charged: outcome.charged,
        delta: Amount(outcome.charged.0.saturating_sub(outcome.billed.0)),
        decisions,
        top: changes.top,
        lines: outcome.lines,
        findings: outcome.findings,
        logs: outcome.logs,
        fuel: usage.fuel,
        memory_bytes: usage.memory_bytes,
        longest_call_micros: u64::try_from(usage.longest().as_micros()).unwrap_or(u64::MAX),
    }
}

/// What the rule wrote, a line each.
fn tell(logs: &RunLogs) -> Vec<String> {
    let mut told: Vec<String> = logs.lines.iter().map(|line| format!("log: {}", line.message)).collect();
    if logs.cut > 0 {
        told.push(format!("log: {} more lines were not kept", output::count(logs.cut)));
    }
    told
}

fn print(report: &Report) {
    output::print(&format!(
        "{} {}: {} charges, {} touched, {} dropped, {} held",
        report.period,
        report.currency,
        output::count(report.rows),
        output::count(report.touched),
        output::count(report.dropped),
        output::count(report.held)
    ));
    let [billed, charged, delta] = [report.billed, report.charged, report.delta].map(output::money);
    output::print(&format!("billed {billed}, charged {charged}: {delta} ({})\n", output::percent(report.delta, report.billed)));
    let decisions = report.decisions.iter().take(REASONS_MAX);
    let decisions = decisions.map(|d| vec![d.reason.clone(), output::count(d.rows), output::money(d.delta)]);
    output::print(&output::table(&["decision", ">charges", ">changed by"], decisions));
    if report.decisions.len() > REASONS_MAX {
        output::print(&format!("and {} more", report.decisions.len() - REASONS_MAX));
    }
    if !report.top.is_empty() {
        let shown = |text: &Option<String>| text.as_deref().unwrap_or("-").chars().take(40).collect::<String>();
        let rows = report.top.iter().map(|c| {
            let amounts = [c.before, c.after].map(output::money);
            let mut row = vec![shown(&c.sub_account_id), shown(&c.service_name), shown(&c.description)];
            row.extend(amounts);
            row.extend([c.treatment.name().to_owned(), c.reason.clone()]);
            row
        });
        output::print("");
        output::print(&output::table(&["subaccount", "service", "charge", ">before", ">after", "", "reason"], rows));
    }
    if !report.lines.is_empty() {
        let rows = report.lines.iter().map(|l| {
            vec![l.line.charge_category.clone(), l.line.description.clone(), output::money(l.customer_cost), l.line.reason.clone()]
        });
        output::print("");
        output::print(&output::table(&["added", "line", ">amount", "reason"], rows));
    }
    for finding in &report.findings {
        output::print(&format!("{:?}: {}", finding.severity, finding.message).to_lowercase());
    }
    tell(&report.logs).iter().for_each(|line| output::print(line));
    output::print(&format!(
        "\nfuel {}, memory {}, longest call {}.{} ms",
        output::count(report.fuel),
        output::bytes(report.memory_bytes),
        report.longest_call_micros / 1_000,
        report.longest_call_micros % 1_000 / 100
    ));
}
