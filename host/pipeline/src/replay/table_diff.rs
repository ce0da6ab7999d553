//! Compares two tables row by row, whatever the order and files of their rows.
//!
//! Each row is hashed to 128 bits. Two tables are equal if the sums of the hashes are equal in each of many buckets,
//! so tables of any size are compared in the memory of the buckets. Rows are compared one by one only in buckets that
//! differ.

use std::collections::HashMap;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, Schema};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use sluicebox_delta::Table;
use sluicebox_formats as format;
use sluicebox_lake::LakeError;

/// The number of buckets: enough that a bucket of a large table is small.
const BUCKETS: usize = 1 << 16;

/// Rows that are compared one by one; beyond that, differences are counted per bucket.
const LOOKED_AT: u64 = 200_000;

/// Examples of each kind that are shown.
const EXAMPLES: usize = 3;

/// The difference between a recorded and a replayed table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sameness {
    /// Rows of the recorded table.
    pub recorded: u64,
    /// Rows of the replayed table.
    pub replayed: u64,
    /// Columns that only one table has, or that have different types, as sentences.
    pub columns: Vec<String>,
    /// Columns whose values differ in any row.
    pub values: Vec<String>,
    /// Rows that only the recorded table has.
    pub missing: u64,
    /// Rows that only the replayed table has.
    pub surplus: u64,
    /// There are more differences than were counted.
    pub more: bool,
    /// Some of the missing rows and of the surplus ones, as JSON.
    pub examples: Vec<(Side, String)>,
}

/// The table that has a row which the other lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The recorded table.
    Recorded,
    /// The replayed table.
    Replayed,
}

impl Sameness {
    /// Whether the tables have the same columns and the same rows, equally often.
    pub fn is_identical(&self) -> bool {
        self.columns.is_empty() && self.missing == 0 && self.surplus == 0 && !self.more
    }
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    recorded: u64,
    replayed: u64,
    sum: u128,
}

/// Compares the tables as of the versions of their handles.
///
/// # Errors
/// One of them cannot be read.
pub async fn compare(recorded: &Table, replayed: &Table) -> Result<Sameness, LakeError> {
    let (columns, shared) = columns(recorded, replayed);
    let mut found = Sameness { columns, ..Sameness::default() };
    let mut buckets = vec![Bucket::default(); BUCKETS];
    let both = [(Side::Recorded, recorded), (Side::Replayed, replayed)];
    for (side, table) in both {
        let mut batches = table.scan(Some(&shared)).await?;
        while let Some(rows) = batches.try_next().await? {
            for hash in row_hashes(&rows) {
                let bucket = &mut buckets[bucket_of(hash)];
                match side {
                    Side::Recorded => {
                        (bucket.recorded, bucket.sum) = (bucket.recorded + 1, bucket.sum.wrapping_add(hash))
                    }
                    Side::Replayed => {
                        (bucket.replayed, bucket.sum) = (bucket.replayed + 1, bucket.sum.wrapping_sub(hash))
                    }
                }
            }
        }
    }
    found.recorded = buckets.iter().map(|bucket| bucket.recorded).sum();
    found.replayed = buckets.iter().map(|bucket| bucket.replayed).sum();
    let differs = |bucket: &Bucket| bucket.sum != 0 || bucket.recorded != bucket.replayed;
    if !buckets.iter().any(differs) {
        return Ok(found);
    }
    let mut chosen = vec![false; BUCKETS];
    let mut rows = 0;
    for (index, bucket) in buckets.iter().enumerate().filter(|(_, bucket)| differs(bucket)) {
        if rows > 0 && rows + bucket.recorded + bucket.replayed > LOOKED_AT {
            found.more = true;
            break;
        }
        rows += bucket.recorded + bucket.replayed;
        chosen[index] = true;
    }
    look(&both, &shared, &chosen, &mut found).await?;
    Ok(found)
}

/// Finds out which rows and which columns differ.
async fn look(
    both: &[(Side, &Table)],
    shared: &[String],
    chosen: &[bool],
    found: &mut Sameness,
) -> Result<(), LakeError> {
    let mut balance: HashMap<u128, i64> = HashMap::new();
    let mut sums = vec![0_u128; shared.len()];
    for (side, table) in both {
        let mut batches = table.scan(Some(shared)).await?;
        while let Some(rows) = batches.try_next().await? {
            let sign = if *side == Side::Recorded { 1 } else { -1 };
            for hash in row_hashes(&rows).into_iter().filter(|hash| chosen[bucket_of(*hash)]) {
                *balance.entry(hash).or_default() += sign;
            }
            for (index, sum) in sums.iter_mut().enumerate() {
                for hash in row_hashes(&one_column(&rows, index)) {
                    *sum = if sign > 0 { sum.wrapping_add(hash) } else { sum.wrapping_sub(hash) };
                }
            }
        }
    }
    balance.retain(|_, net| *net != 0);
    found.missing = balance.values().filter(|net| **net > 0).map(|net| net.unsigned_abs()).sum();
    found.surplus = balance.values().filter(|net| **net < 0).map(|net| net.unsigned_abs()).sum();
    found.values = shared.iter().zip(&sums).filter(|(_, sum)| **sum != 0).map(|(name, _)| name.clone()).collect();
    for (side, table) in both {
        let mut left = EXAMPLES;
        let mut batches = table.scan(Some(shared)).await?;
        while let (true, Some(rows)) = (left > 0, batches.try_next().await?) {
            let mut picked = Vec::new();
            for (row, hash) in row_hashes(&rows).into_iter().enumerate() {
                let wanted = balance.get(&hash).is_some_and(|net| (*net > 0) == (*side == Side::Recorded));
                if wanted && left > 0 {
                    left -= 1;
                    // One of several equal rows is enough of an example.
                    balance.remove(&hash);
                    picked.push(row);
                }
            }
            let lines = format::rows_as_json(&rows, &picked);
            found.examples.extend(lines.iter().map(|line| (*side, String::from_utf8_lossy(line).into_owned())));
        }
    }
    Ok(())
}

/// The differences between the columns, and the names of the common ones, in order.
fn columns(recorded: &Table, replayed: &Table) -> (Vec<String>, Vec<String>) {
    let empty = || std::sync::Arc::new(Schema::empty());
    let (one, other) = (recorded.schema().unwrap_or_else(empty), replayed.schema().unwrap_or_else(empty));
    let mut different = Vec::new();
    let mut shared = Vec::new();
    for field in one.fields() {
        match other.field_with_name(field.name()) {
            Ok(again) if again.data_type() == field.data_type() => shared.push(field.name().clone()),
            Ok(again) => different.push(format!(
                "column `{}` is {} in the lake and {} when made again",
                field.name(),
                field.data_type(),
                again.data_type()
            )),
            Err(_) => different.push(format!("column `{}` is only in the lake", field.name())),
        }
    }
    for field in other.fields().iter().filter(|field| one.field_with_name(field.name()).is_err()) {
        different.push(format!("column `{}` is only there when made again", field.name()));
    }
    shared.sort();
    (different, shared)
}

fn one_column(rows: &RecordBatch, index: usize) -> RecordBatch {
    rows.project(&[index]).expect("because every index is of a column of these rows")
}

/// A hash of each row: equal for equal values, in whatever batch.
pub fn row_hashes(rows: &RecordBatch) -> Vec<u128> {
    match encode(rows.columns()) {
        Ok(encoded) if rows.num_columns() > 0 => encoded.iter().map(|row| hash_of(row.as_ref())).collect(),
        // A type without a row encoding is hashed as JSON; the rows of a table without columns are equal.
        _ => {
            let all: Vec<usize> = (0..rows.num_rows()).collect();
            format::rows_as_json(rows, &all).iter().map(|line| hash_of(line)).collect()
        }
    }
}

/// A number for bytes that nobody can find others for.
pub fn hash_of(bytes: &[u8]) -> u128 {
    let digest = Sha256::digest(bytes);
    u128::from_le_bytes(digest[..16].try_into().expect("because a SHA-256 has 32 bytes"))
}

fn encode(columns: &[ArrayRef]) -> Result<arrow_row::Rows, ArrowError> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    RowConverter::new(fields)?.convert_columns(columns)
}

fn bucket_of(hash: u128) -> usize {
    // The bucket is taken from the top bits; the sums use all bits.
    (hash >> (u128::BITS - BUCKETS.ilog2())) as usize
}
