//! `/v1/runs/{id}/verify`: a published result computed again from what was recorded of it.

use std::num::NonZero;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, Path};
use crate::jobs::replay::{ReplayError, ReplayOptions, Verdict};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(run_verify))
}

impl From<ReplayError> for ApiError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => error.into(),
            ReplayError::NotDone { .. }
            | ReplayError::NotRecorded(_)
            | ReplayError::SnapshotGone { .. }
            | ReplayError::Component { .. } => Self::conflict(error.to_string()),
            ReplayError::NoSuchLine(_) => Self::not_found(error.to_string()),
            ReplayError::Invalid(message) => Self::invalid(message),
            ReplayError::Rate(_) | ReplayError::Lake(_) | ReplayError::Io { .. } | ReplayError::Cancelled | ReplayError::Defect(_) => {
                Self::internal(error)
            }
        }
    }
}

/// How to compute it. The result may not depend on it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"workers": 1, "batch_rows": 100}))]
struct VerifyBody {
    /// Threads; half of the machine's cores if absent.
    #[schema(value_type = Option<usize>)]
    workers: Option<NonZero<usize>>,
    /// Charges of one call into a rule at most; whole row groups if absent.
    #[schema(value_type = Option<usize>)]
    batch_rows: Option<NonZero<usize>>,
}

/// Computes a done run again from its recorded snapshots, components, configurations and inputs, and compares bytes, totals, added lines
/// and findings: identical, or the first difference. Publishes nothing.
#[utoipa::path(post, path = "/v1/runs/{id}/verify", tag = "runs", params(("id" = String, Path)), request_body = VerifyBody,
    responses((status = 200, body = Verdict), Problems))]
async fn run_verify(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    Body(body): Body<VerifyBody>,
) -> ApiResult<Json<Verdict>> {
    store.run(&id).await?;
    let options = ReplayOptions { workers: body.workers, batch_rows: body.batch_rows };
    Ok(Json(state.replayer()?.verify(&id, options).await?))
}
