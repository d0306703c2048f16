//! `rerate plugin diff`: two versions of a rule over one bill here, or over a daemon's published months.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::target;
use crate::bills;
use crate::cli::client::Call;
use crate::cli::{Failure, difference, kept, output, preview};
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rule::BillPeriod;
use crate::jobs::address::Parts;
use crate::jobs::compare::{Difference, Side, compare};
use crate::jobs::ingest::ingest;
use crate::jobs::preview::VersionChange;
use crate::jobs::rate::{PeriodRequest, RunRequest, SnapshotInput, open, rate_period};
use crate::lake::{OverlayReader, WrittenPeriod};
use crate::plugins::builtin;
use crate::rating::{ChainRule, Owners, RunOutcome};
use crate::sandbox::{Plugin, Sandbox};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin diff old.wasm new.wasm --bill cur.csv.gz --config config.json
  rerate plugin diff markup new.wasm --bill bills          the built-in against a build of yours
  rerate plugin diff 3f2a9c01 new.wasm --period 2026-09    over what a daemon has published, pushed there but not active
  rerate plugin diff old.wasm new.wasm --bill cur.csv --json | jq '.[].delta'";

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("over what").args(["bill", "periods"]).required(true).multiple(true))]
pub(super) struct Args {
    /// The version before: a component's file, a built-in's name (with --bill), or a digest (with --period)
    #[arg(value_name = "A")]
    before: String,
    /// The version after
    #[arg(value_name = "B")]
    after: String,
    /// Rate this bill with both, here: a file, or a folder of them
    #[arg(long, value_name = "BILL", conflicts_with = "periods")]
    bill: Option<PathBuf>,
    /// The rule's configuration, a JSON file [default: {}]
    #[arg(long, value_name = "FILE", requires = "bill")]
    config: Option<PathBuf>,
    #[command(flatten)]
    over: preview::Over,
    /// Lines shown
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    #[command(flatten)]
    call: Call,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.bill {
        Some(bill) => here(args, bill),
        None => there(args),
    }
}

fn there(args: &Args) -> Result<(), Failure> {
    let client = args.call.client()?;
    let (before, after) = (preview::version_of(&client, &args.before)?, preview::version_of(&client, &args.after)?);
    if before.0 != after.0 {
        return Err(Failure::input(format!("{} and {} are two plugins, not two versions of one", before.0, after.0)));
    }
    let mut request = args.over.request(&client)?;
    request.top = Some(args.top);
    request.plugin = Some(VersionChange { name: after.0, digest: after.1, against: Some(before.1), pinned: true });
    preview::tell(&preview::compute(&client, &request)?, args.top, args.call.json)
}

/// A month of the bill in one currency.
#[derive(Serialize)]
struct Month {
    period: Period,
    currency: String,
    #[serde(flatten)]
    difference: Difference,
}

fn here(args: &Args, bill: &Path) -> Result<(), Failure> {
    let config = match &args.config {
        None => "{}".to_owned(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| Failure::input(format!("cannot read {}: {e}", path.display())))?;
            let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| Failure::input(format!("{}: {e}", path.display())))?;
            value.to_string()
        }
    };
    let sandbox = kept::sandbox()?;
    let (before, after) = (load(&sandbox, &args.before)?, load(&sandbox, &args.after)?);
    let scratch = tempfile::tempdir()?;
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut periods: BTreeMap<Period, Vec<(PathBuf, WrittenPeriod)>> = BTreeMap::new();
    for (number, found) in bills::discover(bill).map_err(Failure::input)?.into_iter().enumerate() {
        let dir = scratch.path().join(format!("{number:04}"));
        let progress = Progress::new();
        let imported = output::with_bar("import", &progress, true, || ingest(&found, &dir, workers, &progress)).map_err(Failure::input)?;
        for period in imported.periods {
            periods.entry(period.period).or_default().push((dir.clone(), period));
        }
    }
    if periods.is_empty() {
        return Err(Failure::input(format!("{} has no charges", bill.display())));
    }
    let mut months = Vec::new();
    for (period, sources) in &periods {
        let rate = Rate { period: *period, sources, config: &config, scratch: scratch.path(), workers };
        let currencies: BTreeSet<&str> = sources.iter().flat_map(|(_, s)| &s.totals).map(|total| total.currency.as_str()).collect();
        for currency in currencies {
            let month = BillPeriod { period: *period, currency: currency.to_owned() };
            for (which, plugin) in [("A", &before), ("B", &after)] {
                target::plan(plugin, &config, &month).map_err(|failure| failure.during(which))?;
            }
            months.push(Month {
                period: *period,
                currency: currency.to_owned(),
                difference: rate.difference(&before, &after, currency, args.top)?,
            });
        }
    }
    if args.call.json {
        return Ok(output::print_json(&months)?);
    }
    for month in &months {
        difference::print_one(&format!("{} {}", month.period, month.currency), &month.difference);
    }
    Ok(())
}

/// A component's file, or a built-in's name.
fn load(sandbox: &Sandbox, text: &str) -> Result<Arc<Plugin>, Failure> {
    let bytes = if Path::new(text).is_file() {
        std::fs::read(text).map_err(|e| Failure::input(format!("cannot read {text}: {e}")))?
    } else {
        let known = builtin::builtin(text).map(|builtin| builtin.component.to_vec());
        known.ok_or_else(|| Failure::input(format!("{text} is neither a file nor a built-in plugin")))?
    };
    sandbox.load(&bytes).map_err(|refusal| Failure::input(format!("{text} is refused: {refusal}")))
}

/// A month to rate with one rule as the whole chain, everything held by one tenant.
struct Rate<'a> {
    period: Period,
    sources: &'a [(PathBuf, WrittenPeriod)],
    config: &'a str,
    scratch: &'a Path,
    workers: usize,
}

impl Rate<'_> {
    fn difference(&self, before: &Arc<Plugin>, after: &Arc<Plugin>, currency: &str, top: usize) -> Result<Difference, Failure> {
        let (old, new) = (self.rate("A", before, currency)?, self.rate("B", after, currency)?);
        let rules = ["rule".to_owned()];
        let charges = open(&self.snapshots())?;
        let (overlay_old, overlay_new) = (OverlayReader::open(&old.0)?, OverlayReader::open(&new.0)?);
        let (old, new) = (side_of(&overlay_old, &old.1, &rules), side_of(&overlay_new, &new.1, &rules));
        Ok(compare(&charges, &Parts::default(), old, new, top, &Progress::new())?)
    }

    fn rate(&self, which: &str, plugin: &Arc<Plugin>, currency: &str) -> Result<(PathBuf, RunOutcome), Failure> {
        let overlay = self.scratch.join(format!("{}-{currency}-{which}.parquet", self.period));
        let title = format!("{} {}", plugin.manifest().name, plugin.manifest().version);
        let rule = ChainRule {
            id: "rule".to_owned(),
            title: title.clone(),
            plugin: Arc::clone(plugin),
            config: self.config.to_owned(),
            earlier: Vec::new(),
        };
        let run = RunRequest {
            tenant: 0,
            currency: currency.to_owned(),
            rules: vec![rule],
            overlay: overlay.clone(),
            note: "{}".to_owned(),
            span: None,
        };
        let payers = self.sources.iter().flat_map(|(_, period)| &period.payers).cloned().collect();
        let request = PeriodRequest {
            period: self.period,
            snapshots: self.snapshots(),
            payers,
            runs: vec![run],
            workers: self.workers,
            batch_rows: None,
        };
        let progress = Progress::new();
        let month = output::with_bar(&format!("rate with {which}"), &progress, false, || rate_period(request, &progress))?;
        match month.runs.into_iter().next() {
            Some(Ok(outcome)) => Ok((overlay, outcome)),
            Some(Err(failure)) => Err(Failure::run(format!("{which} fails: {failure}"))),
            None => Err(Failure::run(format!("{which} was not rated"))),
        }
    }

    fn snapshots(&self) -> Vec<SnapshotInput> {
        let input = |(dir, written): &(PathBuf, WrittenPeriod)| SnapshotInput {
            parts: written.parts.iter().map(|part| dir.join(&part.file_name)).collect(),
            owners: Owners::Everything(0),
            totals: written.totals.clone(),
        };
        self.sources.iter().map(input).collect()
    }
}

fn side_of<'a>(overlay: &'a OverlayReader, outcome: &'a RunOutcome, rules: &'a [String]) -> Side<'a> {
    let RunOutcome { billed, charged, by_rule, lines, findings, .. } = outcome;
    Side { overlay, billed: *billed, charged: *charged, rules, by_rule, lines, findings }
}
