//! Leases: which of several daemons does the work, and which of them are there. All times are the database's own.
//!
//! A lease is taken with the lock that every change takes, and every change of the work looks, with the same lock, whether the lease is
//! still its own. So whoever was stalled and wakes up late changes nothing any more.

use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::{Result, Store, StoreError, Tx};

/// The lease of whoever imports and rates.
const WORK: &str = "work";

/// How a daemon's own lease, which says that it is there, is called: by its id.
pub(super) const DAEMON: &str = "dmn";

/// A time in which the work is one daemon's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term(i64);

impl Store {
    /// This daemon among others; none where there can be only one.
    pub fn daemon(&self) -> Option<&str> {
        self.daemon.as_deref()
    }

    /// The same store, for the work of a term: once another daemon has the work, every change is refused.
    #[must_use]
    pub fn during(&self, term: Term) -> Self {
        Self { term: Some(term), ..self.clone() }
    }

    /// Takes the work for some milliseconds, if nobody has it or the daemon that had it did not renew its lease in time.
    pub async fn work_take(&self, millis: i64) -> Result<Option<Term>> {
        let Some(daemon) = self.daemon() else { return Ok(None) };
        let now = self.kind.now();
        let is_free: Option<i64> = sqlx::query_scalar(statement(format!("SELECT term FROM leases WHERE name = $1 AND expires_at > {now}")))
            .bind(WORK)
            .fetch_optional(&self.read)
            .await?;
        if is_free.is_some() {
            return Ok(None);
        }
        let mut tx = self.begin().await?;
        let term: Option<i64> = sqlx::query_scalar(statement(format!(
            "INSERT INTO leases (name, holder, term, expires_at) VALUES ($1, $2, 1, {now} + $3) ON CONFLICT (name) DO UPDATE \
             SET holder = $2, term = leases.term + 1, expires_at = {now} + $3 WHERE leases.expires_at <= {now} RETURNING term"
        )))
        .bind(WORK)
        .bind(daemon)
        .bind(millis)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(term.map(Term))
    }

    /// Keeps the work for some milliseconds from now; false when it is somebody else's. Does not queue behind changes.
    pub async fn work_renew(&self, term: Term, millis: i64) -> Result<bool> {
        let renew = format!("UPDATE leases SET expires_at = {} + $3 WHERE name = $1 AND term = $2", self.kind.now());
        let renewed = sqlx::query(statement(renew)).bind(WORK).bind(term.0).bind(millis).execute(self.write.beats()).await?;
        Ok(renewed.rows_affected() > 0)
    }

    /// Gives the work up, for the next to take.
    pub async fn work_release(&self, term: Term) -> Result<()> {
        sqlx::query("UPDATE leases SET expires_at = 0 WHERE name = $1 AND term = $2")
            .bind(WORK)
            .bind(term.0)
            .execute(self.write.beats())
            .await?;
        Ok(())
    }

    /// Says that this daemon is there for some milliseconds, and tells how many are.
    pub async fn daemon_renew(&self, millis: i64) -> Result<i64> {
        let Some(daemon) = self.daemon() else { return Ok(1) };
        let now = self.kind.now();
        sqlx::query(statement(format!(
            "INSERT INTO leases (name, holder, term, expires_at) VALUES ($1, $1, 1, {now} + $2) \
             ON CONFLICT (name) DO UPDATE SET expires_at = {now} + $2"
        )))
        .bind(daemon)
        .bind(millis)
        .execute(self.write.beats())
        .await?;
        let there = format!("SELECT COUNT(*) FROM leases WHERE name LIKE '{DAEMON}!_%' ESCAPE '!' AND expires_at > {now}");
        Ok(sqlx::query_scalar(statement(there)).fetch_one(&self.read).await?)
    }

    /// How many daemons but this one are there.
    pub(super) async fn daemons_but(&self, daemon: &str) -> Result<i64> {
        let there = format!(
            "SELECT COUNT(*) FROM leases WHERE name LIKE '{DAEMON}!_%' ESCAPE '!' AND name <> $1 AND expires_at > {}",
            self.kind.now()
        );
        Ok(sqlx::query_scalar(statement(there)).bind(daemon).fetch_one(&self.read).await?)
    }

    /// Says that this daemon is gone, and forgets those that have been for an hour.
    pub async fn daemon_leave(&self) -> Result<()> {
        let Some(daemon) = self.daemon() else { return Ok(()) };
        let gone = format!(
            "DELETE FROM leases WHERE name = $1 OR (name LIKE '{DAEMON}!_%' ESCAPE '!' AND expires_at < {} - 3600000)",
            self.kind.now()
        );
        sqlx::query(statement(gone)).bind(daemon).execute(self.write.beats()).await?;
        Ok(())
    }

    /// The condition that nobody works any more on what a column's daemon began.
    pub(super) fn abandoned(&self, column: &str) -> String {
        format!("({column} IS NULL OR {column} NOT IN (SELECT name FROM leases WHERE expires_at > {}))", self.kind.now())
    }

    /// Whether a change may still be made.
    pub(super) async fn check_term(&self, tx: &mut Tx) -> Result<()> {
        let Some(Term(term)) = self.term else { return Ok(()) };
        let current: Option<i64> =
            sqlx::query_scalar("SELECT term FROM leases WHERE name = $1").bind(WORK).fetch_optional(&mut **tx).await?;
        if current == Some(term) { Ok(()) } else { Err(StoreError::TakenOver) }
    }
}

pub(super) fn statement(text: String) -> impl SqlSafeStr {
    AssertSqlSafe(text)
}
