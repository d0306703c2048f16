//! A chunk: the unit in which a bill is read, rated and stored.

/// A stretch of one source file. Where chunks begin and end depends on the file's bytes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// The file's place in its bill, from zero.
    pub file: u32,
    /// The chunk's place in its file, from zero and without gaps.
    pub seq: u32,
}
