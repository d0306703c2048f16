//! The daemon's work: bills in, months rated again when anything changes, results published.
//!
//! Three tasks share the machine: one imports, one keeps what is published equal to what should be, one computes previews. All take their input from the store
//! alone, so they may be stopped anywhere; a poke only says "look now". `ingest` and `rate` are the blocking work itself, without store
//! and async, and are what the command line calls too.

pub mod address;
mod background;
mod bucket;
pub mod change;
pub mod compare;
mod data_dir;
mod engine;
mod identity;
mod importing;
pub mod ingest;
mod lanes;
mod litter;
mod plan;
pub mod preview;
pub mod rate;
pub mod replay;
pub mod review;
pub mod shadow;
mod tally;
#[cfg(test)]
mod tests;
mod wake;
mod work;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub use change::Change;
pub use data_dir::{DataDir, DataDirError};
pub use tally::{Tallied, Tally};
pub use wake::Wake;

use crate::domain::progress::Progress;
use crate::events::Events;
use crate::plugins::Plugins;
use crate::store::{Store, StoreError};

#[derive(Clone, Debug)]
pub struct Options {
    /// Threads of one import or rating.
    pub workers: usize,
    /// Between two looks at an integration that nobody asks for.
    pub refresh_every: Duration,
}

impl Default for Options {
    /// A thread a core. Providers refresh a bill a few times a day: a quarter of an hour is soon enough, and a look is cheap.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { workers, refresh_every: Duration::from_secs(15 * 60) }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}: {source}", path.display())]
    Io { path: std::path::PathBuf, source: std::io::Error },
}

/// Integrations to look through, and the one that is being.
#[derive(Debug, Default)]
struct Imports {
    /// Whether there may be new or changed integrations that are not in `due` yet.
    look: bool,
    due: BTreeSet<String>,
    current: Option<String>,
    /// Of the bill that is being read.
    progress: Option<Arc<Progress>>,
}

struct Inner {
    store: Store,
    plugins: Arc<Plugins>,
    data: Arc<DataDir>,
    events: Events,
    options: Options,
    wake: Wake,
    import_wake: Notify,
    imports: Mutex<Imports>,
    replayer: replay::Replayer,
    background: Mutex<Option<background::Working>>,
    background_wake: Notify,
    lanes: Mutex<lanes::Lanes>,
    tally: Arc<Tally>,
    known_history: engine::KnownHistory,
    stop: watch::Sender<bool>,
    /// The wake that the last look which found nothing to do had seen.
    settled: watch::Sender<u64>,
}

/// The work of one daemon.
pub struct Jobs {
    inner: Arc<Inner>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Jobs {
    /// Takes up what a stopped process left, then works until [`Jobs::stop`].
    pub async fn start(
        store: Store,
        plugins: Arc<Plugins>,
        data: Arc<DataDir>,
        events: Events,
        wake: Wake,
        options: Options,
    ) -> Result<Arc<Self>, JobsError> {
        litter::remove(&store, &data).await?;
        store.runs_requeue().await?;
        store.previews_requeue().await?;
        let replayer = replay::Replayer::new(store.clone(), Arc::clone(&plugins), Arc::clone(&data));
        let inner = Arc::new(Inner {
            store,
            plugins,
            data,
            events,
            options,
            wake,
            import_wake: Notify::new(),
            imports: Mutex::default(),
            replayer,
            background: Mutex::default(),
            background_wake: Notify::new(),
            lanes: Mutex::default(),
            tally: Arc::default(),
            known_history: engine::KnownHistory::default(),
            stop: watch::channel(false).0,
            settled: watch::channel(0).0,
        });
        importing::mark_all(&inner).await;
        inner.wake.now(); // nobody may take the daemon for idle before the first look
        inner.background_wake.notify_one();
        let tasks = vec![
            tokio::spawn(importing::run(Arc::clone(&inner))),
            tokio::spawn(engine::run(Arc::clone(&inner))),
            tokio::spawn(background::run(Arc::clone(&inner))),
        ];
        Ok(Arc::new(Self { inner, tasks: Mutex::new(tasks) }))
    }

    /// Says that something has changed. Returns at once.
    pub fn poke(&self, change: Change) {
        if change == Change::Shadows {
            self.inner.background_wake.notify_one();
            return;
        }
        if let Change::Previews { deleted } = &change {
            if let Some(id) = deleted {
                background::cancel(&self.inner, Some(id));
            }
            self.inner.background_wake.notify_one();
            return;
        }
        let mut imports = lock(&self.inner.imports);
        match change {
            Change::Refresh { integration_id } => drop(imports.due.insert(integration_id)),
            Change::Integrations => imports.look = true,
            _ => {}
        }
        drop(imports);
        self.inner.import_wake.notify_one();
        self.inner.wake.now();
    }

    /// Waits until everything is imported and rated that was known when this was called, or failed.
    pub async fn idle(&self) {
        let mut settled = self.inner.settled.subscribe();
        loop {
            if self.inner.is_idle() {
                return;
            }
            if settled.changed().await.is_err() {
                return;
            }
        }
    }

    /// What was done since the start.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.inner.tally)
    }

    /// Whether all of the tasks are there: one that is gone has met a defect, and nothing would be imported or rated any more.
    pub fn is_working(&self) -> bool {
        let tasks = lock(&self.tasks);
        !tasks.is_empty() && tasks.iter().all(|task| !task.is_finished())
    }

    /// Ends the tasks. A rating under way is given up; the next start does it again.
    pub async fn stop(&self) {
        let _ = self.inner.stop.send(true);
        lock(&self.inner.lanes).cancel_all();
        background::cancel(&self.inner, None);
        if let Some(progress) = &lock(&self.inner.imports).progress {
            progress.cancel();
        }
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        for task in tasks {
            let _ = task.await;
        }
    }
}

impl Inner {
    fn is_idle(&self) -> bool {
        let imports = lock(&self.imports);
        let importing = imports.look || imports.current.is_some() || !imports.due.is_empty();
        !importing && lock(&self.lanes).is_empty() && *self.settled.borrow() == self.wake.count()
    }

    fn import_ended(&self) {
        lock(&self.imports).current = None;
        self.settled.send_modify(|_| {}); // whoever waits for the end looks again
    }
}

/// The mutexes here guard plain values that no panic leaves half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
