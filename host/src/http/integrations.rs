//! `/v1/integrations`

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
use crate::store::{Integration, IntegrationFields, IntegrationKind, Page};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(integration_list, integration_create))
        .routes(routes!(integration_get, integration_update, integration_delete))
        .routes(routes!(integration_refresh))
}

/// An integration as the caller wants it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "AWS organisation one", "kind": "folder", "location": "/srv/bills/aws-one"}))]
struct IntegrationBody {
    /// Unique, whatever its case.
    #[schema(max_length = 200)]
    name: String,
    kind: IntegrationKind,
    /// A folder's absolute path on the daemon's machine, or `s3://bucket/prefix`. Read by one integration only.
    location: String,
    /// Address of an S3-compatible service other than AWS.
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    region: Option<String>,
}

impl From<IntegrationBody> for IntegrationFields {
    fn from(body: IntegrationBody) -> Self {
        Self { name: body.name, kind: body.kind, location: body.location, endpoint: body.endpoint, region: body.region }
    }
}

/// Lists integrations, oldest first.
#[utoipa::path(get, path = "/v1/integrations", tag = "integrations", params(PageQuery),
    responses((status = 200, body = Page<Integration>), Problems))]
async fn integration_list(State(state): State<AppState>, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Integration>>> {
    Ok(Json(state.store.integrations(&page.request()?).await?))
}

/// Creates an integration; its bills are read at once.
#[utoipa::path(post, path = "/v1/integrations", tag = "integrations", request_body = IntegrationBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "Sent again, the call gets the first answer again")),
    responses((status = 201, body = Integration, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn integration_create(State(state): State<AppState>, Body(body): Body<IntegrationBody>) -> ApiResult<Response> {
    let integration = state.store.integration_create(&body.into()).await?;
    state.poke(Change::Refresh { integration_id: integration.id.clone() });
    Ok(reply::created(&format!("/v1/integrations/{}", integration.id), integration.version, &integration))
}

/// Shows an integration: how it is doing, when it was last refreshed, and why that failed.
#[utoipa::path(get, path = "/v1/integrations/{id}", tag = "integrations", params(("id" = String, Path)),
    responses((status = 200, body = Integration, headers(("ETag" = String))), Problems))]
async fn integration_get(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Response> {
    let integration = state.store.integration(&id).await?;
    Ok(reply::versioned(integration.version, &integration))
}

/// Changes an integration; its bills are read again at once.
#[utoipa::path(put, path = "/v1/integrations/{id}", tag = "integrations", request_body = IntegrationBody,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag that the change is meant for")),
    responses((status = 200, body = Integration, headers(("ETag" = String))), Problems))]
async fn integration_update(
    State(state): State<AppState>,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<IntegrationBody>,
) -> ApiResult<Response> {
    let integration = state.store.integration_update(&id, &body.into(), expected).await?;
    state.poke(Change::Refresh { integration_id: integration.id.clone() });
    Ok(reply::versioned(integration.version, &integration))
}

/// Deletes an integration with its subaccounts and snapshots.
#[utoipa::path(delete, path = "/v1/integrations/{id}", tag = "integrations",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag that the change is meant for")),
    responses((status = 204), Problems))]
async fn integration_delete(State(state): State<AppState>, Path(id): Path<String>, IfMatch(expected): IfMatch) -> ApiResult<StatusCode> {
    state.store.integration_delete(&id, expected).await?;
    state.poke(Change::Integrations);
    Ok(StatusCode::NO_CONTENT)
}

/// Looks for new bills. The answer comes before they are read; `status` and the events tell how it goes.
#[utoipa::path(post, path = "/v1/integrations/{id}/refresh", tag = "integrations", params(("id" = String, Path)),
    responses((status = 202, body = Integration), Problems))]
async fn integration_refresh(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<(StatusCode, Json<Integration>)> {
    let integration = state.store.integration(&id).await?;
    state.poke(Change::Refresh { integration_id: id });
    Ok((StatusCode::ACCEPTED, Json(integration)))
}
