//! Snapshots through files and back; random batches come from [`batch`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::charge::{Kind, STORED};
use crate::domain::chunk::ChunkId;
use crate::domain::columns::{Batch, Column, MoneyColumn, NULL_TIME, TextColumn, TimeColumn};
use crate::domain::money::{self, Amount};
use crate::domain::rated::GroupRef;

const SEPTEMBER: i64 = 1_788_220_800_000_000; // 2026-09-01T00:00:00Z
const DAY: i64 = 86_400_000_000;
const LARGEST: i128 = 10_i128.pow(38) - 1;

pub(super) fn text_column(rows: usize) -> impl Strategy<Value = TextColumn> {
    let value = prop_oneof![4 => "[a-c]{0,2}", 1 => "\\PC{0,12}"];
    let row = prop_oneof![3 => value.prop_map(Some), 1 => Just(None)];
    prop_oneof![
        prop::collection::vec(row, rows).prop_map(|rows| TextColumn::from_rows(rows.iter().map(|row| row.as_deref()))),
        Just(TextColumn::constant(None, rows)),
        Just(TextColumn::constant(Some("constant"), rows)),
    ]
}

pub(super) fn column(kind: Kind, rows: usize) -> BoxedStrategy<Column> {
    let units = prop_oneof![2 => Just(0), 1 => Just(money::NULL), 2 => -3_i128..3, 2 => -LARGEST..=LARGEST];
    let micros = prop_oneof![Just(NULL_TIME), (0_i64..40).prop_map(|day| SEPTEMBER + day * DAY), any::<i64>()];
    match kind {
        Kind::Text => text_column(rows).prop_map(Column::Text).boxed(),
        Kind::Money => prop::collection::vec(units, rows).prop_map(|units| Column::Money(MoneyColumn { units })).boxed(),
        Kind::Time => prop::collection::vec(micros, rows).prop_map(|micros| Column::Time(TimeColumn { micros })).boxed(),
    }
}

/// Charges of September 2026 with any stored columns and some of the source's own; billed in amounts that can be summed.
pub(super) fn batch() -> impl Strategy<Value = Batch> {
    let natives = prop::collection::vec("[a-d./ ]{1,3}", 0..4);
    (1_usize..60, natives, any::<u64>()).prop_flat_map(|(rows, mut natives, mask)| {
        natives.sort();
        natives.dedup();
        let stored = STORED
            .iter()
            .enumerate()
            .filter(move |(index, (name, _))| mask >> index & 1 == 1 && !["BillingPeriodStart", "BilledCost"].contains(name));
        let stored = stored.map(|(_, (name, kind))| ((*name).to_owned(), *kind));
        let all = stored.chain(natives.into_iter().map(|name| (format!("x_Native.{name}"), Kind::Text)));
        let columns: Vec<_> = all.map(|(name, kind)| column(kind, rows).prop_map(move |column| (name.as_str().into(), column))).collect();
        let billed = prop::collection::vec(prop_oneof![Just(money::NULL), -1_000_i128..1_000], rows);
        (columns, billed).prop_map(move |(columns, billed)| {
            let mut batch = Batch { rows, columns };
            batch.push("BillingPeriodStart", Column::Time(TimeColumn { micros: vec![SEPTEMBER; rows] }));
            batch.push("BilledCost", Column::Money(MoneyColumn { units: billed }));
            batch
        })
    })
}

/// The values of a column row by row: equal columns may number their texts differently.
pub(super) fn values(column: &Column) -> Vec<Option<String>> {
    (0..column.len())
        .map(|row| match column {
            Column::Text(column) => column.get(row).map(str::to_owned),
            Column::Money(column) => column.get(row).map(|amount| amount.to_string()),
            Column::Time(column) => (column.micros[row] != NULL_TIME).then(|| column.micros[row].to_string()),
        })
        .collect()
}

fn snapshot(dir: &Path, chunks: Vec<(ChunkId, Batch)>) -> Vec<WrittenPeriod> {
    let writer = SnapshotWriter::create(dir).unwrap();
    for (chunk, batch) in chunks {
        writer.append(chunk, batch).unwrap();
    }
    writer.finish().unwrap()
}

fn paths(dir: &Path, written: &[WrittenPeriod]) -> Vec<PathBuf> {
    written.iter().flat_map(|period| &period.parts).map(|part| dir.join(&part.file_name)).collect()
}

fn chunk(file: u32, seq: u32) -> ChunkId {
    ChunkId { file, seq }
}

/// A small batch: account, currency, cost and period start of each row.
pub(super) fn charges(rows: &[(&str, &str, i128, i64)]) -> Batch {
    let mut batch = Batch::new(rows.len());
    let text = |get: fn(&(&str, &str, i128, i64)) -> String| {
        let values: Vec<String> = rows.iter().map(get).collect();
        Column::Text(TextColumn::from_rows(values.iter().map(|value| Some(value.as_str()))))
    };
    batch.push("BillingAccountId", Column::Text(TextColumn::constant(Some("payer"), rows.len())));
    batch.push("SubAccountId", text(|row| row.0.to_owned()));
    batch.push("SubAccountName", text(|row| format!("name of {}", row.0)));
    batch.push("BillingCurrency", text(|row| row.1.to_owned()));
    batch.push("BilledCost", Column::Money(MoneyColumn { units: rows.iter().map(|row| row.2).collect() }));
    batch.push("BillingPeriodStart", Column::Time(TimeColumn { micros: rows.iter().map(|row| row.3).collect() }));
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_column_of_every_chunk_comes_back(batches in prop::collection::vec(batch(), 1..4)) {
        let dir = tempfile::tempdir().unwrap();
        let chunks = batches.iter().enumerate().map(|(seq, batch)| (chunk(0, u32::try_from(seq).unwrap()), batch.clone())).collect();
        let written = snapshot(dir.path(), chunks);
        let reader = SnapshotReader::open(&paths(dir.path(), &written)).unwrap();
        prop_assert_eq!(reader.groups().len(), batches.len());
        let natives = reader.natives();
        let names: Vec<&str> = STORED.iter().map(|(name, _)| *name).chain(natives.iter().map(|name| &**name)).collect();
        for ((group, rows), batch) in reader.groups().into_iter().zip(&batches) {
            prop_assert_eq!(rows as usize, batch.rows);
            let read = reader.read(group, &names).unwrap();
            for (name, column) in &read.columns {
                let expected = batch.column(name).map_or_else(|| vec![None; batch.rows], values);
                prop_assert_eq!(values(column), expected, "{}", name);
            }
            prop_assert!(batch.columns.iter().all(|(name, _)| names.contains(&&**name)));
        }
        let billed: i128 = batches.iter().flat_map(|batch| &batch.money("BilledCost").unwrap().units).filter(|units| **units != money::NULL).sum();
        prop_assert_eq!(written[0].totals.iter().map(|total| total.billed.0).sum::<i128>(), billed);
    }

    #[test]
    fn a_damaged_file_gives_an_error_or_other_values_but_no_panic(place in any::<prop::sample::Index>(), byte in any::<u8>(), batch in batch()) {
        let dir = tempfile::tempdir().unwrap();
        let written = snapshot(dir.path(), vec![(chunk(0, 0), batch)]);
        let path = paths(dir.path(), &written).remove(0);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        std::fs::write(&path, bytes).unwrap();
        if let Ok(reader) = SnapshotReader::open(&[path]) {
            for (group, _) in reader.groups() {
                for (name, _) in STORED {
                    let _ = reader.read(group, &[name]);
                }
            }
        }
    }
}

#[test]
fn a_chunk_of_two_periods_is_split_and_each_period_has_its_sums() {
    let dir = tempfile::tempdir().unwrap();
    let october = SEPTEMBER + 30 * DAY;
    let rows = [("a", "USD", 5, SEPTEMBER), ("b", "USD", 7, october), ("a", "USD", 11, SEPTEMBER), ("a", "EUR", 13, october)];
    let written = snapshot(dir.path(), vec![(chunk(3, 0), charges(&rows)), (chunk(3, 1), charges(&rows[..1]))]);
    let names: Vec<_> = written.iter().flat_map(|period| &period.parts).map(|part| (part.file_name.as_str(), part.rows)).collect();
    assert_eq!(names, [("2026-09-00003.parquet", 3), ("2026-10-00003.parquet", 2)]);
    assert_eq!(written[0].totals, [CurrencyTotal { currency: "USD".to_owned(), billed: Amount(21) }]);
    let october = &written[1];
    let totals: Vec<_> = october.totals.iter().map(|total| (total.currency.as_str(), total.billed.0)).collect();
    assert_eq!(totals, [("EUR", 13), ("USD", 7)]);
    let accounts: Vec<_> =
        october.subaccounts.iter().map(|s| (s.sub_account_id.as_deref(), s.name.as_deref(), s.rows, s.billed.0)).collect();
    assert_eq!(accounts, [(Some("a"), Some("name of a"), 1, 13), (Some("b"), Some("name of b"), 1, 7)]);
    assert_eq!(october.payers, ["payer"]);
    let reader = SnapshotReader::open(&paths(dir.path(), &written[1..])).unwrap();
    let read = reader.read(GroupRef { part: 0, group: 0 }, &["SubAccountId", "BilledCost"]).unwrap();
    assert_eq!(values(&read.columns[0].1), [Some("b".to_owned()), Some("a".to_owned())]);
    assert_eq!(read.money("BilledCost").unwrap().units, [7, 13]);
}

#[test]
fn a_charge_without_a_period_is_refused_by_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let writer = SnapshotWriter::create(dir.path()).unwrap();
    let batch = charges(&[("a", "USD", 1, SEPTEMBER), ("a", "USD", 1, NULL_TIME)]);
    let error = writer.append(chunk(2, 9), batch).unwrap_err();
    assert_eq!(error.to_string(), "row 1 of chunk 9 of file 2 has neither BillingPeriodStart nor ChargePeriodStart");
    assert!(matches!(writer.finish(), Err(LakeError::Aborted)));
}

#[test]
fn threads_in_any_order_write_the_same_bytes() {
    let batches: Vec<Batch> = (0..40).map(|n| charges(&[("a", "USD", n, SEPTEMBER), ("b", "EUR", 2, SEPTEMBER)])).collect();
    let one = tempfile::tempdir().unwrap();
    let written =
        snapshot(one.path(), batches.iter().cloned().enumerate().map(|(n, b)| (chunk(0, u32::try_from(n).unwrap()), b)).collect());
    let other = tempfile::tempdir().unwrap();
    let writer = SnapshotWriter::create(other.path()).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (writer, batches) = (&writer, &batches);
            scope.spawn(move || {
                for n in (0..batches.len()).rev().filter(|n| n % 4 == worker) {
                    writer.append(chunk(0, u32::try_from(n).unwrap()), batches[n].clone()).unwrap();
                }
            });
        }
    });
    assert_eq!(writer.finish().unwrap(), written);
    let bytes = |dir: &Path| std::fs::read(paths(dir, &written).remove(0)).unwrap();
    assert_eq!(bytes(one.path()), bytes(other.path()));
}

#[test]
fn a_missing_chunk_is_noticed_and_nothing_is_left_in_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let writer = SnapshotWriter::create(dir.path()).unwrap();
    writer.append(chunk(0, 0), charges(&[("a", "USD", 1, SEPTEMBER)])).unwrap();
    writer.append(chunk(0, 2), charges(&[("a", "USD", 1, SEPTEMBER)])).unwrap();
    assert!(matches!(writer.append(chunk(1, 0), Batch::new(0)), Ok(())));
    assert!(matches!(writer.finish(), Err(LakeError::MissingChunk(ChunkId { file: 0, seq: 1 }))));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn leftovers_of_a_crash_are_cleaned_and_whole_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    snapshot(dir.path(), vec![(chunk(0, 0), charges(&[("a", "USD", 1, SEPTEMBER)]))]);
    std::fs::write(dir.path().join("2026-09-00001.parquet.unfinished"), "half").unwrap();
    assert_eq!(clean(dir.path()).unwrap(), 1);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn single_tags_and_absent_columns_are_read_and_unknown_names_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut batch = charges(&[("a", "USD", 1, SEPTEMBER), ("b", "USD", 2, SEPTEMBER)]);
    batch.push("Tags", Column::Text(TextColumn::from_rows([Some(r#"{"team":"x","env":"p"}"#), None])));
    batch.push("x_Native.lineItem/UsageType", Column::Text(TextColumn::from_rows([None, Some("Box")])));
    let written = snapshot(dir.path(), vec![(chunk(0, 0), batch)]);
    let reader = SnapshotReader::open(&paths(dir.path(), &written)).unwrap();
    let group = GroupRef { part: 0, group: 0 };
    let names = ["Tags.env", "x_Native.lineItem/UsageType", "Tags.team", "x_Native.absent", "x_CustomerCost"];
    let read = reader.read(group, &names).unwrap();
    let rows: Vec<_> = read.columns.iter().map(|(_, column)| values(column)).collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(rows, [vec![some("p"), None], vec![None, some("Box")], vec![some("x"), None], vec![None; 2], vec![None; 2]]);
    assert!(matches!(reader.read(group, &["Nonsense"]), Err(LakeError::NoSuchColumn(_))));
    assert!(reader.has_column("Tags.any") && reader.has_column("x_Native.lineItem/UsageType") && !reader.has_column("x_Native.absent"));
    assert!(matches!(reader.read(GroupRef { part: 0, group: 1 }, &[]), Err(LakeError::NoSuchGroup { .. })));
}

#[test]
fn texts_that_no_row_uses_are_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut batch = charges(&[("a", "USD", 1, SEPTEMBER), ("b", "USD", 2, SEPTEMBER), ("c", "USD", 2, SEPTEMBER)]);
    batch.push("ServiceName", Column::Text(TextColumn::from_rows([Some("one"), Some("two"), Some("three")])));
    let written = snapshot(dir.path(), vec![(chunk(0, 0), batch.gather(&[2, 0]))]);
    let reader = SnapshotReader::open(&paths(dir.path(), &written)).unwrap();
    let read = reader.read(GroupRef { part: 0, group: 0 }, &["ServiceName"]).unwrap();
    let column = read.text("ServiceName").unwrap();
    assert_eq!(Arc::unwrap_or_clone(column.values.clone()).iter().collect::<Vec<_>>(), ["one", "three"]);
    assert_eq!((column.get(0), column.get(1)), (Some("three"), Some("one")));
}

#[test]
fn a_bill_of_more_periods_than_anybody_keeps_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let of = |periods: i64| {
        let writer = SnapshotWriter::create(&dir.path().join(periods.to_string())).unwrap();
        let rows = usize::try_from(periods).unwrap();
        let mut batch = Batch::new(rows);
        let starts = (0..periods).map(|period| SEPTEMBER - period * 31 * DAY).collect();
        batch.push("BillingPeriodStart", Column::Time(TimeColumn { micros: starts }));
        writer.append(ChunkId { file: 0, seq: 0 }, batch).map_err(|error| error.to_string())?;
        Ok::<_, String>(writer.finish().unwrap().len())
    };
    assert!(of(230).unwrap() > 200);
    assert_eq!(of(300).unwrap_err(), "the list of a bill's billing periods has more than 240");
}
