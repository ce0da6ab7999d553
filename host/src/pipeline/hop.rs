//! One hop at work: rows in, through the module, into tables; and the commit.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use chrono::Utc;
use tokio::runtime::Handle;

use super::fault::PipelineError;
use super::flow::Intake;
use super::module::HopModule;
use super::rows::{slices, with_ingested_at, without_origin};
use super::sink::{QuarantineSink, Sink, UNKNOWN_POSITION, lake_error};
use crate::batch::{Lane, Positions, Reject, column};
use crate::format;
use crate::lake::{Lake, Provenance};
use crate::meter::Meters;
use crate::plan::{HopSpec, Plan, SourceKind, Upstream};
use crate::transform::{self, Job};

/// What a hop needs of the run that it is part of.
pub struct HopContext {
    /// The hop.
    pub spec: HopSpec,
    /// `<pipeline>/<hop>`, the first parts of its `txn` application ids.
    pub app: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The plan's hash, for the commit's provenance.
    pub config_hash: String,
    /// Its counters.
    pub meter: Arc<Meters>,
    /// For the I/O of sources and tables.
    pub runtime: Handle,
    /// Whether the hop takes its whole upstream as one commit.
    pub whole: bool,
    /// Whether files that were read to their end are kept beside the table.
    pub keep_files: bool,
}

impl HopContext {
    /// The context of one hop of a plan.
    pub fn new(plan: &Plan, spec: &HopSpec, meter: Arc<Meters>, runtime: Handle) -> Self {
        Self {
            spec: spec.clone(),
            app: format!("{}/{}", plan.name, spec.name),
            pipeline: plan.name.clone(),
            config_hash: plan.config_hash.clone(),
            meter,
            runtime,
            whole: super::group::is_whole(plan, spec),
            keep_files: match &spec.from {
                Upstream::Source(name) => plan
                    .source(name)
                    .is_some_and(|source| matches!(&source.kind, SourceKind::Files(files) if files.keep_files)),
                Upstream::Table(_) => false,
            },
        }
    }

    /// Who makes this hop's commits; the counts are to be filled in.
    pub fn provenance(&self, module: Option<&HopModule>) -> Provenance {
        Provenance {
            pipeline: self.pipeline.clone(),
            hop: self.spec.name.clone(),
            config_hash: self.config_hash.clone(),
            module: module.map(|module| (module.descriptor.name.clone(), module.module.digest().to_owned())),
            contract: module.map(|_| transform::CONTRACT.to_owned()),
            ..Provenance::default()
        }
    }

    /// The upstream's name, the lane of a table.
    pub fn upstream(&self) -> String {
        match &self.spec.from {
            Upstream::Source(name) => name.clone(),
            Upstream::Table(name) => name.to_string(),
        }
    }
}

/// What a hop took in since its last commit.
#[derive(Default)]
struct Taken {
    rows: u64,
    bytes: u64,
    rows_out: u64,
    positions: Positions,
    since: Option<Instant>,
    /// Rows came since the last place where a commit may end.
    open: bool,
}

/// A job and the schema of the rows that it was opened for.
struct OpenJob {
    job: Job,
    schema: SchemaRef,
}

/// One hop at work.
pub struct Hop {
    context: HopContext,
    module: Option<HopModule>,
    job: Option<OpenJob>,
    lookups: super::lookup::Lookups,
    sinks: Vec<Sink>,
    quarantine: QuarantineSink,
    /// How far every lane was taken, committed or not.
    cursor: Positions,
    taken: Taken,
    /// The rows of this run are one commit: an overwrite is whole or not at all.
    whole: bool,
    lake: Lake,
}

impl Hop {
    /// A hop that continues where its tables say.
    pub fn new(
        context: HopContext,
        module: Option<HopModule>,
        lookups: super::lookup::Lookups,
        sinks: Vec<Sink>,
        quarantine: QuarantineSink,
        lake: Lake,
    ) -> Self {
        let whole = context.whole;
        // A whole table is taken from its beginning every time.
        let cursor = if whole { Positions::default() } else { start(&sinks) };
        Self { context, module, job: None, lookups, sinks, quarantine, cursor, taken: Taken::default(), whole, lake }
    }

    /// How far every lane was taken.
    pub fn cursor(&self) -> &Positions {
        &self.cursor
    }

    /// The hop's own facts.
    pub fn context(&self) -> &HopContext {
        &self.context
    }

    /// The tables it writes.
    pub fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// The digest of its module, if it has one.
    pub fn digest(&self) -> Option<&str> {
        self.module.as_ref().map(|module| module.module.digest())
    }

    /// Ends a hop that has nothing to do, so that those below it do not wait.
    pub fn idle(mut self) -> Result<(), PipelineError> {
        for sink in &mut self.sinks {
            sink.end();
        }
        Ok(())
    }

    /// Takes rows in and commits when enough has come together.
    pub fn take(&mut self, intake: Intake) -> Result<(), PipelineError> {
        for part in self.align(intake)? {
            self.take_part(part)?;
        }
        Ok(())
    }

    /// Commits what has waited long enough, if a commit may end here.
    pub fn tick(&mut self) -> Result<(), PipelineError> {
        if self.is_due() && self.has_pending() && !self.taken.open && !self.whole { self.commit() } else { Ok(()) }
    }

    fn is_due(&self) -> bool {
        self.taken.since.is_some_and(|since| since.elapsed() >= self.context.spec.flush.time)
    }

    /// Whether something was taken that no commit holds yet.
    fn has_pending(&self) -> bool {
        !self.taken.positions.is_empty()
    }

    /// A crash between the commits of a hop's tables leaves some ahead of others. Then
    /// the rows in between are taken again, and this cuts them so that every commit
    /// ends exactly where a table that is ahead already stands; that table sits the
    /// commit out.
    fn align(&mut self, intake: Intake) -> Result<Vec<Intake>, PipelineError> {
        let Some((lane, _)) = intake.positions.iter().next().map(|(lane, at)| (lane.clone(), at)) else {
            return Ok(vec![intake]);
        };
        let ahead = if self.whole { Vec::new() } else { self.marks(&lane) };
        if ahead.is_empty() {
            return Ok(vec![intake]);
        }
        if self.taken.positions.iter().any(|(other, _)| *other != lane) {
            self.commit()?;
        }
        let Some(of_row) =
            intake.rows.column_by_name(column::POSITION).map(|positions| positions.as_primitive::<Int64Type>().clone())
        else {
            return Ok(vec![intake]);
        };
        let end = intake.positions.get(&lane).unwrap_or(i64::MIN);
        let mut parts = Vec::new();
        let (mut rest, mut from, mut rejects) = (intake.rows.clone(), 0, intake.rejects);
        for mark in ahead.into_iter().filter(|mark| *mark < end) {
            let cut = of_row.values()[from..].partition_point(|position| *position < mark);
            let (before, after): (Vec<_>, Vec<_>) = rejects.into_iter().partition(|reject| reject.position < mark);
            if cut > 0 || !before.is_empty() {
                parts.push(Intake {
                    rows: rest.slice(0, cut),
                    rejects: before,
                    positions: Positions::of(lane.clone(), mark),
                    finished: None,
                });
            }
            rest = rest.slice(cut, rest.num_rows() - cut);
            from += cut;
            rejects = after;
        }
        parts.push(Intake { rows: rest, rejects, positions: intake.positions, finished: intake.finished });
        Ok(parts)
    }

    /// Positions in a lane, beyond the cursor, at which some table of this hop stands.
    fn marks(&self, lane: &str) -> Vec<i64> {
        let here = self.cursor.get(lane);
        let recorded = self.sinks.iter().map(|sink| &sink.recorded).chain([self.quarantine.recorded()]);
        let mut marks: Vec<_> =
            recorded.filter_map(|positions| positions.get(lane)).filter(|mark| Some(*mark) > here).collect();
        marks.sort_unstable();
        marks.dedup();
        marks
    }

    fn take_part(&mut self, intake: Intake) -> Result<(), PipelineError> {
        let rows = intake.rows.num_rows() as u64 + intake.rejects.len() as u64;
        Meters::add(&self.context.meter.rows_in, rows);
        self.taken.rows += rows;
        let bytes = intake.rows.get_array_memory_size() as u64;
        Meters::add(&self.context.meter.bytes_in, bytes);
        self.taken.bytes += bytes;
        self.taken.since.get_or_insert_with(Instant::now);

        let lanes: Vec<Lane> = match intake.positions.iter().next() {
            Some(_) => intake.positions.iter().map(|(lane, _)| lane.clone()).collect(),
            None => vec![Lane::from(self.context.upstream())],
        };
        let writing: Vec<bool> =
            self.sinks.iter().map(|sink| self.whole || !is_ahead(&sink.recorded, &self.cursor, &lanes)).collect();
        let quarantining = self.whole || !is_ahead(self.quarantine.recorded(), &self.cursor, &lanes);
        for reject in intake.rejects {
            for sink in &self.sinks {
                let doing = format!("writing {} failed", sink.name);
                sink.check_type(&reject).map_err(lake_error(&self.context.spec.name, doing))?;
            }
            self.reject(reject, quarantining)?;
        }
        if intake.rows.num_rows() > 0 {
            let rows = match self.context.spec.from {
                Upstream::Source(_) => with_ingested_at(&intake.rows, Utc::now()),
                Upstream::Table(_) => intake.rows,
            };
            self.transform(&rows, &writing, quarantining)?;
        }
        if let Some(file) = intake.finished.filter(|_| self.context.keep_files) {
            self.keep(&file)?;
        }

        self.taken.open = intake.positions.is_empty();
        if !intake.positions.is_empty() {
            self.taken.positions.merge(&intake.positions);
            self.cursor.merge(&intake.positions);
            if self.whole {
                return Ok(());
            }
            let flush = self.context.spec.flush;
            let full = self.taken.rows >= flush.rows || self.taken.bytes >= flush.bytes || self.is_due();
            let on_mark = intake.positions.iter().any(|(lane, position)| {
                self.sinks
                    .iter()
                    .map(|sink| &sink.recorded)
                    .chain([self.quarantine.recorded()])
                    .any(|at| at.get(lane) == Some(position))
            });
            if full || on_mark {
                self.commit()?;
            }
        }
        Ok(())
    }

    fn keep(&self, file: &super::flow::Finished) -> Result<(), PipelineError> {
        for sink in &self.sinks {
            self.context.runtime.block_on(self.lake.keep_file(&sink.name, &file.location, &file.lane)).map_err(
                lake_error(
                    &self.context.spec.name,
                    format!("keeping the file `{}` beside {} failed", file.lane, sink.name),
                ),
            )?;
        }
        Ok(())
    }

    /// Sends rows through the module, if there is one, and what comes out to the tables.
    fn transform(&mut self, rows: &RecordBatch, writing: &[bool], quarantining: bool) -> Result<(), PipelineError> {
        let Some(module) = self.module.clone() else {
            return self.write(0, rows, writing, quarantining);
        };
        self.open_job(&module, &rows.schema(), writing, quarantining)?;
        for slice in slices(rows) {
            let Some(open) = &mut self.job else { break };
            let output = open.job.push(module.rows_port, &slice, None).map_err(job_error(&self.context.spec.name))?;
            self.write_output(&module, output, Some(&slice), writing, quarantining)?;
        }
        Ok(())
    }

    /// Opens a job for rows of this schema; the job at hand is ended when it was opened
    /// for other columns, which happens when the upstream table grew a column.
    fn open_job(
        &mut self,
        module: &HopModule,
        schema: &SchemaRef,
        writing: &[bool],
        quarantining: bool,
    ) -> Result<(), PipelineError> {
        if self.job.as_ref().is_some_and(|open| Arc::ptr_eq(&open.schema, schema) || open.schema == *schema) {
            return Ok(());
        }
        let hop = self.context.spec.name.clone();
        if let Some(mut open) = self.job.take() {
            let output = open.job.flush(None).map_err(job_error(&hop))?;
            self.write_output(module, output, None, writing, quarantining)?;
        }
        let Some(spec) = self.context.spec.module.clone() else { return Ok(()) };
        let binding = module.bind(&hop, schema, &self.lookups.schemas())?;
        let mut job = Job::open(&module.module, &spec.config, binding, &spec.limits, None).map_err(job_error(&hop))?;
        for (port, table) in &module.lookups {
            let lookup: Vec<RecordBatch> = self.lookups.rows(table).cloned().collect();
            for rows in &lookup {
                for slice in slices(rows) {
                    let output = job.push(*port, &slice, None).map_err(job_error(&hop))?;
                    self.write_output(module, output, None, writing, quarantining)?;
                }
            }
            let output = job.end_of_input(*port).map_err(job_error(&hop))?;
            self.write_output(module, output, None, writing, quarantining)?;
        }
        self.job = Some(OpenJob { job, schema: schema.clone() });
        Ok(())
    }

    fn write_output(
        &mut self,
        module: &HopModule,
        output: transform::Output,
        pushed: Option<&RecordBatch>,
        writing: &[bool],
        quarantining: bool,
    ) -> Result<(), PipelineError> {
        for (port, rows) in output.batches {
            self.write(module.sinks[port], &rows, writing, quarantining)?;
        }
        if let Some(pushed) = pushed.filter(|_| !output.rejections.is_empty()) {
            let rows: Vec<usize> = output.rejections.iter().map(|rejection| rejection.row as usize).collect();
            let rejects = self.describe_rows(pushed, &rows);
            for (reject, rejection) in rejects.into_iter().zip(output.rejections) {
                self.reject(Reject { reason: rejection.code, message: rejection.message, ..reject }, quarantining)?;
            }
        }
        for (name, value) in output.metrics {
            self.context.meter.add_metric(&name, value);
        }
        Ok(())
    }

    fn write(
        &mut self,
        sink: usize,
        rows: &RecordBatch,
        writing: &[bool],
        quarantining: bool,
    ) -> Result<(), PipelineError> {
        let refused = match writing[sink] {
            false => Vec::new(),
            true => {
                let name = self.sinks[sink].name.to_string();
                self.sinks[sink].write(rows, &self.context.runtime).map_err(|error| {
                    let place = origin_of(rows).filter(|_| error.is_drift()).unwrap_or_default();
                    lake_error(&self.context.spec.name, format!("writing {name} failed{place}"))(error)
                })?
            }
        };
        self.taken.rows_out += (rows.num_rows() - refused.len()) as u64;
        if !refused.is_empty() {
            let indexes: Vec<usize> = refused.iter().map(|refused| refused.row).collect();
            for (reject, refused) in self.describe_rows(rows, &indexes).into_iter().zip(refused) {
                self.reject(
                    Reject { reason: refused.code.to_owned(), message: refused.message, ..reject },
                    quarantining,
                )?;
            }
        }
        Ok(())
    }

    fn reject(&mut self, reject: Reject, quarantining: bool) -> Result<(), PipelineError> {
        Meters::add(&self.context.meter.rows_rejected, 1);
        if !quarantining {
            return Ok(());
        }
        let hop = &self.context.spec.name;
        self.quarantine
            .push(reject, &self.context.runtime)
            .map_err(lake_error(hop, format!("writing to the quarantine of `{hop}` failed")))
    }

    /// Where rows came from and what they hold, for quarantine.
    fn describe_rows(&self, rows: &RecordBatch, indexes: &[usize]) -> Vec<Reject> {
        let lanes = rows.column_by_name(column::LANE).and_then(|lanes| arrow_cast::cast(lanes, &DataType::Utf8).ok());
        let positions = rows
            .column_by_name(column::POSITION)
            .and_then(|positions| positions.as_primitive_opt::<Int64Type>().cloned());
        let upstream = Lane::from(self.context.upstream());
        indexes
            .iter()
            .zip(format::rows_as_json(&without_origin(rows), indexes))
            .map(|(row, payload)| Reject {
                lane: match &lanes {
                    Some(lanes) if !lanes.is_null(*row) => Lane::from(lanes.as_string::<i32>().value(*row)),
                    _ => upstream.clone(),
                },
                position: match &positions {
                    Some(positions) if !positions.is_null(*row) => positions.value(*row),
                    _ => UNKNOWN_POSITION,
                },
                line: None,
                reason: String::new(),
                message: String::new(),
                payload,
            })
            .collect()
    }

    /// Ends the input: the module gives what it kept, and everything pending is
    /// committed, unless the input stopped where a commit cannot end.
    pub fn finish(mut self, complete: bool) -> Result<(), PipelineError> {
        if self.taken.open || (self.whole && !self.has_pending()) {
            self.abandon();
            return Ok(());
        }
        if let (true, Some(module)) = (complete, self.module.clone()) {
            // A module that aggregates has something to say about an empty table too.
            if let (None, Some(schema)) = (&self.job, self.lookups.rows_schema()) {
                let writing = vec![true; self.sinks.len()];
                self.open_job(&module, &schema, &writing, true)?;
            }
            if let Some(open) = &mut self.job {
                let output = open.job.end_of_input(module.rows_port).map_err(job_error(&self.context.spec.name))?;
                let writing = vec![true; self.sinks.len()];
                self.write_output(&module, output, None, &writing, true)?;
            }
        }
        if self.has_pending() {
            self.commit()?;
        }
        for sink in &mut self.sinks {
            sink.end();
        }
        Ok(())
    }

    /// Throws away what no commit holds.
    pub fn abandon(mut self) {
        self.quarantine.abandon(&self.context.runtime);
        for sink in &mut self.sinks {
            sink.abandon(&self.context.runtime);
        }
    }

    /// Commits everything taken so far: first the quarantine, then each table.
    fn commit(&mut self) -> Result<(), PipelineError> {
        if let (Some(module), Some(open)) = (self.module.clone(), &mut self.job) {
            let output = open.job.flush(None).map_err(job_error(&self.context.spec.name))?;
            let whole = self.whole;
            let writing: Vec<bool> =
                self.sinks.iter().map(|sink| whole || !is_behind(&sink.recorded, &self.taken.positions)).collect();
            self.write_output(&module, output, None, &writing, true)?;
        }
        let taken = std::mem::take(&mut self.taken);
        self.quarantine.place(&taken.positions);
        let hop = self.context.spec.name.clone();
        let provenance = Provenance {
            rows_in: taken.rows,
            rows_out: taken.rows_out,
            rows_rejected: self.quarantine.pending(),
            ..self.context.provenance(self.module.as_ref())
        };
        if !self.whole && is_behind(self.quarantine.recorded(), &taken.positions) {
            self.quarantine.abandon(&self.context.runtime);
        }
        self.quarantine
            .commit(&self.context.app, &taken.positions, provenance.clone(), &self.context.runtime)
            .map_err(lake_error(&hop, format!("committing to the quarantine of `{hop}` failed")))?;
        for sink in &mut self.sinks {
            if !self.whole && is_behind(&sink.recorded, &taken.positions) {
                continue;
            }
            let rows = sink.pending();
            let name = sink.name.to_string();
            let committed = sink
                .commit(&self.context.app, &taken.positions, provenance.clone(), self.whole, &self.context.runtime)
                .map_err(lake_error(&hop, format!("committing to {name} failed")))?;
            tracing::debug!(hop, table = name, version = committed.version, rows, "committed");
            Meters::add(&self.context.meter.commits, 1);
            Meters::add(&self.context.meter.rows_out, rows);
            sink.count_unmet(&self.context.meter);
            sink.keep(&committed, &self.lake, &self.context.runtime);
        }
        Ok(())
    }
}

/// Where rows came from, for errors that are about all of them.
fn origin_of(rows: &RecordBatch) -> Option<String> {
    let lanes = arrow_cast::cast(rows.column_by_name(column::LANE)?, &DataType::Utf8).ok()?;
    let positions = rows.column_by_name(column::POSITION)?.as_primitive_opt::<Int64Type>()?;
    let lane = lanes.as_string_opt::<i32>().filter(|lanes| !lanes.is_empty() && lanes.is_valid(0))?.value(0);
    Some(format!(" at record {} of `{lane}`", positions.value(0)))
}

/// Whether these positions were reached before: the commit that moves there is done.
fn is_behind(recorded: &Positions, positions: &Positions) -> bool {
    !positions.is_empty() && positions.iter().all(|(lane, position)| recorded.get(lane) >= Some(position))
}

/// Whether a table already has what comes next in these lanes.
fn is_ahead(recorded: &Positions, cursor: &Positions, lanes: &[Lane]) -> bool {
    lanes.iter().any(|lane| recorded.get(lane) > cursor.get(lane))
}

/// Where a hop starts: in each lane, where the table stands that is furthest behind.
fn start(sinks: &[Sink]) -> Positions {
    let Some((first, others)) = sinks.split_first() else { return Positions::default() };
    first
        .recorded
        .iter()
        .filter_map(|(lane, position)| {
            others
                .iter()
                .try_fold(position, |least, sink| sink.recorded.get(lane).map(|at| at.min(least)))
                .map(|least| (lane.clone(), least))
        })
        .collect()
}

fn job_error(hop: &str) -> impl FnOnce(transform::JobError) -> PipelineError {
    let hop = hop.to_owned();
    move |source| PipelineError::Job { hop, source: Box::new(source) }
}
