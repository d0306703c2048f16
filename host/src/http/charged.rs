//! `/v1/reports/charged`: what tenants are charged, as they may see it themselves.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{By, Query};
use super::lines::{Files, TenantAdded, blocking, tenant_added_of};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::lake;
use crate::store::{Run, TenantView};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(report_charged))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ChargedQuery {
    /// All periods if absent.
    #[param(value_type = Option<String>, example = "2026-09")]
    period: Option<Period>,
    /// All tenants that the caller sees if absent.
    tenant_id: Option<String>,
}

/// Amounts are exact.
#[derive(Debug, Serialize, ToSchema)]
struct Charged {
    /// Ordered by period, currency and tenant's id.
    items: Vec<ChargedMonth>,
}

/// What a tenant is charged for a month in one currency.
#[derive(Debug, Serialize, ToSchema)]
struct ChargedMonth {
    tenant_id: String,
    period: Period,
    currency: String,
    run_id: String,
    /// All of it; for who is limited to cost centers, what their subaccounts are charged.
    charged: Amount,
    /// Of that, the charges and credits that are not of a single use.
    added: Vec<TenantAdded>,
}

/// Shows what tenants are charged, by period and currency: the published results, without what was billed, excluded or adjusted. For who is
/// limited to cost centers it is computed from the charges of their subaccounts, to the last digit.
#[utoipa::path(get, path = "/v1/reports/charged", tag = "reports", params(ChargedQuery),
    responses((status = 200, body = Charged), Problems))]
async fn report_charged(State(state): State<AppState>, By(store): By, Query(query): Query<ChargedQuery>) -> ApiResult<Json<Charged>> {
    if let Some(id) = &query.tenant_id {
        store.tenant(id).await?;
    }
    let runs = store.published_runs(query.tenant_id.as_deref(), query.period).await?;
    let mut sides: BTreeMap<String, TenantView> = BTreeMap::new();
    let mut items = Vec::with_capacity(runs.len());
    for run in runs {
        let side = match store.view().tenant() {
            Some(own) => own,
            None => sides.entry(run.tenant_id.clone()).or_insert_with(|| TenantView::whole(&run.tenant_id)),
        };
        items.push(month(&state, run, side).await?);
    }
    Ok(Json(Charged { items }))
}

async fn month(state: &AppState, run: Run, side: &TenantView) -> ApiResult<ChargedMonth> {
    let charged = match &side.accounts {
        None => run.charged.unwrap_or_default(),
        Some(accounts) => {
            let files = Files::of(state, &run).await?;
            let accounts = std::sync::Arc::clone(accounts);
            let rated = blocking(move || {
                let (snapshots, overlay) = files.open()?;
                lake::charged_for(&[(&snapshots, &overlay)], &accounts)
            });
            rated.await?
        }
    };
    let added = tenant_added_of(run.lines, side);
    let charged = match &side.accounts {
        None => Some(charged),
        Some(_) => added.iter().try_fold(charged, |sum, line| sum.checked_add(line.charged())),
    };
    let charged = charged.ok_or_else(|| ApiError::internal("the charges pass 38 digits"))?;
    Ok(ChargedMonth { tenant_id: run.tenant_id, period: run.period, currency: run.currency, run_id: run.id, charged, added })
}
