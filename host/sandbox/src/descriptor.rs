//! The descriptor of a module.

use arrow_schema::SchemaRef;

use super::bindings::sluicebox::transform::types as wire;
use super::schema::{self, SchemaError};
use super::text::{is_name, printable};

/// The most ports of one kind.
const PORTS: usize = 64;
/// The most bytes of a name.
const NAME: usize = 64;

/// The checked descriptor of a module under one configuration: names fit paths and messages, and the host supports
/// every schema.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// The module's own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The input ports; at least one has the role [`Role::Rows`].
    pub inputs: Vec<InputPort>,
    /// The output ports; at least one.
    pub outputs: Vec<OutputPort>,
    /// Its job keeps state that `snapshot` saves.
    pub stateful: bool,
    /// The same input and state give the same output, bit for bit.
    pub deterministic: bool,
    /// Every input row ends in exactly one output row or one rejection.
    pub row_preserving: bool,
    /// The version of its state.
    pub state_version: u32,
}

/// The role of an input port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Rows are pushed as they arrive.
    Rows,
    /// The whole table is pushed and ended before the first row of a rows port.
    Lookup,
}

/// A named input.
#[derive(Clone, Debug)]
pub struct InputPort {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The columns that cross.
    pub wanted: Wanted,
}

/// The columns of an input port that cross the boundary.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All of them.
    All,
    /// Only these; a nullable one may be missing upstream.
    Columns(SchemaRef),
}

/// A named output.
#[derive(Clone, Debug)]
pub struct OutputPort {
    /// Its name.
    pub name: String,
    /// Its schema.
    pub schema: OutputSchema,
}

/// The schema of an output.
#[derive(Clone, Debug)]
pub enum OutputSchema {
    /// Every column is emitted.
    Full(SchemaRef),
    /// The input's columns, some dropped, some replaced or new.
    SameAsInput {
        /// Index of the `rows` input port.
        input: usize,
        /// Dropped columns.
        drop: Vec<String>,
        /// New columns, and replacements of input columns with the same name.
        replace: SchemaRef,
    },
}

impl Descriptor {
    /// The index of an input port.
    pub fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|port| port.name == name)
    }

    /// The index of the first input port that takes rows; there always is one.
    pub fn rows_port(&self) -> usize {
        self.inputs.iter().position(|port| port.role == Role::Rows).unwrap_or_default()
    }

    /// The index of an output port.
    pub fn output(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|port| port.name == name)
    }
}

/// Why a descriptor is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// A name that does not fit paths and messages.
    #[error("its {what} is `{name}`: names are 1 to {NAME} letters, digits, `_`, `-` and `.`")]
    Name {
        /// What has the name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Two ports of the same kind and name.
    #[error("two of its {kind} ports are named `{name}`")]
    Twice {
        /// `input` or `output`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// No port, or too many.
    #[error("it has {actual} {kind} ports: there must be 1 to {PORTS}")]
    Ports {
        /// `input` or `output`.
        kind: &'static str,
        /// How many there are.
        actual: usize,
    },
    /// No input port takes rows.
    #[error("none of its input ports takes rows")]
    NoRows,
    /// A schema that cannot be used.
    #[error("the schema of port `{port}` cannot be used")]
    Schema {
        /// The port.
        port: String,
        /// What is wrong.
        source: SchemaError,
    },
    /// A pass-through output of an input that is not a rows port.
    #[error("output `{output}` continues rows of `{input}`, which is not an input port that takes rows")]
    Input {
        /// The output port.
        output: String,
        /// The input port it names.
        input: String,
    },
    /// A pass-through output replaces the column that carries the row index.
    #[error("output `{output}` replaces column `_row`, which is the host's own")]
    Row {
        /// The output port.
        output: String,
    },
}

/// Checks what a module returned from `describe`.
pub(super) fn check(said: wire::Descriptor) -> Result<Descriptor, DescriptorError> {
    let name = name("name", said.name)?;
    let version = self::name("version", said.version.replace('+', "-"))?;
    ports("input", said.inputs.iter().map(|port| &port.name))?;
    ports("output", said.outputs.iter().map(|port| &port.name))?;

    let inputs = said.inputs.into_iter().map(input).collect::<Result<Vec<_>, _>>()?;
    if !inputs.iter().any(|port| port.role == Role::Rows) {
        return Err(DescriptorError::NoRows);
    }
    let outputs = said.outputs.into_iter().map(|port| output(port, &inputs)).collect::<Result<Vec<_>, _>>()?;
    Ok(Descriptor {
        name,
        version,
        inputs,
        outputs,
        stateful: said.stateful,
        deterministic: said.deterministic,
        row_preserving: said.row_preserving,
        state_version: said.state_version,
    })
}

fn name(what: &'static str, name: String) -> Result<String, DescriptorError> {
    if is_name(&name, NAME) { Ok(name) } else { Err(DescriptorError::Name { what, name: printable(&name, NAME) }) }
}

fn ports<'a>(kind: &'static str, names: impl ExactSizeIterator<Item = &'a String>) -> Result<(), DescriptorError> {
    if !(1..=PORTS).contains(&names.len()) {
        return Err(DescriptorError::Ports { kind, actual: names.len() });
    }
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !is_name(name, NAME) {
            return Err(DescriptorError::Name { what: "port's name", name: printable(name, NAME) });
        }
        if !seen.insert(name) {
            return Err(DescriptorError::Twice { kind, name: name.clone() });
        }
    }
    Ok(())
}

fn input(port: wire::InputPort) -> Result<InputPort, DescriptorError> {
    let wanted = match port.wanted {
        wire::Wanted::All => Wanted::All,
        wire::Wanted::Columns(message) => Wanted::Columns(read(&port.name, &message)?),
    };
    let role = match port.role {
        wire::Role::Rows => Role::Rows,
        wire::Role::Lookup => Role::Lookup,
    };
    Ok(InputPort { name: port.name, role, wanted })
}

fn output(port: wire::OutputPort, inputs: &[InputPort]) -> Result<OutputPort, DescriptorError> {
    let schema = match port.schema {
        wire::OutputSchema::Full(message) => OutputSchema::Full(read(&port.name, &message)?),
        wire::OutputSchema::SameAsInput(same) => {
            let input =
                inputs.iter().position(|input| input.name == same.input && input.role == Role::Rows).ok_or_else(
                    || DescriptorError::Input { output: port.name.clone(), input: printable(&same.input, NAME) },
                )?;
            let replace = read(&port.name, &same.replace)?;
            if replace.index_of(sluicebox_core::columns::SystemColumn::Row.name()).is_ok() {
                return Err(DescriptorError::Row { output: port.name });
            }
            OutputSchema::SameAsInput { input, drop: same.drop, replace }
        }
    };
    Ok(OutputPort { name: port.name, schema })
}

fn read(port: &str, message: &[u8]) -> Result<SchemaRef, DescriptorError> {
    schema::read(message).map_err(|source| DescriptorError::Schema { port: port.to_owned(), source })
}
