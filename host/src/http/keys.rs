//! `/v1/keys` and `/v1/signing-policy`: whose signatures count, and what becomes of a component without one.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, IfMatch, PageQuery, Path, Query};
use super::reply;
use crate::plugins::signature;
use crate::store::{Page, SigningPolicy, TrustedKey};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(key_list, key_trust))
        .routes(routes!(key_get, key_revoke))
        .routes(routes!(signing_policy_get, signing_policy_set))
}

/// A key to trust.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Release team",
    "public_key": "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"}))]
struct KeyBody {
    /// Whose it is.
    #[schema(max_length = 200)]
    name: String,
    /// As `rerate key new` shows it.
    public_key: String,
}

/// What becomes of a component that no trusted key has signed.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"policy": "require"}))]
struct PolicyBody {
    policy: SigningPolicy,
}

/// Lists the keys whose signatures count, and those that were revoked, oldest first.
#[utoipa::path(get, path = "/v1/keys", tag = "plugins", params(PageQuery), responses((status = 200, body = Page<TrustedKey>), Problems))]
async fn key_list(State(state): State<AppState>, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<TrustedKey>>> {
    Ok(Json(state.store.keys_page(&page.request()?).await?))
}

/// Shows a key, trusted or revoked.
#[utoipa::path(get, path = "/v1/keys/{id}", tag = "plugins", params(("id" = String, Path)),
    responses((status = 200, body = TrustedKey, headers(("ETag" = String))), Problems))]
async fn key_get(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Response> {
    let key = state.store.key(&id).await?;
    Ok(reply::versioned(key.tag(), &key))
}

/// Trusts a key: what it signed is let in under any policy.
#[utoipa::path(post, path = "/v1/keys", tag = "plugins", request_body = KeyBody,
    responses((status = 201, body = TrustedKey, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn key_trust(By(store): By, Body(body): Body<KeyBody>) -> ApiResult<Response> {
    let (id, text) = signature::public_key(&body.public_key).map_err(|error| ApiError::invalid_at("/public_key", error.to_string()))?;
    let key = store.key_trust(&id, &body.name, &text).await?;
    Ok(reply::created(&format!("/v1/keys/{id}"), key.tag(), &key))
}

/// Revokes a key. What it signed and is active stays active.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "plugins", params(("id" = String, Path)),
    responses((status = 200, body = TrustedKey, headers(("ETag" = String))), Problems))]
async fn key_revoke(By(store): By, Path(id): Path<String>, IfMatch(expected): IfMatch) -> ApiResult<Response> {
    let key = store.key_revoke(&id, expected).await?;
    Ok(reply::versioned(key.tag(), &key))
}

/// Shows what becomes of a component that no trusted key has signed.
#[utoipa::path(get, path = "/v1/signing-policy", tag = "plugins", 
    responses((status = 200, body = PolicyBody, headers(("ETag" = String))), Problems))]
async fn signing_policy_get(State(state): State<AppState>) -> ApiResult<Response> {
    let policy = state.store.signing_policy().await?;
    Ok(reply::versioned(policy.tag(), PolicyBody { policy }))
}

/// Chooses what becomes of a component that no trusted key has signed: `off` lets it in, `warn` too but says so, `require` refuses it.
#[utoipa::path(put, path = "/v1/signing-policy", tag = "plugins", request_body = PolicyBody,
    responses((status = 200, body = PolicyBody, headers(("ETag" = String))), Problems))]
async fn signing_policy_set(By(store): By, IfMatch(expected): IfMatch, Body(body): Body<PolicyBody>) -> ApiResult<Response> {
    store.signing_policy_set(body.policy, expected).await?;
    Ok(reply::versioned(body.policy.tag(), body))
}
