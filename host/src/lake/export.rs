//! Whole files for a tenant: every column of its charges with the rated ones, then the lines that rules added.
//!
//! Where the overlay takes all rows of a row group its column chunks are copied as they are; else the tenant's rows are decoded and
//! encoded again. Row groups are worked on by several threads and written in their order.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::csv_text::CsvText;
use super::encode::{EncodedGroup, GroupEncoder};
use super::error::LakeError;
use super::file::{PartFile, Unfinished, sync_dir};
use super::order::{Disorder, InOrder};
use super::overlay::{OverlayReader, treatments};
use super::reader::SnapshotReader;
use super::zip::{check, read_rated, source};
use crate::domain::charge::{self, APPLIED_RULES, CUSTOMER_COST, Kind, NATIVE_PREFIX, RATED, STORED, TREATMENT};
use crate::domain::columns::{Batch, Column, MoneyColumn, TextColumn, TimeColumn};
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rated::{GroupRef, RatedLine};
use crate::domain::rule::BillPeriod;

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Parquet,
    /// RFC 4180; amounts as plain decimals, times as `2026-09-01T00:00:00Z`, null as nothing and empty text as `""`, the source's own
    /// columns as one column of JSON.
    Csv,
}

/// What a tenant's file is made of.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// Each snapshot with the run's overlay on it.
    pub sources: &'a [(&'a SnapshotReader, &'a OverlayReader)],
    /// Behind the charges, as charges of their own.
    pub lines: &'a [RatedLine],
    /// The bill that `lines` belong to.
    pub bill: &'a BillPeriod,
}

/// Rows of CSV that one thread prepares at a time: some 10 MB of text.
const CSV_ROWS: usize = 8_192;

/// Writes the file and gives its number of rows. Progress is counted in row groups; cancelling it gives [`LakeError::Aborted`].
pub fn export(out: &Path, format: Format, export: Export<'_>, workers: usize, progress: &Progress) -> Result<u64, LakeError> {
    let groups = export.groups();
    progress.expect(groups.len() as u64);
    let rows: u64 = groups.iter().map(|group| u64::from(group.rows)).sum();
    match format {
        Format::Parquet => write_parquet(out, export, &groups, workers, progress)?,
        Format::Csv => write_csv(out, export, &groups, workers, progress)?,
    }
    out.parent().map_or(Ok(()), sync_dir)?;
    Ok(rows + export.lines.len() as u64)
}

/// One row group that the tenant has rows in.
struct Group<'a> {
    snapshot: &'a SnapshotReader,
    overlay: &'a OverlayReader,
    group: GroupRef,
    rows: u32,
}

impl<'a> Export<'a> {
    fn groups(&self) -> Vec<Group<'a>> {
        let of = |(snapshot, overlay): &(&'a SnapshotReader, &'a OverlayReader)| {
            let (snapshot, overlay) = (*snapshot, *overlay);
            overlay.groups().into_iter().map(move |(group, rows)| Group { snapshot, overlay, group, rows })
        };
        self.sources.iter().flat_map(of).collect()
    }
}

fn write_parquet(out: &Path, export: Export<'_>, groups: &[Group<'_>], workers: usize, progress: &Progress) -> Result<(), LakeError> {
    let mut file = PartFile::create(out)?;
    file.declare(STORED.iter().chain(RATED));
    let order = InOrder::new(file);
    each(groups, workers, progress, &order, |number, group| {
        let encoded = encode(group)?;
        put(&order, number, encoded.bytes.len(), encoded, PartFile::append)
    })?;
    let (mut file, _) = order.finish().map_err(|_| LakeError::Aborted)?;
    if !export.lines.is_empty() {
        let lines = lines(export.lines, export.bill)?;
        let mut encoder = GroupEncoder::new(lines.rows)?;
        for (name, column) in &lines.columns {
            encoder.push(Arc::clone(name), column)?;
        }
        file.append(encoder.finish()?)?;
    }
    file.seal(Vec::new())?.0.publish()
}

/// Runs `work` for every row group on `workers` threads; the first error ends it.
fn each<S: Send, T: Send>(
    groups: &[Group<'_>],
    workers: usize,
    progress: &Progress,
    order: &InOrder<S, T>,
    work: impl Fn(u32, &Group<'_>) -> Result<(), LakeError> + Sync,
) -> Result<(), LakeError> {
    let next = AtomicUsize::new(0);
    let run = || {
        let worker = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(group) = groups.get(number) else { return Ok(()) };
                if progress.is_cancelled() {
                    return Err(LakeError::Aborted);
                }
                work(u32::try_from(number).unwrap_or(u32::MAX), group)?;
                progress.advance(1, u64::from(group.rows));
            }
        };
        let outcome = worker();
        if outcome.is_err() {
            order.abort();
        }
        outcome
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(run)).collect();
        let outcomes = workers.into_iter().map(|worker| worker.join().unwrap_or(Err(LakeError::Aborted)));
        // The cause rather than what it did to the others.
        let errors: Vec<LakeError> = outcomes.filter_map(Result::err).collect();
        let (aborted, causes): (Vec<_>, Vec<_>) = errors.into_iter().partition(|error| matches!(error, LakeError::Aborted));
        causes.into_iter().chain(aborted).next().map_or(Ok(()), Err)
    })
}

fn put<S, T>(
    order: &InOrder<S, T>,
    number: u32,
    bytes: usize,
    piece: T,
    take: impl FnMut(&mut S, T) -> Result<(), LakeError>,
) -> Result<(), LakeError> {
    order.put(number, bytes, piece, take).map_err(|disorder| match disorder {
        Disorder::Failed(error) => error,
        Disorder::Aborted | Disorder::Missing(_) | Disorder::Repeated => LakeError::Aborted,
    })
}

/// A row group of the export.
fn encode(group: &Group<'_>) -> Result<EncodedGroup, LakeError> {
    let Group { snapshot, overlay, group, .. } = *group;
    let number = overlay.number(group).ok_or(LakeError::UnexpectedGroup(group))?;
    let rows = overlay.rows(number)?;
    let whole = rows.len() == check(snapshot, group, &rows)?;
    let file = snapshot.file(group)?;
    let index = group.group as usize;
    let mut encoder = GroupEncoder::new(rows.len())?;
    let natives = file.names().iter().filter(|name| name.starts_with(NATIVE_PREFIX)).map(|name| &**name);
    let all = STORED.iter().chain(RATED).map(|(name, _)| *name);
    for name in all.chain(natives) {
        let kind = charge::kind_of(name).unwrap_or(Kind::Text);
        let source = source(name);
        if overlay.has(number, name) {
            // The overlay's row group has exactly these rows: its columns are copied whatever the snapshot's are.
            overlay.copy(number, name, &mut encoder)?;
        } else if whole && file.copy(index, source, name, &mut encoder)? {
        } else if let Some(column) = file.read(index, source)? {
            encoder.push(name.into(), &column.gather(&rows))?;
        } else {
            encoder.push_null(name.into(), kind)?;
        }
    }
    encoder.finish()
}

/// The lines that rules added, with the columns that they have.
pub(super) fn lines(lines: &[RatedLine], bill: &BillPeriod) -> Result<Batch, LakeError> {
    let micros = |period: Period| {
        let start = period.first_day().to_zoned(jiff::tz::TimeZone::UTC).map(|start| start.timestamp().as_microsecond());
        start.map_err(|_| LakeError::batch("BillingPeriodStart", "a period outside of the calendar"))
    };
    let mut batch = Batch::new(lines.len());
    let text = |of: &dyn Fn(&RatedLine) -> Option<String>| {
        let values: Vec<Option<String>> = lines.iter().map(of).collect();
        Column::Text(TextColumn::from_rows(values.iter().map(|value| value.as_deref())))
    };
    let time = |micros: i64| Column::Time(TimeColumn { micros: vec![micros; lines.len()] });
    batch.push("SubAccountId", text(&|line| line.line.sub_account_id.clone()));
    batch.push("BillingPeriodStart", time(micros(bill.period)?));
    batch.push("BillingPeriodEnd", time(micros(bill.period.next())?));
    batch.push("BillingCurrency", text(&|_| Some(bill.currency.clone())));
    batch.push("ChargeCategory", text(&|line| Some(line.line.charge_category.clone())));
    batch.push("ChargeDescription", text(&|line| Some(line.line.description.clone())));
    batch.push("ServiceName", text(&|line| Some(line.line.service_name.clone())));
    batch.push(CUSTOMER_COST, Column::Money(MoneyColumn { units: lines.iter().map(|line| line.customer_cost.0).collect() }));
    let treated: Vec<_> = lines.iter().map(|line| line.treatment).collect();
    batch.push(TREATMENT, Column::Text(treatments(&treated)));
    batch.push(APPLIED_RULES, text(&|line| Some(line.applied.clone())));
    Ok(batch)
}

fn write_csv(out: &Path, export: Export<'_>, groups: &[Group<'_>], workers: usize, progress: &Progress) -> Result<(), LakeError> {
    let (unfinished, file) = Unfinished::create(out)?;
    let mut file = BufWriter::new(file);
    let text = CsvText::new();
    file.write_all(&text.header()).map_err(LakeError::io(out))?;
    // Each row group is written in pieces, numbered through.
    let firsts: Vec<u32> = groups.iter().scan(0, |first, group| Some(std::mem::replace(first, *first + pieces(group.rows)))).collect();
    let order = InOrder::new(file);
    let write = |file: &mut BufWriter<File>, piece: Vec<u8>| file.write_all(&piece).map_err(LakeError::io(out));
    each(groups, workers, progress, &order, |number, group| {
        let natives: Vec<Arc<str>> =
            group.snapshot.file(group.group)?.names().iter().filter(|name| name.starts_with(NATIVE_PREFIX)).cloned().collect();
        let names: Vec<&str> = STORED.iter().chain(RATED).map(|(name, _)| *name).chain(natives.iter().map(|name| &**name)).collect();
        let batch = read_rated(group.snapshot, group.overlay, group.group, &names)?;
        let rendered = text.render(&batch)?;
        for (piece, number) in (0..pieces(group.rows)).zip(firsts[number as usize]..) {
            let from = piece as usize * CSV_ROWS;
            let bytes = rendered.rows(from..(from + CSV_ROWS).min(batch.rows));
            put(&order, number, bytes.len(), bytes, write)?;
        }
        Ok(())
    })?;
    let (mut file, _) = order.finish().map_err(|_| LakeError::Aborted)?;
    if !export.lines.is_empty() {
        let lines = lines(export.lines, export.bill)?;
        file.write_all(&text.render(&lines)?.rows(0..lines.rows)).map_err(LakeError::io(out))?;
    }
    let file = file.into_inner().map_err(|error| LakeError::io(out)(error.into_error()))?;
    file.sync_all().map_err(LakeError::io(out))?;
    unfinished.publish()
}

fn pieces(rows: u32) -> u32 {
    u32::try_from((rows as usize).div_ceil(CSV_ROWS)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::super::tests::{batch, values};
    use super::super::{OverlayWriter, SnapshotWriter};
    use super::*;
    use crate::domain::chunk::ChunkId;
    use crate::domain::money::Amount;
    use crate::domain::rated::RatedGroup;
    use crate::domain::rule::{Line, Treatment};
    use crate::lake::reader::OpenFile;

    fn bill() -> BillPeriod {
        BillPeriod { period: "2026-09".parse().unwrap(), currency: "USD".to_owned() }
    }

    fn line() -> RatedLine {
        RatedLine {
            line: Line {
                description: "Support, \"gold\"".to_owned(),
                charge_category: "Purchase".to_owned(),
                service_name: "Support".to_owned(),
                sub_account_id: None,
                amount: Amount(5),
                reason: String::new(),
            },
            rule_id: "rul_1".to_owned(),
            rule: "support".to_owned(),
            customer_cost: Amount(7),
            treatment: Treatment::Keep,
            applied: "[]".to_owned(),
        }
    }

    /// Stores batches as one snapshot and rates them: every row, or every row but the first of each group.
    fn rated(dir: &Path, batches: &[Batch], all: bool) -> (SnapshotReader, OverlayReader) {
        let writer = SnapshotWriter::create(dir).unwrap();
        for (seq, batch) in (0..).zip(batches) {
            writer.append(ChunkId { file: 0, seq }, batch.clone()).unwrap();
        }
        let written = writer.finish().unwrap();
        let parts: Vec<PathBuf> = written.iter().flat_map(|period| &period.parts).map(|part| dir.join(&part.file_name)).collect();
        let snapshot = SnapshotReader::open(&parts).unwrap();
        let groups = snapshot.groups();
        let refs: Vec<GroupRef> = groups.iter().map(|(group, _)| *group).collect();
        let path = dir.join("run.parquet");
        let writer = OverlayWriter::create(&path, &refs, "{}").unwrap();
        for (group, rows) in groups {
            let rows: Vec<u32> = (u32::from(!all)..rows).collect();
            let n = rows.len();
            let name = TextColumn::constant(Some("relabelled"), n);
            let group_rated = RatedGroup {
                customer_cost: rows.iter().map(|row| i128::from(*row) * 10).collect(),
                rows,
                treatment: vec![Treatment::Drop; n],
                applied: TextColumn::constant(Some("[1]"), n),
                commitment_owner: TextColumn::constant(None, n),
                relabelled: if group.group == 0 {
                    vec![("ServiceName".into(), name.clone()), ("x_LineType".into(), name)]
                } else {
                    Vec::new()
                },
            };
            writer.write(group, &group_rated).unwrap();
        }
        writer.finish().unwrap();
        (snapshot, OverlayReader::open(&path).unwrap())
    }

    fn expected(sources: &[(&SnapshotReader, &OverlayReader)], name: &str) -> Vec<Option<String>> {
        let groups = |(snapshot, overlay): &(&SnapshotReader, &OverlayReader)| {
            let of = |(group, _)| values(&read_rated(snapshot, overlay, group, &[name]).unwrap().columns[0].1);
            overlay.groups().into_iter().flat_map(of).collect::<Vec<_>>()
        };
        sources.iter().flat_map(groups).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn copied_and_encoded_row_groups_hold_the_same_charges(
            one in prop::collection::vec(batch(), 1..4),
            other in prop::collection::vec(batch(), 1..3),
            all in any::<bool>(),
        ) {
            let (a, b, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (one, other) = (rated(a.path(), &one, all), rated(b.path(), &other, !all));
            let sources = [(&one.0, &one.1), (&other.0, &other.1)];
            let lines = [line()];
            let bill = bill();
            let export = Export { sources: &sources, lines: &lines, bill: &bill };
            let path = out.path().join("bill.parquet");
            let rows = super::export(&path, Format::Parquet, export, 3, &Progress::new()).unwrap();
            let again = out.path().join("again.parquet");
            super::export(&again, Format::Parquet, export, 1, &Progress::new()).unwrap();
            prop_assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());

            let file = OpenFile::open(&path).unwrap();
            // A source of which the tenant has no charge brings no columns.
            let shown = sources.iter().filter(|source| !expected(&[**source], "BilledCost").is_empty());
            let natives: std::collections::BTreeSet<_> = shown.flat_map(|(snapshot, _)| snapshot.natives()).collect();
            prop_assert_eq!(file.names().len(), STORED.len() + RATED.len() + natives.len());
            for name in file.names() {
                let of = |group| values(&file.read(group, name).unwrap().unwrap());
                let mut found: Vec<_> = (0..file.groups()).flat_map(of).collect();
                prop_assert_eq!(found.len() as u64, rows);
                let last = found.pop().unwrap();
                prop_assert_eq!(found, expected(&sources, name), "{}", name);
                let wanted = lines_value(name);
                prop_assert_eq!(last, wanted.map(str::to_owned), "{}", name);
            }

            let path = out.path().join("bill.csv");
            prop_assert_eq!(super::export(&path, Format::Csv, export, 3, &Progress::new()).unwrap(), rows);
            let mut reader = csv::Reader::from_path(&path).unwrap();
            let header = reader.headers().unwrap().clone();
            let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(records.len() as u64, rows);
            for (index, name) in header.iter().enumerate() {
                let found: Vec<&str> = records[..records.len() - 1].iter().map(|record| &record[index]).collect();
                if name == "x_Native" {
                    for (row, text) in found.iter().enumerate() {
                        let json: serde_json::Map<String, serde_json::Value> = if text.is_empty() { serde_json::Map::new() } else { serde_json::from_str(text).unwrap() };
                        for native in &natives {
                            let value = json.get(native.strip_prefix(NATIVE_PREFIX).unwrap()).and_then(|value| value.as_str());
                            prop_assert_eq!(value.map(str::to_owned), expected(&sources, native)[row].clone());
                        }
                    }
                } else if charge::kind_of(name) != Some(Kind::Time) {
                    let wanted: Vec<String> = expected(&sources, name).into_iter().map(Option::unwrap_or_default).collect();
                    prop_assert_eq!(found, wanted, "{}", name);
                }
            }
        }
    }

    fn lines_value(name: &str) -> Option<&'static str> {
        Some(match name {
            "BillingPeriodStart" => "1788220800000000",
            "BillingPeriodEnd" => "1790812800000000",
            "BillingCurrency" => "USD",
            "ChargeCategory" => "Purchase",
            "ChargeDescription" => "Support, \"gold\"",
            "ServiceName" => "Support",
            CUSTOMER_COST => "0.000000000000000007",
            TREATMENT => "keep",
            APPLIED_RULES => "[]",
            _ => return None,
        })
    }

    #[test]
    fn a_bill_without_charges_is_a_file_with_columns_and_no_rows() {
        let dir = tempfile::tempdir().unwrap();
        let bill = bill();
        let export = Export { sources: &[], lines: &[], bill: &bill };
        let path = dir.path().join("empty.parquet");
        assert_eq!(super::export(&path, Format::Parquet, export, 2, &Progress::new()).unwrap(), 0);
        assert_eq!(OpenFile::open(&path).unwrap().names().len(), STORED.len() + RATED.len());
        let path = dir.path().join("empty.csv");
        super::export(&path, Format::Csv, export, 2, &Progress::new()).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("x_CommitmentOwner,x_AppliedRules\r\n"));
    }

    #[test]
    fn an_overlay_on_another_snapshot_is_refused_and_a_cancelled_export_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let charges = |n| super::super::tests::charges(&vec![("a", "USD", 1, 1_788_220_800_000_000); n]);
        let (_, overlay) = rated(&dir.path().join("a"), &[charges(3)], true);
        let (snapshot, _) = rated(&dir.path().join("b"), &[charges(2)], true);
        let sources = [(&snapshot, &overlay)];
        let bill = bill();
        let export = Export { sources: &sources, lines: &[], bill: &bill };
        let out = dir.path().join("out");
        std::fs::create_dir(&out).unwrap();
        let path = out.join("bill.parquet");
        assert!(matches!(super::export(&path, Format::Parquet, export, 2, &Progress::new()), Err(LakeError::Corrupt { .. })));
        let progress = Progress::new();
        progress.cancel();
        assert!(matches!(super::export(&path, Format::Csv, export, 2, &progress), Err(LakeError::Aborted)));
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    }
}
