//! Lines as Parquet with the column types that AWS writes: doubles for costs and quantities, maps, timestamps, text.
//!
//! A double is read from the decimal text of its value, so that no float is computed with.

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::{ArrayBuilder, Float64Builder, MapBuilder, StringBuilder, TimestampMillisecondBuilder};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::columns::{Cell, Column, Row, Stored};
use super::decimal::{self, Units};
use super::line::Line;

/// Rows of a row group: AWS's files have them at about this size.
const GROUP_ROWS: usize = 128 * 1024;
/// Rows that are handed to the writer at once.
const BATCH_ROWS: usize = 8 * 1024;

pub(super) struct ParquetFile<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: SchemaRef,
    columns: Vec<(Column, Builder)>,
    rows: usize,
    number: Vec<u8>,
}

enum Builder {
    Text(StringBuilder),
    Double(Float64Builder),
    Time(TimestampMillisecondBuilder),
    TextMap(MapBuilder<StringBuilder, StringBuilder>),
    DoubleMap(MapBuilder<StringBuilder, Float64Builder>),
}

impl<W: Write + Send> ParquetFile<W> {
    pub(super) fn new(out: W, columns: Vec<Column>, names: &[&str]) -> Result<Self, ParquetError> {
        let columns: Vec<(Column, Builder)> = columns.into_iter().map(|column| (column, builder(column.stored))).collect();
        let fields: Fields =
            columns.iter().zip(names).map(|((column, _), name)| Field::new(*name, data_type(column.stored), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by("rerate bill generate".to_owned())
            .build();
        let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties))?;
        Ok(Self { writer, schema, columns, rows: 0, number: Vec::new() })
    }

    pub(super) fn write(&mut self, line: &Line<'_>, row: &Row<'_>) -> Result<(), ParquetError> {
        for (column, builder) in &mut self.columns {
            append(builder, (column.value)(line, row), &mut self.number)?;
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let arrays = self.columns.iter_mut().map(|(_, builder)| match builder {
            Builder::Text(b) => ArrayBuilder::finish(b),
            Builder::Double(b) => ArrayBuilder::finish(b),
            Builder::Time(b) => ArrayBuilder::finish(b),
            Builder::TextMap(b) => ArrayBuilder::finish(b),
            Builder::DoubleMap(b) => ArrayBuilder::finish(b),
        });
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays.collect()).map_err(ParquetError::from)?;
        self.rows = 0;
        self.writer.write(&batch)
    }

    pub(super) fn finish(mut self) -> Result<W, ParquetError> {
        self.flush()?;
        self.writer.into_inner()
    }
}

fn map_of(value: DataType) -> DataType {
    let entries = Fields::from(vec![Field::new("keys", DataType::Utf8, false), Field::new("values", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

fn data_type(stored: Stored) -> DataType {
    match stored {
        Stored::Text => DataType::Utf8,
        Stored::Double => DataType::Float64,
        Stored::Time => DataType::Timestamp(TimeUnit::Millisecond, None),
        Stored::TextMap => map_of(DataType::Utf8),
        Stored::DoubleMap => map_of(DataType::Float64),
    }
}

fn builder(stored: Stored) -> Builder {
    match stored {
        Stored::Text => Builder::Text(StringBuilder::new()),
        Stored::Double => Builder::Double(Float64Builder::new()),
        Stored::Time => Builder::Time(TimestampMillisecondBuilder::new()),
        Stored::TextMap => Builder::TextMap(MapBuilder::new(None, StringBuilder::new(), StringBuilder::new())),
        Stored::DoubleMap => Builder::DoubleMap(MapBuilder::new(None, StringBuilder::new(), Float64Builder::new())),
    }
}

/// The double nearest to the decimal: what its text reads as.
fn double(value: Units, number: &mut Vec<u8>) -> f64 {
    if value == 0 {
        return 0.0;
    }
    number.clear();
    decimal::java(value, number);
    std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

fn append(builder: &mut Builder, cell: Cell<'_>, number: &mut Vec<u8>) -> Result<(), ParquetError> {
    match (builder, cell) {
        (Builder::Text(b), Cell::Text(text) | Cell::Free(text)) => b.append_value(text),
        (Builder::Text(b), Cell::Rate(value)) => {
            number.clear();
            decimal::fixed(value, number);
            b.append_value(std::str::from_utf8(number).unwrap_or_default());
        }
        (Builder::Text(b), _) => b.append_null(),
        (Builder::Double(b), Cell::Double(value) | Cell::Plain(value)) => b.append_value(double(value, number)),
        (Builder::Double(b), _) => b.append_null(),
        (Builder::Time(b), Cell::Time(_, seconds)) => b.append_value(seconds * 1_000),
        (Builder::Time(b), _) => b.append_null(),
        (Builder::TextMap(b), cell) => {
            if let Cell::Map(pairs) = cell {
                for (key, value) in &pairs.pairs {
                    b.keys().append_value(key);
                    b.values().append_value(value);
                }
            }
            b.append(true).map_err(ParquetError::from)?;
        }
        (Builder::DoubleMap(b), cell) => {
            if let Cell::Discount(Some((name, value))) = cell {
                b.keys().append_value(name);
                b.values().append_value(double(value, number));
            }
            b.append(true).map_err(ParquetError::from)?;
        }
    }
    Ok(())
}
