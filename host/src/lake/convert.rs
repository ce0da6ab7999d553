//! Bringing a column of rows into a table column's type without changing a value.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, StructArray, new_null_array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, Fields, TimeUnit};

use super::schema::{find, table_field};

/// How values of one type become values of another.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Conversion {
    /// They are the same already.
    Same,
    /// Every value has a place in the other type; only an overflow can fail.
    Widen,
    /// A struct child by child: the child of the same name, or null.
    Struct(Vec<Option<(usize, Conversion)>>),
    /// Some values may have a place in the other type: those that survive the way there and back.
    Lossless,
    /// No value has.
    Never,
}

impl Conversion {
    /// How values of `from` become values of `to`.
    pub(super) fn between(from: &DataType, to: &DataType) -> Self {
        if from == to {
            return Self::Same;
        }
        if widens(from, to) {
            return Self::Widen;
        }
        if let (DataType::Struct(source), DataType::Struct(target)) = (from, to) {
            return Self::of_structs(source, target);
        }
        let flat = !from.is_nested() && !to.is_nested();
        if flat && can_cast_types(from, to) && can_cast_types(to, from) { Self::Lossless } else { Self::Never }
    }

    fn of_structs(source: &Fields, target: &Fields) -> Self {
        let names = arrow_schema::Schema::new(source.clone());
        let mut children = Vec::with_capacity(target.len());
        let mut used = 0;
        for field in target {
            let Some(index) = find(&names, field.name()) else {
                if !field.is_nullable() {
                    return Self::Never;
                }
                children.push(None);
                continue;
            };
            used += 1;
            match Self::between(source[index].data_type(), field.data_type()) {
                Self::Lossless | Self::Never => return Self::Never,
                conversion => children.push(Some((index, conversion))),
            }
        }
        // A child that the table does not have would be lost; one without a type holds nothing.
        let typed = source.iter().filter(|field| field.data_type() != &DataType::Null).count();
        if used < typed { Self::Never } else { Self::Struct(children) }
    }

    /// Whether a difference in type is no drift: the values always fit.
    pub(super) fn is_widening(&self, from: &DataType) -> bool {
        match self {
            Self::Same | Self::Widen | Self::Struct(_) => true,
            // The table's timestamps are microseconds; nobody can ask for more.
            Self::Lossless => matches!(from, DataType::Timestamp(TimeUnit::Nanosecond, _)),
            Self::Never => false,
        }
    }

    /// The converted column, and the rows whose value had no place in `to` (null in the column).
    pub(super) fn apply(
        &self,
        column: &ArrayRef,
        to: &DataType,
    ) -> Result<(ArrayRef, Option<BooleanBuffer>), ArrowError> {
        match self {
            Self::Same => Ok((Arc::clone(column), None)),
            Self::Widen => {
                let converted = cast(column, to)?;
                let lost = newly_null(column, &converted);
                Ok((converted, lost))
            }
            Self::Struct(children) => self.apply_struct(children, column, to),
            Self::Lossless => lossless(column, to),
            Self::Never => {
                let lost = match column.logical_nulls() {
                    Some(nulls) => nulls.inner().clone(),
                    None => BooleanBuffer::new_set(column.len()),
                };
                let lost = (lost.count_set_bits() > 0).then_some(lost);
                Ok((new_null_array(to, column.len()), lost))
            }
        }
    }

    fn apply_struct(
        &self,
        children: &[Option<(usize, Conversion)>],
        column: &ArrayRef,
        to: &DataType,
    ) -> Result<(ArrayRef, Option<BooleanBuffer>), ArrowError> {
        let (DataType::Struct(fields), Some(source)) = (to, column.as_struct_opt()) else {
            return Self::Never.apply(column, to);
        };
        let mut lost: Option<BooleanBuffer> = None;
        let mut arrays = Vec::with_capacity(fields.len());
        for (field, child) in fields.iter().zip(children) {
            let Some((index, conversion)) = child else {
                arrays.push(new_null_array(field.data_type(), column.len()));
                continue;
            };
            let (array, failed) = conversion.apply(source.column(*index), field.data_type())?;
            lost = match (lost, failed) {
                (Some(a), Some(b)) => Some(&a | &b),
                (a, b) => a.or(b),
            };
            arrays.push(array);
        }
        let array = StructArray::try_new_with_length(fields.clone(), arrays, source.nulls().cloned(), column.len())?;
        Ok((Arc::new(array), lost))
    }
}

fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(column, to, &CastOptions { safe: true, ..CastOptions::default() })
}

/// Rows that held a value before and hold none now.
fn newly_null(before: &ArrayRef, after: &ArrayRef) -> Option<BooleanBuffer> {
    let after = after.logical_nulls().filter(|nulls| nulls.null_count() > 0)?;
    let lost = match before.logical_nulls() {
        Some(before) => before.inner() & &!after.inner(),
        None => !after.inner(),
    };
    (lost.count_set_bits() > 0).then_some(lost)
}

fn lossless(column: &ArrayRef, to: &DataType) -> Result<(ArrayRef, Option<BooleanBuffer>), ArrowError> {
    let converted = cast(column, to)?;
    let back = cast(&converted, column.data_type())?;
    let same: BooleanArray = arrow_ord::cmp::not_distinct(column, &back)?;
    if same.false_count() == 0 {
        return Ok((converted, None));
    }
    // A comparison of this kind has no nulls of its own.
    let lost = !same.values();
    let keep = NullBuffer::new(same.values().clone());
    let nulls = NullBuffer::union(Some(&keep), converted.logical_nulls().as_ref());
    let data = converted.to_data().into_builder().nulls(nulls).build()?;
    Ok((arrow_array::make_array(data), Some(lost)))
}

/// Whether every value of `from` has a place in `to`.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (T::Null, _) => true,
        (T::Dictionary(_, values), _) => values.as_ref() == to || widens(values, to),
        (T::RunEndEncoded(_, values), _) => values.data_type() == to || widens(values.data_type(), to),
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, T::Utf8) => true,
        (T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_), T::Binary) => true,
        (T::Float16, T::Float32 | T::Float64) | (T::Float32, T::Float64) => true,
        (T::Date64, T::Date32) => true,
        (T::Date32 | T::Date64, T::Timestamp(TimeUnit::Microsecond, _)) => true,
        // Without a zone means UTC, and a zone says only how an instant is shown.
        (T::Timestamp(unit, _), T::Timestamp(TimeUnit::Microsecond, _)) => *unit != TimeUnit::Nanosecond,
        (from, T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal128(_, _)) if from.is_integer() => {
            integer_fits(from, to)
        }
        (
            T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) | T::Decimal256(p, s),
            T::Decimal128(precision, scale),
        ) => scale >= s && i16::from(*precision) - i16::from(*scale) >= i16::from(*p) - i16::from(*s),
        // Lists and maps: only their encodings in memory may differ.
        (from, to) if from.is_nested() && !matches!(from, T::Struct(_)) => {
            let field = Field::new("value", from.clone(), true);
            table_field(&field).ok().flatten().is_some_and(|field| field.data_type() == to) && can_cast_types(from, to)
        }
        _ => false,
    }
}

fn integer_fits(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    // Bits of magnitude, and decimal digits of the greatest one.
    let (bits, digits) = match from {
        T::Int8 => (7, 3),
        T::UInt8 => (8, 3),
        T::Int16 => (15, 5),
        T::UInt16 => (16, 5),
        T::Int32 => (31, 10),
        T::UInt32 => (32, 10),
        T::Int64 => (63, 19),
        _ => (64, 20),
    };
    match to {
        T::Int16 => bits <= 15,
        T::Int32 => bits <= 31,
        T::Int64 => bits <= 63,
        T::Float32 => bits <= 24,
        T::Float64 => bits <= 53,
        T::Decimal128(precision, scale) => i16::from(*precision) - i16::from(*scale) >= digits,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, Int32Array, Int64Array, StringArray, TimestampNanosecondArray};

    use super::*;

    fn convert(column: ArrayRef, to: &DataType) -> (ArrayRef, Vec<usize>) {
        let conversion = Conversion::between(column.data_type(), to);
        let (array, lost) = conversion.apply(&column, to).expect("converts");
        assert_eq!(array.data_type(), to);
        (array, lost.map(|lost| lost.set_indices().collect()).unwrap_or_default())
    }

    #[test]
    fn only_what_survives() {
        let (array, lost) = convert(Arc::new(Int64Array::from(vec![Some(1), None, Some(1 << 40)])), &DataType::Int32);
        assert_eq!(lost, [2]);
        assert_eq!(array.as_ref(), &Int32Array::from(vec![Some(1), None, None]));

        let (_, lost) = convert(Arc::new(StringArray::from(vec!["12", "012", "x"])), &DataType::Int64);
        assert_eq!(lost, [1, 2]);

        let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_000, 1_001]));
        let (_, lost) = convert(nanos, &super::super::schema::timestamp());
        assert_eq!(lost, [1]);
    }

    #[test]
    fn widening_never_loses() {
        let lanes: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        let (array, lost) = convert(Arc::new(lanes), &DataType::Utf8);
        assert!(lost.is_empty());
        assert_eq!(array.as_ref(), &StringArray::from(vec!["a", "b", "a"]));
        let dates: ArrayRef = Arc::new(arrow_array::Date32Array::from(vec![-1, 1]));
        let (array, lost) = convert(dates, &super::super::schema::timestamp());
        assert!(lost.is_empty());
        assert_eq!(array.as_primitive::<arrow_array::types::TimestampMicrosecondType>().value(0), -86_400_000_000);
        let (_, lost) = convert(Arc::new(Int64Array::from(vec![i64::MIN])), &DataType::Decimal128(21, 2));
        assert!(lost.is_empty());
    }
}
