//! A column of texts to a column of one scalar type: the types are listed here and nowhere else.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray};
use arrow_schema::{DataType, TimeUnit};

use super::value;

/// How much of what is written a value has to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exactness {
    /// A floating-point number is written with the digits that the text has: nobody declared the
    /// column, so nobody asked for rounding.
    pub(crate) floats: bool,
    /// Digits of a second beyond the sixth may be cut off.
    pub(crate) cut_times: bool,
}

/// The texts of one column, wherever they lie.
pub(super) trait Texts {
    /// Each text as `read` reads it; one that it does not read is null, and noted as bad.
    fn numbers<T: ArrowPrimitiveType>(&mut self, read: impl Fn(&[u8]) -> Option<T::Native>) -> PrimitiveArray<T>;

    /// The same for truth values.
    fn booleans(&mut self, read: impl Fn(&[u8]) -> Option<bool>) -> BooleanArray;
}

/// Whether text can be read into that type: as [`column`] does, or as text or bytes.
pub(super) fn readable(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Utf8
            | DataType::Binary
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Date32
            | DataType::Decimal128(_, _)
            | DataType::Timestamp(TimeUnit::Microsecond, _)
    )
}

/// `texts` as an array of `kind`, exact or null; `None` if that is no number, time or truth value.
pub(super) fn column(texts: &mut impl Texts, kind: &DataType, exactness: Exactness) -> Option<ArrayRef> {
    Some(match kind {
        DataType::Int8 => integers::<Int8Type>(texts),
        DataType::Int16 => integers::<Int16Type>(texts),
        DataType::Int32 => integers::<Int32Type>(texts),
        DataType::Int64 => Arc::new(texts.numbers::<Int64Type>(value::integer)),
        DataType::Float32 => Arc::new(texts.numbers::<Float32Type>(value::single)),
        DataType::Float64 if exactness.floats => Arc::new(texts.numbers::<Float64Type>(|text| {
            value::float(text).filter(|value| !value.is_finite() || value::is_exact_float(text))
        })),
        DataType::Float64 => Arc::new(texts.numbers::<Float64Type>(value::float)),
        DataType::Date32 => Arc::new(texts.numbers::<Date32Type>(value::date)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let read = if exactness.cut_times { value::cut_timestamp } else { value::timestamp };
            let times = texts.numbers::<TimestampMicrosecondType>(read);
            Arc::new(times.with_timezone_opt(zone.clone()))
        }
        DataType::Decimal128(precision, scale) => {
            let numbers = texts.numbers::<Decimal128Type>(|text| value::decimal(text, *precision, *scale));
            Arc::new(numbers.with_data_type(kind.clone()))
        }
        DataType::Boolean => Arc::new(texts.booleans(value::boolean)),
        _ => return None,
    })
}

fn integers<T>(texts: &mut impl Texts) -> ArrayRef
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    Arc::new(texts.numbers::<T>(|text| T::Native::try_from(value::integer(text)?).ok()))
}
