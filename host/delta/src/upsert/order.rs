//! Which of two rows of one key is newer.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, Float32Array, Float64Array};
use arrow_buffer::NullBuffer;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType};

/// The values of the column that says which row is newer, in a form that can be compared.
///
/// Null, and NaN, say nothing of when a row was made: they come before every value, and are all the same.
pub(super) struct Order(RowConverter);

/// The orders of some rows.
pub(super) struct Orders {
    pub(super) values: Rows,
    /// Which rows have one.
    known: Option<NullBuffer>,
}

impl Orders {
    /// Whether a row says when it was made.
    pub(super) fn is_known(&self, row: usize) -> bool {
        self.known.as_ref().is_none_or(|known| known.is_valid(row))
    }
}

impl Order {
    /// By a column of this type.
    ///
    /// # Errors
    /// Its values cannot be compared.
    pub(super) fn new(data_type: &DataType) -> Result<Self, ArrowError> {
        // The default order puts nulls first.
        Ok(Self(RowConverter::new(vec![SortField::new(data_type.clone())])?))
    }

    /// The orders of rows that have these values in the column.
    pub(super) fn of(&self, values: &ArrayRef) -> Result<Orders, ArrowError> {
        let values = comparable(values);
        Ok(Orders { known: values.logical_nulls(), values: self.0.convert_columns(&[values])? })
    }
}

/// How many of these values say nothing of the order of their rows.
pub(crate) fn without_order(values: &ArrayRef) -> usize {
    comparable(values).logical_null_count()
}

/// The values, with null for NaN and one zero.
fn comparable(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            let known = |value: Option<f64>| value.filter(|value| !value.is_nan()).map(|value| value + 0.0);
            Arc::new(values.iter().map(known).collect::<Float64Array>())
        }
        DataType::Float32 => {
            let values = values.as_primitive::<Float32Type>();
            let known = |value: Option<f32>| value.filter(|value| !value.is_nan()).map(|value| value + 0.0);
            Arc::new(values.iter().map(known).collect::<Float32Array>())
        }
        _ => Arc::clone(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_oldest_and_zero_is_one() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![
            None,
            Some(f64::NAN),
            Some(-f64::NAN),
            Some(f64::NEG_INFINITY),
            Some(-0.0),
            Some(0.0),
        ]));
        let orders = Order::new(values.data_type()).expect("comparable").of(&values).expect("orders");
        let row = |row: usize| orders.values.row(row);
        assert!(row(0) == row(1) && row(1) == row(2) && row(2) < row(3) && row(3) < row(4) && row(4) == row(5));
        assert_eq!((0..6).filter(|row| orders.is_known(*row)).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(without_order(&values), 3);
    }
}
