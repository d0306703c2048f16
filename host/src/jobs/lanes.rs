//! Which ratings go on side by side, so that one tenant's rules slow nobody else.
//!
//! Runs of one period are rated together in one pass over its charges: the shared lane. In it there is so much patience with each run's
//! rules. A run that needs more is not failed but set aside: the others are published without it, and it is rated again from the start in
//! a lane of its own, on one thread that gives way, with all of its tenant's quota. Its tenant, like one whose run failed, stays aside
//! until a run of it ends at ease.
//! Where a run is rated changes nothing in its result. What is remembered here is lost in a restart, which costs one try of our patience.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::plan::Key;
use super::work::{Batch, Job};
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::events::Position;
use crate::rating::RunFailure;
use crate::sandbox::{Limits, Meter, Patience, Plugin, Quota, RuleFailure, Usage};
use crate::store::{RunHead, TenantQuota};

/// What one call of a rule may take in the shared lane: an endless loop keeps the others waiting this long, once. Python takes a third of
/// it to be opened and to decide on a hundred combinations, compiled rules some microseconds.
const PER_CALL: Duration = Duration::from_millis(25);
/// And for each row or combination that it is given: twice what row logic in Python takes, forty times what it takes compiled.
const PER_ITEM: Duration = Duration::from_micros(2);
/// What all calls of a run may take together, and for each of its charges.
const PER_RUN: Duration = Duration::from_millis(100);
const PER_CHARGE: Duration = Duration::from_micros(5);

/// Ratings aside at the same time, each on one thread: bounds what slow rules take from the shared lane, and lets one of them pass
/// another.
const ASIDE_MAX: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Shared,
    Aside,
}

impl Lane {
    pub(super) const fn workers(self, all: usize) -> usize {
        match self {
            Self::Shared => all,
            Self::Aside => 1,
        }
    }
}

/// A rating under way.
pub(super) struct Rating {
    lane: Lane,
    pub(super) period: Period,
    /// By id.
    pub(super) runs: BTreeMap<String, UnderWay>,
    progress: Arc<Progress>,
}

impl Rating {
    fn of(batch: &Batch) -> Self {
        let under_way =
            |job: &Job| UnderWay { tenant: job.key.tenant.clone(), identity: job.wanted.identity.clone(), basis: job.wanted.basis.clone() };
        let runs = batch.jobs.iter().map(|job| (job.run.id.clone(), under_way(job))).collect();
        Self { lane: batch.lane, period: batch.period, runs, progress: Arc::clone(&batch.progress) }
    }

    pub(super) fn position(&self) -> Position {
        Position::of(&self.progress)
    }
}

/// What a run under way will be, as planned when it began.
pub(super) struct UnderWay {
    tenant: String,
    pub(super) identity: String,
    pub(super) basis: String,
}

#[derive(Default)]
pub(super) struct Lanes {
    begun: u64,
    ratings: BTreeMap<u64, Rating>,
    /// Runs that were set aside and have no lane yet, oldest first. They count as running: a deploy lets them finish.
    waiting: Vec<(Rating, Batch)>,
    /// Tenants whose rules are slow.
    aside: BTreeSet<String>,
}

impl Lanes {
    pub(super) fn is_empty(&self) -> bool {
        self.ratings.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn begin(&mut self, batch: &Batch) -> u64 {
        self.begun += 1;
        self.ratings.insert(self.begun, Rating::of(batch));
        self.begun
    }

    /// A rating has ended; what was set aside in it waits from now on.
    pub(super) fn end(&mut self, number: u64, aside: Vec<Batch>) {
        self.ratings.remove(&number);
        for batch in aside {
            self.aside.extend(batch.jobs.iter().map(|job| job.key.tenant.clone()));
            self.waiting.push((Rating::of(&batch), batch));
        }
    }

    pub(super) fn rating(&self, number: u64) -> Option<&Rating> {
        self.ratings.get(&number)
    }

    fn all(&self) -> impl Iterator<Item = &Rating> {
        self.ratings.values().chain(self.waiting.iter().map(|(rating, _)| rating))
    }

    pub(super) fn under_way(&self, run: &str) -> Option<&UnderWay> {
        self.all().find_map(|rating| rating.runs.get(run))
    }

    /// Gives up what has no run that is still wanted.
    pub(super) fn keep(&mut self, wanted: impl Fn(&UnderWay) -> bool) {
        self.ratings.values().filter(|rating| !rating.runs.values().any(&wanted)).for_each(|rating| rating.progress.cancel());
        self.waiting.retain(|(rating, _)| rating.runs.values().any(&wanted));
    }

    pub(super) fn cancel_all(&self) {
        self.all().for_each(|rating| rating.progress.cancel());
    }

    /// Tenants that have a lane of their own now.
    fn busy(&self) -> BTreeSet<&str> {
        let aside = self.ratings.values().filter(|rating| rating.lane == Lane::Aside);
        aside.flat_map(|rating| rating.runs.values()).map(|run| run.tenant.as_str()).collect()
    }

    /// A run that was set aside and whose turn has come.
    pub(super) fn next_waiting(&mut self) -> Option<Batch> {
        let busy = self.busy();
        let free = |(rating, _): &(Rating, Batch)| !rating.runs.values().any(|run| busy.contains(run.tenant.as_str()));
        let place = if busy.len() < ASIDE_MAX { self.waiting.iter().position(free) } else { None }?;
        Some(self.waiting.remove(place).1)
    }

    /// A run failed on its rules: the next is tried where it disturbs nobody.
    pub(super) fn set_aside(&mut self, tenant: &str) {
        self.aside.insert(tenant.to_owned());
    }

    /// A run ended at ease: its tenant's rules are not slow any more.
    pub(super) fn take_back(&mut self, tenant: &str) {
        self.aside.remove(tenant);
    }

    /// Takes what can begin now out of the queue: the earliest month's runs together, or a single one that is aside.
    pub(super) fn choose(
        &self,
        queued: &mut Vec<(Key, RunHead)>,
        quotas: &BTreeMap<String, TenantQuota>,
    ) -> Option<(Lane, Vec<(Key, RunHead)>)> {
        let mut running: BTreeMap<String, usize> = BTreeMap::new();
        for under_way in self.all().flat_map(|rating| rating.runs.values()) {
            *running.entry(under_way.tenant.clone()).or_default() += 1;
        }
        let has_room = |running: &BTreeMap<String, usize>, tenant: &str| {
            let most = quotas.get(tenant).map_or(crate::store::DEFAULT_CONCURRENT_RUNS, |quota| quota.concurrent_runs);
            i64::try_from(running.get(tenant).copied().unwrap_or_default()).is_ok_and(|running| running < most)
        };
        if !self.ratings.values().any(|rating| rating.lane == Lane::Shared) {
            let shared = |key: &Key| !self.aside.contains(&key.tenant);
            let may = queued.iter().map(|(key, _)| key).filter(|key| shared(key) && has_room(&running, &key.tenant));
            if let Some(period) = may.map(|key| key.period).min() {
                let mut chosen = Vec::new();
                for (key, run) in std::mem::take(queued) {
                    if key.period == period && shared(&key) && has_room(&running, &key.tenant) {
                        *running.entry(key.tenant.clone()).or_default() += 1;
                        chosen.push((key, run));
                    } else {
                        queued.push((key, run));
                    }
                }
                return Some((Lane::Shared, chosen));
            }
        }
        let busy = self.busy();
        if busy.len() >= ASIDE_MAX {
            return None;
        }
        // One of a tenant at a time, and whoever waits longest first: slow rules do not keep each other out either.
        let waiting =
            queued.iter().enumerate().filter(|(_, (key, _))| self.aside.contains(&key.tenant) && !busy.contains(key.tenant.as_str()));
        let place = waiting
            .filter(|(_, (key, _))| has_room(&running, &key.tenant))
            .min_by(|(_, (_, a)), (_, (_, b))| a.id.cmp(&b.id))
            .map(|(place, _)| place)?;
        Some((Lane::Aside, vec![queued.remove(place)]))
    }
}

/// What one run's rules may use, and what they used.
#[derive(Debug)]
pub(super) struct Metered {
    quota: TenantQuota,
    /// Aside it is only noticed when it would have ended.
    patience: Patience,
    meter: Arc<Meter>,
}

/// What a failure means.
pub(super) enum Verdict {
    /// Too slow for the company it was in.
    SetAside,
    Failed(String),
}

impl Metered {
    pub(super) fn new(quota: TenantQuota, lane: Lane, charges: u64) -> Self {
        let total = PER_RUN + PER_CHARGE.saturating_mul(u32::try_from(charges).unwrap_or(u32::MAX));
        Self::with(quota, Patience { call: PER_CALL, item: PER_ITEM, total, stops: lane == Lane::Shared })
    }

    fn with(quota: TenantQuota, patience: Patience) -> Self {
        let meter = Meter::new(Quota { fuel: Some(fuel_of(&quota)), time: Some(time_of(&quota)), patience: Some(patience) });
        Self { quota, patience, meter: Arc::new(meter) }
    }

    /// The plugin within this run's bounds.
    pub(super) fn bound(&self, plugin: &Plugin) -> Arc<Plugin> {
        let memory_bytes = usize::try_from(self.quota.memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        let own = plugin.limits();
        let memory_bytes = memory_bytes.min(own.memory_bytes);
        plugin.with(Limits { memory_bytes, ..own.clone() }, Some(Arc::clone(&self.meter)))
    }

    /// What the run's rules have used so far.
    pub(super) fn usage(&self) -> Usage {
        self.meter.usage()
    }

    /// Whether the run would do, or did, well in the shared lane.
    pub(super) fn was_at_ease(&self) -> bool {
        self.meter.is_at_ease()
    }

    /// The same quota without the shared lane's end to patience, and nothing used.
    pub(super) fn aside(&self) -> Self {
        Self::with(self.quota.clone(), Patience { stops: false, ..self.patience })
    }

    pub(super) fn verdict(&self, failure: &RunFailure) -> Verdict {
        if self.meter.is_exhausted() {
            return Verdict::SetAside;
        }
        Verdict::Failed(self.explained(failure).map_or_else(|| failure.to_string(), |advice| format!("{advice} and retry the run")))
    }

    /// What a failure outside of a run says.
    pub(super) fn told(&self, failure: &RunFailure) -> String {
        self.explained(failure).unwrap_or_else(|| failure.to_string())
    }

    /// What was used and what helps, where it ended at the quota.
    fn explained(&self, failure: &RunFailure) -> Option<String> {
        let (used, quota) = (self.meter.usage(), &self.quota);
        let (name, used) = if says(failure, &RuleFailure::QuotaFuel { limit: fuel_of(quota) }) {
            ("fuel", format!("{} of {} instructions", used.fuel, quota.fuel))
        } else if says(failure, &RuleFailure::QuotaTime { limit: time_of(quota) }) {
            ("time_ms", format!("{} of {} ms", used.time.as_millis(), quota.time_ms))
        } else if failure.to_string().contains("MiB of memory") && quota.memory_mib < crate::store::DEFAULT_MEMORY_MIB {
            ("memory_mib", format!("up to {} of {} MiB", used.memory_bytes.div_ceil(1 << 20), quota.memory_mib))
        } else {
            return None;
        };
        let tenant = &quota.tenant_id;
        Some(format!("{failure}; the run had used {used}: make the rule cheaper, or raise {name} with PUT /v1/tenants/{tenant}/quota"))
    }
}

fn says(failure: &RunFailure, refusal: &RuleFailure) -> bool {
    failure.to_string().contains(&refusal.to_string())
}

fn fuel_of(quota: &TenantQuota) -> u64 {
    quota.fuel.unsigned_abs()
}

fn time_of(quota: &TenantQuota) -> Duration {
    Duration::from_millis(quota.time_ms.unsigned_abs())
}
