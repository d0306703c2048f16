//! `/v1/plugins`: components in, versions out.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, Everywhere, IfMatch, PageQuery, Path, Query};
use super::reply;
use crate::plugins::{DeployError, MAX_COMPONENT_BYTES, Submission, VersionCheck};
use crate::store::{Deployment, Origin, Page, Plugin, PluginVersion};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(plugin_list, plugin_deploy))
        .routes(routes!(plugin_component))
        .routes(routes!(plugin_get))
        .routes(routes!(plugin_versions))
        .routes(routes!(plugin_schema))
        .routes(routes!(plugin_activate))
        .routes(routes!(plugin_rollback))
        .routes(routes!(plugin_disable))
        .routes(routes!(plugin_enable))
        .routes(routes!(plugin_version_check))
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

/// How a component is to be deployed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeployQuery {
    /// Whether it shall be the active version in the end; true if absent.
    activate: Option<bool>,
    /// Goes through every step but the last and keeps nothing.
    #[serde(default)]
    dry_run: bool,
    /// Whether the answer waits for the end; true if absent. Otherwise it has the address under which the steps can be watched.
    wait: Option<bool>,
}

/// A version, and how it came in.
#[derive(Debug, Serialize, ToSchema)]
struct DeployedView {
    #[serde(flatten)]
    version: PluginVersion,
    deployment: Deployment,
}

impl From<DeployError> for ApiError {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::TooLarge => Self::too_large(error.to_string()),
            DeployError::Refused(_)
            | DeployError::Signature(_)
            | DeployError::Schema(_)
            | DeployError::SelfTest(_)
            | DeployError::Cases(_) => Self::invalid(error.to_string()),
            DeployError::Rules(ref rules) => Self::conflict(error.to_string()).with_rules(rules.clone()),
            DeployError::Store(error) => error.into(),
            DeployError::Stopping => Self::overloaded(error.to_string()),
            DeployError::Depot(error) => error.into(),
            DeployError::File { .. } | DeployError::Damaged(_) => Self::internal(error),
        }
    }
}

/// Lists plugins by name.
#[utoipa::path(get, path = "/v1/plugins", tag = "plugins", params(PageQuery), responses((status = 200, body = Page<Plugin>), Problems))]
async fn plugin_list(State(state): State<AppState>, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Plugin>>> {
    Ok(Json(state.store.plugins(&page.request()?).await?))
}

/// Deploys a component under the name that it calls itself, in steps: uploaded, validated, compiled, tested, ready, active. Runs under way
/// end on the version that they began with; a refusal leaves it active and says why, with the steps in `deployment`.
#[utoipa::path(post, path = "/v1/plugins", tag = "plugins", params(DeployQuery),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "A component of at most 32 MiB"),
    responses((status = 201, body = DeployedView, description = "It is a version now, and the active one if that was asked for"),
        (status = 200, body = DeployedView, description = "Nothing was to be done, or it was a dry run"),
        (status = 202, body = Deployment, description = "It is under way"), Problems))]
async fn plugin_deploy(
    State(state): State<AppState>,
    By(store): By,
    Query(query): Query<DeployQuery>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Response> {
    let activates = query.activate.unwrap_or(true) && !query.dry_run;
    if activates && !store.view().is_everything() {
        return Err(ApiError::forbidden("this runs for every tenant, and your teams limit you to some: deploy it with activate=false"));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !matches!(kind, "application/wasm" | "application/octet-stream") {
        return Err(ApiError::unsupported("send the component as Content-Type: application/wasm"));
    }
    let bytes = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => DeployError::TooLarge.into(),
        _ => ApiError::unreadable(error.body_text()),
    })?;
    let submission = Submission {
        bytes: bytes.to_vec(),
        origin: Origin::Upload,
        from: "upload".to_owned(),
        by: store.actor().clone(),
        activate: query.activate.unwrap_or(true),
        dry_run: query.dry_run,
    };
    if query.wait == Some(false) && !query.dry_run {
        let deployment = state.plugins.start(submission).await?;
        let address = [(header::LOCATION, format!("/v1/deployments/{}", deployment.id))];
        return Ok((StatusCode::ACCEPTED, address, Json(deployment)).into_response());
    }
    let (deployment, outcome) = state.plugins.submit(submission).await?;
    let deployed = match outcome {
        Ok(deployed) => deployed,
        Err(error) => return Err(ApiError::from(error).with_deployment(deployment)),
    };
    let status = if deployed.unchanged || query.dry_run { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(DeployedView { version: deployed.version, deployment })).into_response())
}

/// Hands out the component of a version, byte for byte as it came in; the `ETag` is its digest.
#[utoipa::path(get, path = "/v1/plugins/versions/{digest}/component", tag = "plugins", params(("digest" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/wasm", headers(("ETag" = String))), Problems))]
async fn plugin_component(State(state): State<AppState>, Path(digest): Path<String>) -> ApiResult<Response> {
    let component = state.plugins.component(&digest).await?;
    let headers = [(header::CONTENT_TYPE, "application/wasm".to_owned()), (header::ETAG, format!("\"{digest}\""))];
    Ok((headers, component).into_response())
}

/// Shows a plugin and its active version.
#[utoipa::path(get, path = "/v1/plugins/{name}", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = PluginView, headers(("ETag" = String))), Problems))]
async fn plugin_get(State(state): State<AppState>, Path(name): Path<String>) -> ApiResult<Response> {
    let plugin = state.store.plugin(&name).await?;
    let active = state.store.plugin_version(&plugin.active_digest).await?;
    Ok(reply::versioned(plugin.version, PluginView { plugin, active }))
}

/// Lists the versions of a plugin, oldest first.
#[utoipa::path(get, path = "/v1/plugins/{name}/versions", tag = "plugins", params(("name" = String, Path), PageQuery),
    responses((status = 200, body = Page<PluginVersion>), Problems))]
async fn plugin_versions(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Page<PluginVersion>>> {
    let versions = state.store.plugin_versions_page(&name, &page.request()?).await?;
    if versions.items.is_empty() {
        state.store.plugin(&name).await?;
    }
    Ok(Json(versions))
}

/// Shows the JSON Schema of the active version's configuration.
#[utoipa::path(get, path = "/v1/plugins/{name}/schema", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = Object), Problems))]
async fn plugin_schema(State(state): State<AppState>, Path(name): Path<String>) -> ApiResult<Json<Value>> {
    let plugin = state.store.plugin(&name).await?;
    let active = state.store.plugin_version(&plugin.active_digest).await?;
    Ok(Json(serde_json::from_str(&active.manifest.config_schema).map_err(ApiError::internal)?))
}

/// Asks a version about every rule that would run on it if it were active: which configurations it refuses, and where.
#[utoipa::path(get, path = "/v1/plugins/{name}/versions/{digest}/check", tag = "plugins",
    params(("name" = String, Path), ("digest" = String, Path)), responses((status = 200, body = VersionCheck), Problems))]
async fn plugin_version_check(
    State(state): State<AppState>,
    Path((name, digest)): Path<(String, String)>,
) -> ApiResult<Json<VersionCheck>> {
    Ok(Json(state.plugins.check_version(&name, &digest).await?))
}

/// Makes a version the active one, older or newer. Refused when a rule would stop working; `rules` says which.
#[utoipa::path(post, path = "/v1/plugins/{name}/activate", tag = "plugins", request_body = ActivateBody, params(("name" = String, Path)),
    responses((status = 200, body = Plugin, headers(("ETag" = String))), Problems))]
async fn plugin_activate(
    State(state): State<AppState>,
    Everywhere(store): Everywhere,
    Path(name): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<ActivateBody>,
) -> ApiResult<Response> {
    let plugin = state.plugins.activate(&name, &body.digest, store.actor(), expected).await?;
    Ok(reply::versioned(plugin.version, &plugin))
}

/// Makes the version active again that was active before the present one.
#[utoipa::path(post, path = "/v1/plugins/{name}/rollback", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = Plugin, headers(("ETag" = String))), Problems))]
async fn plugin_rollback(
    State(state): State<AppState>,
    Everywhere(store): Everywhere,
    Path(name): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<Response> {
    let plugin = state.plugins.roll_back(&name, store.actor(), expected).await?;
    Ok(reply::versioned(plugin.version, &plugin))
}

/// Disables a plugin: runs with a rule on it fail, and what is published stays.
#[utoipa::path(post, path = "/v1/plugins/{name}/disable", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = Plugin, headers(("ETag" = String))), Problems))]
async fn plugin_disable(
    State(state): State<AppState>,
    Everywhere(store): Everywhere,
    Path(name): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<Response> {
    let plugin = state.plugins.set_disabled(&name, true, store.actor(), expected).await?;
    Ok(reply::versioned(plugin.version, &plugin))
}

/// Enables a disabled plugin again.
#[utoipa::path(post, path = "/v1/plugins/{name}/enable", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = Plugin, headers(("ETag" = String))), Problems))]
async fn plugin_enable(
    State(state): State<AppState>,
    Everywhere(store): Everywhere,
    Path(name): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<Response> {
    let plugin = state.plugins.set_disabled(&name, false, store.actor(), expected).await?;
    Ok(reply::versioned(plugin.version, &plugin))
}

/// Deletes a version that nothing refers to: it is not active, no rule is pinned to it, and it rated no run that is kept. `If-Match` takes
/// the plugin's ETag.
#[utoipa::path(delete, path = "/v1/plugins/{name}/versions/{digest}", tag = "plugins",
    params(("name" = String, Path), ("digest" = String, Path)), responses((status = 204), Problems))]
async fn plugin_version_delete(
    State(state): State<AppState>,
    Everywhere(store): Everywhere,
    Path((name, digest)): Path<(String, String)>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    state.plugins.delete_version(&name, &digest, store.actor(), expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
