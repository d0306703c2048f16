//! Passwords under load: their hashing, off the threads that answer and a few at a time, and the waits after failures.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::errors::{ApiError, ApiResult};
use crate::clock::Moment;
use crate::signin::password::{self, SALT_BYTES};
use crate::signin::throttle::Throttle;

/// Passwords that are hashed at the same time: each takes 19 MiB and a processor for some 20 ms.
const AT_ONCE: usize = 2;

/// Passwords that may wait for that: a second's work. More is an attack, and is told to come back.
const WAITING: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct Doorkeeper {
    throttle: Arc<Mutex<Throttle>>,
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Doorkeeper {
    fn default() -> Self {
        Self { throttle: Arc::default(), working: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::new(Semaphore::new(WAITING)) }
    }
}

impl Doorkeeper {
    /// Counts an attempt to sign in, or says how long to wait for it.
    pub(super) fn attempt(&self, account: &str, address: Option<&str>, now: Moment) -> ApiResult<()> {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.attempt(account, address, now.0).map_err(|millis| {
            let seconds = u16::try_from((millis + 999) / 1_000).unwrap_or(u16::MAX);
            ApiError::too_many(format!("too many failed attempts: wait {seconds} s"), seconds)
        })
    }

    pub(super) fn succeeded(&self, account: &str, address: Option<&str>) {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner).succeeded(account, address);
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
