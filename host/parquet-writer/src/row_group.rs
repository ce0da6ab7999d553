//! One row group: an encoder for each column.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{self, Packer};
use super::dictionary::Dictionary;
use super::encoding::Choice;
use super::integers::Integers;

/// The columns of the open row group.
pub struct RowGroup {
    columns: Vec<Column>,
    /// By column: whether it has a NaN.
    with_nan: Vec<bool>,
    rows: usize,
}

enum Column {
    /// Text, by our dictionary.
    Text(Box<Dictionary>),
    /// Integers, by our delta encoder.
    Integers(Integers),
    /// Anything else, by the parquet crate: one writer per leaf.
    Leaves(Vec<ArrowColumnWriter>),
}

impl RowGroup {
    /// An empty row group; `choices` are the encodings of its columns.
    pub fn new(
        factory: &ArrowRowGroupWriterFactory,
        index: usize,
        schema: &SchemaRef,
        leaves: &[usize],
        choices: &[Choice],
    ) -> Result<Self> {
        let mut writers = factory.create_column_writers(index)?.into_iter();
        let mut columns = Vec::with_capacity(leaves.len());
        for ((count, choice), field) in leaves.iter().zip(choices).zip(schema.fields()) {
            let own: Vec<ArrowColumnWriter> = writers.by_ref().take(*count).collect();
            columns.push(match (choice, Integers::of(field.data_type())) {
                (Choice::Delta, Some(integers)) => Column::Integers(integers),
                (Choice::Dictionary, _) if field.data_type() == &DataType::Utf8 => {
                    Column::Text(Box::new(Dictionary::new()))
                }
                _ => Column::Leaves(own),
            });
        }
        let with_nan = vec![false; columns.len()];
        Ok(Self { columns, with_nan, rows: 0 })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds rows of the file's columns; text may come as a dictionary.
    pub fn write(&mut self, rows: &RecordBatch, schema: &SchemaRef) -> Result<()> {
        for (index, values) in rows.columns().iter().enumerate() {
            self.write_column(index, values, schema)?;
        }
        self.rows += rows.num_rows();
        Ok(())
    }

    /// Adds values of one column.
    pub fn write_column(&mut self, index: usize, values: &ArrayRef, schema: &SchemaRef) -> Result<()> {
        self.with_nan[index] = self.with_nan[index] || has_nan(values);
        match &mut self.columns[index] {
            Column::Text(dictionary) => dictionary.push(values)?,
            Column::Integers(integers) => integers.push(values)?,
            Column::Leaves(writers) => {
                let field = schema.field(index);
                let values = match values.data_type() {
                    DataType::Dictionary(_, _) => &plain(values, field.data_type())?,
                    _ => values,
                };
                for (writer, leaf) in writers.iter_mut().zip(compute_leaves(field, values)?) {
                    writer.write(&leaf)?;
                }
            }
        }
        Ok(())
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let of_column = |column: &Column| match column {
            Column::Text(dictionary) => dictionary.bytes(),
            Column::Integers(integers) => integers.bytes(),
            Column::Leaves(writers) => writers.iter().map(ArrowColumnWriter::memory_size).sum(),
        };
        self.columns.iter().map(of_column).sum()
    }

    /// Writes the row group to the file; `indexed` says which columns get bounds. Returns the text columns whose
    /// values do not repeat.
    pub fn finish<W: Write + Send>(
        self,
        file: &mut SerializedFileWriter<W>,
        packer: &mut Packer,
        indexed: &[bool],
    ) -> Result<Vec<usize>> {
        let descriptors = file.schema_descr().columns().to_vec();
        let mut given_up = Vec::new();
        let mut group = file.next_row_group()?;
        let mut leaf = 0;
        for (index, (column, with_nan)) in self.columns.into_iter().zip(self.with_nan).enumerate() {
            let place = Place { indexed: indexed[index], descriptors: &descriptors, with_nan };
            let done = column.finish(&mut group, leaf, &place, packer)?;
            leaf += done.leaves;
            if !done.repeats {
                given_up.push(index);
            }
        }
        group.close()?;
        Ok(given_up)
    }

    /// Writes the row group to the file, with the unchanged columns (see `replaced`) of another row group with as
    /// many rows, whose bytes `reader` has.
    pub fn patch<W: Write + Send>(
        self,
        file: &mut SerializedFileWriter<W>,
        packer: &mut Packer,
        reader: &impl ChunkReader,
        other: &RowGroupMetaData,
        replaced: &[bool],
        indexed: &[bool],
    ) -> Result<()> {
        let descriptors = file.schema_descr().columns().to_vec();
        let mut group = file.next_row_group()?;
        let mut leaf = 0;
        for (index, (column, with_nan)) in self.columns.into_iter().zip(self.with_nan).enumerate() {
            if replaced[index] {
                let place = Place { indexed: indexed[index], descriptors: &descriptors, with_nan };
                leaf += column.finish(&mut group, leaf, &place, packer)?.leaves;
                continue;
            }
            let root = descriptors[leaf].path().parts().first().cloned();
            while descriptors.get(leaf).is_some_and(|leaf| leaf.path().parts().first() == root.as_ref()) {
                group.append_column(reader, as_it_is(other, leaf))?;
                leaf += 1;
            }
        }
        group.close()?;
        Ok(())
    }
}

/// A column chunk spliced from another file.
pub fn as_it_is(group: &RowGroupMetaData, leaf: usize) -> ColumnCloseResult {
    let column = group.column(leaf);
    // Bloom filters and page indexes are dropped, because their offsets would be wrong.
    ColumnCloseResult {
        bytes_written: u64::try_from(column.compressed_size()).unwrap_or_default(),
        rows_written: u64::try_from(group.num_rows()).unwrap_or_default(),
        metadata: column.clone(),
        bloom_filter: None,
        column_index: None,
        offset_index: None,
    }
}

/// A column's place in a file.
struct Place<'a> {
    /// Whether it gets bounds.
    indexed: bool,
    descriptors: &'a [ColumnDescPtr],
    with_nan: bool,
}

struct Done {
    leaves: usize,
    /// False for text with nearly all values distinct.
    repeats: bool,
}

impl Column {
    fn finish<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        leaf: usize,
        place: &Place<'_>,
        packer: &mut Packer,
    ) -> Result<Done> {
        let with_statistics = place.indexed;
        match self {
            Column::Text(dictionary) => {
                let (bytes, close) = chunk::of_text(&dictionary, &place.descriptors[leaf], with_statistics, packer)?;
                group.append_column(&bytes, close)?;
                Ok(Done { leaves: 1, repeats: dictionary.repeats() })
            }
            Column::Integers(integers) => {
                let (bytes, close) = chunk::of_integers(&integers, &place.descriptors[leaf], with_statistics, packer)?;
                group.append_column(&bytes, close)?;
                Ok(Done { leaves: 1, repeats: true })
            }
            Column::Leaves(writers) => {
                let leaves = writers.len();
                for writer in writers {
                    let mut chunk = writer.close()?;
                    if place.with_nan {
                        without_bounds(chunk.close_mut())?;
                    }
                    chunk.append_to_row_group(group)?;
                }
                Ok(Done { leaves, repeats: true })
            }
        }
    }
}

/// Removes the bounds of a chunk with a NaN. The format leaves NaN out of bounds, but readers that sort it above all
/// numbers would skip the row group for a search beyond the maximum.
fn without_bounds(close: &mut ColumnCloseResult) -> Result<()> {
    let nulls = close.metadata.statistics().and_then(Statistics::null_count_opt);
    let statistics = match close.metadata.statistics() {
        Some(Statistics::Float(_)) => Statistics::float(None, None, None, nulls, false),
        Some(Statistics::Double(_)) => Statistics::double(None, None, None, nulls, false),
        _ => return Ok(()),
    };
    close.metadata = close.metadata.clone().into_builder().set_statistics(statistics).build()?;
    Ok(())
}

/// Whether a column of floats has a NaN.
pub fn has_nan(values: &ArrayRef) -> bool {
    match values.data_type() {
        DataType::Float32 => values.as_primitive::<Float32Type>().values().iter().any(|value| value.is_nan()),
        DataType::Float64 => values.as_primitive::<Float64Type>().values().iter().any(|value| value.is_nan()),
        _ => false,
    }
}

fn plain(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    arrow_cast::cast(values, to).map_err(ParquetError::from)
}
