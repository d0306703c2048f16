//! `/v1/previews`: what a change would do to published months, computed before it is made.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, PageQuery, Query};
use crate::jobs::Change;
use crate::jobs::preview::{PreviewRequest, PreviewResult};
use crate::store::{Page, Preview};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(preview_list, preview_create)).routes(routes!(preview_get, preview_delete))
}

/// Lists previews, oldest first, without their results.
#[utoipa::path(get, path = "/v1/previews", tag = "previews", params(PageQuery), responses((status = 200, body = Page<Preview>), Problems))]
async fn preview_list(State(state): State<AppState>, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Preview>>> {
    Ok(Json(state.store.previews(&page.request()?).await?))
}

/// Previews another plugin version, changed rules or another chain over published months: what each tenant would be charged, by rule,
/// service and line. Computed in the background from what the published runs recorded; publishes nothing. `result` of the finished
/// preview is a `PreviewResult`.
#[utoipa::path(post, path = "/v1/previews", tag = "previews", request_body = PreviewRequest,
    responses((status = 202, body = Preview), (status = 299, body = PreviewResult, description = "The form of `result`; never sent itself"), Problems))]
async fn preview_create(State(state): State<AppState>, Body(request): Body<PreviewRequest>) -> ApiResult<impl IntoResponse> {
    request.check(&state.store).await?;
    let request = serde_json::to_value(&request).map_err(ApiError::internal)?;
    let preview = state.store.preview_create(&request).await?;
    state.poke(Change::Previews { deleted: None });
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("/v1/previews/{}", preview.id))], Json(preview)))
}

/// Shows a preview: its progress, and its result once it is done.
#[utoipa::path(get, path = "/v1/previews/{id}", tag = "previews", params(("id" = String, Path)),
    responses((status = 200, body = Preview), Problems))]
async fn preview_get(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Json<Preview>> {
    Ok(Json(state.store.preview(&id).await?))
}

/// Deletes a preview; one that is being computed is stopped.
#[utoipa::path(delete, path = "/v1/previews/{id}", tag = "previews", params(("id" = String, Path)), responses((status = 204), Problems))]
async fn preview_delete(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<StatusCode> {
    state.store.preview_delete(&id).await?;
    state.poke(Change::Previews { deleted: Some(id) });
    Ok(StatusCode::NO_CONTENT)
}
