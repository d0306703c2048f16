//! One bill into an immutable snapshot: read in parallel, normalised, stored, and checked against what was read.
//!
//! Blocking, and free of the store: the daemon and the command line call the same function and publish what it gives.

use std::path::Path;

use crate::bills::{Bill, BillError, ImportReport, import};
use crate::domain::money::Amount;
use crate::domain::progress::Progress;
use crate::lake::{LakeError, SnapshotWriter, WrittenPeriod};

/// A stored bill.
pub struct Ingested {
    pub periods: Vec<WrittenPeriod>,
    pub report: ImportReport,
}

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The bill is at fault.
    #[error(transparent)]
    Bill(BillError),
    #[error("cannot store the bill: {0}")]
    Lake(#[from] LakeError),
    #[error("the bill's costs in {currency} add up to {read}, what was stored to {stored}: this is a defect in rerate")]
    DoesNotAddUp { currency: String, read: Amount, stored: Amount },
}

/// Reads a bill and writes it to `dir`, a folder for each billing period. On an error nothing in `dir` may be used.
pub fn ingest(bill: &Bill, dir: &Path, workers: usize, progress: &Progress) -> Result<Ingested, IngestError> {
    let writer = SnapshotWriter::create(dir)?;
    let sink = |chunk, batch| writer.append(chunk, batch).map_err(Into::into);
    let report = import(bill, workers, progress, &sink).map_err(IngestError::Bill)?;
    let periods = writer.finish()?;
    check_totals(&report, &periods)?;
    Ok(Ingested { periods, report })
}

/// The reader sums what it parses, the lake what it stores: both must agree to the last digit.
fn check_totals(report: &ImportReport, periods: &[WrittenPeriod]) -> Result<(), IngestError> {
    for total in &report.totals {
        let stored = periods.iter().flat_map(|p| &p.totals).filter(|t| t.currency == total.currency);
        let stored = stored.fold(Amount::ZERO, |sum, t| Amount(sum.0 + t.billed.0));
        if stored != total.billed {
            return Err(IngestError::DoesNotAddUp { currency: total.currency.clone(), read: total.billed, stored });
        }
    }
    Ok(())
}
