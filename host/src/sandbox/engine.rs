//! The one place where an engine is configured. Everything that decides what a rule computes is fixed here, so that a rule gives the same
//! bytes on every machine; everything that decides how fast is measured in `benches/rules.rs`.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::clock;
use super::limits::{CORE_INSTANCES, Limits, TABLE_ELEMENTS};

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
        // Exact money is 128 bits wide. Measured on a guest built with `-Ctarget-feature=+wide-arithmetic`: a product of two i64 takes
        // 1.1 ns instead of 16.9, `x * rate` rounded half-even 32 ns instead of 53. Guests built without it run as before.
        .wasm_wide_arithmetic(true);
    config
}

/// An engine that only compiles.
pub(super) fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

/// The engines that run rules. Both accept the same native code.
pub(super) struct Engines {
    /// Takes instances from a pool, where the address space allows the reservation (about 1 TB, none of it memory).
    pub(super) first: Engine,
    /// Makes instances one by one: slower to start, without a bound, for when the pool is used up. A rule must not fail because others run.
    pub(super) spare: Engine,
}

/// The engines, and the thread that advances their clock.
pub(super) fn runners(limits: &Limits) -> wasmtime::Result<Engines> {
    let mut pooled = config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    let spare = compiler()?;
    let first = match Engine::new(&pooled) {
        Ok(engine) => engine,
        Err(error) => {
            tracing::info!(%error, "no pool of instances; rules start slower");
            spare.clone()
        }
    };
    let mut clocked = vec![spare.weak()];
    if !Engine::same(&first, &spare) {
        clocked.push(first.weak());
    }
    clock::start(clocked)?;
    Ok(Engines { first, spare })
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
    fn what_the_compiling_engine_makes_the_running_engines_accept() {
        let engines = runners(&Limits::default()).unwrap();
        assert!(!Engine::same(&engines.first, &engines.spare));
        assert_eq!(compatibility(&compiler().unwrap()), compatibility(&engines.first));
        assert_eq!(compatibility(&engines.spare), compatibility(&engines.first));
    }
}
