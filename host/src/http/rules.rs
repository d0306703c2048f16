//! `/v1/rules`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{Body, By, IfMatch, PageQuery, Path, Query};
use super::reply;
use crate::jobs::change::Change;
use crate::jobs::rule_review::{RuleChange, RuleReview};
use crate::store::{Page, Rule, RuleFields};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(rule_list, rule_create))
        .routes(routes!(rule_get, rule_update, rule_delete))
        .routes(routes!(rule_review))
}

/// A rule as the caller wants it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "5 % on everything", "plugin": "markup", "config": {"percent": "5"}}))]
struct RuleBody {
    /// Unique, whatever its case. Tenants' bills name it as the reason of a change.
    #[schema(max_length = 200)]
    title: String,
    /// A plugin's name.
    plugin: String,
    /// A version of the plugin to stay with; null follows the active one.
    #[serde(default)]
    pinned_digest: Option<String>,
    /// As the plugin's schema says; the plugin checks it.
    #[schema(value_type = Object)]
    config: Value,
}

impl From<RuleBody> for RuleFields {
    fn from(body: RuleBody) -> Self {
        Self { title: body.title, plugin: body.plugin, pinned_digest: body.pinned_digest, config: body.config }
    }
}

/// Lists rules, oldest first.
#[utoipa::path(get, path = "/v1/rules", tag = "rules", params(PageQuery), responses((status = 200, body = Page<Rule>), Problems))]
async fn rule_list(State(state): State<AppState>, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Rule>>> {
    Ok(Json(state.store.rules(&page.request()?).await?))
}

/// Creates a rule. It applies to nobody until it is assigned.
#[utoipa::path(post, path = "/v1/rules", tag = "rules", request_body = RuleBody,
    responses((status = 201, body = Rule, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn rule_create(State(state): State<AppState>, By(store): By, Body(body): Body<RuleBody>) -> ApiResult<Response> {
    state.check_rule(&body.plugin, body.pinned_digest.as_deref(), &body.config).await?;
    let rule = store.rule_create(&body.into()).await?;
    state.poke(Change::Rules);
    Ok(reply::created(&format!("/v1/rules/{}", rule.id), rule.version, &rule))
}

/// Shows a rule.
#[utoipa::path(get, path = "/v1/rules/{id}", tag = "rules", params(("id" = String, Path)),
    responses((status = 200, body = Rule, headers(("ETag" = String))), Problems))]
async fn rule_get(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Response> {
    let rule = state.store.rule(&id).await?;
    Ok(reply::versioned(rule.version, &rule))
}

/// Changes a rule. The months that it applies to are rated again at once.
#[utoipa::path(put, path = "/v1/rules/{id}", tag = "rules", request_body = RuleBody,
    params(("id" = String, Path)),
    responses((status = 200, body = Rule, headers(("ETag" = String))), Problems))]
async fn rule_update(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<RuleBody>,
) -> ApiResult<Response> {
    state.check_rule(&body.plugin, body.pinned_digest.as_deref(), &body.config).await?;
    let rule = store.rule_update(&id, &body.into(), expected).await?;
    state.poke(Change::Rules);
    Ok(reply::versioned(rule.version, &rule))
}

/// Tells which months a change of a rule would rate again, before it is saved. Nothing is stored; what customers would be charged is for a
/// preview. The `ETag` is the rule's, by which it is changed.
#[utoipa::path(post, path = "/v1/rules/{id}/review", tag = "rules", request_body = RuleBody, params(("id" = String, Path)),
    responses((status = 200, body = RuleReview, headers(("ETag" = String))), Problems))]
async fn rule_review(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    Body(body): Body<RuleBody>,
) -> ApiResult<Response> {
    state.check_rule(&body.plugin, body.pinned_digest.as_deref(), &body.config).await?;
    let tag = store.rule(&id).await?.version;
    Ok(reply::versioned(tag, state.review_rules(&store, RuleChange::Rule { id, fields: body.into() }).await?))
}

/// Deletes a rule that is in no assignment.
#[utoipa::path(delete, path = "/v1/rules/{id}", tag = "rules",
    params(("id" = String, Path)),
    responses((status = 204), Problems))]
async fn rule_delete(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    store.rule_delete(&id, expected).await?;
    state.poke(Change::Rules);
    Ok(StatusCode::NO_CONTENT)
}
