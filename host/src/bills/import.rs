//! Runs an import: each worker takes a file's reader, inflates one chunk, puts the reader back and makes charges of its chunk, so that
//! one big file keeps all workers busy.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::columnar::{self, RowsReader};
use super::discover::Bill;
use super::error::{BillError, SinkError};
use super::raw::Raw;
use super::report::{FileReport, ImportReport, Notes};
use super::source::{self, CHUNK_BYTES, Source, SourceKind, TextReader};
use crate::domain::chunk::ChunkId;
use crate::domain::columns::Batch;
use crate::domain::progress::Progress;

/// Reads a bill and hands its charges to `sink`, chunk by chunk, from several threads and in no particular order.
///
/// `progress` counts bytes of the files, as they are on disk, and rows.
///
/// # Errors
/// The import fails whole: what `sink` has been given does not count.
pub fn import(
    bill: &Bill,
    workers: usize,
    progress: &Progress,
    sink: &(dyn Fn(ChunkId, Batch) -> Result<(), SinkError> + Sync),
) -> Result<ImportReport, BillError> {
    import_in_chunks(bill, workers, CHUNK_BYTES, progress, sink)
}

/// [`import`] with another length of chunks, which changes no charge.
pub(super) fn import_in_chunks(
    bill: &Bill,
    workers: usize,
    chunk_bytes: usize,
    progress: &Progress,
    sink: &(dyn Fn(ChunkId, Batch) -> Result<(), SinkError> + Sync),
) -> Result<ImportReport, BillError> {
    let mut sources = Vec::new();
    for path in &bill.files {
        let bytes = path.metadata().map_err(|source| BillError::Io { path: path.clone(), source })?.len();
        progress.expect(bytes);
        sources.extend(source::sources(path, &bill.name_of(path))?);
    }
    let files = sources.iter().map(|source| FileState { name: source.name.clone(), format: "", notes: Notes::default() }).collect();
    let queue = sources.into_iter().zip(0..).map(|(source, file)| Reader::Closed { source, file }).collect();
    let work =
        Work { chunk_bytes, progress, sink, state: Mutex::new(State { queue, reading: 0, failed: None, files }), changed: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 1..workers.max(1) {
            scope.spawn(|| work.run());
        }
        work.run();
    });
    let state = work.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, error)) = state.failed {
        return Err(error);
    }
    let mut notes = Notes::default();
    let mut files = Vec::new();
    for file in state.files {
        files.push(FileReport { name: file.name, format: file.format.to_owned(), rows: file.notes.rows });
        notes.merge(file.notes).map_err(|column| BillError::SumTooLarge { column: column.to_owned() })?;
    }
    Ok(notes.into_report(files))
}

/// A file's reader, between chunks.
enum Reader<'p> {
    Closed { source: Source, file: u32 },
    Text(TextReader<'p>),
    Rows(RowsReader),
}

struct FileState {
    name: String,
    format: &'static str,
    notes: Notes,
}

struct State<'p> {
    /// The front is worked on first, so that files are finished one after the other.
    queue: VecDeque<Reader<'p>>,
    /// Readers that a worker is reading from.
    reading: usize,
    /// The failure nearest to the bill's beginning.
    failed: Option<(ChunkId, BillError)>,
    files: Vec<FileState>,
}

struct Work<'p> {
    chunk_bytes: usize,
    progress: &'p Progress,
    sink: &'p (dyn Fn(ChunkId, Batch) -> Result<(), SinkError> + Sync),
    state: Mutex<State<'p>>,
    changed: Condvar,
}

impl<'p> Work<'p> {
    fn lock(&self) -> MutexGuard<'_, State<'p>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut buffer = Vec::new();
        while let Some(reader) = self.take() {
            let (chunk, outcome) = self.step(reader, &mut buffer);
            if let Err(error) = outcome {
                let mut state = self.lock();
                if state.failed.as_ref().is_none_or(|(first, _)| chunk < *first) {
                    state.failed = Some((chunk, error));
                }
                self.changed.notify_all();
            }
        }
    }

    /// The next reader; `None` when there is nothing left to read or the import has failed.
    fn take(&self) -> Option<Reader<'p>> {
        let mut state = self.lock();
        loop {
            if state.failed.is_some() {
                return None;
            }
            if let Some(reader) = state.queue.pop_front() {
                state.reading += 1;
                return Some(reader);
            }
            if state.reading == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put_back(&self, readers: Vec<Reader<'p>>) {
        let mut state = self.lock();
        state.reading -= 1;
        for reader in readers.into_iter().rev() {
            state.queue.push_front(reader);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Reads one chunk and makes charges of it, or opens a file.
    fn step(&self, reader: Reader<'p>, buffer: &mut Vec<u8>) -> (ChunkId, Result<(), BillError>) {
        match reader {
            Reader::Closed { source, file } => {
                let chunk = ChunkId { file, seq: 0 };
                let opened = self.open(&source, file);
                let (readers, outcome) = opened.map_or_else(|error| (Vec::new(), Err(error)), |readers| (readers, Ok(())));
                self.put_back(readers);
                (chunk, outcome)
            }
            Reader::Rows(mut rows) => {
                let (file, name, layout) = (rows.file, rows.name.clone(), rows.layout.clone());
                let next = rows.next(self.progress);
                let more = matches!(next, Ok(Some(_)));
                self.put_back(if more { vec![Reader::Rows(rows)] } else { Vec::new() });
                match next {
                    Ok(None) => (ChunkId { file, seq: u32::MAX }, Ok(())),
                    Err(error) => (ChunkId { file, seq: u32::MAX }, Err(error)),
                    Ok(Some(rows)) => {
                        let id = ChunkId { file, seq: rows.seq };
                        let outcome = Raw::of_rows(&name, &layout, &rows).and_then(|raw| self.finish(id, &layout, raw));
                        (id, outcome)
                    }
                }
            }
            Reader::Text(mut text) => {
                let (file, name, layout) = (text.file, text.name.clone(), text.layout.clone());
                let next = text.next(buffer);
                let more = matches!(next, Ok(Some(_)));
                self.put_back(if more { vec![Reader::Text(text)] } else { Vec::new() });
                match next {
                    Ok(None) => (ChunkId { file, seq: u32::MAX }, Ok(())),
                    Err(error) => (ChunkId { file, seq: u32::MAX }, Err(error)),
                    Ok(Some(chunk)) => {
                        let id = ChunkId { file, seq: chunk.seq };
                        let outcome = utf8(buffer, &name, chunk.first_line).and_then(|text| {
                            let raw = Raw::of_text(&name, &layout.headers, &layout.roles, text, chunk.first_line)?;
                            self.finish(id, &layout, raw)
                        });
                        (id, outcome)
                    }
                }
            }
        }
    }

    fn open(&self, source: &Source, file: u32) -> Result<Vec<Reader<'p>>, BillError> {
        if matches!(source.kind, SourceKind::Parquet) {
            let (layout, readers) = columnar::open(source, file, self.progress)?;
            self.lock().files[file as usize].format = layout.format;
            return Ok(readers.into_iter().map(Reader::Rows).collect());
        }
        let text = TextReader::open(source, file, self.chunk_bytes, self.progress)?;
        self.lock().files[file as usize].format = text.layout.format;
        Ok(vec![Reader::Text(text)])
    }

    /// Maps a chunk, hands it on and counts it.
    fn finish(&self, id: ChunkId, layout: &super::format::Layout, raw: Raw<'_>) -> Result<(), BillError> {
        if self.progress.is_cancelled() {
            return Err(BillError::Cancelled);
        }
        let mut notes = Notes::default();
        let batch = layout.batch(raw, &mut notes)?;
        let rows = batch.rows as u64;
        (self.sink)(id, batch).map_err(BillError::Sink)?;
        self.progress.advance(0, rows);
        let mut state = self.lock();
        state.files[id.file as usize].add(notes)
    }
}

impl FileState {
    fn add(&mut self, mut notes: Notes) -> Result<(), BillError> {
        for (account, (currency, place)) in std::mem::take(&mut notes.currencies) {
            match self.notes.currencies.get_mut(&account) {
                Some((first, first_place)) if *first != currency => {
                    let swapped = place < *first_place;
                    let (first, second, place) =
                        if swapped { (currency, first.clone(), first_place.clone()) } else { (first.clone(), currency, place) };
                    return Err(BillError::MixedCurrency { place, account: account.into(), first: first.into(), second: second.into() });
                }
                Some((_, first_place)) => {
                    if place < *first_place {
                        *first_place = place;
                    }
                }
                None => {
                    self.notes.currencies.insert(account, (currency, place));
                }
            }
        }
        self.notes.merge(notes).map_err(|column| BillError::SumTooLarge { column: column.to_owned() })
    }
}

fn utf8<'b>(buffer: &'b [u8], name: &str, first_line: u64) -> Result<&'b str, BillError> {
    std::str::from_utf8(buffer).map_err(|error| {
        let before = memchr::memchr_iter(b'\n', &buffer[..error.valid_up_to()]).count() as u64;
        let at = super::error::At::Line(first_line + before);
        BillError::NotUtf8 { place: super::error::Place { file: name.to_owned(), at, column: None } }
    })
}
