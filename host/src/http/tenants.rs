//! `/v1/tenants`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::auth::Caller;
use super::errors::{ApiResult, Problems};
use super::extract::{Body, By, IfMatch, PageQuery, Path, Query, page};
use super::reply;
use crate::domain::access::Role;
use crate::jobs::change::Change;
use crate::store::{Page, Tenant, TenantFields, TenantFilter, TenantIntegration, TenantKind, TenantRemoval, TenantState};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(tenant_list, tenant_create))
        .routes(routes!(tenant_get, tenant_update, tenant_delete))
        .routes(routes!(tenant_set_state))
        .routes(routes!(tenant_removal))
        .routes(routes!(tenant_integrations))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TenantQuery {
    /// A part of the name or of the contact, whatever its case.
    search: Option<String>,
    state: Option<TenantState>,
    kind: Option<TenantKind>,
    /// Only those that belong to this organisation.
    parent_id: Option<String>,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeleteQuery {
    /// The tenant's name again, as it is written: deleting is for good.
    name: String,
}

/// The state that a tenant is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"state": "suspended"}))]
struct StateBody {
    state: TenantState,
}

/// A tenant as the caller wants it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme GmbH", "contact_email": "cloud+acme@msp.example"}))]
struct TenantBody {
    /// Unique, whatever its case.
    #[schema(max_length = 200)]
    name: String,
    /// Unique, and on one of the MSP's domains if any is set; plus-aliases are different addresses.
    #[serde(default)]
    contact_email: Option<String>,
    /// Chosen when it is made: a customer if absent.
    #[serde(default)]
    kind: Option<TenantKind>,
    /// The organisation that it belongs to, which must be active. Chosen once; absent or null changes nothing.
    #[serde(default)]
    parent_id: Option<String>,
    /// How the provider names the customer; absent or null changes nothing.
    #[serde(default)]
    external_id: Option<String>,
}

impl From<TenantBody> for TenantFields {
    fn from(body: TenantBody) -> Self {
        Self {
            name: body.name,
            contact_email: body.contact_email,
            kind: body.kind,
            parent_id: body.parent_id,
            external_id: body.external_id,
            domain: None,
        }
    }
}

/// Lists tenants, oldest first.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", params(TenantQuery), responses((status = 200, body = Page<Tenant>), Problems))]
async fn tenant_list(By(store): By, Query(query): Query<TenantQuery>) -> ApiResult<Json<Page<Tenant>>> {
    let page = page(query.limit, query.after)?;
    let filter = TenantFilter { search: query.search, state: query.state, kind: query.kind, parent_id: query.parent_id };
    Ok(Json(store.tenants(&filter, &page).await?))
}

/// Creates a tenant.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", request_body = TenantBody,
    responses((status = 201, body = Tenant, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn tenant_create(State(state): State<AppState>, By(store): By, Body(body): Body<TenantBody>) -> ApiResult<Response> {
    let tenant = store.tenant_create(&body.into()).await?;
    state.poke(Change::Tenants);
    Ok(reply::created(&format!("/v1/tenants/{}", tenant.id), tenant.version, &tenant))
}

/// Shows a tenant.
#[utoipa::path(get, path = "/v1/tenants/{id}", tag = "tenants", params(("id" = String, Path)),
    responses((status = 200, body = Tenant, headers(("ETag" = String))), Problems))]
async fn tenant_get(By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let tenant = store.tenant(&id).await?;
    Ok(reply::versioned(tenant.version, &tenant))
}

/// Renames a tenant or changes its contact.
#[utoipa::path(put, path = "/v1/tenants/{id}", tag = "tenants", request_body = TenantBody,
    params(("id" = String, Path)),
    responses((status = 200, body = Tenant, headers(("ETag" = String))), Problems))]
async fn tenant_update(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<TenantBody>,
) -> ApiResult<Response> {
    let tenant = store.tenant_update(&id, &body.into(), expected).await?;
    state.poke(Change::Tenants);
    Ok(reply::versioned(tenant.version, &tenant))
}

/// Suspends a tenant, unlinks it, or makes it active again. For a tenant that is not active nothing new is published and its data stays;
/// one that is unlinked is not changed either, and only an Owner links it again.
#[utoipa::path(put, path = "/v1/tenants/{id}/state", tag = "tenants", request_body = StateBody,
    params(("id" = String, Path)),
    responses((status = 200, body = Tenant, headers(("ETag" = String))), Problems))]
async fn tenant_set_state(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<StateBody>,
) -> ApiResult<Response> {
    let tenant = store.tenant_set_state(&id, body.state, caller.role == Role::Owner, expected).await?;
    state.poke(Change::Tenants);
    Ok(reply::versioned(tenant.version, &tenant))
}

/// Tells what deleting a tenant removes. Nothing is changed.
#[utoipa::path(get, path = "/v1/tenants/{id}/removal", tag = "tenants", params(("id" = String, Path)),
    responses((status = 200, body = TenantRemoval), Problems))]
async fn tenant_removal(By(store): By, Path(id): Path<String>) -> ApiResult<Json<TenantRemoval>> {
    Ok(Json(store.tenant_removal(&id).await?))
}

/// Lists the integrations that bring something for a tenant: its own, and those that the MSP manages for it; oldest first.
#[utoipa::path(get, path = "/v1/tenants/{id}/integrations", tag = "tenants", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Page<TenantIntegration>), Problems))]
async fn tenant_integrations(
    By(store): By,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Page<TenantIntegration>>> {
    Ok(Json(store.integrations_of_tenant(&id, &page.request()?).await?))
}

/// Deletes a tenant for good, with what `removal` tells. Its subaccounts become unassigned.
#[utoipa::path(delete, path = "/v1/tenants/{id}", tag = "tenants",
    params(("id" = String, Path), DeleteQuery),
    responses((status = 204), Problems))]
async fn tenant_delete(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    Query(query): Query<DeleteQuery>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    let removed = store.tenant_delete(&id, &query.name, expected).await?;
    state.remove_files(removed.files, removed.integrations).await;
    state.poke(Change::Tenants);
    Ok(StatusCode::NO_CONTENT)
}
