//! What a rule may use: memory, instructions, time, output. Every bound grows with the work given, so that a large month is not refused
//! for its size; nothing here measures or stops anything by itself.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::log::Sink;

/// Largest component that is accepted: Python and JavaScript guests carry their interpreter and reach 12 to 18 MB.
pub const COMPONENT_BYTES: usize = 32 << 20;

/// Components that a plugin may hold handles for; a rater is one, so this only stops a guest that makes handles in a loop.
pub(super) const HANDLES: usize = 1_024;

/// Longest reason, relabelled value or finding: they are shown to people and stored with every charge.
pub(super) const TEXT_BYTES: usize = 4_096;

/// Lines that one charging rule may add to one tenant's month, and findings of one check: beyond it a person reads none of them.
pub(super) const LINES: usize = 10_000;

/// Columns of one list of a plan: positions in it are one byte.
pub(super) const COLUMNS: usize = 256;

/// Bounds of one sandbox.
#[derive(Clone, Debug)]
pub struct Limits {
    /// All linear memory of one instance together. A Python guest works within the default.
    pub memory_bytes: usize,
    /// Fuel is about one per WebAssembly instruction. The base covers start-up and an interpreter's imports: about half a second.
    pub fuel_base: u64,
    /// Measured: a Python guest that doubles an amount spends 4,900 a row where compiled code spends fifty. This is twenty times that.
    pub fuel_per_row: u64,
    /// Measured: a Python guest that builds the plainest decision spends 33,000. This is fifteen times that.
    pub fuel_per_combination: u64,
    /// For reading configuration and texts: parsing JSON in an interpreter takes some hundred instructions a byte.
    pub fuel_per_byte: u64,
    /// [Processor time](super::clock::processor_time) of one call. Fuel decides first; this is for what fuel does not count, such as filling memory.
    pub deadline: Duration,
    /// Bytes that a call may return, before the parts below.
    pub output_base: usize,
    pub output_per_row: usize,
    pub output_per_combination: usize,
    /// Wall clock of a compilation in a child process. 18 MB of Python took 33 s on four cores that were busy with other work.
    pub compile_deadline: Duration,
    /// Resident memory of a compilation in a child process.
    pub compile_bytes: u64,
    /// Instances that may exist at once in the pool. Each reserves 4 GiB of address space, none of it memory until used.
    pub instances: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            fuel_base: 1_000_000_000,
            fuel_per_row: 100_000,
            fuel_per_combination: 500_000,
            fuel_per_byte: 1_000,
            deadline: Duration::from_secs(30),
            output_base: 4 << 20,
            output_per_row: 64,
            output_per_combination: 2_048,
            compile_deadline: Duration::from_secs(120),
            compile_bytes: 4 << 30,
            instances: 256,
        }
    }
}

/// The size of one call's input, by which its budget grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    pub(super) rows: usize,
    pub(super) combinations: usize,
    /// Text handed over.
    pub(super) bytes: usize,
}

/// What one call may spend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) fuel: u64,
    pub(super) output: usize,
}

impl Limits {
    pub(super) fn budget(&self, work: Work) -> Budget {
        let fuel = |each: u64, count: usize| each.saturating_mul(u64::try_from(count).unwrap_or(u64::MAX));
        Budget {
            fuel: self
                .fuel_base
                .saturating_add(fuel(self.fuel_per_row, work.rows))
                .saturating_add(fuel(self.fuel_per_combination, work.combinations))
                .saturating_add(fuel(self.fuel_per_byte, work.bytes)),
            output: self
                .output_base
                .saturating_add(self.output_per_row.saturating_mul(work.rows))
                .saturating_add(self.output_per_combination.saturating_mul(work.combinations)),
        }
    }
}

/// What one store may have, and where its lines go. Growth beyond the limit ends the call: a guest that is told "no" tends to go on with wrong state.
#[derive(Debug)]
pub(super) struct Allowance {
    limit: usize,
    used: usize,
    /// What the guest asked for when it was refused.
    pub(super) denied: Option<usize>,
    /// The thread's processor time when the call is overdue.
    pub(super) until: Duration,
    /// Where its lines go; without one they are counted as work and forgotten.
    pub(super) log: Sink,
}

impl Allowance {
    pub(super) const fn new(limit: usize, log: Sink) -> Self {
        Self { limit, used: 0, denied: None, until: Duration::ZERO, log }
    }

    /// Linear memory of the instance; it never shrinks.
    pub(super) const fn used(&self) -> usize {
        self.used
    }
}

/// Table entries of one store: an interpreter's largest table has some ten thousand functions.
pub(super) const TABLE_ELEMENTS: usize = 65_536;
/// Core instances, tables and memories of one component: Python links about thirty libraries.
pub(super) const CORE_INSTANCES: u32 = 64;

impl ResourceLimiter for Allowance {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.used.saturating_add(desired.saturating_sub(current));
        if total > self.limit {
            self.denied = Some(total);
            wasmtime::bail!("memory limit");
        }
        self.used = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS {
            wasmtime::bail!("a table of {desired} elements; at most {TABLE_ELEMENTS}");
        }
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        CORE_INSTANCES as usize
    }
}
