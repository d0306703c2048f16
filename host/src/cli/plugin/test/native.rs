//! A project's own tests: cargo's, node's or Python's. With one line of the SDK they run the golden cases natively and hand the answers over,
//! which are compared with what is expected and with the sandbox's.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use super::report::CaseResult;
use crate::cli::Failure;
use crate::plugins::cases::{Case, differences};

/// Names of the SDKs' harnesses: `rerate_rule::testing::golden`, `sdk/golden.js`, `rerate/golden.py`.
const OUT: &str = "RERATE_CASES_OUT";
const FILTER: &str = "RERATE_CASES_FILTER";

/// Lines of a failing test's output that are shown: the end says most.
const LINES_MAX: usize = 40;

/// What the project's own tests say.
#[derive(Default)]
pub(super) struct Native {
    /// The golden cases, natively.
    pub(super) cases: Vec<CaseResult>,
    /// The command.
    pub(super) ran: Option<String>,
    /// Why nothing ran.
    pub(super) skipped: Option<String>,
    /// The end of what failing tests said.
    pub(super) failed: Option<String>,
}

/// How a language runs its tests, and what makes the golden cases one of them.
struct Language {
    manifest: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    golden: &'static str,
}

const LANGUAGES: [Language; 3] = [
    Language {
        manifest: "Cargo.toml",
        program: "cargo",
        arguments: &["test", "--quiet"],
        golden: "tests/golden.rs has one line, such as `rerate_rule::golden!(adjust my_rule::MyRule);`",
    },
    Language {
        manifest: "package.json",
        program: "node",
        arguments: &["--test"],
        golden: "test/golden.test.js has `golden(rule, new URL('../', import.meta.url));` of sdk/golden.js",
    },
    Language {
        manifest: "pyproject.toml",
        program: "python3",
        arguments: &["-m", "unittest", "discover"],
        golden: "tests/test_golden.py has `GoldenCases = golden(MyRule)` of rerate.golden",
    },
];

/// Runs them; `hosted` is what the sandbox answered.
pub(super) fn test(dir: &Path, cases: &[Case], hosted: Option<&[CaseResult]>, filter: Option<&str>) -> Result<Native, Failure> {
    let skipped = |why: String| Ok(Native { skipped: Some(why), ..Native::default() });
    let Some(language) = LANGUAGES.iter().find(|language| dir.join(language.manifest).is_file()) else {
        return skipped("no Cargo.toml, package.json or pyproject.toml here".to_owned());
    };
    let answers = tempfile::tempdir()?;
    let cargo = std::env::var_os("CARGO").filter(|_| language.program == "cargo");
    let mut command = Command::new(cargo.unwrap_or_else(|| language.program.into()));
    command.args(language.arguments).current_dir(dir).env(OUT, answers.path()).env(FILTER, filter.unwrap_or_default());
    let Some(output) = output(&mut command)? else { return skipped(format!("{} is not installed", language.program)) };
    // Python 3.12 and later: five is "there are no tests".
    if cases.is_empty() && output.status.code() == Some(5) {
        return skipped("there are no tests".to_owned());
    }
    let failed = failure(&output);
    // A project that does not compile has run nothing; its message says all.
    let ran_nothing = failed.is_some() && std::fs::read_dir(answers.path())?.next().is_none();
    let answer = |case: &Case| answer(case, answers.path(), language.golden, hosted);
    let cases = if ran_nothing { Vec::new() } else { cases.iter().map(answer).collect() };
    let ran = match language.program {
        "cargo" => "cargo test".to_owned(),
        program => format!("{program} {}", language.arguments.join(" ")),
    };
    Ok(Native { cases, ran: Some(ran), skipped: None, failed })
}

/// What a case answered natively, and how that differs from what is expected and from the sandbox's answer.
fn answer(case: &Case, answers: &Path, golden: &str, hosted: Option<&[CaseResult]>) -> CaseResult {
    let text = std::fs::read_to_string(answers.join(format!("{}.csv", case.name()))).ok();
    let mut problems = Vec::new();
    match (&text, &case.files.expected) {
        (None, _) => problems.push(format!("it did not run natively: {golden}")),
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
        log: Vec::new(),
        log_cut: 0,
        elapsed: Duration::ZERO,
        usage: None,
        text,
    }
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
