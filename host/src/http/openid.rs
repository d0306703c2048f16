//! `/v1/organisations/{id}/sign-in` and `/v1/sign-in/...`: an organisation's OpenID Connect provider, and signing in through it.
//!
//! Between the two redirects the attempt is in a sealed cookie of the browser that began it: nothing is stored for visitors, and an answer
//! that another browser brings is refused. The session that comes of it stays in the organisation whose provider vouched.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::auth::admitted;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, IfMatch, Origin, Path, Query};
use super::reply;
use crate::domain::access::Organisation;
use crate::signin::cookie;
use crate::signin::oidc::{Attempt, Drawn, OidcError, Registration, Returned};
use crate::signin::secret::Secret;
use crate::store::{ABSENT, Actor, Admission, ClientSecret, GroupRole, NewSession, SignIn, SignInFields, Vouched, unchanged};

/// How long somebody may take at their provider, in milliseconds: a password, a second factor, a telephone that must be found.
const ATTEMPT_MILLIS: i64 = 10 * 60 * 1_000;

/// The cookie of an attempt.
const ATTEMPT: &str = "rerate_sign_in";

/// What an attempt is sealed for.
const ATTEMPT_PLACE: &str = "sign-in attempt";

/// Bytes of the page to return to.
const MAX_RETURN: usize = 1_000;

/// Where somebody goes who did not say where to.
const HOME: &str = "/v1/whoami";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(sign_in_get, sign_in_set, sign_in_delete))
}

/// What answers without a token or a session.
pub(super) fn open_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(sign_in_begin)).routes(routes!(sign_in_callback))
}

/// A provider as the caller wants it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"issuer": "https://login.acme.example", "client_id": "rerate", "client_secret": "...", "scopes": ["email", "groups"],
    "group_claim": "groups", "roles": [{"group": "finance", "role": "editor"}], "just_in_time": true}))]
struct SignInBody {
    /// As the provider's description spells it; https, or http to the daemon's own machine.
    #[schema(max_length = 4096)]
    issuer: String,
    /// As the provider knows this daemon. Register `redirect_uri` of the answer there.
    #[schema(max_length = 200)]
    client_id: String,
    /// Absent: the one that is kept stays. Null: a public client without any. Kept encrypted and never shown.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    client_secret: Option<Option<String>>,
    /// Asked for beside `openid`; `email` and `profile` if absent.
    #[serde(default = "usual_scopes")]
    scopes: Vec<String>,
    /// The claim that lists a person's groups: a name, or a path with dots; `groups` if absent.
    #[serde(default = "usual_claim")]
    group_claim: String,
    /// The first whose group a person is in says what they are.
    #[serde(default)]
    roles: Vec<GroupRole>,
    /// Whether passwords are refused for this organisation.
    #[serde(default)]
    enforced: bool,
    /// Whether people become members at their first sign-in, as what their groups say.
    #[serde(default)]
    just_in_time: bool,
    /// Whether an address counts that the provider does not say it has checked.
    #[serde(default)]
    unverified_email: bool,
}

fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What is asked for beside `openid` where nobody says what.
pub fn usual_scopes() -> Vec<String> {
    vec!["email".to_owned(), "profile".to_owned()]
}

/// The claim that lists a person's groups where nobody names another.
pub fn usual_claim() -> String {
    "groups".to_owned()
}

/// A provider as it is kept, and where it is used.
#[derive(Serialize, ToSchema)]
struct SignInShown {
    #[serde(flatten)]
    settings: SignIn,
    /// To be registered at the provider.
    redirect_uri: String,
    /// Where the organisation's people begin.
    begin: String,
}

fn shown(state: &AppState, settings: SignIn) -> SignInShown {
    let begin = format!("{}/v1/sign-in/{}", state.public_url(), settings.organisation);
    SignInShown { settings, redirect_uri: redirect_uri(state), begin }
}

fn redirect_uri(state: &AppState) -> String {
    format!("{}/v1/sign-in/callback", state.public_url())
}

/// The organisation of the address. One that cannot be is told as one that is not there, before anything else of the request is read.
struct Of(Organisation);

impl FromRequestParts<AppState> for Of {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await?;
        id.parse().map(Self).map_err(|_| ApiError::not_found(format!("there is no organisation {id}")))
    }
}

/// Shows an organisation's provider, without the client's secret.
#[utoipa::path(get, path = "/v1/organisations/{id}/sign-in", tag = "people", params(("id" = String, Path, description = "`msp` or a tenant's id")),
    responses((status = 200, body = SignInShown, headers(("ETag" = String))), Problems))]
async fn sign_in_get(State(state): State<AppState>, By(store): By, Of(organisation): Of) -> ApiResult<Response> {
    let settings = store.sign_in(&organisation).await?;
    Ok(reply::versioned(settings.version, shown(&state, settings)))
}

/// Sets an organisation's provider as a whole. Its description and keys are read first, so that what cannot work is refused here.
#[utoipa::path(put, path = "/v1/organisations/{id}/sign-in", tag = "people", request_body = SignInBody,
    params(("id" = String, Path, description = "`msp` or a tenant's id")),
    responses((status = 200, body = SignInShown, headers(("ETag" = String))), Problems))]
async fn sign_in_set(
    State(state): State<AppState>,
    By(store): By,
    Of(organisation): Of,
    IfMatch(expected): IfMatch,
    Body(body): Body<SignInBody>,
) -> ApiResult<Response> {
    if store.view().tenant().is_some() && !body.issuer.starts_with("https://") {
        return Err(ApiError::invalid_at("/issuer", "it must begin with https://"));
    }
    // Who may not see the organisation must not learn from the provider's answer that it is there.
    let known = store.sign_in_find(&organisation).await?;
    // A change of what has changed is refused before the provider is asked, and once more when it is made.
    unchanged("sign-in provider of", organisation.name(), known.map_or(ABSENT, |known| known.version), expected)?;
    state
        .relying()
        .look(&body.issuer, state.store.clock().now_millis())
        .await
        .map_err(|error| ApiError::invalid_at("/issuer", error.to_string()))?;
    let secret = match body.client_secret {
        None => ClientSecret::Keep,
        Some(None) => ClientSecret::None,
        Some(Some(text)) => ClientSecret::Sealed(state.secrets()?.seal(&secret_place(&organisation), &text).map_err(ApiError::internal)?),
    };
    let fields = SignInFields {
        issuer: body.issuer,
        client_id: body.client_id,
        secret,
        scopes: body.scopes,
        group_claim: body.group_claim,
        roles: body.roles,
        enforced: body.enforced,
        just_in_time: body.just_in_time,
        unverified_email: body.unverified_email,
    };
    let settings = store.sign_in_put(&organisation, &fields, expected).await?;
    Ok(reply::versioned(settings.version, shown(&state, settings)))
}

/// Takes an organisation's provider away. Whoever is signed in through it is signed out; passwords count again.
#[utoipa::path(delete, path = "/v1/organisations/{id}/sign-in", tag = "people",
    params(("id" = String, Path, description = "`msp` or a tenant's id")),
    responses((status = 204), Problems))]
async fn sign_in_delete(By(store): By, Of(organisation): Of, IfMatch(expected): IfMatch) -> ApiResult<StatusCode> {
    store.sign_in_delete(&organisation, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a client's secret is sealed for.
pub(super) fn secret_place(organisation: &Organisation) -> String {
    format!("sign-in/{organisation}/client_secret")
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BeginQuery {
    /// A page of this daemon to come back to: `/v1/...`
    #[param(max_length = 1000)]
    return_to: Option<String>,
}

/// What the browser keeps, sealed, while somebody is at their provider.
#[derive(Serialize, Deserialize)]
struct UnderWay {
    organisation: Organisation,
    attempt: Attempt,
    return_to: String,
    begun_at: i64,
}

/// Begins to sign in: sends the browser to the organisation's provider.
#[utoipa::path(get, path = "/v1/sign-in/{id}", tag = "session", security(()),
    params(("id" = String, Path, description = "`msp` or a tenant's id"), BeginQuery),
    responses((status = 303, description = "To the provider", headers(("Location" = String), ("Set-Cookie" = String))), Problems))]
async fn sign_in_begin(State(state): State<AppState>, Of(organisation): Of, Query(query): Query<BeginQuery>) -> ApiResult<Response> {
    let return_to = query.return_to.unwrap_or_else(|| HOME.to_owned());
    if !is_own_page(&return_to) {
        return Err(ApiError::invalid("return_to is a page of this daemon: it begins with one /"));
    }
    let settings = state.store.sign_in_find(&organisation).await?;
    let settings = settings.ok_or_else(|| ApiError::not_found(format!("{organisation} has no sign-in provider")))?;
    admitted(&state.store, &organisation).await?;
    let registration = registration(&state, &settings).await?;
    let clock = state.store.clock();
    let drawn = Drawn { state: clock.random(), nonce: clock.random(), verifier: clock.random() };
    let (url, attempt) = state.relying().begin(&registration, &drawn, clock.now_millis()).await?;
    let under_way = UnderWay { organisation, attempt, return_to, begun_at: clock.now_millis() };
    let under_way = serde_json::to_string(&under_way).map_err(ApiError::internal)?;
    let sealed = state.secrets()?.seal(ATTEMPT_PLACE, &under_way).map_err(ApiError::internal)?;
    let cookie = attempt_cookie(&state, &sealed, ATTEMPT_MILLIS / 1_000);
    redirect(url.as_str(), &[cookie])
}

/// Where a provider sends the browser back to: makes a session of it.
#[utoipa::path(get, path = "/v1/sign-in/callback", tag = "session", security(()),
    params(("state" = Option<String>, Query), ("code" = Option<String>, Query), ("iss" = Option<String>, Query),
        ("error" = Option<String>, Query), ("error_description" = Option<String>, Query)),
    responses((status = 303, description = "Signed in: to the page that was asked for", headers(("Location" = String), ("Set-Cookie" = String))),
        Problems))]
async fn sign_in_callback(State(state): State<AppState>, origin: Origin, Query(returned): Query<Returned>) -> ApiResult<Response> {
    let now = state.store.clock().now_millis();
    let cookies = origin.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let nothing_under_way = || OidcError::Attempt("this browser has not begun one, or too long ago: begin again");
    let sealed = cookie::value(cookies, ATTEMPT).ok_or_else(nothing_under_way)?;
    let opened = state.secrets()?.open(ATTEMPT_PLACE, sealed).map_err(|_| nothing_under_way())?;
    let under_way: UnderWay = serde_json::from_str(&opened).map_err(|_| nothing_under_way())?;
    if !(0..ATTEMPT_MILLIS).contains(&now.saturating_sub(under_way.begun_at)) {
        return Err(nothing_under_way().into());
    }
    let settings = state.store.sign_in_find(&under_way.organisation).await?;
    let settings = settings.ok_or(OidcError::Attempt("the organisation's provider was taken away meanwhile"))?;
    let registration = registration(&state, &settings).await?;
    let person = state.relying().finish(&registration, &under_way.attempt, &returned, now).await?;
    let vouched = Vouched {
        issuer: person.issuer,
        subject: person.subject,
        email: person.email,
        email_verified: person.email_verified,
        name: person.name,
        groups: person.groups,
    };
    let mut actor = Actor::named(vouched.email.as_deref().unwrap_or(&vouched.subject));
    actor.organisation = settings.organisation.clone();
    actor.address.clone_from(&origin.address);
    let store = state.store.on_behalf(actor.clone(), state.store.view().clone());
    let user = match store.sign_in_admit(&settings, &vouched).await? {
        Admission::In(user) => user,
        Admission::Refused(why) => {
            tracing::info!(organisation = %settings.organisation, subject = vouched.subject, why, "not let in");
            return Err(ApiError::forbidden(format!("you are not let in: {why}")));
        }
    };
    let secret = Secret::new(&state.store.clock().random(), "");
    let new =
        NewSession { user_id: user.id.clone(), organisation: settings.organisation, sha256: secret.hash(), issuer: Some(settings.issuer) };
    let actor = Actor { name: user.email, id: Some(user.id), ..actor };
    state.store.on_behalf(actor, state.store.view().clone()).session_begin(&new).await?;
    redirect(&under_way.return_to, &[cookie::set(secret.text(), origin.host()), attempt_cookie(&state, "", 0)])
}

async fn registration(state: &AppState, settings: &SignIn) -> ApiResult<Registration> {
    let client_secret = match state.store.sign_in_secret(&settings.organisation).await? {
        Some(sealed) => Some(state.secrets()?.open(&secret_place(&settings.organisation), &sealed).map_err(ApiError::internal)?),
        None => None,
    };
    Ok(Registration {
        issuer: settings.issuer.clone(),
        client_id: settings.client_id.clone(),
        client_secret,
        redirect_uri: redirect_uri(state),
        scopes: settings.scopes.clone(),
        group_claim: settings.group_claim.clone(),
    })
}

/// Whether an address leads to this daemon wherever a browser reads it: `//elsewhere` and `/\elsewhere` do not.
fn is_own_page(address: &str) -> bool {
    let rest = address.strip_prefix('/');
    rest.is_some_and(|rest| !rest.starts_with(['/', '\\']))
        && address.len() <= MAX_RETURN
        && address.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Sent along when the provider sends the browser back, which is another site's doing: hence Lax.
fn attempt_cookie(state: &AppState, value: &str, seconds: i64) -> String {
    let secure = if state.public_url().starts_with("https://") { "; Secure" } else { "" };
    format!("{ATTEMPT}={value}; Path=/v1/sign-in; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

fn redirect(to: &str, cookies: &[String]) -> ApiResult<Response> {
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, HeaderValue::from_str(to).map_err(ApiError::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies {
        headers.append(header::SET_COOKIE, HeaderValue::from_str(cookie).map_err(ApiError::internal)?);
    }
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

impl From<OidcError> for ApiError {
    fn from(error: OidcError) -> Self {
        match &error {
            OidcError::Address { .. } | OidcError::Unreachable { .. } | OidcError::Answer { .. } => Self::provider(error.to_string()),
            OidcError::Refused(_) | OidcError::Token(_) => Self::not_signed_in(error.to_string()),
            OidcError::Attempt(_) => Self::invalid(error.to_string()),
        }
    }
}
