//! Charges as CSV text. Distinct texts are quoted once; a row is then put together from bytes that are ready.

use std::fmt::Write as _;
use std::ops::Range;

use super::error::LakeError;
use super::file::NATIVE;
use crate::domain::charge::{NATIVE_PREFIX, RATED, STORED};
use crate::domain::columns::{Batch, Column, Dictionary, NULL_CODE, NULL_TIME, TextColumn};
use crate::domain::money::{self, Amount};

/// Where each canonical column comes; `x_Native` stands between the stored and the rated ones.
pub(super) struct CsvText {
    names: Vec<&'static str>,
}

/// A batch whose texts are quoted.
pub(super) struct Rendered<'a> {
    cells: Vec<Cells<'a>>,
}

enum Cells<'a> {
    Null,
    Text(Quoted, &'a [u32]),
    Money(&'a [i128]),
    Time(&'a [i64]),
    /// `""name"":""value""` of each of the source's columns, ready to stand between the quotes of the cell.
    Native(Vec<(Quoted, &'a [u32])>),
}

/// Distinct texts as they stand in the file.
struct Quoted(Dictionary);

impl CsvText {
    pub(super) fn new() -> Self {
        let stored = STORED.iter().map(|(name, _)| *name);
        Self { names: stored.chain([NATIVE]).chain(RATED.iter().map(|(name, _)| *name)).collect() }
    }

    /// These columns only.
    pub(super) fn of(names: &[&'static str]) -> Self {
        Self { names: names.to_vec() }
    }

    pub(super) fn header(&self) -> Vec<u8> {
        let mut line = self.names.join(",").into_bytes();
        line.extend_from_slice(b"\r\n");
        line
    }

    pub(super) fn render<'a>(&self, batch: &'a Batch) -> Result<Rendered<'a>, LakeError> {
        let cells = self.names.iter().map(|name| {
            Ok(match batch.column(name) {
                None if *name == NATIVE => natives(batch)?,
                None => Cells::Null,
                Some(Column::Text(column)) => Cells::Text(quote(&column.values)?, &column.codes),
                Some(Column::Money(column)) => Cells::Money(&column.units),
                Some(Column::Time(column)) => Cells::Time(&column.micros),
            })
        });
        Ok(Rendered { cells: cells.collect::<Result<_, LakeError>>()? })
    }
}

fn quote(values: &Dictionary) -> Result<Quoted, LakeError> {
    let failed = || LakeError::batch("", "a text could not be quoted");
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut quoted = Dictionary::new();
    let mut from = 0;
    for value in values.iter() {
        writer.write_record([value]).map_err(|_| failed())?;
        writer.flush().map_err(|_| failed())?;
        let written = writer.get_ref();
        let line = written.get(from..written.len() - 1).and_then(|line| std::str::from_utf8(line).ok());
        quoted.push(line.ok_or_else(failed)?);
        from = written.len();
    }
    Ok(Quoted(quoted))
}

fn natives(batch: &Batch) -> Result<Cells<'_>, LakeError> {
    let json = |text: &str| serde_json::to_string(text).map_err(|_| LakeError::batch(NATIVE, "a text could not be written as JSON"));
    let mut columns = Vec::new();
    for (name, column) in &batch.columns {
        if let (Some(name), Column::Text(TextColumn { values, codes })) = (name.strip_prefix(NATIVE_PREFIX), column) {
            let name = json(name)?;
            let mut quoted = Dictionary::new();
            for value in values.iter() {
                quoted.push(&format!("{name}:{}", json(value)?).replace('"', "\"\""));
            }
            columns.push((Quoted(quoted), codes.as_slice()));
        }
    }
    Ok(if columns.is_empty() { Cells::Null } else { Cells::Native(columns) })
}

impl Rendered<'_> {
    pub(super) fn rows(&self, rows: Range<usize>) -> Vec<u8> {
        let mut out = String::with_capacity(rows.len() * 512);
        // Neighbours mostly share their times, and a calendar is slow.
        let mut times = vec![(NULL_TIME, String::new()); self.cells.len()];
        for row in rows {
            for ((index, cells), time) in self.cells.iter().enumerate().zip(&mut times) {
                if index > 0 {
                    out.push(',');
                }
                cells.put(row, time, &mut out);
            }
            out.push_str("\r\n");
        }
        out.into_bytes()
    }
}

impl Cells<'_> {
    fn put(&self, row: usize, last_time: &mut (i64, String), out: &mut String) {
        match self {
            Self::Null => {}
            Self::Text(quoted, codes) => {
                if codes[row] != NULL_CODE {
                    out.push_str(quoted.0.get(codes[row]));
                }
            }
            Self::Money(units) => {
                if units[row] != money::NULL {
                    // Writing to a string does not fail.
                    let _ = write!(out, "{}", Amount(units[row]));
                }
            }
            Self::Time(micros) => {
                if micros[row] != last_time.0 {
                    *last_time = (micros[row], time_text(micros[row]).unwrap_or_default());
                }
                out.push_str(&last_time.1);
            }
            Self::Native(columns) => {
                let mut parts = columns.iter().filter(|(_, codes)| codes[row] != NULL_CODE).map(|(quoted, codes)| quoted.0.get(codes[row]));
                if let Some(first) = parts.next() {
                    out.push_str("\"{");
                    out.push_str(first);
                    for part in parts {
                        out.push(',');
                        out.push_str(part);
                    }
                    out.push_str("}\"");
                }
            }
        }
    }
}

/// ISO 8601 in UTC; `None` for null. A time outside of the calendar is given in microseconds, so that it does not pass for null.
pub(super) fn time_text(micros: i64) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(micros);
    (micros != NULL_TIME).then(|| time.map_or_else(|_| micros.to_string(), |time| time.to_string()))
}
