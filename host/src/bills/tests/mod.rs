//! Bills in, charges out: exact totals, the same whatever the chunks, and messages that say where to look.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::import::import_in_chunks;
use super::*;
use crate::domain::chunk::ChunkId;
use crate::domain::columns::{Batch, Column};
use crate::domain::money::{self, Amount};
use crate::domain::progress::Progress;

mod faults;
mod layouts;
mod quirks;
mod totals;

const WHOLE: usize = 64 << 20;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read_in_chunks(bill: &Bill, chunk_bytes: usize) -> Result<(ImportReport, BTreeMap<ChunkId, Batch>), BillError> {
    let batches = Mutex::new(BTreeMap::new());
    let sink = |id, batch| {
        assert!(batches.lock().unwrap().insert(id, batch).is_none(), "a chunk comes once");
        Ok(())
    };
    let report = import_in_chunks(bill, 3, chunk_bytes, &Progress::new(), &sink)?;
    Ok((report, batches.into_inner().unwrap()))
}

fn read(path: &Path) -> (ImportReport, BTreeMap<ChunkId, Batch>) {
    let bill = discover(path).unwrap().remove(0);
    read_in_chunks(&bill, WHOLE).unwrap()
}

/// All rows as maps of what is not null, in file order.
fn rows(batches: &BTreeMap<ChunkId, Batch>) -> Vec<BTreeMap<String, String>> {
    let mut all = Vec::new();
    for batch in batches.values() {
        for row in 0..batch.rows {
            let cells = batch.columns.iter().filter_map(|(name, column)| {
                let text = match column {
                    Column::Text(column) => column.get(row)?.to_owned(),
                    Column::Money(column) => column.get(row)?.to_string(),
                    Column::Time(column) if column.micros[row] == crate::domain::columns::NULL_TIME => return None,
                    Column::Time(column) => jiff::Timestamp::from_microsecond(column.micros[row]).unwrap().to_string(),
                };
                Some((name.to_string(), text))
            });
            all.push(cells.collect());
        }
    }
    all
}

fn sum<'a>(rows: impl IntoIterator<Item = &'a BTreeMap<String, String>>, column: &str) -> Amount {
    let units = rows.into_iter().filter_map(|row| row.get(column)).map(|text| Amount::parse_exact(text).unwrap().0);
    Amount(units.sum::<i128>())
}

fn amount(value: &serde_json::Value) -> Amount {
    Amount::parse_exact(value.as_str().unwrap()).unwrap()
}

fn cur2_text() -> String {
    std::fs::read_to_string(project("tests/cases/edge/cur2_all_line_types.csv")).unwrap()
}

fn legacy_text() -> String {
    std::fs::read_to_string(project("tests/cases/edge/legacy_cur_all_line_types.csv")).unwrap()
}

/// Imports bytes under a name.
fn import_bytes(name: &str, bytes: &[u8], chunk_bytes: usize) -> Result<(ImportReport, BTreeMap<ChunkId, Batch>), BillError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read_in_chunks(&discover(&path).unwrap()[0], chunk_bytes)
}

fn message(name: &str, bytes: &[u8]) -> String {
    import_bytes(name, bytes, WHOLE).map(|(report, _)| report).unwrap_err().to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
