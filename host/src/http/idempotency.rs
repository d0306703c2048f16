//! `Idempotency-Key` on creating calls: the same request sent again gets the first answer again.
//!
//! It works on every POST, whatever its body; the body is held in memory meanwhile, within what its address takes. Only a success is kept:
//! after a failure the same key may be tried again. Answers may carry a secret that is shown once, so they are kept sealed. What begins a
//! session has its own way, in `once`.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use tracing::Instrument;

use super::AppState;
use super::auth::Caller;
use super::errors::{ApiError, ApiResult};
use super::router::MAX_JSON;
use crate::plugins::{MAX_COMPONENT_BYTES, hex};
use crate::secrets::Secrets;
use crate::store::{Reserved, StoredResponse};

pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Headers of an answer that belong to what was created.
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

/// Bytes of an answer that is kept: it repeats the request's body and adds a few fields.
const MAX_ANSWER: usize = 2 * MAX_JSON;

pub(super) async fn replay(State(state): State<AppState>, request: Request, next: Next) -> ApiResult<Response> {
    let json = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let largest = if json { MAX_JSON } else { MAX_COMPONENT_BYTES + 1 };
    let key = request.headers().get(KEY).cloned();
    let caller = request.extensions().get::<Caller>().cloned();
    let (Some(key), Some(caller), true) = (key, caller, request.method() == Method::POST) else {
        return Ok(next.run(request).await);
    };
    let key = key.to_str().map_err(|_| ApiError::invalid("an idempotency key has visible ASCII characters only"))?.to_owned();
    let (parts, body) = request.into_parts();
    let body =
        axum::body::to_bytes(body, largest).await.map_err(|_| ApiError::too_large(format!("this body has at most {largest} bytes")))?;
    let address = parts.uri.path_and_query().map_or("/", |address| address.as_str());
    let digest = request_digest(&caller, address, &body);
    let caller_id = caller.id().to_owned();
    match state.store.idempotency_reserve(&caller_id, &key, &digest).await? {
        Reserved::Answered(answer) => return answered(&state, &caller_id, &key, answer),
        Reserved::UnderWay => return Err(ApiError::conflict("the request with this idempotency key is being worked on")),
        Reserved::Different => return Err(ApiError::invalid("this idempotency key was used for a different request")),
        Reserved::New => {}
    }
    // On a task of its own: a caller that hangs up must not leave the key without an answer.
    let request = Request::from_parts(parts, Body::from(body));
    let (store, same_caller, same_key) = (state.store.clone(), caller_id.clone(), key.clone());
    let work = async move {
        let response = next.run(request).await;
        keep(&state, &caller_id, &key, response).await
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(answer) => answer,
        Err(panicked) => {
            store.idempotency_release(&same_caller, &same_key).await?;
            Err(ApiError::internal(panicked))
        }
    }
}

/// The same request in another tenant is another request.
fn request_digest(caller: &Caller, address: &str, body: &Bytes) -> String {
    let mut hash = Sha256::new();
    hash.update(caller.organisation().name().as_bytes());
    hash.update([0]);
    hash.update(address.as_bytes());
    hash.update([0]);
    hash.update(body);
    hex(&hash.finalize())
}

/// Stores a success under the key; gives the key back otherwise.
async fn keep(state: &AppState, caller_id: &str, key: &str, response: Response) -> ApiResult<Response> {
    if !response.status().is_success() {
        state.store.idempotency_release(caller_id, key).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MAX_ANSWER).await.map_err(ApiError::internal)?;
    let headers: Vec<(String, String)> =
        KEPT_HEADERS.iter().filter_map(|name| Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.to_owned()))).collect();
    let answer = StoredResponse {
        status: parts.status.as_u16(),
        headers: serde_json::to_string(&headers).map_err(ApiError::internal)?,
        body: sealed(state, caller_id, key, &String::from_utf8_lossy(&body))?,
    };
    state.store.idempotency_store(caller_id, key, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// What an answer is sealed for.
fn place(caller_id: &str, key: &str) -> String {
    format!("idempotency/{caller_id}/{key}")
}

/// With what answers are sealed; a service without a data folder has nothing.
fn sealing(state: &AppState) -> ApiResult<Option<Secrets>> {
    state.data().is_ok().then(|| state.secrets()).transpose()
}

pub(super) fn sealed(state: &AppState, caller_id: &str, key: &str, body: &str) -> ApiResult<String> {
    match sealing(state)? {
        Some(secrets) => secrets.seal(&place(caller_id, key), body).map_err(ApiError::internal),
        None => Ok(body.to_owned()),
    }
}

pub(super) fn opened(state: &AppState, caller_id: &str, key: &str, body: String) -> ApiResult<String> {
    // Answers of before they were sealed are JSON, which never begins as a sealed text does.
    match sealing(state)? {
        Some(secrets) if Secrets::is_sealed(&body) => secrets.open(&place(caller_id, key), &body).map_err(ApiError::internal),
        _ => Ok(body),
    }
}

fn answered(state: &AppState, caller_id: &str, key: &str, answer: StoredResponse) -> ApiResult<Response> {
    let body = opened(state, caller_id, key, answer.body)?;
    let stored: Vec<(String, String)> = serde_json::from_str(&answer.headers).unwrap_or_default();
    let mut headers: HeaderMap = stored
        .into_iter()
        .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(&value).ok()?)))
        .collect();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok((StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK), headers, body).into_response())
}
