//! A column of texts to a column of one scalar type: the types are listed here and nowhere else.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, TimeUnit};

use super::form::Form;
use super::reading::Reading;
use super::{exact, value};

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
pub(super) fn column(
    texts: &mut impl Texts,
    kind: &DataType,
    reading: &Reading,
    exactness: Exactness,
) -> Option<ArrayRef> {
    match (&reading.form, reading.exact) {
        (None, false) => plain(texts, kind, exactness),
        (None, true) => exactly(texts, kind),
        (Some(form), false) => formed(texts, kind, form, &LENIENT),
        (Some(form), true) => formed(texts, kind, form, &EXACT),
    }
}

fn plain(texts: &mut impl Texts, kind: &DataType, exactness: Exactness) -> Option<ArrayRef> {
    Some(match kind {
        DataType::Int8 => integers::<Int8Type>(texts, value::integer),
        DataType::Int16 => integers::<Int16Type>(texts, value::integer),
        DataType::Int32 => integers::<Int32Type>(texts, value::integer),
        DataType::Int64 => Arc::new(texts.numbers::<Int64Type>(value::integer)),
        DataType::Float32 => Arc::new(texts.numbers::<Float32Type>(value::single)),
        DataType::Float64 if exactness.floats => Arc::new(texts.numbers::<Float64Type>(|text| {
            value::float(text).filter(|value| !value.is_finite() || value::is_exact_float(text))
        })),
        DataType::Float64 => Arc::new(texts.numbers::<Float64Type>(value::float)),
        DataType::Date32 => Arc::new(texts.numbers::<Date32Type>(value::date)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let read = if exactness.cut_times { value::cut_timestamp } else { value::timestamp };
            timestamps(texts, zone.clone(), read)
        }
        DataType::Decimal128(precision, scale) => {
            decimals(texts, kind, |text| value::decimal(text, *precision, *scale))
        }
        DataType::Boolean => Arc::new(texts.booleans(value::boolean)),
        _ => return None,
    })
}

/// Only what comes back as it was written.
fn exactly(texts: &mut impl Texts, kind: &DataType) -> Option<ArrayRef> {
    Some(match kind {
        DataType::Int8 => integers::<Int8Type>(texts, exact::integer),
        DataType::Int16 => integers::<Int16Type>(texts, exact::integer),
        DataType::Int32 => integers::<Int32Type>(texts, exact::integer),
        DataType::Int64 => Arc::new(texts.numbers::<Int64Type>(exact::integer)),
        DataType::Float32 => Arc::new(texts.numbers::<Float32Type>(exact::float32)),
        DataType::Float64 => Arc::new(texts.numbers::<Float64Type>(exact::float)),
        DataType::Date32 => Arc::new(texts.numbers::<Date32Type>(exact::date)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => timestamps(texts, zone.clone(), exact::timestamp),
        DataType::Decimal128(precision, scale) => {
            decimals(texts, kind, |text| exact::decimal(text, *precision, *scale))
        }
        DataType::Boolean => Arc::new(texts.booleans(exact::boolean)),
        _ => return None,
    })
}

/// How values in their usual form are read.
struct Usual {
    integer: fn(&[u8]) -> Option<i64>,
    decimal: fn(&[u8], u8, i8) -> Option<i128>,
    float: fn(&[u8]) -> Option<f64>,
    float32: fn(&[u8]) -> Option<f32>,
    date: fn(&[u8]) -> Option<i32>,
    timestamp: fn(&[u8]) -> Option<i64>,
    boolean: fn(&[u8]) -> Option<bool>,
}

static LENIENT: Usual = Usual {
    integer: value::integer,
    decimal: value::decimal,
    float: value::float,
    float32: value::single,
    date: value::date,
    timestamp: value::timestamp,
    boolean: value::boolean,
};

static EXACT: Usual = Usual {
    integer: exact::integer,
    decimal: exact::decimal,
    float: exact::float,
    float32: exact::float32,
    date: exact::date,
    timestamp: exact::timestamp,
    boolean: exact::boolean,
};

/// Values that are written in a form of their own.
fn formed(texts: &mut impl Texts, kind: &DataType, form: &Form, usual: &'static Usual) -> Option<ArrayRef> {
    let integer = |text: &[u8]| (usual.integer)(&form.number(text)?);
    Some(match kind {
        DataType::Int8 => integers::<Int8Type>(texts, integer),
        DataType::Int16 => integers::<Int16Type>(texts, integer),
        DataType::Int32 => integers::<Int32Type>(texts, integer),
        DataType::Int64 => Arc::new(texts.numbers::<Int64Type>(integer)),
        DataType::Float32 => Arc::new(texts.numbers::<Float32Type>(|text| (usual.float32)(&form.number(text)?))),
        DataType::Float64 => Arc::new(texts.numbers::<Float64Type>(|text| (usual.float)(&form.number(text)?))),
        DataType::Date32 => Arc::new(texts.numbers::<Date32Type>(|text| form.date(text, usual.date))),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            timestamps(texts, zone.clone(), |text| form.timestamp(text, usual.timestamp))
        }
        DataType::Decimal128(precision, scale) => {
            decimals(texts, kind, |text| (usual.decimal)(&form.number(text)?, *precision, *scale))
        }
        DataType::Boolean => Arc::new(texts.booleans(|text| form.boolean(text, usual.boolean))),
        _ => return None,
    })
}

fn integers<T>(texts: &mut impl Texts, read: impl Fn(&[u8]) -> Option<i64>) -> ArrayRef
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    Arc::new(texts.numbers::<T>(|text| T::Native::try_from(read(text)?).ok()))
}

fn decimals(texts: &mut impl Texts, kind: &DataType, read: impl Fn(&[u8]) -> Option<i128>) -> ArrayRef {
    Arc::new(texts.numbers::<Decimal128Type>(read).with_data_type(kind.clone()))
}

fn timestamps(texts: &mut impl Texts, zone: Option<Arc<str>>, read: impl Fn(&[u8]) -> Option<i64>) -> ArrayRef {
    Arc::new(texts.numbers::<TimestampMicrosecondType>(read).with_timezone_opt(zone))
}

/// What `text` is read as, as it is shown.
pub(super) fn shown(text: &[u8], kind: &DataType, reading: &Reading) -> Option<String> {
    let array = column(&mut One(text), kind, reading, Exactness::default())?;
    if array.is_null(0) { None } else { array_value_to_string(&array, 0).ok() }
}

/// A single text.
struct One<'a>(&'a [u8]);

impl Texts for One<'_> {
    fn numbers<T: ArrowPrimitiveType>(&mut self, read: impl Fn(&[u8]) -> Option<T::Native>) -> PrimitiveArray<T> {
        std::iter::once(read(self.0)).collect()
    }

    fn booleans(&mut self, read: impl Fn(&[u8]) -> Option<bool>) -> BooleanArray {
        std::iter::once(read(self.0)).collect()
    }
}
