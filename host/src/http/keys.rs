//! `/v1/keys` and `/v1/signing-policy`: whose signatures count, and what becomes of a component without one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, Path};
use crate::plugins::signature;
use crate::store::{SigningPolicy, TrustedKey};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(key_list, key_trust))
        .routes(routes!(key_revoke))
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

#[derive(Debug, Serialize, ToSchema)]
struct KeyList {
    items: Vec<TrustedKey>,
}

/// What becomes of a component that no trusted key has signed.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"policy": "require"}))]
struct PolicyBody {
    policy: SigningPolicy,
}

/// Lists the keys whose signatures count, and those that were revoked.
#[utoipa::path(get, path = "/v1/keys", tag = "plugins", responses((status = 200, body = KeyList), Problems))]
async fn key_list(State(state): State<AppState>) -> ApiResult<Json<KeyList>> {
    Ok(Json(KeyList { items: state.store.keys().await? }))
}

/// Trusts a key: what it signed is let in under any policy.
#[utoipa::path(post, path = "/v1/keys", tag = "plugins", request_body = KeyBody, responses((status = 201, body = TrustedKey), Problems))]
async fn key_trust(By(store): By, Body(body): Body<KeyBody>) -> ApiResult<(StatusCode, Json<TrustedKey>)> {
    let (id, text) = signature::public_key(&body.public_key).map_err(|error| ApiError::invalid_at("/public_key", error.to_string()))?;
    Ok((StatusCode::CREATED, Json(store.key_trust(&id, &body.name, &text).await?)))
}

/// Revokes a key. What it signed and is active stays active.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "plugins", params(("id" = String, Path)),
    responses((status = 200, body = TrustedKey), Problems))]
async fn key_revoke(By(store): By, Path(id): Path<String>) -> ApiResult<Json<TrustedKey>> {
    Ok(Json(store.key_revoke(&id).await?))
}

/// Shows what becomes of a component that no trusted key has signed.
#[utoipa::path(get, path = "/v1/signing-policy", tag = "plugins", responses((status = 200, body = PolicyBody), Problems))]
async fn signing_policy_get(State(state): State<AppState>) -> ApiResult<Json<PolicyBody>> {
    Ok(Json(PolicyBody { policy: state.store.signing_policy().await? }))
}

/// Chooses what becomes of a component that no trusted key has signed: `off` lets it in, `warn` too but says so, `require` refuses it.
#[utoipa::path(put, path = "/v1/signing-policy", tag = "plugins", request_body = PolicyBody,
    responses((status = 200, body = PolicyBody), Problems))]
async fn signing_policy_set(By(store): By, Body(body): Body<PolicyBody>) -> ApiResult<Json<PolicyBody>> {
    store.signing_policy_set(body.policy).await?;
    Ok(Json(body))
}
