//! `/v1/health` and `/v1/whoami`

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::auth::Caller;
use super::errors::{ApiResult, Problems};
use crate::store::{PageRequest, TenantFilter, Token};

/// What answers without a token.
pub(super) fn open_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health))
}

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(whoami))
}

#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`
    status: &'static str,
    version: &'static str,
}

/// Says whether the daemon answers and its database does.
#[utoipa::path(get, path = "/v1/health", tag = "session", security(()), responses((status = 200, body = Health), Problems))]
async fn health(State(state): State<AppState>) -> ApiResult<Json<Health>> {
    state.store.tenants(&TenantFilter::default(), &PageRequest::new(Some(1), None)).await?;
    Ok(Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") }))
}

/// Shows whose token the call carries.
#[utoipa::path(get, path = "/v1/whoami", tag = "session", responses((status = 200, body = Token), Problems))]
async fn whoami(Extension(Caller(token)): Extension<Caller>) -> Json<Token> {
    Json(token)
}
