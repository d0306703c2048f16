//! `/v1/sessions` and `/v1/session`: signing in with a password, and what a signed-in browser can do with its session.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::auth::{self, Caller, Credential};
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, IfMatch, Origin, Path};
use super::idempotency::REPLAYED;
use super::once::{self, Asked, Begun, Key};
use super::reply;
use crate::domain::access::{Organisation, Role};
use crate::signin::cookie;
use crate::signin::password;
use crate::signin::secret::{self, Secret};
use crate::store::{Actor, Membership, NewSession, Session, User, View, unchanged};

/// What answers to everybody.
pub(super) fn open_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(session_begin))
}

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(session_get, session_switch, session_end))
        .routes(routes!(session_password))
        .routes(routes!(session_leave))
        .routes(routes!(tenant_enter))
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ann@msp.example", "password": "correct horse battery"}))]
struct SignInBody {
    email: String,
    password: String,
    /// In which of the person's organisations; absent: the MSP's if they are in it, else the first tenant's that is not suspended.
    #[serde(default)]
    organisation: Option<Organisation>,
}

/// In which organisation to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organisation": "msp"}))]
struct SwitchBody {
    organisation: Organisation,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    /// The password as it is; absent where there is none yet.
    #[serde(default)]
    current: Option<String>,
    /// 12 to 200 characters, and not the e-mail address.
    new: String,
}

/// A session, and what its page needs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    session: Session,
    user: User,
    role: Role,
    /// The tenant in which a person of the MSP acts as Manager User.
    acting_in: Option<String>,
    /// Everything that the person is, anywhere.
    memberships: Vec<Membership>,
    /// To be sent with every change, as the header `Rerate-CSRF`.
    csrf: String,
}

/// Signs in: the answer sets the session's cookie. After some failures of an account or an address the next attempt must wait, longer each
/// time. The answer is the same whether the account exists or not.
#[utoipa::path(post, path = "/v1/sessions", tag = "session", security(()), request_body = SignInBody,
    responses((status = 201, body = SessionView), Problems))]
async fn session_begin(State(state): State<AppState>, origin: Origin, Key(key): Key, Body(body): Body<SignInBody>) -> ApiResult<Response> {
    auth::own_page(&origin.headers)?;
    let user = signed_in(&state, &origin, &body.email, &body.password).await?;
    let memberships = state.store.memberships(&user.id).await?;
    // The MSP sorts before every tenant.
    let theirs = memberships.into_iter().map(|membership| membership.organisation);
    let mut wanted = theirs.filter(|organisation| body.organisation.as_ref().is_none_or(|wanted| wanted == organisation));
    let mut organisation = wanted.next().ok_or_else(wrong)?;
    for other in wanted {
        if auth::admitted(&state.store, &organisation).await.is_ok() {
            break;
        }
        organisation = other; // the first is suspended, and nobody asked for it by name
    }
    let asked = format!("/v1/sessions {}", body.organisation.as_ref().map_or("", Organisation::name));
    match once::ask(&state, user.id.clone(), key, &origin, &asked).await? {
        Asked::Again(begun, _) => Ok(began(begun, &origin, true)),
        Asked::First(once) => {
            let address = origin.address.clone();
            let begun = once.begin(async move { begin(&state, user, organisation, address).await }).await?;
            Ok(began(begun, &origin, false))
        }
    }
}

/// The person with this address and password. What cannot be known apart from outside: no such account, no password, a wrong one.
pub(super) async fn signed_in(state: &AppState, origin: &Origin, email: &str, text: &str) -> ApiResult<User> {
    state.doorkeeper.attempt(&state.store, email, origin.address.as_deref()).await?;
    let known = state.store.user_by_email(email).await?;
    let (user, stored) = known.map_or((None, None), |(user, stored)| (Some(user), stored));
    let right = state.doorkeeper.verify(text.to_owned(), stored).await?;
    match user.filter(|_| right) {
        Some(user) => {
            state.doorkeeper.succeeded(&state.store, email, origin.address.as_deref()).await?;
            Ok(user)
        }
        None => Err(wrong()),
    }
}

fn wrong() -> ApiError {
    ApiError::not_signed_in("the e-mail address or the password is wrong, or this is not an organisation of theirs")
}

/// Begins a session of somebody who has shown who they are.
pub(super) async fn begin(state: &AppState, user: User, organisation: Organisation, address: Option<String>) -> ApiResult<Begun> {
    let secret = Secret::new(&state.store.clock().random(), "");
    let actor = Actor { name: user.email.clone(), id: Some(user.id.clone()), organisation: organisation.clone(), acting_in: None, address };
    let store = state.store.on_behalf(actor, View::Everything);
    let new = NewSession { user_id: user.id.clone(), organisation, sha256: secret.hash(), issuer: None };
    let session = store.session_begin(&new).await?;
    let memberships = store.memberships(&user.id).await?;
    let role = memberships.iter().find(|membership| membership.organisation == session.organisation).map(|membership| membership.role);
    let role = role.ok_or_else(wrong)?;
    let view = SessionView { session, user, role, acting_in: None, memberships, csrf: cookie::proof(secret.text()) };
    Ok(Begun { secret: secret.text().to_owned(), view: serde_json::to_value(view).map_err(ApiError::internal)? })
}

/// The answer to whoever began a session, or began it before with the same request.
pub(super) fn began(begun: Begun, origin: &Origin, before: bool) -> Response {
    let mut response = (StatusCode::CREATED, Json(begun.view)).into_response();
    put_cookie(&mut response, &cookie::set(&begun.secret, origin.host()));
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/v1/session"));
    if before {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

fn put_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

/// The session of a caller who has one.
fn own(caller: &Caller) -> ApiResult<(&Session, &User)> {
    match (&caller.by, &caller.user) {
        (Credential::Session(session), Some(user)) => Ok((session, user)),
        _ => Err(ApiError::not_found("a token has no session; it acts in a tenant by the header Rerate-Tenant")),
    }
}

async fn shown(state: &AppState, caller: &Caller, session: Session, headers: &HeaderMap) -> ApiResult<SessionView> {
    let (_, user) = own(caller)?;
    let memberships = state.store.memberships(&user.id).await?;
    let member = memberships.iter().find(|membership| membership.organisation == session.organisation);
    let role = member.ok_or_else(ApiError::unauthorized)?.role;
    let secret = cookie::secret(headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok())).unwrap_or_default();
    let acting_in = session.entered.clone();
    Ok(SessionView { session, user: user.clone(), role, acting_in, memberships, csrf: cookie::proof(secret) })
}

/// Shows the session: who, as what, and the proof that changes need. The `ETag` is of the person, for `PUT /v1/session/password`.
#[utoipa::path(get, path = "/v1/session", tag = "session",
    responses((status = 200, body = SessionView, headers(("ETag" = String))), Problems))]
async fn session_get(State(state): State<AppState>, Extension(caller): Extension<Caller>, headers: HeaderMap) -> ApiResult<Response> {
    let (session, user) = own(&caller)?;
    Ok(reply::versioned(user.version, shown(&state, &caller, session.clone(), &headers).await?))
}

/// Goes on in another of the person's own organisations.
#[utoipa::path(put, path = "/v1/session", tag = "session", request_body = SwitchBody,
    responses((status = 200, body = SessionView), Problems))]
async fn session_switch(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    By(store): By,
    headers: HeaderMap,
    Body(body): Body<SwitchBody>,
) -> ApiResult<Json<SessionView>> {
    let session = store.session_switch(&own(&caller)?.0.id, &body.organisation).await?;
    Ok(Json(shown(&state, &caller, session, &headers).await?))
}

/// Signs out.
#[utoipa::path(delete, path = "/v1/session", tag = "session", responses((status = 204), Problems))]
async fn session_end(Extension(caller): Extension<Caller>, By(store): By, origin: Origin) -> ApiResult<Response> {
    store.session_end(&own(&caller)?.0.id, None).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    put_cookie(&mut response, &cookie::clear(origin.host()));
    Ok(response)
}

/// Changes one's own password. Every other session of the person ends.
#[utoipa::path(put, path = "/v1/session/password", tag = "session", request_body = PasswordBody,
    responses((status = 204), Problems))]
async fn session_password(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    By(store): By,
    origin: Origin,
    IfMatch(expected): IfMatch,
    Body(body): Body<PasswordBody>,
) -> ApiResult<StatusCode> {
    let (session, user) = own(&caller)?;
    if session.issuer.is_some() {
        // A provider of one organisation must not give somebody a way into the others.
        return Err(ApiError::forbidden("you came in through your organisation's provider, and need no password here"));
    }
    unchanged("user", &user.id, user.version, expected)?; // before the passwords are compared, and once more when it is set
    if user.has_password {
        let current = body.current.as_deref().unwrap_or_default();
        let known = signed_in(&state, &origin, &user.email, current).await;
        known
            .map_err(|error| if error.is_unauthorized() { ApiError::invalid_at("/current", "this is not the password") } else { error })?;
    }
    password::check(&body.new, &user.email).map_err(|error| ApiError::invalid_at("/new", error.to_string()))?;
    let hash = state.doorkeeper.hash(body.new, state.store.clock().random()).await?;
    store.user_set_password(&user.id, &hash, Some(&session.id), expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Enters a tenant as Manager User: until it is left, every call is made in the tenant, with one's own role there. Answers carry the header
/// `Rerate-Acting`, and the log of changes names both. A token enters by the header `Rerate-Tenant`, for one call.
#[utoipa::path(post, path = "/v1/tenants/{id}/enter", tag = "session", params(("id" = String, Path)),
    responses((status = 200, body = SessionView), Problems))]
async fn tenant_enter(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Json<SessionView>> {
    let entered = auth::enter(&state.store, caller, id).await?;
    let store = state.store.on_behalf(entered.actor.clone(), entered.view.clone());
    let session = store.session_enter(&own(&entered)?.0.id, entered.acting.as_deref()).await?;
    Ok(Json(shown(&state, &entered, session, &headers).await?))
}

/// Leaves the tenant that was entered.
#[utoipa::path(post, path = "/v1/session/leave", tag = "session", responses((status = 200, body = SessionView), Problems))]
async fn session_leave(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    By(store): By,
    headers: HeaderMap,
) -> ApiResult<Json<SessionView>> {
    let session = store.session_enter(&own(&caller)?.0.id, None).await?;
    Ok(Json(shown(&state, &caller, session, &headers).await?))
}

/// A secret as it is looked up.
pub(super) fn known_as(text: &str) -> String {
    secret::hash(text.trim())
}
