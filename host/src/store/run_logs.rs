//! Run logs: what rules wrote while a run was rated. Bounded by the rating; kept as long as the run.

use super::values::{count, counted, json, to_json};
use super::{Result, Store, Tx};
use crate::domain::rated::RunLogs;

impl Store {
    /// What rules wrote in a run; nothing for a run that was not rated yet or whose rules write nothing.
    pub async fn run_logs(&self, id: &str) -> Result<RunLogs> {
        self.run(id).await?;
        let row = sqlx::query("SELECT lines, cut FROM run_logs WHERE run_id = $1").bind(id).fetch_optional(&self.read).await?;
        match row {
            Some(row) => Ok(RunLogs { lines: json(&row, "lines")?, cut: count(&row, "cut")? }),
            None => Ok(RunLogs::default()),
        }
    }

    /// Keeps what rules wrote in a run that is about to fail.
    pub async fn run_logs_put(&self, id: &str, logs: &RunLogs) -> Result<()> {
        let mut tx = self.begin().await?;
        put_logs(&mut tx, id, logs).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Replaces what an earlier attempt left.
pub(super) async fn put_logs(tx: &mut Tx, id: &str, logs: &RunLogs) -> Result<()> {
    sqlx::query("DELETE FROM run_logs WHERE run_id = $1").bind(id).execute(&mut **tx).await?;
    if *logs == RunLogs::default() {
        return Ok(());
    }
    sqlx::query("INSERT INTO run_logs (run_id, lines, cut) VALUES ($1, $2, $3)")
        .bind(id)
        .bind(to_json(&logs.lines)?)
        .bind(counted(logs.cut)?)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
