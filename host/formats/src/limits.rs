//! How much a single file or message may ask for.
//!
//! A few bytes can promise gigabytes: a dictionary of one long text, nulls of a fixed width, records
//! that hold each other. So every reader asks here before it makes room.

use arrow_schema::DataType;

use super::BATCH_ROWS;

/// Bytes of a batch at most, as they lie in memory; batches are cut by these as well as by rows. A
/// single value may be larger.
pub const BATCH_BYTES: usize = 64 << 20;

/// JSON values may lie in each other this deep.
pub const RECORD_DEPTH: usize = 100;

/// Types may lie in each other this deep: a table's log is JSON, in which each level of a type takes
/// three, and its readers give up at 128.
pub const TYPE_DEPTH: usize = 32;

/// Columns of a file at most, those inside of structs included.
pub const COLUMNS: usize = 10_000;

/// An object with more keys than this is a map and no struct: its column is text.
pub const OBJECT_FIELDS: usize = 1_000;

/// Bytes of a value of fixed width.
pub const FIXED_BYTES: usize = 1 << 20;

/// Bytes that an item of a list takes where it is null; a byte of a file can hold eight of them.
pub const ITEM_BYTES: usize = 1 << 10;

/// Bytes of a Parquet page or an Avro block, decompressed.
pub const PAGE_BYTES: usize = 256 << 20;

/// Bytes of what describes a file: the footer of Parquet, the header of Avro.
pub const HEADER_BYTES: usize = 64 << 20;

/// Bytes that a decompressor may keep of what it has written.
pub const DICTIONARY_BYTES: u64 = 128 << 20;

/// How many rows of `width` bytes each make a batch.
pub(crate) fn batch_rows(width: usize) -> usize {
    (BATCH_BYTES / width.max(1)).clamp(1, BATCH_ROWS)
}

/// Bytes that a value of `kind` takes at least, null or not.
pub(crate) fn width(kind: &DataType) -> usize {
    match kind {
        DataType::FixedSizeBinary(bytes) => usize::try_from(*bytes).unwrap_or(0),
        DataType::FixedSizeList(item, count) => {
            width(item.data_type()).saturating_mul(usize::try_from(*count).unwrap_or(0))
        }
        DataType::Struct(fields) => fields.iter().map(|field| width(field.data_type())).fold(1, usize::saturating_add),
        DataType::Union(fields, _) => {
            fields.iter().map(|(_, field)| width(field.data_type())).fold(8, usize::saturating_add)
        }
        other => other.primitive_width().unwrap_or(8).max(1),
    }
}

/// Columns in `kind`, itself included.
pub(crate) fn columns(kind: &DataType) -> usize {
    match kind {
        DataType::Struct(fields) => fields.iter().map(|field| columns(field.data_type())).sum::<usize>() + 1,
        DataType::List(item) | DataType::Map(item, _) => columns(item.data_type()),
        _ => 1,
    }
}
