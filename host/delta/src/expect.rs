//! Checks the expectations of a table.

mod rule;

use std::collections::BTreeMap;

use arrow_array::{Array, BooleanArray, Int64Array, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::SchemaRef;

use super::contract::{Refused, shown};
use super::error::DeltaError;
use super::json;
use super::schema::find;
use super::upsert::Keys;
use rule::Judge;
use sluicebox_core::columns::{SystemColumn, same_column};
use sluicebox_core::plan::{Expectation, Otherwise, Rule, TableSpec, WriteMode};

/// Rows that did not fulfil an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The column.
    pub column: String,
    /// The rule, such as `range`.
    pub rule: &'static str,
    /// What happened to these rows.
    pub otherwise: Otherwise,
    /// The number of rows.
    pub rows: u64,
}

/// An expectation that cannot be applied to the table's columns.
#[derive(Debug)]
pub struct Unfit {
    /// The index of the expectation in the table's list.
    pub entry: usize,
    /// The key of the entry that is wrong.
    pub key: &'static str,
    /// What is wrong.
    pub error: DeltaError,
}

/// Every expectation of a table that does not fit rows of `schema`.
pub fn unfit_expectations(spec: &TableSpec, schema: &SchemaRef) -> Vec<Unfit> {
    let table = spec.name.to_string();
    let rules =
        spec.expect.iter().enumerate().flat_map(|(entry, each)| each.rules.iter().map(move |rule| (entry, rule)));
    rules
        .filter_map(|(entry, rule)| {
            let error = Check::new(&table, schema, &spec.expect[entry], rule).err()?;
            let key = if matches!(error, DeltaError::NoSuchColumn { .. }) && !matches!(rule, Rule::Unique(_)) {
                "column"
            } else {
                key_of(rule)
            };
            Some(Unfit { entry, key, error })
        })
        .collect()
}

/// The key of a rule in the pipeline file.
fn key_of(rule: &Rule) -> &'static str {
    match rule {
        Rule::NotNull => "not_null",
        Rule::Range { min: Some(_), .. } => "min",
        Rule::Range { .. } => "max",
        Rule::Matches(_) => "matches",
        Rule::OneOf(_) => "one_of",
        Rule::Unique(within) if within.is_empty() => "unique",
        Rule::Unique(_) => "unique_within",
    }
}

/// The expectations of a table, for the rows of one commit.
pub(super) struct Checks {
    table: String,
    expect: Vec<Expectation>,
    schema: SchemaRef,
    checks: Vec<Check>,
    /// Rows are summed, so the removal of a rejected row is rejected too.
    sums: bool,
}

struct Check {
    column: String,
    at: usize,
    judge: Judge,
    otherwise: Otherwise,
}

/// The result of checking rows.
pub(super) struct Judged {
    pub(super) rows: RecordBatch,
    /// Row numbers refer to the rows passed in.
    pub(super) refused: Vec<Refused>,
    pub(super) unmet: Vec<Unmet>,
}

impl Check {
    fn new(table: &str, schema: &SchemaRef, expectation: &Expectation, rule: &Rule) -> Result<Self, DeltaError> {
        let column = &expectation.column;
        let at = find(schema, column).ok_or_else(|| DeltaError::NoSuchColumn {
            table: table.to_owned(),
            column: column.clone(),
            role: "expect",
        })?;
        let judge = match rule {
            Rule::Unique(within) => {
                let mut columns = vec![column.clone()];
                columns.extend(within.iter().filter(|other| !same_column(other, column)).cloned());
                Judge::Unique(Box::new(Keys::new(table, schema, &columns, "unique_within")?))
            }
            _ => Judge::new(rule, schema.field(at).data_type()).map_err(|reason| DeltaError::Expect {
                table: table.to_owned(),
                column: column.clone(),
                reason,
            })?,
        };
        Ok(Self { column: column.clone(), at, judge, otherwise: expectation.otherwise })
    }

    fn unmet(&self, rows: usize) -> Unmet {
        Unmet { column: self.column.clone(), rule: self.judge.name(), otherwise: self.otherwise, rows: rows as u64 }
    }
}

impl Checks {
    pub(super) fn new(
        table: &str,
        expect: &[Expectation],
        schema: &SchemaRef,
        mode: &WriteMode,
    ) -> Result<Self, DeltaError> {
        let sums = matches!(mode, WriteMode::Accumulate { .. });
        let (table, expect) = (table.to_owned(), expect.to_vec());
        let mut checks = Self { table, expect, schema: schema.clone(), checks: Vec::new(), sums };
        checks.bind(schema)?;
        Ok(checks)
    }

    /// Prepares the rules for rows of `schema`; known unique values are kept.
    fn bind(&mut self, schema: &SchemaRef) -> Result<(), DeltaError> {
        let mut known = std::mem::take(&mut self.checks).into_iter();
        for expectation in &self.expect {
            for rule in &expectation.rules {
                let mut check = Check::new(&self.table, schema, expectation, rule)?;
                if let Some(Check { judge: judge @ Judge::Unique(_), .. }) = known.next() {
                    check.judge = judge;
                }
                self.checks.push(check);
            }
        }
        self.schema = schema.clone();
        Ok(())
    }

    /// Checks rows of the table's schema. `origin` are the rows as they came, row for row, with their lane and
    /// position if they have them.
    pub(super) fn apply(&mut self, rows: RecordBatch, origin: &Origin<'_>) -> Result<Judged, DeltaError> {
        if self.checks.is_empty() || rows.num_rows() == 0 {
            return Ok(Judged { rows, refused: Vec::new(), unmet: Vec::new() });
        }
        if *rows.schema_ref() != self.schema {
            self.bind(&rows.schema())?;
        }
        let failed = || DeltaError::arrow("check rows", &self.table);
        let mut rejected: BTreeMap<usize, Refused> = BTreeMap::new();
        let mut unmet = Vec::new();
        // A row rejected for another reason does not count for uniqueness, so uniqueness is checked last.
        let (plain, unique): (Vec<usize>, Vec<usize>) =
            (0..self.checks.len()).partition(|index| !matches!(self.checks[*index].judge, Judge::Unique(_)));
        for index in plain.into_iter().chain(unique) {
            let check = &mut self.checks[index];
            let bad = match &mut check.judge {
                Judge::Unique(seen) => {
                    repeated(seen, &rows, check.at, |row| origin.is_judged(row) && !rejected.contains_key(&row))
                        .map_err(failed())?
                }
                judge => judge.violations(rows.column(check.at)).map_err(failed())?,
            };
            let both_ways =
                self.sums && check.otherwise == Otherwise::Reject && !matches!(check.judge, Judge::Unique(_));
            let bad = if both_ways { bad } else { bad.map(|bad| origin.judged(bad)) };
            let count = bad.as_ref().map_or(0, BooleanBuffer::count_set_bits);
            let Some(bad) = bad.filter(|_| count > 0) else {
                continue;
            };
            unmet.push(check.unmet(count));
            let values = rows.column(check.at);
            let first = bad.set_indices().next().unwrap_or_default();
            match check.otherwise {
                Otherwise::Warn => {}
                Otherwise::Stop => return Err(self.stop(index, first, &rows, origin)),
                Otherwise::Reject => {
                    for row in bad.set_indices() {
                        rejected.entry(row).or_insert_with(|| Refused {
                            row,
                            code: check.judge.code(),
                            message: format!("column '{}' holds {}, {}", check.column, shown(values, row), check.judge),
                        });
                    }
                }
            }
        }
        let rows = if rejected.is_empty() {
            rows
        } else {
            let mut keep = vec![true; rows.num_rows()];
            rejected.keys().for_each(|row| keep[*row] = false);
            arrow_select::filter::filter_record_batch(&rows, &BooleanArray::from(keep)).map_err(failed())?
        };
        Ok(Judged { rows, refused: rejected.into_values().collect(), unmet })
    }

    fn stop(&self, index: usize, row: usize, rows: &RecordBatch, origin: &Origin<'_>) -> DeltaError {
        let check = &self.checks[index];
        DeltaError::Unmet {
            table: self.table.clone(),
            column: check.column.clone(),
            value: shown(rows.column(check.at), row),
            rule: check.judge.to_string(),
            place: origin.place(row),
        }
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        let of = |check: &Check| match &check.judge {
            Judge::Unique(keys) => keys.bytes(),
            _ => 0,
        };
        self.checks.iter().map(of).sum()
    }
}

/// The rows whose value another row of the commit has; the first one is kept.
fn repeated(
    seen: &mut Keys,
    rows: &RecordBatch,
    at: usize,
    counts: impl Fn(usize) -> bool,
) -> Result<Option<BooleanBuffer>, arrow_schema::ArrowError> {
    let values = rows.column(at);
    let keys = seen.encode(rows)?;
    let bad = BooleanBuffer::collect_bool(rows.num_rows(), |row| {
        values.is_valid(row) && counts(row) && !seen.insert(keys.row(row)).1
    });
    Ok(Some(bad))
}

/// Rows as they came, and which of them are checked.
pub(super) struct Origin<'a> {
    pub(super) rows: &'a RecordBatch,
    /// Negative for rows that are removals.
    pub(super) weights: Option<&'a Int64Array>,
    /// By checked row: its number among the rows as they came; `None` if all are checked.
    pub(super) numbers: Option<&'a [usize]>,
}

impl Origin<'_> {
    /// The number of a checked row among the rows as they came.
    pub(super) fn number(&self, row: usize) -> usize {
        self.numbers.and_then(|numbers| numbers.get(row).copied()).unwrap_or(row)
    }

    /// Of rows that break a rule, those that it applies to.
    fn judged(&self, bad: BooleanBuffer) -> BooleanBuffer {
        match self.weights {
            None => bad,
            Some(_) => BooleanBuffer::collect_bool(bad.len(), |row| bad.value(row) && self.is_judged(row)),
        }
    }

    /// Whether the rule applies to a row: removals are not checked.
    fn is_judged(&self, row: usize) -> bool {
        self.weights.is_none_or(|weights| weights.value(self.number(row)) >= 0)
    }

    /// The lane and position of a row, if its columns have them.
    fn place(&self, row: usize) -> String {
        let row = self.number(row);
        let value = |column: SystemColumn| column.values(self.rows).map(|values| json::value(values, row));
        match (value(SystemColumn::Lane), value(SystemColumn::Position)) {
            (Some(lane), Some(position)) => format!("row {row} of its batch, lane {lane}, position {position}"),
            _ => format!("row {row} of its batch"),
        }
    }
}
