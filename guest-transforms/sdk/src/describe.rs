//! The descriptor of a module: its ports, columns and promises.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The system columns that the host adds to bronze rows. A cleaned table does not need most of them, so a
/// pass-through output may drop them all; missing ones are ignored.
pub const SYSTEM_COLUMNS: &[&str] =
    &["_lane", "_position", "_ingested_at", "_rescued", "_raw", "_key", "_headers", "_timestamp"];

/// The descriptor of a module under one configuration.
#[derive(Clone, Debug)]
pub struct Descriptor {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) inputs: Vec<InputPort>,
    pub(crate) outputs: Vec<OutputPort>,
    pub(crate) stateful: bool,
    pub(crate) deterministic: bool,
    pub(crate) row_preserving: bool,
    pub(crate) state_version: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct InputPort {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// `None` for every column.
    pub(crate) columns: Option<SchemaRef>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Rows,
    Lookup,
}

#[derive(Clone, Debug)]
pub(crate) struct OutputPort {
    pub(crate) name: String,
    pub(crate) schema: OutputSchema,
}

#[derive(Clone, Debug)]
pub(crate) enum OutputSchema {
    Full(SchemaRef),
    SameAsInput { input: String, drop: Vec<String>, replace: SchemaRef },
}

impl Descriptor {
    /// A module without ports and state, which is deterministic. Usually it has the package's name and version:
    /// `Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))`.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            stateful: false,
            deterministic: true,
            row_preserving: false,
            state_version: 0,
        }
    }

    /// The module's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The module's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// An input whose rows are pushed as they arrive. Only `columns` cross the boundary; a nullable column that the
    /// table lacks is null, a [`required`] one must exist.
    pub fn rows(self, port: &str, columns: impl IntoIterator<Item = Field>) -> Self {
        self.input(port, Role::Rows, Some(schema(columns)))
    }

    /// An input whose rows are pushed as they arrive, with every column of the table.
    pub fn rows_with_all_columns(self, port: &str) -> Self {
        self.input(port, Role::Rows, None)
    }

    /// A table that is pushed as a whole before the first of the other rows.
    pub fn lookup(self, port: &str, columns: impl IntoIterator<Item = Field>) -> Self {
        self.input(port, Role::Lookup, Some(schema(columns)))
    }

    /// An output of which every column is emitted, with [`Out::emit`](crate::Out::emit).
    pub fn output(self, port: &str, columns: impl IntoIterator<Item = Field>) -> Self {
        let schema = OutputSchema::Full(schema(columns));
        self.with_output(port, schema)
    }

    /// An output of rows of `input`, emitted with [`Out::keep`](crate::Out::keep): `columns` are new or replace input
    /// columns of the same name, those in `drop` are dropped, and all others are copied by the host and never cross
    /// the boundary.
    pub fn pass_through(
        self,
        port: &str,
        input: &str,
        drop: &[&str],
        columns: impl IntoIterator<Item = Field>,
    ) -> Self {
        let drop = drop.iter().map(|name| (*name).to_owned()).collect();
        let replace = schema(columns);
        self.with_output(port, OutputSchema::SameAsInput { input: input.to_owned(), drop, replace })
    }

    /// The job keeps state between pushes; `version` is the version of its format.
    pub fn stateful(mut self, version: u32) -> Self {
        self.stateful = true;
        self.state_version = version;
        self
    }

    /// Promises that every input row ends in exactly one output row or one rejection.
    /// The host counts.
    pub fn row_preserving(mut self) -> Self {
        self.row_preserving = true;
        self
    }

    /// Declares that the same input may give another output.
    pub fn not_deterministic(mut self) -> Self {
        self.deterministic = false;
        self
    }

    fn input(mut self, port: &str, role: Role, columns: Option<SchemaRef>) -> Self {
        self.inputs.push(InputPort { name: port.to_owned(), role, columns });
        self
    }

    fn with_output(mut self, port: &str, schema: OutputSchema) -> Self {
        self.outputs.push(OutputPort { name: port.to_owned(), schema });
        self
    }
}

/// A nullable text column.
pub fn utf8(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

/// A nullable column of 64-bit integers. A table's narrower integers are widened to it.
pub fn int64(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

/// A nullable column of 32-bit integers.
pub fn int32(name: &str) -> Field {
    Field::new(name, DataType::Int32, true)
}

/// A nullable column of double-precision numbers.
pub fn float64(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

/// A nullable column of booleans.
pub fn boolean(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

/// A nullable column of decimals with `precision` digits, `scale` of them after the point.
pub fn decimal(name: &str, precision: u8, scale: i8) -> Field {
    Field::new(name, DataType::Decimal128(precision, scale), true)
}

/// A nullable column of dates.
pub fn date(name: &str) -> Field {
    Field::new(name, DataType::Date32, true)
}

/// A nullable column of microseconds since 1970-01-01 UTC.
pub fn timestamp(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
}

/// A nullable column of bytes.
pub fn binary(name: &str) -> Field {
    Field::new(name, DataType::Binary, true)
}

/// The same column without nulls.
pub fn required(field: Field) -> Field {
    field.with_nullable(false)
}

fn schema(columns: impl IntoIterator<Item = Field>) -> SchemaRef {
    Arc::new(Schema::new(columns.into_iter().collect::<Vec<_>>()))
}
