//! `/v1/subaccounts`

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, IfMatch, PageQuery, Path, Query, page};
use super::reply;
use crate::domain::period::Period;
use crate::jobs::change::Change;
use crate::jobs::review::{Review, ReviewError, review};
use crate::store::{Assign, Held, Moved, Page, Store, Subaccount, SubaccountFilter};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(subaccount_list))
        .routes(routes!(subaccount_get))
        .routes(routes!(subaccount_assign, subaccount_release))
        .routes(routes!(subaccount_history))
        .routes(routes!(subaccounts_assign))
        .routes(routes!(subaccounts_review))
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
#[schema(example = json!({"tenant_id": "tnt_01k9x3v0z8e4m6q2r7s5t9w1ab", "from_period": "2026-09"}))]
struct HolderBody {
    tenant_id: String,
    /// The first billing period in which the tenant holds it; absent or null for always.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    from_period: Option<Period>,
    /// The tenant that gives it up, if one holds it: it moves without being released in between.
    #[serde(default)]
    from_tenant_id: Option<String>,
}

/// Which subaccounts to give to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tenant_id": "tnt_01k9x3v0z8e4m6q2r7s5t9w1ab", "from_period": "2026-09",
    "subaccounts": ["sub_01k9x3v0z8e4m6q2r7s5t9w1ab"]}))]
struct BatchBody {
    /// Null releases them.
    tenant_id: Option<String>,
    /// The first billing period of it; absent or null for always.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    from_period: Option<Period>,
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

impl From<BatchBody> for Assign {
    fn from(body: BatchBody) -> Self {
        let BatchBody { tenant_id, from_period, from_tenant_id, subaccounts } = body;
        Self { subaccounts, tenant_id, from_period, from_tenant_id, ..Self::default() }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReleaseQuery {
    /// The first billing period in which nobody holds it; absent for always.
    #[param(value_type = Option<String>, example = "2026-09")]
    from_period: Option<Period>,
}

/// Lists the subaccounts that bills have named.
#[utoipa::path(get, path = "/v1/subaccounts", tag = "subaccounts", params(SubaccountQuery),
    responses((status = 200, body = Page<Subaccount>), Problems))]
async fn subaccount_list(By(store): By, Query(query): Query<SubaccountQuery>) -> ApiResult<Json<Page<Subaccount>>> {
    let page = page(query.limit, query.after)?;
    let filter = SubaccountFilter {
        search: query.search,
        integration_id: query.integration_id,
        provider: query.provider,
        tenant_id: query.tenant_id,
        unassigned: query.unassigned,
    };
    Ok(Json(store.subaccounts(&filter, &page).await?))
}

/// Shows a subaccount.
#[utoipa::path(get, path = "/v1/subaccounts/{id}", tag = "subaccounts", params(("id" = String, Path)),
    responses((status = 200, body = Subaccount, headers(("ETag" = String))), Problems))]
async fn subaccount_get(By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let subaccount = store.subaccount(&id).await?;
    Ok(reply::versioned(subaccount.tag(), &subaccount))
}

/// Tells who holds and held a subaccount, from which billing period on, and who decided that; the latest first.
#[utoipa::path(get, path = "/v1/subaccounts/{id}/history", tag = "subaccounts", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Page<Held>), Problems))]
async fn subaccount_history(By(store): By, Path(id): Path<String>, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Held>>> {
    Ok(Json(store.subaccount_history(&id, &page.request()?).await?))
}

/// Gives a subaccount to a tenant, for always or from a billing period on. One that another tenant holds then must be released first, or
/// handed over by naming that tenant.
#[utoipa::path(put, path = "/v1/subaccounts/{id}/tenant", tag = "subaccounts", params(("id" = String, Path)), request_body = HolderBody,
    responses((status = 200, body = Subaccount, headers(("ETag" = String))), Problems))]
async fn subaccount_assign(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<HolderBody>,
) -> ApiResult<Response> {
    let HolderBody { tenant_id, from_period, from_tenant_id } = body;
    let wanted =
        Assign { subaccounts: vec![id.clone()], tenant_id: Some(tenant_id), from_period, from_tenant_id, expected, ..Assign::default() };
    assign(&state, &store, &wanted).await?;
    let subaccount = store.subaccount(&id).await?;
    Ok(reply::versioned(subaccount.tag(), &subaccount))
}

/// Releases a subaccount, for always or from a billing period on: nobody holds it then.
#[utoipa::path(delete, path = "/v1/subaccounts/{id}/tenant", tag = "subaccounts", params(("id" = String, Path), ReleaseQuery),
    responses((status = 200, body = Subaccount, headers(("ETag" = String))), Problems))]
async fn subaccount_release(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    Query(query): Query<ReleaseQuery>,
    IfMatch(expected): IfMatch,
) -> ApiResult<Response> {
    let wanted = Assign { subaccounts: vec![id.clone()], from_period: query.from_period, expected, ..Assign::default() };
    assign(&state, &store, &wanted).await?;
    let subaccount = store.subaccount(&id).await?;
    Ok(reply::versioned(subaccount.tag(), &subaccount))
}

/// Gives many subaccounts to a tenant, or releases them, for always or from a billing period on: all or none. With the `ETag` of its
/// review in `If-Match`, only if it still does what that told.
#[utoipa::path(post, path = "/v1/subaccounts/assign", tag = "subaccounts", request_body = BatchBody,
    responses((status = 200, body = MovedAnswer), Problems))]
async fn subaccounts_assign(
    State(state): State<AppState>,
    By(store): By,
    IfMatch(reviewed): IfMatch,
    Body(body): Body<BatchBody>,
) -> ApiResult<Json<MovedAnswer>> {
    let moved = assign(&state, &store, &Assign { reviewed, ..body.into() }).await?;
    Ok(Json(MovedAnswer { moved }))
}

/// Tells what `assign` would do with the same body: what moves, from whom, what is refused and why, which months are rated again for whom,
/// and how much money changes hands. Nothing is changed. The `ETag` is for `assign`: it changes with what moves, from whom, the bills of those
/// periods, and the states of those tenants.
#[utoipa::path(post, path = "/v1/subaccounts/review", tag = "subaccounts", request_body = BatchBody,
    responses((status = 200, body = Review, headers(("ETag" = String))), Problems))]
async fn subaccounts_review(State(state): State<AppState>, By(store): By, Body(body): Body<BatchBody>) -> ApiResult<Response> {
    let wanted = body.into();
    // Before the months: if something changes in between, what was reviewed is refused rather than what was not.
    let (considered, tag) = store.subaccounts_consider(&wanted).await?;
    match review(&state.store, &state.plugins, &wanted, considered).await {
        Ok(mut review) => {
            // Months of tenants that the caller does not see are rated again all the same; they are none of the caller's business.
            review.months.retain(|month| store.view().sees(&month.tenant.id));
            Ok(reply::versioned(tag, review))
        }
        Err(ReviewError::Store(error)) => Err(error.into()),
        Err(error) => Err(ApiError::internal(error)),
    }
}

async fn assign(state: &AppState, store: &Store, wanted: &Assign) -> ApiResult<Vec<Moved>> {
    let moved = store.subaccounts_assign(wanted).await?;
    if !moved.is_empty() {
        state.poke(Change::Subaccounts);
    }
    Ok(moved)
}
