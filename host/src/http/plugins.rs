//! `/v1/plugins`: components in, versions out.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, PageQuery, Query};
use crate::plugins::{DeployError, MAX_COMPONENT_BYTES, Refused};
use crate::store::{Origin, Page, Plugin, PluginVersion};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(plugin_list, plugin_deploy))
        .routes(routes!(plugin_refusals))
        .routes(routes!(plugin_get))
        .routes(routes!(plugin_versions))
        .routes(routes!(plugin_schema))
        .routes(routes!(plugin_activate))
        .routes(routes!(plugin_disable))
        .routes(routes!(plugin_enable))
        .routes(routes!(plugin_version_delete))
        // One more than a component may have, so that a larger one gets the deployment's own answer.
        .layer(DefaultBodyLimit::max(MAX_COMPONENT_BYTES + 1))
}

/// A plugin and the version that its rules run on.
#[derive(Debug, Serialize, ToSchema)]
struct PluginView {
    #[serde(flatten)]
    plugin: Plugin,
    active: PluginVersion,
}

/// Which version to make active.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"digest": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}))]
struct ActivateBody {
    /// SHA-256 of a version of this plugin.
    digest: String,
}

impl From<DeployError> for ApiError {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::TooLarge => Self::too_large(error.to_string()),
            DeployError::Refused(_) | DeployError::SelfTest(_) => Self::invalid(error.to_string()),
            DeployError::Rules(_) => Self::conflict(error.to_string()),
            DeployError::Store(error) => error.into(),
            DeployError::File { .. } | DeployError::Damaged(_) => Self::internal(error),
        }
    }
}

/// Lists plugins by name.
#[utoipa::path(get, path = "/v1/plugins", tag = "plugins", params(PageQuery), responses((status = 200, body = Page<Plugin>), Problems))]
async fn plugin_list(State(state): State<AppState>, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Plugin>>> {
    Ok(Json(state.store.plugins(&page.request()?).await?))
}

/// Deploys a component under the name that it calls itself: checked, compiled, asked about every rule that would run on it, activated.
/// Runs under way finish on the version before; a refusal leaves it active and says why.
#[utoipa::path(post, path = "/v1/plugins", tag = "plugins",
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "A component of at most 32 MiB"),
    responses((status = 201, body = PluginVersion, description = "It is the active version now"),
        (status = 200, body = PluginVersion, description = "It was the active version already"), Problems))]
async fn plugin_deploy(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<(StatusCode, Json<PluginVersion>)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !matches!(kind, "application/wasm" | "application/octet-stream") {
        return Err(ApiError::unsupported("send the component as Content-Type: application/wasm"));
    }
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => DeployError::TooLarge.into(),
        _ => ApiError::unreadable(error.body_text()),
    })?;
    let deployed = state.plugins.deploy(body.to_vec(), Origin::Upload, "upload").await?;
    let status = if deployed.unchanged { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(deployed.version)))
}

/// Lists the components that were refused since the daemon started, uploaded or dropped into the folder, newest first; a hundred at most.
#[utoipa::path(get, path = "/v1/plugins/refusals", tag = "plugins", responses((status = 200, body = Vec<Refused>), Problems))]
async fn plugin_refusals(State(state): State<AppState>) -> Json<Vec<Refused>> {
    Json(state.plugins.refusals())
}

/// Shows a plugin and its active version.
#[utoipa::path(get, path = "/v1/plugins/{name}", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = PluginView), Problems))]
async fn plugin_get(State(state): State<AppState>, Path(name): Path<String>) -> ApiResult<Json<PluginView>> {
    let plugin = state.store.plugin(&name).await?;
    let active = state.store.plugin_version(&plugin.active_digest).await?;
    Ok(Json(PluginView { plugin, active }))
}

/// Lists the versions of a plugin, oldest first.
#[utoipa::path(get, path = "/v1/plugins/{name}/versions", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = Vec<PluginVersion>), Problems))]
async fn plugin_versions(State(state): State<AppState>, Path(name): Path<String>) -> ApiResult<Json<Vec<PluginVersion>>> {
    state.store.plugin(&name).await?;
    Ok(Json(state.store.plugin_versions(&name).await?))
}

/// Shows the JSON Schema of the active version's configuration.
#[utoipa::path(get, path = "/v1/plugins/{name}/schema", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = Object), Problems))]
async fn plugin_schema(State(state): State<AppState>, Path(name): Path<String>) -> ApiResult<Json<Value>> {
    let plugin = state.store.plugin(&name).await?;
    let active = state.store.plugin_version(&plugin.active_digest).await?;
    Ok(Json(serde_json::from_str(&active.manifest.config_schema).map_err(ApiError::internal)?))
}

/// Makes an older version the active one again: rolling back.
#[utoipa::path(post, path = "/v1/plugins/{name}/activate", tag = "plugins", request_body = ActivateBody, params(("name" = String, Path)),
    responses((status = 200, body = Plugin), Problems))]
async fn plugin_activate(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Body(body): Body<ActivateBody>,
) -> ApiResult<Json<Plugin>> {
    Ok(Json(state.plugins.activate(&name, &body.digest).await?))
}

/// Disables a plugin: runs with a rule on it fail, and what is published stays.
#[utoipa::path(post, path = "/v1/plugins/{name}/disable", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = Plugin), Problems))]
async fn plugin_disable(State(state): State<AppState>, Path(name): Path<String>) -> ApiResult<Json<Plugin>> {
    Ok(Json(state.plugins.set_disabled(&name, true).await?))
}

/// Enables a disabled plugin again.
#[utoipa::path(post, path = "/v1/plugins/{name}/enable", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = Plugin), Problems))]
async fn plugin_enable(State(state): State<AppState>, Path(name): Path<String>) -> ApiResult<Json<Plugin>> {
    Ok(Json(state.plugins.set_disabled(&name, false).await?))
}

/// Deletes a version that is neither active nor pinned by a rule.
#[utoipa::path(delete, path = "/v1/plugins/{name}/versions/{digest}", tag = "plugins",
    params(("name" = String, Path), ("digest" = String, Path)), responses((status = 204), Problems))]
async fn plugin_version_delete(State(state): State<AppState>, Path((name, digest)): Path<(String, String)>) -> ApiResult<StatusCode> {
    state.plugins.delete_version(&name, &digest).await?;
    Ok(StatusCode::NO_CONTENT)
}
