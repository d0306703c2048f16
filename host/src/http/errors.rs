//! Errors as `application/problem+json` (RFC 9457): the only place that knows which failure has which status.
//!
//! What the caller did wrong is told in words; what went wrong inside is logged, once, by `trace`, and the caller is told only that.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::depot::DepotError;
use crate::plugins::RefusedRule;
use crate::store::{Deployment, StoreError};

/// Places that a problem's one line names; `errors` has all of them.
const TOLD_PLACES: usize = 3;

/// When to ask again for what is in a bucket that does not answer: it was asked for that long already.
const BUCKET_SECONDS: u16 = 20;

pub(super) type ApiResult<T> = Result<T, ApiError>;

/// What went wrong, as the caller is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"type": "urn:rerate:problem:conflict", "title": "Conflict", "status": 409,
    "detail": "a tenant named Acme exists already"}))]
pub(super) struct Problem {
    /// `urn:rerate:problem:` and a word that programs can compare.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) status: u16,
    pub(super) detail: String,
    /// Places in the request's body, where there are any to name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<Fault>,
    /// The deployment that was refused, with its steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deployment: Option<Deployment>,
    /// Rules that would stop working.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rules: Vec<RefusedRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Fault {
    /// JSON pointer into the request's body.
    pub(super) pointer: String,
    pub(super) detail: String,
}

/// The problems that any call may answer with, for the document.
#[derive(IntoResponses)]
#[allow(dead_code)] // described, never built
pub(super) enum Problems {
    /// The request cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    Unreadable(Problem),
    /// No token and no session, or one that is not known.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Problem),
    /// The caller's role does not allow it.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// There is no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// The data as it is does not allow the change.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// It has changed since the caller read it (`If-Match`).
    #[response(status = 412, content_type = "application/problem+json")]
    Changed(Problem),
    /// The request can be read and makes no sense.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
}

/// A failed call.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    word: &'static str,
    detail: String,
    errors: Vec<Fault>,
    deployment: Option<Box<Deployment>>,
    rules: Vec<RefusedRule>,
    retry_after_seconds: Option<u16>,
    cause: Option<Cause>,
}

/// What the caller is not told; `trace` finds it in the response's extensions.
#[derive(Clone, Debug)]
pub(super) struct Cause(pub(super) Arc<str>);

impl ApiError {
    fn new(status: StatusCode, word: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            word,
            detail: detail.into(),
            errors: Vec::new(),
            deployment: None,
            rules: Vec::new(),
            retry_after_seconds: None,
            cause: None,
        }
    }

    pub(super) fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unreadable", detail)
    }

    pub(super) fn unauthorized() -> Self {
        let detail = "send a token that this daemon knows: Authorization: Bearer <token>";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// Who signs in has not shown who they are.
    pub(super) fn not_signed_in(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// Too much of something in too short a time.
    pub(super) fn too_many(detail: impl Into<String>, seconds: u16) -> Self {
        Self { retry_after_seconds: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail) }
    }

    pub(super) fn is_unauthorized(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// The caller is known and may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Whether the caller may not, or it is not there for them.
    pub(super) fn is_refusal(&self) -> bool {
        self.status == StatusCode::FORBIDDEN || self.status == StatusCode::NOT_FOUND
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this address does not answer to this method")
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// What the caller read is not what there is.
    pub(super) fn changed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "changed", detail)
    }

    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    pub(super) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// Something is wrong at a place of the body.
    pub(super) fn invalid_at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let mut error = Self::invalid(if pointer.is_empty() { detail.clone() } else { format!("{pointer}: {detail}") });
        error.errors.push(Fault { pointer, detail });
        error
    }

    /// Something is wrong at each of these places of the body.
    pub(super) fn invalid_places(places: impl IntoIterator<Item = (String, String)>) -> Self {
        let errors: Vec<Fault> = places.into_iter().map(|(pointer, detail)| Fault { pointer, detail }).collect();
        let told = errors.iter().take(TOLD_PLACES).map(|fault| format!("{}: {}", fault.pointer, fault.detail));
        let mut error = Self::invalid(told.collect::<Vec<_>>().join("; "));
        if errors.len() > TOLD_PLACES {
            error.detail.push_str(&format!("; and {} more", errors.len() - TOLD_PLACES));
        }
        error.errors = errors;
        error
    }

    pub(super) fn with_deployment(mut self, deployment: Deployment) -> Self {
        self.deployment = Some(Box::new(deployment));
        self
    }

    pub(super) fn with_rules(mut self, rules: Vec<RefusedRule>) -> Self {
        self.rules = rules;
        self
    }

    pub(super) fn overloaded(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail)
    }

    /// Somebody else's service, on which the call depends, does not do its part.
    pub(super) fn provider(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "provider", detail)
    }

    /// Not the caller's doing. The cause is for the log.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something failed inside; the daemon's log says what");
        error.cause = Some(Cause(cause.to_string().into()));
        error
    }
}

/// An error and what caused it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl From<DepotError> for ApiError {
    fn from(error: DepotError) -> Self {
        if !matches!(error, DepotError::Bucket { .. }) {
            return Self::internal(error);
        }
        let detail = "the bucket with the charges and components does not do its part; the daemon's log says why";
        let cause = Some(Cause(error.to_string().into()));
        Self { cause, retry_after_seconds: Some(BUCKET_SECONDS), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail) }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { .. } => Self::not_found(error.to_string()),
            StoreError::Conflict(_) => Self::conflict(error.to_string()),
            StoreError::Invalid(_) => Self::invalid(error.to_string()),
            StoreError::Forbidden(_) => Self::forbidden(error.to_string()),
            StoreError::Changed { .. } => Self::changed(error.to_string()),
            error if error.is_of_text() => Self::invalid("a text has a NUL character, which is no text"),
            StoreError::TakenOver | StoreError::Database(_) | StoreError::Migrate(_) | StoreError::Corrupt(_) => {
                Self::internal(with_causes(&error))
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: format!("urn:rerate:problem:{}", self.word),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.errors,
            deployment: self.deployment.map(|deployment| *deployment),
            rules: self.rules,
        };
        let mut response = (self.status, axum::Json(problem)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}
