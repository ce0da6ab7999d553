//! A test harness that runs a transform without a host: the same code, no component, no IPC.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::{concat::concat_batches, take::take};

use crate::describe::{OutputSchema, Role};
use crate::job::{Job, config};
use crate::out::{Reject, Sink};
use crate::{Descriptor, Failure, Level, Result, State, Transform, json};

/// A job in memory, for tests and benchmarks.
///
/// It does what the host does around a job: projects rows to the wanted columns, assembles pass-through outputs, and
/// checks the promise of a row-preserving module.
pub struct Harness<T> {
    job: Job<T>,
    descriptor: Descriptor,
    sequence: u64,
}

/// The output of one call.
#[derive(Clone, Debug)]
pub struct Recorded {
    outputs: Vec<(String, SchemaRef, Vec<RecordBatch>)>,
    rejected: Vec<Rejected>,
    logged: Vec<(Level, String)>,
    metrics: Vec<(String, f64)>,
}

/// A rejected row of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its index.
    pub row: usize,
    /// Why.
    pub reason: Reject,
}

impl<T: Transform> Harness<T> {
    /// Opens a job with this configuration (JSON; empty is `{}`), every input bound to
    /// its wanted columns.
    pub fn open(text: &str) -> Result<Self> {
        Self::open_with(text, &[], None)
    }

    /// Opens a job with some inputs bound to their tables' schemas, which inputs that want every column need, and
    /// with the state that an earlier job saved.
    pub fn open_with(text: &str, bound: &[(&str, SchemaRef)], restored: Option<State>) -> Result<Self> {
        let descriptor = T::describe(&config(text)?)?;
        let bind = |port: &crate::describe::InputPort| {
            let table = bound.iter().find(|(name, _)| *name == port.name).map(|(_, schema)| schema);
            let schema = port.columns.as_ref().or(table).ok_or_else(|| {
                Failure::input(format!("input {:?} wants all columns: bind it to a schema with `open_with`", port.name))
            })?;
            Ok((port.name.clone(), schema.clone()))
        };
        let bound = descriptor.inputs.iter().map(bind).collect::<Result<Vec<_>>>()?;
        let job = Job::open(text, bound, restored)?;
        Ok(Self { job, descriptor, sequence: 0 })
    }

    /// The module's descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Pushes rows with any of the table's columns.
    pub fn push(&mut self, port: &str, rows: &RecordBatch) -> Result<Recorded> {
        self.push_at(port, rows, None)
    }

    /// Pushes rows with a watermark in microseconds since 1970-01-01 UTC.
    pub fn push_at(&mut self, port: &str, rows: &RecordBatch, watermark: Option<i64>) -> Result<Recorded> {
        let number = self.input(port)?;
        let projected = project(rows, self.job.schema(number)?)?;
        let mut recorder = Recorder::default();
        self.job.push(number, projected, self.sequence, watermark, &mut recorder)?;
        self.sequence += 1;
        let recorded = self.recorded(recorder, Some(rows))?;
        if self.descriptor.row_preserving && self.descriptor.inputs[number].role == Role::Rows {
            recorded.preserves(rows.num_rows())?;
        }
        Ok(recorded)
    }

    /// Pushes rows given as JSON objects, one a line. They have the types of the wanted columns; other columns are
    /// text.
    pub fn push_json(&mut self, port: &str, lines: &str) -> Result<Recorded> {
        let number = self.input(port)?;
        let rows = json::parse(lines, self.job.schema(number)?, json::Others::AsText)?;
        self.push(port, &rows)
    }

    /// Ends one input.
    pub fn end(&mut self, port: &str) -> Result<Recorded> {
        let number = self.input(port)?;
        let mut recorder = Recorder::default();
        self.job.end_of_input(number, &mut recorder)?;
        self.recorded(recorder, None)
    }

    /// Flushes the job before a commit.
    pub fn flush(&mut self, watermark: Option<i64>) -> Result<Recorded> {
        let mut recorder = Recorder::default();
        self.job.flush(watermark, &mut recorder)?;
        self.recorded(recorder, None)
    }

    /// Saves the job's state.
    pub fn snapshot(&mut self) -> Result<State> {
        self.job.snapshot()
    }

    /// Runs the fixture in `folder` and compares the output: `config.json` (may be missing), `in/<port>.jsonl`,
    /// `out/<port>.jsonl`, and `rejected.jsonl` with one `{"row": 0, "code": "…"}` a line, in any order (missing if
    /// no row is rejected). `sluice test` runs the same folders on the component.
    ///
    /// # Panics
    /// If anything differs.
    pub fn check_fixture(folder: impl AsRef<Path>) {
        let folder = folder.as_ref();
        if let Err(difference) = Self::run_fixture(folder) {
            panic!("fixture {}: {difference}", folder.display());
        }
    }

    fn run_fixture(folder: &Path) -> Result<()> {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let mut harness = Self::open(&read("config.json").unwrap_or_default())?;
        let mut ports = harness.descriptor.inputs.clone();
        ports.sort_by_key(|port| port.role != Role::Lookup);
        let mut records = Vec::new();
        for port in &ports {
            if let Some(lines) = read(&format!("in/{}.jsonl", port.name)) {
                records.push(harness.push_json(&port.name, &lines)?);
            }
            records.push(harness.end(&port.name)?);
        }
        for output in harness.descriptor.outputs.clone() {
            let made: Vec<String> = records.iter().flat_map(|recorded| recorded.json(&output.name)).collect();
            let Some(lines) = read(&format!("out/{}.jsonl", output.name)) else {
                if made.is_empty() {
                    continue;
                }
                return Err(Failure::input(format!("output {:?} has rows, but no out/{0}.jsonl", output.name)));
            };
            let schema = records.iter().rev().find_map(|recorded| recorded.schema(&output.name));
            let schema = schema.ok_or_else(|| Failure::input("the fixture pushes no rows"))?;
            let expected = json::print(&json::parse(&lines, &schema, json::Others::Refuse)?);
            compare(&format!("output {:?}", output.name), made, expected)?;
        }
        let rejected = records.iter().flat_map(|recorded| &recorded.rejected);
        let mut made: Vec<String> = rejected.map(|one| format!("{} {}", one.row, one.reason.code)).collect();
        let mut expected = json::rejections(&read("rejected.jsonl").unwrap_or_default())?;
        made.sort();
        expected.sort();
        compare("rejected", made, expected)
    }

    fn input(&self, port: &str) -> Result<usize> {
        let number = self.descriptor.inputs.iter().position(|input| input.name == port);
        number.ok_or_else(|| Failure::input(format!("there is no input {port:?}")))
    }

    fn recorded(&self, recorder: Recorder, pushed: Option<&RecordBatch>) -> Result<Recorded> {
        let mut outputs = Vec::new();
        for (number, output) in self.descriptor.outputs.iter().enumerate() {
            let emitted = recorder.batches.iter().filter(|(port, _)| *port == number).map(|(_, batch)| batch);
            let (schema, batches) = match (&output.schema, pushed) {
                (OutputSchema::Full(schema), _) => (schema.clone(), emitted.cloned().collect()),
                (OutputSchema::SameAsInput { drop, replace, .. }, Some(rows)) => {
                    let assemble = |batch: &RecordBatch| assemble(rows, drop, replace, batch);
                    let batches = emitted.map(assemble).collect::<Result<Vec<_>>>()?;
                    let nothing = RecordBatch::new_empty(crate::out::Port::of(output).schema);
                    let schema = assemble(&nothing)?;
                    (schema.schema(), batches)
                }
                (OutputSchema::SameAsInput { .. }, None) => continue,
            };
            outputs.push((output.name.clone(), schema, batches));
        }
        let (logged, metrics) = NOTES.take();
        Ok(Recorded { outputs, rejected: recorder.rejected, logged, metrics })
    }
}

impl Recorded {
    /// The rows of an output, all in one batch.
    ///
    /// # Panics
    /// If the module has no such output, or it is a pass-through one and nothing was pushed.
    pub fn output(&self, port: &str) -> RecordBatch {
        let (_, schema, batches) = self
            .outputs
            .iter()
            .find(|(name, ..)| name == port)
            .unwrap_or_else(|| panic!("there is no output {port:?}"));
        concat_batches(schema, batches).expect("batches of one port can be joined because they have one schema")
    }

    /// The rows of an output as JSON objects, without nulls, and with all digits of decimals; none if there was no
    /// output.
    pub fn json(&self, port: &str) -> Vec<String> {
        if self.schema(port).is_none() { Vec::new() } else { json::print(&self.output(port)) }
    }

    /// The rejected rows.
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// The rejected rows with the codes of their reasons.
    pub fn codes(&self) -> Vec<(usize, &str)> {
        self.rejected.iter().map(|one| (one.row, &*one.reason.code)).collect()
    }

    /// The lines logged since the harness was opened or the last call.
    pub fn logged(&self) -> &[(Level, String)] {
        &self.logged
    }

    /// The metrics.
    pub fn metrics(&self) -> &[(String, f64)] {
        &self.metrics
    }

    fn schema(&self, port: &str) -> Option<SchemaRef> {
        self.outputs.iter().find(|(name, ..)| name == port).map(|(_, schema, _)| schema.clone())
    }

    fn preserves(&self, rows: usize) -> Result<()> {
        let out: usize = self.outputs.iter().flat_map(|(_, _, batches)| batches).map(RecordBatch::num_rows).sum();
        let rejected = self.rejected.len();
        if out + rejected == rows {
            return Ok(());
        }
        Err(Failure::internal(format!(
            "the module promises to preserve rows, and of {rows} it gave {out} and rejected {rejected}"
        )))
    }
}

#[derive(Default)]
struct Recorder {
    batches: Vec<(usize, RecordBatch)>,
    rejected: Vec<Rejected>,
}

impl Sink for Recorder {
    fn emit(&mut self, port: usize, batch: &RecordBatch) -> Result<()> {
        self.batches.push((port, batch.clone()));
        Ok(())
    }

    fn reject(&mut self, rows: Vec<(u32, u32)>, reasons: Vec<Reject>) {
        let rejected = |(row, reason)| Rejected { row: row as usize, reason: reasons[reason as usize].clone() };
        self.rejected.extend(rows.into_iter().map(rejected));
    }
}

type Notes = (Vec<(Level, String)>, Vec<(String, f64)>);

thread_local! {
    // Logging takes no handle, so that any code can log; a test has its own thread.
    static NOTES: RefCell<Notes> = RefCell::default();
}

pub(crate) fn log(level: Level, message: &str) {
    NOTES.with_borrow_mut(|notes| notes.0.push((level, message.to_owned())));
}

pub(crate) fn metric(name: &str, value: f64) {
    NOTES.with_borrow_mut(|notes| notes.1.push((name.to_owned(), value)));
}

/// The wanted columns of the rows; a missing nullable one is all null.
fn project(rows: &RecordBatch, wanted: &SchemaRef) -> Result<RecordBatch> {
    let column = |field: &Arc<arrow_schema::Field>| match rows.column_by_name(field.name()) {
        Some(column) => Ok(column.clone()),
        None if field.is_nullable() => Ok(new_null_array(field.data_type(), rows.num_rows())),
        None => Err(Failure::input(format!("the rows lack the required column {:?}", field.name()))),
    };
    let columns = wanted.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(wanted.clone(), columns, &options)
        .map_err(|error| Failure::input(error.to_string()))
}

/// Assembles a pass-through output: the pushed rows' own columns, then the new ones.
fn assemble(rows: &RecordBatch, drop: &[String], replace: &Schema, emitted: &RecordBatch) -> Result<RecordBatch> {
    let kept = emitted.column(0).as_any().downcast_ref::<UInt32Array>();
    let kept = kept.ok_or_else(|| Failure::internal("a pass-through batch does not begin with row numbers"))?;
    let (mut fields, mut columns): (Vec<_>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        if drop.contains(field.name()) {
            continue;
        }
        match replace.column_with_name(field.name()) {
            Some((place, replaced)) => {
                fields.push(Arc::new(replaced.clone()));
                columns.push(emitted.column(place + 1).clone());
            }
            None => {
                fields.push(field.clone());
                columns.push(take(column, kept, None)?);
            }
        }
    }
    for (place, field) in replace.fields().iter().enumerate() {
        if rows.column_by_name(field.name()).is_none() {
            fields.push(field.clone());
            columns.push(emitted.column(place + 1).clone());
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(emitted.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

fn compare(what: &str, made: Vec<String>, expected: Vec<String>) -> Result<()> {
    if made == expected {
        return Ok(());
    }
    let (made, expected) = (made.join("\n    "), expected.join("\n    "));
    Err(Failure::input(format!("{what} differs\n  expected:\n    {expected}\n  made:\n    {made}")))
}
