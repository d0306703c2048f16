//! The bytes of a column chunk back to a column: codes to codes, without making a string for each row.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader as _};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::hybrid;
use crate::domain::charge::Kind;
use crate::domain::columns::{Column, Dictionary, NULL_CODE, NULL_TIME};
use crate::domain::money;

/// What is wrong with a column chunk.
pub(super) type Flaw = String;

/// The bytes of one column chunk, addressed as in its file.
struct ChunkBytes {
    start: u64,
    bytes: Bytes,
}

impl Length for ChunkBytes {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkBytes {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let at = start.checked_sub(self.start).and_then(|at| usize::try_from(at).ok()).filter(|at| *at <= self.bytes.len());
        at.map(|at| self.bytes.slice(at..)).ok_or_else(|| ParquetError::EOF("a page lies outside of its column".to_owned()))
    }
}

impl ChunkReader for ChunkBytes {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF("a page ends outside of its column".to_owned()));
        }
        Ok(bytes.slice(..length))
    }
}

/// Decodes a column of `rows` rows. `start` is the place of `bytes` in the file that `metadata` speaks of.
pub(super) fn decode(kind: Kind, rows: usize, metadata: &ColumnChunkMetaData, start: u64, bytes: Bytes) -> Result<Column, Flaw> {
    let chunk = Arc::new(ChunkBytes { start, bytes });
    let mut pages = SerializedPageReader::new(chunk, metadata, rows, None).map_err(|error| error.to_string())?;
    let mut out = Decoder::new(kind, rows);
    while let Some(page) = pages.get_next_page().map_err(|error| error.to_string())? {
        match page {
            Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN | Encoding::PLAIN_DICTIONARY, .. } => {
                out.dictionary(&buf, num_values as usize)?;
            }
            Page::DataPage { buf, num_values, encoding, def_level_encoding: Encoding::RLE, .. } => {
                out.data(&buf, num_values as usize, encoding)?;
            }
            other => return Err(format!("a page of type {:?} and encoding {} is not ours", other.page_type(), other.encoding())),
        }
    }
    out.finish()
}

/// Gathers the pages of one column. Plain pages of text extend the dictionary by a value a row: correct, and rare enough.
struct Decoder {
    rows: usize,
    column: Column,
    dictionary: Column,
    text: Dictionary,
    coded: usize,
    scratch: Vec<u32>,
}

/// Which rows of a page have a value.
enum Levels {
    All,
    None,
    /// One entry a row, 0 or 1; and the number of ones.
    Some(Vec<u32>, usize),
}

impl Decoder {
    fn new(kind: Kind, rows: usize) -> Self {
        let column = Column::null(kind, 0);
        Self { rows, dictionary: column.clone(), column, text: Dictionary::new(), coded: 0, scratch: Vec::new() }
    }

    fn dictionary(&mut self, bytes: &[u8], count: usize) -> Result<(), Flaw> {
        if count > self.rows {
            return Err("a dictionary with more values than rows".to_owned());
        }
        match &mut self.dictionary {
            Column::Text(_) => {
                plain_text(bytes, count, &mut self.text)?;
                self.coded = count;
            }
            Column::Money(column) => column.units = plain_money(bytes, count)?,
            Column::Time(column) => column.micros = plain_times(bytes, count)?,
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8], rows: usize, encoding: Encoding) -> Result<(), Flaw> {
        if rows > self.rows - self.column.len() {
            return Err("more rows than the row group has".to_owned());
        }
        let (levels, values) = read_levels(bytes, rows)?;
        let present = match &levels {
            Levels::All => rows,
            Levels::None => 0,
            Levels::Some(_, ones) => *ones,
        };
        match encoding {
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => self.coded_values(values, &levels, rows, present),
            Encoding::PLAIN => self.plain_values(values, &levels, rows, present),
            other => Err(format!("encoding {other} is not ours")),
        }
    }

    fn coded_values(&mut self, values: &[u8], levels: &Levels, rows: usize, present: usize) -> Result<(), Flaw> {
        self.scratch.clear();
        if present > 0 {
            let (width, packed) = values.split_first().ok_or("a page without codes")?;
            hybrid::decode(packed, u32::from(*width), present, &mut self.scratch).map_err(|_| "malformed codes")?;
        }
        let known = match &self.dictionary {
            Column::Text(_) => self.coded,
            other => other.len(),
        };
        if self.scratch.iter().fold(0, |most, code| most.max(*code)) as usize >= known && present > 0 {
            return Err("a code that is not in the dictionary".to_owned());
        }
        match (&mut self.column, &self.dictionary) {
            (Column::Text(column), _) if matches!(levels, Levels::All) && column.codes.is_empty() => {
                std::mem::swap(&mut column.codes, &mut self.scratch)
            }
            (Column::Text(column), _) => spread(levels, rows, &self.scratch, NULL_CODE, |code| code, &mut column.codes),
            (Column::Money(column), Column::Money(dictionary)) => {
                spread(levels, rows, &self.scratch, money::NULL, |code| dictionary.units[code as usize], &mut column.units);
            }
            (Column::Time(column), Column::Time(dictionary)) => {
                spread(levels, rows, &self.scratch, NULL_TIME, |code| dictionary.micros[code as usize], &mut column.micros);
            }
            _ => return Err("a dictionary of another kind".to_owned()),
        }
        Ok(())
    }

    fn plain_values(&mut self, values: &[u8], levels: &Levels, rows: usize, present: usize) -> Result<(), Flaw> {
        match &mut self.column {
            Column::Text(column) => {
                let first = u32::try_from(self.text.len()).map_err(|_| "too many values")?;
                plain_text(values, present, &mut self.text)?;
                let last = u32::try_from(self.text.len()).map_err(|_| "too many values")?;
                let codes: Vec<u32> = (first..last).collect();
                spread(levels, rows, &codes, NULL_CODE, |code| code, &mut column.codes);
            }
            Column::Money(column) => spread(levels, rows, &plain_money(values, present)?, money::NULL, |units| units, &mut column.units),
            Column::Time(column) => spread(levels, rows, &plain_times(values, present)?, NULL_TIME, |time| time, &mut column.micros),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Column, Flaw> {
        if self.column.len() != self.rows {
            return Err(format!("{} rows instead of {}", self.column.len(), self.rows));
        }
        if let Column::Text(column) = &mut self.column {
            column.values = Arc::new(self.text);
        }
        Ok(self.column)
    }
}

/// Puts `values`, one for each present row, to their rows.
fn spread<V: Copy, T: Copy>(levels: &Levels, rows: usize, values: &[V], null: T, of: impl Fn(V) -> T, out: &mut Vec<T>) {
    match levels {
        Levels::All => out.extend(values.iter().map(|value| of(*value))),
        Levels::None => out.resize(out.len() + rows, null),
        Levels::Some(levels, _) => {
            let mut next = values.iter();
            out.extend(levels.iter().map(|level| if *level == 0 { null } else { next.next().map_or(null, |value| of(*value)) }));
        }
    }
}

fn read_levels(bytes: &[u8], rows: usize) -> Result<(Levels, &[u8]), Flaw> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or("a page without levels")?;
    let length = u32::from_le_bytes(*length) as usize;
    let (packed, values) = rest.split_at_checked(length).ok_or("levels end outside of their page")?;
    // A single run of all rows is what most columns have.
    let mut run = Vec::new();
    for (level, levels) in [(1, Levels::All), (0, Levels::None)] {
        run.clear();
        hybrid::encode_run(level, rows, 1, &mut run);
        if packed == run {
            return Ok((levels, values));
        }
    }
    let mut levels = Vec::new();
    hybrid::decode(packed, 1, rows, &mut levels).map_err(|_| "malformed levels")?;
    if levels.iter().any(|level| *level > 1) {
        return Err("a level above one".to_owned());
    }
    let ones = levels.iter().sum::<u32>() as usize;
    Ok((Levels::Some(levels, ones), values))
}

fn plain_text(mut bytes: &[u8], count: usize, out: &mut Dictionary) -> Result<(), Flaw> {
    for _ in 0..count {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or("a text without its length")?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or("a text ends outside of its page")?;
        out.push(std::str::from_utf8(value).map_err(|_| "a text is not UTF-8")?);
        bytes = rest;
    }
    Ok(())
}

fn plain_money(bytes: &[u8], count: usize) -> Result<Vec<i128>, Flaw> {
    let bytes = count.checked_mul(16).and_then(|length| bytes.get(..length)).ok_or("amounts end outside of their page")?;
    let (values, _) = bytes.as_chunks::<16>();
    let values: Vec<i128> = values.iter().map(|value| i128::from_be_bytes(*value)).collect();
    if values.iter().all(|units| money::Amount(*units).is_storable()) { Ok(values) } else { Err("an amount above 38 digits".to_owned()) }
}

fn plain_times(bytes: &[u8], count: usize) -> Result<Vec<i64>, Flaw> {
    let bytes = count.checked_mul(8).and_then(|length| bytes.get(..length)).ok_or("times end outside of their page")?;
    let (values, _) = bytes.as_chunks::<8>();
    Ok(values.iter().map(|value| i64::from_le_bytes(*value)).collect())
}
