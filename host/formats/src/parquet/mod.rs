//! Parquet, one row group's pages at a time.
//!
//! What people may rely on: declared columns are cast to their declared types without loss, and
//! a row where that cannot be done is bad; every other column is read as the plain type that
//! holds all of its values (unsigned numbers become wider signed ones, nanoseconds and INT96
//! microseconds). A time that microseconds do not hold makes its row bad, too.

mod delta;
mod footer;
mod int96;
mod pages;
mod ranges;
mod thrift;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Fields, SchemaRef};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowSelection, RowSelector,
};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use self::int96::{Marks, in_micros, without_marks};
use self::pages::{Budget, Group};
use self::ranges::{Ranges, Source};
pub use self::write::ParquetWriter;
use super::plain::{Codes, Misfits, Plan, check_types};
use super::{Decoded, FileSpec, FormatError, Input, Meter, Rows, limits};
use sluicebox_core::plan::Timestamps;
use sluicebox_core::reject::RejectCode;

const CODES: Codes = Codes { kind: RejectCode::ParquetType, null: RejectCode::ParquetNull };

struct ParquetRows {
    source: Source,
    metadata: Arc<ParquetMetaData>,
    levels: FieldLevels,
    /// The leaves of the columns that are read.
    leaves: Vec<usize>,
    plan: Plan,
    marks: Arc<Marks>,
    /// The row group that is read, the batches of it, and how many of its rows are done.
    group: usize,
    batches: Option<(ParquetRecordBatchReader, Arc<Budget>)>,
    within: usize,
    /// Rows of a batch at most, and at present.
    most: usize,
    batch: usize,
    done: u64,
    /// The file's size counts as read with its share of the rows.
    meter: Meter,
    rows: u64,
}

/// Opens a Parquet file.
pub(super) fn open(input: &Input, spec: &FileSpec<'_>, meter: &Meter) -> Result<Box<dyn Rows>, FormatError> {
    let source = Source::open(input)?;
    let (metadata, fields) = metadata(&source)?;
    let plan = Plan::of_file(&arrow_schema::Schema::new(fields.clone()), spec, CODES)?;
    let rows: u64 = metadata.file_metadata().num_rows().try_into().unwrap_or(0);
    if spec.skip > rows {
        return Err(FormatError::Shorter { found: rows, expected: spec.skip });
    }
    let schema = metadata.file_metadata().schema_descr();
    let mask = ProjectionMask::roots(schema, plan.sources().iter().copied());
    let leaves: Vec<usize> = (0..schema.num_columns()).filter(|leaf| mask.leaf_included(*leaf)).collect();
    codecs(&metadata, &leaves)?;
    let levels = parquet_to_arrow_field_levels(schema, mask, Some(&fields)).map_err(|error| broken(0, error))?;
    let width = plan.sources().iter().map(|source| limits::width(fields[*source].data_type()));
    let most = limits::batch_rows(width.fold(0, usize::saturating_add));
    let mut reader = ParquetRows {
        source,
        metadata,
        levels,
        leaves,
        plan: plan.compact().exact(spec.timestamps),
        marks: Arc::new(Marks::new(spec.timestamps == Timestamps::Truncate)),
        group: 0,
        batches: None,
        within: 0,
        most,
        batch: most,
        done: 0,
        meter: meter.clone(),
        rows,
    };
    reader.skip(spec.skip);
    Ok(Box::new(reader))
}

/// The columns of a Parquet file, as plain types.
pub(super) fn schema(input: &Input) -> Result<SchemaRef, FormatError> {
    let (_, fields) = metadata(&Source::open(input)?)?;
    Ok(Plan::new(&arrow_schema::Schema::new(fields), None, CODES)?.inferred())
}

/// The footer, and the columns.
fn metadata(source: &Source) -> Result<(Arc<ParquetMetaData>, Fields), FormatError> {
    let metadata = footer::read(source)?;
    // The writer's own Arrow schema would bring back its dictionaries and views.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let arrow = ArrowReaderMetadata::try_new(metadata.clone(), options).map_err(|error| broken(0, error))?;
    let fields = in_micros(arrow.schema().fields(), metadata.file_metadata().schema_descr());
    check_types(&fields)?;
    Ok((metadata, fields))
}

/// Refuses a codec by its name before the first page of it is met.
fn codecs(metadata: &ParquetMetaData, leaves: &[usize]) -> Result<(), FormatError> {
    for group in metadata.row_groups() {
        for leaf in leaves {
            if group.column(*leaf).compression() == Compression::LZO {
                return Err(FormatError::Codec { codec: "lzo".to_owned() });
            }
        }
    }
    Ok(())
}

fn broken(done: u64, error: ParquetError) -> FormatError {
    FormatError::Parquet { done, source: error.into() }
}

impl ParquetRows {
    fn group_rows(&self, at: usize) -> usize {
        usize::try_from(self.metadata.row_group(at).num_rows()).unwrap_or(0)
    }

    /// Leaves out rows before anything is read.
    fn skip(&mut self, rows: u64) {
        self.done = rows;
        let mut left = usize::try_from(rows).unwrap_or(usize::MAX);
        while self.group < self.metadata.num_row_groups() && left >= self.group_rows(self.group) {
            left -= self.group_rows(self.group);
            self.group += 1;
        }
        self.within = left;
    }

    /// Begins with the rest of the present row group.
    fn begin(&self) -> Result<(ParquetRecordBatchReader, Arc<Budget>), FormatError> {
        let budget = Budget::new(self.batch, self.within > 0);
        let shared = (&budget, &self.marks);
        let group = Group::open(&self.source, &self.metadata, self.group, &self.leaves, shared)?;
        let left = self.group_rows(self.group).saturating_sub(self.within);
        let selection = (self.within > 0)
            .then(|| RowSelection::from(vec![RowSelector::skip(self.within), RowSelector::select(left)]));
        let reader = ParquetRecordBatchReader::try_new_with_row_groups(&self.levels, &group, self.batch, selection);
        Ok((reader.map_err(|error| broken(self.done, error))?, budget))
    }

    /// The next rows as the file has them.
    fn batch(&mut self) -> Result<Option<RecordBatch>, FormatError> {
        while self.group < self.metadata.num_row_groups() {
            if self.within >= self.group_rows(self.group) {
                self.next_group();
                continue;
            }
            let (mut reader, budget) = match self.batches.take() {
                Some(batches) => batches,
                None => self.begin()?,
            };
            budget.begin();
            match reader.next() {
                Some(Ok(rows)) => {
                    budget.end();
                    self.within += rows.num_rows();
                    self.batches = Some((reader, budget));
                    return Ok(Some(rows));
                }
                Some(Err(_)) if budget.is_over() && self.batch > 1 => self.batch = (self.batch / 4).max(1),
                Some(Err(source)) => return Err(FormatError::Parquet { done: self.done, source }),
                None => {
                    let message = format!("row group {} has fewer rows than it says", self.group);
                    return Err(broken(self.done, ParquetError::General(message)));
                }
            }
        }
        Ok(None)
    }

    fn next_group(&mut self) {
        self.group += 1;
        self.within = 0;
        self.batches = None;
        self.batch = (self.batch * 2).min(self.most);
    }

    /// The rows with a time that microseconds do not hold, and what can be shown of all.
    fn marked(&self, rows: &RecordBatch) -> Result<(Misfits, RecordBatch), FormatError> {
        let mut marked = BTreeMap::new();
        if !self.marks.any() {
            return Ok((marked, rows.clone()));
        }
        for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            if !field.data_type().is_nested() && !field.data_type().is_temporal() {
                continue;
            }
            for row in 0..rows.num_rows() {
                if let Some(time) = self.marks.find(column, row) {
                    let message = format!("column `{}`: microseconds do not hold `{time}`", field.name());
                    marked.entry(row).or_insert((CODES.kind, message));
                }
            }
        }
        let columns = rows.columns().iter().map(without_marks).collect();
        let shown = RecordBatch::try_new(rows.schema(), columns).map_err(FormatError::Rows)?;
        Ok((marked, shown))
    }
}

impl Rows for ParquetRows {
    fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
        let Some(rows) = self.batch()? else {
            if self.done < self.rows {
                let message = format!("its row groups have {} rows, and it says {}", self.done, self.rows);
                return Err(broken(self.done, ParquetError::General(message)));
            }
            return Ok(None);
        };
        let first = self.done;
        let (marked, rows) = self.marked(&rows)?;
        let decoded = self.plan.decode_besides(&rows, first, marked)?;
        self.done = decoded.done;
        let bytes = self.source.size();
        let share = |done: u64| (u128::from(bytes) * u128::from(done) / u128::from(self.rows.max(1))) as u64;
        self.meter.add(share(self.done).saturating_sub(share(first)));
        Ok(Some(decoded))
    }
}
