//! The outermost layer: an id and one log line for each request, its deadline, and a limit on how many are under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tracing::Instrument;
use tracing::field::Empty;

use super::errors::{ApiError, Cause};
use super::metrics::Metrics;
use crate::clock::Clock;
use crate::telemetry;

/// Handlers answer within milliseconds; compiling an uploaded component of 18 MB takes a minute at most.
const DEADLINE: Duration = Duration::from_secs(120);

/// Requests under way: far more than a console and its scripts need, and few enough for one process.
const UNDER_WAY: usize = 512;

#[derive(Clone)]
pub(super) struct Boundary {
    clock: Clock,
    places: Arc<Semaphore>,
    metrics: Metrics,
}

impl Boundary {
    pub(super) fn new(clock: Clock, metrics: Metrics) -> Self {
        Self { clock, places: Arc::new(Semaphore::new(UNDER_WAY)), metrics }
    }
}

pub(super) async fn boundary(State(boundary): State<Boundary>, request: Request, next: Next) -> Response {
    let id = boundary.clock.id("req");
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", id, %method, route, otel.kind = Empty, otel.name = Empty);
    telemetry::serves(&span, method.as_str(), &route, text(&request, "traceparent"), text(&request, "tracestate"));
    let reads = request.method().is_safe();
    let begun = Instant::now();
    let mut response = async {
        let Ok(_place) = boundary.places.try_acquire() else {
            return ApiError::overloaded(format!("{UNDER_WAY} requests are under way: try again")).into_response();
        };
        match tokio::time::timeout(DEADLINE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => ApiError::overloaded("the request took too long and was given up").into_response(),
        }
    }
    .instrument(span.clone())
    .await;
    let took = begun.elapsed();
    let (status, millis) = (response.status().as_u16(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    boundary.metrics.answered(&method, &route, status, took);
    telemetry::note(&span, "http.response.status_code", i64::from(status));
    if response.status().is_server_error() {
        telemetry::failed(&span);
    }
    let _entered = span.enter();
    match response.extensions().get::<Cause>() {
        Some(Cause(cause)) => tracing::error!(status, millis, %cause, "failed"),
        None if reads => tracing::debug!(status, millis, "answered"),
        None => tracing::info!(status, millis, "answered"),
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

fn text<'a>(request: &'a Request, header: &str) -> Option<&'a str> {
    request.headers().get(header)?.to_str().ok()
}

/// A handler that panicked fails its own request and nothing else.
pub(super) fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    ApiError::internal(format!("a handler panicked: {}", message.unwrap_or("no message"))).into_response()
}
