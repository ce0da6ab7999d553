//! Reads data files of any writer with the table's present schema.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use deltalake::kernel::{Add, AddCDCFile, DeletionVectorDescriptor};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use roaring::RoaringTreemap;

use super::convert::Conversion;
use super::error::DeltaError;
use super::mapping::Mapping;
use super::object::Object;
use super::partition;
use super::schema::find;
use super::vectors;
use sluicebox_core::columns::same_column;
use sluicebox_stores::Location;

/// Rows of one batch, which fit a processor's cache.
pub(super) const BATCH_ROWS: usize = 8192;

/// A data file as the log describes it.
#[derive(Clone, Debug)]
pub(super) struct DataRef {
    /// From the table's root, decoded.
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) partition: HashMap<String, Option<String>>,
    pub(super) stats: Option<String>,
    pub(super) modified: i64,
    /// Which of its rows are deleted.
    pub(super) vector: Option<DeletionVectorDescriptor>,
    /// Only these rows of it, if not all.
    pub(super) only: Option<Arc<RoaringTreemap>>,
}

impl DataRef {
    /// The file of an `add` action.
    pub(super) fn of(add: &Add) -> Self {
        Self {
            path: add.path.clone(),
            size: u64::try_from(add.size).unwrap_or_default(),
            partition: add.partition_values.clone(),
            stats: add.stats.clone(),
            modified: add.modification_time,
            vector: add.deletion_vector.clone(),
            only: None,
        }
    }

    /// The file of a `cdc` action.
    pub(super) fn of_changes(cdc: &AddCDCFile) -> Self {
        Self {
            path: cdc.path.clone(),
            size: u64::try_from(cdc.size).unwrap_or_default(),
            partition: cdc.partition_values.clone(),
            stats: None,
            modified: 0,
            vector: None,
            only: None,
        }
    }

    /// Its number of rows, if the log has it.
    pub(super) fn rows(&self) -> Option<u64> {
        let stats: serde_json::Value = serde_json::from_str(self.stats.as_deref()?).ok()?;
        let deleted = self.vector.as_ref().map_or(0, |vector| vector.cardinality.unsigned_abs());
        stats.get("numRecords")?.as_u64()?.checked_sub(deleted)
    }
}

/// The read context: the store and the schema of a table.
#[derive(Clone)]
pub(super) struct ReadContext {
    pub(super) location: Location,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) table: String,
    pub(super) partition_by: Arc<[String]>,
    /// The column mapping, if the table has one.
    pub(super) mapping: Option<Arc<Mapping>>,
}

impl ReadContext {
    /// A file as the log describes it, with the table's column names.
    pub(super) fn named(&self, file: DataRef) -> DataRef {
        match &self.mapping {
            Some(mapping) => mapping.file(file),
            None => file,
        }
    }
}

/// How the columns of one file are mapped to those of a table.
pub(super) struct Arrangement {
    schema: SchemaRef,
    /// By position in `schema`: the file's column of that name. A projection keeps the file's order, so columns are
    /// found by name.
    names: Vec<(usize, String)>,
    /// The values of the partition columns, as long as a batch.
    constants: Vec<(usize, ArrayRef)>,
}

impl Arrangement {
    /// An arrangement for rows of `stored` in a file with these partition values; `path` names it in messages.
    pub(super) fn new(
        partition_by: &[String],
        partition: &HashMap<String, Option<String>>,
        stored: &Schema,
        schema: &SchemaRef,
        path: &str,
    ) -> Result<Self, DeltaError> {
        let (mut names, mut constants) = (Vec::new(), Vec::new());
        for (position, field) in schema.fields().iter().enumerate() {
            if let Some(column) = partition_by.iter().find(|column| same_column(column, field.name())) {
                let value = partition.get(column).cloned().flatten();
                let array = partition::column(field.data_type(), value.as_deref(), BATCH_ROWS).ok_or_else(|| {
                    DeltaError::PartitionValue {
                        path: path.to_owned(),
                        column: column.clone(),
                        value: value.unwrap_or_default(),
                    }
                })?;
                constants.push((position, array));
            } else if let Some(index) = find(stored, field.name()) {
                names.push((position, stored.field(index).name().clone()));
            }
        }
        Ok(Self { schema: Arc::clone(schema), names, constants })
    }

    /// The columns of the file that are needed, as positions in `stored`.
    pub(super) fn wanted<'a>(&'a self, stored: &'a Schema) -> impl Iterator<Item = usize> + 'a {
        self.names.iter().filter_map(|(_, name)| stored.index_of(name).ok())
    }

    /// Rows of the file with the table's columns.
    pub(super) fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        if rows.num_rows() <= BATCH_ROWS || self.constants.is_empty() {
            return reshape(rows, &self.schema, &self.names, &self.constants);
        }
        let pieces = (0..rows.num_rows())
            .step_by(BATCH_ROWS)
            .map(|from| rows.slice(from, BATCH_ROWS.min(rows.num_rows() - from)))
            .map(|piece| reshape(&piece, &self.schema, &self.names, &self.constants))
            .collect::<Result<Vec<_>, _>>()?;
        arrow_select::concat::concat_batches(&self.schema, &pieces)
    }
}

/// The path of a data file in the table's store. Files outside of the table are not read.
pub(super) fn path_of(context: &ReadContext, file: &DataRef) -> Result<Path, DeltaError> {
    if file.path.contains("://") {
        return Err(DeltaError::Feature {
            table: context.table.clone(),
            feature: format!("a file outside of it ({})", file.path),
        });
    }
    Path::parse(&file.path).map_err(|source| {
        DeltaError::store("read data file", format!("{}/{}", context.table, file.path))(source.into())
    })
}

/// The rows of a file with the columns of `schema`, in file order, one row group in memory at a time.
pub(super) async fn open(
    context: &ReadContext,
    file: &DataRef,
    schema: SchemaRef,
) -> Result<BoxStream<'static, Result<RecordBatch, DeltaError>>, DeltaError> {
    let name = format!("{}/{}", context.table, file.path);
    let path = path_of(context, file)?;
    let failed = || DeltaError::parquet("read", &name);
    let reader = Object { store: Arc::clone(&context.store), path, size: file.size };
    // The table's schema is used, and not an Arrow schema that another writer put into the file.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options).await.map_err(failed())?;

    let mapping = context.mapping.clone();
    let stored = match &mapping {
        Some(mapping) => Arc::new(mapping.schema(builder.schema())),
        None => Arc::clone(builder.schema()),
    };
    let arrangement = Arrangement::new(&context.partition_by, &file.partition, &stored, &schema, &name)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), arrangement.wanted(&stored));
    let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(failed())?;
    let deleted = match (&file.only, &file.vector) {
        (Some(_), _) | (None, None) => None,
        (None, Some(vector)) => Some(vectors::load(context, &file.path, vector).await?),
    };
    let (only, mut row) = (file.only.clone(), 0);
    let table = context.table.clone();
    let stream = batches.map_err(move |source| DeltaError::Parquet {
        action: "read",
        path: name.clone(),
        source: Box::new(source),
    });
    Ok(stream
        .and_then(move |batch| {
            let first = row;
            row += batch.num_rows() as u64;
            let named = mapping.as_ref().map_or_else(|| Ok(batch.clone()), |mapping| mapping.rows(&batch));
            let shaped = named.and_then(|rows| arrangement.apply(&rows)).and_then(|rows| match (&only, &deleted) {
                (Some(only), _) => of_rows(&rows, |at| only.contains(first + at)),
                (None, Some(deleted)) => of_rows(&rows, |at| !deleted.contains(first + at)),
                (None, None) => Ok(rows),
            });
            std::future::ready(shaped.map_err(DeltaError::arrow("read rows", &table)))
        })
        .boxed())
}

/// The rows with the wanted row numbers.
pub(super) fn of_rows(rows: &RecordBatch, wanted: impl Fn(u64) -> bool) -> Result<RecordBatch, ArrowError> {
    let wanted: BooleanArray = (0..rows.num_rows() as u64).map(|row| Some(wanted(row))).collect();
    match wanted.true_count() == rows.num_rows() {
        true => Ok(rows.clone()),
        false => arrow_select::filter::filter_record_batch(rows, &wanted),
    }
}

fn reshape(
    batch: &RecordBatch,
    schema: &SchemaRef,
    names: &[(usize, String)],
    constants: &[(usize, ArrayRef)],
) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let mut columns: Vec<Option<ArrayRef>> = vec![None; schema.fields().len()];
    for (position, name) in names {
        if let Some(column) = batch.column_by_name(name) {
            columns[*position] = Some(as_type(column, schema.field(*position).data_type())?);
        }
    }
    for (position, array) in constants {
        columns[*position] = Some(array.slice(0, rows));
    }
    let columns = columns
        .into_iter()
        .zip(schema.fields())
        .map(|(column, field)| column.unwrap_or_else(|| new_null_array(field.data_type(), rows)))
        .collect();
    RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &RecordBatchOptions::new().with_row_count(Some(rows)),
    )
}

/// Rows with the columns of `schema`: missing ones are null.
pub(super) fn to_schema(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if rows.schema_ref() == schema {
        return Ok(rows.clone());
    }
    let names: Vec<(usize, String)> = schema
        .fields()
        .iter()
        .enumerate()
        .filter_map(|(position, field)| {
            find(rows.schema_ref(), field.name()).map(|index| (position, rows.schema_ref().field(index).name().clone()))
        })
        .collect();
    reshape(rows, schema, &names, &[])
}

/// A stored column in the table's type. A value that does not fit is an error.
fn as_type(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let conversion = Conversion::between(column.data_type(), to);
    match conversion {
        Conversion::Same => Ok(Arc::clone(column)),
        Conversion::Struct { .. } | Conversion::List(_) => {
            let mut losses = Vec::new();
            let converted = conversion.apply("", column, to, &mut losses)?;
            match losses.first() {
                None => Ok(converted),
                Some(loss) => Err(ArrowError::CastError(format!("a value of column '{}' does not fit", loss.path))),
            }
        }
        _ => cast_with_options(column, to, &CastOptions { safe: false, ..CastOptions::default() }),
    }
}

/// The columns of `schema` named by `names`, in that order.
pub(super) fn select(table: &str, schema: &SchemaRef, names: Option<&[String]>) -> Result<SchemaRef, DeltaError> {
    let Some(names) = names else {
        return Ok(Arc::clone(schema));
    };
    let fields = names
        .iter()
        .map(|name| match find(schema, name) {
            Some(index) => Ok(schema.field(index).clone()),
            None => Err(DeltaError::NoSuchColumn { table: table.to_owned(), column: name.clone(), role: "reader" }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}
