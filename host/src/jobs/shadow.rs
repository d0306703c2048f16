//! A candidate version beside the active one: every run that is published is rated again under the candidate, afterwards and in the
//! background, and what differs is counted and sampled.
//!
//! The run itself never waits for its shadow and never learns of it. A candidate that fails, loops or dawdles costs the background its
//! time up to a limit, and is written down as what it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Inner;
use super::background::in_background;
use super::compare::{Difference, RuleDifference};
use super::preview::{Candidate, Other, VersionChange, earlier_of, rate_other, sum_rules};
use super::replay::{Recording, ReplayError, ReplayOptions};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::store::{Run, Shadow, ShadowOutcome, ShadowRun, StoreError};

/// Divergences of one shadow that are kept with their lines.
const SAMPLES_MAX: u64 = 50;

/// Lines kept of a sample.
const TOP: usize = 10;

/// Tenants named in a summary.
const TENANTS_MAX: usize = 200;

/// A candidate may take this many times what the run took, and ten minutes in any case: its threads give way to the day's work, and an import
/// that keeps every processor busy is no fault of it.
const SLOWER_MAX: u64 = 10;
const AT_LEAST: Duration = Duration::from_secs(600);

/// Rates one run under a candidate and writes down what came out.
pub(super) async fn look(inner: &Arc<Inner>, shadow: &Shadow, run_id: &str) -> Result<(), StoreError> {
    let begun = Instant::now();
    let run = inner.store.run(run_id).await?;
    let kept = inner.store.shadow_samples(&shadow.id).await?;
    let outcome = rate(inner, shadow, &run).await;
    let mut row = ShadowRun {
        shadow_id: shadow.id.clone(),
        run_id: run.id.clone(),
        outcome: ShadowOutcome::Untouched,
        tenant_id: run.tenant_id,
        period: run.period,
        currency: run.currency,
        before: run.charged,
        after: None,
        charges: 0,
        failure: None,
        difference: None,
        millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        at: inner.store.clock().now(),
    };
    match outcome {
        // The daemon stops, or the shadow was dropped.
        Err(ReplayError::Cancelled) => return Ok(()),
        Err(ReplayError::Store(error @ StoreError::Database(_))) => return Err(error),
        Err(error) => (row.outcome, row.failure) = (ShadowOutcome::Failed, Some(super::engine::Causes(&error).to_string())),
        Ok(None) => {}
        Ok(Some(Err(reason))) => (row.outcome, row.failure) = (ShadowOutcome::Failed, Some(reason)),
        Ok(Some(Ok(difference))) => {
            let counts = difference.counts;
            row.outcome = if counts.is_same() { ShadowOutcome::Same } else { ShadowOutcome::Diverged };
            row.after = Some(difference.after);
            row.charges = counts.changed + counts.added_changed;
            if row.outcome == ShadowOutcome::Diverged && kept < SAMPLES_MAX {
                row.difference = serde_json::to_value(&difference).ok();
            }
        }
    }
    match inner.store.shadow_record(&row).await {
        Err(StoreError::Database(error)) if inner.store.shadow(&shadow.id).await.is_err() => {
            tracing::debug!(%error, "the shadow is gone");
            Ok(())
        }
        done => done,
    }
}

/// The difference, a reason for its absence, or nothing where the run's chain does not follow the plugin.
async fn rate(inner: &Arc<Inner>, shadow: &Shadow, run: &Run) -> Result<Option<Result<Difference, String>>, ReplayError> {
    let recording = Recording::read(&inner.store, &run.id).await?;
    let change = VersionChange { name: shadow.plugin.clone(), digest: shadow.digest.clone(), against: None, pinned: false };
    let candidate = Candidate::version(change, &inner.store).await?;
    let after = candidate.after(&run.chain);
    if after == run.chain {
        return Ok(None);
    }
    let published = inner.store.runs_standing(Some(&run.tenant_id)).await?;
    let quota = inner.store.quota(&run.tenant_id).await?;
    let taken = Duration::from_millis(u64::try_from(run.rating_millis.unwrap_or(0)).unwrap_or(0).saturating_mul(SLOWER_MAX));
    let limit = taken.max(AT_LEAST);
    let work = in_background(inner, &shadow.id, move |inner, progress| {
        let earlier = earlier_of(&recording, &after, &published);
        let other = Other { recording: &recording, before: recording.run.chain.clone(), after, earlier, quota };
        let compared = rate_other(&inner.replayer, &[other], TOP, ReplayOptions::default().threads(), progress)?;
        Ok(compared.into_iter().next())
    });
    tokio::pin!(work);
    let compared = tokio::select! {
        done = &mut work => done?,
        () = tokio::time::sleep(limit) => {
            super::background::cancel(inner, Some(&shadow.id));
            match work.await {
                Err(ReplayError::Cancelled) if !*inner.stop.borrow() => {
                    return Ok(Some(Err(format!("it was stopped after {} s: the run itself took {} ms", limit.as_secs(), run.rating_millis.unwrap_or(0)))));
                }
                done => done?,
            }
        }
    };
    Ok(compared.map(|compared| compared.map(|(difference, _)| difference)))
}

/// What a candidate made of the runs since it began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShadowSummary {
    pub runs: u64,
    /// Runs whose chain does not follow the plugin.
    pub untouched: u64,
    pub same: u64,
    pub diverged: u64,
    pub failed: u64,
    /// One a currency, over the runs that the candidate could rate.
    pub totals: Vec<ShadowTotal>,
    /// Tenants with divergences or failures, those with the largest difference first.
    pub tenants: Vec<ShadowTenant>,
    /// Over the sampled divergences.
    pub by_rule: Vec<RuleDifference>,
    /// The first divergences with their lines, and the first failures.
    pub samples: Vec<ShadowSample>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShadowTotal {
    pub currency: String,
    pub before: Amount,
    pub after: Amount,
    pub delta: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShadowTenant {
    pub tenant_id: String,
    pub currency: String,
    pub diverged: u64,
    pub failed: u64,
    pub delta: Amount,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShadowSample {
    pub run_id: String,
    pub tenant_id: String,
    pub period: Period,
    pub currency: String,
    pub before: Option<Amount>,
    pub after: Option<Amount>,
    /// Charges and added lines that differ.
    pub charges: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

/// Sums up a shadow's runs. Sums of stored amounts stay far inside the range.
pub fn summarise(runs: Vec<ShadowRun>) -> ShadowSummary {
    let mut summary = ShadowSummary { runs: runs.len() as u64, ..ShadowSummary::default() };
    let mut totals: BTreeMap<String, (i128, i128)> = BTreeMap::new();
    let mut tenants: BTreeMap<(String, String), ShadowTenant> = BTreeMap::new();
    for run in runs {
        match run.outcome {
            ShadowOutcome::Untouched => summary.untouched += 1,
            ShadowOutcome::Same => summary.same += 1,
            ShadowOutcome::Diverged => summary.diverged += 1,
            ShadowOutcome::Failed => summary.failed += 1,
        }
        let both = run.before.zip(run.after);
        if let Some((before, after)) = both {
            let sums = totals.entry(run.currency.clone()).or_default();
            *sums = (sums.0.saturating_add(before.0), sums.1.saturating_add(after.0));
        }
        if !matches!(run.outcome, ShadowOutcome::Diverged | ShadowOutcome::Failed) {
            continue;
        }
        let (tenant_id, currency) = (run.tenant_id.clone(), run.currency.clone());
        let empty =
            || ShadowTenant { tenant_id: tenant_id.clone(), currency: currency.clone(), diverged: 0, failed: 0, delta: Amount::ZERO };
        let tenant = tenants.entry((tenant_id.clone(), currency.clone())).or_insert_with(empty);
        tenant.diverged += u64::from(run.outcome == ShadowOutcome::Diverged);
        tenant.failed += u64::from(run.outcome == ShadowOutcome::Failed);
        if let Some((before, after)) = both {
            tenant.delta = Amount(tenant.delta.0.saturating_add(after.0.saturating_sub(before.0)));
        }
        let difference: Option<Difference> = run.difference.and_then(|json| serde_json::from_value(json).ok());
        if let Some(difference) = &difference {
            sum_rules(&mut summary.by_rule, &difference.by_rule);
        }
        let is_sample = difference.is_some() || run.failure.is_some();
        if is_sample && (summary.samples.len() as u64) < SAMPLES_MAX {
            summary.samples.push(ShadowSample {
                run_id: run.run_id,
                tenant_id: run.tenant_id,
                period: run.period,
                currency: run.currency,
                before: run.before,
                after: run.after,
                charges: run.charges,
                failure: run.failure,
                difference,
            });
        }
    }
    let total = |(currency, (before, after)): (String, (i128, i128))| ShadowTotal {
        currency,
        before: Amount(before),
        after: Amount(after),
        delta: Amount(after.saturating_sub(before)),
    };
    summary.totals = totals.into_iter().map(total).collect();
    summary.tenants = tenants.into_values().collect();
    summary.tenants.sort_by_key(|tenant| std::cmp::Reverse(tenant.delta.0.unsigned_abs()));
    summary.tenants.truncate(TENANTS_MAX);
    summary
}
