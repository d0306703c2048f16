//! One period for any number of tenants: snapshots in, overlays and totals out. The daemon's re-rating and `rerate rate` are this
//! function.
//!
//! Blocking, and free of the store: which snapshots count, who holds what and what is published is the caller's to say.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::PathBuf;

use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rated::GroupRef;
use crate::lake::{CurrencyTotal, LakeError, OverlayWriter, SnapshotReader};
use crate::rating::{self, ChainRule, Month, MonthError, Owners, RunInput};

/// A published snapshot of one integration in the period.
pub struct SnapshotInput {
    /// In the order in which they were written.
    pub parts: Vec<PathBuf>,
    pub owners: Owners,
    /// What the import found in it.
    pub totals: Vec<CurrencyTotal>,
}

/// One tenant's bill in one currency.
pub struct RunRequest {
    /// Index into the caller's tenants, as in [`Owners`].
    pub tenant: usize,
    pub currency: String,
    pub rules: Vec<ChainRule>,
    /// Where the overlay goes.
    pub overlay: PathBuf,
    /// JSON kept in the overlay: what the run was made of.
    pub note: String,
    /// As in [`RunInput`].
    pub span: Option<tracing::Span>,
}

pub struct PeriodRequest {
    pub period: Period,
    pub snapshots: Vec<SnapshotInput>,
    /// Every payer account ever ingested.
    pub payers: BTreeSet<String>,
    pub runs: Vec<RunRequest>,
    pub workers: usize,
    /// As in [`rating::Input`].
    pub batch_rows: Option<NonZero<usize>>,
}

#[derive(Debug, thiserror::Error)]
pub enum RateError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Month(#[from] MonthError),
    #[error(
        "stored charges in {currency} add up to {read}, at import they added up to {imported}: the snapshot is damaged; import the bill again"
    )]
    SnapshotChanged { currency: String, read: Amount, imported: Amount },
}

/// Splits and rates a period. Overlays of failed runs are not left behind; those of good runs are whole and on disk.
pub fn rate_period(request: PeriodRequest, progress: &Progress) -> Result<Month, RateError> {
    let reader = open(&request.snapshots)?;
    let source_of_part: Vec<usize> =
        request.snapshots.iter().enumerate().flat_map(|(source, s)| std::iter::repeat_n(source, s.parts.len())).collect();
    let groups: Vec<(GroupRef, u32)> = reader.groups();
    let order: Vec<GroupRef> = groups.iter().map(|(group, _)| *group).collect();
    let overlays = request.runs.iter().map(|run| OverlayWriter::create(&run.overlay, &order, &run.note));
    let overlays: Vec<OverlayWriter> = overlays.collect::<Result<_, _>>()?;
    let owners: Vec<Owners> = request.snapshots.iter().map(|s| s.owners.clone()).collect();
    let runs =
        request.runs.into_iter().map(|run| RunInput { tenant: run.tenant, currency: run.currency, rules: run.rules, span: run.span });
    let month = rating::rate_month(rating::Input {
        period: request.period,
        groups: &groups,
        source_of_part: &source_of_part,
        owners: &owners,
        payers: &request.payers,
        runs: runs.collect(),
        workers: request.workers,
        batch_rows: request.batch_rows,
        watch: None,
        progress,
        read: &|group, columns| reader.read(group, columns).map_err(Into::into),
        write: &|run, group, rated| overlays[run].write(group, rated).map_err(Into::into),
    })?;
    check_source(&request.snapshots, &month)?;
    for (overlay, outcome) in overlays.into_iter().zip(&month.runs) {
        if outcome.is_ok() {
            overlay.finish()?;
        }
    }
    Ok(month)
}

/// One reader over the parts of all snapshots, in order: the numbering of parts that overlays use.
pub fn open(snapshots: &[SnapshotInput]) -> Result<SnapshotReader, LakeError> {
    let parts: Vec<PathBuf> = snapshots.iter().flat_map(|s| s.parts.iter().cloned()).collect();
    SnapshotReader::open(&parts)
}

/// Tenants and unassigned add up to what was read; what was read must be what was imported.
fn check_source(snapshots: &[SnapshotInput], month: &Month) -> Result<(), RateError> {
    let mut imported: BTreeMap<&str, i128> = BTreeMap::new();
    for total in snapshots.iter().flat_map(|s| &s.totals) {
        *imported.entry(&total.currency).or_default() += total.billed.0;
    }
    let mut read: BTreeMap<&str, i128> = BTreeMap::new();
    for part in &month.split {
        *read.entry(&part.currency).or_default() += part.billed.0;
    }
    for currency in imported.keys().chain(read.keys()) {
        let of = |totals: &BTreeMap<&str, i128>| Amount(totals.get(currency).copied().unwrap_or(0));
        if of(&imported) != of(&read) {
            return Err(RateError::SnapshotChanged { currency: (*currency).to_owned(), read: of(&read), imported: of(&imported) });
        }
    }
    Ok(())
}
