//! Checkpoints of the log.
//!
//! The kernel says what a checkpoint holds, and it is written here, for two reasons. A table that takes
//! many small commits keeps removes of files for a week, a hundred for each file that it has; each kind of
//! action gets row groups of its own, so that whoever opens the table reads those of the kind it wants and
//! skips the others by their null counts. And a checkpoint that a power cut cut off would hide the log
//! behind it, so it is put as commits are: whole and flushed, or not at all.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use delta_kernel::checkpoint::LastCheckpointHintStats;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::{ActionReconciliationIterator, Engine, Snapshot};
use deltalake::DeltaTableError;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use url::Url;

use super::entry::{EntryError, put_new};
use super::error::LakeError;
use super::log;
use super::table::Table;

/// Columns whose values are all different, so that a dictionary is built in vain.
const UNIQUE: [[&str; 2]; 3] = [["add", "path"], ["add", "stats"], ["remove", "path"]];

impl Table {
    /// Makes a checkpoint of the version that this handle knows.
    ///
    /// # Errors
    /// The log cannot be read, or nothing can be put beside it. The table is as it was.
    pub(super) async fn make_checkpoint(&self) -> Result<(), LakeError> {
        let version = self.state()?.version();
        let log = self.delta.log_store();
        let engine = log.engine(None);
        let url = log.transaction_url(None).map_err(LakeError::delta(ACTION, self.name()))?;
        let location = self.location.clone();
        let name = self.name().to_owned();
        let runtime = tokio::runtime::Handle::current();
        let task = move || {
            let put = |path: Path, bytes| runtime.block_on(put_new(&location, &path, bytes));
            checkpoint(&name, engine.as_ref(), url, version, put)
        };
        let failed = |source| LakeError::Task { action: ACTION, table: self.name().to_owned(), source };
        tokio::task::spawn_blocking(task).await.map_err(failed)?
    }
}

const ACTION: &str = "make a checkpoint of";

fn checkpoint(
    table: &str,
    engine: &dyn Engine,
    url: Url,
    version: u64,
    put: impl FnOnce(Path, Bytes) -> Result<(), EntryError>,
) -> Result<(), LakeError> {
    let kernel = |error: delta_kernel::Error| LakeError::delta(ACTION, table)(DeltaTableError::from(error));
    let snapshot = Snapshot::builder_for(url).at_version(version).build(engine).map_err(kernel)?;
    let writer = snapshot.create_checkpoint_writer(engine).map_err(kernel)?;
    let actions = writer.checkpoint_data(engine).map_err(kernel)?;
    let state = actions.state();
    let bytes = Bytes::from(layers(table, actions)?);
    let size = bytes.len() as u64;
    match put(log::checkpoint_path(version), bytes) {
        Ok(()) => {}
        // Somebody else was faster; what it holds is the same.
        Err(EntryError::Exists) => return Ok(()),
        Err(EntryError::Failed(error)) => return Err(error),
    }
    // The actions were read to their end, and with them went the only other handle.
    let Some(state) = Arc::into_inner(state) else {
        return Err(kernel(delta_kernel::Error::generic("the state of a checkpoint is still in use")));
    };
    let hint = LastCheckpointHintStats::from_reconciliation_state(state, size, 0).map_err(kernel)?;
    writer.finalize(engine, &hint).map_err(kernel)
}

/// The bytes of a checkpoint: first what is neither the adding nor the removing of a file, then the adds,
/// then the removes.
fn layers(table: &str, actions: ActionReconciliationIterator) -> Result<Vec<u8>, LakeError> {
    let kernel = |error: delta_kernel::Error| LakeError::delta(ACTION, table)(DeltaTableError::from(error));
    let mut layers: [Vec<RecordBatch>; 3] = Default::default();
    for batch in actions {
        let data = batch.and_then(|batch| batch.apply_selection_vector()).map_err(kernel)?;
        let batch: RecordBatch = (*ArrowEngineData::try_from_engine_data(data).map_err(kernel)?).into();
        let [adds, removes] = ["add", "remove"].map(|action| present(&batch, action));
        let rest: BooleanArray =
            adds.iter().zip(&removes).map(|(add, remove)| Some(add != Some(true) && remove != Some(true))).collect();
        for (layer, rows) in layers.iter_mut().zip([rest, adds, removes]) {
            if rows.true_count() > 0 {
                layer.push(filter_record_batch(&batch, &rows).map_err(LakeError::arrow(ACTION, table))?);
            }
        }
    }
    write(&layers).map_err(LakeError::parquet(ACTION, table))
}

/// The rows of `batch` that are an action of this name.
fn present(batch: &RecordBatch, action: &str) -> BooleanArray {
    let Some(column) = batch.column_by_name(action).and_then(|column| column.as_struct_opt()) else {
        return vec![false; batch.num_rows()].into();
    };
    (0..batch.num_rows()).map(|row| Some(column.is_valid(row))).collect()
}

fn write(layers: &[Vec<RecordBatch>]) -> Result<Vec<u8>, ParquetError> {
    let Some(first) = layers.iter().flatten().next() else {
        return Err(ParquetError::General("a log without a single action".to_owned()));
    };
    // What every reader of Delta can unpack, as Spark packs its checkpoints so.
    let mut properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
    for column in UNIQUE {
        let column = ColumnPath::new(column.map(str::to_owned).to_vec());
        properties = properties.set_column_dictionary_enabled(column, false);
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), first.schema(), Some(properties.build()))?;
    for layer in layers {
        for batch in layer {
            writer.write(batch)?;
        }
        writer.flush()?;
    }
    writer.into_inner()
}
