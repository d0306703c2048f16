//! `Idempotency-Key` on creating calls: the same request sent again gets the first answer again.
//!
//! It works on JSON bodies of POST. Only a success is kept: after a failure the same key may be tried again.

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
use crate::plugins::hex;
use crate::store::{Reserved, StoredResponse};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Headers of an answer that belong to what was created.
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

/// Bytes of an answer that is kept: it repeats the request's body and adds a few fields.
const MAX_ANSWER: usize = 2 * MAX_JSON;

pub(super) async fn replay(State(state): State<AppState>, request: Request, next: Next) -> ApiResult<Response> {
    let json = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let key = request.headers().get(KEY).cloned();
    let caller = request.extensions().get::<Caller>().cloned();
    let (Some(key), Some(caller), true) = (key, caller, json && request.method() == Method::POST) else {
        return Ok(next.run(request).await);
    };
    let key = key.to_str().map_err(|_| ApiError::invalid("an idempotency key has visible ASCII characters only"))?.to_owned();
    let (parts, body) = request.into_parts();
    let body =
        axum::body::to_bytes(body, MAX_JSON).await.map_err(|_| ApiError::too_large(format!("a JSON body has at most {MAX_JSON} bytes")))?;
    let digest = request_digest(&caller, parts.uri.path(), &body);
    let caller_id = caller.id().to_owned();
    match state.store.idempotency_reserve(&caller_id, &key, &digest).await? {
        Reserved::Answered(answer) => return Ok(answered(answer)),
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
fn request_digest(caller: &Caller, path: &str, body: &Bytes) -> String {
    let mut hash = Sha256::new();
    hash.update(caller.organisation().name().as_bytes());
    hash.update([0]);
    hash.update(path.as_bytes());
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
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    state.store.idempotency_store(caller_id, key, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn answered(answer: StoredResponse) -> Response {
    let stored: Vec<(String, String)> = serde_json::from_str(&answer.headers).unwrap_or_default();
    let mut headers: HeaderMap = stored
        .into_iter()
        .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(&value).ok()?)))
        .collect();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    (StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK), headers, answer.body).into_response()
}
