//! The rows of one commit, held to the table's contract and written as they come.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BooleanArray, Int64Array, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};

use super::contract::{Refused, Rules, Shape};
use super::data_file::{Target, Written};
use super::derive;
use super::error::DeltaError;
use super::expect::{Checks, Judged, Origin, Unmet};
use super::partition;
use super::partitioned_writer::PartitionedWriter;
use super::read::{select, to_schema};
use super::row_changes;
use super::schema::find;
use super::upsert::{Fold, Keys, Source, Sums, without_order};
use sluicebox_core::plan::{Otherwise, WriteMode};

/// What became of rows that were written.
#[derive(Debug)]
pub struct Accepted {
    /// The rows that were let in, with the columns and types that the table has.
    pub rows: RecordBatch,
    /// The rows that the contract or an expectation refuses.
    pub refused: Vec<Refused>,
    /// How many rows did not fulfil each expectation, where there were any.
    pub unmet: Vec<Unmet>,
}

/// Rows, and what they say of themselves besides their values.
struct Split {
    rows: RecordBatch,
    /// What each row weighs, where there are any but 1.
    weights: Option<Int64Array>,
    /// How many rows each stands for, where they were added up before they came.
    counts: Option<Int64Array>,
}

/// The rows of one commit. Nothing of them is visible before [`Table::commit`](super::Table::commit).
///
/// Writing encodes and compresses, and to a remote store it waits: call it on a thread
/// that may block.
pub struct Writer {
    pub(super) rules: Rules,
    pub(super) mode: WriteMode,
    /// The table's schema when this began, and with the columns that rows have added since.
    pub(super) began_with: SchemaRef,
    pub(super) schema: SchemaRef,
    /// The columns that rows are brought into: the table's, but for those that are worked out.
    shaped: SchemaRef,
    pub(super) target: Target,
    pub(super) body: Body,
    pub(super) rows: u64,
    shape: Option<Shape>,
    checks: Checks,
}

/// What becomes of the rows.
pub(super) enum Body {
    /// They go to files as they come; for `replace`, the groups they name are kept.
    Rows { files: Option<Box<PartitionedWriter>>, groups: Option<Box<Keys>> },
    /// They wait until the table's rows of the same keys are known.
    Keyed(Box<Source>),
}

impl Writer {
    pub(super) fn new(
        rules: Rules,
        checks: Checks,
        mode: WriteMode,
        schema: SchemaRef,
        target: Target,
        memory: u64,
    ) -> Result<Self, DeltaError> {
        let table = rules.table.clone();
        let mut shaped = schema.clone();
        let body = match &mode {
            WriteMode::Append | WriteMode::Overwrite => Body::Rows { files: None, groups: None },
            WriteMode::Replace { by } => {
                Body::Rows { files: None, groups: Some(Box::new(Keys::new(&table, &schema, by, "by")?)) }
            }
            WriteMode::Upsert { key, order_by, .. } => {
                let fold = Fold::Newest { key: key.clone(), order_by: order_by.clone() };
                Body::Keyed(Box::new(Source::new(&table, &schema, fold, memory)?))
            }
            WriteMode::Accumulate { key, sum, count } => {
                let sums = Sums::new(&table, &schema, key, sum, count)?;
                shaped = sums.inputs(&schema);
                Body::Keyed(Box::new(Source::new(&table, &schema, Fold::Sum(sums), memory)?))
            }
        };
        let began_with = schema.clone();
        Ok(Self { rules, mode, began_with, schema, shaped, target, body, rows: 0, shape: None, checks })
    }

    /// Adds rows, all but those that the contract or an expectation refuses.
    ///
    /// After an error nothing of this writer can be committed: abandon it.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<Accepted, DeltaError> {
        let Split { rows, weights, counts } = self.split(rows)?;
        let incoming = rows.schema();
        let shape = match self.shape.take() {
            Some(shape) if shape.is_for(&incoming) => shape,
            _ => Shape::new(&self.rules, &self.shaped, &incoming)?,
        };
        if shape.schema != self.shaped {
            self.evolve(&shape.schema)?;
        }
        let (shaped, mut refused) = shape.apply(&rows, weights.as_ref())?;
        self.shape = Some(shape);
        let Judged { rows, mut unmet, .. } = self.judge(&rows, shaped, weights.as_ref(), &mut refused)?;
        if rows.num_rows() == 0 {
            return Ok(Accepted { rows, refused, unmet });
        }
        let failed = || DeltaError::arrow("choose rows", &self.rules.table);
        let kept = |numbers: Option<Int64Array>| match numbers {
            Some(numbers) if !refused.is_empty() => {
                let mut kept = vec![true; numbers.len()];
                refused.iter().for_each(|refused| kept[refused.row] = false);
                let kept = arrow_select::filter::filter(&numbers, &BooleanArray::from(kept)).map_err(failed())?;
                Ok::<_, DeltaError>(Some(kept.as_primitive::<Int64Type>().clone()))
            }
            numbers => Ok(numbers),
        };
        let (weights, counts) = (kept(weights)?, kept(counts)?);
        unmet.extend(self.without_order(&rows, weights.as_ref())?);
        self.rows += rows.num_rows() as u64;
        match &mut self.body {
            Body::Keyed(source) => source.write(&rows, weights.as_ref(), counts.as_ref())?,
            Body::Rows { files, groups } => {
                let mut stored = rows.clone();
                if let Some(groups) = groups {
                    groups.add(&rows).map_err(DeltaError::arrow("compare groups", &self.rules.table))?;
                    if let Some(weights) = weights {
                        // What was taken away only names its group.
                        let stays: BooleanArray = weights.values().iter().map(|weight| Some(*weight >= 0)).collect();
                        stored = arrow_select::filter::filter_record_batch(&rows, &stays).map_err(failed())?;
                    }
                }
                if stored.num_rows() > 0 {
                    let files = match files {
                        Some(files) => files,
                        None => files.insert(Box::new(PartitionedWriter::new(self.target.clone(), &self.schema)?)),
                    };
                    files.write(&stored)?;
                }
            }
        }
        Ok(Accepted { rows, refused, unmet })
    }

    /// Holds rows to what the table expects of them; `came` are the rows before the contract took
    /// some out, which are `refused`. Rows that take others away are not stored, so nothing is
    /// expected of them.
    fn judge(
        &mut self,
        came: &RecordBatch,
        shaped: RecordBatch,
        weights: Option<&Int64Array>,
        refused: &mut Vec<Refused>,
    ) -> Result<Judged, DeltaError> {
        let numbers: Option<Vec<usize>> = (!refused.is_empty()).then(|| {
            let mut left = refused.iter().map(|refused| refused.row).peekable();
            (0..came.num_rows()).filter(|row| left.next_if_eq(row).is_none()).collect()
        });
        let origin = Origin { rows: came, weights, numbers: numbers.as_deref() };
        let judged = self.checks.apply(shaped, &origin)?;
        if !judged.refused.is_empty() {
            refused.extend(judged.refused.iter().map(|each| Refused { row: origin.number(each.row), ..each.clone() }));
            refused.sort_by_key(|refused| refused.row);
        }
        Ok(judged)
    }

    /// How many of the rows that say when they were made do not: they are older than all that do.
    fn without_order(&self, rows: &RecordBatch, weights: Option<&Int64Array>) -> Result<Option<Unmet>, DeltaError> {
        let WriteMode::Upsert { order_by: Some(column), .. } = &self.mode else {
            return Ok(None);
        };
        let Some(index) = find(rows.schema_ref(), column) else {
            return Ok(None);
        };
        let mut values = Arc::clone(rows.column(index));
        if let Some(weights) = weights {
            // A row that is there no more was counted when it came.
            let came: BooleanArray = weights.values().iter().map(|weight| Some(*weight != -1)).collect();
            let failed = DeltaError::arrow("compare rows", &self.rules.table);
            values = arrow_select::filter::filter(&values, &came).map_err(failed)?;
        }
        let rows = without_order(&values) as u64;
        let column = column.clone();
        Ok((rows > 0).then_some(Unmet { column, rule: "order_by", otherwise: Otherwise::Warn, rows }))
    }

    /// Names groups that are emptied, even if no row of them is written. `groups` has the columns
    /// that a replaced table is replaced by; others are not looked at.
    pub fn replace_groups(&mut self, groups: &RecordBatch) -> Result<(), DeltaError> {
        let table = self.rules.table.clone();
        let (Body::Rows { groups: Some(keys), .. }, WriteMode::Replace { by }) = (&mut self.body, &self.mode) else {
            return Err(DeltaError::NoGroups { table });
        };
        let schema = select(&table, &self.schema, Some(by))?;
        let lacks = schema.fields().iter().find(|field| find(groups.schema_ref(), field.name()).is_none());
        if let Some(field) = lacks {
            return Err(DeltaError::MissingColumn { table, column: field.name().clone() });
        }
        let failed = || DeltaError::arrow("compare groups", &table);
        let named = to_schema(groups, &schema).map_err(failed())?;
        keys.add(&writable(&named, &self.target.partition_by).map_err(failed())?).map_err(failed())
    }

    /// The columns that are stored or worked with, and what each row counts where the mode asks for it.
    fn split(&self, rows: &RecordBatch) -> Result<Split, DeltaError> {
        let failed = || DeltaError::arrow("choose columns", &self.rules.table);
        if self.mode.key().is_empty() {
            return Ok(Split { rows: rows.clone(), weights: None, counts: None });
        }
        let delete_when = match &self.mode {
            WriteMode::Upsert { delete_when, .. } => delete_when.as_ref(),
            _ => None,
        };
        let (mut rows, weights) = row_changes::split(&self.rules.table, &self.schema, rows, delete_when)?;
        let mut counts = None;
        if let WriteMode::Accumulate { count, .. } = &self.mode {
            counts = row_changes::counts(&self.rules.table, count, &rows, weights.as_ref())?;
            rows = derive::onto(&self.rules.table, &self.rules.ahead, &rows)?;
            let wanted: Vec<usize> =
                self.shaped.fields().iter().filter_map(|field| find(rows.schema_ref(), field.name())).collect();
            rows = rows.project(&wanted).map_err(failed())?;
        }
        Ok(Split { rows, weights, counts })
    }

    fn evolve(&mut self, schema: &SchemaRef) -> Result<(), DeltaError> {
        match &mut self.body {
            Body::Rows { files: Some(files), .. } => {
                // Rows that are already in files cannot take another type.
                let retyped = self.schema.fields().iter().find_map(|field| {
                    let now = schema.field_with_name(field.name()).ok()?;
                    let differs = now.data_type() != field.data_type() && !field.data_type().is_nested();
                    differs.then(|| DeltaError::TypeChange {
                        table: self.rules.table.clone(),
                        column: field.name().clone(),
                        expected: field.data_type().clone(),
                        found: now.data_type().clone(),
                    })
                });
                if let Some(error) = retyped {
                    return Err(error);
                }
                files.evolve(schema)?;
            }
            Body::Rows { files: None, .. } => {}
            Body::Keyed(source) => source.evolve(schema),
        }
        self.schema = schema.clone();
        self.shaped = schema.clone();
        Ok(())
    }

    /// Rows that were let in.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes that this writer holds in memory.
    pub fn bytes_buffered(&self) -> usize {
        let checks = self.checks.bytes();
        checks
            + match &self.body {
                Body::Rows { files, groups } => {
                    files.as_ref().map_or(0, |files| files.bytes_buffered())
                        + groups.as_ref().map_or(0, |keys| keys.bytes())
                }
                Body::Keyed(source) => source.bytes(),
            }
    }

    /// Gives the rows up and removes what was written of them.
    pub async fn abandon(self) {
        if let Body::Rows { files: Some(files), .. } = self.body {
            let paths = files.complete_paths();
            drop(files);
            sluicebox_stores::discard(&self.target.location, paths).await;
        }
    }
}

/// The groups that a table can have rows of: no row has a value that its log cannot write.
fn writable(groups: &RecordBatch, partition_by: &[String]) -> Result<RecordBatch, ArrowError> {
    let mut kept = vec![true; groups.num_rows()];
    for index in partition_by.iter().filter_map(|column| find(groups.schema_ref(), column)) {
        partition::unwritable(groups.column(index)).into_iter().for_each(|row| kept[row] = false);
    }
    arrow_select::filter::filter_record_batch(groups, &BooleanArray::from(kept))
}

/// What is left of a body when its files are complete: what the table's rows are matched with.
pub(super) enum Match {
    /// The table's rows are not looked at.
    Nothing,
    /// Rows of these groups go.
    Groups(Box<Keys>),
    /// Rows of these keys give way.
    Rows(Box<Source>),
}

impl Body {
    /// Completes the files; blocks.
    pub(super) fn finish(self) -> (Result<Vec<Written>, DeltaError>, Match) {
        match self {
            Body::Rows { files, groups } => (
                files.map_or_else(|| Ok(Vec::new()), |files| files.finish()),
                groups.map_or(Match::Nothing, Match::Groups),
            ),
            Body::Keyed(source) => (Ok(Vec::new()), Match::Rows(source)),
        }
    }
}
