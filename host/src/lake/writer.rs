//! The rows of one commit, held to the table's contract and written as they come.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::contract::{Refused, Rules, Shape};
use super::data;
use super::data::{Target, Written};
use super::error::LakeError;
use super::expect::{Checks, Judged, Origin, Unmet};
use super::files::Files;
use super::upsert::{Keys, Source};
use crate::plan::WriteMode;

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
    pub(super) target: Target,
    pub(super) body: Body,
    pub(super) rows: u64,
    shape: Option<Shape>,
    checks: Checks,
}

/// What becomes of the rows.
pub(super) enum Body {
    /// They go to files as they come; for `replace`, the groups they name are kept.
    Files { files: Option<Box<Files>>, groups: Option<Box<Keys>> },
    /// They wait until the table's rows of the same keys are known.
    Upsert(Box<Source>),
}

impl Writer {
    pub(super) fn new(
        rules: Rules,
        checks: Checks,
        mode: WriteMode,
        schema: SchemaRef,
        target: Target,
    ) -> Result<Self, LakeError> {
        let table = rules.table.clone();
        let body = match &mode {
            WriteMode::Append | WriteMode::Overwrite => Body::Files { files: None, groups: None },
            WriteMode::Replace { by } => {
                Body::Files { files: None, groups: Some(Box::new(Keys::new(&table, &schema, by, "by")?)) }
            }
            WriteMode::Upsert { key, order_by, .. } => {
                Body::Upsert(Box::new(Source::new(&table, &schema, key, order_by.as_deref())?))
            }
            WriteMode::Accumulate { .. } => {
                return Err(LakeError::Feature { table, feature: "mode accumulate".to_owned() });
            }
        };
        Ok(Self { rules, mode, began_with: schema.clone(), schema, target, body, rows: 0, shape: None, checks })
    }

    /// Adds rows, all but those that the contract or an expectation refuses.
    ///
    /// After an error nothing of this writer can be committed: abandon it.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<Accepted, LakeError> {
        let incoming = rows.schema();
        let shape = match self.shape.take() {
            Some(shape) if shape.is_for(&incoming) => shape,
            _ => Shape::new(&self.rules, &self.schema, &incoming)?,
        };
        if shape.schema != self.schema {
            self.evolve(&shape.schema)?;
        }
        let (shaped, mut refused) = shape.apply(rows)?;
        self.shape = Some(shape);
        let Judged { rows, unmet, .. } = self.judge(rows, shaped, &mut refused)?;
        if rows.num_rows() == 0 {
            return Ok(Accepted { rows, refused, unmet });
        }
        self.rows += rows.num_rows() as u64;
        match &mut self.body {
            Body::Upsert(source) => source.write(rows.clone())?,
            Body::Files { files, groups } => {
                if let Some(groups) = groups {
                    groups.add(&rows).map_err(LakeError::arrow("compare groups", &self.rules.table))?;
                }
                let files = match files {
                    Some(files) => files,
                    None => files.insert(Box::new(Files::new(self.target.clone(), &self.schema)?)),
                };
                files.write(&rows)?;
            }
        }
        Ok(Accepted { rows, refused, unmet })
    }

    /// Holds rows to what the table expects of them; `came` are the rows before the contract took
    /// some out, which are `refused`.
    fn judge(
        &mut self,
        came: &RecordBatch,
        shaped: RecordBatch,
        refused: &mut Vec<Refused>,
    ) -> Result<Judged, LakeError> {
        let numbers: Option<Vec<usize>> = (!refused.is_empty()).then(|| {
            let mut left = refused.iter().map(|refused| refused.row).peekable();
            (0..came.num_rows()).filter(|row| left.next_if_eq(row).is_none()).collect()
        });
        let origin = Origin { rows: came, numbers: numbers.as_deref() };
        let judged = self.checks.apply(shaped, &origin)?;
        if !judged.refused.is_empty() {
            refused.extend(judged.refused.iter().map(|each| Refused { row: origin.number(each.row), ..each.clone() }));
            refused.sort_by_key(|refused| refused.row);
        }
        Ok(judged)
    }

    fn evolve(&mut self, schema: &SchemaRef) -> Result<(), LakeError> {
        match &mut self.body {
            Body::Files { files: Some(files), .. } => {
                // Rows that are already in files cannot take another type.
                let retyped = self.schema.fields().iter().find_map(|field| {
                    let now = schema.field_with_name(field.name()).ok()?;
                    let differs = now.data_type() != field.data_type() && !field.data_type().is_nested();
                    differs.then(|| LakeError::TypeChange {
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
            Body::Files { files: None, .. } => {}
            Body::Upsert(source) => source.evolve()?,
        }
        self.schema = schema.clone();
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
                Body::Files { files, groups } => {
                    files.as_ref().map_or(0, |files| files.bytes_buffered())
                        + groups.as_ref().map_or(0, |keys| keys.bytes())
                }
                Body::Upsert(source) => source.bytes(),
            }
    }

    /// Gives the rows up and removes what was written of them.
    pub async fn abandon(self) {
        if let Body::Files { files: Some(files), .. } = self.body {
            let paths = files.complete_paths();
            drop(files);
            data::discard(&self.target.location, paths).await;
        }
    }
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
    pub(super) fn finish(self) -> (Result<Vec<Written>, LakeError>, Match) {
        match self {
            Body::Files { files, groups } => (
                files.map_or_else(|| Ok(Vec::new()), |files| files.finish()),
                groups.map_or(Match::Nothing, Match::Groups),
            ),
            Body::Upsert(source) => (Ok(Vec::new()), Match::Rows(source)),
        }
    }
}
