//! `/v1/reports`: what was billed against what is charged.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{By, Query};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::rated::RuleEffect;
use crate::store::{MAX_PAGE, PageRequest, PeriodSplit, Run, RunHead, RunState, Store, TenantFilter};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(report_margin))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct MarginQuery {
    /// All periods if absent.
    #[param(value_type = Option<String>, example = "2026-09")]
    period: Option<Period>,
    /// All tenants if absent.
    tenant_id: Option<String>,
}

/// Amounts are exact.
#[derive(Debug, Serialize, ToSchema)]
struct Margin {
    /// Ordered by period, currency and tenant's id.
    tenants: Vec<TenantMargin>,
    /// A row for each period and currency; absent when the report is of some tenants only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    months: Vec<MonthMargin>,
}

/// A tenant's month in one currency.
#[derive(Debug, Serialize, ToSchema)]
struct TenantMargin {
    tenant_id: String,
    tenant: String,
    period: Period,
    currency: String,
    /// The run that these numbers are of; none before the first is rated.
    run_id: Option<String>,
    /// Whether a newer result is on its way, or could not be made.
    state: Freshness,
    /// Why the newest run failed.
    failure: Option<String>,
    charges: u64,
    billed: Amount,
    charged: Option<Amount>,
    /// Charged minus billed.
    margin: Option<Amount>,
    by_rule: Vec<RuleEffect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Freshness {
    Current,
    Pending,
    Failed,
    /// The tenant is suspended or unlinked: its result stays as it was then.
    Frozen,
}

/// All of a period and currency: tenants + unassigned = source, to the last digit.
#[derive(Debug, Serialize, ToSchema)]
struct MonthMargin {
    period: Period,
    currency: String,
    source: Amount,
    source_charges: u64,
    /// What nobody holds.
    unassigned: Amount,
    unassigned_charges: u64,
    /// What the tenants' subaccounts were billed.
    billed: Amount,
    /// What the tenants are charged; none while one of them has no result. A frozen tenant that never had one is charged nothing.
    charged: Option<Amount>,
    margin: Option<Amount>,
    /// Whether every tenant's result is current, or stays as it is because the tenant is suspended or unlinked.
    settled: bool,
}

/// Shows what was billed against what is charged, by tenant, period and currency, and what each rule made of the difference.
#[utoipa::path(get, path = "/v1/reports/margin", tag = "reports", params(MarginQuery), responses((status = 200, body = Margin), Problems))]
async fn report_margin(By(store): By, Query(query): Query<MarginQuery>) -> ApiResult<Json<Margin>> {
    let store = &store;
    let tenant = query.tenant_id.as_deref();
    let names = names(store, tenant).await?;
    let published = store.published_runs(tenant, query.period).await?;
    let pending = store.runs_pending().await?;
    let splits = store.splits(query.period).await?;
    let frozen: BTreeSet<String> = store.tenants_frozen().await?.into_iter().collect();
    let mut tenants = rows(&names, &splits, published, &pending);
    for row in &mut tenants {
        if frozen.contains(&row.tenant_id) {
            row.state = Freshness::Frozen;
        }
        if row.state == Freshness::Current
            && let Some(run) = store.run_latest(&row.tenant_id, row.period, &row.currency).await?
            && run.state == RunState::Failed
        {
            row.state = Freshness::Failed;
            row.failure = run.failure;
        }
    }
    let months = if tenant.is_none() && store.view().is_everything() { months(splits, &tenants)? } else { Vec::new() };
    Ok(Json(Margin { tenants, months }))
}

async fn names(store: &Store, tenant: Option<&str>) -> ApiResult<BTreeMap<String, String>> {
    if let Some(id) = tenant {
        let tenant = store.tenant(id).await?;
        return Ok(BTreeMap::from([(tenant.id, tenant.name)]));
    }
    let mut names = BTreeMap::new();
    let mut page = PageRequest::largest();
    loop {
        let found = store.tenants(&TenantFilter::default(), &page).await?;
        names.extend(found.items.into_iter().map(|tenant| (tenant.id, tenant.name)));
        match found.next {
            Some(next) => page = PageRequest::new(Some(MAX_PAGE), Some(next)),
            None => return Ok(names),
        }
    }
}

/// A row for whoever has a result or should have one.
fn rows(names: &BTreeMap<String, String>, splits: &[PeriodSplit], published: Vec<Run>, pending: &[RunHead]) -> Vec<TenantMargin> {
    let pending: BTreeSet<_> = pending.iter().map(|run| (run.period, run.currency.as_str(), run.tenant_id.as_str())).collect();
    let freshness = |period, currency: &str, tenant: &str| {
        if pending.contains(&(period, currency, tenant)) { Freshness::Pending } else { Freshness::Current }
    };
    let name = |id: &str| names.get(id).cloned();
    let mut rows = BTreeMap::new();
    for split in splits {
        for share in &split.tenants {
            let Some(tenant) = name(&share.tenant_id) else { continue };
            let row = TenantMargin {
                tenant_id: share.tenant_id.clone(),
                tenant,
                period: split.period,
                currency: split.currency.clone(),
                run_id: None,
                state: freshness(split.period, &split.currency, &share.tenant_id),
                failure: None,
                charges: share.charges,
                billed: share.billed,
                charged: None,
                margin: None,
                by_rule: Vec::new(),
            };
            rows.insert((split.period, split.currency.clone(), share.tenant_id.clone()), row);
        }
    }
    for run in published {
        let Some(tenant) = name(&run.tenant_id) else { continue };
        let billed = run.billed.unwrap_or_default();
        let row = TenantMargin {
            tenant,
            state: freshness(run.period, &run.currency, &run.tenant_id),
            tenant_id: run.tenant_id,
            period: run.period,
            currency: run.currency,
            run_id: Some(run.id),
            failure: None,
            charges: run.charges,
            billed,
            charged: run.charged,
            margin: run.charged.and_then(|charged| charged.checked_sub(billed)),
            by_rule: run.by_rule,
        };
        rows.insert((row.period, row.currency.clone(), row.tenant_id.clone()), row);
    }
    rows.into_values().collect()
}

fn months(splits: Vec<PeriodSplit>, tenants: &[TenantMargin]) -> ApiResult<Vec<MonthMargin>> {
    let out_of_range = || ApiError::internal("the tenants' amounts pass 38 digits");
    let mut months = Vec::new();
    for split in splits {
        let mut billed = Amount::ZERO;
        for share in &split.tenants {
            billed = billed.checked_add(share.billed).ok_or_else(out_of_range)?;
        }
        let of_month = || tenants.iter().filter(|row| row.period == split.period && row.currency == split.currency);
        let charged_of = |row: &TenantMargin| row.charged.or((row.state == Freshness::Frozen).then_some(Amount::ZERO));
        let charged = of_month().try_fold(Amount::ZERO, |sum, row| sum.checked_add(charged_of(row)?));
        months.push(MonthMargin {
            settled: of_month().all(|row| match row.state {
                Freshness::Current => row.run_id.is_some(),
                Freshness::Frozen => true,
                Freshness::Pending | Freshness::Failed => false,
            }),
            margin: charged.and_then(|charged| charged.checked_sub(billed)),
            charged,
            billed,
            period: split.period,
            currency: split.currency,
            source: split.source,
            source_charges: split.source_charges,
            unassigned: split.unassigned,
            unassigned_charges: split.unassigned_charges,
        });
    }
    Ok(months)
}
