//! `/v1/runs`: what was rated, is being rated, and why it came out so.

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
use super::extract::{By, IfMatch, Path, Query, page};
use super::reply;
use crate::clock::Moment;
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::rated::{RuleFinding, RunLogs};
use crate::jobs::Change;
use crate::store::{Page, Run, RunFilter, RunState, Store, StoreError};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(run_list))
        .routes(routes!(run_get))
        .routes(routes!(run_retry))
        .routes(routes!(run_explain))
        .routes(routes!(run_logs))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RunQuery {
    tenant_id: Option<String>,
    #[param(value_type = Option<String>, example = "2026-09")]
    period: Option<Period>,
    #[param(example = "USD")]
    currency: Option<String>,
    state: Option<RunState>,
    /// Only those that readers are shown.
    #[serde(default)]
    published: bool,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A run without what it is made of.
#[derive(Debug, Serialize, ToSchema)]
struct RunSummary {
    id: String,
    tenant_id: String,
    period: Period,
    currency: String,
    state: RunState,
    progress_done: u64,
    progress_total: u64,
    failure: Option<String>,
    charges: u64,
    billed: Option<Amount>,
    charged: Option<Amount>,
    rating_millis: Option<i64>,
    created_at: Moment,
    finished_at: Option<Moment>,
}

impl From<Run> for RunSummary {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            tenant_id: run.tenant_id,
            period: run.period,
            currency: run.currency,
            state: run.state,
            progress_done: run.progress_done,
            progress_total: run.progress_total,
            failure: run.failure,
            charges: run.charges,
            billed: run.billed,
            charged: run.charged,
            rating_millis: run.rating_millis,
            created_at: run.created_at,
            finished_at: run.finished_at,
        }
    }
}

/// A run as a tenant's people see it: when it was computed and what it charges.
#[derive(Debug, Serialize, ToSchema)]
struct TenantRun {
    id: String,
    tenant_id: String,
    period: Period,
    currency: String,
    state: RunState,
    charged: Option<Amount>,
    created_at: Moment,
    finished_at: Option<Moment>,
}

impl From<Run> for TenantRun {
    fn from(run: Run) -> Self {
        let Run { id, tenant_id, period, currency, state, charged, created_at, finished_at, .. } = run;
        Self { id, tenant_id, period, currency, state, charged, created_at, finished_at }
    }
}

/// The MSP's side, or the tenant's.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum RunView {
    Summary(RunSummary),
    Tenant(TenantRun),
}

/// The MSP's side, or the tenant's.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum RunShown {
    Full(Box<Run>),
    Tenant(TenantRun),
}

/// Whether the caller is on a tenant's side. Runs are of a whole tenant: who is limited to a part of it has the report and the lines.
fn is_of_tenant(store: &Store) -> ApiResult<bool> {
    match store.view().tenant() {
        Some(tenant) if tenant.accounts.is_some() => Err(ApiError::forbidden(
            "a run's total is of the whole tenant, and you are limited to cost centers: GET /v1/reports/charged has yours",
        )),
        tenant => Ok(tenant.is_some()),
    }
}

/// How a run gets from what was billed to what is charged.
#[derive(Debug, Serialize, ToSchema)]
struct Explanation {
    run_id: String,
    state: RunState,
    failure: Option<String>,
    billed: Option<Amount>,
    /// In the order in which the rules applied.
    steps: Vec<StepView>,
    charged: Option<Amount>,
    findings: Vec<RuleFinding>,
}

/// What one rule did.
#[derive(Debug, Serialize, ToSchema)]
struct StepView {
    rule_id: String,
    title: String,
    plugin: String,
    /// The component that ran.
    digest: String,
    #[schema(value_type = Object)]
    config: serde_json::Value,
    /// Charges that it changed, dropped, held or relabelled, and lines that it added.
    rows: Option<u64>,
    /// Customer cost after it minus before it.
    delta: Option<Amount>,
    /// The tenant's total behind it.
    charged: Option<Amount>,
}

/// Lists runs, oldest first.
#[utoipa::path(get, path = "/v1/runs", tag = "runs", params(RunQuery), responses((status = 200, body = Page<RunView>), Problems))]
async fn run_list(By(store): By, Query(query): Query<RunQuery>) -> ApiResult<Json<Page<RunView>>> {
    let of_tenant = is_of_tenant(&store)?;
    let page = page(query.limit, query.after)?;
    let (tenant_id, period, currency) = (query.tenant_id, query.period, query.currency);
    let filter = RunFilter { tenant_id, period, currency, state: query.state, published: query.published };
    let found = store.runs(&filter, &page).await?;
    let shown = |run: Run| if of_tenant { RunView::Tenant(run.into()) } else { RunView::Summary(run.into()) };
    Ok(Json(Page { items: found.items.into_iter().map(shown).collect(), next: found.next }))
}

/// Shows a run: its chain, totals, what each rule did, lines that rules added, findings, or why it failed.
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "runs", params(("id" = String, Path)), 
    responses((status = 200, body = RunShown, headers(("ETag" = String))), Problems))]
async fn run_get(By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let of_tenant = is_of_tenant(&store)?;
    let mut run = store.run(&id).await?;
    if of_tenant {
        return Ok(reply::versioned(run.tag(), RunShown::Tenant(run.into())));
    }
    let tag = run.tag();
    keep_seen(&store, &mut run.snapshots).await?;
    Ok(reply::versioned(tag, RunShown::Full(Box::new(run))))
}

/// Of a run's snapshots those that the caller sees: a month's are of all tenants.
async fn keep_seen(store: &Store, snapshots: &mut Vec<String>) -> ApiResult<()> {
    if store.view().is_everything() {
        return Ok(());
    }
    for id in std::mem::take(snapshots) {
        match store.snapshot(&id).await {
            Ok(_) => snapshots.push(id),
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Tries a failed run again, though nothing has changed. Only the newest of its tenant, period and currency.
#[utoipa::path(post, path = "/v1/runs/{id}/retry", tag = "runs", params(("id" = String, Path)),
    responses((status = 202, body = Run, headers(("ETag" = String))), Problems))]
async fn run_retry(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<Response> {
    let mut run = store.run_retry(&id, expected).await?;
    keep_seen(&store, &mut run.snapshots).await?;
    state.poke(Change::Runs);
    Ok((StatusCode::ACCEPTED, reply::versioned(run.tag(), &run)).into_response())
}

/// Explains a run rule by rule, from what was billed to what is charged.
#[utoipa::path(get, path = "/v1/runs/{id}/explain", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, body = Explanation), Problems))]
async fn run_explain(By(store): By, Path(id): Path<String>) -> ApiResult<Json<Explanation>> {
    Ok(Json(explain(store.run(&id).await?)))
}

/// Lists what the rules of a run wrote, in the order of the charges and the chain.
#[utoipa::path(get, path = "/v1/runs/{id}/logs", tag = "runs", params(("id" = String, Path)), responses((status = 200, body = RunLogs), Problems))]
async fn run_logs(By(store): By, Path(id): Path<String>) -> ApiResult<Json<RunLogs>> {
    Ok(Json(store.run_logs(&id).await?))
}

fn explain(run: Run) -> Explanation {
    let mut charged = run.billed;
    let mut effects = run.by_rule.into_iter();
    let steps = run.chain.into_iter().map(|entry| {
        let effect = effects.next();
        let delta = effect.as_ref().map(|effect| effect.delta);
        charged = charged.zip(delta).and_then(|(charged, delta)| charged.checked_add(delta));
        StepView {
            rule_id: entry.rule_id,
            title: entry.title,
            plugin: entry.plugin,
            digest: entry.digest,
            config: entry.config,
            rows: effect.map(|effect| effect.rows),
            delta,
            charged,
        }
    });
    Explanation {
        run_id: run.id,
        state: run.state,
        failure: run.failure,
        billed: run.billed,
        steps: steps.collect(),
        charged: run.charged,
        findings: run.findings,
    }
}
