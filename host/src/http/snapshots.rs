//! `/v1/snapshots`

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{By, Path, Query, page};
use crate::domain::period::Period;
use crate::store::{Page, Snapshot};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(snapshot_list)).routes(routes!(snapshot_get))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct SnapshotQuery {
    integration_id: Option<String>,
    period: Option<Period>,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Lists what was imported, oldest first: totals, and in `report` what the bills had that is worth knowing. Who is in teams sees the
/// snapshots in which no other tenant has anything.
#[utoipa::path(get, path = "/v1/snapshots", tag = "integrations", params(SnapshotQuery),
    responses((status = 200, body = Page<Snapshot>), Problems))]
async fn snapshot_list(By(store): By, Query(query): Query<SnapshotQuery>) -> ApiResult<Json<Page<Snapshot>>> {
    let page = page(query.limit, query.after)?;
    Ok(Json(store.snapshots(query.integration_id.as_deref(), query.period, &page).await?))
}

/// Shows a snapshot.
#[utoipa::path(get, path = "/v1/snapshots/{id}", tag = "integrations", params(("id" = String, Path)),
    responses((status = 200, body = Snapshot), Problems))]
async fn snapshot_get(By(store): By, Path(id): Path<String>) -> ApiResult<Json<Snapshot>> {
    Ok(Json(store.snapshot(&id).await?))
}
