//! `/v1/tenants/{id}/quota`

use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{Body, By, IfMatch, Path};
use super::reply;
use crate::store::{QuotaFields, TenantQuota};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(quota_get, quota_put))
}

/// What one tenant's rules may use; what is absent is the default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"fuel": 50_000_000_000_i64, "time_ms": 60_000, "memory_mib": 32, "concurrent_runs": 2}))]
struct QuotaBody {
    /// Instructions that all rules of one run may use together.
    #[serde(default)]
    fuel: Option<i64>,
    /// Processor time inside the rules of one run, added up over threads, in milliseconds.
    #[serde(default)]
    time_ms: Option<i64>,
    /// Memory of one instance of a rule.
    #[serde(default)]
    memory_mib: Option<i64>,
    /// Runs that may be rated at the same time; others wait.
    #[serde(default)]
    concurrent_runs: Option<i64>,
}

/// Shows what a tenant's rules may use: what was set, else the defaults.
#[utoipa::path(get, path = "/v1/tenants/{id}/quota", tag = "tenants", params(("id" = String, Path)),
    responses((status = 200, body = TenantQuota, headers(("ETag" = String))), Problems))]
async fn quota_get(By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let quota = store.quota(&id).await?;
    Ok(reply::versioned(quota.version, &quota))
}

/// Sets what a tenant's rules may use, from the next run on. A run that failed on its quota is tried again when asked to.
#[utoipa::path(put, path = "/v1/tenants/{id}/quota", tag = "tenants", request_body = QuotaBody,
    params(("id" = String, Path)),
    responses((status = 200, body = TenantQuota, headers(("ETag" = String))), Problems))]
async fn quota_put(By(store): By, Path(id): Path<String>, IfMatch(expected): IfMatch, Body(body): Body<QuotaBody>) -> ApiResult<Response> {
    let QuotaBody { fuel, time_ms, memory_mib, concurrent_runs } = body;
    let quota = store.quota_put(&id, &QuotaFields { fuel, time_ms, memory_mib, concurrent_runs }, expected).await?;
    Ok(reply::versioned(quota.version, &quota))
}
