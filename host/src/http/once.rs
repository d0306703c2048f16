//! `Idempotency-Key` on what begins a session: the same request sent again gets the session that it began, as long as that lasts.
//!
//! Nobody is known before they have shown who they are, so the middleware cannot do this. Handlers check the password each time, with its
//! waits after failures, and a session that has ended does not come back. The password is in no digest that is stored: a fast hash of it
//! would be a way to find it out.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tracing::Instrument;

use super::AppState;
use super::errors::{ApiError, ApiResult};
use super::extract::Origin;
use super::idempotency::{KEY, opened, sealed};
use crate::plugins::hex;
use crate::signin::secret;
use crate::store::{Reserved, StoredResponse, User};

/// The key that a request carries.
pub(super) struct Key(pub(super) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(KEY) else { return Ok(Self(None)) };
        let text = value.to_str().map_err(|_| ApiError::invalid("an idempotency key has visible ASCII characters only"))?;
        Ok(Self(Some(text.to_owned())))
    }
}

/// A session that has begun: the secret of its cookie, and the answer's body.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) secret: String,
    pub(super) view: Value,
}

/// What becomes of a request that begins a session.
pub(super) enum Asked {
    First(Box<Once>),
    /// The session is open still; it is this person's.
    Again(Begun, Box<User>),
}

/// A key that was taken, if there is one, until the session has begun.
pub(super) struct Once {
    state: AppState,
    taken: Option<(String, String)>,
}

/// Takes the key for a caller: a person, or a link. A request from elsewhere is another one.
pub(super) async fn ask(state: &AppState, caller: String, key: Option<String>, origin: &Origin, asked: &str) -> ApiResult<Asked> {
    let Some(key) = key else { return Ok(Asked::First(Box::new(Once { state: state.clone(), taken: None }))) };
    let digest = Sha256::digest(format!("{}\0{asked}", origin.address.as_deref().unwrap_or_default()));
    match state.store.idempotency_reserve(&caller, &key, &hex(&digest)).await? {
        Reserved::New => Ok(Asked::First(Box::new(Once { state: state.clone(), taken: Some((caller, key)) }))),
        Reserved::UnderWay => Err(ApiError::conflict("the request with this idempotency key is being worked on")),
        Reserved::Different => Err(ApiError::invalid("this idempotency key was used for a different request")),
        Reserved::Answered(answer) => {
            let text = opened(state, &caller, &key, answer.body)?;
            let begun: Begun = serde_json::from_str(&text).map_err(ApiError::internal)?;
            let open = state.store.session_by_sha256(&secret::hash(&begun.secret)).await?;
            let ended = || ApiError::conflict("the session that began under this idempotency key has ended: use another key");
            let (_, user) = open.ok_or_else(ended)?;
            Ok(Asked::Again(begun, Box::new(user)))
        }
    }
}

impl Once {
    /// Begins the session, on a task of its own: a caller who hangs up must not leave the key without an answer.
    pub(super) async fn begin(self, work: impl Future<Output = ApiResult<Begun>> + Send + 'static) -> ApiResult<Begun> {
        let Some((caller, key)) = self.taken else { return work.await };
        let store = self.state.store.clone();
        let (same_caller, same_key) = (caller.clone(), key.clone());
        let kept = async move {
            let begun = work.await?;
            let text = serde_json::to_string(&begun).map_err(ApiError::internal)?;
            let body = sealed(&self.state, &caller, &key, &text)?;
            let answer = StoredResponse { status: 201, headers: "[]".to_owned(), body };
            self.state.store.idempotency_store(&caller, &key, &answer).await?;
            Ok(begun)
        };
        let ended = tokio::spawn(kept.in_current_span()).await.unwrap_or_else(|panicked| Err(ApiError::internal(panicked)));
        if ended.is_err() {
            store.idempotency_release(&same_caller, &same_key).await?;
        }
        ended
    }
}
