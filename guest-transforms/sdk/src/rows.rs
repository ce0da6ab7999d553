//! The rows of one push, and typed access to their columns.

use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayAccessor, ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_buffer::NullBuffer;

use crate::{Failure, Reject, Result};

/// The rows of one push.
#[derive(Clone, Debug)]
pub struct Rows {
    port: String,
    batch: RecordBatch,
    sequence: u64,
    watermark: Option<i64>,
}

impl Rows {
    pub(crate) fn new(port: &str, batch: RecordBatch, sequence: u64, watermark: Option<i64>) -> Self {
        Self { port: port.to_owned(), batch, sequence, watermark }
    }

    /// Their input port.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The indexes of the rows.
    pub fn indexes(&self) -> std::ops::Range<usize> {
        0..self.len()
    }

    /// The number of pushes before this one.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Event time in microseconds since 1970-01-01 UTC before which no row is expected.
    pub fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// The rows as an Arrow record batch.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// A column of any type.
    pub fn column(&self, name: &str) -> Result<&ArrayRef> {
        self.batch.column_by_name(name).ok_or_else(|| {
            let schema = self.batch.schema_ref();
            let present: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            Failure::input(format!(
                "port {:?} has no column {name:?}; its columns are {}",
                self.port,
                present.join(", ")
            ))
        })
    }

    /// Several columns of any type, as keys of a lookup or of groups.
    pub fn columns(&self, names: &[&str]) -> Result<Vec<ArrayRef>> {
        names.iter().map(|name| self.column(name).cloned()).collect()
    }

    /// A text column.
    pub fn utf8<'a>(&'a self, name: &'a str) -> Result<Column<'a, StringArray>> {
        self.typed(name, "utf8")
    }

    /// A column of bytes.
    pub fn binary<'a>(&'a self, name: &'a str) -> Result<Column<'a, BinaryArray>> {
        self.typed(name, "binary")
    }

    /// A column of booleans.
    pub fn bool<'a>(&'a self, name: &'a str) -> Result<Column<'a, BooleanArray>> {
        self.typed(name, "boolean")
    }

    /// A column of 32-bit integers.
    pub fn i32<'a>(&'a self, name: &'a str) -> Result<Column<'a, PrimitiveArray<Int32Type>>> {
        self.typed(name, "int32")
    }

    /// A column of 64-bit integers.
    pub fn i64<'a>(&'a self, name: &'a str) -> Result<Column<'a, PrimitiveArray<Int64Type>>> {
        self.typed(name, "int64")
    }

    /// A column of double-precision numbers.
    pub fn f64<'a>(&'a self, name: &'a str) -> Result<Column<'a, PrimitiveArray<Float64Type>>> {
        self.typed(name, "float64")
    }

    /// A column of decimals, in units of the last digit.
    pub fn decimal<'a>(&'a self, name: &'a str) -> Result<Column<'a, PrimitiveArray<Decimal128Type>>> {
        self.typed(name, "decimal")
    }

    /// A column of days since 1970-01-01.
    pub fn date<'a>(&'a self, name: &'a str) -> Result<Column<'a, PrimitiveArray<Date32Type>>> {
        self.typed(name, "date")
    }

    /// A column of microseconds since 1970-01-01 UTC.
    pub fn timestamp<'a>(&'a self, name: &'a str) -> Result<Column<'a, PrimitiveArray<TimestampMicrosecondType>>> {
        self.typed(name, "timestamp in microseconds")
    }

    fn typed<'a, A: Array + 'static>(&'a self, name: &'a str, wanted: &str) -> Result<Column<'a, A>> {
        let column = self.column(name)?;
        let array: &A = column.as_any().downcast_ref().ok_or_else(|| {
            Failure::input(format!("column {name:?} of port {:?} is {}, not {wanted}", self.port, column.data_type()))
        })?;
        Ok(Column { name, array, nulls: array.nulls().filter(|nulls| nulls.null_count() > 0) })
    }
}

/// A column of a known type.
#[derive(Debug)]
pub struct Column<'a, A> {
    name: &'a str,
    array: &'a A,
    /// `None` without nulls, as in most columns of most batches; then nothing is looked up.
    nulls: Option<&'a NullBuffer>,
}

impl<A> Clone for Column<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Column<'_, A> {}

impl<'a, A> Column<'a, A>
where
    A: Array,
    &'a A: ArrayAccessor,
{
    /// The value in `row`, if it is not null.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<<&'a A as ArrayAccessor>::Item> {
        let array: &'a A = self.array;
        if row >= array.len() {
            no_such_row(row, array.len());
        }
        // SAFETY: the row lies within the column, which has just been looked at, and a column has as
        // many validity bits as values.
        if self.nulls.is_some_and(|nulls| !unsafe { nulls.inner().value_unchecked(row) }) {
            return None;
        }
        // SAFETY: as above.
        Some(unsafe { array.value_unchecked(row) })
    }

    /// The value in `row`; a null rejects the row with the code `<column>.null`.
    #[inline]
    pub fn required(&self, row: usize) -> Result<<&'a A as ArrayAccessor>::Item, Reject> {
        self.get(row).ok_or_else(|| self.null())
    }

    /// Every value, in order.
    pub fn iter(self) -> impl Iterator<Item = Option<<&'a A as ArrayAccessor>::Item>> {
        (0..self.array.len()).map(move |row| self.get(row))
    }

    /// The Arrow array.
    pub fn array(&self) -> &'a A {
        self.array
    }

    #[cold]
    fn null(&self) -> Reject {
        Reject::new(format!("{}.null", self.name), format!("{} is null", self.name))
    }
}

/// A separate function, so that a loop over rows has no code that builds text.
#[cold]
#[inline(never)]
fn no_such_row(row: usize, rows: usize) -> ! {
    panic!("there is no row {row} in a column of {rows}");
}
