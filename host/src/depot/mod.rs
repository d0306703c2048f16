//! Files that are written once and then only read, by name: in the daemon's folder, and, where daemons on several machines share them, in
//! a bucket.
//!
//! Without a bucket a depot is its folder and nothing else: a name is a path. With one, whoever makes a file writes it into the folder and
//! publishes it before its name is told to anybody; whoever reads it takes the copy in the folder, or fetches it. Copies make room for each
//! other when they pass a limit. Which names count is not known here: that is said by the store, and so is what may be removed.

mod cache;
mod remote;
pub mod s3;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use self::cache::Cache;
pub use self::remote::{Listed, Remote};
use self::s3::ConnectError;

/// Half fetched files, beside the others; nothing else looks in there.
const FETCHING: &str = ".fetching";

/// Why a file cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the bucket {bucket}: {what}: {reason}")]
    Bucket { bucket: String, what: String, reason: String },
    #[error("{name} is not in the bucket {bucket}")]
    Missing { name: String, bucket: String },
    #[error("{name} in the bucket {bucket} is not what was put there: {what}")]
    Damaged { name: String, bucket: String, what: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

impl DepotError {
    fn file(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path: path.clone(), source }
    }

    /// Whether it may be well again by itself, or by what somebody does to the bucket.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Bucket { .. } | Self::File { .. })
    }
}

/// A folder of files that never change. Cheap to clone.
#[derive(Clone)]
pub struct Depot {
    folder: Arc<Path>,
    shared: Option<Arc<Shared>>,
}

struct Shared {
    remote: Remote,
    runtime: Handle,
    /// Bytes of copies; none for no limit.
    limit: Option<u64>,
    cache: Mutex<Cache>,
    /// Downloads under way: a file that several want is fetched once.
    fetching: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl std::fmt::Debug for Depot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Depot").field(&self.folder).field(&self.bucket()).finish()
    }
}

impl Depot {
    /// A folder alone.
    pub fn local(folder: &Path) -> Self {
        Self { folder: folder.into(), shared: None }
    }

    /// A folder of copies of what is in a bucket. Everything that is in it now must be there too. To be called in a runtime.
    pub fn shared(folder: &Path, remote: Remote, limit: Option<u64>) -> Result<Self, DepotError> {
        let half = folder.join(FETCHING);
        match fs::remove_dir_all(&half) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(DepotError::file(&half)(error)),
            _ => {}
        }
        fs::create_dir_all(&half).map_err(DepotError::file(&half))?;
        let mut found = Vec::new();
        find_files(folder, "", &mut found).map_err(DepotError::file(folder))?;
        found.sort_unstable();
        let mut cache = Cache::default();
        found.iter().for_each(|(_, name, bytes)| cache.add(name, *bytes));
        let shared = Shared { remote, runtime: Handle::current(), limit, cache: Mutex::new(cache), fetching: Mutex::default() };
        let depot = Self { folder: folder.into(), shared: Some(Arc::new(shared)) };
        depot.make_room();
        Ok(depot)
    }

    /// Where files are written.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn remote(&self) -> Option<&Remote> {
        self.shared.as_ref().map(|shared| &shared.remote)
    }

    /// Where it is beside its folder.
    pub fn bucket(&self) -> Option<&str> {
        self.remote().map(Remote::url)
    }

    /// Begins to ask for files; they stay at hand until the value is dropped. Open them before.
    pub fn hold(&self) -> Hold {
        Hold { depot: self.clone(), held: Vec::new() }
    }

    /// Makes files that lie in the folder everybody's: to be called before anybody is told their names. Blocking, and not for a thread that
    /// runs tasks.
    pub fn publish(&self, names: &[String]) -> Result<(), DepotError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        shared.runtime.block_on(shared.remote.put_all(&self.folder, names.iter().cloned()))?;
        let lengths = names.iter().map(|name| {
            let path = self.folder.join(name);
            let bytes = fs::metadata(&path).map_err(DepotError::file(&path))?.len();
            Ok((name, bytes))
        });
        let lengths = lengths.collect::<Result<Vec<_>, DepotError>>()?;
        let mut cache = lock(&shared.cache);
        lengths.into_iter().for_each(|(name, bytes)| cache.add(name, bytes));
        drop(cache);
        self.make_room();
        Ok(())
    }

    /// Whether a file is there, at hand or not.
    pub async fn has(&self, name: &str) -> Result<bool, DepotError> {
        if self.folder.join(name).is_file() {
            return Ok(true);
        }
        match &self.shared {
            Some(shared) => Ok(shared.remote.length(name).await?.is_some()),
            None => Ok(false),
        }
    }

    /// Removes files, and folders with what is in them, that nobody is told of any more. What cannot be removed is in the log, and litter.
    pub async fn remove(&self, names: &[String]) {
        // A month of a large bill is a folder of thousands of files: not for a thread that answers calls.
        let paths: Vec<PathBuf> = names.iter().map(|name| self.folder.join(name)).collect();
        if let Err(error) = tokio::task::spawn_blocking(move || paths.iter().for_each(|path| remove_now(path))).await {
            tracing::warn!(%error, "files that nothing names any more cannot be removed now");
        }
        let Some(shared) = &self.shared else { return };
        for name in names {
            lock(&shared.cache).forget(name);
            if let Err(error) = shared.remote.remove_below(name).await {
                tracing::warn!(%error, "an object that nothing names any more cannot be removed now");
            }
        }
    }

    /// Removes copies that nothing names any more.
    pub fn keep(&self, is_named: impl Fn(&str) -> bool) {
        let Some(shared) = &self.shared else { return };
        let mut cache = lock(&shared.cache);
        for name in cache.take_unkept(is_named) {
            let _ = fs::remove_file(self.folder.join(name)); // another has removed it
        }
    }

    /// Removes the copies that were not used for longest, and some more, so that not every fetch has to. Whoever asks for one of them
    /// meanwhile waits, and then fetches it.
    fn make_room(&self) {
        let Some(shared) = &self.shared else { return };
        let Some(limit) = shared.limit else { return };
        let mut cache = lock(&shared.cache);
        for name in cache.take_surplus(limit, limit - limit / 8) {
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a copy cannot be removed to make room");
                }
                _ => {}
            }
        }
    }

    /// Has a file at hand, held once more; `expected` is its length, where that is known.
    async fn fetch(&self, shared: &Shared, name: &str, expected: Option<u64>) -> Result<(), DepotError> {
        if self.take(shared, name, expected) {
            return Ok(());
        }
        let turn = Arc::clone(lock(&shared.fetching).entry(name.to_owned()).or_default());
        let alone = turn.lock().await;
        let fetched = if self.take(shared, name, expected) { Ok(()) } else { self.download(shared, name, expected).await };
        drop(alone);
        let mut fetching = lock(&shared.fetching);
        if Arc::strong_count(&turn) <= 2 {
            fetching.remove(name);
        }
        drop(fetching);
        fetched?;
        self.make_room();
        Ok(())
    }

    /// Holds the copy in the folder, if it is there and has the right length.
    fn take(&self, shared: &Shared, name: &str, expected: Option<u64>) -> bool {
        let mut cache = lock(&shared.cache);
        let found = fs::metadata(self.folder.join(name)).ok().filter(|found| found.is_file());
        let Some(bytes) = found.map(|found| found.len()).filter(|bytes| expected.is_none_or(|expected| *bytes == expected)) else {
            return false;
        };
        cache.add(name, bytes);
        cache.hold(name);
        true
    }

    async fn download(&self, shared: &Shared, name: &str, expected: Option<u64>) -> Result<(), DepotError> {
        let got = shared.remote.get(name, &self.folder.join(FETCHING), expected).await?;
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(DepotError::file(folder))?;
        }
        let bytes = got.as_file().metadata().map_err(DepotError::file(got.path()))?.len();
        let mut cache = lock(&shared.cache);
        got.persist(&path).map_err(|error| DepotError::file(&path)(error.error))?;
        cache.add(name, bytes);
        cache.hold(name);
        tracing::debug!(name, bytes, "fetched from the bucket");
        Ok(())
    }
}

/// Files that somebody is about to open. Blocking, and not for threads that run tasks.
#[derive(Debug)]
pub struct Hold {
    depot: Depot,
    held: Vec<String>,
}

impl Hold {
    /// The path of a file, which is at hand now.
    pub fn file(&mut self, name: &str) -> Result<PathBuf, DepotError> {
        let mut paths = self.files(&[(name.to_owned(), None)])?;
        Ok(paths.pop().unwrap_or_default())
    }

    /// As [`Hold::file`] for several, with their lengths where those are known. What has to be fetched is fetched side by side.
    pub fn files(&mut self, wanted: &[(String, Option<u64>)]) -> Result<Vec<PathBuf>, DepotError> {
        if let Some(shared) = self.depot.shared.clone() {
            let depot = &self.depot;
            let fetches = wanted.iter().map(|(name, expected)| {
                let shared = &shared;
                async move { (name, depot.fetch(shared, name, *expected).await) }
            });
            let fetches: Vec<_> = fetches.collect();
            let mut failed = None;
            for (name, fetched) in shared.runtime.block_on(together(fetches)) {
                match fetched {
                    Ok(()) => self.held.push(name.clone()),
                    Err(error) => failed = Some(error),
                }
            }
            failed.map_or(Ok(()), Err)?;
        }
        Ok(wanted.iter().map(|(name, _)| self.depot.folder.join(name)).collect())
    }
}

/// Downloads of whole files at a time.
const FETCHES: usize = 8;

async fn together<T>(work: Vec<impl Future<Output = T>>) -> Vec<T> {
    use futures::StreamExt;
    futures::stream::iter(work).buffer_unordered(FETCHES).collect().await
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(shared) = &self.depot.shared else { return };
        let mut cache = lock(&shared.cache);
        self.held.iter().for_each(|name| cache.release(name));
    }
}

/// Removes a file, or a folder with what is in it.
fn remove_now(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file that nothing names any more cannot be removed now");
        }
        _ => {}
    }
}

/// Every file below a folder but the half fetched ones: when it was written, its name, its length.
fn find_files(folder: &Path, prefix: &str, found: &mut Vec<(std::time::SystemTime, String, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let metadata = entry.metadata()?;
        if metadata.is_dir() && name != FETCHING {
            find_files(&entry.path(), &format!("{prefix}{name}/"), found)?;
        } else if metadata.is_file() {
            found.push((metadata.modified()?, format!("{prefix}{name}"), metadata.len()));
        }
    }
    Ok(())
}

/// The mutexes here guard plain values that no panic leaves half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
