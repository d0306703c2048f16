//! One Parquet file being written: row groups as they come, the footer at the end, the real name last.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Encoding, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::statistics::Statistics;
use parquet::file::writer::TrackedWrite;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, Type};

use serde::{Deserialize, Serialize};

use super::encode::{EncodedColumn, EncodedGroup, GroupEncoder};
use super::error::LakeError;
use crate::domain::charge::{self, Kind, NATIVE_PREFIX};

/// Ending of a file that is not whole yet.
const UNFINISHED: &str = ".unfinished";

/// The struct column of a source's own columns.
pub(super) const NATIVE: &str = "x_Native";

/// The column of an overlay that is a plain integer: rows passed over since the row before.
pub(super) const ROW_GAP: &str = "x_RowGap";

/// A finished file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    pub file_name: String,
    pub rows: u64,
    pub bytes: u64,
}

/// Removes what writers that were cut off left behind in `dir`; gives the number of files. Not for a folder that is being written to.
pub fn clean(dir: &Path) -> Result<usize, LakeError> {
    let mut removed = 0;
    for entry in fs::read_dir(dir).map_err(LakeError::io(dir))? {
        let path = entry.map_err(LakeError::io(dir))?.path();
        if path.is_file() && path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(UNFINISHED.as_bytes())) {
            fs::remove_file(&path).map_err(LakeError::io(&path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A file under its temporary name; dropped before [`Unfinished::publish`], it is removed.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    temporary: PathBuf,
    published: bool,
}

impl Unfinished {
    pub(super) fn create(path: &Path) -> Result<(Self, File), LakeError> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(UNFINISHED);
        let temporary = PathBuf::from(temporary);
        let file = File::create(&temporary).map_err(LakeError::io(&temporary))?;
        Ok((Self { path: path.to_owned(), temporary, published: false }, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name. The caller has synced its content.
    pub(super) fn publish(mut self) -> Result<(), LakeError> {
        fs::rename(&self.temporary, &self.path).map_err(LakeError::io(&self.path))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.published {
            // Nobody is left to tell; `clean` tries again.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Makes renames in `dir` survive a power cut.
pub(super) fn sync_dir(dir: &Path) -> Result<(), LakeError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(LakeError::io(dir))
}

/// A Parquet file that grows by row groups. Its schema is the union of what they hold, and is settled when it ends: a column that a
/// row group does not have is null there.
#[derive(Debug)]
pub(super) struct PartFile {
    unfinished: Unfinished,
    out: BufWriter<File>,
    written: u64,
    rows: u64,
    groups: Vec<(usize, Vec<EncodedColumn>)>,
    names: Vec<(Arc<str>, Kind)>,
    known: HashSet<Arc<str>>,
}

const MAGIC: &[u8; 4] = b"PAR1";

impl PartFile {
    pub(super) fn create(path: &Path) -> Result<Self, LakeError> {
        let (unfinished, file) = Unfinished::create(path)?;
        let mut out = BufWriter::new(file);
        out.write_all(MAGIC).map_err(LakeError::io(path))?;
        let written = MAGIC.len() as u64;
        Ok(Self { unfinished, out, written, rows: 0, groups: Vec::new(), names: Vec::new(), known: HashSet::new() })
    }

    /// Columns that the file has even where no row group does.
    pub(super) fn declare<'a>(&mut self, columns: impl IntoIterator<Item = &'a (&'a str, Kind)>) {
        for (name, kind) in columns {
            self.name(&Arc::from(*name), *kind);
        }
    }

    fn name(&mut self, name: &Arc<str>, kind: Kind) {
        if self.known.insert(Arc::clone(name)) {
            self.names.push((Arc::clone(name), kind));
        }
    }

    pub(super) fn append(&mut self, group: EncodedGroup) -> Result<(), LakeError> {
        let columns = self.put(group.bytes, group.columns)?;
        self.rows += group.rows as u64;
        self.groups.push((group.rows, columns));
        Ok(())
    }

    fn put(&mut self, bytes: Vec<u8>, mut columns: Vec<EncodedColumn>) -> Result<Vec<EncodedColumn>, LakeError> {
        self.out.write_all(&bytes).map_err(LakeError::io(self.unfinished.path()))?;
        for column in &mut columns {
            column.offset += self.written;
            self.name(&column.name, column.kind);
        }
        self.written += bytes.len() as u64;
        Ok(columns)
    }

    /// Writes the footer and syncs; the file keeps its temporary name.
    pub(super) fn seal(mut self, metadata: Vec<(&str, String)>) -> Result<(Unfinished, PartInfo), LakeError> {
        let path = self.unfinished.path().to_owned();
        self.fill_absent_columns()?;
        let names = ordered(std::mem::take(&mut self.names));
        let groups = std::mem::take(&mut self.groups);
        let at = self.written;
        let footer = footer(at, &names, groups, metadata).map_err(LakeError::parquet(&path))?;
        self.out.write_all(&footer).map_err(LakeError::io(&path))?;
        let file = self.out.into_inner().map_err(|error| LakeError::io(&path)(error.into_error()))?;
        file.sync_all().map_err(LakeError::io(&path))?;
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok((self.unfinished, PartInfo { file_name, rows: self.rows, bytes: at + footer.len() as u64 }))
    }

    fn fill_absent_columns(&mut self) -> Result<(), LakeError> {
        let mut groups = std::mem::take(&mut self.groups);
        for (rows, columns) in &mut groups {
            if columns.len() == self.names.len() {
                continue;
            }
            let present: HashSet<Arc<str>> = columns.iter().map(|column| Arc::clone(&column.name)).collect();
            let mut encoder = GroupEncoder::new(*rows)?;
            for (name, kind) in self.names.iter().filter(|(name, _)| !present.contains(name)) {
                encoder.push_null(Arc::clone(name), *kind)?;
            }
            let nulls = encoder.finish()?;
            columns.extend(self.put(nulls.bytes, nulls.columns)?);
        }
        self.groups = groups;
        Ok(())
    }
}

/// Stored columns in their canonical order, then the source's own, then the rest as they came.
fn ordered(mut names: Vec<(Arc<str>, Kind)>) -> Vec<(Arc<str>, Kind)> {
    names.sort_by_key(|(name, _)| match charge::STORED.iter().position(|(stored, _)| *stored == &**name) {
        Some(position) => position,
        None if name.starts_with(NATIVE_PREFIX) => charge::STORED.len(),
        None => charge::STORED.len() + 1,
    });
    names
}

fn footer(
    at: u64,
    names: &[(Arc<str>, Kind)],
    groups: Vec<(usize, Vec<EncodedColumn>)>,
    metadata: Vec<(&str, String)>,
) -> Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(SchemaDescriptor::new(Arc::new(schema(names)?)));
    let rows: usize = groups.iter().map(|(rows, _)| rows).sum();
    let metadata = metadata.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
    let file = FileMetaData::new(2, signed(rows as u64)?, Some("rerate".to_owned()), Some(metadata), Arc::clone(&schema), None);
    let mut builder = ParquetMetaDataBuilder::new(file);
    for (ordinal, (rows, columns)) in groups.into_iter().enumerate() {
        let ordinal = i16::try_from(ordinal).map_err(|_| ParquetError::General("more than 32,767 row groups in one file".to_owned()))?;
        let by_name: std::collections::HashMap<&str, &EncodedColumn> = columns.iter().map(|column| (&*column.name, column)).collect();
        let chunks = names.iter().zip(schema.columns()).map(|((name, _), description)| {
            let column = by_name.get(&**name).ok_or_else(|| ParquetError::General(format!("{name} was not written")))?;
            chunk_metadata(rows, column, description)
        });
        let chunks = chunks.collect::<Result<Vec<_>, _>>()?;
        let bytes: u64 = columns.iter().map(|column| column.uncompressed_bytes).sum();
        let group = RowGroupMetaData::builder(Arc::clone(&schema))
            .set_column_metadata(chunks)
            .set_num_rows(signed(rows as u64)?)
            .set_total_byte_size(signed(bytes)?)
            .set_ordinal(ordinal)
            .build()?;
        builder = builder.add_row_group(group);
    }
    let mut out = Vec::new();
    ParquetMetaDataWriter::new_with_tracked(TrackedWrite::new(&mut out), &builder.build()).finish()?;
    debug_assert!(at >= MAGIC.len() as u64, "a footer follows the magic");
    Ok(out)
}

fn chunk_metadata(rows: usize, column: &EncodedColumn, description: &ColumnDescPtr) -> Result<ColumnChunkMetaData, ParquetError> {
    let coded = column.dictionary_bytes > 0;
    let encodings =
        if coded { vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY] } else { vec![Encoding::PLAIN, Encoding::RLE] };
    ColumnChunkMetaData::builder(Arc::clone(description))
        .set_encodings(encodings)
        .set_compression(column.compression)
        .set_num_values(signed(rows as u64)?)
        .set_total_compressed_size(signed(column.bytes)?)
        .set_total_uncompressed_size(signed(column.uncompressed_bytes)?)
        .set_dictionary_page_offset(if coded { Some(signed(column.offset)?) } else { None })
        .set_data_page_offset(signed(column.offset + column.dictionary_bytes)?)
        .set_statistics(statistics(column))
        .build()
}

fn statistics(column: &EncodedColumn) -> Statistics {
    let (least, greatest) = column.bounds.clone().unzip();
    let nulls = Some(column.nulls);
    let micros = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| bytes.try_into().ok()).map(i64::from_le_bytes);
    match column.kind {
        Kind::Text => Statistics::byte_array(least.map(ByteArray::from), greatest.map(ByteArray::from), None, nulls, false),
        Kind::Money => Statistics::fixed_len_byte_array(None, None, None, nulls, false),
        Kind::Time => Statistics::int64(micros(least), micros(greatest), None, nulls, false),
    }
}

fn signed(value: u64) -> Result<i64, ParquetError> {
    i64::try_from(value).map_err(|_| ParquetError::General("a size passes 63 bits".to_owned()))
}

fn schema(names: &[(Arc<str>, Kind)]) -> Result<Type, ParquetError> {
    let mut fields = Vec::new();
    let mut natives = Vec::new();
    let mut native_at = None;
    for (name, kind) in names {
        if let Some(native) = name.strip_prefix(NATIVE_PREFIX) {
            native_at.get_or_insert(fields.len());
            natives.push(Arc::new(leaf(native, *kind)?));
        } else {
            fields.push(Arc::new(leaf(name, *kind)?));
        }
    }
    if let Some(at) = native_at {
        let group = Type::group_type_builder(NATIVE).with_repetition(Repetition::REQUIRED).with_fields(natives).build()?;
        fields.insert(at, Arc::new(group));
    }
    Type::group_type_builder("charge").with_fields(fields).build()
}

fn leaf(name: &str, kind: Kind) -> Result<Type, ParquetError> {
    let (physical, logical) = match kind {
        Kind::Text => (Physical::BYTE_ARRAY, LogicalType::String),
        Kind::Money => (Physical::FIXED_LEN_BYTE_ARRAY, LogicalType::decimal(18, 38)),
        Kind::Time if name == ROW_GAP => (Physical::INT64, LogicalType::integer(64, true)),
        Kind::Time => (Physical::INT64, LogicalType::timestamp(true, TimeUnit::MICROS)),
    };
    let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL).with_logical_type(Some(logical));
    if kind == Kind::Money { builder.with_length(16).with_precision(38).with_scale(18).build() } else { builder.build() }
}
