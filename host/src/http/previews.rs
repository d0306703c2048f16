//! `/v1/previews`: what a change would do to published months, computed before it is made.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, Everywhere, IfMatch, PageQuery, Path, Query};
use super::reply;
use crate::clock::Moment;
use crate::jobs::Change;
use crate::jobs::preview::{PreviewRequest, PreviewResult};
use crate::store::{Page, Preview, PreviewState};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(preview_list, preview_create)).routes(routes!(preview_get, preview_delete))
}

/// A preview, and what it found once it is done.
#[derive(Debug, Serialize, ToSchema)]
struct PreviewView {
    id: String,
    state: PreviewState,
    /// Charges looked at of those to look at.
    progress_done: u64,
    progress_total: u64,
    #[schema(value_type = PreviewRequest)]
    request: Value,
    #[schema(value_type = Option<PreviewResult>)]
    result: Option<Value>,
    failure: Option<String>,
    created_at: Moment,
    started_at: Option<Moment>,
    finished_at: Option<Moment>,
}

impl From<Preview> for PreviewView {
    fn from(preview: Preview) -> Self {
        let Preview { id, state, progress_done, progress_total, request, result, failure, created_at, started_at, finished_at } = preview;
        Self { id, state, progress_done, progress_total, request, result, failure, created_at, started_at, finished_at }
    }
}

/// Lists previews, oldest first, without their results.
#[utoipa::path(get, path = "/v1/previews", tag = "previews", params(PageQuery), responses((status = 200, body = Page<PreviewView>), Problems))]
async fn preview_list(Everywhere(store): Everywhere, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<PreviewView>>> {
    let found = store.previews(&page.request()?).await?;
    Ok(Json(Page { items: found.items.into_iter().map(PreviewView::from).collect(), next: found.next }))
}

/// Previews another plugin version, changed rules or another chain over published months: what each tenant would be charged, by rule,
/// service and line. Computed in the background from what the published runs recorded; publishes nothing.
#[utoipa::path(post, path = "/v1/previews", tag = "previews", request_body = PreviewRequest,
    responses((status = 202, body = PreviewView), Problems))]
async fn preview_create(
    State(state): State<AppState>,
    Everywhere(store): Everywhere,
    Body(request): Body<PreviewRequest>,
) -> ApiResult<impl IntoResponse> {
    request.check(&store).await?;
    let request = serde_json::to_value(&request).map_err(ApiError::internal)?;
    let preview = store.preview_create(&request).await?;
    state.poke(Change::Previews { deleted: None });
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("/v1/previews/{}", preview.id))], Json(PreviewView::from(preview))))
}

/// Shows a preview: its progress, and its result once it is done.
#[utoipa::path(get, path = "/v1/previews/{id}", tag = "previews", params(("id" = String, Path)),
    responses((status = 200, body = PreviewView, headers(("ETag" = String))), Problems))]
async fn preview_get(Everywhere(store): Everywhere, Path(id): Path<String>) -> ApiResult<Response> {
    let preview = store.preview(&id).await?;
    Ok(reply::versioned(preview.tag(), PreviewView::from(preview)))
}

/// Deletes a preview; one that is being computed is stopped.
#[utoipa::path(delete, path = "/v1/previews/{id}", tag = "previews", params(("id" = String, Path)), responses((status = 204), Problems))]
async fn preview_delete(
    State(state): State<AppState>,
    Everywhere(store): Everywhere,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    store.preview_delete(&id, expected).await?;
    state.poke(Change::Previews { deleted: Some(id) });
    Ok(StatusCode::NO_CONTENT)
}
