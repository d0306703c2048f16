//! Which rule a command works on: a project that is built first, a component, or a built-in by its name; and the bill it is tried on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bills;
use crate::cli::{Failure, kept, rate};
use crate::domain::rule::{BillPeriod, Plan};
use crate::lake::SnapshotReader;
use crate::plugins::build::{BuildError, build_component};
use crate::plugins::builtin;
use crate::plugins::cases;
use crate::sandbox::{ConfigureError, Plugin};

/// A rule, ready.
pub(super) struct Opened {
    pub(super) plugin: Arc<Plugin>,
    pub(super) bytes: Vec<u8>,
    /// The project, where it is one.
    pub(super) project: Option<PathBuf>,
}

/// By what the person named.
pub(super) fn open(target: &Path) -> Result<Opened, Failure> {
    if target.is_dir() {
        return built(target);
    }
    match target.to_str().and_then(builtin::builtin) {
        Some(builtin) if !target.exists() => load(builtin.component.to_vec(), target),
        _ => load_file(target),
    }
}

/// A component from its file.
pub(super) fn load_file(file: &Path) -> Result<Opened, Failure> {
    let bytes = std::fs::read(file).map_err(|e| {
        let built_in: Vec<&str> = builtin::BUILTINS.iter().map(|builtin| builtin.name).collect();
        Failure::input(format!("cannot read {}: {e}", file.display()))
            .next(format!("a project's folder, a component's file, or one of {}", built_in.join(", ")))
    })?;
    load(bytes, file)
}

fn load(bytes: Vec<u8>, name: &Path) -> Result<Opened, Failure> {
    let loaded = kept::sandbox()?.load(&bytes);
    let plugin = loaded.map_err(|refusal| Failure::input(format!("{} is refused: {refusal}", name.display())))?;
    Ok(Opened { plugin, bytes, project: None })
}

/// A project's component, built to where nobody keeps it.
pub(super) fn built(dir: &Path) -> Result<Opened, Failure> {
    let scratch = tempfile::tempdir()?;
    let out = scratch.path().join("rule.wasm");
    build_component(dir, &out, kept::cache().as_ref()).map_err(|error| match error {
        BuildError::NotACrate(_) | BuildError::NoProject(_) | BuildError::File { .. } => Failure::input(error),
        error => Failure::run(error),
    })?;
    Ok(Opened { project: Some(dir.to_owned()), ..load_file(&out)? })
}

impl Opened {
    /// The configuration in `file`, else that of the project's first golden case, else none.
    pub(super) fn config(&self, file: Option<&Path>) -> Result<String, Failure> {
        if let Some(file) = file {
            return std::fs::read_to_string(file).map_err(|e| Failure::input(format!("cannot read {}: {e}", file.display())));
        }
        let cases = self.project.as_ref().map(|dir| cases::read_folder(&dir.join("cases"))).transpose().map_err(Failure::input)?;
        let accepted =
            |config: &String| self.plan(config, &BillPeriod { period: "2026-09".parse().ok()?, currency: "USD".to_owned() }).ok();
        let mut configs = cases.unwrap_or_default().into_iter().map(|case| case.files.config);
        Ok(configs.find(|config| accepted(config).is_some()).unwrap_or_else(|| "{}".to_owned()))
    }

    /// What the rule needs under a configuration.
    pub(super) fn plan(&self, config: &str, bill: &BillPeriod) -> Result<Plan, Failure> {
        plan(&self.plugin, config, bill)
    }
}

/// What a rule needs under a configuration.
pub(super) fn plan(plugin: &Plugin, config: &str, bill: &BillPeriod) -> Result<Plan, Failure> {
    plugin.configure(config, bill).map_err(|error| match error {
        ConfigureError::Refused(error) => {
            let place = match error.pointer.as_str() {
                "" => "the configuration".to_owned(),
                pointer => format!("{pointer} of the configuration"),
            };
            Failure::input(format!("{place}: {}", error.message))
                .next("--config FILE, a JSON object; `rerate plugin inspect` lists the fields")
        }
        ConfigureError::Failed(failure) => Failure::run(failure),
    })
}

/// One month of an imported bill, in one currency.
pub(super) struct Month {
    pub(super) bill: BillPeriod,
    pub(super) reader: SnapshotReader,
    pub(super) payers: BTreeSet<String>,
}

/// Imports a bill below `scratch`, as `rerate rate` does.
pub(super) fn months(bill: &Path, scratch: &Path) -> Result<Vec<Month>, Failure> {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let snapshots = rate::import_bills(std::slice::from_ref(&bill.to_owned()), &scratch.join("bills"), workers)?;
    let payers: BTreeSet<String> = snapshots.iter().flat_map(|s| &s.periods).flat_map(|p| p.payers.iter().cloned()).collect();
    let mut months = Vec::new();
    let periods: BTreeSet<_> = snapshots.iter().flat_map(|s| &s.periods).map(|p| p.period).collect();
    for period in periods {
        let of_period = || snapshots.iter().flat_map(|s| s.periods.iter().map(move |p| (s, p))).filter(|(_, p)| p.period == period);
        let parts: Vec<PathBuf> = of_period().flat_map(|(s, p)| p.parts.iter().map(|part| s.dir.join(&part.file_name))).collect();
        let currencies: BTreeSet<String> = of_period().flat_map(|(_, p)| p.totals.iter().map(|total| total.currency.clone())).collect();
        for currency in currencies {
            let reader = SnapshotReader::open(&parts)?;
            months.push(Month { bill: BillPeriod { period, currency }, reader, payers: payers.clone() });
        }
    }
    if months.is_empty() {
        return Err(Failure::input(bills_missing(bill)));
    }
    Ok(months)
}

fn bills_missing(bill: &Path) -> String {
    match bills::discover(bill) {
        Ok(_) => format!("{} has no charges", bill.display()),
        Err(error) => error.to_string(),
    }
}
