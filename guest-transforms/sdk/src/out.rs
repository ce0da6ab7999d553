//! The output of a module: emit, keep, reject.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use hashbrown::HashMap;

use crate::describe::{OutputPort, OutputSchema};
use crate::gather::Gather;
use crate::{Failure, Result, Rows};

/// The most rows of one emitted batch; larger ones fall out of the cache.
const CHUNK_ROWS: usize = 8_192;

/// Why a row is rejected: a short stable code to filter by, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reject {
    /// The code, such as `price.not-positive`.
    pub code: Cow<'static, str>,
    /// What is wrong with the row, with the offending value.
    pub message: Cow<'static, str>,
}

impl Reject {
    /// A reason.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// Rejects the row unless `good`; the message is made only if needed.
#[inline]
pub fn ensure(good: bool, code: &'static str, message: impl FnOnce() -> String) -> Result<(), Reject> {
    if good { Ok(()) } else { Err(Reject::new(code, message())) }
}

/// The kept rows of the current push, with their new and replaced columns.
///
/// Keep rows in ascending order, each at most once and with one value for every column.
#[derive(Debug, Default)]
pub struct Kept {
    rows: Vec<u32>,
    columns: Vec<(String, ArrayRef)>,
}

impl Kept {
    /// No rows yet, and room for all of `rows`.
    pub fn of(rows: &Rows) -> Self {
        Self { rows: Vec::with_capacity(rows.len()), columns: Vec::new() }
    }

    /// Keeps every row.
    pub fn all(rows: &Rows) -> Self {
        Self { rows: (0..index(rows.len())).collect(), columns: Vec::new() }
    }

    /// Keeps the rows for which `good` holds.
    pub fn filter(rows: &Rows, mut good: impl FnMut(usize) -> bool) -> Self {
        // Every row is written and only kept ones are counted: which rows are kept is unpredictable, and a
        // mispredicted branch costs more than a write.
        let mut kept = vec![0; rows.len()];
        let mut count = 0;
        for row in rows.indexes() {
            kept[count] = index(row);
            count += usize::from(good(row));
        }
        kept.truncate(count);
        Self { rows: kept, columns: Vec::new() }
    }

    /// Keeps this row.
    #[inline]
    pub fn keep(&mut self, row: usize) {
        self.rows.push(index(row));
    }

    /// The number of kept rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is kept.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The indexes of the kept rows.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The kept rows of a column.
    pub fn of_column(&self, column: &ArrayRef) -> Result<ArrayRef> {
        Ok(Gather::new(&self.rows).of(column)?)
    }

    /// The kept rows of every column of the push, for an output that is emitted in full.
    pub fn of_rows(&self, rows: &Rows) -> Result<Vec<ArrayRef>> {
        let gather = Gather::new(&self.rows);
        Ok(rows.batch().columns().iter().map(|column| gather.of(column)).collect::<Result<_, _>>()?)
    }

    /// Sets a new or replaced column: one value for each kept row.
    pub fn column(mut self, name: &str, values: impl Into<ArrayRef>) -> Self {
        self.columns.push((name.to_owned(), values.into()));
        self
    }
}

/// The outputs of a module.
pub struct Out<'a> {
    ports: &'a [Port],
    /// The input port and the number of rows of the current push.
    current: Option<(&'a str, usize)>,
    sink: &'a mut dyn Sink,
    rejections: Rejections,
}

impl<'a> Out<'a> {
    pub(crate) fn new(ports: &'a [Port], current: Option<(&'a str, usize)>, sink: &'a mut dyn Sink) -> Self {
        Self { ports, current, sink, rejections: Rejections::default() }
    }

    /// Emits rows on a full output: its columns in the declared order.
    ///
    /// # Errors
    /// [`Failure::Internal`] if there is no such port or the columns are not the declared ones.
    pub fn emit(&mut self, port: &str, columns: Vec<ArrayRef>) -> Result<()> {
        let (number, port) = self.port(port)?;
        if port.same_as.is_some() {
            let name = &port.name;
            return Err(Failure::internal(format!("output {name:?} passes rows through: use `keep`, not `emit`")));
        }
        let batch = port.batch(columns, None)?;
        let mut start = 0;
        while start < batch.num_rows() {
            let rows = CHUNK_ROWS.min(batch.num_rows() - start);
            self.sink.emit(number, &batch.slice(start, rows))?;
            start += rows;
        }
        Ok(())
    }

    /// Emits rows of the current push on a pass-through output.
    ///
    /// # Errors
    /// [`Failure::Internal`] if there is no such port, not all of its new columns are given, or it belongs to another
    /// input than the one being pushed.
    pub fn keep(&mut self, port: &str, kept: Kept) -> Result<()> {
        let (number, port) = self.port(port)?;
        let name = &port.name;
        let Some(input) = &port.same_as else {
            return Err(Failure::internal(format!("output {name:?} is emitted in full: use `emit`, not `keep`")));
        };
        let Some((_, rows)) = self.current.filter(|(current, _)| current == input) else {
            return Err(Failure::internal(format!(
                "output {name:?} continues rows of {input:?} and can only be emitted while they are pushed"
            )));
        };
        if !kept.rows.is_sorted_by(|one, next| one < next)
            || kept.rows.last().is_some_and(|last| *last as usize >= rows)
        {
            return Err(Failure::internal(format!(
                "output {name:?} must keep rows in rising order, each once, out of the {rows} that were pushed"
            )));
        }
        if kept.is_empty() {
            return Ok(());
        }
        let mut given = kept.columns;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(given.len() + 1);
        let count = kept.rows.len();
        columns.push(Arc::new(UInt32Array::from(kept.rows)));
        for field in port.schema.fields().iter().skip(1) {
            let place = given.iter().position(|(column, _)| column == field.name()).ok_or_else(|| {
                Failure::internal(format!(
                    "output {name:?} declares the column {:?}, which was not given",
                    field.name()
                ))
            })?;
            columns.push(given.swap_remove(place).1);
        }
        if let Some((extra, _)) = given.first() {
            return Err(Failure::internal(format!("output {name:?} does not declare the column {extra:?}")));
        }
        let batch = port.batch(columns, Some(count))?;
        self.sink.emit(number, &batch)
    }

    /// Cleans row by row: a row whose cleaning fails is rejected for that reason, every other is kept. Returns the
    /// kept rows and the results of cleaning them, in the same order.
    pub fn sift<V>(&mut self, rows: &Rows, mut clean: impl FnMut(usize) -> Result<V, Reject>) -> (Kept, Vec<V>) {
        let (mut kept, mut made) = (Kept::of(rows), Vec::with_capacity(rows.len()));
        for row in rows.indexes() {
            match clean(row) {
                Ok(value) => {
                    kept.keep(row);
                    made.push(value);
                }
                Err(reason) => self.reject(row, reason),
            }
        }
        (kept, made)
    }

    /// Sends a row of the current push to quarantine. Each row at most once.
    pub fn reject(&mut self, row: usize, reason: Reject) {
        self.rejections.add(row, reason);
    }

    /// Passes the rejections to the host, once for the whole call.
    pub(crate) fn finish(self) -> Result<()> {
        let Rejections { rows, reasons, .. } = self.rejections;
        if rows.is_empty() {
            return Ok(());
        }
        let Some((_, count)) = self.current else {
            return Err(Failure::internal("rows can only be rejected while they are pushed"));
        };
        if let Some((row, _)) = rows.iter().find(|(row, _)| *row as usize >= count) {
            return Err(Failure::internal(format!("row {row} of {count} cannot be rejected")));
        }
        self.sink.reject(rows, reasons);
        Ok(())
    }

    fn port(&self, name: &str) -> Result<(usize, &'a Port)> {
        let ports = self.ports;
        ports.iter().enumerate().find(|(_, port)| port.name == name).ok_or_else(|| {
            let declared: Vec<_> = ports.iter().map(|port| port.name.as_str()).collect();
            Failure::internal(format!("there is no output {name:?}; declared are {}", declared.join(", ")))
        })
    }
}

#[derive(Default)]
struct Rejections {
    rows: Vec<(u32, u32)>,
    reasons: Vec<Reject>,
    known: HashMap<Reject, u32, foldhash::fast::FixedState>,
    /// The reason of the row before, which is compared first.
    last: Option<u32>,
}

impl Rejections {
    /// Thousands of rows often share a reason, which crosses the boundary once.
    fn add(&mut self, row: usize, reason: Reject) {
        let next = index(self.reasons.len());
        let number = match self.last.filter(|last| self.reasons[*last as usize] == reason) {
            Some(last) => last,
            None => *self.known.entry(reason).or_insert_with_key(|reason| {
                self.reasons.push(reason.clone());
                next
            }),
        };
        self.last = Some(number);
        self.rows.push((index(row), number));
    }
}

/// An output port.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) name: String,
    /// The emitted columns; the first is `_row` on a pass-through port.
    pub(crate) schema: SchemaRef,
    /// The input of a pass-through port.
    pub(crate) same_as: Option<String>,
}

impl Port {
    pub(crate) fn of(output: &OutputPort) -> Self {
        match &output.schema {
            OutputSchema::Full(schema) => Self { name: output.name.clone(), schema: schema.clone(), same_as: None },
            OutputSchema::SameAsInput { input, replace, .. } => {
                let mut fields = vec![Arc::new(Field::new("_row", DataType::UInt32, false))];
                fields.extend(replace.fields().iter().cloned());
                Self { name: output.name.clone(), schema: Arc::new(Schema::new(fields)), same_as: Some(input.clone()) }
            }
        }
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: Option<usize>) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(rows);
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| Failure::internal(format!("output {:?}: {error}", self.name)))
    }
}

/// The receiver of a module's output: the host, or a recorder in tests.
pub(crate) trait Sink {
    fn emit(&mut self, port: usize, batch: &RecordBatch) -> Result<()>;
    fn reject(&mut self, rows: Vec<(u32, u32)>, reasons: Vec<Reject>);
}

/// The contract counts rows in 32 bits, so a batch never has more.
fn index(row: usize) -> u32 {
    u32::try_from(row).expect("a row index fits 32 bits because the contract counts rows of a batch in 32 bits")
}
