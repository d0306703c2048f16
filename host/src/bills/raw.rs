//! A chunk's source columns, read but not yet mapped to the canonical charge.

use std::fmt::Write as _;
use std::sync::Arc;

use super::cells::{Fault, MoneyCells, Role, Seen, TextCells, TimeCells};
use super::error::{At, BillError, Place};
use super::records::{Broken, Records, Window};
use super::report::Notes;
use crate::domain::columns::{Dictionary, NULL_CODE, TextColumn};
use crate::domain::money::{self, Amount};

/// Where the rows of a chunk are in their file.
#[derive(Debug)]
pub(super) enum Position<'a> {
    /// Text, the line on which it begins, and where in it each row begins.
    Text { text: &'a str, first_line: u64, starts: Vec<u32> },
    /// The number of the first row, from one.
    Rows { first: u64 },
}

/// One source column of a chunk.
#[derive(Debug)]
pub(super) enum Cells<'a> {
    Text(TextColumn),
    Key(Vec<(u32, u32)>),
    Money(MoneyCells<'a>),
    Time(TimeCells<'a>),
    /// Used up by a canonical column.
    Taken,
}

/// All source columns of a chunk.
#[derive(Debug)]
pub(super) struct Raw<'a> {
    pub(super) file: &'a str,
    pub(super) headers: &'a [String],
    pub(super) rows: usize,
    pub(super) cells: Vec<Cells<'a>>,
    pub(super) position: Position<'a>,
}

impl<'a> Raw<'a> {
    /// Reads the records of a text, which begins with a record and ends with one.
    pub(super) fn of_text(file: &'a str, headers: &'a [String], roles: &[Role], text: &'a str, first_line: u64) -> Result<Self, BillError> {
        let estimate = text.len() / (headers.len() * 8).max(64) + 1;
        let mut cells: Vec<Building> = roles.iter().map(|role| Building::new(*role, estimate)).collect();
        let mut records = Records::new(text.as_bytes(), headers.len());
        let mut window = Window::default();
        let mut starts = Vec::with_capacity(estimate);
        let place = |offset: usize, column: Option<usize>| Place {
            file: file.to_owned(),
            at: At::Line(first_line + line_breaks(&text[..offset])),
            column: column.map(|c| headers[c].clone()),
        };
        loop {
            records.next_window(&mut window).map_err(|broken| match broken {
                Broken::Ragged { start, found } => BillError::Ragged { place: place(start, None), found, expected: headers.len() },
                Broken::Unclosed { start } => BillError::Quoting {
                    place: place(start, None),
                    what: "a quote that is never closed",
                    value: super::cells::shortened(&text[start..]),
                },
            })?;
            if window.starts.is_empty() {
                break;
            }
            for (column, cells) in cells.iter_mut().enumerate() {
                cells
                    .read(text, &window, column, headers.len())
                    .map_err(|(row, fault)| fault_error(fault, place(window.starts[row] as usize, Some(column))))?;
            }
            starts.extend_from_slice(&window.starts);
        }
        let rows = starts.len();
        let cells = cells.into_iter().map(Building::finish).collect();
        Ok(Self { file, headers, rows, cells, position: Position::Text { text, first_line, starts } })
    }

    /// The place of a row's field.
    pub(super) fn place(&self, row: usize, column: Option<&str>) -> Place {
        let at = match &self.position {
            Position::Text { text, first_line, starts } => At::Line(first_line + line_breaks(&text[..starts[row] as usize])),
            Position::Rows { first } => At::Row(first + row as u64),
        };
        Place { file: self.file.to_owned(), at, column: column.map(str::to_owned) }
    }

    /// A text column that stays a native column as well.
    pub(super) fn text(&self, column: Option<usize>) -> Option<&TextColumn> {
        match &self.cells[column?] {
            Cells::Text(column) => Some(column),
            _ => None,
        }
    }

    /// A text column that its canonical column carries whole.
    pub(super) fn take_text(&mut self, column: Option<usize>) -> Option<TextColumn> {
        match std::mem::replace(&mut self.cells[column?], Cells::Taken) {
            Cells::Text(column) => Some(column),
            _ => None,
        }
    }

    pub(super) fn money(&self, column: Option<usize>) -> Option<&[i128]> {
        match &self.cells[column?] {
            Cells::Money(cells) => Some(&cells.units),
            _ => None,
        }
    }

    pub(super) fn take_money(&mut self, column: Option<usize>) -> Option<Vec<i128>> {
        match std::mem::replace(&mut self.cells[column?], Cells::Taken) {
            Cells::Money(cells) => Some(cells.units),
            _ => None,
        }
    }

    pub(super) fn take_times(&mut self, column: Option<usize>) -> Option<Vec<i64>> {
        match std::mem::replace(&mut self.cells[column?], Cells::Taken) {
            Cells::Time(cells) => Some(cells.micros),
            _ => None,
        }
    }

    /// Turns a money column into the native text of those rows that no canonical column carries.
    pub(super) fn leave(&mut self, column: Option<usize>, carried: impl Fn(usize, i128) -> bool) {
        let Some(column) = column else { return };
        let Cells::Money(cells) = std::mem::replace(&mut self.cells[column], Cells::Taken) else { return };
        let mut texts = TextCells::new(cells.units.len());
        let mut plain = String::new();
        for (row, units) in cells.units.iter().enumerate() {
            if carried(row, *units) {
                texts.push_code(NULL_CODE);
                continue;
            }
            match (&self.position, cells.spans.get(row)) {
                // Fields were unquoted once already, so that this cannot fail; a number that could not be is never reached.
                (Position::Text { text, .. }, Some((start, end))) => {
                    if texts.push_raw(&text[*start as usize..*end as usize]).is_err() {
                        texts.push_code(NULL_CODE);
                    }
                }
                _ if *units == money::NULL => texts.push_code(NULL_CODE),
                _ => {
                    plain.clear();
                    let _ = write!(plain, "{}", Amount(*units));
                    texts.push(Some(&plain));
                }
            }
        }
        self.cells[column] = Cells::Text(texts.finish());
    }

    /// `key|second` of each row, in a dictionary that is not searched because a key repeats rarely.
    pub(super) fn take_key(&mut self, key: Option<usize>, second: Option<&TextColumn>) -> Result<Option<TextColumn>, BillError> {
        let Some(column) = key else { return Ok(None) };
        let taken = std::mem::replace(&mut self.cells[column], Cells::Taken);
        let mut values = Dictionary::new();
        let mut codes = Vec::with_capacity(self.rows);
        let mut joined = String::new();
        let mut scratch = String::new();
        for row in 0..self.rows {
            let key = match (&taken, &self.position) {
                (Cells::Key(spans), Position::Text { text, .. }) => {
                    let (start, end) = spans[row];
                    let key = super::cells::whole(&text[start as usize..end as usize], &mut scratch);
                    let named = |fault| fault_error(fault, self.place(row, Some(&self.headers[column])));
                    Some(key.map_err(named)?).filter(|key| !key.is_empty())
                }
                (Cells::Text(column), _) => column.get(row),
                _ => None,
            };
            let Some(key) = key else {
                codes.push(NULL_CODE);
                continue;
            };
            joined.clear();
            joined.push_str(key);
            if let Some(second) = second.and_then(|column| column.get(row)) {
                joined.push('|');
                joined.push_str(second);
            }
            codes.push(values.push(&joined));
        }
        Ok(Some(TextColumn { values: Arc::new(values), codes }))
    }

    /// Counts what reading found, before columns are taken.
    pub(super) fn note(&self, notes: &mut Notes) {
        let quirk = |notes: &mut Notes, what: &str, seen: Seen, column: &str| {
            if seen.count > 0 {
                notes.quirk(what, seen.count, self.place(seen.first, Some(column)));
            }
        };
        for (header, cells) in self.headers.iter().zip(&self.cells) {
            match cells {
                Cells::Money(cells) => {
                    quirk(notes, "a word for null in a number column", cells.null_words, header);
                    quirk(notes, "amount with currency sign, thousands separators or blanks", cells.tidied, header);
                    quirk(notes, "text in a number column, read as null", cells.texts, header);
                    if cells.rounded > 0 {
                        notes.rounded(header, cells.rounded, cells.difference);
                    }
                }
                Cells::Time(cells) => {
                    quirk(notes, "a word for null in a time column", cells.null_words, header);
                    quirk(notes, "an hour past 24, carried into the next day", cells.carried, header);
                }
                Cells::Text(_) | Cells::Key(_) | Cells::Taken => {}
            }
        }
    }
}

pub(super) fn line_breaks(text: &str) -> u64 {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64
}

pub(super) fn fault_error(fault: Fault, place: Place) -> BillError {
    match fault {
        Fault::NotAnAmount { value, why } => BillError::NotAnAmount { place, value, why },
        Fault::NotATime { value } => BillError::NotATime { place, value },
        Fault::Quoting { what, value } => BillError::Quoting { place, what, value },
        Fault::Nul { value } => BillError::Nul { place, value },
    }
}

/// A column while the windows of a chunk pass by.
enum Building<'a> {
    Text(TextCells<'a>),
    Key(Vec<(u32, u32)>),
    Money(MoneyCells<'a>),
    Time(TimeCells<'a>),
}

impl<'a> Building<'a> {
    fn new(role: Role, rows: usize) -> Self {
        match role {
            Role::Text => Self::Text(TextCells::new(rows)),
            Role::Key => Self::Key(Vec::with_capacity(rows)),
            Role::Money(money) => Self::Money(MoneyCells::new(money, rows)),
            Role::Time => Self::Time(TimeCells::new(rows)),
        }
    }

    /// Reads one column of a window; a fault comes with its row in the window.
    fn read(&mut self, text: &'a str, window: &Window, column: usize, columns: usize) -> Result<(), (usize, Fault)> {
        let spans = |row: usize, start: &u32| {
            let at = row * columns + column;
            let from = if column == 0 { *start } else { window.ends[at - 1] + 1 };
            (from, window.ends[at])
        };
        let field = |row: usize, start: &u32| {
            let (from, to) = spans(row, start);
            &text[from as usize..to as usize]
        };
        let rows = window.starts.iter().enumerate();
        match self {
            Self::Text(cells) => {
                for (row, start) in rows {
                    cells.push_raw(field(row, start)).map_err(|fault| (row, fault))?;
                }
            }
            Self::Key(places) => places.extend(rows.map(|(row, start)| spans(row, start))),
            Self::Money(cells) => {
                for (row, start) in rows {
                    cells.push_raw(field(row, start)).map_err(|fault| (row, fault))?;
                }
                if cells.keeps_spans() {
                    cells.spans.extend(window.starts.iter().enumerate().map(|(row, start)| spans(row, start)));
                }
            }
            Self::Time(cells) => {
                for (row, start) in rows {
                    cells.push_raw(field(row, start)).map_err(|fault| (row, fault))?;
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Cells<'a> {
        match self {
            Self::Text(cells) => Cells::Text(cells.finish()),
            Self::Key(places) => Cells::Key(places),
            Self::Money(cells) => Cells::Money(cells),
            Self::Time(cells) => Cells::Time(cells),
        }
    }
}
