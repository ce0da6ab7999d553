//! Binds the ports of a module to the tables of a pipeline.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::cause::Cause;
use super::descriptor::{Descriptor, OutputSchema, Role, Wanted};
use super::schema::{crossing, fixed_bytes};
use sluicebox_core::columns::{SystemColumn, SystemNames};
use sluicebox_core::fault::Fault;
use sluicebox_core::types::{is_lossless, type_name};

/// Bytes a row of nulls that the host makes for columns that a module wants and a table does not have. A batch
/// has some thousand rows.
const NULLS: u64 = 8 << 10;

/// Tables that do not fit a module's ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// A port without a table.
    #[error("input port `{port}` of module `{module}` is not given a table")]
    Missing {
        /// The module's name.
        module: String,
        /// The port.
        port: String,
    },
    /// A table without a port.
    #[error("module `{module}` has no input port `{port}`; it has {ports}")]
    Unknown {
        /// The module's name.
        module: String,
        /// The port that was named.
        port: String,
        /// The module's ports.
        ports: String,
    },
    /// A column that the module needs.
    #[error("input port `{port}` of module `{module}` wants column `{column}`, which is not there")]
    Column {
        /// The module's name.
        module: String,
        /// The port.
        port: String,
        /// The column.
        column: String,
    },
    /// Columns that are not there, and whose nulls would fill memory.
    #[error(
        "input port `{port}` of module `{module}` wants columns that are not there, and nulls of their types take {bytes} bytes a row, more than {limit}"
    )]
    Nulls {
        /// The module's name.
        module: String,
        /// The port.
        port: String,
        /// What they take.
        bytes: u64,
        /// The most they may.
        limit: u64,
    },
    /// A column of another type.
    #[error("input port `{port}` of module `{module}` wants column `{column}` as {wanted}, and it is {actual}")]
    Type {
        /// The module's name.
        module: String,
        /// The port.
        port: String,
        /// The column.
        column: String,
        /// The type that the module wants.
        wanted: String,
        /// The type of the table's column.
        actual: String,
    },
}

impl Fault for BindError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { port, .. } => Some(format!("add `lookups = {{ {port} = \"layer.table\" }}` to the hop")),
            Self::Unknown { .. } => None,
            Self::Nulls { .. } => Some("read a table that has the columns; a port may leave small ones out".into()),
            Self::Column { column, .. } => {
                Some(format!("read a table that has `{column}`, or declare it nullable in the module"))
            }
            Self::Type { .. } => {
                Some("only conversions that lose nothing are made; change the type where the column is declared".into())
            }
        }
    }
}

/// The columns that cross the boundary at each input port, and the columns of each output port.
#[derive(Clone, Debug)]
pub struct Binding {
    pub(super) descriptor: Descriptor,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<Output>,
}

/// An input port with its table.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// The table's own columns.
    pub upstream: SchemaRef,
    /// The columns that cross the boundary, in order.
    pub crossing: SchemaRef,
    columns: Vec<Column>,
}

/// The origin of a column that crosses the boundary.
#[derive(Clone, Debug)]
enum Column {
    /// The upstream column at this index, as it is.
    Same(usize),
    /// The upstream column at this index, cast to another type.
    Cast(usize, DataType),
    /// Nulls of this type, for a missing column.
    Nulls(DataType),
}

/// An output port.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// All columns of the port's table.
    pub full: SchemaRef,
    /// The columns that the module emits.
    pub emitted: SchemaRef,
    /// For a pass-through port, where each column of `full` comes from.
    pub same: Option<Same>,
}

/// The columns of a pass-through output.
#[derive(Clone, Debug)]
pub(super) struct Same {
    /// Index of the input port.
    pub input: usize,
    /// For every column of the output, in order.
    pub columns: Vec<From>,
}

/// Where a column of a pass-through output comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// The upstream column at this index.
    Upstream(usize),
    /// The emitted column at this index.
    Emitted(usize),
}

impl Descriptor {
    /// Binds a table's schema to every input port.
    ///
    /// # Errors
    /// A port is missing or unknown, a required column is missing, or a column's type cannot be cast to the wanted
    /// one without loss.
    pub fn bind(&self, inputs: &[(String, SchemaRef)]) -> Result<Binding, BindError> {
        for (port, _) in inputs {
            if self.input(port).is_none() {
                let ports = self.inputs.iter().map(|port| format!("`{}`", port.name)).collect::<Vec<_>>().join(", ");
                return Err(BindError::Unknown { module: self.name.clone(), port: port.clone(), ports });
            }
        }
        let inputs = self
            .inputs
            .iter()
            .map(|port| {
                let (_, upstream) = inputs
                    .iter()
                    .find(|(name, _)| *name == port.name)
                    .ok_or_else(|| BindError::Missing { module: self.name.clone(), port: port.name.clone() })?;
                Input::bind(&self.name, &port.name, &port.wanted, upstream)
            })
            .collect::<Result<Vec<_>, _>>()?;
        // A checked descriptor has a port that takes rows.
        let rows = self.inputs.iter().position(|port| port.role == Role::Rows).unwrap_or_default();
        let outputs = self.outputs.iter().map(|port| Output::bind(&port.schema, &inputs, rows)).collect();
        Ok(Binding { descriptor: self.clone(), inputs, outputs })
    }
}

impl Binding {
    /// The module's descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// All columns of output port `port`; `None` if there is no such port.
    pub fn output_schema(&self, port: usize) -> Option<&SchemaRef> {
        self.outputs.get(port).map(|output| &output.full)
    }

    /// The columns that cross the boundary at input port `port`; `None` if there is no such port.
    pub fn input_schema(&self, port: usize) -> Option<&SchemaRef> {
        self.inputs.get(port).map(|input| &input.crossing)
    }

    pub(super) fn is_rows(&self, port: usize) -> bool {
        self.descriptor.inputs.get(port).is_some_and(|port| port.role == Role::Rows)
    }
}

impl Input {
    fn bind(module: &str, port: &str, wanted: &Wanted, upstream: &SchemaRef) -> Result<Self, BindError> {
        let wanted: Vec<FieldRef> = match wanted {
            Wanted::All => upstream
                .fields()
                .iter()
                .map(|field| {
                    let name = crossing_name(upstream, field);
                    Arc::new(Field::new(name, crossing(field.data_type()), field.is_nullable())) as FieldRef
                })
                .collect(),
            Wanted::Columns(schema) => schema.fields().iter().cloned().collect(),
        };
        let columns = wanted
            .iter()
            .map(|field| match named(upstream, field.name()) {
                Some((index, found)) if found.data_type().equals_datatype(field.data_type()) => Ok(Column::Same(index)),
                Some((index, found)) if becomes(found.data_type(), field.data_type()) => {
                    Ok(Column::Cast(index, field.data_type().clone()))
                }
                Some((_, found)) => Err(BindError::Type {
                    module: module.to_owned(),
                    port: port.to_owned(),
                    column: field.name().clone(),
                    wanted: type_name(field.data_type()),
                    actual: type_name(found.data_type()),
                }),
                None if field.is_nullable() => Ok(Column::Nulls(field.data_type().clone())),
                None => Err(BindError::Column {
                    module: module.to_owned(),
                    port: port.to_owned(),
                    column: field.name().clone(),
                }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let nulls = columns.iter().map(|column| match column {
            Column::Nulls(data_type) => fixed_bytes(data_type),
            Column::Same(_) | Column::Cast(..) => 0,
        });
        let bytes = nulls.fold(0, u64::saturating_add);
        if bytes > NULLS {
            let (module, port) = (module.to_owned(), port.to_owned());
            return Err(BindError::Nulls { module, port, bytes, limit: NULLS });
        }
        Ok(Self { upstream: upstream.clone(), crossing: Arc::new(Schema::new(wanted)), columns })
    }

    /// The columns of `rows` that cross the boundary. Only columns of another type are copied.
    pub(super) fn project(&self, rows: &RecordBatch) -> Result<RecordBatch, Cause> {
        self.check(rows)?;
        let mut columns = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter().zip(self.crossing.fields()) {
            let array = match column {
                Column::Same(index) => rows.column(*index).clone(),
                Column::Cast(index, wanted) => cast(rows.column(*index), field.name(), wanted)?,
                Column::Nulls(data_type) => new_null_array(data_type, rows.num_rows()),
            };
            if !field.is_nullable() && array.null_count() > 0 {
                return Err(Cause::Null { column: field.name().clone(), nulls: array.null_count() });
            }
            columns.push(array);
        }
        // The names of fields inside lists and structs do not matter to the encoding.
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows())).with_match_field_names(false);
        RecordBatch::try_new_with_options(self.crossing.clone(), columns, &options)
            .map_err(|source| Cause::Encode { source })
    }

    /// Checks that `rows` has the bound columns, by name and type; nullability may differ from batch to batch.
    fn check(&self, rows: &RecordBatch) -> Result<(), Cause> {
        let actual = rows.schema_ref();
        if Arc::ptr_eq(actual, &self.upstream) {
            return Ok(());
        }
        if actual.fields().len() != self.upstream.fields().len() {
            let (has, bound) = (actual.fields().len(), self.upstream.fields().len());
            return Err(Cause::Shape(format!("{has} columns instead of {bound}")));
        }
        for (actual, bound) in actual.fields().iter().zip(self.upstream.fields()) {
            if Arc::ptr_eq(actual, bound) {
                continue;
            }
            if actual.name() != bound.name() || !actual.data_type().equals_datatype(bound.data_type()) {
                return Err(Cause::Shape(format!(
                    "`{}` {} instead of `{}` {}",
                    actual.name(),
                    type_name(actual.data_type()),
                    bound.name(),
                    type_name(bound.data_type())
                )));
            }
        }
        Ok(())
    }
}

/// The column of a table that a module calls `name`: the host's own columns have their standard names for
/// modules, whatever the pipeline calls them.
fn named<'a>(upstream: &'a Schema, name: &str) -> Option<(usize, &'a Field)> {
    let own = SystemNames::default().named(name).and_then(|column| column.find(upstream));
    let index = own.or_else(|| upstream.index_of(name).ok())?;
    Some((index, upstream.field(index)))
}

/// What a module that takes all columns calls this one.
fn crossing_name<'a>(upstream: &'a Schema, field: &'a Field) -> &'a str {
    match SystemColumn::of(field).map(SystemColumn::name) {
        Some(name) if upstream.index_of(name).is_err() => name,
        _ => field.name(),
    }
}

/// Whether a module that leaves `name` out means this column. Modules leave out what the host adds, all of it by
/// its names, and data that happens to have such a name is none of that.
fn is_meant(field: &Field, name: &str) -> bool {
    SystemColumn::of(field).is_some() || SystemNames::default().named(name).is_none()
}

/// Whether values of one type cross as another: where none changes, and where a module asks for the nearest double of a
/// decimal, as which amounts land whose type nobody declared.
fn becomes(from: &DataType, to: &DataType) -> bool {
    let from = crossing(from);
    let nearest = matches!((&from, to), (DataType::Decimal128(..), DataType::Float64));
    from.equals_datatype(to) || is_lossless(&from, to) || nearest
}

/// A module's own column, which is the host's where the module hands the host's on, and where it says of the
/// rows that it makes whether they are there or go: a column of data that has the name keeps its meaning.
fn handed_on(field: &FieldRef, upstream: &Schema) -> FieldRef {
    let Some(column) = SystemNames::default().named(field.name()) else { return field.clone() };
    if let Some(index) = column.find(upstream) {
        return Arc::new(column.mark(field.as_ref().clone().with_name(upstream.field(index).name())));
    }
    let says = matches!(column, SystemColumn::Weight | SystemColumn::ChangeType);
    if says && upstream.index_of(field.name()).is_err() {
        return Arc::new(column.mark(field.as_ref().clone()));
    }
    field.clone()
}

fn cast(array: &ArrayRef, column: &str, wanted: &DataType) -> Result<ArrayRef, Cause> {
    // `safe` would silently turn a value that does not fit into null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, wanted, &options).map_err(|source| Cause::Cast {
        column: column.to_owned(),
        wanted: type_name(wanted),
        source,
    })
}

impl Output {
    fn bind(schema: &OutputSchema, inputs: &[Input], rows: usize) -> Self {
        match schema {
            OutputSchema::Full(schema) => {
                let upstream = &inputs[rows].upstream;
                let full: Vec<FieldRef> = schema.fields().iter().map(|field| handed_on(field, upstream)).collect();
                Self { full: Arc::new(Schema::new(full)), emitted: schema.clone(), same: None }
            }
            OutputSchema::SameAsInput { input, drop, replace } => {
                let upstream = &inputs[*input].upstream;
                let row: FieldRef =
                    Arc::new(SystemColumn::Row.field().with_nullable(false).with_metadata(Default::default()));
                let emitted = std::iter::once(row).chain(replace.fields().iter().cloned()).collect::<Vec<_>>();
                let mut fields: Vec<FieldRef> = Vec::new();
                let mut columns = Vec::new();
                for (index, field) in upstream.fields().iter().enumerate() {
                    let name = crossing_name(upstream, field);
                    if let Ok(replaced) = replace.index_of(name) {
                        fields.push(handed_on(&replace.fields()[replaced], upstream));
                        columns.push(From::Emitted(replaced + 1));
                    } else if !(drop.iter().any(|dropped| dropped == name) && is_meant(field, name)) {
                        fields.push(field.clone());
                        columns.push(From::Upstream(index));
                    }
                }
                let known: Vec<&str> = upstream.fields().iter().map(|field| crossing_name(upstream, field)).collect();
                for (index, field) in replace.fields().iter().enumerate() {
                    if !known.contains(&field.name().as_str()) {
                        fields.push(handed_on(field, upstream));
                        columns.push(From::Emitted(index + 1));
                    }
                }
                Self {
                    full: Arc::new(Schema::new(fields)),
                    emitted: Arc::new(Schema::new(emitted)),
                    same: Some(Same { input: *input, columns }),
                }
            }
        }
    }
}
