//! The component side of the boundary: calls of the host in, rows of the module out. Only in a component.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::{Arc, Once};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_data::UnsafeFlag;
use arrow_ipc::convert::try_schema_from_ipc_buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, StreamEncoder, write_message};
use arrow_schema::{Schema, SchemaRef};

use crate::describe::{Descriptor, OutputSchema, Role};
use crate::job::{Job, config};
use crate::out::{Port, Reject, Sink};
use crate::{Failure, Level, Result, State, Transform};

use bindings::exports::sluicebox::transform::transform as export;
use bindings::sluicebox::transform::{sink, types};

#[allow(missing_docs, reason = "generated from the contract, which documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "transformer",
        ownership: Borrowing { duplicate_if_necessary: false },
        pub_export_macro: true,
    });
}

/// A state chunk is far smaller than the largest list.
const STATE_CHUNK: usize = 1 << 20;

/// A component around a transform; see [`export!`](crate::export).
pub struct Component<T>(PhantomData<T>);

impl<T: Transform> export::Guest for Component<T> {
    type Job = Running<T>;

    fn describe(text: String) -> Result<types::Descriptor, types::Failure> {
        report_panics();
        let descriptor = config::<T::Config>(&text).and_then(|config| T::describe(&config));
        descriptor.and_then(to_wire).map_err(failure)
    }
}

/// The job behind the host's handle.
pub struct Running<T>(RefCell<Inner<T>>);

struct Inner<T> {
    job: Job<T>,
    emitter: Emitter,
}

impl<T: Transform> export::GuestJob for Running<T> {
    fn open(
        config_text: String,
        inputs: Vec<export::BoundInput>,
        restored: Option<export::SavedState>,
    ) -> Result<export::Job, types::Failure> {
        report_panics();
        let open = || {
            let bound = |input: export::BoundInput| Ok((input.port, schema_from_wire(&input.schema)?));
            let bound = inputs.into_iter().map(bound).collect::<Result<Vec<_>>>()?;
            let restored = restored.map(|saved| {
                let mut state = State::new(saved.version);
                saved.entries.into_iter().for_each(|(key, value)| state.put(&key, value));
                state
            });
            let job = Job::<T>::open(&config_text, bound, restored)?;
            let emitter = Emitter::new(&T::describe(&config::<T::Config>(&config_text)?)?)?;
            Ok(export::Job::new(Self(RefCell::new(Inner { job, emitter }))))
        };
        open().map_err(failure)
    }

    fn push(&self, port: u32, info: export::BatchInfo, ipc: Vec<u8>) -> Result<(), types::Failure> {
        let inner = &mut *self.0.borrow_mut();
        let push = || {
            let port = port as usize;
            let batch = decode(inner.job.schema(port)?.clone(), ipc)?;
            inner.job.push(port, batch, info.sequence, info.watermark, &mut inner.emitter)
        };
        push().map_err(failure)
    }

    fn end_of_input(&self, port: u32) -> Result<(), types::Failure> {
        let inner = &mut *self.0.borrow_mut();
        inner.job.end_of_input(port as usize, &mut inner.emitter).map_err(failure)
    }

    fn flush(&self, watermark: Option<i64>) -> Result<(), types::Failure> {
        let inner = &mut *self.0.borrow_mut();
        inner.job.flush(watermark, &mut inner.emitter).map_err(failure)
    }

    fn snapshot(&self) -> Result<(), types::Failure> {
        let state = self.0.borrow_mut().job.snapshot().map_err(failure)?;
        for (key, value) in state.iter() {
            // An empty piece is stored too.
            if value.is_empty() {
                sink::put_state(key, &[]);
            }
            value.chunks(STATE_CHUNK).for_each(|chunk| sink::put_state(key, chunk));
        }
        Ok(())
    }
}

/// Sends batches to the host as record-batch messages.
struct Emitter(Vec<StreamEncoder>);

impl Emitter {
    fn new(descriptor: &Descriptor) -> Result<Self> {
        let encoder = |output| {
            let schema = Port::of(output).schema;
            let mut encoder = StreamEncoder::try_new(&schema)?;
            // The first call also writes the schema, which the host knows from `describe`.
            encoder.encode(&RecordBatch::new_empty(schema))?;
            Ok(encoder)
        };
        Ok(Self(descriptor.outputs.iter().map(encoder).collect::<Result<_>>()?))
    }
}

impl Sink for Emitter {
    fn emit(&mut self, port: usize, batch: &RecordBatch) -> Result<()> {
        let buffers = self.0[port].encode(batch)?;
        let chunks: Vec<&[u8]> = buffers.iter().map(Buffer::as_slice).collect();
        sink::emit(port as u32, &chunks);
        Ok(())
    }

    fn reject(&mut self, rows: Vec<(u32, u32)>, reasons: Vec<Reject>) {
        let rows: Vec<_> = rows.into_iter().map(|(row, reason)| sink::Rejection { row, reason }).collect();
        let reasons: Vec<_> =
            reasons.iter().map(|reason| sink::Reason { code: &reason.code, message: &reason.message }).collect();
        sink::reject(&rows, &reasons);
    }
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => sink::Level::Debug,
        Level::Info => sink::Level::Info,
        Level::Warn => sink::Level::Warn,
        Level::Error => sink::Level::Error,
    };
    sink::log(level, message);
}

pub(crate) fn metric(name: &str, value: f64) {
    sink::metric(name, value);
}

/// A panic ends the component with a bare `unreachable`, so its message is logged first.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| sink::log(sink::Level::Error, &panic.to_string())));
    });
}

fn decode(schema: SchemaRef, ipc: Vec<u8>) -> Result<RecordBatch> {
    let broken = |what: &str| Failure::input(format!("the host's record batch is broken: {what}"));
    let prefix = ipc.first_chunk::<8>().ok_or_else(|| broken("it is shorter than its prefix"))?;
    let length = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]) as usize;
    let buffer = Buffer::from_vec(ipc);
    let header = buffer.get(8..8 + length).ok_or_else(|| broken("it is shorter than its header"))?;
    let message = arrow_ipc::root_as_message(header).map_err(|error| broken(&error.to_string()))?;
    let batch = message.header_as_record_batch().ok_or_else(|| broken("it is another kind of message"))?;
    let body = buffer.slice(8 + length);
    let dictionaries = Default::default();
    let version = message.version();
    let mut trusted = UnsafeFlag::new();
    // SAFETY: only the host can call `push`, and it writes the message from arrays of
    // its own trusted Arrow implementation, which hold valid UTF-8 and offsets.
    unsafe { trusted.set(true) };
    let decoder = RecordBatchDecoder::try_new(&body, batch, schema, &dictionaries, &version)?;
    Ok(decoder.with_skip_validation(trusted).read_record_batch()?)
}

fn schema_from_wire(message: &[u8]) -> Result<SchemaRef> {
    let schema = try_schema_from_ipc_buffer(message)
        .map_err(|error| Failure::input(format!("the host's schema is broken: {error}")))?;
    Ok(Arc::new(schema))
}

fn schema_to_wire(schema: &Schema) -> Result<Vec<u8>> {
    let options = IpcWriteOptions::default();
    let mut dictionaries = DictionaryTracker::new(false);
    let data = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &options);
    let mut message = Vec::new();
    write_message(&mut message, data, &options)?;
    Ok(message)
}

fn to_wire(descriptor: Descriptor) -> Result<types::Descriptor> {
    let input = |port: &crate::describe::InputPort| {
        Ok(types::InputPort {
            name: port.name.clone(),
            role: match port.role {
                Role::Rows => types::Role::Rows,
                Role::Lookup => types::Role::Lookup,
            },
            wanted: match &port.columns {
                None => types::Wanted::All,
                Some(columns) => types::Wanted::Columns(schema_to_wire(columns)?),
            },
        })
    };
    let output = |port: &crate::describe::OutputPort| {
        let schema = match &port.schema {
            OutputSchema::Full(schema) => types::OutputSchema::Full(schema_to_wire(schema)?),
            OutputSchema::SameAsInput { input, drop, replace } => {
                types::OutputSchema::SameAsInput(types::PassThrough {
                    input: input.clone(),
                    drop: drop.clone(),
                    replace: schema_to_wire(replace)?,
                })
            }
        };
        Ok(types::OutputPort { name: port.name.clone(), schema })
    };
    Ok(types::Descriptor {
        inputs: descriptor.inputs.iter().map(input).collect::<Result<_>>()?,
        outputs: descriptor.outputs.iter().map(output).collect::<Result<_>>()?,
        name: descriptor.name,
        version: descriptor.version,
        stateful: descriptor.stateful,
        deterministic: descriptor.deterministic,
        row_preserving: descriptor.row_preserving,
        state_version: descriptor.state_version,
    })
}

fn failure(failure: Failure) -> types::Failure {
    match failure {
        Failure::Config(message) => types::Failure::Config(message),
        Failure::Input(message) => types::Failure::Input(message),
        Failure::State(message) => types::Failure::State(message),
        Failure::Internal(message) => types::Failure::Internal(message),
    }
}
