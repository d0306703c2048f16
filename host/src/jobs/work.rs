//! One rating: the runs of a period that are due, rated in one pass over its charges, then published together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use tracing::{Instrument, Span};

use super::engine::Causes;
use super::lanes::{Lane, Metered, Verdict};
use super::plan::{Key, Month, Plan, Wanted};
use super::rate::{PeriodRequest, RateError, RunRequest, SnapshotInput, rate_period};
use super::{Inner, lock, quiet};
use crate::depot::{DepotError, Hold};
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::lake::{self, LakeError};
use crate::plugins::DeployError;
use crate::rating::{ChainRule, Month as Rated, MonthError, Owners, RunFailure, RunOutcome};
use crate::store::{PeriodSplit, Recorded, Run, RunInputs, RunResult, RunState, Snapshot, StoreError};
use crate::telemetry;

/// A run that has been started.
pub(super) struct Job {
    pub(super) key: Key,
    pub(super) wanted: Wanted,
    pub(super) run: Run,
    pub(super) metered: Metered,
    /// What a trace shows of it, while it is rated.
    pub(super) span: Span,
}

/// Runs of one period.
pub(super) struct Batch {
    pub(super) lane: Lane,
    pub(super) period: Period,
    pub(super) jobs: Vec<Job>,
    pub(super) plan: Arc<Plan>,
    pub(super) progress: Arc<Progress>,
}

/// Rates a batch to its end: every run of it is published, failed, given back to be rated aside or, if it was overtaken, left to what
/// overtook it.
pub(super) async fn rate(inner: &Arc<Inner>, mut batch: Batch) -> Vec<Batch> {
    let (period, runs) = (batch.period, batch.jobs.len());
    let span = tracing::info_span!(parent: None, "rating", %period, runs);
    for job in &mut batch.jobs {
        let (run, tenant, currency) = (&job.run.id, &job.run.tenant_id, &job.run.currency);
        job.span = tracing::info_span!(parent: &span, "run", run, tenant, %period, currency);
    }
    rate_to_its_end(inner, batch).instrument(span).await
}

async fn rate_to_its_end(inner: &Arc<Inner>, batch: Batch) -> Vec<Batch> {
    let runs: Vec<Run> = batch.jobs.iter().map(|job| job.run.clone()).collect();
    let (reason, again) = match try_rate(inner, batch).await {
        Ok(aside) => return aside,
        Err(Stopped::Store(error)) => (Causes(&error).to_string(), error.is_passing()),
        Err(Stopped::Reason(reason)) => (reason, false),
        Err(Stopped::Full(reason)) => (reason, true),
        Err(Stopped::Depot(error)) => (error.to_string(), error.is_passing()),
        // Overtaken, or the daemon stops and the next start takes them up again.
        Err(Stopped::Cancelled) => return Vec::new(),
    };
    tracing::error!(reason, "a rating failed");
    telemetry::failed(&Span::current());
    for run in &runs {
        fail(inner, run, &reason, again).await;
    }
    Vec::new()
}

enum Stopped {
    Store(StoreError),
    Reason(String),
    /// There was no room for what was rated.
    Full(String),
    /// Files that could not be had, or not made everybody's.
    Depot(DepotError),
    Cancelled,
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn try_rate(inner: &Arc<Inner>, batch: Batch) -> Result<Vec<Batch>, Stopped> {
    let begun = Instant::now();
    let (lane, plan) = (batch.lane, Arc::clone(&batch.plan));
    let Some(month) = batch.plan.months.get(&batch.period).cloned() else {
        return Err(Stopped::Reason("its snapshots are gone".to_owned()));
    };
    let (working, progress) = (Arc::clone(inner), Arc::clone(&batch.progress));
    // Loading components and files takes locks that others wait for: never on a thread that gives way.
    let (month, held, prepared) = blocking(move || {
        let mut held = working.data.charges().hold();
        let prepared = prepare(&working, batch, &month, &mut held);
        (month, held, prepared)
    })
    .await?;
    let Prepared { jobs, inputs, refused, tenants, request } = prepared;
    let working = Arc::clone(inner);
    let work = move || {
        let _held = held;
        let rated = request.map(|request| rate_period(request.map_err(LakeError::from)?, &progress));
        let recorded = match &rated {
            Some(Ok(rated)) => record(&working, &jobs, &rated.runs, inputs),
            _ => Ok(Vec::new()),
        };
        (jobs, rated, recorded)
    };
    let (jobs, rated, recorded) = match lane {
        Lane::Shared => blocking(work).await?,
        Lane::Aside => quiet::quietly(work).await.ok_or_else(defect)?,
    };
    for (run, reason, again) in &refused {
        fail(inner, run, reason, *again).await;
    }
    let rated = match rated {
        None => return Ok(Vec::new()),
        Some(Ok(rated)) => rated,
        Some(Err(RateError::Month(MonthError::Cancelled))) => return Err(Stopped::Cancelled),
        Some(Err(RateError::Lake(LakeError::Depot(error)))) => return Err(Stopped::Depot(error)),
        Some(Err(error)) if is_of_room(&error) => return Err(Stopped::Full(Causes(&error).to_string())),
        Some(Err(error)) => return Err(Stopped::Reason(Causes(&error).to_string())),
    };
    check_split(&rated, &tenants, &month.splits).map_err(Stopped::Reason)?;
    let millis = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
    let recorded = recorded?;
    let aside = publish(inner, lane, jobs, rated, recorded, month, millis).await?;
    Ok(aside.into_iter().map(|job| aside_of(job, &plan)).collect())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
    tokio::task::spawn_blocking(work).await.map_err(|error| if error.is_cancelled() { Stopped::Cancelled } else { defect() })
}

fn defect() -> Stopped {
    Stopped::Reason("the rating stopped on a defect in rerate; the log says where".to_owned())
}

/// Whether a disk was full, at the bottom of it.
fn is_of_room(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded))
}

/// What a replay of each run needs; nothing for one that failed. What was rated is everybody's after this, and named by nobody yet.
fn record(
    inner: &Inner,
    jobs: &[Job],
    outcomes: &[Result<RunOutcome, RunFailure>],
    inputs: Vec<RunInputs>,
) -> Result<Vec<Option<Recorded>>, Stopped> {
    let recorded = jobs.iter().zip(outcomes).zip(inputs).map(|((job, outcome), inputs)| {
        let path = inner.data.lake().join(overlay_name(job.run.period, &job.run.id));
        let digest = outcome.is_ok().then(|| sha256_of(&path).map_err(|error| Stopped::Reason(format!("{}: {error}", path.display()))));
        Ok(digest.transpose()?.map(|overlay_sha256| Recorded { inputs, overlay_sha256 }))
    });
    let recorded = recorded.collect::<Result<Vec<_>, Stopped>>()?;
    let rated = jobs.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(job, _)| overlay_name(job.run.period, &job.run.id));
    inner.data.charges().publish(&rated.collect::<Vec<_>>()).map_err(Stopped::Depot)?;
    Ok(recorded)
}

/// SHA-256 of a file, in hex.
pub(super) fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path)?, &mut digest)?;
    Ok(crate::plugins::hex(&digest.finalize()))
}

async fn publish(
    inner: &Inner,
    lane: Lane,
    jobs: Vec<Job>,
    rated: Rated,
    recorded: Vec<Option<Recorded>>,
    month: Month,
    millis: i64,
) -> Result<Vec<Job>, Stopped> {
    let (mut results, mut aside) = (Vec::new(), BTreeSet::new());
    for job in &jobs {
        inner.tally.rules_used(&job.metered.usage());
    }
    for ((job, outcome), recorded) in jobs.iter().zip(rated.runs).zip(recorded) {
        match outcome {
            Ok(outcome) => results.push((job.run.id.clone(), RunResult { recorded, ..result_of(outcome, &job.run, millis) })),
            Err(failure) => match job.metered.verdict(&failure) {
                Verdict::SetAside => drop(aside.insert(job.run.id.clone())),
                Verdict::Failed(reason) => {
                    if let Err(error) = inner.store.run_logs_put(&job.run.id, &failure.logs).await {
                        tracing::error!(run = job.run.id, error = %Causes(&error), "what the rules of a failed run wrote cannot be kept");
                    }
                    lock(&inner.lanes).set_aside(&job.run.tenant_id);
                    telemetry::failed(&job.span);
                    fail(inner, &job.run, &reason, false).await;
                }
            },
        }
    }
    // A rating aside may end long after it began, when a newer split is published.
    let splits: Vec<PeriodSplit> = if lane == Lane::Shared { month.splits.into_values().collect() } else { Vec::new() };
    let published = inner.store.runs_publish(&results, &splits).await?;
    let kept: BTreeSet<&str> = published.iter().map(|run| run.id.as_str()).collect();
    let overtaken = results.iter().filter(|(run, _)| !kept.contains(run.as_str())).filter_map(|(_, result)| result.overlay.clone());
    inner.data.charges().remove(&overtaken.collect::<Vec<_>>()).await;
    for run in &published {
        inner.tally.run_done(run.charges);
        inner.tell_run(&run.head(), RunState::Done, None);
    }
    inner.background_wake.notify_one(); // candidates look at what is published
    for job in jobs.iter().filter(|job| kept.contains(job.run.id.as_str()) && job.metered.was_at_ease()) {
        lock(&inner.lanes).take_back(&job.run.tenant_id);
    }
    Ok(jobs.into_iter().filter(|job| aside.contains(&job.run.id)).collect())
}

/// A run that was too slow for the shared lane, from its start and by itself.
fn aside_of(job: Job, plan: &Arc<Plan>) -> Batch {
    tracing::info!(run = job.run.id, tenant = job.run.tenant_id, "slow rules: the run is rated aside");
    let (period, metered) = (job.key.period, job.metered.aside());
    let jobs = vec![Job { metered, ..job }];
    Batch { lane: Lane::Aside, period, jobs, plan: Arc::clone(plan), progress: Arc::new(Progress::new()) }
}

/// Ends a run badly; what is published stays. `again`: no rule is at fault, and it is tried again after a while.
async fn fail(inner: &Inner, run: &Run, reason: &str, again: bool) {
    let failed = if again { inner.store.run_fail_for_now(&run.id, reason).await } else { inner.store.run_fail(&run.id, reason).await };
    match failed {
        Ok(run) => {
            inner.tally.run_failed();
            tracing::warn!(run = run.id, tenant = run.tenant_id, period = %run.period, reason, "run failed; the last good one stays");
            inner.tell_run(&run.head(), RunState::Failed, Some(reason.to_owned()));
        }
        Err(StoreError::Conflict(_) | StoreError::NotFound { .. }) => {} // overtaken meanwhile
        Err(error) => {
            tracing::error!(run = run.id, error = %Causes(&error), "a failed run cannot be noted");
            inner.wake.now(); // it is found again by a look at everything
        }
    }
}

/// Where a run's rated charges are, below the lake's folder.
pub(super) fn overlay_name(period: Period, run: &str) -> String {
    format!("rated/{period}/{run}.parquet")
}

fn result_of(outcome: RunOutcome, run: &Run, rating_millis: i64) -> RunResult {
    RunResult {
        charges: outcome.rows,
        dropped: outcome.dropped,
        billed: outcome.billed,
        charged: outcome.charged,
        by_rule: outcome.by_rule,
        findings: outcome.findings,
        lines: outcome.lines,
        logs: outcome.logs,
        overlay: Some(overlay_name(run.period, &run.id)),
        rating_millis,
        recorded: None,
    }
}

struct Prepared {
    /// One a run of the request, in its order.
    jobs: Vec<Job>,
    /// As `jobs`.
    inputs: Vec<RunInputs>,
    /// With the reason, and whether it may be another one soon.
    refused: Vec<(Run, String, bool)>,
    /// By the request's index.
    tenants: Vec<String>,
    request: Option<Result<PeriodRequest, DepotError>>,
}

/// Pins every rule's component, has the charges at hand and numbers the tenants. Blocking: components may have to be loaded.
fn prepare(inner: &Inner, batch: Batch, month: &Month, held: &mut Hold) -> Prepared {
    let holders = month.sources.iter().flat_map(|source| source.holders.values().cloned());
    let tenants: BTreeSet<String> = holders.chain(batch.jobs.iter().map(|job| job.key.tenant.clone())).collect();
    let tenants: Vec<String> = tenants.into_iter().collect();
    let numbers: BTreeMap<&str, usize> = tenants.iter().enumerate().map(|(number, id)| (id.as_str(), number)).collect();
    let (mut jobs, mut inputs, mut refused, mut runs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for job in batch.jobs {
        match rules_of(inner, &job) {
            Ok(rules) => {
                runs.push(request_of(inner, &job, numbers[job.key.tenant.as_str()], rules));
                inputs.push(batch.plan.inputs(&job.key, &job.wanted));
                jobs.push(job);
            }
            Err((reason, again)) => {
                telemetry::failed(&job.span);
                refused.push((job.run, reason, again));
            }
        }
    }
    let sources = month.sources.iter().map(|source| {
        let owners = source.holders.iter().map(|(account, id)| (account.clone(), numbers[id.as_str()])).collect::<HashMap<_, _>>();
        let totals = &source.snapshot.totals;
        Ok(SnapshotInput {
            parts: part_paths(held, &source.snapshot)?,
            owners: Owners::BySubAccount(owners),
            totals: totals.iter().map(|t| lake::CurrencyTotal { currency: t.currency.clone(), billed: t.billed }).collect(),
        })
    });
    let request = (!runs.is_empty()).then(|| {
        Ok(PeriodRequest {
            period: batch.period,
            snapshots: sources.collect::<Result<_, DepotError>>()?,
            payers: batch.plan.payers.clone(),
            runs,
            workers: batch.lane.workers(inner.options.workers),
            batch_rows: None,
        })
    });
    drop(numbers);
    Prepared { jobs, inputs, refused, tenants, request }
}

fn request_of(inner: &Inner, job: &Job, tenant: usize, rules: Vec<ChainRule>) -> RunRequest {
    let overlay = inner.data.lake().join(overlay_name(job.run.period, &job.run.id));
    if let Some(folder) = overlay.parent() {
        // If this fails, so does writing the overlay, and says why.
        let _ = std::fs::create_dir_all(folder);
    }
    RunRequest { tenant, currency: job.key.currency.clone(), rules, overlay, note: note_of(&job.run), span: Some(job.span.clone()) }
}

/// What a run's overlay says of itself.
pub(super) fn note_of(run: &Run) -> String {
    let note = serde_json::json!({
        "run": run.id,
        "identity": run.identity,
        "tenant": run.tenant_id,
        "period": run.period,
        "currency": run.currency,
        "snapshots": run.snapshots,
        "chain": run.chain,
    });
    note.to_string()
}

/// Or why not, and whether that may pass.
fn rules_of(inner: &Inner, job: &Job) -> Result<Vec<ChainRule>, (String, bool)> {
    let wanted = &job.wanted;
    let rules = wanted.chain.iter().zip(&wanted.earlier).map(|(link, earlier)| {
        if link.disabled {
            let (title, plugin) = (&link.title, &link.plugin);
            return Err((format!("rule {title:?}: its plugin {plugin} is disabled; enable it, or take the rule off the chain"), false));
        }
        let plugin = inner.plugins.load_stored(&link.digest).map_err(|error| {
            let passes = match &error {
                DeployError::Depot(error) => error.is_passing(),
                DeployError::File { source, .. } => source.kind() != std::io::ErrorKind::NotFound,
                _ => false,
            };
            (format!("rule {:?}: {}", link.title, Causes(&error)), passes)
        })?;
        Ok(ChainRule {
            id: link.rule_id.clone(),
            title: link.title.clone(),
            plugin: job.metered.bound(&plugin),
            config: link.config.to_string(),
            earlier: earlier.clone(),
        })
    });
    rules.collect()
}

/// A snapshot's files, in the order in which they were written; at hand for as long as they are held. Blocking.
pub(super) fn part_paths(held: &mut Hold, snapshot: &Snapshot) -> Result<Vec<PathBuf>, DepotError> {
    let names = snapshot.parts.iter().map(|part| (format!("{}/{}", snapshot.location, part.file_name), Some(part.bytes)));
    held.files(&names.collect::<Vec<_>>())
}

/// What was read row by row must be what the import counted by account.
fn check_split(rated: &Rated, tenants: &[String], splits: &BTreeMap<String, PeriodSplit>) -> Result<(), String> {
    for part in &rated.split {
        let planned = splits.get(&part.currency).and_then(|split| match part.tenant {
            None => Some((split.unassigned_charges, split.unassigned)),
            Some(number) => {
                let share = split.tenants.iter().find(|share| Some(&share.tenant_id) == tenants.get(number));
                share.map(|share| (share.charges, share.billed))
            }
        });
        if planned.unwrap_or_default() != (part.rows, part.billed) {
            let whose = part.tenant.and_then(|number| tenants.get(number)).map_or("nobody", String::as_str);
            return Err(format!(
                "{} charges over {} {} belong to {whose}, the import counted {:?}: this is a defect in rerate",
                part.rows, part.billed, part.currency, planned
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_what_is_wrong_with_a_file_however_deep_it_is() {
        let of = |kind: std::io::ErrorKind| {
            let source = std::io::Error::from(kind);
            RateError::Month(MonthError::Write(Box::new(LakeError::Io { path: PathBuf::from("rated/1.parquet"), source })))
        };
        assert!(is_of_room(&of(std::io::ErrorKind::StorageFull)));
        assert!(!is_of_room(&of(std::io::ErrorKind::NotFound)));
    }
}
