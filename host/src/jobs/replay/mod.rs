//! Runs computed again from what was recorded of them: the same bytes, or the first difference; and what another version, another
//! configuration or another chain would have made of them.
//!
//! Nothing is published here and nothing stays behind: overlays go into a scratch folder that is removed at the end. What today's store
//! says of tenants, rules and active versions is not asked; only the run and its recorded inputs count.

mod provenance;
mod recording;
mod verify;

use std::num::NonZero;
use std::sync::Arc;

use tokio::sync::Semaphore;

pub use provenance::{ADDED, LabelStep, Provenance, ProvenanceStep, TenantLine};
pub use recording::ReplayError;
pub(super) use recording::{Again, Recording, rate_again, rule_of};
pub use verify::{Bytes, FirstDifference, Verdict, What};

use super::DataDir;
use crate::domain::progress::Progress;
use crate::plugins::Plugins;
use crate::store::Store;

/// Replays that people wait for at the same time: each uses several cores, and the rating of the day goes first.
const AT_ONCE: usize = 2;

/// How a replay is computed. The result may not depend on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayOptions {
    /// Threads; half of the cores if absent.
    pub workers: Option<NonZero<usize>>,
    /// Charges of one call into a rule at most; whole row groups if absent.
    pub batch_rows: Option<NonZero<usize>>,
}

impl ReplayOptions {
    /// Threads at most: more than any machine that this runs on has.
    pub const MAX_WORKERS: usize = 256;

    pub(super) fn threads(self) -> usize {
        let half = || std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        self.workers.map_or_else(half, |workers| workers.get().min(Self::MAX_WORKERS))
    }
}

/// Computes runs again.
#[derive(Clone)]
pub struct Replayer {
    pub(super) store: Store,
    pub(super) plugins: Arc<Plugins>,
    pub(super) data: Arc<DataDir>,
    turns: Arc<Semaphore>,
}

impl Replayer {
    pub fn new(store: Store, plugins: Arc<Plugins>, data: Arc<DataDir>) -> Self {
        Self { store, plugins, data, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Computes a run again and compares it with what is stored, to the byte.
    pub async fn verify(&self, run_id: &str, options: ReplayOptions) -> Result<Verdict, ReplayError> {
        let recording = Recording::read(&self.store, run_id).await?;
        let logs = self.store.run_logs(run_id).await?;
        self.in_turn(move |this, progress| verify::verify(this, &recording, &logs, options, progress)).await
    }

    /// Does blocking work when its turn has come; it is given up when nobody waits for it any more.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self, &Progress) -> Result<T, ReplayError> + Send + 'static,
    ) -> Result<T, ReplayError> {
        let _turn = self.turns.acquire().await.map_err(|_| ReplayError::Cancelled)?;
        let progress = Arc::new(Progress::new());
        let (this, shared) = (self.clone(), Arc::clone(&progress));
        let _abandoned = CancelOnDrop(progress);
        match tokio::task::spawn_blocking(move || work(&this, &shared)).await {
            Ok(done) => done,
            Err(error) if error.is_cancelled() => Err(ReplayError::Cancelled),
            Err(_) => Err(ReplayError::Defect("it stopped on a defect in rerate; the log says where".to_owned())),
        }
    }
}

struct CancelOnDrop(Arc<Progress>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
