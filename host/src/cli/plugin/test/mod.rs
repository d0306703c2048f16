//! `rerate plugin test`: a project's golden cases, natively and in the daemon's own sandbox.

mod junit;
mod native;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::report::{CaseResult, Run};
use crate::cli::plugin::target;
use crate::cli::{Failure, output};
use crate::plugins::cases::{self, Case, Coverage};
use crate::sandbox::Plugin;

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin test                      the project in this folder, natively and in the sandbox
  rerate plugin test my-rule --update     write expected.csv as the rule answers now; read the difference before you commit it
  rerate plugin test --sandbox --filter credit --coverage
  rerate plugin test --junit target/junit.xml

A case is a folder cases/NAME with
  input.csv       the charges; the header names columns (ServiceName, BilledCost, x_CustomerCost, Tags.team, ...)
  config.json     the rule's configuration
  expected.csv    what the rule must answer, to the byte; --update writes it
  limits.toml     optional: fuel = 5_000_000, memory_mib = 8, millis = 200
  case.toml       optional: period = \"2026-09\", currency = \"USD\", and [[earlier]] with period and amount

In the sandbox each case runs twice, with its charges in other orders, and in other row groups; every outcome must be the same.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Only the project's own tests, without a component
    #[arg(long, conflicts_with_all = ["sandbox", "both"])]
    native: bool,
    /// Only the component in the sandbox
    #[arg(long, conflicts_with = "both")]
    sandbox: bool,
    /// Both, compared with each other; what happens unless another is asked for
    #[arg(long)]
    both: bool,
    /// Test this component instead of building the project
    #[arg(long, value_name = "FILE", conflicts_with = "native")]
    component: Option<PathBuf>,
    /// Write expected.csv of every case as the rule answers in the sandbox
    #[arg(long, conflicts_with = "native")]
    update: bool,
    /// Only cases with this text in their name
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Tell which combinations, decisions and options the cases reach, and which they do not
    #[arg(long, conflicts_with = "native")]
    coverage: bool,
    /// Write JUnit XML there
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut cases = read_cases(&args.dir)?;
    let all = cases.len();
    if let Some(filter) = &args.filter {
        cases.retain(|case| case.name().contains(filter.as_str()));
        if cases.is_empty() && all > 0 {
            return Err(Failure::input(format!("none of the {all} cases has {filter:?} in its name")));
        }
    }
    let mut run = Run::default();
    if !args.native {
        let plugin = load(args)?;
        run.plugin = Some(report::Tested::of(&plugin));
        run.sandbox = Some(sandboxed(&plugin, &mut cases, args.update.then_some(args.dir.as_path()))?);
        if args.coverage {
            run.coverage = Some(Coverage::of(&plugin, &cases));
        }
    }
    if !args.sandbox {
        run.native = Some(native::test(&args.dir, &cases, run.sandbox.as_deref(), args.filter.as_deref())?);
    }
    if let Some(path) = &args.junit {
        std::fs::write(path, junit::xml(&run)).map_err(|e| Failure::input(format!("cannot write {}: {e}", path.display())))?;
    }
    if args.json {
        output::print_json(&run.to_json())?;
    } else {
        report::print(&run, &args.dir);
    }
    match run.failed() {
        0 => Ok(()),
        1 => Err(Failure::run("1 test fails")),
        failed => Err(Failure::run(format!("{failed} tests fail"))),
    }
}

/// The cases of a project.
pub(super) fn read_cases(dir: &Path) -> Result<Vec<Case>, Failure> {
    if !dir.is_dir() {
        return Err(Failure::input(format!("{} is no folder", dir.display())));
    }
    cases::read_folder(&dir.join("cases")).map_err(Failure::input)
}

fn load(args: &Args) -> Result<Arc<Plugin>, Failure> {
    match &args.component {
        Some(file) => target::load_file(file),
        None => target::built(&args.dir),
    }
    .map(|opened| opened.plugin)
}

/// Runs the cases in the sandbox; below the project `update`, expected.csv becomes what the rule answers, if that is always the same.
fn sandboxed(plugin: &Arc<Plugin>, cases: &mut [Case], update: Option<&Path>) -> Result<Vec<CaseResult>, Failure> {
    let mut results = Vec::with_capacity(cases.len());
    for case in cases {
        let mut checked = cases::check(plugin, case);
        let mut updated = false;
        let is_expectation = |problem: &cases::Problem| {
            matches!(problem, cases::Problem::NothingExpected | cases::Problem::Mismatch(_) | cases::Problem::Failed(_))
        };
        if let (Some(dir), Some(text)) = (update, checked.text.clone())
            && checked.problems.iter().all(is_expectation)
        {
            updated = case.files.expected.as_ref() != Some(&text);
            let path = dir.join("cases").join(case.name()).join("expected.csv");
            if updated {
                std::fs::write(&path, &text).map_err(|e| Failure::run(format!("cannot write {}: {e}", path.display())))?;
            }
            case.files.expected = Some(text);
            checked.problems.clear();
        }
        results.push(CaseResult {
            name: case.name().to_owned(),
            charges: case.batch.rows,
            problems: checked.problems.iter().map(ToString::to_string).collect(),
            updated,
            elapsed: checked.elapsed,
            usage: Some(report::Used::of(&checked, plugin)),
            log_cut: checked.logs.cut,
            log: checked.logs.lines.into_iter().map(|line| line.message).collect(),
            text: checked.text,
        });
    }
    Ok(results)
}
