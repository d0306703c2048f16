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
    changes: AtomicU64,
    notify: Notify,
}

impl Wake {
    /// Something has changed: wakes the waiting look, or makes the next one come at once.
    pub fn now(&self) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        self.ended();
    }

    /// As [`Wake::now`], where all that has happened is that work which a look had started came to its end.
    pub(super) fn ended(&self) {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.notify.notify_one();
    }

    /// How often anything woke the look.
    pub(super) fn count(&self) -> u64 {
        self.0.count.load(Ordering::SeqCst)
    }

    /// How often something had changed.
    pub(super) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::SeqCst)
    }

    pub(super) async fn woken(&self) {
        self.0.notify.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_wakes_and_changes_nothing() {
        let wake = Wake::default();
        wake.now();
        wake.woken().await;
        wake.ended();
        wake.woken().await;
        assert_eq!((wake.count(), wake.changes()), (2, 1));
    }
}
