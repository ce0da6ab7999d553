//! Types as people name them, and the plain types that the lake carries.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

use super::{FormatError, is_system_column};

/// A type as the pipeline file names it.
pub(super) fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".to_owned(),
        DataType::Binary => "binary".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other => other.to_string().to_lowercase(),
    }
}

/// The plain type that holds every value of `kind`: no unsigned numbers, no other units of
/// time than microseconds, no views, dictionaries or large offsets.
pub(super) fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Null | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, zone) => DataType::Timestamp(
            TimeUnit::Microsecond,
            Some(zone.as_ref().map_or("UTC", |_| "UTC").into()),
        ),
        DataType::Time32(_) | DataType::Time64(_) => DataType::Utf8,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::FixedSizeList(field, _) => DataType::List(plain_field(field)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    }
}

fn plain_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(
        field.name(),
        plain_type(field.data_type()),
        field.is_nullable(),
    ))
}

/// How a file's columns become the declared ones and plain ones.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// For every column of the result: where it comes from.
    sources: Vec<usize>,
    /// The result.
    pub(super) schema: SchemaRef,
}

impl Plan {
    /// The declared columns that the file has, in their order, and no others. Without a
    /// declaration every column, as its plain type.
    pub(super) fn new(file: &Schema, declared: Option<&Schema>) -> Result<Self, FormatError> {
        let mut sources = Vec::new();
        let mut fields = Vec::new();
        match declared {
            Some(declared) => {
                for target in declared.fields() {
                    let Some((source, _)) = file.fields().find(target.name()) else {
                        continue;
                    };
                    sources.push(source);
                    fields.push(target.clone());
                }
                if sources.is_empty() && !declared.fields().is_empty() {
                    let names: Vec<_> = file
                        .fields()
                        .iter()
                        .map(|field| field.name().as_str())
                        .collect();
                    return Err(FormatError::ForeignHeader {
                        header: names.join(", "),
                    });
                }
            }
            None => {
                for (source, field) in file.fields().iter().enumerate() {
                    sources.push(source);
                    fields.push(plain_field(field));
                }
            }
        }
        for field in &fields {
            if is_system_column(field.name()) {
                return Err(FormatError::ReservedColumn {
                    name: field.name().clone(),
                });
            }
        }
        Ok(Self {
            sources,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// Which of the file's columns are used.
    pub(super) fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// The columns of `rows` (which has the file's columns) as planned. A value that does not
    /// fit is an error, never null.
    pub(super) fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch, FormatError> {
        let mut arrays = Vec::with_capacity(self.sources.len());
        for (target, source) in self.schema.fields().iter().zip(&self.sources) {
            arrays.push(to_type(rows.column(*source), target)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(FormatError::Rows)
    }
}

fn to_type(array: &ArrayRef, target: &Field) -> Result<ArrayRef, FormatError> {
    if array.data_type() == target.data_type() {
        return Ok(array.clone());
    }
    let failed = |source: ArrowError| FormatError::Cast {
        column: target.name().clone(),
        from: type_name(array.data_type()),
        to: type_name(target.data_type()),
        source,
    };
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, target.data_type(), &options).map_err(failed)
}

impl Plan {
    /// The same for rows that have only the used columns, in the file's order.
    pub(super) fn compact(mut self) -> Self {
        let mut order: Vec<usize> = self.sources.clone();
        order.sort_unstable();
        for source in &mut self.sources {
            *source = order.partition_point(|other| other < source);
        }
        self
    }
}
