//! `/metrics`: what an operator's Prometheus reads. Numbers only; no name of a tenant, a person or a rule is in them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use crate::jobs::Tally;

/// Upper bounds in seconds: a lookup takes a millisecond, an upload some seconds, and a request is given up after two minutes.
const SECONDS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 120.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InState {
    state: String,
}

/// The numbers of one daemon. Cheap to clone.
#[derive(Clone)]
pub(super) struct Metrics(Arc<Numbers>);

struct Numbers {
    registry: Registry,
    answered: Family<Answered, Counter>,
    seconds: Family<Asked, Histogram, fn() -> Histogram>,
    runs: Family<InState, Gauge>,
    connections: Family<InState, Gauge>,
    resident: Gauge,
}

/// The counts of the jobs, as they are when they are asked for.
#[derive(Debug)]
struct Work(Arc<Tally>);

impl Collector for Work {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let tallied = self.0.now();
        for (name, help, value) in [
            ("rerate_runs_published", "Runs that were published", tallied.runs_done),
            ("rerate_runs_failed", "Runs that failed", tallied.runs_failed),
            ("rerate_charges_rated", "Charges of published runs", tallied.charges_rated),
            ("rerate_rule_fuel", "Instructions that rules used", tallied.rule_fuel),
            ("rerate_rule_milliseconds", "Milliseconds inside rules, added up over processors", tallied.rule_nanos / 1_000_000),
            ("rerate_imports", "Looks at an integration that ended well", tallied.imports_done),
            ("rerate_imports_failed", "Looks at an integration that failed", tallied.imports_failed),
            ("rerate_charges_imported", "Charges of published snapshots", tallied.charges_imported),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

impl Metrics {
    pub(super) fn new(tally: Option<Arc<Tally>>) -> Self {
        let mut registry = Registry::default();
        let answered = Family::<Answered, Counter>::default();
        registry.register("rerate_http_requests", "Requests by route and status", answered.clone());
        let seconds = Family::<Asked, Histogram, fn() -> Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
        registry.register("rerate_http_request_seconds", "How long requests took", seconds.clone());
        let runs = Family::<InState, Gauge>::default();
        registry.register(
            "rerate_runs",
            "Runs that the database knows, by state; those that are queued are the length of the queue",
            runs.clone(),
        );
        let connections = Family::<InState, Gauge>::default();
        registry.register("rerate_database_connections", "Connections to the database: open, and idle among them", connections.clone());
        let resident = Gauge::default();
        registry.register("process_resident_memory_bytes", "Memory of the process that is in use", resident.clone());
        if let Some(tally) = tally {
            registry.register_collector(Box::new(Work(tally)));
        }
        Self(Arc::new(Numbers { registry, answered, seconds, runs, connections, resident }))
    }

    /// Counts an answered request. The route is the documented one, so that its ids do not become labels.
    pub(super) fn answered(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let method = known(method);
        self.0.answered.get_or_create(&Answered { method, route: route.to_owned(), status }).inc();
        self.0.seconds.get_or_create(&Asked { method, route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// As Prometheus reads it.
    async fn text(&self, state: &AppState) -> ApiResult<String> {
        let counted = state.store.runs_by_state().await?;
        let gauge = |family: &Family<InState, Gauge>, state: &str, value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            family.get_or_create(&InState { state: state.to_owned() }).set(value);
        };
        for name in ["queued", "running", "done", "failed", "superseded"] {
            gauge(&self.0.runs, name, 0);
        }
        for (name, count) in counted {
            gauge(&self.0.runs, &name, u64::try_from(count).unwrap_or_default());
        }
        let connections = state.store.connections();
        gauge(&self.0.connections, "open", connections.open);
        gauge(&self.0.connections, "idle", connections.idle);
        if let Some(bytes) = resident_bytes() {
            self.0.resident.set(bytes);
        }
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry).map_err(ApiError::internal)?;
        Ok(text)
    }
}

/// Methods that a client made up do not become labels.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Resident memory; only Linux says.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// The same on an address of its own, where nobody needs a token.
pub(super) fn router(state: AppState) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(state)
}

/// Shows the daemon's numbers as Prometheus reads them: requests by route and status, runs by state, charges, rules' instructions,
/// imports, connections, memory. `rerate serve --metrics ADDR` answers the same without a token on an address of its own.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, content_type = "application/openmetrics-text", body = String, description = "OpenMetrics text"), Problems))]
async fn metrics(State(state): State<AppState>) -> ApiResult<Response> {
    let text = state.metrics.text(&state).await?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}
