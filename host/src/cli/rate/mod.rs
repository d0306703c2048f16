//! `rerate rate`: bills, a chain and tenants in; rated files and totals out. No daemon, no store: the daemon's own import, rating and
//! export, one after the other.

mod files;
mod report;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::ValueEnum;

use self::files::{RuleEntry, TenantEntry};
use self::report::{PeriodReport, TenantReport};
use super::{Failure, kept, output};
use crate::bills;
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rule::{BillPeriod, Earlier};
use crate::jobs::ingest::{IngestError, ingest};
use crate::jobs::rate::{PeriodRequest, RunRequest, SnapshotInput, open, rate_period};
use crate::lake::{self, OverlayReader, WrittenPeriod};
use crate::plugins::builtin;
use crate::rating::chain::check_plan;
use crate::rating::{ChainRule, Owners, RunFailure, RunOutcome};
use crate::sandbox::{ConfigureError, Plugin};

const EXAMPLES: &str = "\
Examples:
  rerate rate bills --chain chain.toml --out rated
  rerate rate cur.csv.gz focus.csv --chain chain.toml --tenants tenants.toml --out rated --format csv
  rerate rate bills --chain chain.toml --out rated --json | jq '.tenants[] | {name, period, charged}'

chain.toml, rules in the order in which they apply:
  [[rule]]
  title = \"Public prices\"
  plugin = \"public-price\"        # a built-in's name, or a path to a .wasm
  config = { credits = \"keep\" }
  tenants = [\"Acme\"]             # optional, as are from = \"2026-01\" and to = \"2026-12\"

tenants.toml:
  [[tenant]]
  name = \"Acme\"
  subaccounts = [\"222222222222\"]";

/// What is kept of imported bills for `--from-snapshot`.
const KEPT: &str = "snapshot.json";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Parquet,
    Csv,
    /// Totals only
    None,
}

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Args {
    /// Bill files, or folders of them with or without manifests
    #[arg(required_unless_present = "from_snapshot", value_name = "BILL")]
    bills: Vec<PathBuf>,
    /// The rules
    #[arg(long, value_name = "FILE")]
    chain: PathBuf,
    /// Who holds which subaccounts; without it everything is one tenant
    #[arg(long, value_name = "FILE")]
    tenants: Option<PathBuf>,
    /// Where to write TENANT/PERIOD.FORMAT
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[arg(long, value_enum, default_value = "parquet")]
    format: Format,
    /// Print one JSON object with exact amounts
    #[arg(long)]
    json: bool,
    /// Keep the imported bills there
    #[arg(long, value_name = "DIR", conflicts_with = "from_snapshot")]
    keep_snapshot: Option<PathBuf>,
    /// Rate what --keep-snapshot kept, instead of bills
    #[arg(long, value_name = "DIR", conflicts_with = "bills")]
    from_snapshot: Option<PathBuf>,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N")]
    workers: Option<std::num::NonZero<usize>>,
}

/// An imported bill: a folder with its periods in it.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Snapshot {
    pub(super) dir: PathBuf,
    pub(super) periods: Vec<WrittenPeriod>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let started = Instant::now();
    let rules = files::read_chain(&args.chain).map_err(Failure::input)?;
    let tenants = match &args.tenants {
        Some(path) => files::read_tenants(path).map_err(Failure::input)?,
        None => Vec::new(),
    };
    check_tenants_of_rules(&rules, &tenants)?;
    let plugins = load_plugins(&args.chain, &rules)?;
    check_configurations(&rules, &plugins)?;
    let workers = args.workers.or_else(|| std::thread::available_parallelism().ok()).map_or(1, std::num::NonZero::get);
    std::fs::create_dir_all(&args.out).map_err(|e| Failure::input(format!("cannot make {}: {e}", args.out.display())))?;
    // Beside the results, so that a full system disk is not filled with what is thrown away.
    let scratch = tempfile::Builder::new().prefix(".rerate-").tempdir_in(&args.out)?;
    let snapshots = match &args.from_snapshot {
        Some(dir) => read_kept(dir)?,
        None => import_all(&args, scratch.path(), workers)?,
    };
    let imported = started.elapsed();

    let session = Session { args: &args, rules: &rules, plugins: &plugins, tenants: &tenants, snapshots: &snapshots, workers };
    let (tenant_reports, period_reports) = session.rate(scratch.path())?;
    if args.json {
        report::print_json(&tenant_reports, &period_reports)?;
    } else {
        report::print_tables(&tenant_reports, &period_reports);
    }
    let (rows, taken) = (period_reports.iter().map(|p| p.rows).sum(), started.elapsed());
    output::complain(&format!(
        "{} charges in {} ({} a second): imported in {}, rated and written in {}",
        output::count(rows),
        output::duration(taken),
        output::count(output::per_second(rows, taken)),
        output::duration(imported),
        output::duration(taken.saturating_sub(imported)),
    ));
    let failed = tenant_reports.iter().filter(|t| t.failure.is_some()).count();
    if failed > 0 {
        return Err(Failure::run(format!("{failed} of {} tenants' bills could not be rated", tenant_reports.len()))
            .next("correct the rule that is named above; the other tenants' files are written"));
    }
    Ok(())
}

fn check_tenants_of_rules(rules: &[RuleEntry], tenants: &[TenantEntry]) -> Result<(), Failure> {
    for rule in rules {
        for name in rule.tenants.iter().flatten() {
            let is_known = if tenants.is_empty() { name == EVERYONE } else { tenants.iter().any(|t| t.name == *name) };
            if !is_known {
                let known =
                    if tenants.is_empty() { "no tenants.toml was given".to_owned() } else { "it is not in tenants.toml".to_owned() };
                return Err(Failure::input(format!("rule {:?} is for a tenant {name:?}: {known}", rule.title)));
            }
        }
    }
    Ok(())
}

/// The one tenant of a run without tenants.toml.
const EVERYONE: &str = "all";

fn load_plugins(chain: &Path, rules: &[RuleEntry]) -> Result<BTreeMap<String, Arc<Plugin>>, Failure> {
    let sandbox = kept::sandbox()?;
    let mut plugins = BTreeMap::new();
    for rule in rules {
        if plugins.contains_key(&rule.plugin) {
            continue;
        }
        let named = |message: String| Failure::input(format!("rule {:?}: {message}", rule.title));
        let bytes = match files::component_path(chain, &rule.plugin) {
            Some(path) => std::fs::read(&path).map_err(|e| named(format!("cannot read the plugin {}: {e}", path.display())))?,
            None => builtin::builtin(&rule.plugin).map(|b| b.component.to_vec()).ok_or_else(|| {
                named(format!("there is no built-in plugin {:?}", rule.plugin)).next(format!(
                    "one of {}; or a path that ends in .wasm",
                    builtin::BUILTINS.iter().map(|b| b.name).collect::<Vec<_>>().join(", ")
                ))
            })?,
        };
        let plugin = sandbox.load(&bytes).map_err(|refusal| named(format!("plugin {:?} is refused: {refusal}", rule.plugin)))?;
        plugins.insert(rule.plugin.clone(), plugin);
    }
    Ok(plugins)
}

/// Refuses a mistake in the chain before the bills are read.
fn check_configurations(rules: &[RuleEntry], plugins: &BTreeMap<String, Arc<Plugin>>) -> Result<(), Failure> {
    for rule in rules {
        let wrong = |error: &dyn std::fmt::Display| Failure::input(format!("rule {:?}: {error}", rule.title));
        let bill = BillPeriod { period: rule.first_period(), currency: "USD".to_owned() };
        let plan = plugins[&rule.plugin].configure(&rule.config_json(), &bill).map_err(|error| match error {
            ConfigureError::Refused(refusal) => wrong(&refusal).next(format!("see the configuration of the plugin {:?}", rule.plugin)),
            error => Failure::run(format!("rule {:?}: {error}", rule.title)),
        })?;
        check_plan(&plan).map_err(|reason| wrong(&reason))?;
    }
    Ok(())
}

fn import_all(args: &Args, scratch: &Path, workers: usize) -> Result<Vec<Snapshot>, Failure> {
    let base = match &args.keep_snapshot {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|e| Failure::input(format!("cannot make {}: {e}", dir.display())))?;
            if dir.join(KEPT).exists() {
                return Err(Failure::input(format!("{} holds a snapshot already", dir.display())).next("another folder, or remove it"));
            }
            dir.clone()
        }
        None => scratch.join("bills"),
    };
    let snapshots = import_bills(&args.bills, &base, workers)?;
    if let Some(dir) = &args.keep_snapshot {
        std::fs::write(dir.join(KEPT), serde_json::to_vec(&snapshots)?)?;
    }
    Ok(snapshots)
}

/// Imports bills below `base` and says what a person should know of them.
pub(super) fn import_bills(paths: &[PathBuf], base: &Path, workers: usize) -> Result<Vec<Snapshot>, Failure> {
    let mut snapshots = Vec::new();
    let mut known = BTreeSet::new();
    for path in paths {
        let found = bills::discover(path).map_err(Failure::input)?;
        for bill in found {
            let twice = |file: &&PathBuf| file.canonicalize().is_ok_and(|same| !known.insert(same));
            if let Some(file) = bill.files.iter().find(twice) {
                return Err(Failure::input(format!("{} is given twice, and would count twice", file.display())).next("name each bill once"));
            }
            for skipped in &bill.skipped {
                output::complain(&format!("note: {} is no bill and is skipped", skipped.display()));
            }
            let dir = base.join(format!("{:04}", snapshots.len()));
            let progress = Progress::new();
            let title = format!("import {}", path.file_name().unwrap_or(path.as_os_str()).to_string_lossy());
            let ingested = output::with_bar(&title, &progress, true, || ingest(&bill, &dir, workers, &progress)).map_err(|e| match e {
                IngestError::Bill(error) => Failure::input(error),
                error => Failure::from(error),
            })?;
            warn_of(&ingested.report);
            snapshots.push(Snapshot { dir, periods: ingested.periods });
        }
    }
    Ok(snapshots)
}

fn read_kept(dir: &Path) -> Result<Vec<Snapshot>, Failure> {
    let path = dir.join(KEPT);
    let bytes = std::fs::read(&path).map_err(|e| Failure::input(format!("cannot read {}: {e}", path.display())))?;
    let mut snapshots: Vec<Snapshot> = serde_json::from_slice(&bytes)
        .map_err(|e| Failure::input(format!("{} is not what --keep-snapshot writes: {e}", path.display())))?;
    // Where the folder is now: it was named from another one, or has been moved since.
    for snapshot in &mut snapshots {
        snapshot.dir = dir.join(snapshot.dir.file_name().unwrap_or_default());
    }
    Ok(snapshots)
}

/// What a person should know of a bill that was read nevertheless.
fn warn_of(report: &bills::ImportReport) {
    for (name, rows) in &report.unknown_line_types {
        output::complain(&format!("note: {} charges of the unknown line type {name:?}; they are kept as billed", output::count(*rows)));
    }
    for rounded in &report.rounded {
        output::complain(&format!(
            "note: {} values of {} have more than 18 decimals; rounding them changed the sum by {}",
            output::count(rounded.values),
            rounded.column,
            rounded.difference
        ));
    }
    if report.split_cost.rows > 0 {
        let (rows, amount) = (output::count(report.split_cost.rows), report.split_cost.amount);
        output::complain(&format!("note: {rows} split-cost rows copy costs that other rows bill; {amount} of them is not counted again"));
    }
    for quirk in &report.quirks {
        output::complain(&format!("note: {} ({} times, first at {})", quirk.what, output::count(quirk.count), quirk.example));
    }
}

/// Everything that rating the periods needs.
struct Session<'a> {
    args: &'a Args,
    rules: &'a [RuleEntry],
    plugins: &'a BTreeMap<String, Arc<Plugin>>,
    tenants: &'a [TenantEntry],
    snapshots: &'a [Snapshot],
    workers: usize,
}

/// What charging rules charged so far, by tenant, currency and rule.
type History = HashMap<(usize, String, String), Vec<Earlier>>;

impl Session<'_> {
    /// Rates the periods in order, since a credit with a cap asks what it gave before.
    fn rate(&self, scratch: &Path) -> Result<(Vec<TenantReport>, Vec<PeriodReport>), Failure> {
        let periods: BTreeSet<Period> = self.snapshots.iter().flat_map(|s| &s.periods).map(|p| p.period).collect();
        let mut history = History::new();
        let (mut tenants, mut totals) = (Vec::new(), Vec::new());
        for period in periods {
            self.rate_period(period, scratch, &mut history, &mut tenants, &mut totals)?;
        }
        Ok((tenants, totals))
    }

    fn rate_period(
        &self,
        period: Period,
        scratch: &Path,
        history: &mut History,
        tenants: &mut Vec<TenantReport>,
        totals: &mut Vec<PeriodReport>,
    ) -> Result<(), Failure> {
        let inputs = self.snapshots_of(period);
        let bills = self.bills_of(period);
        let overlay = |tenant: usize, currency: &str| scratch.join(format!("{period}-{tenant}-{currency}.overlay"));
        let runs = bills.iter().map(|(tenant, currency)| RunRequest {
            tenant: *tenant,
            currency: currency.clone(),
            rules: self.chain_of(*tenant, currency, period, history),
            overlay: overlay(*tenant, currency),
            note: self.note(*tenant, currency, period),
            span: None,
        });
        let request = PeriodRequest {
            period,
            snapshots: inputs,
            payers: self.payers(),
            runs: runs.collect(),
            workers: self.workers,
            batch_rows: None,
        };
        let progress = Progress::new();
        let month = output::with_bar(&format!("rate {period}"), &progress, false, || rate_period(request, &progress))?;

        for ((tenant, currency), outcome) in bills.iter().zip(&month.runs) {
            let billed = month.split.iter().find(|s| s.tenant == Some(*tenant) && s.currency == *currency);
            let mut report = TenantReport {
                name: self.name(*tenant).to_owned(),
                period,
                currency: currency.clone(),
                rows: billed.map_or(0, |b| b.rows),
                billed: billed.map_or(Amount::ZERO, |b| b.billed),
                charged: None,
                by_rule: Vec::new(),
                dropped: 0,
                held: 0,
                findings: Vec::new(),
                file: None,
                failure: None,
            };
            match outcome {
                Err(RunFailure { .. }) => report.failure = outcome.as_ref().err().map(ToString::to_string),
                Ok(outcome) => {
                    self.remember(*tenant, currency, period, outcome, history);
                    report.charged = Some(outcome.charged);
                    report.by_rule = outcome.by_rule.clone();
                    (report.dropped, report.held) = (outcome.dropped, outcome.held);
                    report.findings = outcome.findings.clone();
                    let alone = bills.iter().filter(|(t, _)| t == tenant).count() == 1;
                    report.file = self.export(*tenant, currency, period, alone, &overlay(*tenant, currency), outcome)?;
                }
            }
            tenants.push(report);
        }
        let currencies: BTreeSet<&str> = month.split.iter().map(|s| s.currency.as_str()).collect();
        for currency in currencies {
            let parts = || month.split.iter().filter(|s| s.currency == currency);
            let sum = |parts: &mut dyn Iterator<Item = Amount>| Amount(parts.map(|a| a.0).sum());
            totals.push(PeriodReport {
                period,
                currency: currency.to_owned(),
                rows: parts().map(|s| s.rows).sum(),
                source: sum(&mut parts().map(|s| s.billed)),
                unassigned: sum(&mut parts().filter(|s| s.tenant.is_none()).map(|s| s.billed)),
            });
        }
        Ok(())
    }

    fn name(&self, tenant: usize) -> &str {
        self.tenants.get(tenant).map_or(EVERYONE, |t| t.name.as_str())
    }

    fn payers(&self) -> BTreeSet<String> {
        self.snapshots.iter().flat_map(|s| &s.periods).flat_map(|p| &p.payers).cloned().collect()
    }

    fn owners(&self) -> Owners {
        if self.tenants.is_empty() {
            return Owners::Everything(0);
        }
        let held = self.tenants.iter().enumerate();
        Owners::BySubAccount(held.flat_map(|(index, t)| t.subaccounts.iter().map(move |s| (s.clone(), index))).collect())
    }

    fn snapshots_of(&self, period: Period) -> Vec<SnapshotInput> {
        let of_period = self.snapshots.iter().flat_map(|s| s.periods.iter().map(move |p| (s, p))).filter(|(_, p)| p.period == period);
        let input = |(snapshot, written): (&Snapshot, &WrittenPeriod)| SnapshotInput {
            parts: written.parts.iter().map(|part| snapshot.dir.join(&part.file_name)).collect(),
            owners: self.owners(),
            totals: written.totals.clone(),
        };
        of_period.map(input).collect()
    }

    /// Who has charges in which currency.
    fn bills_of(&self, period: Period) -> BTreeSet<(usize, String)> {
        let accounts = self.snapshots.iter().flat_map(|s| &s.periods).filter(|p| p.period == period).flat_map(|p| &p.subaccounts);
        let owners = self.owners();
        accounts
            .filter_map(|account| {
                let holder = owners.of(account.billing_account_id.as_deref(), account.sub_account_id.as_deref())?;
                Some((holder, account.currency.clone().unwrap_or_default()))
            })
            .collect()
    }

    fn chain_of(&self, tenant: usize, currency: &str, period: Period, history: &History) -> Vec<ChainRule> {
        let effective = self.rules.iter().enumerate().filter(|(_, rule)| rule.is_effective(self.name(tenant), period));
        let rule = |(index, rule): (usize, &RuleEntry)| {
            let id = rule_id(index);
            let earlier = history.get(&(tenant, currency.to_owned(), id.clone())).cloned().unwrap_or_default();
            let plugin = Arc::clone(&self.plugins[&rule.plugin]);
            ChainRule { id, title: rule.title.clone(), plugin, config: rule.config_json(), earlier }
        };
        effective.map(rule).collect()
    }

    /// What the run was made of, for whoever opens the overlay later.
    fn note(&self, tenant: usize, currency: &str, period: Period) -> String {
        let chain = self.chain_of(tenant, currency, period, &History::new());
        let rules = chain.iter().map(|r| serde_json::json!({ "title": r.title, "digest": r.plugin.digest(), "config": r.config }));
        let chain: Vec<_> = rules.collect();
        serde_json::json!({ "tenant": self.name(tenant), "period": period, "currency": currency, "chain": chain }).to_string()
    }

    fn remember(&self, tenant: usize, currency: &str, period: Period, outcome: &RunOutcome, history: &mut History) {
        let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
        for line in &outcome.lines {
            *sums.entry(&line.rule_id).or_default() += line.line.amount.0;
        }
        for (rule, amount) in sums {
            let earlier = Earlier { period: BillPeriod { period, currency: currency.to_owned() }, amount: Amount(amount) };
            history.entry((tenant, currency.to_owned(), rule.to_owned())).or_default().push(earlier);
        }
    }

    /// Writes a tenant's rated file and gives its path below the output folder.
    fn export(
        &self,
        tenant: usize,
        currency: &str,
        period: Period,
        only_currency: bool,
        overlay: &Path,
        outcome: &RunOutcome,
    ) -> Result<Option<String>, Failure> {
        let (format, extension) = match self.args.format {
            Format::None => return Ok(None),
            Format::Parquet => (lake::Format::Parquet, "parquet"),
            Format::Csv => (lake::Format::Csv, "csv"),
        };
        let suffix = if only_currency { String::new() } else { format!("-{currency}") };
        let name = format!("{}/{period}{suffix}.{extension}", self.name(tenant));
        let out = self.args.out.join(&name);
        if let Some(parent) = out.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let reader = open(&self.snapshots_of(period))?;
        let overlay = OverlayReader::open(overlay)?;
        let bill = BillPeriod { period, currency: currency.to_owned() };
        let export = lake::Export { sources: &[(&reader, &overlay)], lines: &outcome.lines, bill: &bill };
        let progress = Progress::new();
        let write = || lake::export(&out, format, export, self.workers, &progress);
        output::with_bar(&format!("write {name}"), &progress, false, write)?;
        Ok(Some(name))
    }
}

/// Rules have no ids in a file; their place is one.
fn rule_id(index: usize) -> String {
    format!("rule-{}", index + 1)
}
