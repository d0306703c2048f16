//! `/v1/teams`: which tenants people of the MSP see.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{Body, By, IfMatch, PageQuery, Path, Query};
use super::reply;
use crate::store::{Page, Team, TeamFields};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(team_list, team_create)).routes(routes!(team_get, team_update, team_delete))
}

/// A team as the caller wants it, as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "North", "members": [], "tenants": []}))]
struct TeamBody {
    /// Unique, whatever its case.
    #[schema(max_length = 200)]
    name: String,
    /// Ids of people of the MSP. Who is in a team sees only the tenants of their teams; Owners see all.
    members: Vec<String>,
    /// Ids of tenants.
    tenants: Vec<String>,
}

impl From<TeamBody> for TeamFields {
    fn from(body: TeamBody) -> Self {
        Self { name: body.name, members: body.members, tenants: body.tenants }
    }
}

/// Lists teams, oldest first.
#[utoipa::path(get, path = "/v1/teams", tag = "people", params(PageQuery), responses((status = 200, body = Page<Team>), Problems))]
async fn team_list(By(store): By, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Team>>> {
    Ok(Json(store.teams(&page.request()?).await?))
}

/// Creates a team.
#[utoipa::path(post, path = "/v1/teams", tag = "people", request_body = TeamBody,
    responses((status = 201, body = Team, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn team_create(By(store): By, Body(body): Body<TeamBody>) -> ApiResult<Response> {
    let team = store.team_create(&body.into()).await?;
    Ok(reply::created(&format!("/v1/teams/{}", team.id), team.version, &team))
}

/// Shows a team.
#[utoipa::path(get, path = "/v1/teams/{id}", tag = "people", params(("id" = String, Path)),
    responses((status = 200, body = Team, headers(("ETag" = String))), Problems))]
async fn team_get(By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let team = store.team(&id).await?;
    Ok(reply::versioned(team.version, &team))
}

/// Changes a team as a whole. Who leaves their last team sees every tenant.
#[utoipa::path(put, path = "/v1/teams/{id}", tag = "people", request_body = TeamBody,
    params(("id" = String, Path)),
    responses((status = 200, body = Team, headers(("ETag" = String))), Problems))]
async fn team_update(By(store): By, Path(id): Path<String>, IfMatch(expected): IfMatch, Body(body): Body<TeamBody>) -> ApiResult<Response> {
    let team = store.team_update(&id, &body.into(), expected).await?;
    Ok(reply::versioned(team.version, &team))
}

/// Deletes a team that has no members any more.
#[utoipa::path(delete, path = "/v1/teams/{id}", tag = "people",
    params(("id" = String, Path)),
    responses((status = 204), Problems))]
async fn team_delete(By(store): By, Path(id): Path<String>, IfMatch(expected): IfMatch) -> ApiResult<StatusCode> {
    store.team_delete(&id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
