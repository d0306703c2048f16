//! Traces: what the daemon does, as spans, sent to a collector that speaks OTLP over HTTP. Nothing of it happens unless it is configured.
//!
//! Sent are the spans of this program and of no crate below it, and no log messages. A span carries ids, periods, counts and times: no name,
//! no amount and no secret. A collector that does not answer loses spans and holds nobody up: they wait in a queue of fixed size, on a
//! thread of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Status, TracerProvider};
use opentelemetry::{Key, Value};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// How long the last spans may take to be sent: everything else of the daemon has stopped by then.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// Under the collector's address, as the protocol has it.
const TRACES: &str = "v1/traces";

/// What the SDK calls a service that nobody gave a name.
const NAMELESS: &str = "unknown_service";

static SENDING: AtomicBool = AtomicBool::new(false);

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("{0} is not an address of http or https")]
    Address(String),
    #[error("traces cannot be sent: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Spans on their way to a collector.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send to a collector, if there is one: at `address`, or where OTEL_EXPORTER_OTLP_TRACES_ENDPOINT says, which counts more.
    pub fn start(address: Option<&str>) -> Result<Option<Self>, TelemetryError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_off = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let exact = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let given = exact.or_else(|| Some(format!("{}/{TRACES}", address?.trim_end_matches('/'))));
        let Some(endpoint) = given.filter(|_| !is_off) else { return Ok(None) };
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            return Err(TelemetryError::Address(endpoint));
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().with_endpoint(endpoint).build()?;
        let exporter = Telling { exporter, is_failing: AtomicBool::new(false) };
        let provider = SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build();
        SENDING.store(true, Ordering::Relaxed);
        Ok(Some(Self(provider)))
    }

    /// What turns spans of this program into those that are sent.
    pub fn layer<S: tracing::Subscriber + for<'span> LookupSpan<'span>>(&self) -> impl Layer<S> + use<S> {
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("rerate"));
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
        layer.with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("rerate")))
    }

    /// Sends what is left.
    pub fn end(self) {
        SENDING.store(false, Ordering::Relaxed);
        if let Err(error) = self.0.shutdown_with_timeout(SENT_WITHIN) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// As the standard variables describe this daemon.
fn resource() -> Resource {
    let resource = Resource::builder().with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
    let named = resource.get(&Key::from_static_str("service.name")).is_some_and(|name| name.as_str() != NAMELESS);
    if named { resource } else { Resource::builder().with_service_name("rerate").with_attributes(others(&resource)).build() }
}

fn others(resource: &Resource) -> Vec<opentelemetry::KeyValue> {
    let others = resource.iter().filter(|(key, _)| key.as_str() != "service.name");
    others.map(|(key, value)| opentelemetry::KeyValue::new(key.clone(), value.clone())).collect()
}

/// Says once that the collector does not answer, and once that it does again.
#[derive(Debug)]
struct Telling {
    exporter: opentelemetry_otlp::SpanExporter,
    is_failing: AtomicBool,
}

impl SpanExporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.exporter.export(batch).await;
        match (&sent, self.is_failing.swap(sent.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => tracing::warn!(%error, "traces cannot be sent; they are lost until the collector answers"),
            (Ok(()), true) => tracing::warn!("traces are sent again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&mut self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&mut self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The headers by which a caller names its own span (W3C Trace Context).
struct Caller<'a> {
    traceparent: &'a str,
    tracestate: Option<&'a str>,
}

impl Extractor for Caller<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.traceparent),
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// Makes a request's span what tracing tools know as one, a part of the caller's trace if it names one. Before the span is entered.
pub fn serves(span: &Span, method: &str, route: &str, traceparent: Option<&str>, tracestate: Option<&str>) {
    if !SENDING.load(Ordering::Relaxed) {
        return;
    }
    span.record("otel.kind", "server").record("otel.name", format!("{method} {route}"));
    if let Some(traceparent) = traceparent {
        // A span that is not sent has no parent to be given.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Caller { traceparent, tracestate }));
    }
}

/// Notes something of a span that its log messages do not repeat.
pub fn note(span: &Span, key: &'static str, value: impl Into<Value>) {
    span.set_attribute(key, value);
}

/// Marks a span as that of something that failed; why is for the log.
pub fn failed(span: &Span) {
    span.set_status(Status::error(""));
}
