//! Accumulate: sums and counts by key, from which rows are subtracted by their weight.

use std::sync::Arc;

use arrow_array::builder::{Decimal128Builder, Float64Builder, Int64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use super::keys::Keys;
use crate::error::DeltaError;
use crate::schema::find;

/// Delta's own limit for decimals.
const MAX_PRECISION: u8 = 38;
/// The least number with more digits than that.
const DECIMAL_LIMIT: i128 = 100_000_000_000_000_000_000_000_000_000_000_000_000;

/// The columns of an accumulate table for rows of `schema`: the keys, the sums in the widest type of their kind, and
/// the count.
///
/// # Errors
/// A column is missing or cannot be summed.
pub(crate) fn accumulated(
    table: &str,
    schema: &Schema,
    key: &[String],
    sum: &[String],
    count: &str,
) -> Result<SchemaRef, DeltaError> {
    let field = |column: &str, role| {
        let index = find(schema, column).ok_or_else(|| DeltaError::NoSuchColumn {
            table: table.to_owned(),
            column: column.to_owned(),
            role,
        })?;
        Ok::<_, DeltaError>(schema.field(index))
    };
    let mut fields = Vec::with_capacity(key.len() + sum.len() + 1);
    for column in key {
        fields.push(field(column, "key")?.clone());
    }
    for column in sum {
        let field = field(column, "sum")?;
        let data_type = widest(field.data_type()).ok_or_else(|| DeltaError::SumType {
            table: table.to_owned(),
            column: column.clone(),
            data_type: field.data_type().clone(),
        })?;
        fields.push(Field::new(field.name(), data_type, true));
    }
    fields.push(Field::new(count, DataType::Int64, true));
    Ok(Arc::new(Schema::new(fields)))
}

fn widest(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        integer if integer.is_integer() => DataType::Int64,
        float if float.is_floating() => DataType::Float64,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => DataType::Decimal128(MAX_PRECISION, *scale),
        _ => return None,
    })
}

/// Which columns of a table are keys, sums and the count.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    pub(super) table: String,
    pub(super) key: Vec<String>,
    pub(super) sum: Vec<String>,
    pub(super) count: String,
}

impl Sums {
    /// The sums of a table of `schema`.
    ///
    /// # Errors
    /// A column is missing or its type cannot hold sums.
    pub(crate) fn new(
        table: &str,
        schema: &Schema,
        key: &[String],
        sum: &[String],
        count: &str,
    ) -> Result<Self, DeltaError> {
        accumulated(table, schema, key, sum, count)?;
        for column in sum.iter().map(String::as_str).chain([count]) {
            let index = find(schema, column).ok_or_else(|| DeltaError::NoSuchColumn {
                table: table.to_owned(),
                column: column.to_owned(),
                role: "count",
            })?;
            let data_type = schema.field(index).data_type();
            let kept = match data_type {
                DataType::Int64 => true,
                DataType::Float64 | DataType::Decimal128(_, _) => column != count,
                _ => false,
            };
            if !kept {
                let (table, column, data_type) = (table.to_owned(), column.to_owned(), data_type.clone());
                return Err(DeltaError::SumType { table, column, data_type });
            }
        }
        Ok(Self { table: table.to_owned(), key: key.to_vec(), sum: sum.to_vec(), count: count.to_owned() })
    }

    /// The input columns: the keys and the summed columns.
    pub(crate) fn inputs(&self, schema: &Schema) -> SchemaRef {
        let named = self.key.iter().chain(&self.sum).filter_map(|column| find(schema, column));
        Arc::new(Schema::new(named.map(|index| Arc::clone(&schema.fields()[index])).collect::<Vec<_>>()))
    }

    /// Sums input rows by group, to rows of `schema`, in order of first appearance.
    pub(crate) fn of_rows(
        &self,
        rows: &RecordBatch,
        weights: Option<&Int64Array>,
        counts: Option<&Int64Array>,
        schema: &SchemaRef,
    ) -> Result<RecordBatch, DeltaError> {
        let mut gather = Gather::new(self, schema)?;
        gather.add(rows, weights, counts)?;
        Ok(gather.finish(schema)?.1)
    }

    /// Sums rows that are sums already.
    pub(super) fn of_sums<'a>(
        &self,
        parts: impl IntoIterator<Item = &'a RecordBatch>,
        schema: &SchemaRef,
    ) -> Result<(Keys, RecordBatch), DeltaError> {
        let mut gather = Gather::new(self, schema)?;
        for part in parts {
            let count = self.number(part, &self.count)?;
            gather.add(part, None, Some(count.as_primitive::<Int64Type>()))?;
        }
        gather.finish(schema)
    }

    /// Adds the groups of `more` to those of `old`, row by row.
    pub(super) fn plus(&self, old: &RecordBatch, more: &RecordBatch) -> Result<RecordBatch, DeltaError> {
        let mut columns = old.columns().to_vec();
        for name in self.sum.iter().chain([&self.count]) {
            let index = find(old.schema_ref(), name).ok_or_else(|| self.absent(name))?;
            let mut total = Total::new(old.column(index).data_type());
            for column in [old.column(index), &self.number(more, name)?] {
                total.resize(old.num_rows());
                for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
                    total.add(row, column, row, 1).ok_or_else(|| self.overflow(name))?;
                }
            }
            columns[index] = total.finish(old.column(index).data_type()).ok_or_else(|| self.overflow(name))?;
        }
        RecordBatch::try_new(old.schema(), columns).map_err(DeltaError::arrow("add up rows", &self.table))
    }

    /// The count of each group.
    pub(super) fn counts<'a>(&self, groups: &'a RecordBatch) -> Result<&'a Int64Array, DeltaError> {
        let index = find(groups.schema_ref(), &self.count).ok_or_else(|| self.absent(&self.count))?;
        groups.column(index).as_primitive_opt::<Int64Type>().ok_or_else(|| self.absent(&self.count))
    }

    /// The error of a group with a count below zero.
    pub(super) fn below_nothing(&self, groups: &RecordBatch, row: usize, count: i64) -> DeltaError {
        let key = self.key.iter().filter_map(|column| {
            let index = find(groups.schema_ref(), column)?;
            Some(format!("{column} = {}", crate::json::value(groups.column(index), row)))
        });
        DeltaError::NegativeCount { table: self.table.clone(), group: key.collect::<Vec<_>>().join(", "), count }
    }

    fn number(&self, rows: &RecordBatch, name: &str) -> Result<ArrayRef, DeltaError> {
        find(rows.schema_ref(), name).map(|index| Arc::clone(rows.column(index))).ok_or_else(|| self.absent(name))
    }

    fn absent(&self, column: &str) -> DeltaError {
        DeltaError::NoSuchColumn { table: self.table.clone(), column: column.to_owned(), role: "sum" }
    }

    fn overflow(&self, column: &str) -> DeltaError {
        DeltaError::Overflow { table: self.table.clone(), column: column.to_owned() }
    }
}

/// The groups of a sum.
struct Gather<'a> {
    sums: &'a Sums,
    keys: Keys,
    totals: Vec<Total>,
    counts: Total,
}

impl<'a> Gather<'a> {
    fn new(sums: &'a Sums, schema: &SchemaRef) -> Result<Self, DeltaError> {
        let mut totals = Vec::with_capacity(sums.sum.len());
        for column in &sums.sum {
            let index = find(schema, column).ok_or_else(|| sums.absent(column))?;
            totals.push(Total::new(schema.field(index).data_type()));
        }
        let keys = Keys::new(&sums.table, schema, &sums.key, "key")?;
        Ok(Self { sums, keys, totals, counts: Total::new(&DataType::Int64) })
    }

    fn add(
        &mut self,
        rows: &RecordBatch,
        weights: Option<&Int64Array>,
        counts: Option<&Int64Array>,
    ) -> Result<(), DeltaError> {
        let keys = self.keys.encode(rows).map_err(DeltaError::arrow("compare keys", &self.sums.table))?;
        let groups: Vec<usize> = keys.iter().map(|key| self.keys.insert(key).0 as usize).collect();
        let weight = |row: usize| weights.map_or(1, |weights| weights.value(row));
        for (column, total) in self.sums.sum.iter().zip(&mut self.totals) {
            let values = self.sums.number(rows, column)?;
            total.resize(self.keys.len());
            for (row, group) in groups.iter().enumerate().filter(|(row, _)| values.is_valid(*row)) {
                total.add(*group, &values, row, weight(row)).ok_or_else(|| self.sums.overflow(column))?;
            }
        }
        self.counts.resize(self.keys.len());
        for (row, group) in groups.iter().enumerate() {
            let count = counts.map_or_else(|| weight(row), |counts| counts.value(row));
            self.counts.add_integer(*group, i128::from(count)).ok_or_else(|| self.sums.overflow(&self.sums.count))?;
        }
        Ok(())
    }

    fn finish(self, schema: &SchemaRef) -> Result<(Keys, RecordBatch), DeltaError> {
        let Self { sums, keys, totals, mut counts } = self;
        let failed = || DeltaError::arrow("add up rows", &sums.table);
        let rows = keys.len();
        let mut columns: Vec<ArrayRef> =
            schema.fields().iter().map(|field| new_null_array(field.data_type(), rows)).collect();
        let mut place = |name: &str, values: Option<ArrayRef>| {
            let index = find(schema, name).ok_or_else(|| sums.absent(name))?;
            columns[index] = values.ok_or_else(|| sums.overflow(name))?;
            Ok::<_, DeltaError>(())
        };
        for (name, values) in sums.key.iter().zip(keys.arrays(0..rows).map_err(failed())?) {
            place(name, Some(values))?;
        }
        for (name, mut total) in sums.sum.iter().zip(totals) {
            total.resize(rows);
            let index = find(schema, name).ok_or_else(|| sums.absent(name))?;
            place(name, total.finish(schema.field(index).data_type()))?;
        }
        counts.resize(rows);
        place(&sums.count, counts.finish(&DataType::Int64))?;
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
        let groups = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
            .map_err(|error: ArrowError| failed()(error))?;
        Ok((keys, groups))
    }
}

/// One sum of each group.
enum Total {
    /// Integers, and unscaled decimals: wider than the column, so that only the final sum must fit.
    Integers(Vec<i128>),
    Floats(Vec<f64>),
}

impl Total {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Float64 => Self::Floats(Vec::new()),
            _ => Self::Integers(Vec::new()),
        }
    }

    fn resize(&mut self, groups: usize) {
        match self {
            Self::Integers(totals) => totals.resize(groups, 0),
            Self::Floats(totals) => totals.resize(groups, 0.0),
        }
    }

    /// Adds a value that is not null; `None` when the sum does not fit.
    fn add(&mut self, group: usize, values: &ArrayRef, row: usize, weight: i64) -> Option<()> {
        match self {
            // A difference of floats is only as precise as any sum of them.
            Self::Floats(totals) => {
                totals[group] += values.as_primitive_opt::<Float64Type>()?.value(row) * weight as f64;
                Some(())
            }
            Self::Integers(_) => {
                let value = match values.data_type() {
                    DataType::Int64 => i128::from(values.as_primitive::<Int64Type>().value(row)),
                    _ => values.as_primitive_opt::<Decimal128Type>()?.value(row),
                };
                self.add_integer(group, value.checked_mul(i128::from(weight))?)
            }
        }
    }

    fn add_integer(&mut self, group: usize, value: i128) -> Option<()> {
        let Self::Integers(totals) = self else {
            return None;
        };
        totals[group] = totals[group].checked_add(value)?;
        Some(())
    }

    /// The column; `None` when a sum does not fit.
    fn finish(self, data_type: &DataType) -> Option<ArrayRef> {
        match (self, data_type) {
            (Self::Floats(totals), _) => {
                let mut builder = Float64Builder::with_capacity(totals.len());
                // -0.0 becomes 0.0.
                totals.into_iter().for_each(|total| builder.append_value(total + 0.0));
                Some(Arc::new(builder.finish()))
            }
            (Self::Integers(totals), DataType::Decimal128(precision, scale)) => {
                let mut builder =
                    Decimal128Builder::with_capacity(totals.len()).with_precision_and_scale(*precision, *scale).ok()?;
                let limit = DECIMAL_LIMIT / 10_i128.pow(u32::from(MAX_PRECISION.saturating_sub(*precision)));
                for total in totals {
                    builder.append_value(Some(total).filter(|total| total.unsigned_abs() < limit.unsigned_abs())?);
                }
                Some(Arc::new(builder.finish()))
            }
            (Self::Integers(totals), _) => {
                let mut builder = Int64Builder::with_capacity(totals.len());
                for total in totals {
                    builder.append_value(i64::try_from(total).ok()?);
                }
                Some(Arc::new(builder.finish()))
            }
        }
    }
}
