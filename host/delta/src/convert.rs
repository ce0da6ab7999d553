//! Bringing a column of rows into a table column's type without changing a value.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, ListArray, StructArray, new_null_array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, Fields, TimeUnit};

use super::schema::{find, table_field};
use sluicebox_core::types::is_lossless;

/// How values of one type become values of another.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Conversion {
    /// They are the same already.
    Same,
    /// Every value has a place in the other type; only an overflow can fail.
    Widen,
    /// A struct child by child: the child of the same name, or null. Children without a place are
    /// left out.
    Struct { children: Vec<Option<(usize, Conversion)>>, extra: Vec<usize> },
    /// A list item by item.
    List(Box<Conversion>),
    /// Some values may have a place in the other type: those that survive the way there and back.
    Lossless,
    /// No value has.
    Never,
}

/// A difference between two types, at any depth.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// The column with its parents, such as `address.street` or `items.element.price`.
    pub(super) path: String,
    pub(super) kind: Kind,
}

/// What differs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Only the rows have it.
    New,
    /// Only the table has it.
    Missing,
    /// It has another type, into which not every value fits.
    Changed { expected: DataType, found: DataType },
}

/// Values that have no place in the other type.
pub(super) struct Loss {
    /// As in [`Difference`].
    pub(super) path: String,
    /// `New` or `Changed`.
    pub(super) kind: Kind,
    /// The rows that hold such a value.
    pub(super) rows: BooleanBuffer,
    /// By row: the values before conversion, inside of lists as lists.
    pub(super) values: ArrayRef,
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
        match (from, to) {
            (DataType::Struct(source), DataType::Struct(target)) => return Self::of_structs(source, target),
            (DataType::List(source), DataType::List(target)) => {
                return match Self::between(source.data_type(), target.data_type()) {
                    Self::Never => Self::Never,
                    items => Self::List(Box::new(items)),
                };
            }
            _ => {}
        }
        let flat = !from.is_nested() && !to.is_nested();
        if flat && can_cast_types(from, to) && can_cast_types(to, from) { Self::Lossless } else { Self::Never }
    }

    fn of_structs(source: &Fields, target: &Fields) -> Self {
        let names = arrow_schema::Schema::new(source.clone());
        let mut children = Vec::with_capacity(target.len());
        let mut extra: Vec<usize> = (0..source.len()).collect();
        for field in target {
            let Some(index) = find(&names, field.name()) else {
                if !field.is_nullable() {
                    return Self::Never;
                }
                children.push(None);
                continue;
            };
            extra.retain(|other| *other != index);
            children.push(Some((index, Self::between(source[index].data_type(), field.data_type()))));
        }
        // A child without a type holds nothing.
        extra.retain(|index| source[*index].data_type() != &DataType::Null);
        Self::Struct { children, extra }
    }

    /// Every difference between the types that this conversion was made for, children included.
    pub(super) fn differences(&self, path: &str, from: &DataType, to: &DataType, into: &mut Vec<Difference>) {
        let below = |name: &str| format!("{path}.{name}");
        match (self, from, to) {
            (Self::Same | Self::Widen, ..) => {}
            // The table's timestamps are microseconds; nobody can ask for more.
            (Self::Lossless, DataType::Timestamp(TimeUnit::Nanosecond, _), _) => {}
            (Self::Struct { children, extra }, DataType::Struct(source), DataType::Struct(target)) => {
                for (child, field) in children.iter().zip(target) {
                    match child {
                        Some((index, conversion)) => {
                            let from = source[*index].data_type();
                            conversion.differences(&below(field.name()), from, field.data_type(), into);
                        }
                        None => into.push(Difference { path: below(field.name()), kind: Kind::Missing }),
                    }
                }
                let extra = extra.iter().map(|index| below(source[*index].name()));
                into.extend(extra.map(|path| Difference { path, kind: Kind::New }));
            }
            (Self::List(items), DataType::List(source), DataType::List(target)) => {
                items.differences(&below("element"), source.data_type(), target.data_type(), into);
            }
            _ => into.push(Difference {
                path: path.to_owned(),
                kind: Kind::Changed { expected: to.clone(), found: from.clone() },
            }),
        }
    }

    /// The converted column. What had no place in `to` is null in it, and added to `losses`.
    pub(super) fn apply(
        &self,
        path: &str,
        column: &ArrayRef,
        to: &DataType,
        losses: &mut Vec<Loss>,
    ) -> Result<ArrayRef, ArrowError> {
        let changed = || Kind::Changed { expected: to.clone(), found: column.data_type().clone() };
        let (converted, lost) = match self {
            Self::Same => (Arc::clone(column), None),
            Self::Widen => {
                let converted = cast(column, to)?;
                let lost = newly_null(column, &converted);
                (converted, lost)
            }
            Self::Struct { children, extra } => match (to, column.as_struct_opt()) {
                (DataType::Struct(fields), Some(source)) => {
                    return of_struct(path, source, fields, children, extra, losses);
                }
                _ => never(column, to),
            },
            Self::List(items) => match (to, column.as_list_opt::<i32>()) {
                (DataType::List(item), Some(source)) => return of_list(path, source, item, items, losses),
                _ => never(column, to),
            },
            Self::Lossless => lossless(column, to)?,
            Self::Never => never(column, to),
        };
        if let Some(rows) = lost {
            losses.push(Loss { path: path.to_owned(), kind: changed(), rows, values: Arc::clone(column) });
        }
        Ok(converted)
    }
}

fn never(column: &ArrayRef, to: &DataType) -> (ArrayRef, Option<BooleanBuffer>) {
    let lost = held(column);
    (new_null_array(to, column.len()), (lost.count_set_bits() > 0).then_some(lost))
}

/// The rows that hold a value.
fn held(column: &ArrayRef) -> BooleanBuffer {
    match column.logical_nulls() {
        Some(nulls) => nulls.inner().clone(),
        None => BooleanBuffer::new_set(column.len()),
    }
}

fn of_struct(
    path: &str,
    source: &StructArray,
    fields: &Fields,
    children: &[Option<(usize, Conversion)>],
    extra: &[usize],
    losses: &mut Vec<Loss>,
) -> Result<ArrayRef, ArrowError> {
    let mut own = Vec::new();
    let mut arrays = Vec::with_capacity(fields.len());
    for (field, child) in fields.iter().zip(children) {
        arrays.push(match child {
            None => new_null_array(field.data_type(), source.len()),
            Some((index, conversion)) => {
                let path = format!("{path}.{}", field.name());
                conversion.apply(&path, source.column(*index), field.data_type(), &mut own)?
            }
        });
    }
    for index in extra {
        let values = source.column(*index);
        let path = format!("{path}.{}", source.fields()[*index].name());
        own.push(Loss { path, kind: Kind::New, rows: held(values), values: Arc::clone(values) });
    }
    for mut loss in own {
        // What lies under a null is no value.
        if let Some(nulls) = source.nulls() {
            loss.rows = &loss.rows & nulls.inner();
        }
        if loss.rows.count_set_bits() > 0 {
            losses.push(loss);
        }
    }
    let array = StructArray::try_new_with_length(fields.clone(), arrays, source.nulls().cloned(), source.len())?;
    Ok(Arc::new(array))
}

fn of_list(
    path: &str,
    source: &ListArray,
    item: &Arc<Field>,
    items: &Conversion,
    losses: &mut Vec<Loss>,
) -> Result<ArrayRef, ArrowError> {
    let mut own = Vec::new();
    let values = items.apply(&format!("{path}.element"), source.values(), item.data_type(), &mut own)?;
    let list = |item: Arc<Field>, values: ArrayRef| {
        ListArray::try_new(item, source.offsets().clone(), values, source.nulls().cloned())
    };
    for loss in own {
        let rows = BooleanBuffer::collect_bool(source.len(), |row| {
            let (from, to) = (source.value_offsets()[row] as usize, source.value_offsets()[row + 1] as usize);
            source.is_valid(row) && loss.rows.slice(from, to - from).count_set_bits() > 0
        });
        if rows.count_set_bits() > 0 {
            let element = Arc::new(Field::new("element", loss.values.data_type().clone(), true));
            let values: ArrayRef = Arc::new(list(element, loss.values)?);
            losses.push(Loss { rows, values, ..loss });
        }
    }
    Ok(Arc::new(list(Arc::clone(item), values)?))
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

/// Whether every value of `from` has a place in `to`, a type of a table.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (T::Dictionary(_, values), _) => values.as_ref() == to || widens(values, to),
        (T::RunEndEncoded(_, values), _) => values.data_type() == to || widens(values.data_type(), to),
        (T::Date64, T::Date32) => true,
        (T::Date32 | T::Date64, T::Timestamp(TimeUnit::Microsecond, _)) => true,
        // Without a zone means UTC, and a zone says only how an instant is shown.
        (T::Timestamp(unit, _), T::Timestamp(TimeUnit::Microsecond, _)) => *unit != TimeUnit::Nanosecond,
        // Lists and maps: only their encodings in memory may differ.
        (from, to) if from.is_nested() && !matches!(from, T::Struct(_)) => {
            let field = Field::new("value", from.clone(), true);
            table_field(&field).ok().flatten().is_some_and(|field| field.data_type() == to) && can_cast_types(from, to)
        }
        (from, _) if from.is_nested() => false,
        _ => is_lossless(from, to),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, Int32Array, Int64Array, StringArray, TimestampNanosecondArray};

    use super::*;

    fn convert(column: ArrayRef, to: &DataType) -> (ArrayRef, Vec<usize>) {
        let conversion = Conversion::between(column.data_type(), to);
        let mut losses = Vec::new();
        let array = conversion.apply("x", &column, to, &mut losses).expect("converts");
        assert_eq!(array.data_type(), to);
        (array, losses.first().map(|loss| loss.rows.set_indices().collect()).unwrap_or_default())
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
