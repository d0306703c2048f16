//! `/v1/tenants/import`: tenants from a list or from a partner's file.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Everywhere, Query};
use super::roster;
use crate::domain::period::Period;
use crate::jobs::change::Change;
use crate::store::{RosterChange, RosterFault, RosterOutcome};

/// Bytes of a list: a partner's usage file of a large month.
const MAX_LIST: usize = 256 << 20;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(tenants_import)).layer(DefaultBodyLimit::max(MAX_LIST))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ImportQuery {
    /// Only tell what would be done.
    #[serde(default)]
    dry_run: bool,
    /// The first billing period in which the tenants hold their subaccounts; absent for always.
    #[param(value_type = Option<String>, example = "2026-09")]
    from_period: Option<Period>,
}

/// What the list did, or would do.
#[derive(Debug, Serialize, ToSchema)]
struct Imported {
    dry_run: bool,
    created: usize,
    updated: usize,
    kept: usize,
    /// Subaccounts that are given to a tenant.
    assigned: usize,
    tenants: Vec<RosterChange>,
}

/// Makes or updates tenants from a CSV file and gives them their subaccounts: all, or none where anything is wrong. The file has the
/// columns `name`, `contact`, `subaccounts` (separated by `;`) and `external_id`, or is a partner's usage file with `CustomerName`,
/// `CustomerTenantId` and `SubscriptionId`. The same file again changes nothing.
#[utoipa::path(post, path = "/v1/tenants/import", tag = "tenants", params(ImportQuery), request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Imported), Problems))]
async fn tenants_import(
    State(state): State<AppState>,
    Everywhere(store): Everywhere,
    Query(query): Query<ImportQuery>,
    body: Bytes,
) -> ApiResult<Json<Imported>> {
    let read = tokio::task::spawn_blocking(move || roster::read(&body)).await.map_err(ApiError::internal)?;
    let mut roster = read.map_err(|faults| refused(&faults))?;
    roster.from_period = query.from_period;
    let tenants = match store.tenants_import(&roster, query.dry_run).await? {
        RosterOutcome::Done(tenants) => tenants,
        RosterOutcome::Refused(faults) => return Err(refused(&faults)),
    };
    if !query.dry_run {
        state.poke(Change::Tenants);
        state.poke(Change::Subaccounts);
    }
    let count = |action| tenants.iter().filter(|change| change.action == action).count();
    use crate::store::RosterAction::{Create, Keep, Update};
    Ok(Json(Imported {
        dry_run: query.dry_run,
        created: count(Create),
        updated: count(Update),
        kept: count(Keep),
        assigned: tenants.iter().map(|change| change.assigned.len()).sum(),
        tenants,
    }))
}

fn refused(faults: &[RosterFault]) -> ApiError {
    let place = |fault: &RosterFault| {
        let column = if fault.column.is_empty() { String::new() } else { format!(", column {}", fault.column) };
        (format!("line {}{column}", fault.line), fault.detail.clone())
    };
    ApiError::invalid_places(faults.iter().map(place))
}
