//! A project's own tests: cargo's for Rust, which run the golden cases too, node's and Python's for the others.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use super::report::CaseResult;
use crate::cli::Failure;
use crate::plugins::cases::{Case, differences};

/// Names of the SDK's harness, `rerate_rule::testing::golden`.
const OUT: &str = "RERATE_CASES_OUT";
const FILTER: &str = "RERATE_CASES_FILTER";

/// Lines of a failing test's output that are shown: the end says most.
const LINES_MAX: usize = 40;

/// What the project's own tests say.
#[derive(Default)]
pub(super) struct Native {
    /// The golden cases natively: Rust only.
    pub(super) cases: Vec<CaseResult>,
    /// The command.
    pub(super) ran: Option<String>,
    /// Why nothing ran.
    pub(super) skipped: Option<String>,
    /// The end of what failing tests said.
    pub(super) failed: Option<String>,
}

/// Runs them; `hosted` is what the sandbox answered.
pub(super) fn test(dir: &Path, cases: &[Case], hosted: Option<&[CaseResult]>, filter: Option<&str>) -> Result<Native, Failure> {
    let has = |file: &str| dir.join(file).is_file();
    if has("Cargo.toml") {
        return rust(dir, cases, hosted, filter);
    }
    let (program, arguments): (&str, &[&str]) = if has("package.json") {
        ("node", &["--test"])
    } else if has("pyproject.toml") {
        ("python3", &["-m", "unittest", "discover"])
    } else {
        let skipped = Some("no Cargo.toml, package.json or pyproject.toml here".to_owned());
        return Ok(Native { skipped, ..Native::default() });
    };
    let shown = format!("{program} {}", arguments.join(" "));
    match output(Command::new(program).args(arguments).current_dir(dir))? {
        None => Ok(Native { skipped: Some(format!("{program} is not installed")), ..Native::default() }),
        // Python 3.12 and later: five is "there are no tests".
        Some(output) if output.status.code() == Some(5) => {
            Ok(Native { skipped: Some("there are no tests".to_owned()), ..Native::default() })
        }
        Some(output) => Ok(Native { ran: Some(shown), failed: failure(&output), ..Native::default() }),
    }
}

fn rust(dir: &Path, cases: &[Case], hosted: Option<&[CaseResult]>, filter: Option<&str>) -> Result<Native, Failure> {
    let answers = tempfile::tempdir()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--quiet"]).current_dir(dir).env(OUT, answers.path()).env(FILTER, filter.unwrap_or_default());
    let Some(output) = output(&mut command)? else {
        return Ok(Native { skipped: Some("cargo is not installed".to_owned()), ..Native::default() });
    };
    let answer = |case: &Case| {
        let text = std::fs::read_to_string(answers.path().join(format!("{}.csv", case.name()))).ok();
        let mut problems = Vec::new();
        match (&text, &case.files.expected) {
            (None, _) => problems.push(
                "it did not run natively: tests/golden.rs has one line, such as `rerate_rule::golden!(adjust my_rule::MyRule);`".to_owned(),
            ),
            (Some(_), None) => problems.push("there is no expected.csv; --update writes what the rule answers in the sandbox".to_owned()),
            (Some(got), Some(expected)) => problems.extend(differences(expected, got).map(|differences| differences.to_string())),
        }
        let other = hosted.into_iter().flatten().find(|result| result.name == case.name()).and_then(|result| result.text.as_deref());
        if let (Some(own), Some(other)) = (text.as_deref(), other)
            && let Some(differences) = differences(other, own)
        {
            problems.push(format!("natively it is not what it is in the sandbox (\"expected\" is the sandbox):\n{differences}"));
        }
        CaseResult {
            name: case.name().to_owned(),
            charges: case.batch.rows,
            problems,
            updated: false,
            elapsed: Duration::ZERO,
            usage: None,
            text,
        }
    };
    let failed = failure(&output);
    // A crate that does not compile has run nothing; its message says all.
    let ran_nothing = failed.is_some() && std::fs::read_dir(answers.path())?.next().is_none();
    let cases = if ran_nothing { Vec::new() } else { cases.iter().map(answer).collect() };
    Ok(Native { cases, ran: Some("cargo test".to_owned()), skipped: None, failed })
}

/// None where the program is not there.
fn output(command: &mut Command) -> Result<Option<Output>, Failure> {
    match command.output() {
        Ok(output) => Ok(Some(output)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::run(format!("{} does not start: {error}", command.get_program().to_string_lossy()))),
    }
}

fn failure(output: &Output) -> Option<String> {
    if output.status.success() {
        return None;
    }
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    Some(lines[lines.len().saturating_sub(LINES_MAX)..].join("\n"))
}
