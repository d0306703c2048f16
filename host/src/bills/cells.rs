//! One source column of a chunk while it is read: field by field in, a column out. Nothing is allocated per field.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};

use hashbrown::HashTable;

use super::number;
use super::time;
use crate::domain::columns::{Dictionary, NULL_CODE, NULL_TIME, TextColumn};
use crate::domain::money::{self, Amount};

/// How a source column is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Text,
    /// Text that is nearly always new, such as a row's key: kept as places in the chunk, not looked up.
    Key,
    Money(MoneyRole),
    Time,
}

/// What a money column may hold besides numbers and the words for null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MoneyRole {
    /// Currency signs, thousands separators and blanks.
    pub(super) tidied: bool,
    /// Any other text, read as null.
    pub(super) text: bool,
    /// Whether the verbatim text is wanted besides.
    pub(super) verbatim: bool,
}

/// Rows of one kind: how many, and the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) count: u64,
    pub(super) first: usize,
}

impl Seen {
    pub(super) const fn add(&mut self, row: usize) {
        if self.count == 0 {
            self.first = row;
        }
        self.count += 1;
    }
}

/// Why a field cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotAnAmount { value: String, why: String },
    NotATime { value: String },
    Quoting { what: &'static str, value: String },
    Nul { value: String },
}

/// A field without its quotes; `scratch` is used only where quotes inside are doubled.
pub(super) fn unquoted<'a>(raw: &'a str, scratch: &'a mut String) -> Result<&'a str, Fault> {
    let Some(opened) = raw.strip_prefix('"') else { return Ok(raw) };
    let wrong = |what| Fault::Quoting { what, value: shortened(raw) };
    let inner = opened.strip_suffix('"').ok_or_else(|| wrong("text behind the closing quote"))?;
    if memchr::memchr(b'"', inner.as_bytes()).is_none() {
        return Ok(inner);
    }
    scratch.clear();
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'"', rest.as_bytes()) {
        if rest.as_bytes().get(at + 1) != Some(&b'"') {
            return Err(wrong("a single quote inside"));
        }
        scratch.push_str(&rest[..=at]);
        rest = &rest[at + 2..];
    }
    scratch.push_str(rest);
    Ok(scratch)
}

/// A field without its quotes, if it is text and its quotes are where they may be.
pub(super) fn whole<'a>(raw: &'a str, scratch: &'a mut String) -> Result<&'a str, Fault> {
    if memchr::memchr2(b'"', 0, raw.as_bytes()).is_none() {
        return Ok(raw); // nearly all of them, in one look
    }
    no_nul(raw)?;
    if !raw.starts_with('"') && hides_a_delimiter(raw) {
        return Err(Fault::Quoting { what: "a quote in the middle", value: shortened(raw) });
    }
    unquoted(raw, scratch)
}

/// Enough of a value to recognise it in a message.
pub(super) fn shortened(value: &str) -> String {
    const SHOWN: usize = 80;
    if value.chars().count() <= SHOWN { value.to_owned() } else { format!("{}…", value.chars().take(SHOWN).collect::<String>()) }
}

/// Equality that looks at both ends first: fields of one column share their beginnings, and most are too short for a call.
#[inline]
fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(a_end), Some(b_end)) => {
            u64::from_le_bytes(*a_end) == u64::from_le_bytes(*b_end)
                && a.first_chunk::<8>() == b.first_chunk::<8>()
                && (a.len() <= 16 || a[8..a.len() - 8] == b[8..b.len() - 8])
        }
        _ => a.iter().zip(b).all(|(a, b)| a == b),
    }
}

/// Text to dictionary codes.
#[derive(Debug)]
pub(super) struct TextCells<'a> {
    values: Dictionary,
    /// Hash and code of each value.
    table: HashTable<(u32, u32)>,
    codes: Vec<u32>,
    last: &'a str,
    last_code: u32,
    /// The code of the value that was pushed last without its quotes.
    recent: u32,
    scratch: String,
}

impl<'a> TextCells<'a> {
    pub(super) fn new(rows: usize) -> Self {
        Self {
            values: Dictionary::new(),
            table: HashTable::new(),
            codes: Vec::with_capacity(rows),
            last: "",
            last_code: NULL_CODE,
            recent: NULL_CODE,
            scratch: String::new(),
        }
    }

    /// Adds a field as it is in the file.
    #[inline]
    pub(super) fn push_raw(&mut self, raw: &'a str) -> Result<(), Fault> {
        if raw.is_empty() {
            self.codes.push(NULL_CODE);
            return Ok(());
        }
        if same(raw, self.last) {
            self.codes.push(self.last_code);
            return Ok(());
        }
        self.last = raw;
        self.last_code = self.code_of_raw(raw)?;
        self.codes.push(self.last_code);
        Ok(())
    }

    fn code_of_raw(&mut self, raw: &'a str) -> Result<u32, Fault> {
        let known = self.values.len();
        let mut scratch = std::mem::take(&mut self.scratch);
        let value = unquoted(raw, &mut scratch)?;
        let code = if value.is_empty() { NULL_CODE } else { self.code_of(value) };
        self.scratch = scratch;
        if self.values.len() > known {
            no_nul(raw)?;
        }
        if self.values.len() > known && !raw.starts_with('"') && hides_a_delimiter(raw) {
            return Err(Fault::Quoting { what: "a quote in the middle", value: shortened(raw) });
        }
        Ok(code)
    }

    /// Adds a value, or null.
    pub(super) fn push(&mut self, value: Option<&str>) {
        let code = match value {
            None => NULL_CODE,
            Some(value) if self.recent != NULL_CODE && self.values.get(self.recent) == value => self.recent,
            Some(value) => {
                self.recent = self.code_of(value);
                self.recent
            }
        };
        self.codes.push(code);
    }

    /// Adds a value whose code is known.
    pub(super) fn push_code(&mut self, code: u32) {
        self.codes.push(code);
    }

    pub(super) fn code_of(&mut self, value: &str) -> u32 {
        let short = hash(value.as_bytes());
        let hash = spread(short);
        let values = &self.values;
        if let Some((_, code)) = self.table.find(hash, |(h, code)| *h == short && values.get(*code) == value) {
            return *code;
        }
        let code = self.values.push(value);
        // Rehashing a growing table by the kept half of the hash spares reading all values again.
        self.table.insert_unique(hash, (short, code), |(h, _)| spread(*h));
        code
    }

    pub(super) fn finish(self) -> TextColumn {
        TextColumn { values: Arc::new(self.values), codes: self.codes }
    }
}

/// Refuses the character that no text of a bill has and that not every database can store.
pub(super) fn no_nul(text: &str) -> Result<(), Fault> {
    if memchr::memchr(0, text.as_bytes()).is_some() { Err(Fault::Nul { value: shortened(text) }) } else { Ok(()) }
}

/// Whether text that is not quoted holds what only quoted text may.
fn hides_a_delimiter(raw: &str) -> bool {
    memchr::memchr(b'"', raw.as_bytes()).is_some() && memchr::memchr2(b',', b'\n', raw.as_bytes()).is_some()
}

/// Multiply and fold, eight bytes at a time, from a seed of this process: bills are not trusted to avoid collisions.
fn hash(bytes: &[u8]) -> u32 {
    static SEED: OnceLock<u64> = OnceLock::new();
    let mut state = *SEED.get_or_init(|| RandomState::new().hash_one(0_u8)) ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let tail = match bytes.last_chunk::<8>() {
            Some(last) => u64::from_le_bytes(*last),
            None => rest.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        state = fold(state ^ tail);
    }
    short(state)
}

fn fold(value: u64) -> u64 {
    let wide = u128::from(value) * 0x9e37_79b9_7f4a_7c15;
    low(wide) ^ low(wide >> 64)
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
const fn low(wide: u128) -> u64 {
    wide as u64
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is kept of a hash")]
const fn short(hash: u64) -> u32 {
    hash as u32
}

/// A kept half to a hash for the table, which looks at the top bits too.
const fn spread(short: u32) -> u64 {
    (short as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | short as u64
}

/// Money to units of 10^-18.
#[derive(Debug)]
pub(super) struct MoneyCells<'a> {
    role: MoneyRole,
    pub(super) units: Vec<i128>,
    /// Where in the chunk the text is, when the role wants it.
    pub(super) spans: Vec<(u32, u32)>,
    last: &'a str,
    last_units: i128,
    pub(super) null_words: Seen,
    pub(super) tidied: Seen,
    pub(super) texts: Seen,
    pub(super) rounded: u64,
    pub(super) difference: i128,
}

impl<'a> MoneyCells<'a> {
    pub(super) fn new(role: MoneyRole, rows: usize) -> Self {
        Self {
            role,
            units: Vec::with_capacity(rows),
            spans: Vec::with_capacity(if role.verbatim { rows } else { 0 }),
            last: "",
            last_units: money::NULL,
            null_words: Seen::default(),
            tidied: Seen::default(),
            texts: Seen::default(),
            rounded: 0,
            difference: 0,
        }
    }

    pub(super) const fn keeps_spans(&self) -> bool {
        self.role.verbatim
    }

    /// Adds a field as it is in the file.
    #[inline]
    pub(super) fn push_raw(&mut self, raw: &'a str) -> Result<(), Fault> {
        if same(raw, self.last) {
            self.units.push(self.last_units);
            return Ok(());
        }
        let units = match number::units(raw.as_bytes()) {
            Some(units) => units,
            None => {
                let mut scratch = String::new();
                let plain = unquoted(raw, &mut scratch)?;
                let counted = self.slow(plain)?;
                if !counted.repeatable {
                    self.units.push(counted.units);
                    return Ok(());
                }
                counted.units
            }
        };
        self.last = raw;
        self.last_units = units;
        self.units.push(units);
        Ok(())
    }

    /// Adds text that no quotes surround.
    pub(super) fn push_text(&mut self, text: &str) -> Result<(), Fault> {
        let units = match number::units(text.as_bytes()) {
            Some(units) => units,
            None => self.slow(text)?.units,
        };
        self.units.push(units);
        Ok(())
    }

    fn slow(&mut self, text: &str) -> Result<Counted, Fault> {
        let row = self.units.len();
        if text.is_empty() {
            return Ok(Counted { units: money::NULL, repeatable: true });
        }
        let counted = |units| Ok(Counted { units, repeatable: false });
        match Amount::parse(text.as_bytes()) {
            Ok(parsed) => return Ok(self.rounded(parsed)),
            Err(_) if is_null_word(text) => {
                self.null_words.add(row);
                return counted(money::NULL);
            }
            Err(_) if self.role.tidied => {
                if let Some(Ok(parsed)) = number::tidied(text).map(|tidy| Amount::parse(tidy.as_bytes())) {
                    self.tidied.add(row);
                    return counted(self.rounded(parsed).units);
                }
            }
            Err(money::MoneyError::NotANumber) if self.role.text => {
                self.texts.add(row);
                return counted(money::NULL);
            }
            Err(_) => {}
        }
        let why = Amount::parse(text.as_bytes()).err().map_or_else(String::new, |error| error.to_string());
        Err(Fault::NotAnAmount { value: shortened(text), why })
    }

    fn rounded(&mut self, parsed: money::Parsed) -> Counted {
        let exact = parsed.rounded_away == 0;
        if !exact {
            self.rounded += 1;
            self.difference = self.difference.saturating_add(parsed.rounded_away);
        }
        Counted { units: parsed.amount.0, repeatable: exact }
    }
}

struct Counted {
    units: i128,
    /// Whether the next row with the same text may reuse the value without being counted.
    repeatable: bool,
}

/// Words that exports write where they mean nothing.
pub(super) fn is_null_word(text: &str) -> bool {
    matches!(text, "NULL" | "null" | "Null" | "None" | "none")
}

/// Times to microseconds.
#[derive(Debug)]
pub(super) struct TimeCells<'a> {
    pub(super) micros: Vec<i64>,
    last: &'a str,
    last_micros: i64,
    pub(super) null_words: Seen,
    pub(super) carried: Seen,
}

impl<'a> TimeCells<'a> {
    pub(super) fn new(rows: usize) -> Self {
        Self { micros: Vec::with_capacity(rows), last: "", last_micros: NULL_TIME, null_words: Seen::default(), carried: Seen::default() }
    }

    #[inline]
    pub(super) fn push_raw(&mut self, raw: &'a str) -> Result<(), Fault> {
        if same(raw, self.last) {
            self.micros.push(self.last_micros);
            return Ok(());
        }
        let mut scratch = String::new();
        let (micros, repeatable) = self.read(unquoted(raw, &mut scratch)?)?;
        if repeatable {
            self.last = raw;
            self.last_micros = micros;
        }
        self.micros.push(micros);
        Ok(())
    }

    pub(super) fn push_text(&mut self, text: &str) -> Result<(), Fault> {
        let (micros, _) = self.read(text)?;
        self.micros.push(micros);
        Ok(())
    }

    /// The time, and whether the next row with the same text may reuse it without being counted.
    fn read(&mut self, text: &str) -> Result<(i64, bool), Fault> {
        let row = self.micros.len();
        if text.is_empty() {
            return Ok((NULL_TIME, true));
        }
        if let Some(read) = time::read(text.as_bytes()) {
            if read.carried {
                self.carried.add(row);
            }
            return Ok((read.micros, !read.carried));
        }
        if is_null_word(text) {
            self.null_words.add(row);
            return Ok((NULL_TIME, false));
        }
        Err(Fault::NotATime { value: shortened(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_has_each_value_once_however_it_grew_and_was_quoted() {
        let texts: Vec<String> = (0..5_000).map(|n| format!("value {}", n % 700)).collect();
        let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
        let mut cells = TextCells::new(0);
        for (text, quoted) in texts.iter().zip(&quoted) {
            cells.push_raw(text).unwrap();
            cells.push_raw(quoted).unwrap();
            cells.push(Some(text));
        }
        let column = cells.finish();
        assert_eq!(column.values.len(), 700);
        assert!(texts.iter().enumerate().all(|(n, text)| (0..3).all(|k| column.get(3 * n + k) == Some(text.as_str()))));
    }

    #[test]
    fn stray_quotes_that_hide_delimiters_are_found_and_others_are_text() {
        let mut cells = TextCells::new(0);
        cells.push_raw("5\" disk").unwrap();
        for raw in ["5\" disk,x\n7\" disk", "\"a\"b", "\"a\"b\""] {
            assert!(matches!(cells.push_raw(raw), Err(Fault::Quoting { .. })), "{raw}");
        }
        cells.push_raw("\"say \"\"a\"\"\"").unwrap();
        let column = cells.finish();
        assert_eq!((column.get(0), column.get(1)), (Some("5\" disk"), Some("say \"a\"")));
    }

    #[test]
    fn null_words_and_tidied_amounts_are_counted_on_every_row() {
        let mut cells = MoneyCells::new(MoneyRole { tidied: true, ..MoneyRole::default() }, 0);
        for raw in ["1", "NULL", "NULL", "\"$50,000.00 \"", "\"$50,000.00 \"", "", "0"] {
            cells.push_raw(raw).unwrap();
        }
        let whole = |n: i128| n * money::ONE;
        assert_eq!(cells.units, [whole(1), money::NULL, money::NULL, whole(50_000), whole(50_000), money::NULL, 0]);
        assert_eq!((cells.null_words, cells.tidied), (Seen { count: 2, first: 1 }, Seen { count: 2, first: 3 }));
        assert!(matches!(cells.push_raw("convertible"), Err(Fault::NotAnAmount { .. })));
    }

    #[test]
    fn every_rounded_value_is_counted_even_when_it_repeats() {
        let mut cells = MoneyCells::new(MoneyRole::default(), 0);
        for _ in 0..3 {
            cells.push_raw("0.0000000000000000004").unwrap();
        }
        assert_eq!((cells.rounded, cells.difference), (3, 3 * 400_000_000_000_000_000));
    }
}
