//! Answers that carry a version or the address of what was made.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A thing and its version as ETag.
pub(super) fn versioned(version: i64, body: impl Serialize) -> Response {
    (etag(version), Json(body)).into_response()
}

/// A new thing, its address and its version.
pub(super) fn created(address: &str, version: i64, body: impl Serialize) -> Response {
    let mut headers = etag(version);
    if let Ok(value) = HeaderValue::from_str(address) {
        headers.insert(header::LOCATION, value);
    }
    (StatusCode::CREATED, headers, Json(body)).into_response()
}

fn etag(version: i64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&format!("\"{version}\"")) {
        headers.insert(header::ETAG, value);
    }
    headers
}
