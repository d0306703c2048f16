//! `/v1/sessions`: where people are signed in. Everybody sees and ends their own; an Owner has those of the organisation's people. What a
//! browser does with the session that it is in is at `/v1/session`.

use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::auth::{Caller, Credential};
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{By, IfMatch, Path, Query, page};
use super::reply;
use crate::domain::access::{Organisation, Role};
use crate::store::{Page, Session, SessionsOf, Store};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(session_list, sessions_end)).routes(routes!(session_show, session_close))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct SessionQuery {
    /// Somebody else, for an Owner; absent: one's own.
    user_id: Option<String>,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct WhoseQuery {
    /// Somebody else, for an Owner: all of their sessions end. Absent: one's own but this one.
    user_id: Option<String>,
}

/// Where somebody is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct SignedIn {
    #[serde(flatten)]
    session: Session,
    /// Whether it is the one that asks.
    current: bool,
}

impl SignedIn {
    fn of(session: Session, caller: &Caller) -> Self {
        let current = this(caller) == Some(&*session.id);
        Self { session, current }
    }
}

/// The session in which the caller is.
fn this(caller: &Caller) -> Option<&str> {
    match &caller.by {
        Credential::Session(session) => Some(&session.id),
        Credential::Token(_) => None,
    }
}

/// One's own, wherever they are; but who was vouched for by an organisation's provider, or shows a token of it, has those there. A service
/// has none.
fn own(caller: &Caller) -> SessionsOf {
    let everywhere = matches!(&caller.by, Credential::Session(session) if session.issuer.is_none());
    let organisation = (!everywhere).then(|| caller.home.clone());
    SessionsOf { user_id: caller.user.as_ref().map(|user| user.id.clone()).unwrap_or_default(), organisation }
}

/// Somebody's, for an Owner: the MSP's have them all, a tenant's those in the tenant.
fn of_person(caller: &Caller, user_id: String) -> SessionsOf {
    let organisation = Some(caller.organisation()).filter(|organisation| *organisation != Organisation::Msp);
    SessionsOf { user_id, organisation }
}

/// Whose sessions the caller asks for, if they may.
async fn asked(caller: &Caller, store: &Store, user_id: Option<String>) -> ApiResult<SessionsOf> {
    let own = own(caller);
    match user_id {
        Some(other) if own.user_id != other => {
            caller.require(Role::Owner, "having to do with somebody else's sessions")?;
            store.user(&other).await?;
            Ok(of_person(caller, other))
        }
        _ => Ok(own),
    }
}

/// A session that the caller may have to do with.
async fn seen(caller: &Caller, store: &Store, id: &str) -> ApiResult<Session> {
    let session = store.session(id).await?;
    let governed = caller.role == Role::Owner && of_person(caller, session.user_id.clone()).has(&session);
    if governed || own(caller).has(&session) {
        return Ok(session);
    }
    Err(ApiError::not_found(format!("there is no session {id}")))
}

/// Lists where one is signed in, oldest first; for an Owner, where somebody else is. The `ETag` is of all of them.
#[utoipa::path(get, path = "/v1/sessions", tag = "session", params(SessionQuery),
    responses((status = 200, body = Page<SignedIn>, headers(("ETag" = String))), Problems))]
async fn session_list(Extension(caller): Extension<Caller>, By(store): By, Query(query): Query<SessionQuery>) -> ApiResult<Response> {
    let page = page(query.limit, query.after)?;
    let of = asked(&caller, &store, query.user_id).await?;
    // Before the list: if one begins in between, what was read is refused rather than what was not.
    let tag = store.sessions_tag(&of).await?;
    let found = store.sessions(&of, &page).await?;
    let items = found.items.into_iter().map(|session| SignedIn::of(session, &caller)).collect();
    Ok(reply::versioned(tag, Page::<SignedIn> { items, next: found.next }))
}

/// Signs out everywhere else: ends one's own sessions but this one, or, for an Owner, all of somebody's. `If-Match` takes the `ETag` of the
/// list.
#[utoipa::path(delete, path = "/v1/sessions", tag = "session", params(WhoseQuery), responses((status = 204), Problems))]
async fn sessions_end(
    Extension(caller): Extension<Caller>,
    By(store): By,
    Query(query): Query<WhoseQuery>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    let of = asked(&caller, &store, query.user_id).await?;
    store.sessions_end(&of, this(&caller), expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows a session: one's own, or of the organisation's people for an Owner.
#[utoipa::path(get, path = "/v1/sessions/{id}", tag = "session", params(("id" = String, Path)),
    responses((status = 200, body = SignedIn, headers(("ETag" = String))), Problems))]
async fn session_show(Extension(caller): Extension<Caller>, By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let session = seen(&caller, &store, &id).await?;
    Ok(reply::versioned(session.tag(), SignedIn::of(session, &caller)))
}

/// Ends a session, at once: one's own, or of the organisation's people for an Owner.
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "session", params(("id" = String, Path)), responses((status = 204), Problems))]
async fn session_close(
    Extension(caller): Extension<Caller>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    seen(&caller, &store, &id).await?;
    store.session_end(&id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
