//! The index of the service.

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::errors::ApiError;
use super::trace::{self, Boundary};
use super::{
    AppState, assignments, audit, auth, charged, charges, cost_centers, deployments, described, domains, events, idempotency, integrations,
    invitations, keys, limits, lines, metrics, openapi, openid, overlaps, plugins, previews, quotas, ready, reports, rules, runs, secrets,
    session, sessions, shadows, signing_in, snapshots, subaccounts, teams, tenant_import, tenants, tokens, users, verify, virtuals,
};

/// Bytes of a JSON body: the largest configuration of a rule is half of it.
pub(super) const MAX_JSON: usize = 2 << 20;

/// What answers only to a caller who is known.
fn guarded() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::described())
        .merge(session::routes())
        .merge(openapi::routes())
        .merge(tenants::routes())
        .merge(tenant_import::routes())
        .merge(domains::routes())
        .merge(quotas::routes())
        .merge(integrations::routes())
        .merge(secrets::routes())
        .merge(virtuals::routes())
        .merge(snapshots::routes())
        .merge(subaccounts::routes())
        .merge(rules::routes())
        .merge(assignments::routes())
        .merge(plugins::routes())
        .merge(deployments::routes())
        .merge(keys::routes())
        .merge(audit::routes())
        .merge(runs::routes())
        .merge(verify::routes())
        .merge(reports::routes())
        .merge(charged::routes())
        .merge(overlaps::routes())
        .merge(lines::routes())
        .merge(charges::routes())
        .merge(previews::routes())
        .merge(shadows::routes())
        .merge(events::routes())
        .merge(signing_in::routes())
        .merge(sessions::routes())
        .merge(users::routes())
        .merge(teams::routes())
        .merge(cost_centers::routes())
        .merge(tokens::routes())
        .merge(invitations::routes())
        .merge(metrics::routes())
        .merge(openid::routes())
}

/// What answers to everybody.
fn open_routes() -> OpenApiRouter<AppState> {
    session::open_routes()
        .merge(ready::open_routes())
        .merge(signing_in::open_routes())
        .merge(invitations::open_routes())
        .merge(openid::open_routes())
}

/// What the service says of itself.
pub fn document() -> OpenApi {
    let mut document = guarded().into_openapi();
    document.merge(open_routes().into_openapi());
    described::complete(document)
}

/// All of the service. Every address but those that say so wants a token or a session, those that do not exist as well.
pub fn router(state: AppState) -> Router {
    let (guarded, _) = guarded().split_for_parts();
    let guarded = guarded
        .fallback(async || ApiError::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(middleware::from_fn_with_state(state.clone(), idempotency::replay))
        .layer(middleware::from_fn_with_state(state.clone(), limits::by_caller))
        .layer(middleware::from_fn_with_state(state.clone(), auth::guard));
    let (open, _) = open_routes().split_for_parts();
    let boundary = Boundary::new(state.store.clock().clone(), state.metrics.clone());
    guarded
        .merge(open)
        .layer(middleware::from_fn_with_state(state.clone(), limits::by_address))
        .layer(CatchPanicLayer::custom(trace::panicked))
        .layer(DefaultBodyLimit::max(MAX_JSON))
        .layer(middleware::from_fn_with_state(boundary, trace::boundary))
        .with_state(state)
}
