//! The engine that compiles and runs modules, and the clock that interrupts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Config, Engine, EngineWeak, OptLevel, Strategy};

use super::error::SandboxError;

/// The largest stack that `limits.stack` may ask for.
pub(super) const STACK_CEILING: usize = 4 << 20;

/// How often a running module is checked for its time limit.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// An engine for untrusted code.
///
/// The engine decides the stack size of everything that runs on it, so there is one engine for each stack size,
/// usually one.
pub(super) fn engine(stack: usize) -> Result<Engine, SandboxError> {
    let mut config = Config::new();
    config
        // Winch and dynamic bounds checks have the worst record of escapes; Cranelift
        // with guard pages is the combination that is fuzzed without pause.
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .signals_based_traps(true)
        // A 32-bit memory inside a reservation of 4 GiB never moves, which lets the
        // compiler keep its base in a register.
        .memory_reservation(4 << 30)
        .memory_may_move(false)
        .guard_before_linear_memory(true)
        .memory_init_cow(true)
        .epoch_interruption(true)
        .max_wasm_stack(stack)
        // Not used, but the engine requires that it is not smaller.
        .async_stack_size(STACK_CEILING)
        // Without the asynchronous component model a call is twice as fast, and modules cannot reach that code.
        .concurrency_support(false)
        // Features that a batch transform in Rust, C or Go does not need.
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .generate_address_map(true)
        .native_unwind_info(false);
    Engine::new(&config).map_err(|source| SandboxError::Engine { source: source.into_boxed_dyn_error() })
}

/// Advances an engine's epoch every [`TICK`] while a module runs on it.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    /// Running calls into modules.
    calls: AtomicUsize,
    stopped: AtomicBool,
}

impl Ticker {
    pub(super) fn start(engine: &Engine) -> Result<Self, SandboxError> {
        let shared = Arc::new(Shared { calls: AtomicUsize::new(0), stopped: AtomicBool::new(false) });
        let weak = engine.weak();
        let of_thread = shared.clone();
        let handle = thread::Builder::new()
            .name("sandbox-clock".into())
            .spawn(move || tick(&of_thread, &weak))
            .map_err(|source| SandboxError::Clock { source })?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Runs the clock until the guard is dropped.
    pub(super) fn running(&self) -> Running<'_> {
        if self.shared.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            self.thread.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// A guard of a running call.
pub(super) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The ticks after which a call has had at least `time`. The clock may be about to tick, so the first tick does not
/// count.
pub(super) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX / 2).min(u64::MAX / 2) + 1
}

fn tick(shared: &Shared, engine: &EngineWeak) {
    while !shared.stopped.load(Ordering::SeqCst) {
        if shared.calls.load(Ordering::SeqCst) == 0 {
            // An `unpark` before this point is remembered, so no call is missed.
            thread::park();
            continue;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "this thread is the engine's clock: to sleep a tick is its work"
        )]
        thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_never_given_less_than_its_time() {
        assert_eq!(ticks(Duration::from_millis(5)), 2);
        assert_eq!(ticks(Duration::from_millis(6)), 3);
        assert_eq!(ticks(Duration::ZERO), 1);
        assert_eq!(ticks(Duration::MAX), u64::MAX / 2 + 1);
    }
}
