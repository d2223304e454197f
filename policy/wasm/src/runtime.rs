//! The runtime that all modules share, the limits of an evaluation, and the clock that ends one that takes too long.

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wasmtime::{Config, Engine, OptLevel};

/// Instructions of WebAssembly that one rule may take, the reading of input and data included.
pub const FUEL: u64 = 20_000_000;

/// Bytes that one rule may have as memory, the policy's own data included.
pub const MEMORY: usize = 32 * 1024 * 1024;

/// Time that one rule may take, to a tick: above what the fuel lasts, for machines that are busy.
pub const TIME: Duration = Duration::from_secs(2);

/// How often the clock is looked at while something is evaluated.
const TICK: Duration = Duration::from_millis(20);

/// Places of a table: OPA's has as many as it has functions that are called by address.
pub(crate) const TABLE: usize = 16 * 1024;

/// Bytes of stack that calls within a policy may take.
pub(crate) const STACK: usize = 256 * 1024;

/// Ticks that an evaluation has for one rule.
pub(crate) fn ticks() -> u64 {
    u64::try_from(TIME.as_millis() / TICK.as_millis()).unwrap_or(1) + 1
}

/// The runtime, made once; or why this machine has none.
pub(crate) fn engine() -> Result<&'static Engine, String> {
    static ENGINE: LazyLock<Result<Engine, String>> =
        LazyLock::new(|| make().map_err(|error| format!("{error:?}")));
    ENGINE.as_ref().map_err(Clone::clone)
}

fn make() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .target(if cfg!(target_endian = "little") { "pulley64" } else { "pulley64be" })?
        .cranelift_opt_level(OptLevel::Speed)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK)
        // Nothing that handles signals, reserves space for what is never used, or needs files in memory.
        .signals_based_traps(false)
        .memory_init_cow(false)
        .memory_reservation(0)
        .memory_reservation_for_growth(0)
        .memory_guard_size(0)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        // What OPA compiles to is the first version of WebAssembly and little more. One instruction of bulk memory costs as
        // much fuel as any other and may take as long as a million.
        .wasm_bulk_memory(false)
        .wasm_multi_value(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_extended_const(false);
    let engine = Engine::new(&config)?;
    let clock = engine.clone();
    std::thread::Builder::new().name("policy-clock".to_owned()).spawn(move || CLOCK.run(&clock))?;
    Ok(engine)
}

static CLOCK: Clock = Clock { running: Mutex::new(0), some: Condvar::new() };

/// Ticks while something is evaluated, and sleeps otherwise.
struct Clock {
    running: Mutex<usize>,
    some: Condvar,
}

impl Clock {
    fn run(&self, engine: &Engine) -> ! {
        let mut running = self.lock();
        loop {
            running = self
                .some
                .wait_while(running, |running| *running == 0)
                .unwrap_or_else(PoisonError::into_inner);
            drop(running);
            std::thread::sleep(TICK);
            engine.increment_epoch();
            running = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the clock going.
#[derive(Debug)]
pub(crate) struct Running;

impl Running {
    pub(crate) fn start() -> Self {
        *CLOCK.lock() += 1;
        CLOCK.some.notify_one();
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *CLOCK.lock() -= 1;
    }
}
