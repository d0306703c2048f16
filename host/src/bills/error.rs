//! What can be wrong with a bill. Every message names the file, the line and the column, and what to do.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where in a bill something was found. Lines are those of the text file, the header being line 1; a Parquet file has rows instead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    pub at: At,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    Line(u64),
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            At::Line(line) => write!(f, "{}, line {line}", self.file)?,
            At::Row(row) => write!(f, "{}, row {row}", self.file)?,
        }
        self.column.as_ref().map_or(Ok(()), |column| write!(f, ", column {column}"))
    }
}

/// What the caller of an import may answer to a batch.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Why a bill was not imported. Nothing of it counts as imported then.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: no bill file found; looked for .csv, .csv.gz, .zip and .parquet files and for manifests", .path.display())]
    NothingFound { path: PathBuf },
    #[error("manifest {}: {what}; fetch the export again", .path.display())]
    Manifest { path: PathBuf, what: String },
    #[error("manifest {} lists {file}, which is missing; fetch the export again, all files of it", .path.display())]
    MissingFile { path: PathBuf, file: String },
    #[error("{file}: it has no header and no charges: the file is empty; export it again")]
    Empty { file: String },
    #[error("{file}: no bill format fits its header. Looked for {looked_for}. The header starts {header}")]
    UnknownFormat { file: String, looked_for: String, header: String },
    #[error("{file}: looks like a {format} bill but has no column {column}; export it again with that column")]
    MissingColumn { file: String, format: &'static str, column: String },
    #[error("{file}: {found} columns, more than the limit of {limit}; this is not a bill that can be imported")]
    TooManyColumns { file: String, found: usize, limit: usize },
    #[error("{file}: the column {column} appears twice; remove one of the two")]
    DuplicateColumn { file: String, column: String },
    #[error("{place}: {found} fields where the header has {expected}; the file is damaged or was edited, export it again")]
    Ragged { place: Place, found: usize, expected: usize },
    #[error(
        "{place}: {what} in the quoting of {value:?}; fields with commas, quotes or line breaks are quoted whole, quotes inside are doubled"
    )]
    Quoting { place: Place, what: &'static str, value: String },
    #[error("{file}: its lines end in carriage returns only; save it with the line ends of Windows or Unix")]
    CarriageReturns { file: String },
    #[error("{place}: a record longer than {limit} bytes; a quotation mark is probably never closed")]
    LongRecord { place: Place, limit: usize },
    #[error("{place}: {value:?} is not an amount: {why}; amounts are written like 12.5 or 7.0E-10")]
    NotAnAmount { place: Place, value: String, why: String },
    #[error("{place}: {value:?} is not a date or time; expected 2026-09-01, 2026-09-01T00:00:00Z or month/day/year")]
    NotATime { place: Place, value: String },
    #[error("{place}: neither a billing period nor a date of the charge in the years 1 to 9998; every charge needs one, export it again")]
    NoPeriod { place: Place },
    #[error("{place}: {value:?} is not a currency code of three capital letters")]
    Currency { place: Place, value: String },
    #[error(
        "{place}: billing account {account} is billed in {second} here and in {first} before; import bills of one currency per account"
    )]
    MixedCurrency { place: Place, account: Box<str>, first: Box<str>, second: Box<str> },
    #[error("{place}: {value:?} has a NUL character, which is no text; the file is damaged or was converted wrongly, export it again")]
    Nul { place: Place, value: String },
    #[error("{place}: not UTF-8 text; export the bill as UTF-8")]
    NotUtf8 { place: Place },
    #[error("{file}: damaged or cut short after line {after_line} ({source}); fetch the file again")]
    Truncated { file: String, after_line: u64, source: std::io::Error },
    #[error("{file}: not a readable {kind} file: {what}")]
    Container { file: String, kind: &'static str, what: String },
    #[error("the sum of {column} left the range of 38 digits; the bill cannot be right")]
    SumTooLarge { column: String },
    #[error("{0}")]
    Sink(SinkError),
    #[error("cancelled")]
    Cancelled,
}
