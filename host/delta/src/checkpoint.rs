//! Checkpoints of the log.
//!
//! The kernel says what a checkpoint holds, and it is written here, for two reasons. A table that takes
//! many small commits keeps removes of files for a week, a hundred for each file that it has; each kind of
//! action gets a row group of its own, so that whoever opens the table reads those of the kind it wants and
//! skips the others by their null counts. And a checkpoint that a power cut cut off would hide the log
//! behind it, so it is put as commits are: whole and flushed, or not at all.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use delta_kernel::checkpoint::{CheckpointWriter, LastCheckpointHintStats};
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::{Engine, Snapshot};
use deltalake::DeltaTableError;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use url::Url;

use super::error::DeltaError;
use super::log;
use super::table::Table;
use sluicebox_stores::{PutError, put_new};

const ACTION: &str = "make a checkpoint of";
/// Columns whose values are all different, so that a dictionary is built in vain.
const UNIQUE: [[&str; 2]; 3] = [["add", "path"], ["add", "stats"], ["remove", "path"]];

impl Table {
    /// Makes a checkpoint of the version that this handle knows, unless there is one.
    ///
    /// # Errors
    /// The log cannot be read, or nothing can be put beside it. The table is as it was.
    pub(super) async fn make_checkpoint(&self) -> Result<(), DeltaError> {
        let version = self.state()?.version();
        let log = self.delta.log_store();
        let url = log.transaction_url(None).map_err(DeltaError::delta(ACTION, self.name()))?;
        // The kernel waits for what it reads and writes, so it gets threads that may.
        let (name, engine) = (self.name().to_owned(), log.engine(None));
        let prepared = self.apart(move || prepare(&name, engine.as_ref(), url, version)).await?;
        let Some(Prepared { writer, hint, bytes }) = prepared else {
            return Ok(());
        };
        match put_new(&self.location, &log::checkpoint_path(version), bytes).await {
            Ok(()) => {}
            // Somebody else was faster, and says where it is.
            Err(PutError::Exists) => return Ok(()),
            Err(PutError::Failed(error)) => return Err(error.into()),
        }
        let (name, engine) = (self.name().to_owned(), log.engine(None));
        self.apart(move || writer.finalize(engine.as_ref(), &hint).map_err(|error| kernel(&name, error))).await
    }

    async fn apart<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> Result<T, DeltaError> + Send + 'static,
    ) -> Result<T, DeltaError> {
        let failed = |source| DeltaError::Task { action: ACTION, table: self.name().to_owned(), source };
        tokio::task::spawn_blocking(task).await.map_err(failed)?
    }
}

/// A checkpoint that has yet to be put.
struct Prepared {
    writer: CheckpointWriter,
    hint: LastCheckpointHintStats,
    bytes: Bytes,
}

/// `None` if there is a checkpoint of this version.
fn prepare(table: &str, engine: &dyn Engine, url: Url, version: u64) -> Result<Option<Prepared>, DeltaError> {
    let failed = |error| kernel(table, error);
    let snapshot = Snapshot::builder_for(url).at_version(version).build(engine).map_err(failed)?;
    if snapshot.log_segment().checkpoint_version == Some(version) {
        return Ok(None);
    }
    let writer = snapshot.create_checkpoint_writer(engine).map_err(failed)?;
    let actions = writer.checkpoint_data(engine).map_err(failed)?;
    let state = actions.state();
    let mut layers: Option<Layers> = None;
    for batch in actions {
        let (data, selected) = batch.map_err(failed)?.into_parts();
        let batch: RecordBatch = (*ArrowEngineData::try_from_engine_data(data).map_err(failed)?).into();
        let layers = match &mut layers {
            Some(layers) => layers,
            None => {
                let begun = Layers::new(&batch.schema()).map_err(DeltaError::parquet(ACTION, table))?;
                layers.insert(begun)
            }
        };
        layers.write(table, &batch, &selected)?;
    }
    let Some(layers) = layers else {
        return Err(failed(delta_kernel::Error::generic("the log has not a single action")));
    };
    let bytes = layers.finish().map_err(DeltaError::parquet(ACTION, table))?;
    // The actions were read to their end, and with them went the only other handle.
    let Some(state) = Arc::into_inner(state) else {
        return Err(failed(delta_kernel::Error::generic("the state of a checkpoint is still in use")));
    };
    let hint = LastCheckpointHintStats::from_reconciliation_state(state, bytes.len() as u64, 0).map_err(failed)?;
    Ok(Some(Prepared { writer, hint, bytes: bytes.into() }))
}

fn kernel(table: &str, error: delta_kernel::Error) -> DeltaError {
    DeltaError::delta(ACTION, table)(DeltaTableError::from(error))
}

/// The row groups of a checkpoint, all in the making at once: what is neither the adding nor the removing of
/// a file, the adds, the removes.
struct Layers {
    file: SerializedFileWriter<Vec<u8>>,
    schema: SchemaRef,
    layers: [Layer; 3],
}

struct Layer {
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
}

impl Layers {
    fn new(schema: &SchemaRef) -> Result<Self, ParquetError> {
        // What every reader of Delta can unpack, as Spark packs its checkpoints so.
        let mut properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        for column in UNIQUE {
            let column = ColumnPath::new(column.map(str::to_owned).to_vec());
            properties = properties.set_column_dictionary_enabled(column, false);
        }
        // Arrow's own schema stays out, as readers are to follow Delta's.
        let descriptor = ArrowSchemaConverter::new().convert(schema)?;
        let file = SerializedFileWriter::new(Vec::new(), descriptor.root_schema_ptr(), Arc::new(properties.build()))?;
        let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(schema));
        let layer = |index| Ok::<_, ParquetError>(Layer { columns: factory.create_column_writers(index)?, rows: 0 });
        Ok(Self { layers: [layer(0)?, layer(1)?, layer(2)?], schema: Arc::clone(schema), file })
    }

    /// Adds the selected rows of a batch, each to its layer; rows beyond the end of `selected` are, too.
    fn write(&mut self, table: &str, batch: &RecordBatch, selected: &[bool]) -> Result<(), DeltaError> {
        let [adds, removes] = [present(table, batch, "add")?, present(table, batch, "remove")?];
        let is_selected = |row: &usize| selected.get(*row).copied().unwrap_or(true);
        let layer_of = |row: usize| if adds(row) { 1 } else { 2 * usize::from(removes(row)) };
        let rows = 0..batch.num_rows();
        let layers: Vec<Option<usize>> = rows.map(|row| Some(row).filter(is_selected).map(layer_of)).collect();
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let chosen = BooleanArray::from_iter(layers.iter().map(|layer| Some(*layer == Some(index))));
            if chosen.true_count() > 0 {
                let rows = filter_record_batch(batch, &chosen).map_err(DeltaError::arrow(ACTION, table))?;
                layer.write(&rows, &self.schema).map_err(DeltaError::parquet(ACTION, table))?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, ParquetError> {
        for layer in self.layers {
            if layer.rows > 0 {
                let mut group = self.file.next_row_group()?;
                for column in layer.columns {
                    column.close()?.append_to_row_group(&mut group)?;
                }
                group.close()?;
            }
        }
        self.file.into_inner()
    }
}

impl Layer {
    fn write(&mut self, rows: &RecordBatch, schema: &SchemaRef) -> Result<(), ParquetError> {
        let mut writers = self.columns.iter_mut();
        for (field, column) in schema.fields().iter().zip(rows.columns()) {
            for (leaf, writer) in compute_leaves(field, column)?.iter().zip(&mut writers) {
                writer.write(leaf)?;
            }
        }
        self.rows += rows.num_rows();
        Ok(())
    }
}

/// Which rows of `batch` are an action of this name.
fn present<'a>(
    table: &str,
    batch: &'a RecordBatch,
    action: &str,
) -> Result<impl Fn(usize) -> bool + use<'a>, DeltaError> {
    let column = batch.column_by_name(action).and_then(|column| column.as_struct_opt());
    let missing = || kernel(table, delta_kernel::Error::generic(format!("a checkpoint without a column '{action}'")));
    let column = column.ok_or_else(missing)?;
    Ok(|row| column.is_valid(row))
}
