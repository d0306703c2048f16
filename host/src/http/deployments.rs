//! `/v1/deployments`: what became of each component that came in, step by step.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{Path, Query, page};
use crate::store::{Deployment, DeploymentFilter, DeploymentState, Page};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(deployment_list)).routes(routes!(deployment_get))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeploymentQuery {
    /// Deployments of one plugin, by its name.
    plugin: Option<String>,
    /// Deployments of one component, by its SHA-256.
    digest: Option<String>,
    /// Deployments that are so far or ended so.
    state: Option<DeploymentState>,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Lists deployments, the latest first, uploaded, dropped into the folder or part of the program.
#[utoipa::path(get, path = "/v1/deployments", tag = "plugins", params(DeploymentQuery),
    responses((status = 200, body = Page<Deployment>), Problems))]
async fn deployment_list(State(state): State<AppState>, Query(query): Query<DeploymentQuery>) -> ApiResult<Json<Page<Deployment>>> {
    let page = page(query.limit, query.after)?;
    let filter = DeploymentFilter { plugin: query.plugin, digest: query.digest, state: query.state };
    Ok(Json(state.store.deployments(&filter, &page).await?))
}

/// Shows a deployment: its steps with outcome, reason and milliseconds. One under way has no `finished_at`.
#[utoipa::path(get, path = "/v1/deployments/{id}", tag = "plugins", params(("id" = String, Path)),
    responses((status = 200, body = Deployment), Problems))]
async fn deployment_get(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Json<Deployment>> {
    Ok(Json(state.store.deployment(&id).await?))
}
