//! `/v1/reports/overlaps`: rules that change the same charges.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{By, Query};
use crate::domain::period::Period;
use crate::jobs::overlaps::{Overlap, overlaps};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(report_overlaps))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OverlapQuery {
    #[param(value_type = String, example = "2026-09")]
    period: Period,
    /// All tenants if absent.
    tenant_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Overlaps {
    /// Tenants' months in which two rules changed the same charges; ordered by currency and tenant's id.
    items: Vec<TenantOverlaps>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TenantOverlaps {
    tenant_id: String,
    period: Period,
    currency: String,
    run_id: String,
    /// Most charges first.
    overlaps: Vec<Overlap>,
}

/// Shows which rules changed the same charges in a published month, how many and how much is charged for them. A rule that a tenant is
/// assigned twice overlaps itself.
#[utoipa::path(get, path = "/v1/reports/overlaps", tag = "reports", params(OverlapQuery),
    responses((status = 200, body = Overlaps), Problems))]
async fn report_overlaps(State(state): State<AppState>, By(store): By, Query(query): Query<OverlapQuery>) -> ApiResult<Json<Overlaps>> {
    if let Some(tenant) = &query.tenant_id {
        store.tenant(tenant).await?;
    }
    let runs = store.published_runs(query.tenant_id.as_deref(), Some(query.period)).await?;
    let lake = state.data()?.charges().clone();
    let found = tokio::task::spawn_blocking(move || {
        let mut items = Vec::new();
        for run in runs {
            let overlaps = overlaps(&lake, &run)?;
            if !overlaps.is_empty() {
                let (tenant_id, period, currency, run_id) = (run.tenant_id, run.period, run.currency, run.id);
                items.push(TenantOverlaps { tenant_id, period, currency, run_id, overlaps });
            }
        }
        Ok::<_, crate::jobs::overlaps::OverlapError>(items)
    });
    let items = found.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
    Ok(Json(Overlaps { items }))
}
