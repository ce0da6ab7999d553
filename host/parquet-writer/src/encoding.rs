//! The encodings of the columns of a data file.
//!
//! The parquet crate tries a dictionary on every column and gives it up late, which costs
//! more than half of all writing. Here a column's encoding follows its first row group and
//! is remembered for the table.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Rows of a row group: upserts rewrite in units of it, and it costs nothing with the right encodings.
pub const ROW_GROUP_ROWS: usize = 64 << 10;
/// Fewer rows than this are too small a sample to remember an encoding.
const TELLING_ROWS: usize = 16 << 10;

/// How one column is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Values repeat: each is stored once.
    Dictionary,
    /// Integers and timestamps: bit-packed differences.
    Delta,
    /// Anything else.
    Plain,
}

/// The learned encodings of a table's columns, shared by all its writers in this process.
#[derive(Clone, Debug, Default)]
pub struct Encodings(Arc<Mutex<HashMap<String, Choice>>>);

impl Encodings {
    /// Whether the encoding of every column of `schema` is known, so that no rows have to be held back as a sample.
    pub fn knows(&self, schema: &Schema) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        schema.fields().iter().all(|field| field.data_type().is_nested() || known.contains_key(field.name()))
    }

    /// Learns missing encodings from the footer of a file of ours, which chose them from more rows.
    pub fn learn(&self, schema: &Schema, footer: &ParquetMetaData) {
        let ours = footer.file_metadata().created_by().is_some_and(|maker| maker.starts_with("sluicebox"));
        let telling =
            |group: &&RowGroupMetaData| usize::try_from(group.num_rows()).is_ok_and(|rows| rows >= TELLING_ROWS);
        let Some(group) = footer.row_groups().iter().find(telling).filter(|_| ours) else {
            return;
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for column in group.columns() {
            let [name] = column.column_path().parts() else {
                continue;
            };
            let choice = if column.dictionary_page_offset().is_some() {
                Choice::Dictionary
            } else if column.encodings().any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED) {
                Choice::Delta
            } else {
                Choice::Plain
            };
            if schema.field_with_name(name).is_ok_and(|field| !field.data_type().is_nested()) {
                known.entry(name.clone()).or_insert(choice);
            }
        }
    }

    /// Whether a column with a dictionary in another file keeps it, as far as is known.
    pub fn keeps_dictionary(&self, column: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(column).is_none_or(|choice| *choice == Choice::Dictionary)
    }

    /// The writer properties for a file of `schema`, and the encoding of each column. `indexed` says which columns
    /// get bounds. Unknown columns are judged by `sample`.
    pub fn properties(
        &self,
        schema: &Schema,
        indexed: &[bool],
        sample: &[RecordBatch],
    ) -> (WriterProperties, Vec<Choice>) {
        let mut choices = vec![Choice::Plain; schema.fields().len()];
        let mut builder = WriterProperties::builder()
            .set_compression(zstd())
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by(concat!("sluicebox ", env!("CARGO_PKG_VERSION")).to_owned())
            // Row groups are small enough to be skipped as a whole; a page index would only cost reading.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, field) in schema.fields().iter().enumerate() {
            let path = ColumnPath::from(field.name().as_str());
            if !indexed[index] {
                builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
            }
            if field.data_type().is_nested() {
                continue;
            }
            let choice = match known.get(field.name()) {
                Some(choice) => *choice,
                None => {
                    let columns: Vec<&ArrayRef> =
                        sample.iter().filter_map(|batch| batch.column_by_name(field.name())).collect();
                    let choice = choose(field.data_type(), &columns);
                    if columns.iter().map(|column| column.len()).sum::<usize>() >= TELLING_ROWS {
                        known.insert(field.name().clone(), choice);
                    }
                    choice
                }
            };
            choices[index] = choice;
            builder = match choice {
                Choice::Dictionary => builder.set_column_dictionary_enabled(path, true),
                Choice::Delta => builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
                Choice::Plain => builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::PLAIN),
            };
        }
        (builder.build(), choices)
    }

    /// Records that the values of a column do not repeat.
    pub fn give_up(&self, column: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(column.to_owned(), Choice::Plain);
    }
}

fn zstd() -> Compression {
    // Level 1 is within the range that zstd knows, so the other arm is never taken.
    ZstdLevel::try_new(1).map_or(Compression::SNAPPY, Compression::ZSTD)
}

fn choose(data_type: &DataType, columns: &[&ArrayRef]) -> Choice {
    if columns.iter().any(|column| matches!(column.data_type(), DataType::Dictionary(_, _))) {
        // An Arrow dictionary says that its values repeat.
        return Choice::Dictionary;
    }
    let rows: usize = columns.iter().map(|column| column.len() - column.null_count()).sum();
    let distinct = |most| distinct(data_type, columns, most);
    match data_type {
        DataType::Boolean => Choice::Plain,
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Date32
        | DataType::Timestamp(_, _) => {
            // A dictionary wins only for few values that are far apart.
            let few = (rows / 64).max(1);
            match distinct(few) {
                Some(distinct) if 2 * bits(distinct) < spread(columns) => Choice::Dictionary,
                _ => Choice::Delta,
            }
        }
        DataType::Float32 | DataType::Float64 => match distinct(rows / 16) {
            Some(1..) => Choice::Dictionary,
            _ => Choice::Plain,
        },
        // Text without a sample may repeat; its dictionary is given up if it does not.
        DataType::Utf8 if rows == 0 => Choice::Dictionary,
        _ => match distinct(rows / 4) {
            Some(1..) => Choice::Dictionary,
            _ => Choice::Plain,
        },
    }
}

fn bits(values: usize) -> u32 {
    usize::BITS - values.leading_zeros()
}

/// Bits of the difference between the minimum and the maximum.
fn spread(columns: &[&ArrayRef]) -> u32 {
    let mut range: Option<(i64, i64)> = None;
    for column in columns {
        let Ok(column) = arrow_cast::cast(column, &DataType::Int64) else {
            return 0;
        };
        let column = arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(&column);
        for value in column.iter().flatten() {
            let (low, high) = range.unwrap_or((value, value));
            range = Some((low.min(value), high.max(value)));
        }
    }
    range.map_or(0, |(low, high)| u64::BITS - low.abs_diff(high).leading_zeros())
}

/// The number of distinct non-null values; `None` if there are more than `most`.
fn distinct(data_type: &DataType, columns: &[&ArrayRef], most: usize) -> Option<usize> {
    let converter = RowConverter::new(vec![SortField::new(data_type.clone())]).ok()?;
    let mut seen = HashSet::new();
    for column in columns {
        let rows = converter.convert_columns(&[Arc::clone(*column)]).ok()?;
        for (row, key) in rows.iter().enumerate() {
            if column.is_valid(row) && !seen.contains(key.as_ref()) {
                if seen.len() == most {
                    return None;
                }
                seen.insert(key.as_ref().to_vec());
            }
        }
    }
    Some(seen.len())
}

#[cfg(test)]
mod tests {
    use arrow_array::{Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn choices_follow_the_data() {
        let running: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20_000));
        let codes: ArrayRef = Arc::new(Int64Array::from_iter_values((0..20_000).map(|i| (i % 3) * 1_000_000_007)));
        let small: ArrayRef = Arc::new(Int64Array::from_iter_values((0..20_000).map(|i| i % 9)));
        let words: ArrayRef = Arc::new(StringArray::from_iter_values((0..20_000).map(|i| format!("w{}", i % 100))));
        let unique: ArrayRef = Arc::new(StringArray::from_iter_values((0..20_000).map(|i| format!("w{i}"))));
        let prices: ArrayRef = Arc::new(Float64Array::from_iter_values((0..20_000).map(f64::from)));
        let choice = |column: &ArrayRef| choose(column.data_type(), &[column]);
        assert_eq!(choice(&running), Choice::Delta);
        assert_eq!(choice(&codes), Choice::Dictionary);
        assert_eq!(choice(&small), Choice::Delta);
        assert_eq!(choice(&words), Choice::Dictionary);
        assert_eq!(choice(&unique), Choice::Plain);
        assert_eq!(choice(&prices), Choice::Plain);
    }
}
