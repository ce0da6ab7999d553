//! Checks record-batch messages from a module before decoding them.
//!
//! The decoder of arrow-ipc trusts the metadata that it reads: it slices buffers where the message says, with
//! assertions. So everything that it would trust is first compared with the schema and the body; the decoder then
//! validates the values themselves (offsets, UTF-8, null counts).

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::{FieldNode, MessageHeader, MetadataVersion};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};

use super::schema::{PREFIX, first_line, split};

/// The most values of one array, nested ones included: the range of 32-bit offsets.
const VALUES: i64 = 1 << 31;

/// Why bytes are not a record batch of the schema.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Not a message at all.
    #[error("it is not an Arrow IPC message: {0}")]
    Invalid(String),
    /// Another kind of message.
    #[error("it is a {actual} message and must be a RecordBatch")]
    Kind {
        /// Its kind.
        actual: String,
    },
    /// A metadata version from before 2020.
    #[error("its metadata version is {actual} and must be V5")]
    Version {
        /// The version it has.
        actual: String,
    },
    /// Compressed buffers.
    #[error("its body is compressed")]
    Compressed,
    /// The body is not as long as the message says.
    #[error("it declares a body of {declared} bytes and {actual} follow")]
    Body {
        /// The declared number.
        declared: i64,
        /// The actual number.
        actual: usize,
    },
    /// A row count that is negative or more than the job may emit.
    #[error("it declares {declared} rows, and there can be 0 to {limit}")]
    Rows {
        /// The declared number.
        declared: i64,
        /// The limit.
        limit: u64,
    },
    /// More or fewer arrays or buffers than the schema has.
    #[error("it has {actual} {what} and its schema demands {demanded}")]
    Count {
        /// `arrays` or `buffers`.
        what: &'static str,
        /// The actual number.
        actual: usize,
        /// The number that the schema demands.
        demanded: usize,
    },
    /// An array with an impossible length or null count.
    #[error("column `{column}` declares {length} values with {nulls} nulls")]
    Node {
        /// The column.
        column: String,
        /// The declared values.
        length: i64,
        /// The declared nulls.
        nulls: i64,
    },
    /// Nulls where the schema has none.
    #[error("column `{column}` has {nulls} nulls and its schema allows none")]
    Null {
        /// The column.
        column: String,
        /// The declared nulls.
        nulls: i64,
    },
    /// A buffer that is not inside the body.
    #[error("a buffer of column `{column}` lies at {offset} with {length} bytes, outside of the body of {body}")]
    Buffer {
        /// The column.
        column: String,
        /// Its offset.
        offset: i64,
        /// Its length in bytes.
        length: i64,
        /// The body's bytes.
        body: usize,
    },
    /// A buffer at an offset that is not a multiple of 8, or truncated offsets.
    #[error(
        "a buffer of column `{column}` lies at {offset} with {length} bytes, which is not a whole number of values"
    )]
    Ragged {
        /// The column.
        column: String,
        /// Its offset.
        offset: i64,
        /// Its length in bytes.
        length: i64,
    },
    /// A validity bitmap with fewer bits than values.
    #[error("the validity of column `{column}` has {length} bytes for {values} values")]
    Validity {
        /// The column.
        column: String,
        /// Its length in bytes.
        length: i64,
        /// The values.
        values: i64,
    },
    /// The values themselves are wrong: offsets, UTF-8, null counts, too short buffers.
    #[error("its values are invalid")]
    Values {
        /// The error of the decoder.
        source: ArrowError,
    },
    /// The decoder panicked.
    #[error("its values cannot be decoded")]
    Broken,
}

/// Decodes one encapsulated record-batch message without copying: the batch's columns are
/// slices of `message`, whose body should be aligned for every type.
///
/// `limit` is the most rows allowed.
pub(super) fn decode(message: &Buffer, schema: &SchemaRef, limit: u64) -> Result<RecordBatch, MessageError> {
    let (metadata, body) = split(message).map_err(MessageError::Invalid)?;
    let root = arrow_ipc::root_as_message(metadata).map_err(|error| MessageError::Invalid(first_line(&error)))?;
    if root.header_type() != MessageHeader::RecordBatch {
        let actual = root.header_type().variant_name().unwrap_or("unknown").to_owned();
        return Err(MessageError::Kind { actual });
    }
    if root.version() != MetadataVersion::V5 {
        return Err(MessageError::Version { actual: format!("{:?}", root.version()) });
    }
    let header = root.header_as_record_batch().ok_or_else(|| MessageError::Invalid("it has no header".into()))?;
    if header.compression().is_some() {
        return Err(MessageError::Compressed);
    }
    if usize::try_from(root.bodyLength()) != Ok(body.len()) {
        return Err(MessageError::Body { declared: root.bodyLength(), actual: body.len() });
    }
    let rows = header.length();
    if !u64::try_from(rows).is_ok_and(|rows| rows <= limit) {
        return Err(MessageError::Rows { declared: rows, limit });
    }
    check_layout(&header, schema, rows, body.len())?;

    let body = message.slice_with_length(PREFIX + metadata.len(), body.len());
    let dictionaries = HashMap::new();
    let version = root.version();
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        RecordBatchDecoder::try_new(&body, header, schema.clone(), &dictionaries, &version)?.read_record_batch()
    }));
    match decoded {
        Ok(decoded) => decoded.map_err(|source| MessageError::Values { source }),
        Err(_) => Err(MessageError::Broken),
    }
}

/// Compares every length and offset in the metadata with the schema and the body.
fn check_layout(
    header: &arrow_ipc::RecordBatch<'_>,
    schema: &SchemaRef,
    rows: i64,
    body: usize,
) -> Result<(), MessageError> {
    let nodes = header.nodes().unwrap_or_default();
    let buffers = header.buffers().unwrap_or_default();
    let variadic = header.variadicBufferCounts().map_or(0, |counts| counts.len());
    let mut demanded = Demand::default();
    schema.fields().iter().for_each(|field| demanded.add(field.data_type()));
    for (what, actual, demanded) in [
        ("arrays", nodes.len(), demanded.nodes),
        ("buffers", buffers.len(), demanded.buffers),
        ("variadic buffer counts", variadic, 0),
    ] {
        if actual != demanded {
            return Err(MessageError::Count { what, actual, demanded });
        }
    }
    let mut layout = Layout { nodes: nodes.iter(), buffers: buffers.iter(), body };
    for field in schema.fields() {
        layout.column(field, field.name(), Some(rows))?;
    }
    Ok(())
}

/// The arrays and buffers that a type needs.
#[derive(Default)]
struct Demand {
    nodes: usize,
    buffers: usize,
}

impl Demand {
    fn add(&mut self, data_type: &DataType) {
        self.nodes += 1;
        self.buffers += own_buffers(data_type);
        children(data_type).for_each(|child| self.add(child.data_type()));
    }
}

/// The buffers of a type without its children, validity first.
fn own_buffers(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(_) | DataType::FixedSizeList(..) => 1,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 3,
        _ => 2,
    }
}

/// The bytes of one offset, for types whose second buffer has offsets.
fn offset_width(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Utf8 | DataType::Binary | DataType::List(_) => 4,
        DataType::LargeUtf8 | DataType::LargeBinary | DataType::LargeList(_) => 8,
        _ => 1,
    }
}

fn children(data_type: &DataType) -> Box<dyn Iterator<Item = &Field> + '_> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Box::new(std::iter::once(item.as_ref()))
        }
        DataType::Struct(fields) => Box::new(fields.iter().map(AsRef::as_ref)),
        _ => Box::new(std::iter::empty()),
    }
}

struct Layout<N, B> {
    nodes: N,
    buffers: B,
    body: usize,
}

impl<'a, N, B> Layout<N, B>
where
    N: Iterator<Item = &'a FieldNode>,
    B: Iterator<Item = &'a arrow_ipc::Buffer>,
{
    /// Checks a field and its children; `length` is its required number of values.
    fn column(&mut self, field: &Field, column: &str, length: Option<i64>) -> Result<(), MessageError> {
        let short = |what| MessageError::Count { what, actual: 0, demanded: 1 };
        let node = self.nodes.next().ok_or_else(|| short("arrays"))?;
        let (values, nulls) = (node.length(), node.null_count());
        if !(0..VALUES).contains(&values)
            || !(0..=values).contains(&nulls)
            || length.is_some_and(|length| length != values)
        {
            return Err(MessageError::Node { column: column.to_owned(), length: values, nulls });
        }
        if nulls > 0 && !field.is_nullable() {
            return Err(MessageError::Null { column: column.to_owned(), nulls });
        }
        for at in 0..own_buffers(field.data_type()) {
            let buffer = self.buffers.next().ok_or_else(|| short("buffers"))?;
            let (offset, length) = (buffer.offset(), buffer.length());
            let inside = offset >= 0
                && length >= 0
                && offset
                    .checked_add(length)
                    .and_then(|end| usize::try_from(end).ok())
                    .is_some_and(|end| end <= self.body);
            if !inside {
                return Err(MessageError::Buffer { column: column.to_owned(), offset, length, body: self.body });
            }
            if offset % 8 != 0 || at == 1 && length % offset_width(field.data_type()) != 0 {
                return Err(MessageError::Ragged { column: column.to_owned(), offset, length });
            }
            // `values` is below 2^31, so the sum cannot overflow.
            if at == 0 && nulls > 0 && length < (values + 7) / 8 {
                return Err(MessageError::Validity { column: column.to_owned(), length, values });
            }
        }
        let below = match field.data_type() {
            DataType::Struct(_) => Some(values),
            DataType::FixedSizeList(_, size) => Some(values * i64::from(*size)),
            _ => None,
        };
        for child in children(field.data_type()) {
            self.column(child, column, below)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
