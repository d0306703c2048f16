//! A case, read: charges, configuration, the bill it belongs to, and what it may use.

use std::fmt;

use serde::Deserialize;

use super::folder::{CONFIG, CaseFiles, LIMITS, SETTINGS};
use super::input;
use crate::domain::columns::Batch;
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::rule::{BillPeriod, Earlier};

/// The bill of a case without a `case.toml`.
const PERIOD: &str = "2026-09";
const CURRENCY: &str = "USD";

/// What is wrong with a case's files: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseError {
    pub file: String,
    /// From one.
    pub line: Option<u64>,
    /// From one: a field of a CSV file, a character of any other.
    pub column: Option<u64>,
    pub message: String,
}

impl CaseError {
    pub(super) fn of_file(file: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self { file: file.to_string(), line: None, column: None, message: message.to_string() }
    }

    pub(super) fn at(file: impl fmt::Display, line: u64, column: Option<u64>, message: impl fmt::Display) -> Self {
        Self { file: file.to_string(), line: Some(line), column, message: message.to_string() }
    }
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for CaseError {}

/// One golden case.
#[derive(Clone, Debug)]
pub struct Case {
    pub files: CaseFiles,
    /// The charges, with the columns that the daemon would derive.
    pub batch: Batch,
    pub bill: BillPeriod,
    pub earlier: Vec<Earlier>,
    pub limits: CaseLimits,
}

/// `limits.toml`: what running the case once may use; each is optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseLimits {
    /// Instructions of all calls together.
    pub fuel: Option<u64>,
    /// The largest instance, in MiB.
    pub memory_mib: Option<u64>,
    /// Wall clock. The deployment pipeline does not judge by it.
    pub millis: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    period: Option<Period>,
    currency: Option<String>,
    #[serde(default)]
    earlier: Vec<EarlierEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EarlierEntry {
    period: Period,
    amount: Amount,
}

impl Case {
    /// Reads the texts; `place` is how errors call the case's folder.
    pub fn parse(files: CaseFiles, place: &str) -> Result<Self, CaseError> {
        let at = |file: &str| format!("{place}/{file}");
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&files.config) {
            let message = format!("not JSON: {error}");
            return Err(CaseError::at(at(CONFIG), error.line() as u64, Some(error.column() as u64), message));
        }
        let settings: Settings = toml_of(files.settings.as_deref(), &at(SETTINGS))?;
        let limits = toml_of(files.limits.as_deref(), &at(LIMITS))?;
        let period = settings.period.or_else(|| PERIOD.parse().ok()).ok_or_else(|| CaseError::of_file(at(SETTINGS), "no period"))?;
        let bill = BillPeriod { period, currency: settings.currency.unwrap_or_else(|| CURRENCY.to_owned()) };
        let batch = input::read(&files.input, &at(super::folder::INPUT), &bill.currency)?;
        let earlier = settings
            .earlier
            .into_iter()
            .map(|entry| Earlier { period: BillPeriod { period: entry.period, currency: bill.currency.clone() }, amount: entry.amount });
        Ok(Self { earlier: earlier.collect(), files, batch, bill, limits })
    }

    pub fn name(&self) -> &str {
        &self.files.name
    }
}

fn toml_of<T: Default + for<'de> Deserialize<'de>>(text: Option<&str>, file: &str) -> Result<T, CaseError> {
    let Some(text) = text else { return Ok(T::default()) };
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        match before {
            Some(before) => {
                let line = before.matches('\n').count() as u64 + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
                CaseError::at(file, line, Some(column), error.message())
            }
            None => CaseError::of_file(file, error.message()),
        }
    })
}
