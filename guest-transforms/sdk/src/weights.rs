//! Weights of row changes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_schema::{DataType, Field};

use crate::Rows;

/// The weight column's name.
pub const WEIGHT: &str = "_weight";

/// The weight column: 1 for a row that is there now, -1 for one that was.
///
/// Add it to the columns of a rows input, and to a full output whose table takes changes; a pass-through output
/// copies it by itself.
///
/// ```
/// use sluicebox_sdk::prelude::*;
///
/// pub struct Lines;
///
/// impl Transform for Lines {
///     type Config = NoConfig;
///
///     fn describe(_: &NoConfig) -> Result<Descriptor> {
///         Ok(Descriptor::new("lines", "0.1.0")
///             .rows("orders", [utf8("day"), int64("pieces"), weight()])
///             .output("lines", [utf8("day"), int64("boxes"), weight()]))
///     }
///
///     fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
///         Ok(Self)
///     }
///
///     fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
///         let boxes = int64s(rows.i64("pieces")?.iter().map(|pieces| pieces.map(|pieces| (pieces + 5) / 6)));
///         out.emit("lines", vec![rows.column("day")?.clone(), boxes, rows.weights()])
///     }
/// }
///
/// let mut harness = Harness::<Lines>::open("{}")?;
/// let cancelled = harness.push_json("orders", r#"{"day": "2024-02-29", "pieces": 7, "_weight": -1}"#)?;
/// assert_eq!(cancelled.json("lines"), [r#"{"day":"2024-02-29","boxes":2,"_weight":-1}"#]);
/// # Ok::<(), Failure>(())
/// ```
pub fn weight() -> Field {
    Field::new(WEIGHT, DataType::Int64, true)
}

impl Rows {
    /// The weight of a row: -1 for one that was there until now, else 1; always 1 if the input has no [`weight`].
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn weight(&self, row: usize) -> i64 {
        match self.weight_column() {
            Some(weights) if weights.is_valid(row) => weights.value(row),
            _ => 1,
        }
    }

    /// The weights of all rows, as a column.
    pub fn weights(&self) -> ArrayRef {
        match self.weight_column() {
            Some(weights) if weights.null_count() == 0 => Arc::new(weights.clone()),
            _ => Arc::new(Int64Array::from_iter_values(self.indexes().map(|row| self.weight(row)))),
        }
    }

    fn weight_column(&self) -> Option<&Int64Array> {
        self.batch().column_by_name(WEIGHT)?.as_primitive_opt::<Int64Type>()
    }
}
