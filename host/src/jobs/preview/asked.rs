//! What a preview is of: the published months that were asked for, and which of them there are none of, and why.

use std::collections::{BTreeMap, BTreeSet};

use super::{Candidate, MONTHS_MAX, PreviewRequest, SkippedMonth};
use crate::jobs::plan::Key;
use crate::jobs::replay::{Recording, ReplayError};
use crate::store::{MAX_PAGE, PageRequest, PublishedRun, RunHead, Store, StoreError, Tenant, TenantFilter, TenantQuota};

/// Months and tenants that are named as skipped.
const SKIPPED_MAX: usize = 100;

/// Of them in an error: a line of text.
const NAMED_MAX: usize = 3;

/// What the store says, read before the work begins.
pub(in crate::jobs) struct Asked {
    pub(super) request: PreviewRequest,
    pub(super) candidate: Candidate,
    pub(super) recordings: Vec<Recording>,
    pub(super) published: Vec<PublishedRun>,
    /// Of tenants, by id.
    pub(super) names: BTreeMap<String, String>,
    pub(super) skipped: Vec<SkippedMonth>,
    quotas: BTreeMap<String, TenantQuota>,
}

impl Asked {
    pub(in crate::jobs) async fn read(request: PreviewRequest, store: &Store) -> Result<Self, ReplayError> {
        let candidate = Candidate::of(&request, store).await?;
        let tenants = tenants(store).await?;
        let names: BTreeMap<String, String> = tenants.into_iter().map(|tenant| (tenant.id, tenant.name)).collect();
        let published = store.runs_standing(None).await?;
        let mut runs = Vec::new();
        let mut skipped = Vec::new();
        if request.runs.is_empty() {
            runs.extend(published.iter().map(|run| &run.head).filter(|run| is_asked(&request, run)).cloned());
            skipped = unpublished(&request, store, &names, &published).await?;
        } else {
            for id in &request.runs {
                runs.push(store.run(id).await?.head());
            }
            runs.sort_by(|a, b| (a.period, &a.currency, &a.tenant_id).cmp(&(b.period, &b.currency, &b.tenant_id)));
        }
        if runs.len() > MONTHS_MAX {
            return Err(ReplayError::Invalid(format!("{} months are asked for; a preview is of {MONTHS_MAX} at most", runs.len())));
        }
        if runs.is_empty() {
            let named: Vec<String> = skipped.iter().take(NAMED_MAX).map(|month| format!("{}: {}", month.tenant, month.reason)).collect();
            let named = if named.is_empty() { String::new() } else { format!(" ({})", named.join("; ")) };
            return Err(ReplayError::Invalid(format!("nothing is published of these tenants and periods{named}")));
        }
        let mut recordings = Vec::new();
        for run in runs {
            match Recording::read(store, &run.id).await {
                Ok(recording) => recordings.push(recording),
                Err(ReplayError::Store(error)) => return Err(error.into()),
                Err(error) => skipped.push(SkippedMonth {
                    tenant: names.get(&run.tenant_id).cloned().unwrap_or_default(),
                    tenant_id: run.tenant_id,
                    period: Some(run.period),
                    reason: error.to_string(),
                }),
            }
        }
        skipped.truncate(SKIPPED_MAX);
        Ok(Self { request, candidate, recordings, published, names, skipped, quotas: store.quotas().await? })
    }

    pub(super) fn quota(&self, tenant_id: &str) -> TenantQuota {
        self.quotas.get(tenant_id).cloned().unwrap_or_else(|| TenantQuota::default_of(tenant_id))
    }
}

fn is_asked(request: &PreviewRequest, run: &RunHead) -> bool {
    (request.periods.is_empty() || request.periods.contains(&run.period))
        && (request.tenants.is_empty() || request.tenants.contains(&run.tenant_id))
}

/// Months of which a run failed or is not done yet, and tenants without any: there is nothing to compare the change with.
async fn unpublished(
    request: &PreviewRequest,
    store: &Store,
    names: &BTreeMap<String, String>,
    published: &[PublishedRun],
) -> Result<Vec<SkippedMonth>, ReplayError> {
    let published = || published.iter().map(|run| &run.head);
    let known: BTreeSet<Key> = published().map(Key::of).collect();
    let failed = store.runs_failed().await?.into_iter().map(|run| {
        let reason = format!("nothing is published yet: its run failed: {}", run.failure.as_deref().unwrap_or_default());
        (run.head(), reason)
    });
    let pending = store.runs_pending().await?.into_iter().map(|run| (run, "nothing is published yet: it is being rated".to_owned()));
    let mut others: Vec<(RunHead, String)> = failed.chain(pending).collect();
    others.retain(|(run, _)| is_asked(request, run) && !known.contains(&Key::of(run)));
    others.sort_by_key(|(run, _)| Key::of(run));
    let mut seen: BTreeSet<&str> = published().filter(|run| is_asked(request, run)).map(|run| run.tenant_id.as_str()).collect();
    seen.extend(others.iter().map(|(run, _)| run.tenant_id.as_str()));
    let name = |id: &str| names.get(id).cloned().unwrap_or_default();
    let without = names.keys().filter(|id| !seen.contains(id.as_str()) && (request.tenants.is_empty() || request.tenants.contains(id)));
    let of_tenants = without.map(|id| {
        let periods: Vec<String> = request.periods.iter().map(ToString::to_string).collect();
        let reason = if periods.is_empty() { "it has no bill".to_owned() } else { format!("it has no bill in {}", periods.join(", ")) };
        SkippedMonth { tenant_id: id.clone(), tenant: name(id), period: None, reason }
    });
    let of_runs = others.iter().map(|(run, reason)| SkippedMonth {
        tenant_id: run.tenant_id.clone(),
        tenant: name(&run.tenant_id),
        period: Some(run.period),
        reason: reason.clone(),
    });
    Ok(of_runs.chain(of_tenants).collect())
}

async fn tenants(store: &Store) -> Result<Vec<Tenant>, StoreError> {
    let mut tenants = Vec::new();
    let mut page = PageRequest::largest();
    loop {
        let found = store.tenants(&TenantFilter::default(), &page).await?;
        tenants.extend(found.items);
        match found.next {
            Some(next) => page = PageRequest::new(Some(MAX_PAGE), Some(next)),
            None => return Ok(tenants),
        }
    }
}
