//! `/v1/health` and `/v1/whoami`: whether the service answers, and to whom.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::auth::{Caller, Credential};
use super::errors::{ApiResult, Problems};
use crate::domain::access::{Organisation, Role};
use crate::store::{PageRequest, TenantFilter};

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

/// Who calls, and as what.
#[derive(Debug, Serialize, ToSchema)]
struct Whoami {
    /// A person's e-mail address or the token's name.
    name: String,
    /// The person's id; null for a service's token.
    user_id: Option<String>,
    token_id: Option<String>,
    session_id: Option<String>,
    /// Where they belong.
    organisation: Organisation,
    /// What they are there.
    role: Role,
    /// The tenant in which they act as Manager User.
    acting_in: Option<String>,
    /// The tenants that they see; null for all.
    tenants: Option<Vec<String>>,
}

/// Shows who calls, and as what.
#[utoipa::path(get, path = "/v1/whoami", tag = "session", responses((status = 200, body = Whoami), Problems))]
async fn whoami(Extension(caller): Extension<Caller>) -> Json<Whoami> {
    let (token_id, session_id) = match &caller.by {
        Credential::Token(token) => (Some(token.id.clone()), None),
        Credential::Session(session) => (None, Some(session.id.clone())),
    };
    let seen = |text: &str| text.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
    Json(Whoami {
        token_id,
        session_id,
        user_id: caller.user.map(|user| user.id),
        name: caller.actor.name,
        organisation: caller.home,
        role: caller.role,
        acting_in: caller.acting,
        tenants: caller.view.seen().map(seen),
    })
}
