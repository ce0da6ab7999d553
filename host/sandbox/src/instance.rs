//! One module in one store, and the results of its calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use wasmtime::component::ResourceAny;
use wasmtime::{Store, Trap, WasmBacktrace};

use super::binding::Binding;
use super::bindings::Transformer;
use super::bindings::sluicebox::transform::types as wire;
use super::cause::{Cause, FailureKind};
use super::engine::{STACK_CEILING, ticks};
use super::error::{Call, JobError, Trace};
use super::guest::Guest;
use super::sandbox::{Module, Ready};
use super::text::printable;
use super::thread::is_guest_thread;
use sluicebox_core::plan::Limits;

/// The longest that a `describe` may take, whatever the limit on calls.
const DESCRIBE: Duration = Duration::from_secs(10);
/// Bytes that the host copies out of a module in one `describe`.
const DESCRIPTOR: usize = 4 << 20;
/// The most bytes that the host reads in one call of an import. Imports check lengths before they copy, so this only
/// bounds how long one can take.
const LOOKED_AT: usize = 1 << 30;
/// The most bytes of a module's own message in an error.
const WORDS: usize = 4 << 10;
/// The most functions shown with an error.
const FRAMES: usize = 8;

/// A module in its own store. A trap poisons the store, so there is one job per store.
pub(super) struct Instance {
    store: Store<Guest>,
    exports: Transformer,
    ready: Arc<Ready>,
    ended: bool,
    module: Arc<str>,
}

impl Instance {
    /// Describes the module, in a fresh instance.
    pub(super) fn describe(module: &Module, config: &str, limits: &Limits) -> Result<wire::Descriptor, JobError> {
        // A module that does not know itself is found out before a long limit for its work has passed.
        let limits = &Limits { time: limits.time.min(DESCRIBE), ..limits.clone() };
        let (mut instance, ()) = Self::start(module, Call::Describe, None, limits, |_, _| Ok(Ok(())))?;
        instance.store.set_hostcall_fuel(DESCRIPTOR);
        instance.call(Call::Describe, None, |exports, store| {
            exports.sluicebox_transform_transform().call_describe(store, config)
        })
    }

    /// Opens a job in a fresh instance, within one time limit.
    pub(super) fn open(
        module: &Module,
        binding: Arc<Binding>,
        limits: &Limits,
        config: &str,
        inputs: &[wire::BoundInput],
        restored: Option<&wire::SavedState>,
    ) -> Result<(Self, ResourceAny), JobError> {
        Self::start(module, Call::Open, Some(binding), limits, |exports, store| {
            exports.sluicebox_transform_transform().job().call_open(store, config, inputs, restored)
        })
    }

    fn start<R>(
        module: &Module,
        call: Call,
        binding: Option<Arc<Binding>>,
        limits: &Limits,
        first: impl FnOnce(&Transformer, &mut Store<Guest>) -> wasmtime::Result<Result<R, wire::Failure>>,
    ) -> Result<(Self, R), JobError> {
        let name = module.shared_name();
        let failed = |cause| JobError { module: name.to_string(), call, cause, trace: Box::default() };
        if !is_guest_thread() {
            return Err(failed(Cause::WrongThread));
        }
        if limits.stack as usize > STACK_CEILING {
            return Err(failed(Cause::StackCeiling { wanted: limits.stack, limit: STACK_CEILING as u32 }));
        }
        let ready = module.ready(limits.stack).map_err(|source| failed(Cause::Prepare { source: Box::new(source) }))?;
        let pre = &ready.pre;
        let mut store = Store::new(pre.engine(), Guest::new(name.clone(), binding, limits.clone()));
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(LOOKED_AT);
        store.set_max_component_handles(limits.handles as usize);
        store.epoch_deadline_trap();
        store.set_epoch_deadline(ticks(limits.time));
        store.data_mut().begin(call, None);

        let running = ready.floor.clock.running();
        let exports = match pre.instantiate(&mut store) {
            Ok(exports) => exports,
            Err(error) => return Err(explain(&name, call, error, &mut store, true)),
        };
        let result = first(&exports, &mut store);
        drop(running);
        let value = settle(&name, call, result, &mut store)?;
        store.data_mut().log.end();
        Ok((Self { store, exports, ready, ended: false, module: name }, value))
    }

    /// Calls the module. After a trap or a broken promise the instance has ended, and every later call fails.
    pub(super) fn call<R>(
        &mut self,
        call: Call,
        pushed: Option<(usize, RecordBatch)>,
        work: impl FnOnce(&Transformer, &mut Store<Guest>) -> wasmtime::Result<Result<R, wire::Failure>>,
    ) -> Result<R, JobError> {
        if self.ended {
            return Err(self.failed(call, Cause::Ended));
        }
        if !is_guest_thread() {
            return Err(self.failed(call, Cause::WrongThread));
        }
        self.store.data_mut().begin(call, pushed);
        let time = self.store.data().limits.time;
        self.store.set_epoch_deadline(ticks(time));
        let running = self.ready.floor.clock.running();
        let start = Instant::now();
        let result = work(&self.exports, &mut self.store);
        let took = start.elapsed();
        drop(running);
        self.store.data_mut().took(took);
        let settled = settle(&self.module, call, result, &mut self.store);
        self.ended = settled.as_ref().is_err_and(|error| !matches!(error.cause, Cause::Failure { .. }));
        settled
    }

    /// The data of the latest call.
    pub(super) fn guest(&mut self) -> &mut Guest {
        self.store.data_mut()
    }

    /// Ends the instance for a reason found after the call.
    pub(super) fn end(&mut self, call: Call, cause: Cause) -> JobError {
        self.ended = true;
        self.failed(call, cause)
    }

    /// An error that leaves the instance as it is.
    pub(super) fn failed(&self, call: Call, cause: Cause) -> JobError {
        JobError {
            module: self.module.to_string(),
            call,
            cause,
            trace: Box::new(Trace { frames: Vec::new(), log: self.store.data().log.recent() }),
        }
    }
}

/// Turns the result of a call into a value or a readable error.
fn settle<R>(
    module: &str,
    call: Call,
    result: wasmtime::Result<Result<R, wire::Failure>>,
    store: &mut Store<Guest>,
) -> Result<R, JobError> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(failure)) => {
            store.data_mut().log.end();
            let (kind, words) = match failure {
                wire::Failure::Config(words) => (FailureKind::Config, words),
                wire::Failure::Input(words) => (FailureKind::Input, words),
                wire::Failure::State(words) => (FailureKind::State, words),
                wire::Failure::Internal(words) => (FailureKind::Internal, words),
            };
            let cause = Cause::Failure { kind, message: printable(&words, WORDS) };
            Err(JobError {
                module: module.to_owned(),
                call,
                cause,
                trace: Box::new(Trace { frames: Vec::new(), log: store.data().log.recent() }),
            })
        }
        Err(error) => Err(explain(module, call, error, store, false)),
    }
}

fn explain(module: &str, call: Call, error: wasmtime::Error, store: &mut Store<Guest>, starting: bool) -> JobError {
    let frames = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
    let guest = store.data_mut();
    guest.log.end();
    let cause = match error.downcast::<Cause>() {
        Ok(cause) => cause,
        Err(error) => classify(&error, guest, starting),
    };
    JobError { module: module.to_owned(), call, cause, trace: Box::new(Trace { frames, log: guest.log.recent() }) }
}

fn classify(error: &wasmtime::Error, guest: &Guest, starting: bool) -> Cause {
    let memory = guest.memory.refused().map(|wanted| Cause::Memory { wanted, limit: guest.memory.limit() });
    let Some(trap) = error.downcast_ref::<Trap>() else {
        let words = error.root_cause().to_string();
        // The engine has no typed error for this; a test checks the text.
        if words.contains("store handle limit exceeded") {
            return Cause::Handles { limit: guest.limits.handles };
        }
        let words = printable(&words, WORDS);
        return match memory {
            Some(memory) if starting => memory,
            _ if starting => Cause::Start(words),
            _ => Cause::Abi(words),
        };
    };
    match trap {
        Trap::Interrupt => Cause::Time { limit: guest.limits.time },
        Trap::StackOverflow => Cause::Stack { limit: guest.limits.stack },
        // A program that gets no memory panics, or writes where it has none.
        Trap::UnreachableCodeReached => memory.unwrap_or(Cause::Panic),
        Trap::MemoryOutOfBounds | Trap::TableOutOfBounds => memory.unwrap_or(Cause::OutOfBounds),
        Trap::IntegerDivisionByZero => Cause::DivisionByZero,
        other => Cause::Trap(other.to_string().trim_start_matches("wasm trap: ").to_owned()),
    }
}

/// The names of a module's functions as in its source, without those of every panic.
fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    const MACHINERY: [&str; 6] =
        ["abort", "__rustc::", "core::panicking", "std::panicking", "std::sys::", "std::process::abort"];
    backtrace
        .frames()
        .iter()
        .filter_map(|frame| frame.func_name())
        .map(|name| printable(&format!("{:#}", rustc_demangle::demangle(name)), 200))
        .filter(|name| !MACHINERY.iter().any(|machinery| name.starts_with(machinery)))
        .take(FRAMES)
        .collect()
}
