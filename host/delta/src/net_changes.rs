//! What a version changed, where all that it says is which files it rewrote.
//!
//! Other programs delete a row by writing its file again without it. Of such a version the rows that are in both
//! files are not told, or a history would have each of them twice more.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::filter::filter_record_batch;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};

use super::error::DeltaError;
use super::follow::rows_of;
use super::read::{DataRef, ReadContext};

/// Rows whose hashes are in memory at a time, in about 40 bytes each. Of more, some are compared after others.
const ROWS_AT_ONCE: u64 = 2 << 20;

type Batches = BoxStream<'static, Result<RecordBatch, DeltaError>>;

/// Whether rows of `schema` can be told apart by their values.
pub(super) fn is_comparable(schema: &SchemaRef) -> bool {
    RowConverter::supports_fields(&fields(schema))
}

/// The rows of `these` files that are not in `others` as well; of equal rows, as many as there are more.
/// The files are read as often as their rows do not fit in memory.
pub(super) fn rows_only_in(
    context: &Arc<ReadContext>,
    these: &[DataRef],
    others: &[DataRef],
    schema: &SchemaRef,
) -> Batches {
    // Files that do not say how many rows they have are taken for full ones.
    let rows: u64 = others.iter().map(|file| file.rows().unwrap_or(ROWS_AT_ONCE)).sum();
    let passes = u128::from(rows.div_ceil(ROWS_AT_ONCE).max(1));
    let (context, these, others, schema) = (Arc::clone(context), these.to_vec(), others.to_vec(), Arc::clone(schema));
    let pass = move |number: u128| {
        let (context, these, others) = (Arc::clone(&context), these.clone(), others.clone());
        one_pass(context, these, others, Arc::clone(&schema), move |hash| hash % passes == number)
    };
    stream::iter(0..passes).then(pass).try_flatten().boxed()
}

/// As [`rows_only_in`], of the rows whose hashes are `mine`.
async fn one_pass(
    context: Arc<ReadContext>,
    these: Vec<DataRef>,
    others: Vec<DataRef>,
    schema: SchemaRef,
    mine: impl Fn(u128) -> bool + Send + Sync + 'static,
) -> Result<Batches, DeltaError> {
    let table = context.table.clone();
    let failed = move |error: ArrowError| DeltaError::arrow("compare rows", &table)(error);
    let mut there: HashMap<u128, u64> = HashMap::new();
    let mut rows = rows_of(Arc::clone(&context), others, Arc::clone(&schema));
    while let Some(rows) = rows.try_next().await? {
        for hash in hashes(&rows).map_err(&failed)?.into_iter().filter(|hash| mine(*hash)) {
            *there.entry(hash).or_default() += 1;
        }
    }
    let rows = rows_of(context, these, schema).and_then(move |rows| {
        let only = hashes(&rows).and_then(|hashes| {
            let is_alone = |hash: u128| match there.get_mut(&hash) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    false
                }
                _ => true,
            };
            let mut is_alone = is_alone;
            let kept: BooleanArray = hashes.into_iter().map(|hash| Some(mine(hash) && is_alone(hash))).collect();
            filter_record_batch(&rows, &kept)
        });
        std::future::ready(only.map_err(&failed))
    });
    Ok(rows.try_filter(|rows| std::future::ready(rows.num_rows() > 0)).boxed())
}

fn fields(schema: &SchemaRef) -> Vec<SortField> {
    schema.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect()
}

/// A number for each row that only an equal one has.
fn hashes(rows: &RecordBatch) -> Result<Vec<u128>, ArrowError> {
    let encoded = RowConverter::new(fields(&rows.schema()))?.convert_columns(rows.columns())?;
    let hash = |row: arrow_row::Row<'_>| {
        let digest: [u8; 32] = Sha256::digest(row.as_ref()).into();
        digest.iter().take(16).fold(0_u128, |hash, byte| hash << 8 | u128::from(*byte))
    };
    Ok(encoded.iter().map(hash).collect())
}
