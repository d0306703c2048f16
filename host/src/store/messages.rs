//! What daemons on one database tell each other: hints of where to look, and what happened. Nothing depends on one arriving.

use super::{Result, Store};

/// Messages that are kept: a daemon listens several times a second, and one that missed this many looks everything up anyway.
const KEPT: i64 = 2_000;

impl Store {
    /// Tells the other daemons something.
    pub async fn message_send(&self, body: &str) -> Result<()> {
        let Some(daemon) = self.daemon() else { return Ok(()) };
        let mut tx = self.begin().await?;
        // The lock of all changes makes the numbers rise in the order of the commits.
        let number: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) + 1 FROM messages").fetch_one(&mut *tx).await?;
        sqlx::query("INSERT INTO messages (number, daemon, body) VALUES ($1, $2, $3)")
            .bind(number)
            .bind(daemon)
            .bind(body)
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM messages WHERE number <= $1").bind(number - KEPT).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The number of the last message.
    pub async fn message_last(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM messages").fetch_one(&self.read).await?)
    }

    /// What was told after a message, oldest first, with the numbers and whether another daemon did.
    pub async fn messages_after(&self, number: i64) -> Result<Vec<(i64, bool, String)>> {
        let told: Vec<(i64, String, String)> =
            sqlx::query_as("SELECT number, daemon, body FROM messages WHERE number > $1 ORDER BY number")
                .bind(number)
                .fetch_all(&self.read)
                .await?;
        Ok(told.into_iter().map(|(number, daemon, body)| (number, Some(daemon.as_str()) != self.daemon(), body)).collect())
    }
}
