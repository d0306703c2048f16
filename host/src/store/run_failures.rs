//! Runs that end badly, and those that are tried again. What is published stays.

use super::integrations::shortened;
use super::{MAX_TEXT, Result, Run, Store, StoreError, unchanged};

impl Store {
    /// A queued or running run ends badly.
    pub async fn run_fail(&self, id: &str, reason: &str) -> Result<Run> {
        self.run_end_badly(id, reason, 0).await
    }

    /// A queued or running run ends badly by no rule's fault: a disk is full, a bucket does not answer. It is to be tried again.
    pub async fn run_fail_for_now(&self, id: &str, reason: &str) -> Result<Run> {
        self.run_end_badly(id, reason, 1).await
    }

    async fn run_end_badly(&self, id: &str, reason: &str, again: i64) -> Result<Run> {
        let failed = sqlx::query_as(
            "UPDATE runs SET state = 'failed', failure = $2, finished_at = $3, again = $4 \
             WHERE id = $1 AND state IN ('queued', 'running') RETURNING *",
        )
        .bind(id)
        .bind(shortened(reason, MAX_TEXT))
        .bind(self.clock.now())
        .bind(again);
        self.changed(self.change_one(failed).await?, id, "fail").await
    }

    /// Queues a failed run again. Only the newest of its tenant, period and currency: what a newer one did stays.
    pub async fn run_retry(&self, id: &str, expected: Option<i64>) -> Result<Run> {
        let mut tx = self.begin().await?;
        let found: Option<Run> = sqlx::query_as("SELECT * FROM runs WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let before = found.filter(|run| self.view.sees(&run.tenant_id)).ok_or_else(|| StoreError::not_found("run", id))?;
        unchanged("run", id, before.tag(), expected)?;
        let queued = sqlx::query_as(
            "UPDATE runs SET state = 'queued', failure = NULL, started_at = NULL, finished_at = NULL, progress_done = 0, again = 0 \
             WHERE id = $1 AND state = 'failed' AND NOT EXISTS (SELECT 1 FROM runs n WHERE n.tenant_id = runs.tenant_id \
             AND n.period = runs.period AND n.currency = runs.currency AND n.id > runs.id) RETURNING *",
        );
        let queued = queued.bind(id).fetch_optional(&mut *tx).await?;
        tx.commit().await?;
        self.changed(queued, id, "be tried again").await
    }
}
