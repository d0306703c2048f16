//! `/v1/shadows`: candidate versions beside the active ones.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{Body, Everywhere, IfMatch, PageQuery, Path, Query};
use super::reply;
use crate::jobs::Change;
use crate::jobs::shadow::{ShadowSummary, summarise};
use crate::store::{Page, Plugin, Shadow, ShadowState};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(shadow_list, shadow_create))
        .routes(routes!(shadow_get))
        .routes(routes!(shadow_promote))
        .routes(routes!(shadow_drop))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"plugin": "markup", "digest": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}))]
struct ShadowBody {
    /// The plugin's name.
    plugin: String,
    /// A stored version that is not active.
    digest: String,
}

/// A shadow and what it found.
#[derive(Debug, Serialize, ToSchema)]
struct ShadowView {
    #[serde(flatten)]
    shadow: Shadow,
    found: ShadowSummary,
}

/// A promoted shadow and the plugin that runs on its version now.
#[derive(Debug, Serialize, ToSchema)]
struct Promoted {
    shadow: Shadow,
    plugin: Plugin,
}

/// Lists shadows, oldest first.
#[utoipa::path(get, path = "/v1/shadows", tag = "shadows", params(PageQuery), responses((status = 200, body = Page<Shadow>), Problems))]
async fn shadow_list(Everywhere(store): Everywhere, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Shadow>>> {
    Ok(Json(store.shadows(&page.request()?).await?))
}

/// Rates every run that is published from now on also under a candidate version, for the rules that follow the plugin. What differs is
/// counted and sampled; the runs themselves are as they would be without it.
#[utoipa::path(post, path = "/v1/shadows", tag = "shadows", request_body = ShadowBody,
    responses((status = 201, body = Shadow, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn shadow_create(State(state): State<AppState>, Everywhere(store): Everywhere, Body(body): Body<ShadowBody>) -> ApiResult<Response> {
    let shadow = store.shadow_create(&body.plugin, &body.digest).await?;
    state.poke(Change::Shadows);
    Ok(reply::created(&format!("/v1/shadows/{}", shadow.id), shadow.tag(), &shadow))
}

/// Shows a shadow: how many runs it looked at, which of them come out otherwise, by tenant, rule and money, with samples.
#[utoipa::path(get, path = "/v1/shadows/{id}", tag = "shadows", params(("id" = String, Path)),
    responses((status = 200, body = ShadowView, headers(("ETag" = String))), Problems))]
async fn shadow_get(Everywhere(store): Everywhere, Path(id): Path<String>) -> ApiResult<Response> {
    let shadow = store.shadow(&id).await?;
    let found = summarise(store.shadow_runs(&id).await?);
    Ok(reply::versioned(shadow.tag(), ShadowView { shadow, found }))
}

/// Makes the candidate the active version, with every check of an activation, and ends the shadow.
#[utoipa::path(post, path = "/v1/shadows/{id}/promote", tag = "shadows", params(("id" = String, Path)),
    responses((status = 200, body = Promoted, headers(("ETag" = String))), Problems))]
async fn shadow_promote(
    State(state): State<AppState>,
    Everywhere(store): Everywhere,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<Response> {
    let (plugin, shadow) = state.plugins.promote(&store.shadow(&id).await?, store.actor(), expected).await?;
    Ok(reply::versioned(shadow.tag(), Promoted { shadow, plugin }))
}

/// Ends a shadow without making it active. What it found stays readable.
#[utoipa::path(post, path = "/v1/shadows/{id}/drop", tag = "shadows", params(("id" = String, Path)),
    responses((status = 200, body = Shadow, headers(("ETag" = String))), Problems))]
async fn shadow_drop(Everywhere(store): Everywhere, Path(id): Path<String>, IfMatch(expected): IfMatch) -> ApiResult<Response> {
    let shadow = store.shadow_end(&id, ShadowState::Dropped, expected).await?;
    Ok(reply::versioned(shadow.tag(), &shadow))
}
