//! `/v1/tenants/{id}/cost-centers` and `/v1/cost-centers`: named groups of a tenant's subaccounts.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{Body, By, IfMatch, PageQuery, Path, Query};
use super::reply;
use crate::store::{CostCenter, CostCenterFields, Page};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(cost_center_list, cost_center_create)).routes(routes!(
        cost_center_get,
        cost_center_update,
        cost_center_delete
    ))
}

/// A cost center as the caller wants it, as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Research", "subaccounts": []}))]
struct CostCenterBody {
    /// Unique in the tenant, whatever its case.
    #[schema(max_length = 200)]
    name: String,
    /// Ids of subaccounts that the tenant holds.
    subaccounts: Vec<String>,
}

impl From<CostCenterBody> for CostCenterFields {
    fn from(body: CostCenterBody) -> Self {
        Self { name: body.name, subaccounts: body.subaccounts }
    }
}

/// Lists a tenant's cost centers by name.
#[utoipa::path(get, path = "/v1/tenants/{id}/cost-centers", tag = "people", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Page<CostCenter>), Problems))]
async fn cost_center_list(By(store): By, Path(id): Path<String>, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<CostCenter>>> {
    Ok(Json(store.cost_centers(&id, &page.request()?).await?))
}

/// Creates a cost center. Memberships can be limited to it: their people see the charges of its subaccounts only.
#[utoipa::path(post, path = "/v1/tenants/{id}/cost-centers", tag = "people", params(("id" = String, Path)), request_body = CostCenterBody,
    responses((status = 201, body = CostCenter, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn cost_center_create(By(store): By, Path(id): Path<String>, Body(body): Body<CostCenterBody>) -> ApiResult<Response> {
    let center = store.cost_center_create(&id, &body.into()).await?;
    Ok(reply::created(&format!("/v1/cost-centers/{}", center.id), center.version, &center))
}

/// Shows a cost center.
#[utoipa::path(get, path = "/v1/cost-centers/{id}", tag = "people", params(("id" = String, Path)),
    responses((status = 200, body = CostCenter, headers(("ETag" = String))), Problems))]
async fn cost_center_get(By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let center = store.cost_center(&id).await?;
    Ok(reply::versioned(center.version, &center))
}

/// Changes a cost center as a whole. What its people see follows at once.
#[utoipa::path(put, path = "/v1/cost-centers/{id}", tag = "people", request_body = CostCenterBody,
    params(("id" = String, Path)),
    responses((status = 200, body = CostCenter, headers(("ETag" = String))), Problems))]
async fn cost_center_update(
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<CostCenterBody>,
) -> ApiResult<Response> {
    let center = store.cost_center_update(&id, &body.into(), expected).await?;
    Ok(reply::versioned(center.version, &center))
}

/// Deletes a cost center to which nobody is limited.
#[utoipa::path(delete, path = "/v1/cost-centers/{id}", tag = "people",
    params(("id" = String, Path)),
    responses((status = 204), Problems))]
async fn cost_center_delete(By(store): By, Path(id): Path<String>, IfMatch(expected): IfMatch) -> ApiResult<StatusCode> {
    store.cost_center_delete(&id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
