//! Watches the folder into which components are dropped, and hands on each file once it is complete.
//!
//! A file event only says "look again": every look is a rescan of the whole folder, so a lost event costs time and nothing else. A file
//! counts as complete when its writer closed it or renamed it into place, or when its size and time of change have stood still for
//! [`SETTLED`]. A file that disappears is not reported: removing a file from the folder disables nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// How long a burst of events may go on before the folder is read. Short, since it is part of the time to the first charge.
const DEBOUNCE: Duration = Duration::from_millis(4);

/// How long an open file must stand still to count as complete.
const SETTLED: Duration = Duration::from_millis(20);

/// Between looks without any event: network folders send none.
const RESCAN: Duration = Duration::from_secs(10);

/// Files looked at in one folder; more than this is not a plugins folder.
const MAX_FILES: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("cannot watch {}: {source}", path.display())]
    Notify { path: PathBuf, source: notify::Error },
    #[error("cannot read {}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
}

/// A complete file found in the folder.
#[derive(Debug)]
pub struct Dropped {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// Whether it lay there when the watch began.
    pub at_start: bool,
}

/// What tells one content of a path from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
}

enum Signal {
    /// Something happened; the path is set when a writer finished with it.
    Event(Vec<PathBuf>),
    Stop,
}

/// The watch; dropping it ends the thread.
pub struct FolderWatch {
    _watcher: RecommendedWatcher,
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl FolderWatch {
    /// Starts watching `folder` for `*.wasm`. `on_file` runs on the watch's own thread, one file after the other; files larger than
    /// `max_bytes` are handed on truncated to one byte more, so that the receiver refuses them by its own limit. What it says false to could
    /// not be taken now, and is handed on again at a later look.
    pub fn start(folder: &Path, max_bytes: u64, on_file: impl FnMut(Dropped) -> bool + Send + 'static) -> Result<Self, WatchError> {
        Self::looking(folder, max_bytes, RESCAN, on_file)
    }

    /// With this time between looks without any event.
    fn looking(
        folder: &Path,
        max_bytes: u64,
        rescan: Duration,
        on_file: impl FnMut(Dropped) -> bool + Send + 'static,
    ) -> Result<Self, WatchError> {
        let (signals, inbox) = mpsc::channel();
        let to_inbox = signals.clone();
        let handler = move |event: notify::Result<notify::Event>| {
            // An error (an overflowing queue, say) is as good a reason to look as an event.
            let finished = event.map_or_else(|_| Some(Vec::new()), interesting);
            if let Some(paths) = finished {
                let _ = to_inbox.send(Signal::Event(paths));
            }
        };
        let failed = |source| WatchError::Notify { path: folder.to_path_buf(), source };
        let mut watcher = notify::recommended_watcher(handler).map_err(failed)?;
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(failed)?;
        let mut scanner = Scanner { folder: folder.to_path_buf(), max_bytes, delivered: BTreeMap::new(), unsettled: BTreeMap::new() };
        scanner.scan().map_err(|source| WatchError::Folder { path: folder.to_path_buf(), source })?;
        let spawned = thread::Builder::new().name("plugin-watch".to_owned()).spawn(move || run(scanner, &inbox, rescan, on_file));
        let thread = spawned.map_err(|source| WatchError::Folder { path: folder.to_path_buf(), source })?;
        Ok(Self { _watcher: watcher, signals, thread: Some(thread) })
    }
}

impl Drop for FolderWatch {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `None` for what changes no content; the paths whose writer is done otherwise.
fn interesting(event: notify::Event) -> Option<Vec<PathBuf>> {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => Some(event.paths),
        EventKind::Access(_) | EventKind::Remove(_) => None,
        _ => Some(Vec::new()),
    }
}

fn run(mut scanner: Scanner, inbox: &Receiver<Signal>, rescan: Duration, mut on_file: impl FnMut(Dropped) -> bool) {
    let mut at_start: BTreeSet<PathBuf> = scanner.unsettled.keys().cloned().collect();
    loop {
        let wait = if scanner.unsettled.is_empty() { rescan } else { SETTLED };
        let mut finished = BTreeSet::new();
        match inbox.recv_timeout(wait) {
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Signal::Event(paths)) => {
                finished.extend(paths);
                let until = Instant::now() + DEBOUNCE;
                while let Ok(signal) = inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    match signal {
                        Signal::Stop => return,
                        Signal::Event(paths) => finished.extend(paths),
                    }
                }
            }
        }
        if let Err(error) = scanner.scan() {
            tracing::warn!(folder = %scanner.folder.display(), %error, "the plugins folder cannot be read");
            continue;
        }
        for (path, bytes) in scanner.complete(&finished) {
            let dropped = Dropped { path: path.clone(), bytes, at_start: at_start.contains(&path) };
            if on_file(dropped) {
                at_start.remove(&path);
            } else {
                scanner.delivered.remove(&path);
            }
        }
    }
}

struct Scanner {
    folder: PathBuf,
    max_bytes: u64,
    delivered: BTreeMap<PathBuf, Stamp>,
    /// Files that differ from what was delivered, and since when they have looked like this.
    unsettled: BTreeMap<PathBuf, (Stamp, Instant)>,
}

impl Scanner {
    /// Reads the folder's names and stamps.
    fn scan(&mut self) -> io::Result<()> {
        let mut present = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder)?.take(MAX_FILES) {
            let path = entry?.path();
            if is_component_name(&path)
                && let Some(stamp) = stamp_of(&path)
            {
                present.insert(path, stamp);
            }
        }
        self.delivered.retain(|path, _| present.contains_key(path));
        self.unsettled.retain(|path, _| present.contains_key(path));
        for (path, stamp) in present {
            if self.delivered.get(&path) == Some(&stamp) {
                self.unsettled.remove(&path);
            } else if self.unsettled.get(&path).is_none_or(|(known, _)| *known != stamp) {
                self.unsettled.insert(path, (stamp, Instant::now()));
            }
        }
        Ok(())
    }

    /// Takes the files that are complete: those in `finished`, and those that stood still long enough.
    fn complete(&mut self, finished: &BTreeSet<PathBuf>) -> Vec<(PathBuf, Vec<u8>)> {
        let due: Vec<(PathBuf, Stamp)> = self
            .unsettled
            .iter()
            .filter(|(path, (_, since))| finished.contains(*path) || since.elapsed() >= SETTLED)
            .map(|(path, (stamp, _))| (path.clone(), *stamp))
            .collect();
        let mut files = Vec::new();
        for (path, stamp) in due {
            let Ok(bytes) = read_at_most(&path, self.max_bytes + 1) else {
                continue; // it vanished or is not readable yet: the next look decides
            };
            if stamp_of(&path) == Some(stamp) {
                self.unsettled.remove(&path);
                self.delivered.insert(path.clone(), stamp);
                files.push((path, bytes));
            } // else it changed while being read: the next look finds it
        }
        files
    }
}

fn is_component_name(path: &Path) -> bool {
    let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'));
    !hidden && path.extension().is_some_and(|extension| extension == "wasm")
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    metadata.is_file().then(|| Stamp { len: metadata.len(), modified: metadata.modified().ok() })
}

fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn watched() -> (tempfile::TempDir, FolderWatch, Receiver<Dropped>) {
        let folder = tempfile::tempdir().unwrap();
        let (sender, dropped) = mpsc::channel();
        let watch = FolderWatch::looking(folder.path(), 1 << 20, NEVER, move |file| sender.send(file).is_ok()).unwrap();
        (folder, watch, dropped)
    }

    /// What `rule.wasm` holds, as it is handed on, up to this. A writer that pauses for long enough is taken to be done: then there are
    /// parts before it.
    fn until(dropped: &Receiver<Dropped>, wanted: &[u8]) {
        loop {
            let file = dropped.recv_timeout(SOON).unwrap();
            assert_eq!(file.path.file_name().unwrap(), "rule.wasm");
            if file.bytes == wanted {
                return;
            }
            assert!(wanted.starts_with(&file.bytes), "{:?}", file.bytes);
        }
    }

    /// Events alone must do.
    const NEVER: Duration = Duration::from_secs(3_600);

    const SOON: Duration = Duration::from_secs(60);
    const QUIET: Duration = Duration::from_millis(120);

    #[test]
    fn a_file_renamed_into_place_is_handed_on_once_and_at_once() {
        let (folder, _watch, dropped) = watched();
        let hidden = folder.path().join(".rule.tmp");
        std::fs::write(&hidden, b"component").unwrap();
        std::fs::rename(&hidden, folder.path().join("rule.wasm")).unwrap();
        let file = dropped.recv_timeout(SOON).unwrap();
        assert_eq!((file.bytes.as_slice(), file.at_start), (b"component".as_slice(), false));
        assert!(dropped.recv_timeout(QUIET).is_err());
    }

    #[test]
    fn a_file_that_is_still_being_written_is_handed_on_whole() {
        let (folder, _watch, dropped) = watched();
        let mut file = std::fs::File::create(folder.path().join("rule.wasm")).unwrap();
        for part in 0..5_u8 {
            file.write_all(&[part; 100]).unwrap();
            thread::sleep(Duration::from_millis(2));
        }
        drop(file);
        until(&dropped, &(0..5_u8).flat_map(|part| [part; 100]).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_with_new_content_is_handed_on_again_and_other_names_never() {
        let (folder, _watch, dropped) = watched();
        std::fs::write(folder.path().join("notes.txt"), b"no").unwrap();
        std::fs::write(folder.path().join(".hidden.wasm"), b"no").unwrap();
        std::fs::write(folder.path().join("rule.wasm"), b"one").unwrap();
        until(&dropped, b"one");
        std::fs::write(folder.path().join("rule.wasm"), b"three").unwrap();
        until(&dropped, b"three");
        std::fs::remove_file(folder.path().join("rule.wasm")).unwrap();
        assert!(dropped.recv_timeout(QUIET).is_err());
    }

    #[test]
    fn files_that_lay_there_before_are_marked_so() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("old.wasm"), b"old").unwrap();
        let (sender, dropped) = mpsc::channel();
        let _watch = FolderWatch::start(folder.path(), 1 << 20, move |file| sender.send(file).is_ok()).unwrap();
        assert!(dropped.recv_timeout(SOON).unwrap().at_start);
    }

    #[test]
    fn a_file_that_could_not_be_taken_is_handed_on_again_as_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("old.wasm"), b"old").unwrap();
        let (sender, dropped) = mpsc::channel();
        let mut attempts = 0;
        let _watch = FolderWatch::looking(folder.path(), 1 << 20, Duration::from_millis(5), move |file| {
            attempts += 1;
            sender.send(file).unwrap();
            attempts > 2
        });
        let files: Vec<Dropped> = (0..3).map(|_| dropped.recv_timeout(SOON).unwrap()).collect();
        assert!(files.iter().all(|file| file.at_start && file.bytes == b"old"));
        assert!(dropped.recv_timeout(QUIET).is_err(), "it is taken");
    }

    #[test]
    fn a_file_over_the_limit_is_cut_just_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, dropped) = mpsc::channel();
        let _watch = FolderWatch::start(folder.path(), 10, move |file| sender.send(file).is_ok()).unwrap();
        std::fs::write(folder.path().join(".aside"), vec![0; 1_000]).unwrap();
        std::fs::rename(folder.path().join(".aside"), folder.path().join("huge.wasm")).unwrap();
        assert_eq!(dropped.recv_timeout(SOON).unwrap().bytes.len(), 11);
    }
}
