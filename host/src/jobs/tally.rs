//! What the work of this process comes to since it started: numbers for an operator, never input of anything.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::sandbox::Usage;

/// Counts that only grow.
#[derive(Debug, Default)]
pub struct Tally {
    runs_done: AtomicU64,
    runs_failed: AtomicU64,
    charges_rated: AtomicU64,
    rule_fuel: AtomicU64,
    rule_nanos: AtomicU64,
    imports_done: AtomicU64,
    imports_failed: AtomicU64,
    charges_imported: AtomicU64,
}

/// A tally at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// Runs that were published, and that failed.
    pub runs_done: u64,
    pub runs_failed: u64,
    /// Charges of published runs.
    pub charges_rated: u64,
    /// Instructions that rules used, in failed runs as well.
    pub rule_fuel: u64,
    /// Time inside rules, added up over processors.
    pub rule_nanos: u64,
    /// Looks at an integration that ended well, and badly.
    pub imports_done: u64,
    pub imports_failed: u64,
    pub charges_imported: u64,
}

impl Tally {
    pub fn now(&self) -> Tallied {
        Tallied {
            runs_done: self.runs_done.load(Relaxed),
            runs_failed: self.runs_failed.load(Relaxed),
            charges_rated: self.charges_rated.load(Relaxed),
            rule_fuel: self.rule_fuel.load(Relaxed),
            rule_nanos: self.rule_nanos.load(Relaxed),
            imports_done: self.imports_done.load(Relaxed),
            imports_failed: self.imports_failed.load(Relaxed),
            charges_imported: self.charges_imported.load(Relaxed),
        }
    }

    pub(super) fn run_done(&self, charges: u64) {
        self.runs_done.fetch_add(1, Relaxed);
        self.charges_rated.fetch_add(charges, Relaxed);
    }

    pub(super) fn run_failed(&self) {
        self.runs_failed.fetch_add(1, Relaxed);
    }

    pub(super) fn rules_used(&self, usage: &Usage) {
        self.rule_fuel.fetch_add(usage.fuel, Relaxed);
        self.rule_nanos.fetch_add(u64::try_from(usage.time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn import_ended(&self, well: bool) {
        if well { &self.imports_done } else { &self.imports_failed }.fetch_add(1, Relaxed);
    }

    pub(super) fn imported(&self, charges: u64) {
        self.charges_imported.fetch_add(charges, Relaxed);
    }
}
