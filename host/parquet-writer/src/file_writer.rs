//! Writes a Parquet file, one row group at a time.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::errors::Result;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;

use super::chunk::Packer;
use super::encoding::{Choice, ROW_GROUP_ROWS};
use super::row_group::{RowGroup, as_it_is};

/// The size in memory at which a row group ends, even with few rows.
const GROUP_BYTES: usize = 32 << 20;

/// Whether row groups of a file with this footer can be spliced into a file of `schema`.
pub fn takes(schema: &SchemaRef, footer: &ParquetMetaData) -> bool {
    let (Ok(own), other) = (ArrowSchemaConverter::new().convert(schema), footer.file_metadata().schema_descr()) else {
        return false;
    };
    own.num_columns() == other.num_columns()
        && own.columns().iter().zip(other.columns()).all(|(own, other)| own == other)
        && own.root_schema().get_fields() == other.root_schema().get_fields()
}

/// A writer of one file.
pub struct FileWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// By column: the number of its leaves, and its encoding.
    leaves: Vec<usize>,
    choices: Vec<Choice>,
    /// By column: whether it gets bounds.
    indexed: Vec<bool>,
    group: Option<RowGroup>,
    packer: Packer,
}

impl<W: Write + Send> FileWriter<W> {
    /// A file for rows of `schema` that goes to `sink`; `choices` says how each column is encoded, `indexed`
    /// of which columns bounds are kept.
    pub fn new(
        sink: W,
        schema: SchemaRef,
        properties: WriterProperties,
        choices: Vec<Choice>,
        indexed: Vec<bool>,
    ) -> Result<Self> {
        // The log has the schema; a copy of Arrow's in every file would only cost space.
        let descriptor = ArrowSchemaConverter::new().convert(&schema)?;
        let file = SerializedFileWriter::new(sink, descriptor.root_schema_ptr(), Arc::new(properties))?;
        let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
        let mut leaves = vec![0; schema.fields().len()];
        for leaf in 0..descriptor.num_columns() {
            leaves[descriptor.get_column_root_idx(leaf)] += 1;
        }
        Ok(Self { file, factory, schema, leaves, choices, indexed, group: None, packer: Packer::new()? })
    }

    /// Adds rows. Returns the text columns whose values do not repeat.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<Vec<usize>> {
        let mut given_up = Vec::new();
        let mut from = 0;
        while from < rows.num_rows() {
            let group = match &mut self.group {
                Some(group) => group,
                None => {
                    let index = self.file.flushed_row_groups().len();
                    let group = RowGroup::new(&self.factory, index, &self.schema, &self.leaves, &self.choices)?;
                    self.group.insert(group)
                }
            };
            let take = (ROW_GROUP_ROWS - group.rows()).min(rows.num_rows() - from);
            group.write(&rows.slice(from, take), &self.schema)?;
            from += take;
            if group.rows() == ROW_GROUP_ROWS || group.bytes() >= GROUP_BYTES {
                given_up.extend(self.flush()?);
            }
        }
        Ok(given_up)
    }

    /// Ends the row group, so that no rows are buffered.
    pub fn flush(&mut self) -> Result<Vec<usize>> {
        let Some(group) = self.group.take() else {
            return Ok(Vec::new());
        };
        let given_up = group.finish(&mut self.file, &mut self.packer, &self.indexed)?;
        for column in &given_up {
            self.choices[*column] = Choice::Plain;
        }
        Ok(given_up)
    }

    /// Splices a row group of another file as encoded bytes, which `reader` has.
    pub fn splice(&mut self, reader: &impl ChunkReader, group: &RowGroupMetaData) -> Result<()> {
        self.flush()?;
        let mut next = self.file.next_row_group()?;
        for leaf in 0..group.num_columns() {
            next.append_column(reader, as_it_is(group, leaf))?;
        }
        next.close()?;
        Ok(())
    }

    /// As [`Self::splice`], with new values of some columns, as many as before.
    pub fn patch(
        &mut self,
        reader: &impl ChunkReader,
        group: &RowGroupMetaData,
        columns: &[Option<Vec<ArrayRef>>],
    ) -> Result<()> {
        self.flush()?;
        let index = self.file.flushed_row_groups().len();
        let mut next = RowGroup::new(&self.factory, index, &self.schema, &self.leaves, &self.choices)?;
        for (index, values) in columns.iter().enumerate() {
            for values in values.iter().flatten() {
                next.write_column(index, values, &self.schema)?;
            }
        }
        let replaced: Vec<bool> = columns.iter().map(Option::is_some).collect();
        next.patch(&mut self.file, &mut self.packer, reader, group, &replaced, &self.indexed)
    }

    /// Ends the file; its size is then [`Self::bytes_written`].
    pub fn finish(&mut self) -> Result<ParquetMetaData> {
        self.flush()?;
        self.file.finish()
    }

    /// Bytes of the file so far.
    pub fn bytes_written(&self) -> usize {
        self.file.bytes_written()
    }

    /// Rows of the open row group.
    pub fn rows_buffered(&self) -> usize {
        self.group.as_ref().map_or(0, RowGroup::rows)
    }

    /// Bytes in memory.
    pub fn bytes_buffered(&self) -> usize {
        self.group.as_ref().map_or(0, RowGroup::bytes)
    }

    /// The underlying output. Taking it out would write a second footer.
    pub fn sink_mut(&mut self) -> &mut W {
        self.file.inner_mut()
    }
}
