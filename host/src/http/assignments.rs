//! `/v1/assignments`

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, IfMatch, Path, Query, page};
use super::reply;
use crate::domain::period::Period;
use crate::jobs::change::Change;
use crate::jobs::rule_review::{RuleChange, RuleReview};
use crate::store::{Assignment, AssignmentFields, Page};

/// Tenants that one call assigns a rule to: more than a screen shows.
const MAX_TENANTS: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(assignment_list, assignment_create))
        .routes(routes!(assignments_create))
        .routes(routes!(assignment_review))
        .routes(routes!(assignment_reorder))
        .routes(routes!(assignment_get, assignment_update, assignment_delete))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AssignmentQuery {
    rule_id: Option<String>,
    /// What applies to this tenant: its own assignments and those of all.
    tenant_id: Option<String>,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// An assignment as the caller wants it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"rule_id": "rul_01k9x3v0z8e4m6q2r7s5t9w1ab", "tenant_id": null, "from_period": "2026-09"}))]
struct AssignmentBody {
    rule_id: String,
    /// Null assigns the rule to all tenants.
    #[serde(default)]
    tenant_id: Option<String>,
    /// From 1; those behind make room. Absent: last for a new one, where it is for an old one.
    #[serde(default)]
    #[schema(minimum = 1)]
    position: Option<i64>,
    /// First period in which it is effective; absent: from the beginning.
    #[serde(default)]
    from_period: Option<Period>,
    /// Last period in which it is effective; absent: without end.
    #[serde(default)]
    to_period: Option<Period>,
}

impl From<AssignmentBody> for AssignmentFields {
    fn from(body: AssignmentBody) -> Self {
        Self {
            rule_id: body.rule_id,
            tenant_id: body.tenant_id,
            position: body.position,
            from_period: body.from_period,
            to_period: body.to_period,
        }
    }
}

/// A rule for many tenants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"rule_id": "rul_01k9x3v0z8e4m6q2r7s5t9w1ab", "tenant_ids": ["tnt_01k9x3v0z8e4m6q2r7s5t9w1ab"]}))]
struct ManyBody {
    rule_id: String,
    /// Each gets an assignment of its own; all of them or none.
    #[schema(min_items = 1, max_items = 1_000)]
    tenant_ids: Vec<String>,
    /// Place of the first; the others follow it. Absent: last.
    #[serde(default)]
    #[schema(minimum = 1)]
    position: Option<i64>,
    #[serde(default)]
    from_period: Option<Period>,
    #[serde(default)]
    to_period: Option<Period>,
}

impl ManyBody {
    fn fields(self) -> ApiResult<Vec<AssignmentFields>> {
        if self.tenant_ids.is_empty() || self.tenant_ids.len() > MAX_TENANTS {
            return Err(ApiError::invalid_at("/tenant_ids", format!("name 1 to {MAX_TENANTS} tenants")));
        }
        let distinct: BTreeSet<&String> = self.tenant_ids.iter().collect();
        if distinct.len() < self.tenant_ids.len() {
            return Err(ApiError::invalid_at("/tenant_ids", "a tenant is named twice"));
        }
        let fields = self.tenant_ids.into_iter().zip(0..).map(|(tenant, place)| AssignmentFields {
            rule_id: self.rule_id.clone(),
            tenant_id: Some(tenant),
            position: self.position.map(|first| first.saturating_add(place)),
            from_period: self.from_period,
            to_period: self.to_period,
        });
        Ok(fields.collect())
    }
}

/// A change of assignments that is not made yet: one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"end": "asg_01k9x3v0z8e4m6q2r7s5t9w1ab"}))]
struct ChangeBody {
    /// As `POST /v1/assignments`.
    #[serde(default)]
    assign: Option<AssignmentBody>,
    /// As `POST /v1/assignments/batch`.
    #[serde(default)]
    assign_many: Option<ManyBody>,
    /// As `PUT /v1/assignments/{id}`.
    #[serde(default)]
    change: Option<ChangedBody>,
    /// As `DELETE /v1/assignments/{id}`: its id.
    #[serde(default)]
    end: Option<String>,
    /// As `PUT /v1/assignments/order`.
    #[serde(default)]
    order: Option<OrderBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangedBody {
    id: String,
    to: AssignmentBody,
}

impl ChangeBody {
    fn change(self) -> ApiResult<RuleChange> {
        Ok(match (self.assign, self.assign_many, self.change, self.end, self.order) {
            (Some(body), None, None, None, None) => RuleChange::Assign(vec![body.into()]),
            (None, Some(body), None, None, None) => RuleChange::Assign(body.fields()?),
            (None, None, Some(body), None, None) => RuleChange::Change { id: body.id, fields: body.to.into() },
            (None, None, None, Some(id), None) => RuleChange::End(id),
            (None, None, None, None, Some(body)) => RuleChange::Order(body.assignments),
            _ => return Err(ApiError::invalid("say one change: assign, assign_many, change, end or order")),
        })
    }
}

/// Assignments in the order that they shall have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"assignments": ["asg_01k9x3v0z8e4m6q2r7s5t9w1ab", "asg_01k9x3v0z8e4m6q2r7s5t9w1aa"]}))]
struct OrderBody {
    /// Ids. They share the places that they have; assignments that are not named stay where they are.
    assignments: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct AssignmentsAnswer {
    items: Vec<Assignment>,
}

/// Lists assignments in the order in which their rules apply. The `ETag` is of the order of all of them, for `PUT /v1/assignments/order`.
#[utoipa::path(get, path = "/v1/assignments", tag = "assignments", params(AssignmentQuery),
    responses((status = 200, body = Page<Assignment>, headers(("ETag" = String))), Problems))]
async fn assignment_list(By(store): By, Query(query): Query<AssignmentQuery>) -> ApiResult<Response> {
    let page = page(query.limit, query.after)?;
    // Before the list: if the order changes in between, what was read is refused rather than what was not.
    let order = store.assignments_order().await?;
    Ok(reply::versioned(order, store.assignments(query.rule_id.as_deref(), query.tenant_id.as_deref(), &page).await?))
}

/// Assigns a rule to a tenant or to all. The affected months are rated again at once. `If-Match` takes the `ETag` of the list, or of a
/// review: of the order of all assignments.
#[utoipa::path(post, path = "/v1/assignments", tag = "assignments", request_body = AssignmentBody,
    responses((status = 201, body = Assignment, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn assignment_create(
    State(state): State<AppState>,
    By(store): By,
    IfMatch(expected): IfMatch,
    Body(body): Body<AssignmentBody>,
) -> ApiResult<Response> {
    let assignment = store.assignment_create(&body.into(), expected).await?;
    state.poke(Change::Assignments);
    Ok(reply::created(&format!("/v1/assignments/{}", assignment.id), assignment.version, &assignment))
}

/// Puts assignments in another order.
#[utoipa::path(put, path = "/v1/assignments/order", tag = "assignments", request_body = OrderBody,
    responses((status = 200, body = AssignmentsAnswer, headers(("ETag" = String))), Problems))]
async fn assignment_reorder(
    State(state): State<AppState>,
    By(store): By,
    IfMatch(expected): IfMatch,
    Body(body): Body<OrderBody>,
) -> ApiResult<Response> {
    let (items, order) = store.assignments_reorder(&body.assignments, expected).await?;
    state.poke(Change::Assignments);
    Ok(reply::versioned(order, AssignmentsAnswer { items }))
}

/// Assigns a rule to many tenants at once. The affected months are rated again at once. `If-Match` is as for one.
#[utoipa::path(post, path = "/v1/assignments/batch", tag = "assignments", request_body = ManyBody,
    responses((status = 201, body = AssignmentsAnswer), Problems))]
async fn assignments_create(
    State(state): State<AppState>,
    By(store): By,
    IfMatch(expected): IfMatch,
    Body(body): Body<ManyBody>,
) -> ApiResult<Response> {
    let items = store.assignments_create(&body.fields()?, expected).await?;
    state.poke(Change::Assignments);
    Ok((StatusCode::CREATED, Json(AssignmentsAnswer { items })).into_response())
}

/// Tells which months a change of assignments would rate again, before it is made. Nothing is stored. The `ETag` is the one that making the
/// change goes by: of the assignment, or of the order of all.
#[utoipa::path(post, path = "/v1/assignments/review", tag = "assignments", request_body = ChangeBody,
    responses((status = 200, body = RuleReview, headers(("ETag" = String))), Problems))]
async fn assignment_review(State(state): State<AppState>, By(store): By, Body(body): Body<ChangeBody>) -> ApiResult<Response> {
    let change = body.change()?;
    // Before the months, as in the review of subaccounts.
    let tag = match &change {
        RuleChange::Assign(new) => {
            store.assignments_check(new).await?;
            store.assignments_order().await?
        }
        RuleChange::Change { id, fields } => {
            store.assignments_check(std::slice::from_ref(fields)).await?;
            store.assignment(id).await?.version
        }
        RuleChange::End(id) => store.assignment(id).await?.version,
        RuleChange::Order(ids) => {
            for id in ids {
                store.assignment(id).await?;
            }
            store.assignments_order().await?
        }
        RuleChange::Rule { id, .. } => store.rule(id).await?.version,
    };
    Ok(reply::versioned(tag, state.review_rules(&store, change).await?))
}

/// Shows an assignment.
#[utoipa::path(get, path = "/v1/assignments/{id}", tag = "assignments", params(("id" = String, Path)),
    responses((status = 200, body = Assignment, headers(("ETag" = String))), Problems))]
async fn assignment_get(By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let assignment = store.assignment(&id).await?;
    Ok(reply::versioned(assignment.version, &assignment))
}

/// Changes an assignment or moves it.
#[utoipa::path(put, path = "/v1/assignments/{id}", tag = "assignments", request_body = AssignmentBody,
    params(("id" = String, Path)),
    responses((status = 200, body = Assignment, headers(("ETag" = String))), Problems))]
async fn assignment_update(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<AssignmentBody>,
) -> ApiResult<Response> {
    let assignment = store.assignment_update(&id, &body.into(), expected).await?;
    state.poke(Change::Assignments);
    Ok(reply::versioned(assignment.version, &assignment))
}

/// Ends an assignment: its rule no longer applies to whom it was assigned.
#[utoipa::path(delete, path = "/v1/assignments/{id}", tag = "assignments",
    params(("id" = String, Path)),
    responses((status = 204), Problems))]
async fn assignment_delete(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    store.assignment_delete(&id, expected).await?;
    state.poke(Change::Assignments);
    Ok(StatusCode::NO_CONTENT)
}
