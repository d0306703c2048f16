//! The reconciler: compares what should be published with what is, and does the difference.
//!
//! One task decides. It reads the store, plans, queues, and starts at most one shared rating at a time, which uses every core, and beside
//! it slow ones in lanes of their own; whatever happens only wakes it. It keeps nothing between two looks but the ratings that are under
//! way, whose rules are slow, and, until anything changes, what the last look left to be started: so that it may be stopped and started
//! anywhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::importing::stopped;
use super::lanes::{Lane, Metered, UnderWay};
use super::plan::{Facts, Key, Plan, SumOutOfRange, Wanted, plan};
use super::work::{self, Batch, Job};
use super::{Inner, lock};
use crate::depot::DepotError;
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rule::{BillPeriod, Capability};
use crate::events::Event;
use crate::plugins::{DeployError, Plugins};
use crate::sandbox::{ConfigureError, Limits, RuleFailure};
use crate::store::{ChainEntry, ChainLink, FoundRun, NewRun, Run, RunHead, RunState, StoreError, TenantQuota};

/// After an error of the store: long enough not to fill the log, short enough to go on by itself.
const RETRY: Duration = Duration::from_secs(5);

/// Before a run is tried again that failed because a bucket does not do its part: that was asked for as long already, and each attempt rates
/// anew.
const AGAIN_AFTER: Duration = Duration::from_secs(20);

/// How often progress is told: it looks fluent and costs nothing.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What a rule may take to say what it needs, outside any run: everybody waits for it, once for each month, or once if it takes longer.
/// JavaScript, the slowest, takes 2,000,000 instructions to be started and to read a configuration of a few fields; this is fifty times that.
const ASKED_FUEL: u64 = 100_000_000;
const ASKED_WITHIN: Duration = Duration::from_millis(100);

/// Answers about rules' history that are remembered. One is a few hundred bytes.
const MAX_KNOWN: usize = 50_000;

#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error(transparent)]
    Sum(#[from] SumOutOfRange),
}

/// Runs until the daemon stops.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    let mut left = None;
    loop {
        let pause = match reconcile(&inner, &mut left).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(error = %Causes(&error), "what should be published cannot be worked out");
                Some(RETRY)
            }
        };
        tokio::select! {
            () = inner.wake.woken() => {}
            () = sleep_or_never(pause) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// What a look left to be started. It holds while nothing happens but that ratings end: a look at everything costs a fifth of a second where
/// thousands of months are published, and a change for all of a tenant's months would make one between any two of them.
struct Left {
    /// Of the wake, when the look began.
    changes: u64,
    plan: Arc<Plan>,
    queued: Vec<(Key, RunHead)>,
}

impl Left {
    /// Starts what the lanes have room for. None when it is time to look at everything again.
    async fn start(self, inner: &Arc<Inner>) -> Result<Option<Self>, ReconcileError> {
        let waiting = self.queued.len();
        if waiting == 0 || self.changes != inner.wake.changes() {
            return Ok(None);
        }
        let queued = start_next(inner, &self.plan, self.queued).await?;
        let is_stuck = queued.len() == waiting && lock(&inner.lanes).is_empty();
        Ok((!is_stuck).then_some(Self { queued, ..self }))
    }
}

async fn sleep_or_never(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// An error with what is behind it, for the log.
pub(super) struct Causes<'a>(pub(super) &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !told.contains(&text) {
                write!(f, ": {text}")?; // many errors tell their cause themselves
            }
            told = text;
            cause = error.source();
        }
        Ok(())
    }
}

/// Looks once. What it starts goes on behind it. Gives after how long it must look again, if by itself.
async fn reconcile(inner: &Arc<Inner>, left: &mut Option<Left>) -> Result<Option<Duration>, ReconcileError> {
    if let Some(last) = left.take() {
        *left = last.start(inner).await?;
        if left.is_some() {
            return Ok(None);
        }
    }
    let (seen, changes) = (inner.wake.count(), inner.wake.changes());
    let mut facts = Facts::read(&inner.store).await?;
    let (tried_again, pause) = try_again(inner, &facts).await?;
    if tried_again {
        facts = Facts::read(&inner.store).await?;
    }
    let running: Vec<&RunHead> = facts.pending.iter().filter(|run| run.state == RunState::Running).collect();
    let abandoned: Vec<String> = {
        let lanes = lock(&inner.lanes);
        running.into_iter().filter(|run| lanes.under_way(&run.id).is_none()).map(|run| run.id.clone()).collect()
    };
    for run in &abandoned {
        // Of a rating whose end could not be stored. One that ended just now is not running any more and stays as it is.
        inner.store.run_requeue(run).await?;
    }
    if !abandoned.is_empty() {
        facts = Facts::read(&inner.store).await?;
    }
    let facts = Arc::new(facts);
    let (looking, same) = (Arc::clone(inner), Arc::clone(&facts));
    let planned =
        tokio::task::spawn_blocking(move || plan(&same, &|link, bill| looking.known_history.asks(&looking.plugins, link, bill))).await;
    let planned = match planned {
        Ok(planned) => Arc::new(planned?),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    withdraw_unwanted(inner, &facts, &planned).await?;
    let (mut open, is_put_off) = settle(inner, &facts, &planned).await?;
    put_splits(inner, &facts, &planned, &open).await?;
    cancel_outdated(inner, &planned);
    if open.is_empty() {
        inner.settled.send_replace(seen);
    }
    open.retain(|_, run| run.state == RunState::Queued);
    let queued = start_next(inner, &planned, open.into_iter().collect()).await?;
    // What waits for an earlier month, or for its time to be tried again, wants a look at everything.
    *left = (!is_put_off && pause.is_none()).then_some(Left { changes, plan: planned, queued });
    Ok(pause)
}

/// Queues runs that failed by no rule's fault once some time has passed. Whether any was, and when the next one's time comes.
async fn try_again(inner: &Inner, facts: &Facts) -> Result<(bool, Option<Duration>), StoreError> {
    let (mut tried, mut pause) = (false, None);
    for run in facts.failed.iter().filter(|run| run.again && !facts.frozen.contains(&run.tenant_id)) {
        let ended = run.finished_at.unwrap_or(run.created_at);
        let passed = u64::try_from(inner.store.clock().now().0 - ended.0).map_or(AGAIN_AFTER, Duration::from_millis);
        if let Some(rest) = AGAIN_AFTER.checked_sub(passed).filter(|rest| !rest.is_zero()) {
            pause = Some(pause.map_or(rest, |pause: Duration| pause.min(rest)));
            continue;
        }
        match inner.store.run_retry(&run.id, None).await {
            Ok(run) => inner.tell_run(&run.head(), RunState::Queued, None),
            Err(StoreError::Conflict(_) | StoreError::NotFound { .. }) => {} // somebody was faster
            Err(error) => return Err(error),
        }
        tried = true;
    }
    Ok((tried, pause))
}

/// A tenant that holds nothing in a month any more has no bill there; of one that is not active everything published stays.
async fn withdraw_unwanted(inner: &Inner, facts: &Facts, plan: &Plan) -> Result<(), StoreError> {
    let known: BTreeSet<Key> = facts.published.iter().map(|run| &run.head).chain(&facts.pending).map(Key::of).collect();
    let pending: BTreeSet<Key> = facts.pending.iter().map(Key::of).collect();
    for key in known.into_iter().filter(|key| !plan.wanted.contains_key(key)) {
        if facts.frozen.contains(&key.tenant) {
            if pending.contains(&key) {
                inner.store.run_give_up(&key.tenant, key.period, &key.currency).await?;
            }
            continue;
        }
        inner.store.run_withdraw(&key.tenant, key.period, &key.currency).await?;
        inner.events.send(Event::Withdrawn { tenant: key.tenant, period: key.period, currency: key.currency });
    }
    Ok(())
}

/// Brings every wanted month one step on; gives the runs that are queued or running for it. What is queued anew is in one transaction, so
/// that a change for a thousand tenants waits for the disk once. And whether a month was put off until an earlier one is done.
async fn settle(inner: &Inner, facts: &Facts, plan: &Plan) -> Result<(BTreeMap<Key, RunHead>, bool), ReconcileError> {
    let published: BTreeMap<Key, &RunHead> = facts.published.iter().map(|run| (Key::of(&run.head), &run.head)).collect();
    let pending: BTreeMap<Key, &RunHead> = facts.pending.iter().map(|run| (Key::of(run), run)).collect();
    let failed: BTreeSet<Key> = facts.failed.iter().map(|run| Key::of(&run.head())).collect();
    let mut open = BTreeMap::new();
    let (mut new, mut is_put_off) = (Vec::new(), false);
    let mut unsettled: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (key, wanted) in &plan.wanted {
        let chained = (key.tenant.as_str(), key.currency.as_str());
        let (published, pending) = (published.get(key).copied(), pending.get(key).copied());
        if published.is_some_and(|run| run.identity == wanted.identity) {
            if pending.is_some() || failed.contains(key) {
                inner.republish(published).await?;
            }
            continue;
        }
        // Keys are in the order of periods: an earlier month of this tenant will change what a rule with history is told.
        if wanted.has_history && unsettled.contains(&chained) {
            is_put_off = true;
            continue;
        }
        match want(inner, key, wanted, pending).await? {
            Step::Nothing => continue,
            Step::Wait(run) => drop(open.insert(key.clone(), run)),
            Step::Queue => new.push(new_run(key, wanted, plan)),
        }
        unsettled.insert(chained);
    }
    if !new.is_empty() {
        for run in inner.store.runs_enqueue(&new).await? {
            let run = run.head();
            let key = Key::of(&run);
            if let Some(overtaken) = pending.get(&key) {
                inner.tell_run(overtaken, RunState::Superseded, None);
            }
            inner.tell_run(&run, RunState::Queued, None);
            open.insert(key, run);
        }
    }
    Ok((open, is_put_off))
}

/// What makes a month what it should be.
enum Step {
    /// It failed already, or could be published at once.
    Nothing,
    /// A run that is queued or running.
    Wait(RunHead),
    /// A new run.
    Queue,
}

async fn want(inner: &Inner, key: &Key, wanted: &Wanted, pending: Option<&RunHead>) -> Result<Step, ReconcileError> {
    if let Some(run) = pending.filter(|run| run.identity == wanted.identity) {
        return Ok(Step::Wait(run.clone()));
    }
    match inner.store.run_find(&key.tenant, key.period, &key.currency, &wanted.identity).await? {
        Some(FoundRun::Done(run)) if inner.has_overlay(&run).await? => {
            inner.republish(Some(&run.head())).await?;
            return Ok(Step::Nothing);
        }
        Some(FoundRun::Pending(run)) => return Ok(Step::Wait(run.head())),
        _ => {}
    }
    if pending.is_none() {
        let latest = inner.store.run_latest(&key.tenant, key.period, &key.currency).await?;
        if latest.is_some_and(|run| run.state == RunState::Failed && run.identity == wanted.identity) {
            return Ok(Step::Nothing);
        }
    }
    // Its end wakes us, and the new component's run follows.
    Ok(pending.filter(|run| inner.finishes(run, wanted)).map_or(Step::Queue, |run| Step::Wait(run.clone())))
}

fn new_run(key: &Key, wanted: &Wanted, plan: &Plan) -> NewRun {
    let snapshots = plan.months.get(&key.period).map(|month| month.sources.iter().map(|s| s.snapshot.id.clone()).collect());
    NewRun {
        tenant_id: key.tenant.clone(),
        period: key.period,
        currency: key.currency.clone(),
        identity: wanted.identity.clone(),
        chain: wanted.chain.iter().map(entry_of).collect(),
        snapshots: snapshots.unwrap_or_default(),
    }
}

fn entry_of(link: &ChainLink) -> ChainEntry {
    ChainEntry {
        rule_id: link.rule_id.clone(),
        title: link.title.clone(),
        plugin: link.plugin.clone(),
        digest: link.digest.clone(),
        config: link.config.clone(),
    }
}

/// Stores how a month divides where no rating is about to do it: with its runs, the split is published by their transaction.
async fn put_splits(inner: &Inner, facts: &Facts, plan: &Plan, open: &BTreeMap<Key, RunHead>) -> Result<(), StoreError> {
    let busy: BTreeSet<Period> = open.keys().map(|key| key.period).collect();
    let stored: BTreeMap<_, _> = facts.splits.iter().map(|split| ((split.period, split.currency.as_str()), split)).collect();
    let mut current = BTreeSet::new();
    for split in plan.months.values().flat_map(|month| month.splits.values()) {
        let key = (split.period, split.currency.as_str());
        current.insert(key);
        if !busy.contains(&split.period) && stored.get(&key).is_none_or(|known| *known != split) {
            inner.store.split_put(split).await?;
        }
    }
    for (period, currency) in stored.into_keys().filter(|key| !current.contains(key)) {
        inner.store.split_delete(period, currency).await?;
    }
    Ok(())
}

/// Stops a rating of which no result is wanted any more. One that is still wanted by a single tenant goes on, and so does one that only
/// a deploy made out of date.
fn cancel_outdated(inner: &Inner, plan: &Plan) {
    let wanted: BTreeSet<&str> = plan.wanted.values().flat_map(|wanted| [wanted.identity.as_str(), wanted.basis.as_str()]).collect();
    let still = |run: &UnderWay| wanted.contains(run.identity.as_str()) || wanted.contains(run.basis.as_str());
    lock(&inner.lanes).keep(still);
}

/// Starts what the lanes have room for, and gives the rest.
async fn start_next(inner: &Arc<Inner>, plan: &Arc<Plan>, mut queued: Vec<(Key, RunHead)>) -> Result<Vec<(Key, RunHead)>, ReconcileError> {
    loop {
        let Some(batch) = lock(&inner.lanes).next_waiting() else { break };
        begin(inner, batch);
    }
    if queued.is_empty() {
        return Ok(queued);
    }
    let quotas = inner.store.quotas().await?;
    loop {
        let Some((lane, chosen)) = lock(&inner.lanes).choose(&mut queued, &quotas) else { return Ok(queued) };
        start(inner, plan, lane, chosen, &quotas).await?;
    }
}

/// Starts runs of one period together.
async fn start(
    inner: &Arc<Inner>,
    plan: &Arc<Plan>,
    lane: Lane,
    chosen: Vec<(Key, RunHead)>,
    quotas: &BTreeMap<String, TenantQuota>,
) -> Result<(), ReconcileError> {
    let wanted = |key: &Key, run: &RunHead| plan.wanted.get(key).filter(|wanted| wanted.identity == run.identity);
    let chosen: Vec<String> = chosen.into_iter().filter(|(key, run)| wanted(key, run).is_some()).map(|(_, run)| run.id).collect();
    let started = inner.store.runs_start(&chosen).await?;
    if started.len() < chosen.len() {
        inner.wake.now(); // somebody was faster
    }
    let mut jobs = Vec::with_capacity(started.len());
    for run in started {
        let head = run.head();
        let key = Key::of(&head);
        let Some(wanted) = wanted(&key, &head).cloned() else { continue };
        inner.tell_run(&head, RunState::Running, None);
        let quota = quotas.get(&key.tenant).cloned().unwrap_or_else(|| TenantQuota::default_of(&key.tenant));
        let metered = Metered::new(quota, lane, plan.charges(&key));
        jobs.push(Job { key, wanted, run, metered, span: tracing::Span::none() });
    }
    if let Some(period) = jobs.first().map(|job| job.key.period) {
        begin(inner, Batch { lane, period, jobs, plan: Arc::clone(plan), progress: Arc::new(Progress::new()) });
    }
    Ok(())
}

/// Rates started runs behind our back. What is set aside waits for a lane of its own, still running for everyone else.
fn begin(inner: &Arc<Inner>, batch: Batch) {
    let number = lock(&inner.lanes).begin(&batch);
    let inner = Arc::clone(inner);
    tokio::spawn(async move {
        let telling = tokio::spawn(tell_progress(Arc::clone(&inner), number));
        let aside = work::rate(&inner, batch).await;
        lock(&inner.lanes).end(number, aside);
        telling.abort();
        inner.wake.ended();
    });
}

/// Looks at the progress between two notes of it in the store: a reader of runs is content with every two seconds.
const NOTED_EVERY: u32 = 10;

async fn tell_progress(inner: Arc<Inner>, number: u64) {
    for look in 1_u32.. {
        tokio::time::sleep(PROGRESS_EVERY).await;
        let told = lock(&inner.lanes).rating(number).map(|rating| Event::Rating {
            runs: rating.runs.keys().cloned().collect(),
            period: rating.period,
            position: rating.position(),
        });
        let Some(Event::Rating { runs, position, .. }) = &told else { return };
        if look.is_multiple_of(NOTED_EVERY) {
            for run in runs {
                // A note that is lost costs nothing: the next one says more.
                let _ = inner.store.run_progress(run, position.done, position.total).await;
            }
        }
        told.into_iter().for_each(|event| inner.events.send(event));
    }
}

/// What is known of rules' plans: whether one wants to know what it charged before.
#[derive(Default)]
pub(super) struct KnownHistory(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By digest, of components that need not be asked: those that add no lines want nothing, and one that took too long to say so is
    /// taken to want it.
    settled: HashMap<String, bool>,
    asked: HashMap<(String, String, BillPeriod), bool>,
}

impl KnownHistory {
    /// Blocking: may load the component. A rule that refuses wants nothing; its run will fail and say why. To be taken to want it
    /// at worst rates its months one after the other.
    pub(super) fn asks(&self, plugins: &Plugins, link: &ChainLink, bill: &BillPeriod) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asks) = known.settled.get(&link.digest) {
            return *asks;
        }
        let key = (link.digest.clone(), link.config.to_string(), bill.clone());
        if let Some(asks) = known.asked.get(&key) {
            return *asks;
        }
        let plugin = match plugins.load_stored(&link.digest) {
            Ok(plugin) => plugin,
            // It may be loaded a moment later: its run must not be told that nothing was charged before.
            Err(error) => return matches!(error, DeployError::Depot(_) | DeployError::File { .. }),
        };
        if !plugin.capabilities().contains(&Capability::Charge) {
            known.settled.insert(key.0, false);
            return false;
        }
        let own = plugin.limits();
        let brief = Limits { fuel_base: ASKED_FUEL.min(own.fuel_base), deadline: ASKED_WITHIN.min(own.deadline), ..own.clone() };
        let asks = match plugin.with(brief, None).configure(&key.1, bill) {
            Ok(plan) => plan.history,
            Err(ConfigureError::Refused(_)) => false,
            Err(ConfigureError::Failed(RuleFailure::OutOfFuel { .. } | RuleFailure::Deadline { .. })) => {
                known.settled.insert(key.0, true);
                return true;
            }
            Err(ConfigureError::Failed(_)) => true,
        };
        if known.asked.len() >= MAX_KNOWN {
            known.asked.clear();
        }
        known.asked.insert(key, asks);
        asks
    }
}

impl Inner {
    async fn republish(&self, run: Option<&RunHead>) -> Result<(), StoreError> {
        if let Some(run) = run {
            self.store.run_publish(&run.id).await?;
            self.tell_run(run, RunState::Done, None);
            self.wake.now(); // what rules with history are told may have changed
        }
        Ok(())
    }

    /// Whether a run is under way that a deploy alone made out of date.
    fn finishes(&self, run: &RunHead, wanted: &Wanted) -> bool {
        lock(&self.lanes).under_way(&run.id).is_some_and(|under_way| under_way.basis == wanted.basis)
    }

    /// Whether a done run's files are still there.
    async fn has_overlay(&self, run: &Run) -> Result<bool, DepotError> {
        match &run.overlay {
            Some(name) => self.data.charges().has(name).await,
            None => Ok(false),
        }
    }

    pub(super) fn tell_run(&self, run: &RunHead, state: RunState, reason: Option<String>) {
        self.events.send(Event::Run {
            id: run.id.clone(),
            tenant: run.tenant_id.clone(),
            period: run.period,
            currency: run.currency.clone(),
            state: state.name().to_owned(),
            reason,
        });
    }
}
