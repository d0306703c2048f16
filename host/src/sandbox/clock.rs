//! When a call is overdue: a clock that ticks for all stores, and what a thread has used of processors.
//!
//! A tick only asks; how much a call may take is in [`Limits`](super::Limits) and the [`Meter`](super::Meter).

use std::time::Duration;

use wasmtime::{EngineWeak, StoreContextMut, UpdateDeadline};

use super::limits::Allowance;

/// How often the clock advances at which a call is asked how long it has run. It is overdue by at most this much before it is stopped.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// One thread for all stores; it ends with the last user of the engines.
pub(super) fn start(engines: Vec<EngineWeak>) -> wasmtime::Result<()> {
    let tick = move || {
        let mut used = false;
        for engine in engines.iter().filter_map(EngineWeak::upgrade) {
            engine.increment_epoch();
            used = true;
        }
        used
    };
    std::thread::Builder::new().name("rule-clock".to_owned()).spawn(move || {
        while tick() {
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}

/// The ticks before which this much time cannot have passed. Bounded: no deadline at all wraps around and interrupts.
pub(super) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX).clamp(1, u64::from(u32::MAX))
}

/// What this thread has used of processors, so that a rule is not stopped for having had to wait for one. Elsewhere than on Linux what
/// has passed, whoever used it.
#[cfg(target_os = "linux")]
pub(super) fn processor_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn processor_time() -> Duration {
    static BEGUN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    BEGUN.elapsed()
}

/// Asked when a call may have had its time: the clock's ticks pass for everybody, whoever has a processor.
pub(super) fn overdue(store: StoreContextMut<'_, Allowance>) -> UpdateDeadline {
    match store.data().until.saturating_sub(processor_time()) {
        Duration::ZERO => UpdateDeadline::Interrupt,
        left => UpdateDeadline::Continue(ticks(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Limits;
    use crate::sandbox::engine::runners;

    #[test]
    fn the_clock_does_not_keep_its_engines() {
        let engines = runners(&Limits::default()).unwrap();
        let weak = engines.first.weak();
        drop(engines);
        for _ in 0..200 {
            if weak.upgrade().is_none() {
                return;
            }
            std::thread::sleep(TICK);
        }
        panic!("the engine outlived its last user");
    }
}
