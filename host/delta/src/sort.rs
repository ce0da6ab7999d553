//! Sorts rows by some of their columns, so that readers can skip files and row groups.

use arrow_array::RecordBatch;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::ArrowError;
use arrow_select::interleave::interleave_record_batch;

use super::read::BATCH_ROWS;
use super::schema::find;

/// The order of the rows of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// As they arrive.
    #[default]
    Arrival,
    /// By these columns, the first one first; nulls come first.
    Columns(Vec<String>),
    /// Along a Z-order curve through these columns: rows that are close in all of them are close together, and no
    /// column comes first.
    Curve(Vec<String>),
}

impl Order {
    /// The order by columns, if there are any.
    pub(super) fn by(columns: &[String]) -> Self {
        if columns.is_empty() { Self::Arrival } else { Self::Columns(columns.to_vec()) }
    }
}

/// Sorts batches of one schema, stably. Returns new batches of at most 8,192 rows, one at a time.
pub(super) fn sorted(
    batches: Vec<RecordBatch>,
    order: &Order,
) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<>, ArrowError> {
    let order = match order {
        Order::Arrival => every_row(&batches),
        Order::Columns(by) => by_columns(&batches, by)?.0,
        Order::Curve(through) => along_curve(&batches, through)?,
    };
    let mut from = 0;
    Ok(std::iter::from_fn(move || {
        let piece = &order[from..order.len().min(from + BATCH_ROWS)];
        from += piece.len();
        (!piece.is_empty()).then(|| {
            let batches: Vec<&RecordBatch> = batches.iter().collect();
            interleave_record_batch(&batches, piece)
        })
    }))
}

/// A row: its batch and its number in it.
type Place = (usize, usize);

fn every_row(batches: &[RecordBatch]) -> Vec<Place> {
    let rows = batches.iter().enumerate();
    rows.flat_map(|(batch, rows)| (0..rows.num_rows()).map(move |row| (batch, row))).collect()
}

/// All rows in the order of the columns `by`, and the sort keys, by batch.
fn by_columns(batches: &[RecordBatch], by: &[String]) -> Result<(Vec<Place>, Vec<Rows>), ArrowError> {
    let Some(first) = batches.first() else {
        return Ok((Vec::new(), Vec::new()));
    };
    let columns = by
        .iter()
        .map(|column| {
            find(first.schema_ref(), column)
                .ok_or_else(|| ArrowError::SchemaError(format!("no column '{column}' to sort by")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let fields = columns.iter().map(|index| SortField::new(first.column(*index).data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    let keys = batches
        .iter()
        .map(|batch| {
            let values: Vec<_> = columns.iter().map(|index| batch.column(*index).clone()).collect();
            converter.convert_columns(&values)
        })
        .collect::<Result<Vec<Rows>, _>>()?;
    let mut order = every_row(batches);
    order.sort_by(|a, b| keys[a.0].row(a.1).cmp(&keys[b.0].row(b.1)));
    Ok((order, keys))
}

/// All rows in the order of the interleaved bits of their ranks. A rank is the number of smaller distinct values of
/// the column, so that columns of any type and distribution have the same weight.
fn along_curve(batches: &[RecordBatch], through: &[String]) -> Result<Vec<Place>, ArrowError> {
    let bits = (u64::BITS as usize / through.len().max(1)).min(32);
    let mut starts = vec![0];
    for batch in batches {
        starts.push(starts[starts.len() - 1] + batch.num_rows());
    }
    let mut curve = vec![0_u64; starts[batches.len()]];
    for (index, column) in through.iter().enumerate() {
        let (order, keys) = by_columns(batches, std::slice::from_ref(column))?;
        let mut ranks = vec![0_u32; order.len()];
        let (mut rank, mut before): (u32, Option<Place>) = (0, None);
        for place in order {
            let greater = before.is_some_and(|(batch, row)| keys[batch].row(row) != keys[place.0].row(place.1));
            rank += u32::from(greater);
            ranks[starts[place.0] + place.1] = rank;
            before = Some(place);
        }
        // The highest bits of all columns matter most, so every rank is scaled to all its bits.
        let used = u32::BITS - rank.leading_zeros();
        for (key, rank) in curve.iter_mut().zip(ranks) {
            let spread = if used == 0 { 0 } else { (u64::from(rank) << bits) >> used };
            for bit in 0..bits {
                let at = bit * through.len() + (through.len() - 1 - index);
                *key |= (spread >> bit & 1) << at;
            }
        }
    }
    let mut order = every_row(batches);
    order.sort_by_key(|(batch, row)| curve[starts[*batch] + row]);
    Ok(order)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn a_curve_goes_through_squares() {
        // Every cell of an 8 by 8 board, in an unrelated order.
        let cells: Vec<(i64, i64)> =
            (0..64_i64).map(|cell| (cell * 37) % 64).map(|cell| (cell / 8, cell % 8)).collect();
        let column = |of: fn(&(i64, i64)) -> i64, scale: i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(cells.iter().map(|cell| of(cell) * scale)))
        };
        let batch =
            RecordBatch::try_from_iter([("x", column(|cell| cell.0, 1)), ("y", column(|cell| cell.1, 1_000_000))]);
        let order = Order::Curve(vec!["x".into(), "y".into()]);
        let sorted: Vec<RecordBatch> =
            sorted(vec![batch.expect("a batch")], &order).expect("sorts").collect::<Result<_, _>>().expect("sorts");
        let value =
            |name: &str, row| sorted[0].column_by_name(name).expect("a column").as_primitive::<Int64Type>().value(row);
        // Each quarter of the order is a quarter of the board, and each sixteenth a square of four cells.
        for (length, side) in [(16, 4), (4, 2)] {
            for from in (0..64).step_by(length) {
                for (name, scale) in [("x", 1), ("y", 1_000_000)] {
                    let values: Vec<i64> = (from..from + length).map(|row| value(name, row) / scale).collect();
                    let spread = values.iter().max().expect("values") - values.iter().min().expect("values");
                    assert_eq!(spread, side - 1, "{name} from {from}: {values:?}");
                }
            }
        }
    }
}
