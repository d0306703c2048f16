//! Previews: what a change would do to published months. What is asked and what comes out is JSON here; `jobs` knows what it means.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::integrations::shortened;
use super::values::{count, counted, json, to_json};
use super::{DbRow, MAX_TEXT, Page, PageRequest, Result, Store, StoreError, unchanged};
use crate::clock::Moment;

/// Previews that are kept; a new one takes the place of the oldest that has ended.
const KEPT: i64 = 100;

/// Previews that wait or are computed. One at a time is computed: who waits behind twenty others wants to be told.
const OPEN_MAX: i64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PreviewState {
    Queued,
    Running,
    Done,
    Failed,
}

impl PreviewState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    pub id: String,
    pub state: PreviewState,
    /// Charges looked at of those to look at.
    pub progress_done: u64,
    pub progress_total: u64,
    pub request: Value,
    /// None until it is done.
    pub result: Option<Value>,
    pub failure: Option<String>,
    pub created_at: Moment,
    pub started_at: Option<Moment>,
    pub finished_at: Option<Moment>,
}

impl FromRow<'_, DbRow> for Preview {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        let result: Option<&str> = row.try_get("result")?;
        Ok(Self {
            id: row.try_get("id")?,
            state: row.try_get("state")?,
            progress_done: count(row, "progress_done")?,
            progress_total: count(row, "progress_total")?,
            request: json(row, "request")?,
            result: result.is_some().then(|| json(row, "result")).transpose()?,
            failure: row.try_get("failure")?,
            created_at: row.try_get("created_at")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
        })
    }
}

impl Store {
    /// Queues a preview and forgets the oldest ones.
    pub async fn preview_create(&self, request: &Value) -> Result<Preview> {
        let mut tx = self.begin().await?;
        let open: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM previews WHERE state IN ('queued', 'running')").fetch_one(&mut *tx).await?;
        if open >= OPEN_MAX {
            return Err(StoreError::Conflict(format!("{open} previews are waiting already: delete one, or wait")));
        }
        sqlx::query(
            "DELETE FROM previews WHERE state IN ('done', 'failed') \
             AND id NOT IN (SELECT id FROM previews ORDER BY id DESC LIMIT $1)",
        )
        .bind(KEPT - 1)
        .execute(&mut *tx)
        .await?;
        let preview = sqlx::query_as(
            "INSERT INTO previews (id, state, request, progress_done, progress_total, created_at) VALUES ($1, 'queued', $2, 0, 0, $3) \
             RETURNING *",
        );
        let preview = preview.bind(self.clock.id("pvw")).bind(to_json(request)?).bind(self.clock.now()).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(preview)
    }

    pub async fn preview(&self, id: &str) -> Result<Preview> {
        let found = sqlx::query_as("SELECT * FROM previews WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("preview", id))
    }

    /// Newest last, without their results.
    pub async fn previews(&self, page: &PageRequest) -> Result<Page<Preview>> {
        let items = sqlx::query_as(
            "SELECT id, state, progress_done, progress_total, request, NULL AS result, failure, created_at, started_at, finished_at \
             FROM previews WHERE id > $1 ORDER BY id LIMIT $2",
        );
        let items = items.bind(page.after()).bind(page.fetch()).fetch_all(&self.read).await?;
        Ok(page.page(items, |preview: &Preview| preview.id.clone()))
    }

    /// The oldest that waits begins.
    pub async fn preview_start_next(&self) -> Result<Option<Preview>> {
        let next = sqlx::query_as(
            "UPDATE previews SET state = 'running', started_at = $1 \
             WHERE id = (SELECT id FROM previews WHERE state = 'queued' ORDER BY id LIMIT 1) RETURNING *",
        );
        self.change_one(next.bind(self.clock.now())).await
    }

    pub async fn preview_progress(&self, id: &str, done: u64, total: u64) -> Result<()> {
        let progress = sqlx::query("UPDATE previews SET progress_done = $2, progress_total = $3 WHERE id = $1 AND state = 'running'");
        self.change(progress.bind(id).bind(counted(done)?).bind(counted(total)?)).await?;
        Ok(())
    }

    /// A running preview ends with a result or with a reason. One that was deleted meanwhile stays so.
    pub async fn preview_end(&self, id: &str, outcome: std::result::Result<&Value, &str>) -> Result<()> {
        let (state, result, failure) = match outcome {
            Ok(result) => (PreviewState::Done, Some(to_json(result)?), None),
            Err(reason) => (PreviewState::Failed, None, Some(shortened(reason, MAX_TEXT))),
        };
        let ended = sqlx::query(
            "UPDATE previews SET state = $2, result = $3, failure = $4, finished_at = $5, progress_done = progress_total \
             WHERE id = $1 AND state = 'running'",
        )
        .bind(id)
        .bind(state)
        .bind(result)
        .bind(failure)
        .bind(self.clock.now());
        self.change(ended).await?;
        Ok(())
    }

    /// Previews that a stopped process left are computed from their beginning.
    pub async fn previews_requeue(&self) -> Result<()> {
        let again = sqlx::query("UPDATE previews SET state = 'queued', started_at = NULL, progress_done = 0 WHERE state = 'running'");
        self.change(again).await?;
        Ok(())
    }

    pub async fn preview_delete(&self, id: &str, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let found: Option<Preview> = sqlx::query_as("SELECT * FROM previews WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let preview = found.ok_or_else(|| StoreError::not_found("preview", id))?;
        unchanged("preview", id, preview.tag(), expected)?;
        sqlx::query("DELETE FROM previews WHERE id = $1").bind(id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
