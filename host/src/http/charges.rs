//! `/v1/charges/{key}/provenance`: one line of a bill, from what was billed to what is charged.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{By, Path, Query};
use super::lines::published;
use crate::domain::period::Period;
use crate::jobs::replay::{Provenance, TenantLine};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(charge_provenance))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ProvenanceQuery {
    /// The tenant's id.
    tenant: String,
    #[param(value_type = String, example = "2026-09")]
    period: Period,
    /// Needed where the tenant has bills in several.
    currency: Option<String>,
    /// `full`, or `tenant` for what the tenant may see of it.
    #[serde(default)]
    #[param(inline)]
    view: View,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum View {
    #[default]
    Full,
    Tenant,
}

/// By the view that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum ProvenanceView {
    Full(Box<Provenance>),
    Tenant(TenantLine),
}

/// Walks one line of a tenant's published bill through its chain: each rule with its plugin, version and digest, why it touched the line,
/// and the amount before and after. `key` is a line's `key` in the list of lines: the source's own key, else the line's place. Computed by
/// rating the recorded inputs again with the line watched; what comes out must be what is published. `view=tenant` answers with a
/// `TenantLine`, as for a tenant's own people: what the tenant may see, without what was billed, excluded or adjusted.
#[utoipa::path(get, path = "/v1/charges/{key}/provenance", tag = "lines", params(("key" = String, Path), ProvenanceQuery),
    responses((status = 200, body = ProvenanceView), Problems))]
async fn charge_provenance(
    State(state): State<AppState>,
    By(store): By,
    Path(key): Path<String>,
    Query(query): Query<ProvenanceQuery>,
) -> ApiResult<Json<ProvenanceView>> {
    let run = published(&store, &query.tenant, query.period, query.currency.as_deref()).await?;
    let replayer = state.replayer()?;
    if let Some(own) = store.view().tenant() {
        let line = replayer.tenant_line(&run.id, &key, own.accounts.clone()).await?;
        return Ok(Json(ProvenanceView::Tenant(line)));
    }
    Ok(Json(match query.view {
        View::Full => ProvenanceView::Full(Box::new(replayer.provenance(&run.id, &key).await?)),
        View::Tenant => ProvenanceView::Tenant(replayer.tenant_line(&run.id, &key, None).await?),
    }))
}
