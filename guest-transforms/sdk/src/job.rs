//! A running transform, driven by the host or by a test.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde::de::DeserializeOwned;

use crate::describe::{InputPort, Role};
use crate::out::{Port, Sink};
use crate::{Descriptor, Failure, Out, Result, Rows, State, Transform};

/// The schemas that the host bound to a module's inputs.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    ports: Vec<(String, SchemaRef)>,
}

impl Inputs {
    pub(crate) fn new(ports: Vec<(String, SchemaRef)>) -> Self {
        Self { ports }
    }

    /// The schema bound to a port: its wanted columns, or all of the table's.
    pub fn schema(&self, port: &str) -> Result<&SchemaRef> {
        let bound = self.ports.iter().find(|(name, _)| name == port);
        bound.map(|(_, schema)| schema).ok_or_else(|| Failure::input(format!("nothing is bound to input {port:?}")))
    }
}

/// A transform with its schemas and ports.
pub(crate) struct Job<T> {
    transform: T,
    inputs: Vec<Input>,
    outputs: Vec<Port>,
    state_version: u32,
}

struct Input {
    name: String,
    role: Role,
    schema: SchemaRef,
    ended: bool,
}

/// Parses a configuration from JSON; empty text is an empty object.
pub(crate) fn config<C: DeserializeOwned>(text: &str) -> Result<C> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| Failure::config(error.to_string()))
}

impl<T: Transform> Job<T> {
    pub(crate) fn open(text: &str, bound: Vec<(String, SchemaRef)>, restored: Option<State>) -> Result<Self> {
        let config = config::<T::Config>(text)?;
        let descriptor = T::describe(&config)?;
        if let Some(state) = restored.as_ref().filter(|state| state.version() != descriptor.state_version) {
            return Err(Failure::state(format!(
                "the saved state has version {}, this module reads version {}",
                state.version(),
                descriptor.state_version
            )));
        }
        let bound = Inputs::new(bound);
        let inputs = inputs(&descriptor, &bound)?;
        let outputs = descriptor.outputs.iter().map(Port::of).collect();
        let mut transform = T::open(config, &bound, restored.as_ref())?;
        // A lookup table without rows pushes nothing, but its columns must be known.
        for input in inputs.iter().filter(|input| input.role == Role::Lookup) {
            let empty = RecordBatch::new_empty(input.schema.clone());
            transform.lookup(&Rows::new(&input.name, empty, 0, None))?;
        }
        Ok(Self { transform, inputs, outputs, state_version: descriptor.state_version })
    }

    /// The schema of what is pushed on an input port.
    pub(crate) fn schema(&self, port: usize) -> Result<&SchemaRef> {
        let input = self.inputs.get(port).ok_or_else(|| no_port(port))?;
        Ok(&input.schema)
    }

    pub(crate) fn push(
        &mut self,
        port: usize,
        batch: RecordBatch,
        sequence: u64,
        watermark: Option<i64>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let input = self.inputs.get(port).ok_or_else(|| no_port(port))?;
        if input.ended {
            return Err(Failure::input(format!("rows came on {:?} after its end", input.name)));
        }
        let rows = Rows::new(&input.name, batch, sequence, watermark);
        if input.role == Role::Lookup {
            return self.transform.lookup(&rows);
        }
        let mut out = Out::new(&self.outputs, Some((&input.name, rows.len())), sink);
        self.transform.rows(&rows, &mut out)?;
        out.finish()
    }

    pub(crate) fn end_of_input(&mut self, port: usize, sink: &mut dyn Sink) -> Result<()> {
        let input = self.inputs.get_mut(port).ok_or_else(|| no_port(port))?;
        input.ended = true;
        let role = input.role;
        if role == Role::Lookup || self.inputs.iter().any(|input| input.role == Role::Rows && !input.ended) {
            return Ok(());
        }
        let mut out = Out::new(&self.outputs, None, sink);
        self.transform.end(&mut out)?;
        out.finish()
    }

    pub(crate) fn flush(&mut self, watermark: Option<i64>, sink: &mut dyn Sink) -> Result<()> {
        let mut out = Out::new(&self.outputs, None, sink);
        self.transform.flush(watermark, &mut out)?;
        out.finish()
    }

    pub(crate) fn snapshot(&mut self) -> Result<State> {
        let mut state = State::new(self.state_version);
        self.transform.snapshot(&mut state)?;
        Ok(state)
    }
}

fn inputs(descriptor: &Descriptor, bound: &Inputs) -> Result<Vec<Input>> {
    let input = |port: &InputPort| {
        let schema = bound.schema(&port.name)?.clone();
        Ok(Input { name: port.name.clone(), role: port.role, schema, ended: false })
    };
    descriptor.inputs.iter().map(input).collect()
}

fn no_port(port: usize) -> Failure {
    Failure::input(format!("there is no input port number {port}"))
}
