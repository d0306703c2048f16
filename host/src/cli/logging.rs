//! What the program says of its work on stderr: for a person, or for whatever collects logs.
//!
//! Secrets have no place in a message: tokens, passwords, keys and the bodies of requests are never given to a log call. A test runs the
//! daemon with everything logged and looks.

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::output;
use crate::telemetry::Traces;

/// How log messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for a person; warnings and errors unless RUST_LOG asks for more
    #[default]
    Text,
    /// A JSON object a line; from info on unless RUST_LOG says otherwise
    Json,
}

/// Begins to log, and to trace where that is asked for. `RUST_LOG` says how much is logged.
pub(super) fn start(format: LogFormat, traces: Option<&Traces>) {
    let quiet = match format {
        LogFormat::Text => "warn",
        LogFormat::Json => "info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(quiet));
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = match format {
        LogFormat::Text => logs.with_target(false).with_ansi(output::stderr_is_terminal()).boxed(),
        LogFormat::Json => logs.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    let begun = tracing_subscriber::registry().with(logs.with_filter(filter)).with(traces.map(Traces::layer));
    if begun.try_init().is_err() {
        output::complain("warning: logging was already set up");
    }
}
