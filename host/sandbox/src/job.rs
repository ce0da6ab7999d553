//! A job: one running instance of a module.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use wasmtime::component::ResourceAny;

use super::binding::Binding;
use super::bindings::sluicebox::transform::types as wire;
use super::cause::Cause;
use super::encode::Encoder;
use super::error::{Call, JobError};
use super::instance::Instance;
use super::sandbox::Module;
use super::schema;
use sluicebox_core::plan::Limits;

/// One running instance of a module, in its own store.
///
/// It is `Send`, but runs only on threads of [`spawn_guest_thread`](super::spawn_guest_thread). After an error other
/// than a failure that the module reports itself, the job has ended: drop it and open another, from the last saved
/// state if it has any.
pub struct Job {
    instance: Instance,
    handle: ResourceAny,
    binding: Arc<Binding>,
    encoders: Vec<Encoder>,
    sequence: u64,
}

/// The output of one call.
#[derive(Debug, Default)]
pub struct Output {
    /// Batches by output port, in the order in which they were emitted. Their columns may
    /// share one allocation, so sum their sizes with `get_slice_memory_size`.
    pub batches: Vec<(usize, RecordBatch)>,
    /// Rejected rows of the pushed batch.
    pub rejections: Vec<Rejection>,
    /// Metrics by name, in order.
    pub metrics: Vec<(String, f64)>,
    /// The time spent.
    pub spent: Spent,
}

/// The time spent in one call, by stage; the sum is all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Selecting, casting and encoding the columns that cross the boundary.
    pub encode: Duration,
    /// In the module, including the copy into its memory.
    pub module: Duration,
    /// Copying emitted batches out of the module.
    pub copy: Duration,
    /// Checking and decoding them, and assembling pass-through rows.
    pub decode: Duration,
}

/// A rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Its index in the pushed batch.
    pub row: u32,
    /// A short stable code to filter by.
    pub code: String,
    /// What is wrong, as a sentence.
    pub message: String,
}

/// The state that a job saved, for the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    /// The `state_version` of the module that wrote it.
    pub version: u32,
    /// Keys with their bytes, in the order in which they were first saved.
    pub entries: Vec<(String, Vec<u8>)>,
}

impl Job {
    /// Starts a job.
    ///
    /// `config` is one JSON object as text, the same as for `describe`.
    ///
    /// # Errors
    /// As for every call: a limit is exceeded, or the module reports a failure, traps or breaks a promise.
    pub fn open(
        module: &Module,
        config: &str,
        binding: Arc<Binding>,
        limits: &Limits,
        restored: Option<&SavedState>,
    ) -> Result<Self, JobError> {
        let inputs = binding
            .descriptor
            .inputs
            .iter()
            .zip(&binding.inputs)
            .map(|(port, input)| wire::BoundInput { port: port.name.clone(), schema: schema::write(&input.crossing) })
            .collect::<Vec<_>>();
        let restored =
            restored.map(|state| wire::SavedState { version: state.version, entries: state.entries.clone() });
        let (instance, handle) = Instance::open(module, binding.clone(), limits, config, &inputs, restored.as_ref())?;
        let encoders = binding
            .inputs
            .iter()
            .map(|input| Encoder::new(&input.crossing))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|cause| instance.failed(Call::Open, cause))?;
        Ok(Self { instance, handle, binding, encoders, sequence: 0 })
    }

    /// Pushes a batch to input port `port`.
    ///
    /// `rows` has all columns of the bound table; those that the module wants cross the boundary. `watermark` is in
    /// microseconds since 1970 UTC. Best at 8,192 rows: larger batches fall out of the processor's cache.
    ///
    /// # Errors
    /// As [`Self::open`]; or `rows` does not have the bound columns.
    pub fn push(&mut self, port: usize, rows: &RecordBatch, watermark: Option<i64>) -> Result<Output, JobError> {
        let fit = |cause| self.instance.failed(Call::Push, cause);
        let count = u32::try_from(rows.num_rows()).map_err(|_| {
            let actual = rows.num_rows() as u64;
            fit(Cause::TooMuch { unit: "rows", limit: u64::from(u32::MAX), actual })
        })?;
        let start = Instant::now();
        let Some(input) = self.binding.inputs.get(port) else {
            return Err(fit(Cause::Shape(format!("there is no input port {port}"))));
        };
        let projected = input.project(rows).map_err(fit)?;
        let message =
            self.encoders[port].encode(&projected).map_err(|cause| self.instance.failed(Call::Push, cause))?;
        let info = wire::BatchInfo { sequence: self.sequence, rows: count, watermark };
        self.sequence += 1;
        let handle = self.handle;
        let encode = start.elapsed();
        self.instance.call(Call::Push, Some((port, rows.clone())), |exports, store| {
            exports.sluicebox_transform_transform().job().call_push(store, handle, port as u32, info, message)
        })?;
        let mut output = self.finish(Call::Push)?;
        output.spent.encode = encode;
        Ok(output)
    }

    /// Tells the module that no more rows come on this port.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn end_of_input(&mut self, port: usize) -> Result<Output, JobError> {
        if port >= self.binding.inputs.len() {
            let cause = Cause::Shape(format!("there is no input port {port}"));
            return Err(self.instance.failed(Call::EndOfInput, cause));
        }
        let handle = self.handle;
        self.instance.call(Call::EndOfInput, None, |exports, store| {
            exports.sluicebox_transform_transform().job().call_end_of_input(store, handle, port as u32)
        })?;
        self.finish(Call::EndOfInput)
    }

    /// Asks the module to emit what is ready, because the host is about to commit.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn flush(&mut self, watermark: Option<i64>) -> Result<Output, JobError> {
        let handle = self.handle;
        self.instance.call(Call::Flush, None, |exports, store| {
            exports.sluicebox_transform_transform().job().call_flush(store, handle, watermark)
        })?;
        self.finish(Call::Flush)
    }

    /// Asks the module to save its state.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn snapshot(&mut self) -> Result<SavedState, JobError> {
        let handle = self.handle;
        self.instance.call(Call::Snapshot, None, |exports, store| {
            exports.sluicebox_transform_transform().job().call_snapshot(store, handle)
        })?;
        self.instance.guest().log.end();
        let entries = self.instance.guest().take_state();
        Ok(SavedState { version: self.binding.descriptor.state_version, entries })
    }

    fn finish(&mut self, call: Call) -> Result<Output, JobError> {
        self.instance.guest().finish().map_err(|cause| self.instance.end(call, cause))
    }
}
