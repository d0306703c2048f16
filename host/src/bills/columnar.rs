//! Parquet bills: row batches to source columns.
//!
//! Cost exports in Parquet hold doubles. A double's shortest text that reads back as the same double is the decimal that was written
//! (checked on thousands of real AWS values), so that money still goes through text and never through float arithmetic.

use std::fmt::Write as _;
use std::fs::File;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::cells::{Fault, MoneyCells, Role, TextCells, TimeCells, no_nul};
use super::error::{At, BillError, Place};
use super::format::Layout;
use super::raw::{Cells, Position, Raw, fault_error};
use super::source::Source;
use super::time::DAY;
use crate::domain::columns::NULL_TIME;
use crate::domain::progress::Progress;

/// Rows of a chunk at most.
const CHUNK_ROWS: usize = 65_536;

/// Reads one row group chunk by chunk; row groups of a file are read side by side.
pub(super) struct RowsReader {
    pub(super) file: u32,
    pub(super) name: Arc<str>,
    pub(super) layout: Arc<Layout>,
    source: Source,
    metadata: ArrowReaderMetadata,
    group: usize,
    bytes: u64,
    reader: Option<ParquetRecordBatchReader>,
    seq: u32,
    first_row: u64,
}

/// The next rows of a reader.
pub(super) struct Rows {
    pub(super) seq: u32,
    pub(super) first_row: u64,
    pub(super) batch: RecordBatch,
}

fn broken(name: &str, error: impl ToString) -> BillError {
    BillError::Container { file: name.to_owned(), kind: "Parquet", what: error.to_string() }
}

/// What reading gives, or that the file is damaged: the Parquet reader panics at some contradictions in a file, and a worker that is gone
/// would leave the others waiting for it.
fn caught<T>(name: &str, read: impl FnOnce() -> Result<T, BillError>) -> Result<T, BillError> {
    let contradiction = || broken(name, "it contradicts itself, so that it is damaged; fetch the file again");
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|_| Err(contradiction()))
}

/// The readers of a file, one a row group.
pub(super) fn open(source: &Source, file: u32, progress: &Progress) -> Result<(Arc<Layout>, Vec<RowsReader>), BillError> {
    caught(&source.name, || open_unguarded(source, file, progress))
}

fn open_unguarded(source: &Source, file: u32, progress: &Progress) -> Result<(Arc<Layout>, Vec<RowsReader>), BillError> {
    let io = |error| BillError::Io { path: source.path.clone(), source: error };
    let input = File::open(&source.path).map_err(io)?;
    let metadata = ArrowReaderMetadata::load(&input, ArrowReaderOptions::new()).map_err(|error| broken(&source.name, error))?;
    if let Some(field) = metadata.schema().fields().iter().find(|field| !is_written(field.data_type())) {
        let (name, kind) = (field.name(), field.data_type());
        let what = format!("its column {name} is of the type {kind}, which no bill has; export it as text, or without that column");
        return Err(broken(&source.name, what));
    }
    let headers = metadata.schema().fields().iter().map(|field| field.name().clone()).collect();
    let layout = Arc::new(Layout::detect(&source.name, headers)?);
    let name: Arc<str> = Arc::from(source.name.as_str());
    let (mut seq, mut first_row) = (0, 1);
    let mut readers = Vec::new();
    let mut others = input.metadata().map_err(io)?.len();
    for (group, about) in metadata.metadata().row_groups().iter().enumerate() {
        let rows = u64::try_from(about.num_rows()).unwrap_or(0);
        let bytes = u64::try_from(about.compressed_size()).unwrap_or(0);
        others = others.saturating_sub(bytes);
        if rows == 0 {
            continue;
        }
        readers.push(RowsReader {
            file,
            name: Arc::clone(&name),
            layout: Arc::clone(&layout),
            source: source.clone(),
            metadata: metadata.clone(),
            group,
            bytes,
            reader: None,
            seq,
            first_row,
        });
        seq += u32::try_from(rows.div_ceil(CHUNK_ROWS as u64)).map_err(|error| broken(&source.name, error))?;
        first_row += rows;
    }
    progress.advance(others, 0);
    Ok((layout, readers))
}

impl RowsReader {
    pub(super) fn next(&mut self, progress: &Progress) -> Result<Option<Rows>, BillError> {
        let name = Arc::clone(&self.name);
        caught(&name, || self.next_unguarded(progress))
    }

    fn next_unguarded(&mut self, progress: &Progress) -> Result<Option<Rows>, BillError> {
        if self.reader.is_none() {
            let input = File::open(&self.source.path).map_err(|source| BillError::Io { path: self.source.path.clone(), source })?;
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, self.metadata.clone());
            let reader = builder.with_row_groups(vec![self.group]).with_batch_size(CHUNK_ROWS).build();
            self.reader = Some(reader.map_err(|error| broken(&self.name, error))?);
            progress.advance(self.bytes, 0);
        }
        let Some(batch) = self.reader.as_mut().and_then(Iterator::next) else { return Ok(None) };
        let batch = batch.map_err(|error| broken(&self.name, error))?;
        let rows = Rows { seq: self.seq, first_row: self.first_row, batch };
        self.seq += 1;
        self.first_row += rows.batch.num_rows() as u64;
        Ok(Some(rows))
    }
}

impl<'a> Raw<'a> {
    /// Reads the columns of a row batch.
    pub(super) fn of_rows(file: &'a str, layout: &'a Layout, rows: &Rows) -> Result<Self, BillError> {
        let mut cells = Vec::with_capacity(layout.headers.len());
        for ((array, role), header) in rows.batch.columns().iter().zip(&layout.roles).zip(&layout.headers) {
            let column = column(array, *role).map_err(|(row, fault)| {
                let at = At::Row(rows.first_row + row as u64);
                fault_error(fault, Place { file: file.to_owned(), at, column: Some(header.clone()) })
            });
            cells.push(column?);
        }
        let position = Position::Rows { first: rows.first_row };
        Ok(Self { file, headers: &layout.headers, rows: rows.batch.num_rows(), cells, position })
    }
}

fn column<'a>(array: &ArrayRef, role: Role) -> Result<Cells<'a>, (usize, Fault)> {
    let rows = array.len();
    match role {
        Role::Text | Role::Key => {
            let mut cells = TextCells::new(rows);
            each_text(array, &mut |text| {
                cells.push(text.filter(|text| !text.is_empty()));
                Ok(())
            })?;
            let column = cells.finish();
            for (value, code) in column.values.iter().zip(0_u32..) {
                let row = || column.codes.iter().position(|of_row| *of_row == code).unwrap_or_default();
                no_nul(value).map_err(|fault| (row(), fault))?;
            }
            Ok(Cells::Text(column))
        }
        Role::Money(role) => {
            let mut cells = MoneyCells::new(role, rows);
            each_text(array, &mut |text| cells.push_text(text.unwrap_or_default()))?;
            Ok(Cells::Money(cells))
        }
        Role::Time => {
            let mut cells = TimeCells::new(rows);
            if let Some(micros) = micros(array) {
                cells.micros = micros;
            } else {
                each_text(array, &mut |text| cells.push_text(text.unwrap_or_default()))?;
            }
            Ok(Cells::Time(cells))
        }
    }
}

/// Microseconds of a column that holds times as such.
fn micros(array: &ArrayRef) -> Option<Vec<i64>> {
    macro_rules! scaled {
        ($kind:ty, $scale:expr) => {
            array.as_primitive::<$kind>().iter().map(|value| value.map_or(NULL_TIME, $scale)).collect()
        };
    }
    Some(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => scaled!(TimestampSecondType, |value| value.saturating_mul(1_000_000)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => scaled!(TimestampMillisecondType, |value| value.saturating_mul(1_000)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => scaled!(TimestampMicrosecondType, |value| value),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => scaled!(TimestampNanosecondType, |value| value.div_euclid(1_000)),
        DataType::Date32 => scaled!(Date32Type, |value| i64::from(value).saturating_mul(DAY)),
        _ => return None,
    })
}

/// What a row's text is given to; the row number of a failure is added by the caller.
type Take<'t> = &'t mut dyn FnMut(Option<&str>) -> Result<(), Fault>;

/// Every row of a column as text; maps, lists and structs as JSON.
fn each_text(array: &ArrayRef, take: Take<'_>) -> Result<(), (usize, Fault)> {
    macro_rules! strings {
        ($strings:expr) => {
            $strings.iter().enumerate().try_for_each(|(row, text)| take(text).map_err(|fault| (row, fault)))
        };
    }
    match array.data_type() {
        DataType::Utf8 => strings!(array.as_string::<i32>()),
        DataType::LargeUtf8 => strings!(array.as_string::<i64>()),
        DataType::Utf8View => strings!(array.as_string_view()),
        kind => {
            let dictionary = matches!(kind, DataType::Dictionary(_, _)).then(|| array.as_any_dictionary());
            let keys = dictionary.map(|dictionary| dictionary.normalized_keys());
            let mut text = String::new();
            for row in 0..array.len() {
                text.clear();
                let present = match (dictionary, &keys) {
                    (Some(dictionary), Some(keys)) => !array.is_null(row) && write_value(dictionary.values(), keys[row], false, &mut text),
                    _ => write_value(array, row, false, &mut text),
                };
                take(present.then_some(text.as_str())).map_err(|fault| (row, fault))?;
            }
            Ok(())
        }
    }
}

/// Whether [`write_value`] writes values of a type; of no other would anything be left.
fn is_written(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_written(values),
        DataType::List(item) | DataType::LargeList(item) => is_written(item.data_type()),
        DataType::Map(entries, _) => is_written(entries.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_written(field.data_type())),
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::Boolean => true,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => true,
        DataType::Float32 | DataType::Float64 | DataType::Date32 | DataType::Timestamp(..) => true,
        kind => kind.is_integer(),
    }
}

/// Writes one value, in JSON with its quotes; false for null.
fn write_value(array: &ArrayRef, row: usize, json: bool, out: &mut String) -> bool {
    if array.is_null(row) {
        return false;
    }
    macro_rules! shown {
        ($kind:ty) => {{
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", array.as_primitive::<$kind>().value(row));
        }};
    }
    match array.data_type() {
        DataType::Null => return false,
        DataType::Utf8 => write_text(array.as_string::<i32>().value(row), json, out),
        DataType::LargeUtf8 => write_text(array.as_string::<i64>().value(row), json, out),
        DataType::Utf8View => write_text(array.as_string_view().value(row), json, out),
        DataType::Binary => write_text(&String::from_utf8_lossy(array.as_binary::<i32>().value(row)), json, out),
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => shown!(Int8Type),
        DataType::Int16 => shown!(Int16Type),
        DataType::Int32 => shown!(Int32Type),
        DataType::Int64 => shown!(Int64Type),
        DataType::UInt8 => shown!(UInt8Type),
        DataType::UInt16 => shown!(UInt16Type),
        DataType::UInt32 => shown!(UInt32Type),
        DataType::UInt64 => shown!(UInt64Type),
        DataType::Float32 => shown!(Float32Type),
        DataType::Float64 => shown!(Float64Type),
        DataType::Decimal32(_, scale) => write_decimal(array.as_primitive::<Decimal32Type>().value(row), *scale, out),
        DataType::Decimal64(_, scale) => write_decimal(array.as_primitive::<Decimal64Type>().value(row), *scale, out),
        DataType::Decimal128(_, scale) => write_decimal(array.as_primitive::<Decimal128Type>().value(row), *scale, out),
        DataType::Decimal256(_, scale) => write_decimal(array.as_primitive::<Decimal256Type>().value(row), *scale, out),
        DataType::Dictionary(_, _) => {
            let one = array.slice(row, 1);
            let dictionary = one.as_any_dictionary();
            return dictionary.normalized_keys().first().is_some_and(|key| write_value(dictionary.values(), *key, json, out));
        }
        DataType::Map(_, _) => write_map(array, row, out),
        DataType::List(_) => write_list(&array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => write_list(&array.as_list::<i64>().value(row), out),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            out.push('{');
            for (index, (field, column)) in fields.iter().zip(columns).enumerate() {
                write_member(index, field.name(), column, row, out);
            }
            out.push('}');
        }
        _ => match micros(&array.slice(row, 1)).and_then(|micros| jiff::Timestamp::from_microsecond(*micros.first()?).ok()) {
            Some(time) => write_text(&time.to_string(), json, out),
            None => return false,
        },
    }
    true
}

fn write_text(text: &str, json: bool, out: &mut String) {
    if json {
        // Writing a string as JSON cannot fail.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    } else {
        out.push_str(text);
    }
}

fn write_member(index: usize, name: &str, column: &ArrayRef, row: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
    write_text(name, true, out);
    out.push(':');
    if !write_value(column, row, true, out) {
        out.push_str("null");
    }
}

fn write_map(array: &ArrayRef, row: usize, out: &mut String) {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    out.push('{');
    let mut key = String::new();
    for entry in 0..entries.len() {
        key.clear();
        write_value(keys, entry, false, &mut key);
        write_member(entry, &key, values, entry, out);
    }
    out.push('}');
}

fn write_list(items: &ArrayRef, out: &mut String) {
    out.push('[');
    for item in 0..items.len() {
        if item > 0 {
            out.push(',');
        }
        if !write_value(items, item, true, out) {
            out.push_str("null");
        }
    }
    out.push(']');
}

fn write_decimal(units: impl ToString, scale: i8, out: &mut String) {
    let text = units.to_string();
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let decimals = usize::try_from(scale).unwrap_or(0);
    if digits.len() < text.len() {
        out.push('-');
    }
    // Writing to a string cannot fail.
    let _ = match digits.len().checked_sub(decimals) {
        Some(0) | None => write!(out, "0.{digits:0>decimals$}"),
        Some(whole) if decimals > 0 => write!(out, "{}.{}", &digits[..whole], &digits[whole..]),
        Some(_) => write!(out, "{digits}{}", "0".repeat(if scale < 0 { usize::from(scale.unsigned_abs()) } else { 0 })),
    };
}
