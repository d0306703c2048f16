//! The daemon's work: bills in, months rated again when anything changes, results published.
//!
//! Three tasks share the machine: one imports, one keeps what is published equal to what should be, one computes previews. All take their input from the store
//! alone, so they may be stopped anywhere; a poke only says "look now". `ingest` and `rate` are the blocking work itself, without store
//! and async, and are what the command line calls too.

pub mod address;
mod background;
pub mod backup;
pub mod bucket;
pub mod change;
pub mod compare;
pub mod customers;
mod data_dir;
mod engine;
mod identity;
mod importing;
pub mod ingest;
mod lanes;
pub mod litter;
mod named;
pub mod overlaps;
mod peers;
pub mod place;
mod plan;
pub mod preview;
mod quiet;
pub mod rate;
pub mod replay;
pub mod review;
pub mod rule_review;
pub mod shadow;
mod tally;
#[cfg(test)]
mod tests;
pub mod virtuals;
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
use crate::store::{Store, StoreError, Term};

#[derive(Clone, Debug)]
pub struct Options {
    /// Threads of one import or rating.
    pub workers: usize,
    /// Between two looks for integrations whose time has come.
    pub look_every: Duration,
}

impl Default for Options {
    /// A thread a core. Integrations are refreshed every five minutes at most: half a minute of delay is nothing.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { workers, look_every: Duration::from_secs(30) }
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

/// What the work needs.
struct Setup {
    store: Store,
    plugins: Arc<Plugins>,
    data: Arc<DataDir>,
    events: Events,
    options: Options,
    wake: Wake,
    tally: Arc<Tally>,
}

/// The work of one daemon: its own from the start where there can be one daemon only, else whenever no other daemon does it.
pub struct Jobs {
    setup: Arc<Setup>,
    /// None while another daemon works.
    working: Mutex<Option<Working>>,
    on_duty: watch::Sender<bool>,
    /// What the daemon that works is to be told.
    unsaid: Mutex<Vec<Change>>,
    stop: watch::Sender<bool>,
    /// The task that deals with other daemons.
    part: Mutex<Option<JoinHandle<()>>>,
}

/// Work under way.
struct Working {
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

impl Working {
    /// Takes up what was left, then works until [`Working::end`].
    async fn begin(setup: Arc<Setup>, term: Option<Term>) -> Result<Self, JobsError> {
        let Setup { store, plugins, data, events, options, wake, tally } = &*setup;
        let store = match term {
            Some(term) => store.during(term),
            None => store.clone(),
        };
        litter::remove(&store, data, term.is_some()).await?;
        if term.is_some() {
            store.runs_give_up().await?;
        } else {
            store.runs_requeue().await?;
        }
        store.previews_requeue().await?;
        let replayer = replay::Replayer::new(store.clone(), Arc::clone(plugins), Arc::clone(data));
        let inner = Arc::new(Inner {
            store,
            plugins: Arc::clone(plugins),
            data: Arc::clone(data),
            events: events.clone(),
            options: options.clone(),
            wake: wake.clone(),
            import_wake: Notify::new(),
            imports: Mutex::default(),
            replayer,
            background: Mutex::default(),
            background_wake: Notify::new(),
            lanes: Mutex::default(),
            tally: Arc::clone(tally),
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
        Ok(Self { inner, tasks })
    }

    fn poke(&self, change: Change) {
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

    /// Ends the tasks. A rating under way is given up; the next to work does it again.
    async fn end(self) {
        self.inner.stop.send_replace(true); // also for a task that does not listen yet
        lock(&self.inner.lanes).cancel_all();
        background::cancel(&self.inner, None);
        if let Some(progress) = &lock(&self.inner.imports).progress {
            progress.cancel();
        }
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

impl Jobs {
    /// Works until [`Jobs::stop`]; on a database that several daemons share, whenever no other of them does.
    pub async fn start(
        store: Store,
        plugins: Arc<Plugins>,
        data: Arc<DataDir>,
        events: Events,
        wake: Wake,
        options: Options,
    ) -> Result<Arc<Self>, JobsError> {
        let setup = Arc::new(Setup { store, plugins, data, events, options, wake, tally: Arc::default() });
        let jobs = Arc::new(Self {
            setup,
            working: Mutex::default(),
            on_duty: watch::channel(false).0,
            unsaid: Mutex::default(),
            stop: watch::channel(false).0,
            part: Mutex::default(),
        });
        let (store, data) = (jobs.setup.store.clone(), Arc::clone(&jobs.setup.data));
        if jobs.setup.store.daemon().is_some() {
            peers::join(Arc::clone(&jobs)).await?;
        } else {
            *lock(&jobs.working) = Some(Working::begin(Arc::clone(&jobs.setup), None).await?);
            jobs.on_duty.send_replace(true);
        }
        tokio::spawn(litter::tidy(store, data, jobs.on_duty.subscribe(), jobs.stop.subscribe()));
        Ok(jobs)
    }

    /// Says that something has changed. Returns at once.
    pub fn poke(&self, change: Change) {
        match lock(&self.working).as_ref() {
            Some(working) => working.poke(change),
            None => lock(&self.unsaid).push(change),
        }
    }

    /// What was done since the start.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.setup.tally)
    }

    /// Whether all of the tasks are there: one that is gone has met a defect, and nothing would be imported or rated any more.
    pub fn is_working(&self) -> bool {
        let part_is_there = lock(&self.part).as_ref().is_none_or(|part| !part.is_finished());
        part_is_there
            && match lock(&self.working).as_ref() {
                Some(working) => working.tasks.iter().all(|task| !task.is_finished()),
                None => self.setup.store.daemon().is_some(),
            }
    }

    /// Whether this daemon works, or another one.
    pub fn on_duty(&self) -> watch::Receiver<bool> {
        self.on_duty.subscribe()
    }

    /// Waits until everything is imported and rated that was known when this was called, or failed.
    pub async fn idle(&self) {
        let Some(inner) = lock(&self.working).as_ref().map(|working| Arc::clone(&working.inner)) else { return };
        let mut settled = inner.settled.subscribe();
        loop {
            if inner.is_idle() {
                return;
            }
            if settled.changed().await.is_err() {
                return;
            }
        }
    }

    /// Ends the work, and lets another daemon take it.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let part = lock(&self.part).take();
        if let Some(part) = part {
            let _ = part.await;
        }
        let working = lock(&self.working).take();
        if let Some(working) = working {
            working.end().await;
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
