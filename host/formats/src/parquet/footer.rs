//! The footer of a Parquet file, looked through before it is decoded: its decoder goes as deep as the
//! schema does and makes room for every list as long as it is said to be.

use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::broken;
use super::ranges::Ranges;
use super::thrift::{Broken, Compact, I32, LIST, STRUCT};
use crate::FormatError;
use crate::limits::{COLUMNS, HEADER_BYTES, TYPE_DEPTH};

/// Levels of a Parquet schema that a level of a type may take: a list is written as three.
const LEVELS: usize = 3;

/// Length and magic at the end of the file.
const TAIL: u64 = 8;

/// What the footer says.
pub(super) fn read(file: &impl Ranges) -> Result<Arc<ParquetMetaData>, FormatError> {
    let failed = |message: &str| broken(0, ParquetError::General(message.to_owned()));
    let size = file.size();
    let tail = file.range(size.saturating_sub(TAIL)..size)?;
    let length = match tail.as_ref() {
        [a, b, c, d, b'P', b'A', b'R', b'1'] => u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
        [.., b'P', b'A', b'R', b'E'] => return Err(failed("its footer is encrypted")),
        _ => return Err(failed("it does not end as a Parquet file")),
    };
    let start = (size - TAIL).checked_sub(length).ok_or_else(|| failed("its footer is longer than the file"))?;
    if length > HEADER_BYTES as u64 {
        return Err(FormatError::TooLarge { part: "its footer".to_owned(), bytes: length, most: HEADER_BYTES as u64 });
    }
    let footer = file.range(start..size - TAIL)?;
    let schema = look_through(&footer).map_err(|_| failed("its footer is damaged"))?;
    if schema.depth > TYPE_DEPTH * LEVELS {
        let problem = format!("lies deeper than {} levels of the schema", TYPE_DEPTH * LEVELS);
        return Err(FormatError::Type { column: schema.deepest, problem });
    }
    if schema.leaves > COLUMNS {
        return Err(FormatError::Columns { most: COLUMNS });
    }
    Ok(Arc::new(ParquetMetaDataReader::decode_metadata(&footer).map_err(|error| broken(0, error))?))
}

/// What a schema needs.
#[derive(Default)]
struct Shape {
    depth: usize,
    /// The name of the first element that is as deep.
    deepest: String,
    leaves: usize,
}

/// Passes over the whole footer.
fn look_through(footer: &[u8]) -> Result<Shape, Broken> {
    let mut bytes = Compact::new(footer);
    let (mut last, mut shape) = (0, Shape::default());
    while let Some((field, kind)) = bytes.field(last)? {
        match (field, kind) {
            (2, LIST) => shape = schema(&mut bytes)?,
            _ => bytes.skip(kind)?,
        }
        last = field;
    }
    Ok(shape)
}

/// The elements of a schema stand in the order of a walk through its tree, each with the number of its children.
fn schema(bytes: &mut Compact<'_>) -> Result<Shape, Broken> {
    let (kind, count) = bytes.list()?;
    if kind != STRUCT {
        return Err(Broken);
    }
    let mut shape = Shape::default();
    // For every element above: how many of its children are still to come.
    let mut above: Vec<i64> = Vec::new();
    for _ in 0..count {
        let (name, children) = element(bytes)?;
        while above.pop_if(|left| *left <= 0).is_some() {}
        if let Some(left) = above.last_mut() {
            *left -= 1;
        }
        if above.len() > shape.depth {
            (shape.depth, shape.deepest) = (above.len(), name);
        }
        match children {
            0 => shape.leaves += 1,
            children => above.push(children),
        }
    }
    Ok(shape)
}

/// An element's name and the number of its children.
fn element(bytes: &mut Compact<'_>) -> Result<(String, i64), Broken> {
    let (mut last, mut name, mut children) = (0, String::new(), 0);
    while let Some((field, kind)) = bytes.field(last)? {
        match (field, kind) {
            (4, 8) => name = bytes.text()?,
            (5, I32) => children = bytes.number()?,
            _ => bytes.skip(kind)?,
        }
        last = field;
    }
    Ok((name, children))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer with a schema of these elements: the number of each one's children.
    fn footer(children: &[u8]) -> Vec<u8> {
        // version: i32, schema: list of structs.
        let mut bytes = vec![0x15, 2, 0x19, 0xfc];
        let mut count = children.len();
        while count >= 0x80 {
            bytes.push((count & 0x7f) as u8 | 0x80);
            count >>= 7;
        }
        bytes.push(count as u8);
        for count in children {
            bytes.extend([0x48, 1, b'x', 0x15, count * 2, 0]);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn depth_is_counted_without_going_down() {
        let shape = look_through(&footer(&[2, 0, 1, 1, 0])).unwrap();
        assert_eq!((shape.depth, shape.leaves), (3, 2));
        let mut chain = vec![1; 1_000_000];
        chain.push(0);
        assert_eq!(look_through(&footer(&chain)).unwrap().depth, 1_000_000);
        let whole = footer(&[2, 0, 0]);
        for cut in 0..whole.len() {
            assert!(look_through(&whole[..cut]).is_err(), "{cut}");
        }
        // More items than there are bytes.
        assert!(look_through(&[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
    }
}
