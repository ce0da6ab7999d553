//! Columns that the host makes out of others as rows are written: parts of a date, and buckets.
//!
//! A derived value depends on the value that it is made from and on nothing else, so the same
//! rows always come to the same partition, whoever writes them and when.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Date32Array, Int32Array, PrimitiveArray, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{Datelike, NaiveDate};

use super::convert::Conversion;
use super::error::DeltaError;
use super::schema::{find, table_field};
use sluicebox_core::plan::{Derivation, Derived};

const DAY: i64 = 24 * 60 * 60 * 1_000_000;
const HOUR: i64 = 60 * 60 * 1_000_000;

/// The columns of rows of `schema` once they are written: those of `derive` come last.
///
/// # Errors
/// A derived column is made from a column that is not there, or whose type does not have such a
/// part.
pub fn derived_schema(table: &str, derive: &[Derived], schema: &SchemaRef) -> Result<SchemaRef, DeltaError> {
    let mut fields = schema.fields().to_vec();
    for derived in derive {
        let from = find(schema, &derived.from).ok_or_else(|| DeltaError::NoSuchColumn {
            table: table.to_owned(),
            column: derived.from.clone(),
            role: "derive",
        })?;
        let stored = table_field(schema.field(from))?;
        if let Some(stored) = stored.filter(|stored| !derived.by.takes(stored.data_type())) {
            return Err(DeltaError::DeriveType {
                table: table.to_owned(),
                column: derived.column.clone(),
                from: derived.from.clone(),
                data_type: stored.data_type().clone(),
            });
        }
        if find(schema, &derived.column).is_none() {
            fields.push(Arc::new(field(derived)));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Rows with the derived columns behind their own. Where the value that one is made from has no
/// place in a table, it is null.
pub(super) fn onto(table: &str, derive: &[Derived], rows: &RecordBatch) -> Result<RecordBatch, DeltaError> {
    if derive.is_empty() {
        return Ok(rows.clone());
    }
    let failed = || DeltaError::arrow("derive columns", table);
    let (mut fields, mut columns) = (rows.schema_ref().fields().to_vec(), rows.columns().to_vec());
    for derived in derive {
        if find(rows.schema_ref(), &derived.column).is_some() {
            return Err(DeltaError::DerivedColumn { table: table.to_owned(), column: derived.column.clone() });
        }
        let from = find(rows.schema_ref(), &derived.from).ok_or_else(|| DeltaError::NoSuchColumn {
            table: table.to_owned(),
            column: derived.from.clone(),
            role: "derive",
        })?;
        let made = field(derived);
        columns.push(match table_field(rows.schema_ref().field(from))? {
            None => new_null_array(made.data_type(), rows.num_rows()),
            Some(stored) => {
                let conversion = Conversion::between(rows.column(from).data_type(), stored.data_type());
                let values = conversion.apply(&derived.from, rows.column(from), stored.data_type(), &mut Vec::new());
                values.and_then(|values| derived.by.apply(&values)).map_err(failed())?
            }
        });
        fields.push(Arc::new(made));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(failed())
}

/// The table's column for a derived one.
pub(super) fn field(derived: &Derived) -> Field {
    let data_type = match derived.by {
        Derivation::Month | Derivation::Date => DataType::Date32,
        Derivation::Year | Derivation::Hour | Derivation::Bucket(_) => DataType::Int32,
    };
    Field::new(&derived.column, data_type, true)
}

/// What a derived column is made of another by.
pub(super) trait Derive: Sized {
    /// Whether values of this type have such a part.
    fn takes(self, data_type: &DataType) -> bool;

    /// The values made of a column of the table; null stays null.
    fn apply(self, column: &ArrayRef) -> Result<ArrayRef, ArrowError>;
}

impl Derive for Derivation {
    fn takes(self, data_type: &DataType) -> bool {
        let instant = matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _));
        match self {
            Self::Year | Self::Month | Self::Date => instant || data_type == &DataType::Date32,
            Self::Hour => instant,
            Self::Bucket(_) => {
                instant
                    || matches!(
                        data_type,
                        DataType::Utf8
                            | DataType::Binary
                            | DataType::Int8
                            | DataType::Int16
                            | DataType::Int32
                            | DataType::Int64
                            | DataType::Date32
                            | DataType::Decimal128(_, _)
                    )
            }
        }
    }

    fn apply(self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        if let Self::Bucket(count) = self {
            return buckets(column, count);
        }
        let unfit = || ArrowError::InvalidArgumentError(format!("{:?} of {}", self, column.data_type()));
        match column.data_type() {
            DataType::Date32 => {
                let days = column.as_primitive::<Date32Type>();
                match self {
                    Self::Date => Ok(Arc::clone(column)),
                    Self::Month => Ok(Arc::new(once_a_run::<_, Date32Type>(days, first_of_month))),
                    Self::Year => Ok(Arc::new(once_a_run::<_, Int32Type>(days, year))),
                    _ => Err(unfit()),
                }
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let micros = column.as_primitive::<TimestampMicrosecondType>();
                if self == Self::Hour {
                    let hours: Int32Array = micros.unary(|at| (at.rem_euclid(DAY) / HOUR) as i32);
                    return Ok(Arc::new(hours));
                }
                // 2^63 microseconds are 106,751,991 days, so none is lost here.
                let days: Date32Array = micros.unary(|at| at.div_euclid(DAY) as i32);
                let days: ArrayRef = Arc::new(days);
                if self == Self::Date { Ok(days) } else { self.apply(&days) }
            }
            _ => Err(unfit()),
        }
    }
}

/// A part of each day. Neighbouring rows mostly have the same day, which is then taken apart once.
fn once_a_run<F, T>(days: &PrimitiveArray<F>, part: impl Fn(i32) -> Option<i32>) -> PrimitiveArray<T>
where
    F: arrow_array::ArrowPrimitiveType<Native = i32>,
    T: arrow_array::ArrowPrimitiveType<Native = i32>,
{
    let mut last: Option<(i32, Option<i32>)> = None;
    days.iter()
        .map(|day| {
            let day = day?;
            match last {
                Some((same, part)) if same == day => part,
                _ => {
                    let part = part(day);
                    last = Some((day, part));
                    part
                }
            }
        })
        .collect()
}

fn day_of(days: i32) -> Option<NaiveDate> {
    Date32Type::to_naive_date_opt(days)
}

fn year(days: i32) -> Option<i32> {
    day_of(days).map(|day| day.year())
}

fn first_of_month(days: i32) -> Option<i32> {
    day_of(days)?.with_day(1).map(Date32Type::from_naive_date)
}

/// The bucket of each value as Apache Iceberg's `bucket` transform has it: Murmur3 (32 bits, x86,
/// seed 0) of the value's bytes, without its sign, modulo the number of buckets. Whole numbers of
/// every width, days and instants hash as 8 bytes, so a column may be widened and keep its buckets;
/// a decimal hashes as the fewest bytes of its unscaled value, so its scale must stay.
fn buckets(column: &ArrayRef, count: u32) -> Result<ArrayRef, ArrowError> {
    let number = |hash: u32| ((hash & 0x7FFF_FFFF) % count.max(1)) as i32;
    let of_long = |value: i64| number(murmur3(&value.to_le_bytes()));
    let buckets: Int32Array = match column.data_type() {
        DataType::Utf8 => {
            column.as_string::<i32>().iter().map(|text| text.map(|text| number(murmur3(text.as_bytes())))).collect()
        }
        DataType::Binary => {
            column.as_binary::<i32>().iter().map(|bytes| bytes.map(|bytes| number(murmur3(bytes)))).collect()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().unary(of_long)
        }
        DataType::Date32 => column.as_primitive::<Date32Type>().unary(|day| of_long(i64::from(day))),
        DataType::Decimal128(_, _) => {
            column.as_primitive::<Decimal128Type>().unary(|value| number(murmur3(fewest_bytes(&value.to_be_bytes()))))
        }
        other if other.is_integer() => {
            let longs = arrow_cast::cast(column, &DataType::Int64)?;
            longs.as_primitive::<Int64Type>().unary(of_long)
        }
        other => return Err(ArrowError::InvalidArgumentError(format!("bucket of {other}"))),
    };
    Ok(Arc::new(buckets))
}

/// Two's complement without the leading bytes that only repeat the sign.
fn fewest_bytes(bytes: &[u8; 16]) -> &[u8] {
    let mut rest: &[u8] = bytes;
    while let [first, second, ..] = rest
        && ((*first == 0 && second & 0x80 == 0) || (*first == 0xFF && second & 0x80 != 0))
    {
        rest = &rest[1..];
    }
    rest
}

/// Murmur3, 32 bits, x86 variant, seed 0.
fn murmur3(bytes: &[u8]) -> u32 {
    let mix = |block: u32| block.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593);
    let mut hash = 0_u32;
    let mut blocks = bytes.chunks_exact(4);
    for block in &mut blocks {
        let block = block.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ mix(block)).rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64);
    }
    let tail = blocks.remainder();
    if !tail.is_empty() {
        hash ^= mix(tail.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)));
    }
    // The length counts modulo 2^32, as the algorithm says.
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ hash >> 13).wrapping_mul(0xC2B2_AE35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use arrow_array::{Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn hashes_are_those_of_the_iceberg_specification() {
        // Its appendix B.
        assert_eq!(murmur3(&34_i64.to_le_bytes()) as i32, 2_017_239_379);
        assert_eq!(murmur3("iceberg".as_bytes()) as i32, 1_210_000_089);
        assert_eq!(murmur3(&[0, 1, 2, 3]) as i32, -188_683_207);
        assert_eq!(murmur3(fewest_bytes(&1_420_i128.to_be_bytes())) as i32, -500_754_589);
        // 2017-11-16, as days, and 2017-11-16T22:31:08 UTC.
        assert_eq!(murmur3(&17_486_i64.to_le_bytes()) as i32, -653_330_422);
        assert_eq!(murmur3(&1_510_871_468_000_000_i64.to_le_bytes()) as i32, -2_047_944_441);
        assert_eq!(fewest_bytes(&(-1_i128).to_be_bytes()), [0xFF]);
        assert_eq!(fewest_bytes(&0_i128.to_be_bytes()), [0]);
        assert_eq!(fewest_bytes(&128_i128.to_be_bytes()), [0, 0x80]);
    }

    #[test]
    fn a_widened_column_keeps_its_buckets() {
        let short: ArrayRef = Arc::new(Int32Array::from(vec![Some(-7), None, Some(34)]));
        let long: ArrayRef = Arc::new(Int64Array::from(vec![Some(-7), None, Some(34)]));
        let bucket = |column: &ArrayRef| Derivation::Bucket(16).apply(column).expect("buckets");
        assert_eq!(bucket(&short).as_ref(), bucket(&long).as_ref());
        assert_eq!(bucket(&long).as_primitive::<Int32Type>().value(2), 2_017_239_379 % 16);
        assert!(bucket(&long).is_null(1));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["iceberg"]));
        assert_eq!(bucket(&text).as_primitive::<Int32Type>().value(0), 1_210_000_089 % 16);
        let price: ArrayRef =
            Arc::new(Decimal128Array::from(vec![1_420]).with_precision_and_scale(10, 2).expect("a decimal"));
        let positive = (-500_754_589_i32 as u32 & 0x7FFF_FFFF) % 16;
        assert_eq!(bucket(&price).as_primitive::<Int32Type>().value(0), positive as i32);
    }

    #[test]
    fn parts_of_days_before_and_after_the_epoch() {
        let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).expect("an instant").timestamp_micros();
        let values = vec![Some(at("1969-12-31T23:59:59.999999Z")), None, Some(at("2024-02-29T05:00:00Z"))];
        let column: ArrayRef = Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"));
        let shown = |by: Derivation| {
            let made = by.apply(&column).expect("parts");
            let text = arrow_cast::cast(&made, &DataType::Utf8).expect("text");
            text.as_string::<i32>().iter().map(|text| text.unwrap_or("null").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(shown(Derivation::Date), ["1969-12-31", "null", "2024-02-29"]);
        assert_eq!(shown(Derivation::Month), ["1969-12-01", "null", "2024-02-01"]);
        assert_eq!(shown(Derivation::Year), ["1969", "null", "2024"]);
        assert_eq!(shown(Derivation::Hour), ["23", "null", "5"]);
    }
}
