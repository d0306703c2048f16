//! Files as chunks of text: plain CSV, gzip of one or several members, and the CSV members of a zip.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{At, BillError, Place};
use super::format::Layout;
use super::records::last_record_end;
use crate::domain::progress::Progress;

/// Text of a chunk: long enough that starting a chunk costs nothing, short enough that four workers stay under 1 GiB together.
pub(super) const CHUNK_BYTES: usize = 64 << 20;

/// Lines of a chunk at most, so that the fixed columns of a narrow bill do not outgrow its text.
const CHUNK_LINES: usize = 256 << 10;

/// The longest record: far above any real one, far below a file whose quotes never close.
pub(super) const RECORD_BYTES: usize = 16 << 20;

/// Read from disk at once.
const READ_BYTES: usize = 256 << 10;

/// One readable file of a bill, or one member of a zip.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// As messages and reports call it.
    pub(super) name: String,
    pub(super) kind: SourceKind,
}

#[derive(Clone, Debug)]
pub(super) enum SourceKind {
    Csv,
    Gzip,
    ZipMember { start: u64, bytes: u64, deflated: bool, crc: u32 },
    Parquet,
}

/// The sources in a file; a zip may hold several.
pub(super) fn sources(path: &Path, name: &str) -> Result<Vec<Source>, BillError> {
    let lower = name.to_ascii_lowercase();
    let one = |kind| Ok(vec![Source { path: path.to_owned(), name: name.to_owned(), kind }]);
    if lower.ends_with(".parquet") {
        one(SourceKind::Parquet)
    } else if lower.ends_with(".zip") {
        zip_members(path, name)
    } else if lower.ends_with(".gz") {
        one(SourceKind::Gzip)
    } else {
        one(SourceKind::Csv)
    }
}

fn zip_members(path: &Path, name: &str) -> Result<Vec<Source>, BillError> {
    let broken = |what: String| BillError::Container { file: name.to_owned(), kind: "zip", what };
    let file = File::open(path).map_err(|source| BillError::Io { path: path.to_owned(), source })?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| broken(error.to_string()))?;
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|error| broken(error.to_string()))?;
        let inner = member.name().map_err(|error| broken(error.to_string()))?.into_owned();
        if !member.is_file() || !inner.to_ascii_lowercase().ends_with(".csv") {
            continue;
        }
        let deflated = match member.compression() {
            zip::CompressionMethod::Stored => false,
            zip::CompressionMethod::Deflated => true,
            other => return Err(broken(format!("{inner} is compressed with {other}; only deflate is read"))),
        };
        let start = member.data_start().ok_or_else(|| broken("a member has no data".to_owned()))?;
        let (bytes, crc) = (member.compressed_size(), member.crc32());
        let kind = SourceKind::ZipMember { start, bytes, deflated, crc };
        members.push(Source { path: path.to_owned(), name: format!("{name}/{inner}"), kind });
    }
    if members.is_empty() { Err(broken("no .csv member".to_owned())) } else { Ok(members) }
}

/// Counts what is read from disk, for the progress of the import.
struct Counted<'p, R> {
    inner: R,
    progress: &'p Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.progress.advance(read as u64, 0);
        Ok(read)
    }
}

/// Checks a zip member's checksum at its end; gzip does so itself.
struct Checked<R> {
    inner: R,
    crc: flate2::Crc,
    expected: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.crc.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && self.crc.sum() != self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "checksum differs"));
        }
        Ok(read)
    }
}

type Input<'p> = Box<dyn Read + Send + 'p>;

fn open<'p>(source: &Source, progress: &'p Progress) -> io::Result<Input<'p>> {
    let mut file = File::open(&source.path)?;
    Ok(match source.kind {
        SourceKind::Gzip => {
            let counted = BufReader::with_capacity(READ_BYTES, Counted { inner: file, progress });
            Box::new(flate2::bufread::MultiGzDecoder::new(counted))
        }
        SourceKind::ZipMember { start, bytes, deflated, crc } => {
            file.seek(SeekFrom::Start(start))?;
            let counted = BufReader::with_capacity(READ_BYTES, Counted { inner: file.take(bytes), progress });
            let inner: Input<'p> = if deflated { Box::new(flate2::bufread::DeflateDecoder::new(counted)) } else { Box::new(counted) };
            Box::new(Checked { inner, crc: flate2::Crc::new(), expected: crc })
        }
        SourceKind::Csv | SourceKind::Parquet => Box::new(Counted { inner: file, progress }),
    })
}

/// Reads a text file chunk by chunk. Where chunks end depends on the text only.
pub(super) struct TextReader<'p> {
    pub(super) file: u32,
    pub(super) name: Arc<str>,
    pub(super) layout: Arc<Layout>,
    input: Input<'p>,
    chunk_bytes: usize,
    seq: u32,
    /// Read but not yet handed out.
    carry: Vec<u8>,
    at_end: bool,
    /// The line on which the carry begins.
    line: u64,
}

/// Which text a reader has put into the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextChunk {
    pub(super) seq: u32,
    pub(super) first_line: u64,
}

impl<'p> TextReader<'p> {
    /// Opens a source and reads its header.
    pub(super) fn open(source: &Source, file: u32, chunk_bytes: usize, progress: &'p Progress) -> Result<Self, BillError> {
        let mut input = open(source, progress).map_err(|error| BillError::Io { path: source.path.clone(), source: error })?;
        let mut carry = Vec::new();
        let mut at_end = false;
        let mut header = None;
        while header.is_none() && !at_end {
            at_end = fill(&mut *input, &mut carry, 64 << 10).map_err(|error| truncated(&source.name, &carry, 1, error))?;
            header = first_record_end(&carry);
            if header.is_none() && carry.len() > RECORD_BYTES {
                return Err(long_record(&source.name, 1));
            }
        }
        let end = header.unwrap_or(carry.len());
        let place = Place { file: source.name.clone(), at: At::Line(1), column: None };
        let text = std::str::from_utf8(&carry[..end]).map_err(|_| BillError::NotUtf8 { place: place.clone() })?;
        if holds_a_return(text.trim_end_matches(['\r', '\n'])) {
            return Err(BillError::CarriageReturns { file: source.name.clone() });
        }
        let headers =
            split_header(text.trim_start_matches('\u{feff}')).map_err(|value| BillError::Quoting { place, what: "a header", value })?;
        let layout = Arc::new(Layout::detect(&source.name, headers)?);
        let line = 1 + newlines(&carry[..end]) as u64;
        carry.drain(..end);
        Ok(Self { file, name: Arc::from(source.name.as_str()), layout, input, chunk_bytes, seq: 0, carry, at_end, line })
    }

    /// Fills `buffer` with the next chunk; `None` at the end.
    pub(super) fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<TextChunk>, BillError> {
        loop {
            buffer.clear();
            buffer.append(&mut self.carry);
            self.fill_to_a_record_end(buffer)?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let first_line = self.line;
            self.line += newlines(buffer) as u64;
            // A chunk without a record would be a gap in the numbering.
            if buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                continue;
            }
            let seq = self.seq;
            self.seq += 1;
            return Ok(Some(TextChunk { seq, first_line }));
        }
    }

    fn fill_to_a_record_end(&mut self, buffer: &mut Vec<u8>) -> Result<(), BillError> {
        let mut target = self.chunk_bytes;
        loop {
            while buffer.len() < target && !self.at_end {
                let missing = target - buffer.len();
                let filled = fill(&mut *self.input, buffer, missing);
                self.at_end = filled.map_err(|error| truncated(&self.name, buffer, self.line, error))?;
            }
            let within = &buffer[..target.min(buffer.len())];
            let end = match nth_newline(within, CHUNK_LINES) {
                Some(newline) => last_record_end(&within[..=newline]),
                None if self.at_end && within.len() == buffer.len() => Some(buffer.len()),
                None => last_record_end(within),
            };
            if let Some(end) = end {
                self.carry.extend_from_slice(&buffer[end..]);
                buffer.truncate(end);
                return Ok(());
            }
            if target > self.chunk_bytes.max(RECORD_BYTES) {
                return Err(long_record(&self.name, self.line));
            }
            target *= 2;
        }
    }
}

/// Appends up to `bytes`; true at the end of the input.
fn fill(input: &mut (dyn Read + Send), buffer: &mut Vec<u8>, bytes: usize) -> io::Result<bool> {
    let before = buffer.len();
    input.take(bytes as u64).read_to_end(buffer)?;
    Ok(buffer.len() - before < bytes)
}

fn truncated(name: &str, buffer: &[u8], line: u64, source: io::Error) -> BillError {
    BillError::Truncated { file: name.to_owned(), after_line: line + newlines(buffer) as u64 - 1, source }
}

fn long_record(name: &str, line: u64) -> BillError {
    let place = Place { file: name.to_owned(), at: At::Line(line), column: None };
    BillError::LongRecord { place, limit: RECORD_BYTES }
}

fn newlines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

fn nth_newline(text: &[u8], n: usize) -> Option<usize> {
    (newlines(text) > n).then(|| memchr::memchr_iter(b'\n', text).nth(n - 1)).flatten()
}

/// One past the header's line break.
fn first_record_end(text: &[u8]) -> Option<usize> {
    let mut quotes = 0;
    let mut from = 0;
    for newline in memchr::memchr_iter(b'\n', text) {
        quotes += memchr::memchr_iter(b'"', &text[from..newline]).count();
        if quotes.is_multiple_of(2) {
            return Some(newline + 1);
        }
        from = newline;
    }
    None
}

/// Whether a carriage return stands in the text outside of quotes.
fn holds_a_return(text: &str) -> bool {
    let mut inside = false;
    text.bytes().any(|byte| {
        inside ^= byte == b'"';
        byte == b'\r' && !inside
    })
}

fn split_header(line: &str) -> Result<Vec<String>, String> {
    let line = line.trim_end_matches(['\r', '\n']);
    let mut names = Vec::new();
    let (mut start, mut inside) = (0, false);
    let mut scratch = String::new();
    for (at, character) in line.char_indices().chain([(line.len(), ',')]) {
        match character {
            '"' => inside = !inside,
            ',' if !inside || at == line.len() => {
                let raw = &line[start..at];
                names.push(super::cells::unquoted(raw, &mut scratch).map_err(|_| raw.to_owned())?.to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    Ok(names)
}
