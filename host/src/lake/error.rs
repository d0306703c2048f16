use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::depot::DepotError;
use crate::domain::chunk::ChunkId;
use crate::domain::rated::GroupRef;

/// Why charges could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A file is not at hand and cannot be had.
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Parquet { path: PathBuf, source: ParquetError },
    /// A stored file does not hold what this module writes.
    #[error("{}: {what}", path.display())]
    Corrupt { path: PathBuf, what: String },
    /// A charge that belongs to no billing period.
    #[error("row {row} of chunk {} of file {} has neither BillingPeriodStart nor ChargePeriodStart", chunk.seq, chunk.file)]
    NoPeriod {
        chunk: ChunkId,
        /// From zero, in the chunk.
        row: usize,
    },
    /// A batch that breaks the rules of its own type; a mistake in the caller.
    #[error("column {column}: {what}")]
    Batch { column: String, what: &'static str },
    #[error("{what} has more than {limit}")]
    TooLarge { what: &'static str, limit: usize },
    #[error("a total of BilledCost passes 38 digits")]
    Overflow,
    #[error("the import was given up")]
    Aborted,
    #[error("chunk {} of file {} did not come", .0.seq, .0.file)]
    MissingChunk(ChunkId),
    #[error("chunk {} of file {} came twice", .0.seq, .0.file)]
    RepeatedChunk(ChunkId),
    #[error("row group {} of part {} was not announced, or came twice", .0.group, .0.part)]
    UnexpectedGroup(GroupRef),
    #[error("{missing} row groups of the overlay did not come")]
    MissingGroups { missing: usize },
    #[error("no charge has a column named {0}")]
    NoSuchColumn(String),
    #[error("part {part} has no row group {group}")]
    NoSuchGroup { part: u32, group: u32 },
}

impl LakeError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self {
        move |source| Self::Parquet { path: path.to_owned(), source }
    }

    pub(super) fn batch(column: &str, what: &'static str) -> Self {
        Self::Batch { column: column.to_owned(), what }
    }
}
