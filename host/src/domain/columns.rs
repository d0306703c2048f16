//! A batch of charges, column by column: the form in which charges cross every boundary in this crate.
//!
//! Text is a dictionary with one code a row, money a vector of 10^-18 units, time a vector of microseconds. A batch's dictionaries are
//! its own: codes of two batches are not comparable.

use std::sync::Arc;

use super::charge::Kind;
use super::money;

/// The code of an absent text value, as in the rule contract.
pub const NULL_CODE: u32 = u32::MAX;

/// The value of an absent time.
pub const NULL_TIME: i64 = i64::MIN;

/// Distinct strings, numbered from zero, in one buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dictionary {
    bytes: String,
    ends: Vec<u32>,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self::new()
    }
}

impl Dictionary {
    pub const fn new() -> Self {
        Self { bytes: String::new(), ends: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends a value without looking whether it is there already, and returns its code.
    ///
    /// # Panics
    /// When the dictionary would pass 4 GiB of text or 2^32 - 1 values; batches are far smaller.
    pub fn push(&mut self, value: &str) -> u32 {
        self.bytes.push_str(value);
        let code = u32::try_from(self.ends.len()).ok().filter(|c| *c != NULL_CODE);
        let end = u32::try_from(self.bytes.len());
        match (code, end) {
            (Some(code), Ok(end)) => {
                self.ends.push(end);
                code
            }
            _ => panic!("a dictionary of one batch outgrew 32 bits"),
        }
    }

    #[inline]
    pub fn get(&self, code: u32) -> &str {
        let index = code as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.bytes[start..self.ends[index] as usize]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|index| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
            &self.bytes[start..self.ends[index] as usize]
        })
    }

    /// All values back to back, and the end offset of each: what an Arrow string array is made of.
    pub fn parts(&self) -> (&str, &[u32]) {
        (&self.bytes, &self.ends)
    }
}

impl<'a> FromIterator<&'a str> for Dictionary {
    fn from_iter<I: IntoIterator<Item = &'a str>>(values: I) -> Self {
        let mut dictionary = Self::new();
        for value in values {
            dictionary.push(value);
        }
        dictionary
    }
}

/// One code a row into `values`; [`NULL_CODE`] is null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextColumn {
    pub values: Arc<Dictionary>,
    pub codes: Vec<u32>,
}

impl TextColumn {
    /// The same value, or null, on every row.
    pub fn constant(value: Option<&str>, rows: usize) -> Self {
        let values: Dictionary = value.into_iter().collect();
        Self { values: Arc::new(values), codes: vec![if value.is_some() { 0 } else { NULL_CODE }; rows] }
    }

    /// From one value a row; for small batches and tests.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut values = Dictionary::new();
        let mut seen = std::collections::HashMap::new();
        let codes =
            rows.into_iter().map(|row| row.map_or(NULL_CODE, |text| *seen.entry(text).or_insert_with(|| values.push(text)))).collect();
        Self { values: Arc::new(values), codes }
    }

    pub fn get(&self, row: usize) -> Option<&str> {
        let code = self.codes[row];
        (code != NULL_CODE).then(|| self.values.get(code))
    }
}

/// Units of 10^-18 a row; [`money::NULL`] is null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoneyColumn {
    pub units: Vec<i128>,
}

impl MoneyColumn {
    pub fn get(&self, row: usize) -> Option<money::Amount> {
        let units = self.units[row];
        (units != money::NULL).then_some(money::Amount(units))
    }
}

/// Microseconds since 1970-01-01T00:00:00Z a row; [`NULL_TIME`] is null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeColumn {
    pub micros: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    Text(TextColumn),
    Money(MoneyColumn),
    Time(TimeColumn),
}

impl Column {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Money(_) => Kind::Money,
            Self::Time(_) => Kind::Time,
        }
    }

    /// Null on every row.
    pub fn null(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Text => Self::Text(TextColumn::constant(None, rows)),
            Kind::Money => Self::Money(MoneyColumn { units: vec![money::NULL; rows] }),
            Kind::Time => Self::Time(TimeColumn { micros: vec![NULL_TIME; rows] }),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Text(column) => column.codes.len(),
            Self::Money(column) => column.units.len(),
            Self::Time(column) => column.micros.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The given rows in the given order. Dictionaries are shared, not copied.
    pub fn gather(&self, rows: &[u32]) -> Self {
        match self {
            Self::Text(column) => Self::Text(TextColumn {
                values: Arc::clone(&column.values),
                codes: rows.iter().map(|row| column.codes[*row as usize]).collect(),
            }),
            Self::Money(column) => Self::Money(MoneyColumn { units: rows.iter().map(|row| column.units[*row as usize]).collect() }),
            Self::Time(column) => Self::Time(TimeColumn { micros: rows.iter().map(|row| column.micros[*row as usize]).collect() }),
        }
    }
}

/// Charges of one stretch of a bill. Every column has `rows` values; names are unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub rows: usize,
    pub columns: Vec<(Arc<str>, Column)>,
}

impl Batch {
    pub fn new(rows: usize) -> Self {
        Self { rows, columns: Vec::new() }
    }

    /// Adds a column.
    ///
    /// # Panics
    /// When its length differs from the batch's.
    pub fn push(&mut self, name: impl Into<Arc<str>>, column: Column) {
        assert_eq!(column.len(), self.rows, "a column's length differs from its batch's");
        self.columns.push((name.into(), column));
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(n, _)| &**n == name).map(|(_, column)| column)
    }

    pub fn text(&self, name: &str) -> Option<&TextColumn> {
        match self.column(name) {
            Some(Column::Text(column)) => Some(column),
            _ => None,
        }
    }

    pub fn money(&self, name: &str) -> Option<&MoneyColumn> {
        match self.column(name) {
            Some(Column::Money(column)) => Some(column),
            _ => None,
        }
    }

    pub fn time(&self, name: &str) -> Option<&TimeColumn> {
        match self.column(name) {
            Some(Column::Time(column)) => Some(column),
            _ => None,
        }
    }

    /// The given rows in the given order.
    pub fn gather(&self, rows: &[u32]) -> Self {
        Self { rows: rows.len(), columns: self.columns.iter().map(|(name, column)| (Arc::clone(name), column.gather(rows))).collect() }
    }
}
