//! Passwords under load: their hashing, off the threads that answer and a few at a time, and the waits after failures, which the database
//! counts for all daemons.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::errors::{ApiError, ApiResult};
use crate::clock::Moment;
use crate::signin::password::{self, SALT_BYTES};
use crate::signin::throttle::{self, By, FORGOTTEN_AFTER_MILLIS};
use crate::store::{FailureKey, Store};

/// Passwords that are hashed at the same time: each takes 19 MiB and a processor for some 20 ms.
const AT_ONCE: usize = 2;

/// Passwords that may wait for that: a second's work. More is an attack, and is told to come back.
const WAITING: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct Doorkeeper {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Doorkeeper {
    fn default() -> Self {
        Self { working: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::new(Semaphore::new(WAITING)) }
    }
}

impl Doorkeeper {
    /// Counts an attempt to sign in, or says how long to wait for it.
    pub(super) async fn attempt(&self, store: &Store, account: &str, address: Option<&str>) -> ApiResult<()> {
        let now = store.clock().now();
        let keys: Vec<FailureKey> = throttle::keys(account, address).into_iter().map(key).collect();
        let since = Moment(now.0 - FORGOTTEN_AFTER_MILLIS);
        let counted = store.attempt_count(&keys, since, |key, known| known.last.0 + by(key).wait(known.count) - now.0).await?;
        counted.map_err(|millis| {
            let seconds = u16::try_from((millis + 999) / 1_000).unwrap_or(u16::MAX);
            ApiError::too_many(format!("too many failed attempts: wait {seconds} s"), seconds)
        })
    }

    /// The attempt was none: the account is forgiven, and the address this once.
    pub(super) async fn succeeded(&self, store: &Store, account: &str, address: Option<&str>) -> ApiResult<()> {
        let (accounts, addresses): (Vec<_>, Vec<_>) = throttle::keys(account, address).into_iter().partition(|(by, _)| *by == By::Account);
        let keys = |found: Vec<(By, String)>| found.into_iter().map(key).collect::<Vec<_>>();
        Ok(store.attempt_forgive(&keys(accounts), &keys(addresses)).await?)
    }

    /// Whether a password is the one of a stored hash; as much work without one.
    pub(super) async fn verify(&self, text: String, stored: Option<String>) -> ApiResult<bool> {
        self.work(move || password::verify(&text, stored.as_deref())).await
    }

    pub(super) async fn hash(&self, text: String, salt: [u8; SALT_BYTES]) -> ApiResult<String> {
        self.work(move || password::hash(&text, &salt)).await?.map_err(ApiError::internal)
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> ApiResult<T> {
        let _waits = self.waiting.try_acquire().map_err(|_| ApiError::overloaded("too many people sign in at once: try again"))?;
        let _works = self.working.acquire().await.map_err(ApiError::internal)?;
        tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)
    }
}

fn key((by, whose): (By, String)) -> FailureKey {
    FailureKey { counted_by: by.name(), whose }
}

fn by(key: &FailureKey) -> By {
    if key.counted_by == By::Account.name() { By::Account } else { By::Address }
}
