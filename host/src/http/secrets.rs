//! `/v1/secrets`: the key under which credentials are stored.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::By;
use super::openid::secret_place;
use crate::jobs::bucket::place_of;
use crate::jobs::place;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(secrets_rotate))
}

/// Why a daemon with others beside it adds no key.
const IN_ONE_FILE: &str = "nothing was changed: other daemons work on this database, and could not open what a key sealed that is in this \
                           daemon's secrets.key alone; give all of them the keys by RERATE_SECRET_KEY (new,old), start them, and rotate";

/// What a rotation did.
#[derive(Debug, Serialize, ToSchema)]
struct Rotated {
    /// Credentials that are encrypted with the new key now.
    sealed_again: u64,
}

/// Encrypts the credentials of all integrations and sign-in providers with a new key. The old one stays behind it and opens what else was
/// sealed with it, until somebody takes it out. With keys from `RERATE_SECRET_KEY`, encrypts with the first of those; that is how several daemons
/// on one database are given a new one. Stopped at any point, every credential can
/// still be opened.
#[utoipa::path(post, path = "/v1/secrets/rotate", tag = "integrations", responses((status = 200, body = Rotated), Problems))]
async fn secrets_rotate(State(state): State<AppState>, By(store): By) -> ApiResult<Json<Rotated>> {
    let secrets = state.secrets()?;
    // With a bucket every daemon has a folder of its own, and so a file of keys.
    if secrets.are_in_a_file() && store.lake_place().await?.is_some() && store.daemons_beside().await? > 0 {
        return Err(ApiError::conflict(IN_ONE_FILE));
    }
    secrets.add_key().map_err(|error| ApiError::conflict(error.to_string()))?;
    let sealed = store.credentials_seal_again(|id, sealed| secrets.seal_again(&place_of(id), sealed)).await?;
    let credentials = sealed.map_err(|error| ApiError::conflict(format!("nothing was changed: {error}")))?;
    let sealed = store.sign_in_seal_again(|organisation, sealed| secrets.seal_again(&secret_place(organisation), sealed)).await?;
    let clients = sealed.map_err(|error| ApiError::conflict(format!("the secrets of sign-in providers were not changed: {error}")))?;
    let lake = place::seal_again(&store, &secrets).await?;
    lake.map_err(|error| ApiError::conflict(format!("the check of the key was not changed: {error}")))?;
    Ok(Json(Rotated { sealed_again: credentials + clients }))
}
