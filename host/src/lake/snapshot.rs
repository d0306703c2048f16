//! Writing a snapshot: chunks arrive from many threads in any order, are encoded by the thread that brings them, and are stored in their
//! files' order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::contents::{Contents, CurrencyTotal, SubAccount};
use super::encode::{EncodedGroup, GroupEncoder};
use super::error::LakeError;
use super::file::{PartFile, PartInfo, sync_dir};
use super::order::{Disorder, InOrder};
use crate::domain::charge::{self, NATIVE_PREFIX};
use crate::domain::chunk::ChunkId;
use crate::domain::columns::{Batch, NULL_TIME};
use crate::domain::period::Period;

/// Billing periods of one bill: each is an open file while it is read, and a run of each tenant afterwards. Nobody keeps twenty years in one.
const MAX_PERIODS: usize = 240;

/// One billing period of a snapshot, stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenPeriod {
    pub period: Period,
    /// In the order of the source files.
    pub parts: Vec<PartInfo>,
    pub rows: u64,
    /// In the order of the currencies.
    pub totals: Vec<CurrencyTotal>,
    /// In the order of billing account, subaccount, provider and currency.
    pub subaccounts: Vec<SubAccount>,
    /// Every `BillingAccountId`, sorted.
    pub payers: Vec<String>,
}

/// Writes the parts of one bill into a folder.
#[derive(Debug)]
pub struct SnapshotWriter {
    dir: PathBuf,
    lanes: Mutex<BTreeMap<u32, Arc<Lane>>>,
    contents: Mutex<BTreeMap<Period, Contents>>,
    aborted: AtomicBool,
}

/// The parts of one source file, fed by its chunks.
type Lane = InOrder<BTreeMap<Period, PartFile>, Vec<(Period, EncodedGroup)>>;

impl SnapshotWriter {
    /// Makes the folder if there is none. It must not hold another snapshot.
    pub fn create(dir: &Path) -> Result<Self, LakeError> {
        fs::create_dir_all(dir).map_err(LakeError::io(dir))?;
        Ok(Self { dir: dir.to_owned(), lanes: Mutex::default(), contents: Mutex::default(), aborted: AtomicBool::new(false) })
    }

    /// Stores a chunk. After an error the whole writer has given up and every other call fails too.
    pub fn append(&self, chunk: ChunkId, batch: Batch) -> Result<(), LakeError> {
        let outcome = self.try_append(chunk, &batch);
        if outcome.is_err() {
            self.abort();
        }
        outcome
    }

    /// Makes calls that wait, and later ones, fail. To be called when a chunk will never come.
    pub fn abort(&self) {
        let lanes = lock(&self.lanes);
        self.aborted.store(true, Ordering::Release);
        for lane in lanes.values() {
            lane.abort();
        }
    }

    fn try_append(&self, chunk: ChunkId, batch: &Batch) -> Result<(), LakeError> {
        let mut groups = Vec::new();
        for (period, rows) in split(chunk, batch)? {
            let gathered = rows.map(|rows| batch.gather(&rows));
            let batch = gathered.as_ref().unwrap_or(batch);
            groups.push((period, encode(batch)?));
            let contents = Contents::of(chunk, batch)?;
            let mut all = lock(&self.contents);
            if all.len() >= MAX_PERIODS && !all.contains_key(&period) {
                return Err(LakeError::TooLarge { what: "the list of a bill's billing periods", limit: MAX_PERIODS });
            }
            all.entry(period).or_default().merge(contents)?;
        }
        let bytes = groups.iter().map(|(_, group)| group.bytes.len()).sum();
        let lane = self.lane(chunk.file)?;
        let taken = lane.put(chunk.seq, bytes, groups, |parts, groups| {
            groups.into_iter().try_for_each(|(period, group)| self.part(parts, chunk.file, period)?.append(group))
        });
        taken.map_err(|disorder| match disorder {
            Disorder::Repeated => LakeError::RepeatedChunk(chunk),
            other => disordered(chunk.file, other),
        })
    }

    fn lane(&self, file: u32) -> Result<Arc<Lane>, LakeError> {
        let mut lanes = lock(&self.lanes);
        // Asked under the lock, so that no lane is born after the others were given up.
        if self.aborted.load(Ordering::Acquire) {
            return Err(LakeError::Aborted);
        }
        Ok(Arc::clone(lanes.entry(file).or_insert_with(|| Arc::new(InOrder::new(BTreeMap::new())))))
    }

    fn part<'a>(&self, parts: &'a mut BTreeMap<Period, PartFile>, file: u32, period: Period) -> Result<&'a mut PartFile, LakeError> {
        match parts.entry(period) {
            Entry::Occupied(part) => Ok(part.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(PartFile::create(&self.dir.join(format!("{period}-{file:05}.parquet")))?)),
        }
    }

    /// Ends every part and gives it its name.
    pub fn finish(self) -> Result<Vec<WrittenPeriod>, LakeError> {
        if self.aborted.load(Ordering::Acquire) {
            return Err(LakeError::Aborted);
        }
        let lanes = self.lanes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut contents = self.contents.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut sealed: BTreeMap<Period, Vec<PartInfo>> = BTreeMap::new();
        let mut unfinished = Vec::new();
        for (file, lane) in lanes {
            let lane = Arc::into_inner(lane).ok_or(LakeError::Aborted)?;
            let (parts, _) = lane.finish().map_err(|disorder| disordered(file, disorder))?;
            for (period, part) in parts {
                let (file, info) = part.seal(Vec::new())?;
                unfinished.push(file);
                sealed.entry(period).or_default().push(info);
            }
        }
        for file in unfinished {
            file.publish()?;
        }
        sync_dir(&self.dir)?;
        sealed
            .into_iter()
            .map(|(period, parts)| {
                let contents = contents.remove(&period).unwrap_or_default();
                let (totals, payers) = (contents.totals()?, contents.payers());
                let rows = parts.iter().map(|part| part.rows).sum();
                Ok(WrittenPeriod { period, parts, rows, totals, subaccounts: contents.subaccounts(), payers })
            })
            .collect()
    }
}

fn disordered(file: u32, disorder: Disorder) -> LakeError {
    match disorder {
        Disorder::Aborted | Disorder::Repeated => LakeError::Aborted,
        Disorder::Missing(seq) => LakeError::MissingChunk(ChunkId { file, seq }),
        Disorder::Failed(error) => error,
    }
}

/// A thread that panicked while it held the lock has left nothing half done that matters: the writer is given up then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A period of a batch and the rows of it, or `None` where it is all of them.
type Share = (Period, Option<Vec<u32>>);

fn split(chunk: ChunkId, batch: &Batch) -> Result<Vec<Share>, LakeError> {
    let starts = batch.time("BillingPeriodStart").map(|column| &column.micros);
    let charges = batch.time("ChargePeriodStart").map(|column| &column.micros);
    let mut rows: BTreeMap<Period, Vec<u32>> = BTreeMap::new();
    let mut last: Option<(i64, Period)> = None;
    for row in 0..batch.rows {
        let own = |column: Option<&Vec<i64>>| column.map(|micros| micros[row]).filter(|micros| *micros != NULL_TIME);
        let period = own(starts).or_else(|| own(charges)).and_then(|micros| match last {
            Some((same, period)) if same == micros => Some(period),
            _ => {
                last = Period::of_micros(micros).map(|period| (micros, period));
                last.map(|(_, period)| period)
            }
        });
        let period = period.ok_or(LakeError::NoPeriod { chunk, row })?;
        let row = u32::try_from(row).map_err(|_| LakeError::TooLarge { what: "a chunk's row count", limit: super::MAX_ROWS_PER_GROUP })?;
        rows.entry(period).or_default().push(row);
    }
    Ok(if rows.len() == 1 {
        rows.into_keys().map(|period| (period, None)).collect()
    } else {
        rows.into_iter().map(|(p, r)| (p, Some(r))).collect()
    })
}

/// Every stored column, null where the batch has none, then the source's own.
fn encode(batch: &Batch) -> Result<EncodedGroup, LakeError> {
    let mut encoder = GroupEncoder::new(batch.rows)?;
    for (name, column) in &batch.columns {
        let kind = charge::STORED.iter().find(|(stored, _)| *stored == &**name).map(|(_, kind)| *kind);
        let wanted = kind.or_else(|| name.starts_with(NATIVE_PREFIX).then_some(charge::Kind::Text));
        if wanted != Some(column.kind()) {
            return Err(LakeError::batch(name, "no stored column has this name and kind"));
        }
    }
    for (name, kind) in charge::STORED {
        match batch.column(name) {
            Some(column) => encoder.push((*name).into(), column)?,
            None => encoder.push_null((*name).into(), *kind)?,
        }
    }
    for (name, column) in batch.columns.iter().filter(|(name, _)| name.starts_with(NATIVE_PREFIX)) {
        encoder.push(Arc::clone(name), column)?;
    }
    encoder.finish()
}
