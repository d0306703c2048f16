//! How far a long piece of work has come, shared between the threads that do it and whoever shows it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters of one job. Reading them costs nothing and never blocks the work.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    rows: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    pub const fn new() -> Self {
        Self { done: AtomicU64::new(0), total: AtomicU64::new(0), rows: AtomicU64::new(0), cancelled: AtomicBool::new(false) }
    }

    /// Adds to the units of work to do: source bytes for an import, charges for a rating.
    pub fn expect(&self, units: u64) {
        self.total.fetch_add(units, Ordering::Relaxed);
    }

    pub fn advance(&self, units: u64, rows: u64) {
        self.done.fetch_add(units, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Asks the work to stop at the next batch.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
