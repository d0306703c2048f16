//! `/v1/audit`: who changed what.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{By, Path, Query, page};
use crate::clock::Moment;
use crate::store::{AuditEntry, AuditFilter, ChainVerdict, Page};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(audit_list)).routes(routes!(audit_verify)).routes(routes!(audit_get))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// Changes of one kind of thing: `rule`, `plugin`, ...
    noun: Option<String>,
    /// Changes of one thing: its id or name.
    subject: Option<String>,
    /// Changes by one person or token, by e-mail address, name or id.
    actor: Option<String>,
    /// Changes of what is a tenant's, and what people of the MSP did while they acted in it.
    tenant_id: Option<String>,
    /// Changes from this time on.
    #[param(value_type = Option<String>, example = "2026-09-01T00:00:00Z")]
    from: Option<Moment>,
    /// Changes before this time.
    #[param(value_type = Option<String>, example = "2026-10-01T00:00:00Z")]
    until: Option<Moment>,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Lists changes, the latest first: who, what, before and after. A tenant's Owners have what happened in their organisation; what people of
/// the MSP did there is a Manager User's, and what the MSP keeps to itself is not in it.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery), responses((status = 200, body = Page<AuditEntry>), Problems))]
async fn audit_list(By(store): By, Query(query): Query<AuditQuery>) -> ApiResult<Json<Page<AuditEntry>>> {
    let page = page(query.limit, query.after.clone())?;
    let AuditQuery { noun, subject, actor, tenant_id, from, until, .. } = query;
    let filter = AuditFilter { noun, subject, actor, tenant_id, from, until };
    Ok(Json(store.audit_entries(&filter, &page).await?))
}

/// Computes the log's chain of hashes again: intact, or the first change that is not what was written down.
#[utoipa::path(get, path = "/v1/audit/verify", tag = "audit", responses((status = 200, body = ChainVerdict), Problems))]
async fn audit_verify(State(state): State<AppState>) -> ApiResult<Json<ChainVerdict>> {
    Ok(Json(state.store.audit_verify().await?))
}

/// Shows a change.
#[utoipa::path(get, path = "/v1/audit/{id}", tag = "audit", params(("id" = String, Path)),
    responses((status = 200, body = AuditEntry), Problems))]
async fn audit_get(By(store): By, Path(id): Path<String>) -> ApiResult<Json<AuditEntry>> {
    Ok(Json(store.audit_entry(&id).await?))
}
