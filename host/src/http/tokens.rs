//! `/v1/tokens`: programs that may call. Everybody has their own; an Owner has the organisation's.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::auth::{Caller, Credential, PREFIX};
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, IfMatch, PageQuery, Path, Query};
use super::reply;
use crate::clock::Moment;
use crate::domain::access::{Organisation, Role};
use crate::signin::secret::Secret;
use crate::store::{NewToken, Page, Store, Token};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(token_list, token_create)).routes(routes!(token_get, token_delete))
}

/// A token as the caller wants it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "nightly export", "role": "viewer", "expires_at": "2027-01-01T00:00:00Z"}))]
struct TokenBody {
    #[schema(max_length = 200)]
    name: String,
    /// What it may do at most; not above one's own.
    role: Role,
    /// Absent: where the caller acts. An Owner of the MSP may name a tenant.
    #[serde(default)]
    organisation: Option<Organisation>,
    /// A service's own, which stays when its maker goes; only an Owner makes these. Absent: one's own.
    #[serde(default)]
    service: bool,
    /// A virtual integration that it shows, and nothing else: an isolated view for whom it is given to. It is a Viewer's of the MSP, made by who
    /// sees every tenant, and ends with the virtual integration.
    #[serde(default)]
    virtual_integration_id: Option<String>,
    /// Absent: without end.
    #[serde(default)]
    expires_at: Option<Moment>,
}

/// A new token, with its text: the only time that anybody sees it.
#[derive(Serialize, ToSchema)]
struct TokenMade {
    #[serde(flatten)]
    token: Token,
    text: String,
}

/// Whose tokens a caller may have to do with: none for everybody's; a service has none of its own.
fn own(caller: &Caller) -> Option<String> {
    if caller.role == Role::Owner {
        return None;
    }
    Some(caller.user.as_ref().map(|user| user.id.clone()).unwrap_or_default())
}

/// Lists tokens of the organisation in which the caller acts, oldest first: one's own, or all for an Owner.
#[utoipa::path(get, path = "/v1/tokens", tag = "people", params(PageQuery), responses((status = 200, body = Page<Token>), Problems))]
async fn token_list(Extension(caller): Extension<Caller>, By(store): By, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Token>>> {
    Ok(Json(store.tokens_page(&caller.organisation(), own(&caller).as_deref(), &page.request()?).await?))
}

/// A token that the caller may have to do with.
async fn token_of(caller: &Caller, store: &Store, id: &str) -> ApiResult<Token> {
    let token = store.token(id).await?;
    let owner = own(caller);
    if owner.is_some() && token.user_id != owner {
        return Err(ApiError::forbidden("this is somebody else's token: an Owner may see and end it"));
    }
    Ok(token)
}

/// Shows a token: one's own, or any of the organisation's for an Owner.
#[utoipa::path(get, path = "/v1/tokens/{id}", tag = "people", params(("id" = String, Path)),
    responses((status = 200, body = Token, headers(("ETag" = String))), Problems))]
async fn token_get(Extension(caller): Extension<Caller>, By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let token = token_of(&caller, &store, &id).await?;
    Ok(reply::versioned(token.tag(), &token))
}

/// Makes a token. Its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/tokens", tag = "people", request_body = TokenBody,
    responses((status = 201, body = TokenMade, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn token_create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    By(store): By,
    Body(body): Body<TokenBody>,
) -> ApiResult<Response> {
    if body.role > caller.role {
        return Err(ApiError::forbidden(format!("your role is {}: a token cannot be more", caller.role.title())));
    }
    let organisation = body.organisation.unwrap_or_else(|| caller.organisation());
    let elsewhere = organisation != caller.organisation();
    if elsewhere && caller.organisation() != Organisation::Msp {
        return Err(ApiError::forbidden("a token is made for one's own organisation"));
    }
    if body.service || elsewhere || caller.acting.is_some() {
        caller.require(Role::Owner, "a service's token")?;
    }
    let service = body.service || elsewhere || caller.acting.is_some();
    let user_id = if service { None } else { own_user(&caller)? };
    if body.virtual_integration_id.is_some() && !caller.view.is_everything() {
        return Err(ApiError::forbidden("virtual integrations show every tenant, and you are limited to some"));
    }
    // A token makes none that outlives it.
    let bound = match &caller.by {
        Credential::Token(token) => token.expires_at,
        Credential::Session(_) => None,
    };
    let expires_at = [body.expires_at, bound].into_iter().flatten().min();
    let secret = Secret::new(&state.store.clock().random(), PREFIX);
    let new = NewToken {
        name: body.name,
        sha256: secret.hash(),
        shown: secret.shown(),
        user_id,
        organisation,
        role: body.role,
        virtual_integration_id: body.virtual_integration_id,
        expires_at,
    };
    let token = store.token_create(&new).await?;
    let (address, tag) = (format!("/v1/tokens/{}", token.id), token.tag());
    Ok(reply::created(&address, tag, TokenMade { token, text: secret.text().to_owned() }))
}

/// A person's token is theirs; what an Owner's service makes is a service's.
fn own_user(caller: &Caller) -> ApiResult<Option<String>> {
    match &caller.user {
        Some(user) => Ok(Some(user.id.clone())),
        None => caller.require(Role::Owner, "a service's token").map(|()| None),
    }
}

/// Ends a token, at once: one's own, or any of the organisation's for an Owner.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "people", params(("id" = String, Path)), responses((status = 204), Problems))]
async fn token_delete(
    Extension(caller): Extension<Caller>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    token_of(&caller, &store, &id).await?;
    store.token_delete(&id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
