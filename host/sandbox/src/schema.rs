//! Writes schema messages, and reads untrusted ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_ipc::{MessageHeader, MetadataVersion};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::text::printable;

/// The most bytes of a schema message.
const BYTES: usize = 1 << 20;
/// The most columns of a schema.
const COLUMNS: usize = 2_000;
/// The most bytes of a column's name.
const NAME: usize = 256;
/// Bytes that one value may take by its type alone.
const FIXED: u64 = 64 << 10;
/// Lists and structs inside one another.
const DEPTH: usize = 8;
/// The bytes before a message: a marker and the length of its metadata.
pub(super) const PREFIX: usize = 8;
const MARKER: [u8; 4] = [0xff; 4];

/// Why a schema is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Too large.
    #[error("it has {actual} {unit}, more than {limit}")]
    TooLarge {
        /// The unit.
        unit: &'static str,
        /// The actual number.
        actual: usize,
        /// The limit.
        limit: usize,
    },
    /// Not an Arrow IPC Schema message.
    #[error("it is not an Arrow IPC Schema message: {0}")]
    Invalid(String),
    /// A type that does not cross the boundary.
    #[error("column `{column}` has type {data_type}, which does not cross the boundary")]
    Type {
        /// The column.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// Types nested too deeply.
    #[error("column `{column}` nests deeper than {DEPTH} types")]
    Depth {
        /// The column.
        column: String,
    },
    /// A value takes more than any value needs, also where it is null.
    #[error("a value of column `{column}` takes {bytes} bytes by its type alone, more than {limit}")]
    Fixed {
        /// The column.
        column: String,
        /// What it takes.
        bytes: u64,
        /// The most it may.
        limit: u64,
    },
    /// A name that is empty, too long, or holds control characters.
    #[error("a column is named `{0}`")]
    Name(String),
    /// Two columns of the same name.
    #[error("two columns are named `{0}`")]
    Twice(String),
}

/// Splits an encapsulated message into metadata and body.
pub(super) fn split(message: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let Some((prefix, rest)) = message.split_at_checked(PREFIX) else {
        return Err(format!("{} bytes are too few for a message", message.len()));
    };
    let (marker, length) = prefix.split_at(MARKER.len());
    if marker != MARKER {
        return Err("it does not begin with the continuation marker".into());
    }
    let length = i32::from_le_bytes([length[0], length[1], length[2], length[3]]);
    usize::try_from(length)
        .ok()
        .filter(|length| *length > 0)
        .and_then(|length| rest.split_at_checked(length))
        .ok_or_else(|| format!("its metadata has {length} bytes and {} are there", rest.len()))
}

/// The first line of the verifier's error; the rest is a long path.
pub(super) fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Reads a schema that a module wrote.
///
/// Metadata is dropped: nothing in the host may depend on it.
pub(super) fn read(message: &[u8]) -> Result<SchemaRef, SchemaError> {
    if message.len() > BYTES {
        return Err(SchemaError::TooLarge { unit: "bytes", actual: message.len(), limit: BYTES });
    }
    let (metadata, body) = split(message).map_err(SchemaError::Invalid)?;
    // The flatbuffers verifier needs aligned tables, and a module's bytes may be anywhere.
    let metadata = arrow_buffer::Buffer::from(metadata);
    let root = arrow_ipc::root_as_message(&metadata).map_err(|error| SchemaError::Invalid(error.to_string()))?;
    if root.header_type() != MessageHeader::Schema || !body.is_empty() {
        return Err(SchemaError::Invalid(format!(
            "its header is {:?} with {} bytes after it",
            root.header_type(),
            body.len()
        )));
    }
    if root.version() != MetadataVersion::V5 {
        return Err(SchemaError::Invalid(format!("its version is {:?} and not V5", root.version())));
    }
    let header = root.header_as_schema().ok_or_else(|| SchemaError::Invalid("it has no header".into()))?;
    let columns = header.fields().map_or(0, |fields| fields.len());
    if columns > COLUMNS {
        return Err(SchemaError::TooLarge { unit: "columns", actual: columns, limit: COLUMNS });
    }
    // The conversion panics if a table lacks what its type needs.
    let schema = catch_unwind(AssertUnwindSafe(|| fb_to_schema(header)))
        .map_err(|_| SchemaError::Invalid("a field lacks what its type calls for".into()))?;
    let fields = check_fields(schema.fields(), 0)?;
    Ok(Arc::new(Schema::new(fields)))
}

/// Writes a schema for a module.
pub(super) fn write(schema: &Schema) -> Vec<u8> {
    let options = IpcWriteOptions::default();
    let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        schema,
        &mut DictionaryTracker::new(false),
        &options,
    );
    let metadata = encoded.ipc_message;
    let padded = metadata.len().next_multiple_of(8);
    let mut message = Vec::with_capacity(PREFIX + padded);
    message.extend_from_slice(&MARKER);
    // A schema of 2 GiB cannot be built: its columns were read from one of at most BYTES.
    message.extend_from_slice(&(padded as u32).to_le_bytes());
    message.extend_from_slice(&metadata);
    message.resize(PREFIX + padded, 0);
    message
}

/// Checks the declared fields of a module, and drops their metadata.
fn check_fields(fields: &arrow_schema::Fields, depth: usize) -> Result<Vec<FieldRef>, SchemaError> {
    let mut names = std::collections::HashSet::with_capacity(fields.len());
    let mut checked = Vec::with_capacity(fields.len());
    for field in fields {
        let name = field.name();
        if name.is_empty() || name.len() > NAME || printable(name, NAME) != *name {
            return Err(SchemaError::Name(printable(name, NAME)));
        }
        if !names.insert(name) {
            return Err(SchemaError::Twice(name.clone()));
        }
        checked.push(check_field(field, depth)?);
    }
    Ok(checked)
}

fn check_field(field: &Field, depth: usize) -> Result<FieldRef, SchemaError> {
    use DataType::{Boolean, FixedSizeBinary, FixedSizeList, LargeList, LargeUtf8, List, Struct, Utf8};
    if depth > DEPTH {
        return Err(SchemaError::Depth { column: field.name().clone() });
    }
    let inner = |field: &FieldRef| check_field(field, depth + 1);
    let data_type = match field.data_type() {
        List(item) => List(inner(item)?),
        LargeList(item) => LargeList(inner(item)?),
        FixedSizeList(item, size) if *size > 0 => FixedSizeList(inner(item)?, *size),
        Struct(fields) if !fields.is_empty() => Struct(check_fields(fields, depth + 1)?.into()),
        FixedSizeBinary(size) if *size > 0 => FixedSizeBinary(*size),
        plain @ (Boolean | Utf8 | LargeUtf8 | DataType::Binary | DataType::LargeBinary) => plain.clone(),
        decimal if decimal.is_decimal() => {
            // A precision that does not fit the type's width would fail in every kernel later.
            let (precision, most) = match decimal {
                DataType::Decimal32(precision, _) => (*precision, 9),
                DataType::Decimal64(precision, _) => (*precision, 18),
                DataType::Decimal128(precision, _) => (*precision, 38),
                DataType::Decimal256(precision, _) => (*precision, 76),
                _ => (0, 0),
            };
            if precision == 0 || precision > most {
                return Err(unsupported(field));
            }
            decimal.clone()
        }
        primitive if primitive.is_primitive() => primitive.clone(),
        _ => return Err(unsupported(field)),
    };
    let bytes = fixed_bytes(&data_type);
    if bytes > FIXED {
        return Err(SchemaError::Fixed { column: field.name().clone(), bytes, limit: FIXED });
    }
    Ok(Arc::new(Field::new(field.name(), data_type, field.is_nullable())))
}

/// What one value takes by its type alone: of a null as much as of any other.
pub(super) fn fixed_bytes(data_type: &DataType) -> u64 {
    match data_type {
        DataType::FixedSizeBinary(size) => u64::from(size.unsigned_abs()),
        DataType::FixedSizeList(item, size) => {
            // Whatever an item is, it takes at least a bit for being there or not.
            u64::from(size.unsigned_abs()).saturating_mul(fixed_bytes(item.data_type()).max(1))
        }
        DataType::Struct(fields) => {
            fields.iter().fold(0, |sum, field| sum.saturating_add(fixed_bytes(field.data_type())))
        }
        // Offsets of what has no fixed length.
        _ => data_type.primitive_width().unwrap_or(8) as u64,
    }
}

fn unsupported(field: &Field) -> SchemaError {
    SchemaError::Type { column: field.name().clone(), data_type: printable(&field.data_type().to_string(), 200) }
}

/// The type of `data_type` across the boundary: dictionaries and views are storage, which a module should not need to
/// know about.
pub(super) fn crossing(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| -> FieldRef {
        Arc::new(Field::new(field.name(), crossing(field.data_type()), field.is_nullable()))
    };
    match data_type {
        DataType::Dictionary(_, values) => crossing(values),
        DataType::RunEndEncoded(_, values) => crossing(values.data_type()),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::ListView(item) => DataType::List(inner(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: Vec<Field>) -> Schema {
        Schema::new(fields)
    }

    #[test]
    fn reads_what_it_writes() {
        let item = Field::new("item", DataType::Decimal128(21, 2), true);
        let written = schema(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("name", DataType::Utf8, true).with_metadata([("k".to_owned(), "v".to_owned())].into()),
            Field::new("prices", DataType::List(Arc::new(item)), true),
        ]);
        let read = read(&write(&written)).unwrap();
        assert_eq!(read.field(0), written.field(0));
        assert!(read.field(1).metadata().is_empty());
        assert_eq!(read.field(2), written.field(2));
    }

    #[test]
    fn refuses_types_that_do_not_cross() {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        for data_type in [dictionary, DataType::Utf8View, DataType::Null] {
            let error = read(&write(&schema(vec![Field::new("c", data_type, true)]))).unwrap_err();
            assert!(matches!(error, SchemaError::Type { .. }), "{error}");
        }
    }

    #[test]
    fn refuses_names_and_depths_without_end() {
        let twice = schema(vec![Field::new("a", DataType::Int8, true), Field::new("a", DataType::Int8, true)]);
        assert_eq!(read(&write(&twice)).unwrap_err(), SchemaError::Twice("a".into()));
        let named = schema(vec![Field::new("a\u{1b}[31m", DataType::Int8, true)]);
        assert!(matches!(read(&write(&named)).unwrap_err(), SchemaError::Name(_)));
        let mut deep = DataType::Int8;
        for _ in 0..12 {
            deep = DataType::List(Arc::new(Field::new("item", deep, true)));
        }
        let error = read(&write(&schema(vec![Field::new("deep", deep, true)]))).unwrap_err();
        assert!(matches!(error, SchemaError::Depth { .. }), "{error}");
    }

    #[test]
    fn every_mutation_is_a_schema_or_an_error() {
        let mut message = write(&schema(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("at", DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, Some("UTC".into())), true),
        ]));
        for at in 0..message.len() {
            for flip in [0x01, 0x80, 0xff] {
                message[at] ^= flip;
                let _ = read(&message);
                message[at] ^= flip;
            }
        }
    }
}
