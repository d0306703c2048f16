//! `/v1/ready`: whether the daemon can do its work, for whatever sends it requests.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use crate::depot::Remote;
use crate::jobs::place::MARK;

/// What answers without a token.
pub(super) fn open_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(ready))
}

#[derive(Debug, Serialize, ToSchema)]
struct Ready {
    /// `ready`, or `not-ready` when a check fails.
    status: &'static str,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Check {
    /// `database`, `data-folder`, `bucket`, `jobs`
    name: &'static str,
    ok: bool,
    /// What is wrong, in words that tell nothing of the machine; the log has the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Check {
    fn of(name: &'static str, found: Result<(), &'static str>) -> Self {
        Self { name, ok: found.is_ok(), reason: found.err() }
    }
}

/// How long a bucket may take to answer; whoever asks does so every few seconds.
const BUCKET_WITHIN: Duration = Duration::from_secs(2);

async fn answers(bucket: &Remote) -> Result<(), &'static str> {
    let found = tokio::time::timeout(BUCKET_WITHIN, bucket.find(MARK)).await;
    let failed = match found {
        Ok(Ok(Some(_))) => return Ok(()),
        Ok(Ok(None)) => "the object that says whose it is is gone".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    tracing::error!(error = failed, "not ready: the bucket");
    Err("it does not answer as it should")
}

/// Says whether the daemon can do its work: the database answers, the data folder takes files, bills are read and rated. Unlike health it
/// is about the work, not about the process: a daemon that is not ready may become so by itself.
#[utoipa::path(get, path = "/v1/ready", tag = "operations", security(()),
    responses((status = 200, body = Ready), (status = 503, body = Ready, description = "It cannot; `checks` says why")))]
async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Ready>) {
    let database = state.store.answers().await.map_err(|error| {
        tracing::error!(%error, "not ready: the database");
        "it does not answer"
    });
    let mut checks = vec![Check::of("database", database)];
    if let Ok(data) = state.data() {
        let data = std::sync::Arc::clone(data);
        let written = tokio::task::spawn_blocking(move || tempfile::NamedTempFile::new_in(data.scratch()).map(drop)).await;
        let written = written.map_err(|error| error.to_string()).and_then(|written| written.map_err(|error| error.to_string()));
        let folder = written.map_err(|error| {
            tracing::error!(error, "not ready: the data folder");
            "it takes no files"
        });
        checks.push(Check::of("data-folder", folder));
        if let Some(bucket) = state.data().ok().and_then(|data| data.bucket()) {
            checks.push(Check::of("bucket", answers(bucket).await));
        }
    }
    checks.push(Check::of("jobs", if state.is_working() { Ok(()) } else { Err("a task has ended on a defect") }));
    let ready = checks.iter().all(|check| check.ok);
    let (status, word) = if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not-ready") };
    (status, Json(Ready { status: word, checks }))
}
