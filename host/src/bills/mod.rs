//! Source bills to canonical charges: finds the files of a bill, recognises their format by the header, and reads them in chunks on
//! several threads into [`Batch`](crate::domain::columns::Batch)es.
//!
//! Money is read from text to integers without a float in between. What a bill has and the canonical charge has not travels verbatim in
//! `x_Native` columns: a source cell is in exactly one of the two. Nothing is stored here and no tenant is known.

mod cells;
mod charges;
mod columnar;
mod derive;
mod discover;
mod error;
mod format;
mod import;
mod manifest;
mod number;
mod raw;
mod records;
mod report;
mod source;
#[cfg(test)]
mod tests;
mod time;

pub use discover::{Bill, ManifestInfo, discover};
pub use error::{At, BillError, Place, SinkError};
pub use import::import;
pub use report::{CurrencyTotal, FileReport, ImportReport, Quirk, Rounded, SplitCost};
