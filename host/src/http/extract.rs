//! What handlers take out of a request, with problems instead of axum's plain texts.

use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::AppState;
use super::auth::Caller;
use super::errors::ApiError;
use crate::domain::json;
use crate::store::{MAX_PAGE, PageRequest, Store};

/// The store on behalf of the caller: what is changed through it is written down under their name, and they see the tenants that they may.
pub(super) struct By(pub(super) Store);

impl FromRequestParts<AppState> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>().ok_or_else(ApiError::unauthorized)?;
        Ok(Self(state.store.on_behalf(caller.actor.clone(), caller.view.clone())))
    }
}

/// The store on behalf of a caller who sees every tenant: for what shows all of them at once.
pub(super) struct Everywhere(pub(super) Store);

impl FromRequestParts<AppState> for Everywhere {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let By(store) = By::from_request_parts(parts, state).await?;
        if store.view().is_everything() {
            return Ok(Self(store));
        }
        Err(ApiError::forbidden("this shows every tenant, and your teams limit you to some"))
    }
}

/// The store on behalf of a caller who looks at virtual integrations: all of them, or the one that their token shows.
pub(super) struct Views(pub(super) Store);

impl FromRequestParts<AppState> for Views {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let By(store) = By::from_request_parts(parts, state).await?;
        if store.view().virtual_integration().is_some() {
            return Ok(Self(store));
        }
        Everywhere::from_request_parts(parts, state).await.map(|Everywhere(store)| Self(store))
    }
}

/// From where a call comes, for routes that answer before anybody is known.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) headers: HeaderMap,
    pub(super) address: Option<String>,
}

impl Origin {
    /// The host as the caller named it.
    pub(super) fn host(&self) -> &str {
        self.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl FromRequestParts<AppState> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let address = super::auth::address(state, &parts.extensions, &parts.headers).map(|address| address.to_string());
        Ok(Self { headers: parts.headers.clone(), address })
    }
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = match Bytes::from_request(Request::from_parts(parts.clone(), body), state).await {
            Ok(bytes) => bytes,
            Err(error) if error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE => return Err(too_large()),
            Err(error) => return Err(ApiError::unreadable(error.body_text())),
        };
        let request = Request::from_parts(parts, axum::body::Body::from(bytes.clone()));
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => match json::named_once(&bytes) {
                Ok(()) => Ok(Self(body)),
                Err(error) => Err(ApiError::invalid(format!("the body: {error}"))),
            },
            Err(JsonRejection::JsonDataError(error)) => Err(ApiError::invalid(plain(&error.body_text()))),
            Err(JsonRejection::JsonSyntaxError(error)) => Err(ApiError::unreadable(plain(&error.body_text()))),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(ApiError::unsupported("send the body as Content-Type: application/json")),
            Err(error) => Err(ApiError::unreadable(error.body_text())),
        }
    }
}

fn too_large() -> ApiError {
    ApiError::too_large(format!("a JSON body has at most {} bytes", super::router::MAX_JSON))
}

/// Without axum's preamble.
fn plain(text: &str) -> String {
    let cut = text.split_once(": ").map_or(text, |(_, rest)| rest);
    format!("the body: {cut}")
}

/// The variable parts of the address.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(error) => Err(ApiError::unreadable(error.body_text())),
        }
    }
}

/// The query of the address.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                let text = error.body_text();
                Err(ApiError::invalid(format!("the query: {}", text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest))))
            }
            Err(error) => Err(ApiError::unreadable(error.body_text())),
        }
    }
}

/// `limit` and `after` of a list's query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

impl PageQuery {
    pub(super) fn request(self) -> Result<PageRequest, ApiError> {
        page(self.limit, self.after)
    }
}

/// A page as asked for by a query that has more than these two.
pub(super) fn page(limit: Option<u32>, after: Option<String>) -> Result<PageRequest, ApiError> {
    match limit {
        Some(limit) if limit == 0 || limit > MAX_PAGE => Err(ApiError::invalid(format!("limit is 1 to {MAX_PAGE}"))),
        limit => Ok(PageRequest::new(limit, after)),
    }
}

/// The version that a change is meant for: `If-Match: "3"`. Absent, or `*`, means any.
pub(super) struct IfMatch(pub(super) Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let version = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|digits| digits.parse().ok());
        // What was never given matches nothing.
        version.map(|version| Self(Some(version))).ok_or_else(|| ApiError::changed("If-Match takes one ETag as it was given, or *"))
    }
}
