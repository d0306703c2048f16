//! `/v1/subaccounts`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{Body, Path, Query, page};
use crate::jobs::change::Change;
use crate::store::{Moved, Page, Subaccount, SubaccountFilter};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(subaccount_list))
        .routes(routes!(subaccount_get))
        .routes(routes!(subaccount_assign, subaccount_release))
        .routes(routes!(subaccounts_assign))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct SubaccountQuery {
    /// A part of the name or of an id, whatever its case.
    search: Option<String>,
    integration_id: Option<String>,
    #[param(example = "AWS")]
    provider: Option<String>,
    tenant_id: Option<String>,
    /// Only those that nobody holds.
    #[serde(default)]
    unassigned: bool,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Whom to give a subaccount.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tenant_id": "tnt_01k9x3v0z8e4m6q2r7s5t9w1ab"}))]
struct HolderBody {
    tenant_id: String,
    /// The tenant that gives it up, if one holds it: it moves without being released in between.
    #[serde(default)]
    from_tenant_id: Option<String>,
}

/// Which subaccounts to give to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tenant_id": "tnt_01k9x3v0z8e4m6q2r7s5t9w1ab", "subaccounts": ["sub_01k9x3v0z8e4m6q2r7s5t9w1ab"]}))]
struct BatchBody {
    /// Null releases them.
    tenant_id: Option<String>,
    /// The tenant that gives them up, if one holds them: they move without being released in between.
    #[serde(default)]
    from_tenant_id: Option<String>,
    /// Ids; all of them move, or none.
    #[schema(min_items = 1, max_items = 10_000)]
    subaccounts: Vec<String>,
}

/// What moved. Subaccounts that were where they should be are not in it.
#[derive(Debug, Serialize, ToSchema)]
struct MovedAnswer {
    moved: Vec<Moved>,
}

/// Lists the subaccounts that bills have named.
#[utoipa::path(get, path = "/v1/subaccounts", tag = "subaccounts", params(SubaccountQuery),
    responses((status = 200, body = Page<Subaccount>), Problems))]
async fn subaccount_list(State(state): State<AppState>, Query(query): Query<SubaccountQuery>) -> ApiResult<Json<Page<Subaccount>>> {
    let page = page(query.limit, query.after)?;
    let filter = SubaccountFilter {
        search: query.search,
        integration_id: query.integration_id,
        provider: query.provider,
        tenant_id: query.tenant_id,
        unassigned: query.unassigned,
    };
    Ok(Json(state.store.subaccounts(&filter, &page).await?))
}

/// Shows a subaccount.
#[utoipa::path(get, path = "/v1/subaccounts/{id}", tag = "subaccounts", params(("id" = String, Path)),
    responses((status = 200, body = Subaccount), Problems))]
async fn subaccount_get(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Json<Subaccount>> {
    Ok(Json(state.store.subaccount(&id).await?))
}

/// Gives a subaccount to a tenant. One that another tenant holds must be released first, or handed over by
/// naming that tenant.
#[utoipa::path(put, path = "/v1/subaccounts/{id}/tenant", tag = "subaccounts", params(("id" = String, Path)), request_body = HolderBody,
    responses((status = 200, body = Subaccount), Problems))]
async fn subaccount_assign(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Body(body): Body<HolderBody>,
) -> ApiResult<Json<Subaccount>> {
    move_all(&state, std::slice::from_ref(&id), Some(&body.tenant_id), body.from_tenant_id.as_deref()).await?;
    Ok(Json(state.store.subaccount(&id).await?))
}

/// Releases a subaccount: nobody holds it then.
#[utoipa::path(delete, path = "/v1/subaccounts/{id}/tenant", tag = "subaccounts", params(("id" = String, Path)),
    responses((status = 200, body = Subaccount), Problems))]
async fn subaccount_release(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Json<Subaccount>> {
    move_all(&state, std::slice::from_ref(&id), None, None).await?;
    Ok(Json(state.store.subaccount(&id).await?))
}

/// Gives many subaccounts to a tenant, or releases them: all or none.
#[utoipa::path(post, path = "/v1/subaccounts/assign", tag = "subaccounts", request_body = BatchBody,
    responses((status = 200, body = MovedAnswer), Problems))]
async fn subaccounts_assign(State(state): State<AppState>, Body(body): Body<BatchBody>) -> ApiResult<Json<MovedAnswer>> {
    let moved = move_all(&state, &body.subaccounts, body.tenant_id.as_deref(), body.from_tenant_id.as_deref()).await?;
    Ok(Json(MovedAnswer { moved }))
}

async fn move_all(state: &AppState, ids: &[String], to: Option<&str>, from: Option<&str>) -> ApiResult<Vec<Moved>> {
    let moved = match (from, to) {
        (Some(from), Some(to)) => state.store.subaccounts_hand_over(ids, from, to).await?,
        _ => state.store.subaccounts_move(ids, to).await?,
    };
    if !moved.is_empty() {
        state.poke(Change::Subaccounts);
    }
    Ok(moved)
}
