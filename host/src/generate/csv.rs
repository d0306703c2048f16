//! Lines as gzipped CSV, with `\n` and quoting only where needed, as the providers write it.

use std::io::{self, Write};

use flate2::{Compression, GzBuilder, write::GzEncoder};

use super::columns::{Cell, Column, Row};
use super::decimal;
use super::line::Line;

/// Bytes of text that are gathered before they are compressed: large enough that the calls do not show.
const BUFFER: usize = 256 * 1024;

pub(super) struct CsvFile<W: Write> {
    out: GzEncoder<W>,
    buffer: Vec<u8>,
    columns: Vec<Column>,
}

impl<W: Write> CsvFile<W> {
    /// Writes the header of `names`, one for each column.
    pub(super) fn new(out: W, columns: Vec<Column>, names: &[&str]) -> Self {
        // No name and no time in the gzip header: the same lines are the same bytes.
        let out = GzBuilder::new().write(out, Compression::fast());
        let mut buffer = Vec::with_capacity(BUFFER + 8 * 1024);
        buffer.extend_from_slice(names.join(",").as_bytes());
        buffer.push(b'\n');
        Self { out, buffer, columns }
    }

    pub(super) fn write(&mut self, line: &Line<'_>, row: &Row<'_>) -> io::Result<()> {
        for column in &self.columns {
            cell((column.value)(line, row), &mut self.buffer);
            self.buffer.push(b',');
        }
        if let Some(last) = self.buffer.last_mut() {
            *last = b'\n';
        }
        if self.buffer.len() >= BUFFER {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&self.buffer)?;
        self.out.finish()
    }
}

fn cell(cell: Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Empty => {}
        Cell::Text(text) | Cell::Time(text, _) => {
            debug_assert!(!needs_quotes(text), "{text}");
            out.extend_from_slice(text.as_bytes());
        }
        Cell::Free(text) if needs_quotes(text) => out.extend_from_slice(quoted(text).as_bytes()),
        Cell::Free(text) => out.extend_from_slice(text.as_bytes()),
        Cell::Double(value) => decimal::java(value, out),
        Cell::Rate(value) => decimal::fixed(value, out),
        Cell::Plain(value) => decimal::plain(value, out),
        Cell::Map(pairs) => out.extend_from_slice(pairs.csv.as_bytes()),
        Cell::Discount(None) => out.extend_from_slice(b"{}"),
        Cell::Discount(Some((name, value))) => {
            out.extend_from_slice(b"\"{\"\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\"\":");
            decimal::java(value, out);
            out.extend_from_slice(b"}\"");
        }
    }
}

fn needs_quotes(text: &str) -> bool {
    memchr::memchr3(b',', b'"', b'\n', text.as_bytes()).is_some()
}

/// As a CSV field: in quotes if it needs them.
pub(super) fn quoted(text: &str) -> String {
    if needs_quotes(text) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
