//! Golden cases: what a rule must answer, as folders that a person writes and a program checks.
//!
//! A case is `cases/<name>/` with `input.csv`, `config.json`, `expected.csv` and, if wanted, `limits.toml` and `case.toml`;
//! docs/plugin-testing.md describes the files. A case runs through the daemon's own rating with the daemon's own limits, as the bill of
//! one tenant that has this one rule. Nothing here compiles a rule, prints, or knows which command or pipeline asks.
//!
//! - [`folder`]: the files, on disk and inside a component
//! - [`case`]: the files, read
//! - [`input`]: `input.csv` to charges
//! - [`outcome`]: what a rule did, and the text of `expected.csv`
//! - [`mod@run`]: one case, once, in some arrangement of its rows
//! - [`mod@check`]: a case's verdict
//! - [`coverage`]: what all cases of a rule reached
//! - [`difference`]: where two outcomes differ, for people

mod case;
mod check;
mod coverage;
mod csv_text;
mod difference;
mod folder;
mod input;
mod outcome;
mod run;
#[cfg(test)]
mod tests;

pub use case::{Case, CaseError};
pub use check::{FailedCase, Problem, Report, SelfTest, check, self_test};
pub use coverage::Coverage;
pub use difference::{Difference, Differences, differences};
pub use folder::{CaseFiles, bundle, read_folder, unbundle};
pub use outcome::{Outcome, RatedCharge};
pub use run::{Arrangement, Ran, run};
