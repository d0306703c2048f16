//! "Look now": counted, so that it can be told whether a look came after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicU64,
    notify: Notify,
}

impl Wake {
    /// Wakes the waiting look, or makes the next one come at once.
    pub fn now(&self) {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.notify.notify_one();
    }

    /// How often [`Wake::now`] was called.
    pub(super) fn count(&self) -> u64 {
        self.0.count.load(Ordering::SeqCst)
    }

    pub(super) async fn woken(&self) {
        self.0.notify.notified().await;
    }
}
