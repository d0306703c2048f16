//! `/v1/tenants`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{Body, IfMatch, PageQuery, Path, Query};
use super::reply;
use crate::jobs::change::Change;
use crate::store::{Page, Tenant, TenantFields};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(tenant_list, tenant_create)).routes(routes!(tenant_get, tenant_update, tenant_delete))
}

/// A tenant as the caller wants it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme GmbH", "contact_email": "cloud+acme@msp.example"}))]
struct TenantBody {
    /// Unique, whatever its case.
    #[schema(max_length = 200)]
    name: String,
    /// Unique; plus-aliases are different addresses.
    #[serde(default)]
    contact_email: Option<String>,
}

impl From<TenantBody> for TenantFields {
    fn from(body: TenantBody) -> Self {
        Self { name: body.name, contact_email: body.contact_email }
    }
}

/// Lists tenants, oldest first.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", params(PageQuery), responses((status = 200, body = Page<Tenant>), Problems))]
async fn tenant_list(State(state): State<AppState>, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Tenant>>> {
    Ok(Json(state.store.tenants(&page.request()?).await?))
}

/// Creates a tenant.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", request_body = TenantBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "Sent again, the call gets the first answer again")),
    responses((status = 201, body = Tenant, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn tenant_create(State(state): State<AppState>, Body(body): Body<TenantBody>) -> ApiResult<Response> {
    let tenant = state.store.tenant_create(&body.into()).await?;
    state.poke(Change::Tenants);
    Ok(reply::created(&format!("/v1/tenants/{}", tenant.id), tenant.version, &tenant))
}

/// Shows a tenant.
#[utoipa::path(get, path = "/v1/tenants/{id}", tag = "tenants", params(("id" = String, Path)),
    responses((status = 200, body = Tenant, headers(("ETag" = String))), Problems))]
async fn tenant_get(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Response> {
    let tenant = state.store.tenant(&id).await?;
    Ok(reply::versioned(tenant.version, &tenant))
}

/// Renames a tenant or changes its contact.
#[utoipa::path(put, path = "/v1/tenants/{id}", tag = "tenants", request_body = TenantBody,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag that the change is meant for")),
    responses((status = 200, body = Tenant, headers(("ETag" = String))), Problems))]
async fn tenant_update(
    State(state): State<AppState>,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<TenantBody>,
) -> ApiResult<Response> {
    let tenant = state.store.tenant_update(&id, &body.into(), expected).await?;
    state.poke(Change::Tenants);
    Ok(reply::versioned(tenant.version, &tenant))
}

/// Deletes a tenant with its assignments and runs. Its subaccounts become unassigned.
#[utoipa::path(delete, path = "/v1/tenants/{id}", tag = "tenants",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag that the change is meant for")),
    responses((status = 204), Problems))]
async fn tenant_delete(State(state): State<AppState>, Path(id): Path<String>, IfMatch(expected): IfMatch) -> ApiResult<StatusCode> {
    state.store.tenant_delete(&id, expected).await?;
    state.poke(Change::Tenants);
    Ok(StatusCode::NO_CONTENT)
}
