//! What `rerate plugin test` says: a line a case, what is wrong below it, and how much of its limits the rule used.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::native::Native;
use crate::cli::output;
use crate::plugins::cases::{Coverage, Report};
use crate::sandbox::Plugin;

/// Everything that was run.
#[derive(Default)]
pub(super) struct Run {
    pub(super) plugin: Option<Tested>,
    pub(super) sandbox: Option<Vec<CaseResult>>,
    pub(super) native: Option<Native>,
    pub(super) coverage: Option<Coverage>,
}

/// The component that was tested.
#[derive(Serialize)]
pub(super) struct Tested {
    pub(super) name: String,
    version: String,
    digest: String,
}

impl Tested {
    pub(super) fn of(plugin: &Plugin) -> Self {
        let manifest = plugin.manifest();
        Self { name: manifest.name.clone(), version: manifest.version.clone(), digest: plugin.digest().to_owned() }
    }
}

/// One case, on one side.
#[derive(Serialize)]
pub(super) struct CaseResult {
    pub(super) name: String,
    pub(super) charges: usize,
    /// None: it passes.
    pub(super) problems: Vec<String>,
    /// Whether expected.csv was written.
    pub(super) updated: bool,
    /// What the rule wrote, in the sandbox.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) log: Vec<String>,
    /// Lines that were too many to keep.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) log_cut: u64,
    #[serde(skip)]
    pub(super) elapsed: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Used>,
    /// The outcome.
    #[serde(skip)]
    pub(super) text: Option<String>,
}

/// Lines of a failing case's log that are shown: the end says most, `--json` has all that were kept.
const LOG_LINES_MAX: usize = 20;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl CaseResult {
    pub(super) fn passes(&self) -> bool {
        self.problems.is_empty()
    }
}

/// What running a case once used of what it may.
#[derive(Serialize)]
pub(super) struct Used {
    fuel: u64,
    /// Of the fuel that the daemon grants the call that came nearest to its budget, in millionths.
    fuel_of_budget_ppm: u64,
    memory_bytes: u64,
    memory_limit_bytes: u64,
    micros: u64,
    longest_call_micros: u64,
    deadline_micros: u64,
}

impl Used {
    pub(super) fn of(report: &Report, plugin: &Plugin) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            fuel: report.usage.fuel,
            fuel_of_budget_ppm: report.usage.tightest().map_or(0, |call| call.tightest_ppm),
            memory_bytes: report.usage.memory_bytes,
            memory_limit_bytes: plugin.limits().memory_bytes as u64,
            micros: micros(report.elapsed),
            longest_call_micros: micros(report.usage.longest()),
            deadline_micros: micros(plugin.limits().deadline),
        }
    }

    /// What is left, in percent with one decimal.
    fn left(used: u64, limit: u64) -> String {
        let tenths = u128::from(limit.saturating_sub(used)) * 1_000 / u128::from(limit.max(1));
        format!("{}.{} %", tenths / 10, tenths % 10)
    }
}

impl Run {
    pub(super) fn failed(&self) -> usize {
        let cases = self.sandbox.iter().flatten().chain(self.native.iter().flat_map(|native| &native.cases));
        let own = self.native.iter().filter(|native| native.failed.is_some()).count();
        cases.filter(|case| !case.passes()).count() + own
    }

    fn passed(&self) -> usize {
        let cases = self.sandbox.iter().flatten().chain(self.native.iter().flat_map(|native| &native.cases));
        cases.filter(|case| case.passes()).count()
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        let native = self
            .native
            .as_ref()
            .map(|native| json!({ "cases": native.cases, "ran": native.ran, "skipped": native.skipped, "failed": native.failed }));
        json!({
            "plugin": self.plugin,
            "sandbox": self.sandbox,
            "native": native,
            "coverage": self.coverage,
            "passed": self.passed(),
            "failed": self.failed(),
        })
    }
}

pub(super) fn print(run: &Run, dir: &Path) {
    if let (Some(plugin), Some(results)) = (&run.plugin, &run.sandbox) {
        output::print(&format!("{} {} in the sandbox ({})", plugin.name, plugin.version, &plugin.digest[..12.min(plugin.digest.len())]));
        if results.is_empty() {
            output::print(&format!("  there are no cases in {}", dir.join("cases").display()));
        }
        let rows = results.iter().map(|case| {
            let mut row = vec![mark(case), case.name.clone(), output::count(case.charges as u64)];
            row.extend(case.usage.as_ref().map_or_else(Vec::new, |used| {
                vec![
                    output::count(used.fuel),
                    Used::left(used.fuel_of_budget_ppm, 1_000_000),
                    output::bytes(used.memory_bytes),
                    Used::left(used.memory_bytes, used.memory_limit_bytes),
                    millis(used.micros),
                    Used::left(used.longest_call_micros, used.deadline_micros),
                ]
            }));
            row
        });
        if !results.is_empty() {
            output::print(&output::table(&["", "case", ">charges", ">fuel", ">left", ">memory", ">left", ">time", ">left"], rows));
        }
        problems(results);
    }
    if let Some(native) = &run.native {
        match (&native.ran, &native.skipped) {
            (_, Some(why)) => output::print(&format!("natively: skipped, {why}")),
            (Some(command), None) => output::print(&format!("natively ({command})")),
            (None, None) => {}
        }
        for case in &native.cases {
            output::print(&format!("  {} {}", mark(case), case.name));
        }
        problems(&native.cases);
        match &native.failed {
            Some(text) => output::print(&format!("  ✗ the project's own tests fail:\n{}", indented(text))),
            None if native.ran.is_some() => output::print("  ✓ the project's own tests"),
            None => {}
        }
    }
    if let Some(coverage) = &run.coverage {
        print_coverage(coverage);
    }
    output::print(&format!("{} passed, {} failed", run.passed(), run.failed()));
}

fn mark(case: &CaseResult) -> String {
    match (case.passes(), case.updated) {
        (true, true) => "✎",
        (true, false) => "✓",
        (false, _) => "✗",
    }
    .to_owned()
}

fn problems(results: &[CaseResult]) {
    for case in results.iter().filter(|case| case.updated) {
        output::print(&format!("  {}: expected.csv is written", case.name));
    }
    for case in results.iter().filter(|case| !case.passes()) {
        output::print(&format!("  {}:\n{}", case.name, indented(&case.problems.join("\n"))));
        let hidden = case.log.len().saturating_sub(LOG_LINES_MAX);
        if hidden > 0 {
            output::print(&format!("      log: {hidden} earlier lines, all with --json"));
        }
        case.log[hidden..].iter().for_each(|line| output::print(&format!("      log: {line}")));
        if case.log_cut > 0 {
            output::print(&format!("      log: {} more lines were not kept", output::count(case.log_cut)));
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n")
}

/// `0.8 ms`.
fn millis(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

/// `ServiceName Amazon EC2, RegionId (null)`.
fn named(combination: &std::collections::BTreeMap<String, String>) -> String {
    combination.iter().map(|(dimension, value)| format!("{dimension} {value}")).collect::<Vec<_>>().join(", ")
}

fn print_coverage(coverage: &Coverage) {
    output::print("coverage");
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |what: &str, reached: String, not: String| rows.push(vec![what.to_owned(), reached, not]);
    let counted = |counts: &mut dyn Iterator<Item = (&str, u64)>| {
        counts.map(|(name, count)| format!("{name} ({count})")).collect::<Vec<_>>().join("\n")
    };
    let of_static =
        |counts: &std::collections::BTreeMap<&'static str, u64>| counted(&mut counts.iter().map(|(name, count)| (*name, *count)));
    let of_text =
        |counts: &std::collections::BTreeMap<String, u64>| counted(&mut counts.iter().map(|(name, count)| (name.as_str(), *count)));
    let list = |names: &std::collections::BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    if !coverage.amounts.is_empty() {
        let more = coverage.possible.saturating_sub((coverage.combinations + coverage.unreached.len()) as u64);
        let mut not: Vec<String> = coverage.unreached.iter().map(named).collect();
        not.extend((more > 0).then(|| format!("and {} more of the values below", output::count(more))));
        add("combinations", output::count(coverage.combinations as u64), not.join("\n"));
        for (dimension, values) in &coverage.values {
            add(dimension, list(values), String::new());
        }
        let without = |all: &[&'static str], some: &std::collections::BTreeMap<&'static str, u64>| {
            all.iter().filter(|name| !some.contains_key(*name)).copied().collect::<Vec<_>>().join("\n")
        };
        let amounts = without(&["keep", "zero", "copied", "scaled", "tiered", "custom"], &coverage.amounts);
        add("amounts", of_static(&coverage.amounts), amounts);
        let missing = without(&["keep", "drop", "hold"], &coverage.treatments);
        add("treatments", of_static(&coverage.treatments), missing);
        add("reasons", of_text(&coverage.reasons), String::new());
        if !coverage.relabelled.is_empty() || !coverage.never_relabelled.is_empty() {
            add("columns set", of_text(&coverage.relabelled), list(&coverage.never_relabelled));
        }
    }
    add("options", list(&coverage.options), list(&coverage.never_given));
    output::print(&output::table(&["", "reached", "not reached"], rows));
    if coverage.without_outcome > 0 {
        output::print(&format!("  in {} of the cases the rule refuses or fails", coverage.without_outcome));
    }
}
