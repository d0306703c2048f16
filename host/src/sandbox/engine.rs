//! The one place where an engine is configured. Everything that decides what a rule computes is fixed here, so that a rule gives the same
//! bytes on every machine; everything that decides how fast is measured in `benches/rules.rs`.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::limits::{CORE_INSTANCES, Limits, TABLE_ELEMENTS, TICK};

/// Stack of a call. Half of what a worker thread has; a guest that recurses deeper traps.
const STACK_BYTES: usize = 512 << 10;

/// Memory that a free slot keeps for its next instance instead of giving it back to the system: a compiled guest touches little more.
const KEPT_BYTES: usize = 256 << 10;

/// What compiling depends on, the same in the daemon and in the child process that compiles for it.
fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .memory_may_move(false)
        .max_wasm_stack(STACK_BYTES)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        // `i64.mul_wide` and `i64.add128`: exact money is 128 bits wide, and without them one multiplication is a library call.
        .wasm_wide_arithmetic(true);
    config
}

/// An engine that only compiles.
pub(super) fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

/// An engine that runs rules, and the thread that advances its clock.
///
/// Instances come from a pool where the address space allows the reservation (about 1 TB, none of it memory), else one by one.
pub(super) fn runner(limits: &Limits) -> wasmtime::Result<Engine> {
    let mut pooled = config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    let engine = match Engine::new(&pooled) {
        Ok(engine) => engine,
        Err(error) => {
            tracing::info!(%error, "no pool of instances; rules start slower");
            compiler()?
        }
    };
    start_clock(&engine)?;
    Ok(engine)
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    // A component from Rust or JavaScript has three or four core instances; counting eight leaves room for some Python ones.
    let cores = limits.instances.saturating_mul(8);
    pool.total_component_instances(limits.instances)
        .total_core_instances(cores)
        .total_memories(limits.instances)
        .total_tables(cores)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_tables_per_component(CORE_INSTANCES)
        .max_memories_per_component(CORE_INSTANCES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(limits.memory_bytes)
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(KEPT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// One thread for all stores of the engine; it ends with the engine's last user.
fn start_clock(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("rule-clock".to_owned()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hash, Hasher};

    fn compatibility(engine: &Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn what_the_compiling_engine_makes_the_running_engine_accepts() {
        let runner = runner(&Limits::default()).unwrap();
        assert_eq!(compatibility(&compiler().unwrap()), compatibility(&runner));
    }

    #[test]
    fn the_clock_ends_with_its_engine() {
        let engine = runner(&Limits::default()).unwrap();
        let weak = engine.weak();
        drop(engine);
        for _ in 0..200 {
            if weak.upgrade().is_none() {
                return;
            }
            std::thread::sleep(TICK);
        }
        panic!("the engine outlived its last user");
    }
}
