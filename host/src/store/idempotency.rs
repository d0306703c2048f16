//! Idempotency keys: a creating call that is sent again gets the first answer again instead of a second creation.

use sqlx::Row;

use super::leases::statement;
use super::{Result, Store, StoreError};

/// How long an answer can be asked for again, in milliseconds: a day, longer than any client retries.
const KEPT_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// Bytes of a key.
const MAX_KEY: usize = 200;

/// An answer as it was first given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    pub status: u16,
    /// JSON object of the headers that matter.
    pub headers: String,
    pub body: String,
}

/// What became of asking for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Nobody used it: go on, then store the answer or release the key.
    New,
    /// The same request was answered: give this.
    Answered(StoredResponse),
    /// The same request is being worked on.
    UnderWay,
    /// It was used for a different request.
    Different,
}

impl Store {
    /// Takes a key for a request, known by its SHA-256, of a caller: a token or a session.
    pub async fn idempotency_reserve(&self, caller_id: &str, key: &str, request_sha256: &str) -> Result<Reserved> {
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(StoreError::Invalid(format!("an idempotency key has 1 to {MAX_KEY} visible ASCII characters")));
        }
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM idempotency_keys WHERE created_at < $1").bind(now.0 - KEPT_MILLIS).execute(&mut *tx).await?;
        let found = sqlx::query("SELECT request_sha256, status, headers, body FROM idempotency_keys WHERE caller_id = $1 AND key = $2")
            .bind(caller_id)
            .bind(key)
            .fetch_optional(&mut *tx)
            .await?;
        let reserved = match found {
            None => {
                sqlx::query(
                    "INSERT INTO idempotency_keys (caller_id, key, request_sha256, created_at, daemon) VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(caller_id)
                .bind(key)
                .bind(request_sha256)
                .bind(now)
                .bind(self.daemon())
                .execute(&mut *tx)
                .await?;
                Reserved::New
            }
            Some(row) if row.try_get::<&str, _>("request_sha256")? != request_sha256 => Reserved::Different,
            Some(row) => match row.try_get::<Option<i64>, _>("status")? {
                None => Reserved::UnderWay,
                Some(status) => Reserved::Answered(StoredResponse {
                    status: u16::try_from(status).map_err(|_| StoreError::Corrupt(format!("an HTTP status of {status}")))?,
                    headers: row.try_get::<Option<String>, _>("headers")?.unwrap_or_default(),
                    body: row.try_get::<Option<String>, _>("body")?.unwrap_or_default(),
                }),
            },
        };
        tx.commit().await?;
        Ok(reserved)
    }

    pub async fn idempotency_store(&self, caller_id: &str, key: &str, response: &StoredResponse) -> Result<()> {
        let answered = sqlx::query("UPDATE idempotency_keys SET status = $3, headers = $4, body = $5 WHERE caller_id = $1 AND key = $2")
            .bind(caller_id)
            .bind(key)
            .bind(i64::from(response.status))
            .bind(&response.headers)
            .bind(&response.body);
        self.change(answered).await?;
        Ok(())
    }

    /// Gives a key back: the request failed and may be tried again.
    pub async fn idempotency_release(&self, caller_id: &str, key: &str) -> Result<()> {
        let released = sqlx::query("DELETE FROM idempotency_keys WHERE caller_id = $1 AND key = $2 AND status IS NULL");
        self.change(released.bind(caller_id).bind(key)).await?;
        Ok(())
    }

    /// Gives back the keys of requests that a stopped process was working on.
    pub async fn idempotency_release_all(&self) -> Result<()> {
        let left = format!("DELETE FROM idempotency_keys WHERE status IS NULL AND {}", self.abandoned("daemon"));
        self.change(sqlx::query(statement(left))).await?;
        Ok(())
    }
}
