//! Parquet, one row group's pages at a time.
//!
//! What people may rely on: declared columns are cast to their declared types without loss, and
//! a row where that cannot be done is bad; every other column is read as the plain type that
//! holds all of its values (unsigned numbers become wider signed ones, nanoseconds microseconds).

mod remote;
mod write;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use futures::StreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::errors::ParquetError;

use self::remote::Object;
pub use self::write::ParquetWriter;
use super::plain::{Codes, Plan};
use super::{BATCH_ROWS, Decoded, FileSpec, FormatError, Input, Meter, Rows};

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

const CODES: Codes = Codes { kind: "parquet.type", null: "parquet.null" };

struct ParquetRows {
    batches: Batches,
    plan: Plan,
    done: u64,
    /// The file's size counts as read with its share of the rows.
    meter: Meter,
    bytes: u64,
    rows: u64,
}

/// Opens a Parquet file.
pub(super) fn open(input: &Input, spec: &FileSpec<'_>, meter: &Meter) -> Result<Box<dyn Rows>, FormatError> {
    let (metadata, bytes) = metadata(input)?;
    let plan = Plan::of_file(metadata.schema(), spec, CODES)?;
    let skip = spec.skip;
    let rows: u64 = metadata.metadata().file_metadata().num_rows().try_into().unwrap_or(0);
    if skip > rows {
        return Err(FormatError::Shorter { found: rows, expected: skip });
    }
    let mask = ProjectionMask::roots(metadata.parquet_schema(), plan.sources().iter().copied());
    let offset = usize::try_from(skip).unwrap_or(usize::MAX);
    let batches: Batches = match input {
        Input::Local(file) => {
            let file = file.open_whole()?;
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .with_offset(offset)
                .build()
                .map_err(|error| broken(0, error))?;
            Box::new(reader)
        }
        Input::Remote { store, path, runtime } => {
            let reader = Object { store: store.clone(), path: path.clone(), bytes };
            let mut stream = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata)
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .with_offset(offset)
                .build()
                .map_err(|error| broken(0, error))?;
            let runtime = runtime.clone();
            Box::new(std::iter::from_fn(move || {
                runtime.block_on(stream.next()).map(|rows| rows.map_err(ArrowError::from))
            }))
        }
    };
    Ok(Box::new(ParquetRows { batches, plan: plan.compact(), done: skip, meter: meter.clone(), bytes, rows }))
}

/// The columns of a Parquet file, as plain types.
pub(super) fn schema(input: &Input) -> Result<SchemaRef, FormatError> {
    let (metadata, _) = metadata(input)?;
    Ok(Plan::new(metadata.schema(), None, CODES)?.inferred())
}

/// The footer, and the file's size.
fn metadata(input: &Input) -> Result<(ArrowReaderMetadata, u64), FormatError> {
    // The writer's own Arrow schema would bring back its dictionaries and views.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    match input {
        Input::Local(file) => {
            let file = file.open_whole()?;
            let bytes = file.metadata().map_err(FormatError::Open)?.len();
            Ok((ArrowReaderMetadata::load(&file, options).map_err(|error| broken(0, error))?, bytes))
        }
        Input::Remote { store, path, runtime } => runtime.block_on(async {
            use object_store::ObjectStoreExt;
            let bytes = store.head(path).await?.size;
            let mut reader = Object { store: store.clone(), path: path.clone(), bytes };
            let metadata = ArrowReaderMetadata::load_async(&mut reader, options).await;
            Ok((metadata.map_err(|error| broken(0, error))?, bytes))
        }),
    }
}

fn broken(done: u64, error: ParquetError) -> FormatError {
    FormatError::Parquet { done, source: error.into() }
}

impl Rows for ParquetRows {
    fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
        let Some(rows) = self.batches.next() else {
            return Ok(None);
        };
        let rows = rows.map_err(|source| FormatError::Parquet { done: self.done, source })?;
        let first = self.done;
        let decoded = self.plan.decode(&rows, first)?;
        self.done = decoded.done;
        let share = |done: u64| (u128::from(self.bytes) * u128::from(done) / u128::from(self.rows.max(1))) as u64;
        self.meter.add(share(self.done) - share(first));
        Ok(Some(decoded))
    }
}
