//! `/v1/integrations`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, IfMatch, Path, Query, page};
use super::reply;
use crate::jobs::bucket::{Credentials, place_of};
use crate::jobs::change::Change;
use crate::store::{
    DEFAULT_REFRESH_MINUTES, Integration, IntegrationFields, IntegrationFilter, IntegrationKind, IntegrationStatus, Page, unchanged,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(integration_list, integration_create))
        .routes(routes!(integration_get, integration_update, integration_delete))
        .routes(routes!(integration_refresh))
        .routes(routes!(credentials_set, credentials_delete))
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
    /// The tenant that owns it; the MSP if absent. Chosen when it is made; all that it brings is the tenant's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// The tenant that gets the subaccounts that it brings from now on; absent or null shares it.
    #[serde(default)]
    dedicated_to: Option<String>,
    /// New subaccounts that nobody gets all the same: globs over id and name, separated by commas.
    #[serde(default)]
    #[schema(example = "sandbox-*, *-test")]
    exclude: String,
    /// Whether the customers that a partner's bill (CSP) names become tenants that hold their subscriptions, each time it is imported. Of a
    /// shared integration of the MSP. Absent or null changes nothing; a new integration does not.
    #[serde(default)]
    create_tenants: Option<bool>,
    /// Minutes between two looks that nobody asks for.
    #[serde(default = "default_refresh_minutes")]
    #[schema(minimum = 5, maximum = 10_080)]
    refresh_minutes: i64,
}

const fn default_refresh_minutes() -> i64 {
    DEFAULT_REFRESH_MINUTES
}

impl From<IntegrationBody> for IntegrationFields {
    fn from(body: IntegrationBody) -> Self {
        let IntegrationBody { name, kind, location, endpoint, region, tenant_id, dedicated_to, exclude, create_tenants, refresh_minutes } =
            body;
        Self { name, kind, location, endpoint, region, tenant_id, dedicated_to, exclude, create_tenants, refresh_minutes }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct IntegrationQuery {
    /// A part of the name or of the location, whatever its case.
    search: Option<String>,
    /// Only those that this tenant owns.
    tenant_id: Option<String>,
    status: Option<IntegrationStatus>,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// What opens a bucket. It is stored encrypted and never shown again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}))]
struct CredentialsBody {
    #[schema(min_length = 1, max_length = 4096)]
    access_key_id: String,
    #[schema(min_length = 1, max_length = 4096)]
    secret_access_key: String,
    /// Of credentials that end by themselves.
    #[serde(default)]
    session_token: Option<String>,
}

/// Bytes of one part of a set of credentials: session tokens are the longest, with about two thousand.
const MAX_SECRET: usize = 4_096;

/// Lists integrations, oldest first.
#[utoipa::path(get, path = "/v1/integrations", tag = "integrations", params(IntegrationQuery),
    responses((status = 200, body = Page<Integration>), Problems))]
async fn integration_list(By(store): By, Query(query): Query<IntegrationQuery>) -> ApiResult<Json<Page<Integration>>> {
    let page = page(query.limit, query.after)?;
    let filter = IntegrationFilter { search: query.search, tenant_id: query.tenant_id, status: query.status };
    Ok(Json(store.integrations(&filter, &page).await?))
}

/// Creates an integration; its bills are read at once.
#[utoipa::path(post, path = "/v1/integrations", tag = "integrations", request_body = IntegrationBody,
    responses((status = 201, body = Integration, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn integration_create(State(state): State<AppState>, By(store): By, Body(body): Body<IntegrationBody>) -> ApiResult<Response> {
    let integration = store.integration_create(&body.into()).await?;
    state.poke(Change::Refresh { integration_id: integration.id.clone() });
    Ok(reply::created(&format!("/v1/integrations/{}", integration.id), integration.version, &integration))
}

/// Shows an integration: how it is doing, when it was last refreshed, and why that failed.
#[utoipa::path(get, path = "/v1/integrations/{id}", tag = "integrations", params(("id" = String, Path)),
    responses((status = 200, body = Integration, headers(("ETag" = String))), Problems))]
async fn integration_get(By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let integration = store.integration(&id).await?;
    Ok(reply::versioned(integration.version, &integration))
}

/// Changes an integration; its bills are read again at once.
#[utoipa::path(put, path = "/v1/integrations/{id}", tag = "integrations", request_body = IntegrationBody,
    params(("id" = String, Path)),
    responses((status = 200, body = Integration, headers(("ETag" = String))), Problems))]
async fn integration_update(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<IntegrationBody>,
) -> ApiResult<Response> {
    let integration = store.integration_update(&id, &body.into(), expected).await?;
    state.poke(Change::Refresh { integration_id: integration.id.clone() });
    Ok(reply::versioned(integration.version, &integration))
}

/// Deletes an integration with its credentials, subaccounts and snapshots, for good.
#[utoipa::path(delete, path = "/v1/integrations/{id}", tag = "integrations",
    params(("id" = String, Path)),
    responses((status = 204), Problems))]
async fn integration_delete(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    let folders = store.integration_delete(&id, expected).await?;
    state.remove_files(folders, vec![id]).await;
    state.poke(Change::Integrations);
    Ok(StatusCode::NO_CONTENT)
}

/// Sets what opens the integration's bucket, in place of what there was; its bills are read at once. It is stored encrypted and never
/// shown again: the integration tells the end of the access key's id.
#[utoipa::path(put, path = "/v1/integrations/{id}/credentials", tag = "integrations", params(("id" = String, Path)),
    request_body = CredentialsBody, responses((status = 200, body = Integration, headers(("ETag" = String))), Problems))]
async fn credentials_set(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<CredentialsBody>,
) -> ApiResult<Response> {
    store.integration(&id).await?;
    let CredentialsBody { access_key_id, secret_access_key, session_token } = body;
    let given = [
        ("access_key_id", Some(&access_key_id)),
        ("secret_access_key", Some(&secret_access_key)),
        ("session_token", session_token.as_ref()),
    ];
    for (field, text) in given.into_iter().filter_map(|(field, text)| Some((field, text?))) {
        if text.is_empty() || text.len() > MAX_SECRET || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(ApiError::invalid_at(format!("/{field}"), format!("has 1 to {MAX_SECRET} bytes without spaces")));
        }
    }
    let ends = access_key_id.chars().count().saturating_sub(4);
    let hint: String = access_key_id.chars().skip(ends).collect();
    let plain = serde_json::to_string(&Credentials { access_key_id, secret_access_key, session_token }).map_err(ApiError::internal)?;
    let sealed = state.secrets()?.seal(&place_of(&id), &plain).map_err(ApiError::internal)?;
    let integration = store.credentials_set(&id, &sealed, &hint, expected).await?;
    state.poke(Change::Refresh { integration_id: id });
    Ok(reply::versioned(integration.version, &integration))
}

/// Removes what opens the integration's bucket.
#[utoipa::path(delete, path = "/v1/integrations/{id}/credentials", tag = "integrations", params(("id" = String, Path)),
    responses((status = 204), Problems))]
async fn credentials_delete(By(store): By, Path(id): Path<String>, IfMatch(expected): IfMatch) -> ApiResult<StatusCode> {
    store.credentials_delete(&id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks for new bills. The answer comes before they are read; `status` and the events tell how it goes.
#[utoipa::path(post, path = "/v1/integrations/{id}/refresh", tag = "integrations", params(("id" = String, Path)),
    responses((status = 202, body = Integration, headers(("ETag" = String))), Problems))]
async fn integration_refresh(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<Response> {
    let integration = store.integration(&id).await?;
    unchanged("integration", &id, integration.version, expected)?;
    state.poke(Change::Refresh { integration_id: id });
    Ok((StatusCode::ACCEPTED, reply::versioned(integration.version, &integration)).into_response())
}
