//! Builds columns from values, with or without nulls.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};

use crate::Result;

/// A text column of strings or options of strings.
pub fn strings(values: impl IntoIterator<Item = impl Text>) -> ArrayRef {
    let values = values.into_iter();
    let mut column = StringBuilder::with_capacity(values.size_hint().0, 0);
    values.for_each(|value| column.append_option(value.text()));
    Arc::new(column.finish())
}

/// A value of a text column.
pub trait Text {
    /// The text, or null.
    fn text(&self) -> Option<&str>;
}

impl Text for &str {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl Text for String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl<T: Text> Text for Option<T> {
    fn text(&self) -> Option<&str> {
        self.as_ref().and_then(Text::text)
    }
}

/// A column of 32-bit integers.
pub fn int32s(values: impl IntoIterator<Item = impl Into<Option<i32>>>) -> ArrayRef {
    primitive::<Int32Type>(values)
}

/// A column of 64-bit integers.
pub fn int64s(values: impl IntoIterator<Item = impl Into<Option<i64>>>) -> ArrayRef {
    primitive::<Int64Type>(values)
}

/// A column of double-precision numbers.
pub fn float64s(values: impl IntoIterator<Item = impl Into<Option<f64>>>) -> ArrayRef {
    primitive::<Float64Type>(values)
}

/// A column of days since 1970-01-01.
pub fn dates(values: impl IntoIterator<Item = impl Into<Option<i32>>>) -> ArrayRef {
    primitive::<Date32Type>(values)
}

/// A column of microseconds since 1970-01-01 UTC.
pub fn timestamps(values: impl IntoIterator<Item = impl Into<Option<i64>>>) -> ArrayRef {
    let values: PrimitiveArray<TimestampMicrosecondType> = values.into_iter().map(Into::into).collect();
    Arc::new(values.with_timezone("UTC"))
}

/// A column of booleans.
pub fn booleans(values: impl IntoIterator<Item = impl Into<Option<bool>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<BooleanArray>())
}

/// A column of decimals, in units of the last digit.
///
/// # Errors
/// [`Failure::Internal`](crate::Failure::Internal) if a value has more digits than `precision`.
pub fn decimals(
    precision: u8,
    scale: i8,
    values: impl IntoIterator<Item = impl Into<Option<i128>>>,
) -> Result<ArrayRef> {
    let values: PrimitiveArray<Decimal128Type> = values.into_iter().map(Into::into).collect();
    let column = values.with_precision_and_scale(precision, scale)?;
    column.validate_decimal_precision(precision)?;
    Ok(Arc::new(column))
}

fn primitive<T: ArrowPrimitiveType>(values: impl IntoIterator<Item = impl Into<Option<T::Native>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<PrimitiveArray<T>>())
}
