//! Columns to the bytes of column chunks: one dictionary page where values repeat, one data page.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};

use super::error::LakeError;
use super::{MAX_COLUMN_BYTES, MAX_ROWS_PER_GROUP, hybrid};
use crate::domain::charge::Kind;
use crate::domain::columns::{Column, MoneyColumn, NULL_CODE, NULL_TIME, TextColumn};
use crate::domain::money::{self, Amount};

/// Columns whose least and greatest value are noted in the footer, for readers that skip by them.
const BOUNDED: [&str; 2] = ["SubAccountId", "BillingPeriodStart"];

/// Pages below this many bytes are not worth a compressor's header.
const MIN_COMPRESSED: usize = 64;

/// One column of one row group, encoded; `offset` counts from the start of the row group's bytes.
#[derive(Clone, Debug)]
pub(super) struct EncodedColumn {
    pub(super) name: Arc<str>,
    pub(super) kind: Kind,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    /// Bytes of the dictionary page, header included, that comes first; zero without one.
    pub(super) dictionary_bytes: u64,
    pub(super) uncompressed_bytes: u64,
    pub(super) compression: Compression,
    pub(super) nulls: u64,
    pub(super) bounds: Option<(Vec<u8>, Vec<u8>)>,
}

/// A row group that only has to be put into a file.
#[derive(Debug)]
pub(super) struct EncodedGroup {
    pub(super) rows: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) columns: Vec<EncodedColumn>,
}

/// Encodes a row group column by column.
pub(super) struct GroupEncoder {
    rows: usize,
    sink: TrackedWrite<Vec<u8>>,
    columns: Vec<EncodedColumn>,
}

/// A column's values as a dictionary page holds them, and one code for each row that is not null.
struct Coded {
    dictionary: Vec<u8>,
    distinct: usize,
    codes: Vec<u32>,
}

enum Values {
    Coded(Coded),
    Plain(Vec<u8>),
}

impl GroupEncoder {
    pub(super) fn new(rows: usize) -> Result<Self, LakeError> {
        if rows > MAX_ROWS_PER_GROUP {
            return Err(LakeError::TooLarge { what: "a chunk's row count", limit: MAX_ROWS_PER_GROUP });
        }
        Ok(Self { rows, sink: TrackedWrite::new(Vec::new()), columns: Vec::new() })
    }

    pub(super) fn push(&mut self, name: Arc<str>, column: &Column) -> Result<(), LakeError> {
        if column.len() != self.rows {
            return Err(LakeError::batch(&name, "its length differs from its batch's"));
        }
        match column {
            Column::Text(text) => self.push_text(name, text),
            Column::Money(money) => self.push_money(name, money),
            Column::Time(time) => self.push_time(name, &time.micros),
        }
    }

    pub(super) fn push_text(&mut self, name: Arc<str>, column: &TextColumn) -> Result<(), LakeError> {
        let (coded, nulls, used) = code_text(&name, column)?;
        let values = || column.values.iter().zip(&used).filter(|(_, used)| **used).map(|(value, _)| value.as_bytes().to_vec());
        let bounds = BOUNDED.contains(&&*name).then(|| values().min().zip(values().max())).flatten();
        let valid = |row: usize| column.codes[row] != NULL_CODE;
        self.write(name, Kind::Text, nulls, valid, Values::Coded(coded), bounds)
    }

    pub(super) fn push_money(&mut self, name: Arc<str>, column: &MoneyColumn) -> Result<(), LakeError> {
        let present = || column.units.iter().copied().filter(|units| *units != money::NULL);
        if !present().all(|units| Amount(units).is_storable()) {
            return Err(LakeError::batch(&name, "an amount has more than 38 digits"));
        }
        let nulls = self.rows - present().count();
        let values = code_or_plain(self.rows - nulls, present, |units, out| out.extend_from_slice(&units.to_be_bytes()));
        let valid = |row: usize| column.units[row] != money::NULL;
        self.write(name, Kind::Money, nulls, valid, values, None)
    }

    pub(super) fn push_time(&mut self, name: Arc<str>, micros: &[i64]) -> Result<(), LakeError> {
        let present = || micros.iter().copied().filter(|time| *time != NULL_TIME);
        let nulls = self.rows - present().count();
        let values = code_or_plain(self.rows - nulls, present, |time, out| out.extend_from_slice(&time.to_le_bytes()));
        let bounds = BOUNDED.contains(&&*name).then(|| present().min().zip(present().max())).flatten();
        let bounds = bounds.map(|(least, greatest)| (least.to_le_bytes().to_vec(), greatest.to_le_bytes().to_vec()));
        self.write(name, Kind::Time, nulls, |row| micros[row] != NULL_TIME, values, bounds)
    }

    /// A column that is null on every row: a page of a few bytes.
    pub(super) fn push_null(&mut self, name: Arc<str>, kind: Kind) -> Result<(), LakeError> {
        let none = Values::Coded(Coded { dictionary: Vec::new(), distinct: 0, codes: Vec::new() });
        self.write(name, kind, self.rows, |_| false, none, None)
    }

    /// A column chunk as another file of this module holds it.
    pub(super) fn push_raw(&mut self, bytes: &[u8], column: EncodedColumn) -> Result<(), LakeError> {
        let offset = self.sink.bytes_written() as u64;
        self.sink.write_all(bytes).map_err(|_| LakeError::batch(&column.name, "it could not be copied"))?;
        self.columns.push(EncodedColumn { offset, ..column });
        Ok(())
    }

    pub(super) fn finish(self) -> Result<EncodedGroup, LakeError> {
        let bytes = self.sink.into_inner().map_err(|_| LakeError::batch("", "memory"))?;
        Ok(EncodedGroup { rows: self.rows, bytes, columns: self.columns })
    }

    fn write(
        &mut self,
        name: Arc<str>,
        kind: Kind,
        nulls: usize,
        valid: impl Fn(usize) -> bool,
        values: Values,
        bounds: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Result<(), LakeError> {
        let mut data = levels(self.rows, nulls, valid);
        let dictionary = match values {
            Values::Coded(Coded { distinct: 0, .. }) => None,
            Values::Coded(coded) => {
                let width = hybrid::width_of(coded.distinct);
                data.push(u8::try_from(width).unwrap_or(u8::MAX));
                hybrid::encode(&coded.codes, width, &mut data);
                Some((coded.dictionary, coded.distinct))
            }
            Values::Plain(bytes) => {
                data.extend_from_slice(&bytes);
                None
            }
        };
        let encoding = if dictionary.is_some() { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN };
        let raw = data.len() + dictionary.as_ref().map_or(0, |(bytes, _)| bytes.len());
        if raw as u64 > MAX_COLUMN_BYTES {
            return Err(LakeError::TooLarge {
                what: "one column of a chunk",
                limit: usize::try_from(MAX_COLUMN_BYTES).unwrap_or(usize::MAX),
            });
        }
        let (mut data_page, mut dictionary_page, mut compression) = (data, dictionary, Compression::UNCOMPRESSED);
        let (data_raw, dictionary_raw) = (data_page.len(), dictionary_page.as_ref().map_or(0, |(bytes, _)| bytes.len()));
        if raw >= MIN_COMPRESSED {
            let packed_data = compress(&data_page);
            let packed_dictionary = dictionary_page.as_ref().map(|(bytes, distinct)| (compress(bytes), *distinct));
            let packed = packed_data.len() + packed_dictionary.as_ref().map_or(0, |(bytes, _)| bytes.len());
            // A gain of less than an eighth does not pay for decompressing at every reading.
            if packed < raw - raw / 8 {
                (data_page, dictionary_page, compression) = (packed_data, packed_dictionary, CODEC);
            }
        }

        let offset = self.sink.bytes_written() as u64;
        let mut uncompressed_bytes = 0;
        let mut dictionary_bytes = 0;
        let mut pages = SerializedPageWriter::new(&mut self.sink);
        let mut put = |page: Page, raw: usize| {
            let spec =
                pages.write_page(CompressedPage::new(page, raw)).map_err(|_| LakeError::batch(&name, "a page could not be encoded"))?;
            uncompressed_bytes += spec.uncompressed_size as u64;
            Ok::<u64, LakeError>(spec.bytes_written)
        };
        if let Some((bytes, distinct)) = dictionary_page {
            let page =
                Page::DictionaryPage { buf: Bytes::from(bytes), num_values: count(distinct), encoding: Encoding::PLAIN, is_sorted: false };
            dictionary_bytes = put(page, dictionary_raw)?;
        }
        let page = Page::DataPage {
            buf: Bytes::from(data_page),
            num_values: count(self.rows),
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let bytes = dictionary_bytes + put(page, data_raw)?;
        let nulls = nulls as u64;
        self.columns.push(EncodedColumn { name, kind, offset, bytes, dictionary_bytes, uncompressed_bytes, compression, nulls, bounds });
        Ok(())
    }
}

/// LZ4 decompresses fastest, and dictionary codes leave little for a stronger codec to find.
const CODEC: Compression = Compression::LZ4_RAW;

fn compress(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress(bytes)
}

/// Row and value counts are at most [`MAX_ROWS_PER_GROUP`].
fn count(values: usize) -> u32 {
    u32::try_from(values).unwrap_or(u32::MAX)
}

/// The definition levels of a data page of version 1: their length, then one bit a row.
fn levels(rows: usize, nulls: usize, valid: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut out = vec![0; 4];
    if nulls == 0 || nulls == rows {
        hybrid::encode_run(u32::from(nulls == 0), rows, 1, &mut out);
    } else {
        let bits: Vec<u32> = (0..rows).map(|row| u32::from(valid(row))).collect();
        hybrid::encode(&bits, 1, &mut out);
    }
    let length = count(out.len() - 4);
    out[..4].copy_from_slice(&length.to_le_bytes());
    out
}

/// The dictionary as it is, or without the values that no row uses; the number of nulls; which values are used.
fn code_text(name: &str, column: &TextColumn) -> Result<(Coded, usize, Vec<bool>), LakeError> {
    let mut used = vec![false; column.values.len()];
    let mut nulls = 0;
    for code in &column.codes {
        if *code == NULL_CODE {
            nulls += 1;
        } else {
            *used.get_mut(*code as usize).ok_or_else(|| LakeError::batch(name, "a code is not in its dictionary"))? = true;
        }
    }
    let distinct = used.iter().filter(|used| **used).count();
    let mut dictionary = Vec::with_capacity(column.values.parts().0.len() + 4 * distinct);
    for (value, _) in column.values.iter().zip(&used).filter(|(_, used)| **used) {
        let length = u32::try_from(value.len()).map_err(|_| LakeError::batch(name, "a value passes 4 GiB"))?;
        dictionary.extend_from_slice(&length.to_le_bytes());
        dictionary.extend_from_slice(value.as_bytes());
    }
    let codes = column.codes.iter().copied().filter(|code| *code != NULL_CODE);
    let codes = if distinct == used.len() {
        codes.collect()
    } else {
        let before = used.iter().scan(0, |next, used| {
            let code = *next;
            *next += u32::from(*used);
            Some(code)
        });
        let renumbered: Vec<u32> = before.collect();
        codes.map(|code| renumbered[code as usize]).collect()
    };
    Ok((Coded { dictionary, distinct, codes }, nulls, used))
}

/// A dictionary where it is clearly smaller than the values one by one.
fn code_or_plain<T, I>(present: usize, values: impl Fn() -> I, put: impl Fn(T, &mut Vec<u8>)) -> Values
where
    T: Copy + Eq + Into<i128>,
    I: Iterator<Item = T>,
{
    let plain = || {
        let mut out = Vec::with_capacity(present * size_of::<T>());
        values().for_each(|value| put(value, &mut out));
        Values::Plain(out)
    };
    // The first values tell in good time that most are different.
    const SAMPLE: usize = 4096;
    let hasher = Folded;
    let mut seen: HashTable<u32> = HashTable::new();
    let mut distinct: Vec<T> = Vec::new();
    let mut codes = Vec::with_capacity(present);
    let mut last: Option<(T, u32)> = None;
    for value in values() {
        let code = match last {
            Some((same, code)) if same == value => code,
            _ => {
                let hash = hasher.hash_one(value.into());
                let entry =
                    seen.entry(hash, |code| distinct[*code as usize] == value, |code| hasher.hash_one(distinct[*code as usize].into()));
                *entry
                    .or_insert_with(|| {
                        distinct.push(value);
                        count(distinct.len() - 1)
                    })
                    .get()
            }
        };
        last = Some((value, code));
        codes.push(code);
        if distinct.len() > codes.len().max(SAMPLE) / 2 {
            return plain();
        }
    }
    let mut dictionary = Vec::with_capacity(distinct.len() * size_of::<T>());
    distinct.iter().for_each(|value| put(*value, &mut dictionary));
    Values::Coded(Coded { dictionary, distinct: distinct.len(), codes })
}

/// A multiplying hash of one number: amounts of a bill are no adversary, and a cryptographic hash would be most of the encoding's time.
struct Folded;

impl Folded {
    #[allow(clippy::cast_possible_truncation)] // both halves enter the product
    fn hash_one(&self, value: i128) -> u64 {
        let bits = value.cast_unsigned();
        let folded = (bits as u64) ^ ((bits >> 64) as u64).rotate_left(32);
        let product = u128::from(folded ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
        (product as u64) ^ ((product >> 64) as u64)
    }
}
