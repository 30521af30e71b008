//! The wasmtime engine of one script.
//!
//! An engine of its own, so that memory, stack and instances are limits of the script and not of all scripts together:
//! its pool of slots is all that the script can ever hold. Guests run on fibers, are interrupted by epochs and keep the
//! names for their backtraces. Component-model async is off: it costs every call, and the contract has no use for it.

use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::error::{LoadError, message};
use crate::limits::Limits;
use crate::ticker;

/// What stays mapped of a memory between two instances, so that a fresh one need not fault it in again.
const KEEP_RESIDENT: usize = 64 << 10;
/// Host functions run on the guest's fiber; this is theirs.
const HOST_STACK: usize = 256 << 10;
/// Core instances, memories and tables inside one component: Python needs more than 38 core instances. Nearly all have one
/// memory; those with more reach the limit of instances sooner.
const CORE_INSTANCES: u32 = 64;
const MEMORIES: u32 = 4;
const TABLES: u32 = 8;
const TABLE_ELEMENTS: usize = 64 << 10;
/// Two generations live side by side while one drains, and each load tries an instance before it is counted.
const GENERATIONS: u32 = 2;
const SPARE: u32 = 4;
/// The most instances of a generation: each may take a memory slot of 4 GiB of address space and guard pages.
const MAX_INSTANCES: u32 = 4096;

/// Makes the engine and has its clock run.
pub(crate) fn engine(limits: &Limits) -> Result<Engine, LoadError> {
    check(limits)?;
    let impossible = |error: wasmtime::Error| LoadError::Limits(message(&error));
    let engine = Engine::new(&config(limits)).map_err(impossible)?;
    ticker::watch(&engine).map_err(|error| LoadError::Limits(format!("no thread: {error}")))?;
    Ok(engine)
}

fn check(limits: &Limits) -> Result<(), LoadError> {
    let wrong = |text: String| Err(LoadError::Limits(text));
    if !(1..=MAX_INSTANCES).contains(&limits.instances) {
        return wrong(format!(
            "instances: expected 1 to {MAX_INSTANCES}, got {}",
            limits.instances
        ));
    }
    if !(64 << 10..=4 << 30).contains(&limits.memory) {
        return wrong(format!(
            "memory: expected 64 KiB to 4 GiB, got {} bytes",
            limits.memory
        ));
    }
    if !(64 << 10..=64 << 20).contains(&limits.stack) {
        return wrong(format!(
            "stack: expected 64 KiB to 64 MiB, got {} bytes",
            limits.stack
        ));
    }
    if limits.deadline < ticker::TICK || limits.deadline > Duration::from_secs(3600) {
        return wrong(format!(
            "deadline: expected 1 ms to 1 h, got {:?}",
            limits.deadline
        ));
    }
    Ok(())
}

fn config(limits: &Limits) -> Config {
    let instances = limits.instances * GENERATIONS + SPARE;
    let mut pool = PoolingAllocationConfig::default();
    pool.linear_memory_keep_resident(KEEP_RESIDENT)
        .max_memory_size(limits.memory.next_multiple_of(64 << 10))
        .total_component_instances(instances)
        .total_core_instances(instances * CORE_INSTANCES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .total_memories(instances)
        .max_memories_per_component(MEMORIES)
        .total_tables(instances * TABLES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(instances)
        .max_unused_warm_slots(limits.instances);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(limits.stack)
        .async_stack_size(limits.stack + HOST_STACK)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Enable);
    config
}
