//! What rules used, and an allowance that several of them share: a tenant's quota, or the figures of a test report.
//!
//! A meter only counts and says no; what a call may use by itself is in [`Limits`](super::Limits), and what a used-up quota means for a
//! run is its caller's business. Fuel is counted exactly and does not depend on the machine; time and memory do.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::call::RuleFailure;
use super::limits::Work;

/// Every call that is metered, in the order in which a rule meets them. `start` is the component's own start-up code.
const CALLS: [&str; 8] = ["start", "about", "configure", "open", "decide", "apply", "charge", "check"];

/// What all calls that share a meter may use together; none is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    pub fuel: Option<u64>,
    /// Processor time inside rules, added up over workers.
    pub time: Option<Duration>,
    pub patience: Option<Patience>,
}

/// How long others can be made to wait for rules. Who exceeds it has done nothing wrong, and is to go on elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Processor time of one call, and more of it for each row or combination that it is given.
    pub call: Duration,
    pub item: Duration,
    /// Of all calls.
    pub total: Duration,
    /// Whether calls are stopped at its end; else it is only noticed.
    pub stops: bool,
}

impl Patience {
    fn with(&self, work: Work) -> Duration {
        let items = u32::try_from(work.rows.saturating_add(work.combinations)).unwrap_or(u32::MAX);
        self.call.saturating_add(self.item.saturating_mul(items))
    }
}

/// Counts the calls of every plugin that was given it. Cheap enough to be always on: a few atomic additions a call.
#[derive(Debug, Default)]
pub struct Meter {
    quota: Quota,
    fuel: AtomicU64,
    nanos: AtomicU64,
    memory_bytes: AtomicU64,
    /// More than half of the patience was used.
    strained: AtomicBool,
    /// All of it was.
    exhausted: AtomicBool,
    calls: [Counters; CALLS.len()],
}

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    fuel: AtomicU64,
    nanos: AtomicU64,
    longest_nanos: AtomicU64,
    items: AtomicU64,
    tightest_ppm: AtomicU64,
}

/// What a meter counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// About one per WebAssembly instruction; the same on every machine.
    pub fuel: u64,
    /// Processor time inside rules, added up over workers.
    pub time: Duration,
    /// The largest memory of any one instance.
    pub memory_bytes: u64,
    /// Calls that happened, in the order in which a rule meets them.
    pub calls: Vec<CallUsage>,
}

/// All calls of one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallUsage {
    pub call: &'static str,
    pub calls: u64,
    pub fuel: u64,
    pub time: Duration,
    pub longest: Duration,
    /// Combinations that were decided, or rows that were given.
    pub items: u64,
    /// The largest part of its own budget that a single call used, in millionths.
    pub tightest_ppm: u64,
}

impl Usage {
    pub fn call(&self, name: &str) -> Option<&CallUsage> {
        self.calls.iter().find(|usage| usage.call == name)
    }

    pub fn longest(&self) -> Duration {
        self.calls.iter().map(|usage| usage.longest).max().unwrap_or_default()
    }

    /// The call that came nearest to its budget of fuel.
    pub fn tightest(&self) -> Option<&CallUsage> {
        self.calls.iter().max_by_key(|usage| usage.tightest_ppm)
    }
}

/// What one call may use of what is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) fuel: u64,
    pub(super) time: Duration,
    pub(super) bound: TimeBound,
}

/// What a call's time is bounded by.
#[derive(Clone, Copy, Debug)]
pub(super) enum TimeBound {
    /// The limits of a single call.
    Own,
    Quota(Duration),
    Patience,
}

impl Grant {
    fn within(self, time: Duration, bound: TimeBound) -> Self {
        if time < self.time { Self { time, bound, ..self } } else { self }
    }
}

/// What one call used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) fuel: u64,
    /// What it might have used by its own limits.
    pub(super) fuel_limit: u64,
    pub(super) time: Duration,
    pub(super) memory_bytes: usize,
}

impl Meter {
    pub fn new(quota: Quota) -> Self {
        Self { quota, ..Self::default() }
    }

    pub fn usage(&self) -> Usage {
        let of = |(call, counters): (&&'static str, &Counters)| {
            let calls = counters.calls.load(Relaxed);
            (calls > 0).then(|| CallUsage {
                call,
                calls,
                fuel: counters.fuel.load(Relaxed),
                time: Duration::from_nanos(counters.nanos.load(Relaxed)),
                longest: Duration::from_nanos(counters.longest_nanos.load(Relaxed)),
                items: counters.items.load(Relaxed),
                tightest_ppm: counters.tightest_ppm.load(Relaxed),
            })
        };
        Usage {
            fuel: self.fuel.load(Relaxed),
            time: Duration::from_nanos(self.nanos.load(Relaxed)),
            memory_bytes: self.memory_bytes.load(Relaxed),
            calls: CALLS.iter().zip(&self.calls).filter_map(of).collect(),
        }
    }

    /// Whether its calls stopped, or some of them, because nobody could be made to wait longer.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted.load(Relaxed)
    }

    /// Whether its calls used no more than half of the patience there was, each by itself and together: rules near the end of it would go
    /// back and forth.
    pub fn is_at_ease(&self) -> bool {
        !self.strained.load(Relaxed)
    }

    /// Narrows what a call may use to what is left; refuses when nothing is.
    pub(super) fn grant(&self, own: Grant, work: Work) -> Result<Grant, RuleFailure> {
        let mut grant = own;
        if let Some(limit) = self.quota.fuel {
            let left = limit.saturating_sub(self.fuel.load(Relaxed));
            if left == 0 {
                return Err(RuleFailure::QuotaFuel { limit });
            }
            // One more than is left: fuel is looked at only now and then, so a call may end just beyond its grant, and `record` must see it.
            grant.fuel = grant.fuel.min(left.saturating_add(1));
        }
        if let Some(limit) = self.quota.time {
            let left = limit.saturating_sub(Duration::from_nanos(self.nanos.load(Relaxed)));
            if left.is_zero() {
                return Err(RuleFailure::QuotaTime { limit });
            }
            grant = grant.within(left, TimeBound::Quota(limit));
        }
        if let Some(patience) = self.quota.patience.filter(|patience| patience.stops) {
            let left = patience.total.saturating_sub(Duration::from_nanos(self.nanos.load(Relaxed)));
            if left.is_zero() || self.is_exhausted() {
                self.exhausted.store(true, Relaxed);
                return Err(RuleFailure::Patience);
            }
            grant = grant.within(left.min(patience.with(work)), TimeBound::Patience);
        }
        Ok(grant)
    }

    /// Counts a call. Fails when all calls together used more than the quota, so that the verdict on a whole run is the same whichever
    /// of its calls ran at the same time.
    pub(super) fn record(&self, call: &str, work: Work, spent: Spent) -> Result<(), RuleFailure> {
        let nanos = u64::try_from(spent.time.as_nanos()).unwrap_or(u64::MAX);
        let fuel_total = self.fuel.fetch_add(spent.fuel, Relaxed).saturating_add(spent.fuel);
        let nanos_total = self.nanos.fetch_add(nanos, Relaxed).saturating_add(nanos);
        if let Some(patience) = self.quota.patience
            && (spent.time * 2 > patience.with(work) || Duration::from_nanos(nanos_total) * 2 > patience.total)
        {
            self.strained.store(true, Relaxed);
        }
        self.memory_bytes.fetch_max(spent.memory_bytes as u64, Relaxed);
        if let Some(counters) = CALLS.iter().position(|name| *name == call).map(|index| &self.calls[index]) {
            counters.calls.fetch_add(1, Relaxed);
            counters.fuel.fetch_add(spent.fuel, Relaxed);
            counters.nanos.fetch_add(nanos, Relaxed);
            counters.longest_nanos.fetch_max(nanos, Relaxed);
            counters.items.fetch_add((work.rows + work.combinations) as u64, Relaxed);
            let ppm = u128::from(spent.fuel) * 1_000_000 / u128::from(spent.fuel_limit.max(1));
            counters.tightest_ppm.fetch_max(u64::try_from(ppm).unwrap_or(u64::MAX), Relaxed);
        }
        match self.quota.fuel {
            Some(limit) if fuel_total > limit => Err(RuleFailure::QuotaFuel { limit }),
            _ => Ok(()),
        }
    }

    /// Why a call was stopped that its own limits would have let run, if it was.
    pub(super) fn stopped_for(&self, own: Grant, granted: Grant, by_fuel: bool) -> Option<RuleFailure> {
        match (by_fuel, self.quota.fuel, granted.bound) {
            (true, Some(limit), _) if granted.fuel < own.fuel => Some(RuleFailure::QuotaFuel { limit }),
            (false, _, TimeBound::Quota(limit)) => Some(RuleFailure::QuotaTime { limit }),
            (false, _, TimeBound::Patience) => {
                self.exhausted.store(true, Relaxed);
                Some(RuleFailure::Patience)
            }
            _ => None,
        }
    }
}
