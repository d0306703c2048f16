//! Reading a snapshot: only the wanted columns of a row group, from as many threads as one likes.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};

use super::encode::{EncodedColumn, GroupEncoder};
use super::error::LakeError;
use super::file::NATIVE;
use super::{MAX_COLUMN_BYTES, MAX_FOOTER_BYTES, MAX_ROWS_PER_GROUP, decode, tags};
use crate::domain::charge::{self, Kind, NATIVE_PREFIX, TAG_PREFIX};
use crate::domain::columns::{Batch, Column, TextColumn};
use crate::domain::rated::GroupRef;

/// A file of this module, its footer read.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) path: PathBuf,
    file: File,
    metadata: ParquetMetaData,
    /// Leaf positions by column name, natives with their prefix.
    columns: HashMap<Arc<str>, (usize, Kind)>,
    names: Vec<Arc<str>>,
}

impl OpenFile {
    pub(super) fn open(path: &Path) -> Result<Self, LakeError> {
        let file = File::open(path).map_err(LakeError::io(path))?;
        let corrupt = |what: String| LakeError::Corrupt { path: path.to_owned(), what };
        let length = file.metadata().map_err(LakeError::io(path))?.len();
        let mut tail = [0; 8];
        let at = length.checked_sub(8).ok_or_else(|| corrupt("too short".to_owned()))?;
        file.read_exact_at(&mut tail, at).map_err(LakeError::io(path))?;
        let footer = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
        if footer > MAX_FOOTER_BYTES || footer > at || &tail[4..] != b"PAR1" {
            return Err(corrupt("no footer".to_owned()));
        }
        let mut bytes = vec![0; usize::try_from(footer).map_err(|_| corrupt("no footer".to_owned()))?];
        file.read_exact_at(&mut bytes, at - footer).map_err(LakeError::io(path))?;
        let metadata = ParquetMetaDataReader::decode_metadata(&bytes).map_err(LakeError::parquet(path))?;
        check(&metadata, at - footer).map_err(corrupt)?;
        let mut columns = HashMap::new();
        let mut names = Vec::new();
        for (leaf, description) in metadata.file_metadata().schema_descr().columns().iter().enumerate() {
            let kind = match description.physical_type() {
                parquet::basic::Type::BYTE_ARRAY => Kind::Text,
                parquet::basic::Type::FIXED_LEN_BYTE_ARRAY if description.type_length() == 16 => Kind::Money,
                parquet::basic::Type::INT64 => Kind::Time,
                _ => return Err(corrupt(format!("column {leaf} has a type that is not ours"))),
            };
            let name: Arc<str> = match description.path().parts() {
                [name] => name.as_str().into(),
                [group, name] if group == NATIVE => format!("{NATIVE_PREFIX}{name}").into(),
                _ => return Err(corrupt(format!("column {leaf} is nested in a way that is not ours"))),
            };
            names.push(Arc::clone(&name));
            columns.insert(name, (leaf, kind));
        }
        Ok(Self { path: path.to_owned(), file, metadata, columns, names })
    }
}

impl OpenFile {
    pub(super) fn groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// Checked when the file was opened: at most [`MAX_ROWS_PER_GROUP`].
    pub(super) fn rows(&self, group: usize) -> usize {
        usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0)
    }

    /// In the order of the file.
    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    pub(super) fn kind(&self, name: &str) -> Option<Kind> {
        self.columns.get(name).map(|(_, kind)| *kind)
    }

    pub(super) fn note(&self, key: &str) -> Option<&str> {
        let notes = self.metadata.file_metadata().key_value_metadata()?;
        notes.iter().find(|note| note.key == key)?.value.as_deref()
    }

    /// `None` where the file has no such column.
    pub(super) fn read(&self, group: usize, name: &str) -> Result<Option<Column>, LakeError> {
        let Some((leaf, kind)) = self.columns.get(name) else { return Ok(None) };
        let rows = self.rows(group);
        let chunk = self.metadata.row_group(group).column(*leaf);
        if chunk.statistics().and_then(|statistics| statistics.null_count_opt()) == Some(rows as u64) {
            return Ok(Some(Column::null(*kind, rows)));
        }
        let (start, bytes) = self.bytes(chunk)?;
        let column = decode::decode(*kind, rows, chunk, start, bytes);
        column.map(Some).map_err(|what| LakeError::Corrupt { path: self.path.clone(), what: format!("{name}, row group {group}: {what}") })
    }

    /// Puts the column chunk into `encoder` as it is, under the name `name`; false where the file has no such column.
    pub(super) fn copy(&self, group: usize, source: &str, name: &str, encoder: &mut GroupEncoder) -> Result<bool, LakeError> {
        let Some((leaf, kind)) = self.columns.get(source) else { return Ok(false) };
        let chunk = self.metadata.row_group(group).column(*leaf);
        let corrupt = |what: &str| LakeError::Corrupt { path: self.path.clone(), what: format!("{source}, row group {group}: {what}") };
        let size = |value: i64| u64::try_from(value).map_err(|_| corrupt("a negative size"));
        let nulls = chunk.statistics().and_then(|statistics| statistics.null_count_opt()).ok_or_else(|| corrupt("no count of nulls"))?;
        let bounds = chunk.statistics().and_then(|statistics| statistics.min_bytes_opt().zip(statistics.max_bytes_opt()));
        let bounds = bounds.map(|(least, greatest)| (least.to_vec(), greatest.to_vec()));
        let dictionary_bytes = chunk.dictionary_page_offset().map_or(0, |offset| chunk.data_page_offset() - offset);
        let (_, bytes) = self.bytes(chunk)?;
        encoder.push_raw(
            &bytes,
            EncodedColumn {
                name: name.into(),
                kind: *kind,
                offset: 0,
                bytes: bytes.len() as u64,
                dictionary_bytes: size(dictionary_bytes)?,
                uncompressed_bytes: size(chunk.uncompressed_size())?,
                compression: chunk.compression(),
                nulls,
                bounds,
            },
        )?;
        Ok(true)
    }

    fn bytes(&self, chunk: &ColumnChunkMetaData) -> Result<(u64, Bytes), LakeError> {
        let (start, length) = chunk.byte_range();
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, start).map_err(LakeError::io(&self.path))?;
        Ok((start, bytes.into()))
    }
}

/// That every count and range of a footer is one that can be read; `end` is where the row groups end.
fn check(metadata: &ParquetMetaData, end: u64) -> Result<(), String> {
    let within = |value: i64, most: u64| u64::try_from(value).is_ok_and(|value| value <= most);
    let schema = metadata.file_metadata().schema_descr();
    if let Some(leaf) = schema.columns().iter().position(|leaf| leaf.max_def_level() != 1 || leaf.max_rep_level() != 0) {
        return Err(format!("column {leaf} is nested in a way that is not ours"));
    }
    for (index, group) in metadata.row_groups().iter().enumerate() {
        if !within(group.num_rows(), MAX_ROWS_PER_GROUP as u64) || group.num_columns() != schema.num_columns() {
            return Err(format!("row group {index} has a size that cannot be read"));
        }
        for chunk in group.columns() {
            let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
            let sizes = within(chunk.compressed_size(), MAX_COLUMN_BYTES) && within(chunk.uncompressed_size(), MAX_COLUMN_BYTES);
            if !sizes || !within(start, end) || !within(start.saturating_add(chunk.compressed_size()), end) {
                return Err(format!("{} of row group {index} lies outside of the file", chunk.column_path()));
            }
        }
    }
    Ok(())
}

/// The parts of a snapshot, read together. Parts are numbered in the order given.
#[derive(Debug)]
pub struct SnapshotReader {
    parts: Vec<OpenFile>,
}

impl SnapshotReader {
    /// Reads the footers; nothing else is kept in memory.
    pub fn open(parts: &[PathBuf]) -> Result<Self, LakeError> {
        Ok(Self { parts: parts.iter().map(|path| OpenFile::open(path)).collect::<Result<_, _>>()? })
    }

    /// Every row group with its number of rows, in the order of parts.
    pub fn groups(&self) -> Vec<(GroupRef, u32)> {
        let index = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let of_part = |(part, file): (usize, &OpenFile)| {
            (0..file.groups())
                .map(|group| (GroupRef { part: index(part), group: index(group) }, index(file.rows(group))))
                .collect::<Vec<_>>()
        };
        self.parts.iter().enumerate().flat_map(of_part).collect()
    }

    /// Whether [`SnapshotReader::read`] can find anything under this name.
    pub fn has_column(&self, name: &str) -> bool {
        let name = if name.starts_with(TAG_PREFIX) { "Tags" } else { name };
        self.parts.iter().any(|part| part.kind(name).is_some())
    }

    /// Names of the sources' own columns with their prefix, each once, in the order of the parts.
    pub fn natives(&self) -> Vec<Arc<str>> {
        let mut seen = std::collections::HashSet::new();
        let names = self.parts.iter().flat_map(|part| part.names()).filter(|name| name.starts_with(NATIVE_PREFIX));
        names.filter(|name| seen.insert(Arc::clone(name))).cloned().collect()
    }

    /// The named columns of a row group, in the order of their names: stored ones, `x_Native.<source column>` and `Tags.<key>`. A
    /// column that the part does not have is null.
    pub fn read(&self, group: GroupRef, columns: &[&str]) -> Result<Batch, LakeError> {
        let file = self.file(group)?;
        let index = group.group as usize;
        let rows = file.rows(index);
        let keys: Vec<&str> = columns.iter().filter_map(|name| name.strip_prefix(TAG_PREFIX)).collect();
        let mut single = single_tags(file, index, &keys)?.into_iter();
        let mut batch = Batch::new(rows);
        for name in columns {
            let column = if name.starts_with(TAG_PREFIX) { single.next().map(Column::Text) } else { file.read(index, name)? };
            let column = match column {
                Some(column) => column,
                None => Column::null(charge::kind_of(name).ok_or_else(|| LakeError::NoSuchColumn((*name).to_owned()))?, rows),
            };
            batch.push(*name, column);
        }
        Ok(batch)
    }

    pub(super) fn file(&self, group: GroupRef) -> Result<&OpenFile, LakeError> {
        let file = self.parts.get(group.part as usize).filter(|file| (group.group as usize) < file.groups());
        file.ok_or(LakeError::NoSuchGroup { part: group.part, group: group.group })
    }
}

fn single_tags(file: &OpenFile, group: usize, keys: &[&str]) -> Result<Vec<TextColumn>, LakeError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    Ok(match file.read(group, "Tags")? {
        Some(Column::Text(text)) => tags::extract(&text, keys),
        _ => vec![TextColumn::constant(None, file.rows(group)); keys.len()],
    })
}
