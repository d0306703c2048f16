//! Failures to sign in, counted for all daemons on the database. How long that makes somebody wait is worked out by `signin`, not here.

use super::{Result, Store, Tx};
use crate::clock::Moment;

/// Accounts and addresses that are remembered: a few megabytes. Of more, the half that has been quiet for longest is forgotten.
const MAX_REMEMBERED: i64 = 20_000;

/// Whose failures: an account's or an address's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureKey {
    /// What is counted: `account` or `address`.
    pub counted_by: &'static str,
    pub whose: String,
}

/// What is known of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownFailures {
    pub count: i64,
    pub last: Moment,
}

impl Store {
    /// Counts an attempt as a failure of each until it is known to be none, unless `wait` says of one how many milliseconds it is too early:
    /// then nothing is counted and the longest wait is given. What is no younger than `since` is not known any more. Attempts queue
    /// for this, so that none pass together, at whichever daemon they are.
    pub async fn attempt_count(
        &self,
        keys: &[FailureKey],
        since: Moment,
        wait: impl Fn(&FailureKey, KnownFailures) -> i64,
    ) -> Result<std::result::Result<(), i64>> {
        let now = self.clock.now();
        // Whoever must wait does not keep those who change something waiting as well.
        let longest = longest(&counted(&mut self.read.begin().await?, keys, since).await?, &wait);
        if longest > 0 {
            return Ok(Err(longest));
        }
        let mut tx = self.begin().await?;
        let known = counted(&mut tx, keys, since).await?;
        let longest = self::longest(&known, &wait);
        if longest > 0 {
            return Ok(Err(longest));
        }
        sqlx::query("DELETE FROM sign_in_failures WHERE last_at <= $1").bind(since).execute(&mut *tx).await?;
        for (key, _) in known {
            sqlx::query(
                "INSERT INTO sign_in_failures (counted_by, whose, failures, last_at) VALUES ($1, $2, 1, $3) \
                 ON CONFLICT (counted_by, whose) DO UPDATE SET failures = sign_in_failures.failures + 1, last_at = $3",
            )
            .bind(key.counted_by)
            .bind(&key.whose)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        }
        forget_some(&mut tx, MAX_REMEMBERED).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// An attempt was none: these are forgiven altogether, and those this once.
    pub async fn attempt_forgive(&self, altogether: &[FailureKey], once: &[FailureKey]) -> Result<()> {
        let mut tx = self.begin().await?;
        for key in altogether {
            sqlx::query("DELETE FROM sign_in_failures WHERE counted_by = $1 AND whose = $2")
                .bind(key.counted_by)
                .bind(&key.whose)
                .execute(&mut *tx)
                .await?;
        }
        for key in once {
            sqlx::query("UPDATE sign_in_failures SET failures = failures - 1 WHERE counted_by = $1 AND whose = $2 AND failures > 0")
                .bind(key.counted_by)
                .bind(&key.whose)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn counted<'a>(tx: &mut Tx, keys: &'a [FailureKey], since: Moment) -> Result<Vec<(&'a FailureKey, Option<KnownFailures>)>> {
    let mut known = Vec::with_capacity(keys.len());
    for key in keys {
        let found: Option<(i64, Moment)> =
            sqlx::query_as("SELECT failures, last_at FROM sign_in_failures WHERE counted_by = $1 AND whose = $2 AND last_at > $3")
                .bind(key.counted_by)
                .bind(&key.whose)
                .bind(since)
                .fetch_optional(&mut **tx)
                .await?;
        known.push((key, found.map(|(count, last)| KnownFailures { count, last })));
    }
    Ok(known)
}

fn longest(known: &[(&FailureKey, Option<KnownFailures>)], wait: &impl Fn(&FailureKey, KnownFailures) -> i64) -> i64 {
    known.iter().filter_map(|(key, failures)| failures.map(|failures| wait(key, failures))).max().unwrap_or(0)
}

/// Where there are more than so many, leaves the younger half.
async fn forget_some(tx: &mut Tx, most: i64) -> Result<()> {
    let middle: Option<Moment> = sqlx::query_scalar(
        "SELECT last_at FROM sign_in_failures WHERE (SELECT COUNT(*) FROM sign_in_failures) > $1 \
             ORDER BY last_at DESC LIMIT 1 OFFSET $2",
    )
    .bind(most)
    .bind(most / 2)
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(middle) = middle {
        sqlx::query("DELETE FROM sign_in_failures WHERE last_at <= $1").bind(middle).execute(&mut **tx).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn what_is_remembered_is_bounded_and_the_quietest_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_file(&folder.path().join("rerate.db"), Clock::system()).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        for number in 0..11_i64 {
            sqlx::query("INSERT INTO sign_in_failures (counted_by, whose, failures, last_at) VALUES ('account', $1, 1, $2)")
                .bind(number.to_string())
                .bind(Moment(number))
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        let left = async |tx: &mut Tx| {
            let left: Vec<Moment> =
                sqlx::query_scalar("SELECT last_at FROM sign_in_failures ORDER BY last_at").fetch_all(&mut **tx).await.unwrap();
            left.into_iter().map(|at| at.0).collect::<Vec<_>>()
        };
        forget_some(&mut tx, 11).await.unwrap();
        assert_eq!(left(&mut tx).await.len(), 11);
        forget_some(&mut tx, 10).await.unwrap();
        assert_eq!(left(&mut tx).await, [6, 7, 8, 9, 10]);
    }
}
