//! One retry of the rows of one version of the quarantine, through the stage that rejected them.

use sluicebox_delta::DeltaError;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use chrono::Utc;
use futures::TryStreamExt;
use tokio::runtime::Handle;

use super::Retried;
use super::fault::RetryError;
use super::net_changes::NetChanges;
use super::outputs::{GoesBack, Outputs};
use super::typed::{Typed, typed};
use crate::bind::landing;
use crate::landing::{Landing, decoded_columns};
use crate::lookup::Lookups;
use crate::module::HopModule;
use crate::module_stage::job_error;
use crate::replay::row_hashes;
use crate::rows::{CHANGE_MARKS, describe, slices, with_ingested_at};
use crate::schedule::{self, Taking};
use crate::{PipelineError, artifacts};
use sluicebox_core::batch::{Lane, Positions, Reject, Stage};
use sluicebox_core::columns::same_column;
use sluicebox_core::plan::{HopSpec, Plan, TableName, Upstream, WriteMode};
use sluicebox_core::reject::{Reason, RejectCode};
use sluicebox_delta::{Commit, Provenance};
use sluicebox_formats::{self as format, PAYLOAD_BYTES};
use sluicebox_lake::{Lake, Quarantined, quarantined};
use sluicebox_sandbox::{CONTRACT, Job};
use sluicebox_sources::{self as source, Record};

/// How often the commit to the quarantine is tried when others write to it.
const ATTEMPTS: usize = 20;

/// Why rows without a stage, written by older versions, stay.
const NO_STAGE: &str = "it does not say at which stage it was refused";

/// Everything that one retry needs, so that it can move to its own thread.
pub struct Attempt {
    pub plan: Plan,
    pub hop: HopSpec,
    pub module: Option<HopModule>,
    /// The columns of the rows that the hop reads, if they are known.
    pub upstream: Option<SchemaRef>,
    /// The columns of the rows that each table is given.
    pub schemas: HashMap<TableName, SchemaRef>,
    pub existing: HashMap<TableName, SchemaRef>,
    /// What its source decodes, where it reads one.
    pub decoded: Option<SchemaRef>,
    pub lookups: Lookups,
    pub lake: Lake,
    pub runtime: Handle,
    pub lane: Lane,
    pub version: u64,
    pub reason: Option<String>,
}

/// The progress of a retry.
struct State {
    out: Outputs,
    job: Option<(Job, SchemaRef)>,
    /// The rows that leave the quarantine, with how often each occurs.
    leaving: HashMap<u128, u64>,
    /// Changes that undo each other.
    pairs: NetChanges,
    rows: u64,
    left: BTreeMap<String, u64>,
}

impl Attempt {
    /// Runs the retry. `None` if there is nothing to retry.
    pub fn run(mut self) -> Result<Option<Retried>, RetryError> {
        let app = format!("{}/{}", self.plan.name, self.hop.name);
        let runtime = self.runtime.clone();
        let maker = self.maker();
        runtime.block_on(artifacts::keep(&self.lake, &self.plan, &self.hop.name, self.module.as_ref()))?;
        let mut state = State {
            out: self.outlets(&app, &maker)?,
            job: None,
            leaving: HashMap::new(),
            pairs: NetChanges::of(self.changes().then_some(&self.plan.system)),
            rows: 0,
            left: BTreeMap::new(),
        };
        let table = runtime.block_on(self.lake.quarantine_at(&self.hop.name, self.version))?;
        let columns: Vec<String> = table
            .schema()
            .map(|schema| schema.fields().iter().map(|field| field.name().clone()).collect())
            .unwrap_or_default();
        let mut batches = runtime.block_on(table.scan(None))?;
        while let Some(rows) = runtime.block_on(batches.try_next())? {
            self.asked_for(&rows).for_each(|(reject, _)| state.pairs.see(&reject));
        }
        let mut batches = runtime.block_on(table.scan(None))?;
        while let Some(rows) = runtime.block_on(batches.try_next())? {
            self.take(&rows, &mut state)?;
        }
        if state.rows == 0 && state.left.is_empty() {
            return Ok(None);
        }
        if let (Some((job, _)), Some(module)) = (&mut state.job, &self.module) {
            let output = job.flush(None).map_err(job_error(&self.hop.name))?;
            for (port, rows) in output.batches {
                state.out.write(module.sinks[port], &rows)?;
            }
        }
        let refused = state.out.refused;
        let provenance = Provenance {
            rows_in: state.rows,
            rows_out: state.rows.saturating_sub(refused),
            rows_rejected: refused,
            ..maker
        };
        let positions = Positions::of(self.lane.clone(), self.version as i64);
        // These stay whenever they are retried, so that none of them is in a table.
        let explained = state.left.iter().find(|(why, _)| *why != NO_STAGE && *why != source::NOT_WHOLE);
        if let (true, Some((why, _))) = (state.out.is_begun(), explained) {
            // Some of them are in a table already; leaving them here would duplicate them.
            return Err(RetryError::Stuck { hop: self.hop.name, why: why.clone() });
        }
        let (taken, back) = state.out.commit(&app, &positions, &provenance)?;
        if state.rows > 0 {
            self.give_up(&app, &positions, &provenance, &columns, &state.leaving, &back)?;
        }
        Ok(Some(Retried {
            reason: self.reason,
            version: self.version,
            finished: false,
            rows: state.rows,
            taken,
            refused,
            left: state.left.into_iter().collect(),
        }))
    }

    fn maker(&self) -> Provenance {
        Provenance {
            pipeline: self.plan.name.clone(),
            hop: self.hop.name.clone(),
            config_hash: self.plan.config_hash.clone(),
            module: self
                .module
                .as_ref()
                .map(|module| (module.descriptor.name.clone(), module.module.digest().to_owned())),
            contract: self.module.as_ref().map(|_| CONTRACT.to_owned()),
            ..Provenance::default()
        }
    }

    fn upstream_name(&self) -> Lane {
        match &self.hop.from {
            Upstream::Source(name) => Lane::from(name.as_str()),
            Upstream::Table(name) => Lane::from(name.to_string()),
        }
    }

    fn outlets(&self, app: &str, maker: &Provenance) -> Result<Outputs, RetryError> {
        let mut out = Outputs::new(&self.hop.name, self.upstream_name(), maker.clone(), self.runtime.clone())?;
        for (_, name) in &self.hop.to {
            let Some(spec) = self.plan.table(name) else { continue };
            let mut table = self.runtime.block_on(self.lake.table(spec))?;
            if let (None, Some(schema)) = (table.schema(), self.schemas.get(name)) {
                self.runtime.block_on(table.create(schema, maker.clone()))?;
            }
            let recorded = self.runtime.block_on(table.positions(&format!("{app}/")))?;
            let done = recorded.get(&self.lane) >= Some(self.version as i64);
            out.add(name.clone(), table, done);
        }
        Ok(out)
    }

    /// The rows of a batch of the quarantine that are to be retried and have a stage.
    fn asked_for<'r>(&'r self, rows: &'r RecordBatch) -> impl Iterator<Item = (Reject, u128)> + use<'r> {
        let hashes = row_hashes(rows);
        quarantined(rows).into_iter().zip(hashes).filter_map(|(row, hash)| {
            let Quarantined { reject, pipeline } = row?;
            // A hop of another pipeline may have the same name.
            let ours = pipeline.is_none_or(|pipeline| pipeline == self.plan.name);
            let asked = self.reason.as_ref().is_none_or(|reason| *reason == reject.reason.as_str());
            (ours && asked).then_some((reject, hash))
        })
    }

    /// Retries the rows of one batch of the quarantine.
    fn take(&mut self, rows: &RecordBatch, state: &mut State) -> Result<(), RetryError> {
        let mut by_stage: BTreeMap<String, Vec<(Reject, u128)>> = BTreeMap::new();
        let mute = quarantined(rows).iter().filter(|row| row.is_none()).count() as u64;
        if mute > 0 {
            *state.left.entry(NO_STAGE.to_owned()).or_default() += mute;
        }
        for (reject, hash) in self.asked_for(rows) {
            if state.pairs.is_settled(&reject) {
                state.rows += 1;
                *state.leaving.entry(hash).or_default() += 1;
                continue;
            }
            // Records that were decoded together are decoded together again, except those that are missing now.
            let key = match &reject.stage {
                Stage::Source => format!("source {} {}", reject.payload.len() >= PAYLOAD_BYTES, reject.lane),
                other => other.to_string(),
            };
            by_stage.entry(key).or_default().push((reject, hash));
        }
        for rejects in by_stage.into_values() {
            let Some((first, _)) = rejects.first() else { continue };
            let why = match first.stage.clone() {
                Stage::Source => self.decode(&rejects, state)?,
                Stage::Module => self.pass_module(&rejects, state)?,
                Stage::Table(table) => self.pass_table(&table, &rejects, state)?,
            };
            match why {
                Some(why) => *state.left.entry(why).or_default() += rejects.len() as u64,
                None => {
                    state.rows += rejects.len() as u64;
                    for (_, hash) in &rejects {
                        *state.leaving.entry(*hash).or_default() += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Retries rows that could not be decoded. Returns why they and their siblings stay, if they do.
    fn decode(&mut self, rejects: &[(Reject, u128)], state: &mut State) -> Result<Option<String>, RetryError> {
        let Upstream::Source(name) = self.hop.from.clone() else {
            return Ok(Some("its hop reads a table now and not a source".to_owned()));
        };
        let Some(spec) = self.plan.source(&name).cloned() else { return Ok(Some(format!("source {name} is gone"))) };
        let landed = self.hop.to.first().filter(|_| self.hop.module.is_none());
        let known = landed
            .and_then(|(_, table)| Some(decoded_columns(self.existing.get(table)?, self.plan.table(table))))
            .or_else(|| self.decoded.clone());
        let records: Vec<Record<'_>> =
            rejects.iter().map(|(reject, _)| Record { position: reject.position, bytes: &reject.payload }).collect();
        let lane = rejects[0].0.lane.clone();
        let failed = |source| PipelineError::Source {
            hop: self.hop.name.clone(),
            upstream: name.clone(),
            source: Box::new(source),
        };
        let demands = landing(&self.plan, &self.hop).map(|contract| contract.demands()).unwrap_or_default();
        let decoded = match source::redecode(&spec, &lane, &records, known, demands, &self.runtime).map_err(failed)? {
            Ok(decoded) => decoded,
            Err(why) => return Ok(Some(why)),
        };
        for again in decoded {
            for (index, reason, message) in again.bad {
                state.out.refuse(Reject { reason: reason.into(), message, ..rejects[index].0.clone() })?;
            }
            if again.rows.num_rows() > 0 {
                let mut landing = Landing::of(&self.plan, &self.hop);
                self.push(&landing.apply(with_ingested_at(&again.rows, Utc::now()))?, None, state)?;
            }
        }
        Ok(None)
    }

    fn pass_module(&mut self, rejects: &[(Reject, u128)], state: &mut State) -> Result<Option<String>, RetryError> {
        let Some(schema) = self.upstream.clone() else {
            return Ok(Some("the columns of its upstream are not known".to_owned()));
        };
        let sums = self.hop.to.iter().any(|(_, table)| self.sums(table));
        let (rejects, made) = self.typed(rejects, &schema, sums, state)?;
        let origin: Vec<(Lane, i64)> =
            made.taken.iter().map(|index| (rejects[*index].lane.clone(), rejects[*index].position)).collect();
        self.push(&made.rows, Some(&origin), state)?;
        Ok(None)
    }

    fn pass_table(
        &mut self,
        table: &str,
        rejects: &[(Reject, u128)],
        state: &mut State,
    ) -> Result<Option<String>, RetryError> {
        let Some(index) = state.out.index(table) else {
            return Ok(Some(format!("its hop does not write {table} any more")));
        };
        let name = &self.hop.to[index].1;
        let Some(schema) = self.schemas.get(name).or_else(|| self.existing.get(name)).cloned() else {
            return Ok(Some(format!("the columns of {table} are not known")));
        };
        let (_, made) = self.typed(rejects, &self.with_others(&schema, rejects), self.sums(name), state)?;
        state.out.write(index, &made.rows)?;
        Ok(None)
    }

    /// Whether the hop takes changes, so that its rows say what becomes of them.
    fn changes(&self) -> bool {
        schedule::taking(&self.plan, &self.hop) == Taking::Changes
    }

    /// The columns of a table's rows, and those that only the payloads have: a table may have
    /// refused a row for a column that it did not know, and does not keep what says of a row that it is a change.
    fn with_others(&self, schema: &SchemaRef, rejects: &[(Reject, u128)]) -> SchemaRef {
        let others = others(schema, rejects);
        let marks = CHANGE_MARKS.map(|mark| self.plan.system.field(mark));
        let mark = |field: &FieldRef| marks.iter().find(|mark| mark.name() == field.name()).filter(|_| self.changes());
        let others =
            others.iter().map(|field| mark(field).map_or_else(|| field.clone(), |mark| Arc::new(mark.clone())));
        Arc::new(Schema::new(schema.fields().iter().cloned().chain(others).collect::<Vec<_>>()))
    }

    /// Whether a table adds rows up.
    fn sums(&self, table: &TableName) -> bool {
        self.plan.table(table).is_some_and(|spec| matches!(spec.mode, WriteMode::Accumulate { .. }))
    }

    /// Parses payloads as rows; those that fail go back. Deletions are kept only for `sums`: for other tables the row
    /// they delete was rejected like them, and a later row may have its key.
    fn typed<'r>(
        &self,
        rejects: &'r [(Reject, u128)],
        schema: &SchemaRef,
        sums: bool,
        state: &mut State,
    ) -> Result<(Vec<&'r Reject>, Typed), RetryError> {
        let rejects: Vec<&Reject> = rejects.iter().map(|(reject, _)| reject).collect();
        let landed = matches!(self.hop.from, Upstream::Source(_)).then(Utc::now);
        let mut made = typed(&rejects, schema, landed).map_err(|source| DeltaError::Arrow {
            action: "read quarantined rows",
            table: self.hop.name.clone(),
            source: Box::new(source),
        })?;
        for (index, message) in made.bad.drain(..) {
            let reason = RejectCode::RetryPayload.into();
            state.out.refuse(Reject { reason, message, ..rejects[index].clone() })?;
        }
        if !sums {
            made.keep_present().map_err(|source| DeltaError::Arrow {
                action: "choose quarantined rows",
                table: self.hop.name.clone(),
                source: Box::new(source),
            })?;
        }
        Ok((rejects, made))
    }

    /// Runs rows through the module, if there is one, into the tables. `origin` is the lane and position of rows
    /// without their own.
    fn push(
        &mut self,
        rows: &RecordBatch,
        origin: Option<&[(Lane, i64)]>,
        state: &mut State,
    ) -> Result<(), RetryError> {
        let Some(module) = self.module.clone() else {
            return state.out.write(0, rows);
        };
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.open_job(&module, &rows.schema(), state)?;
        let upstream = self.upstream_name();
        let mut before = 0;
        for slice in slices(rows) {
            let Some((job, _)) = &mut state.job else { break };
            let output = job.push(module.rows_port, &slice, None).map_err(job_error(&self.hop.name))?;
            for (port, rows) in output.batches {
                state.out.write(module.sinks[port], &rows)?;
            }
            let indexes: Vec<usize> = output.rejections.iter().map(|rejection| rejection.row as usize).collect();
            let rejects = describe(&slice, &indexes, &upstream, &Stage::Module);
            for (mut reject, rejection) in rejects.into_iter().zip(output.rejections) {
                if let Some((lane, position)) = origin.and_then(|origin| origin.get(before + rejection.row as usize)) {
                    (reject.lane, reject.position) = (lane.clone(), *position);
                }
                state.out.refuse(Reject {
                    reason: Reason::Module(rejection.code),
                    message: rejection.message,
                    ..reject
                })?;
            }
            before += slice.num_rows();
        }
        Ok(())
    }

    fn open_job(&mut self, module: &HopModule, schema: &SchemaRef, state: &mut State) -> Result<(), RetryError> {
        if state.job.as_ref().is_some_and(|(_, open)| open == schema) {
            return Ok(());
        }
        let hop = self.hop.name.clone();
        if let Some((mut job, _)) = state.job.take() {
            for (port, rows) in job.flush(None).map_err(job_error(&hop))?.batches {
                state.out.write(module.sinks[port], &rows)?;
            }
        }
        let Some(spec) = &self.hop.module else { return Ok(()) };
        let binding = module.bind(&hop, schema, &self.lookups.schemas())?;
        let mut job = Job::open(&module.module, &spec.config, binding, &spec.limits, None).map_err(job_error(&hop))?;
        for (port, table) in &module.lookups {
            for rows in self.lookups.rows(table) {
                for slice in slices(rows) {
                    job.push(*port, &slice, None).map_err(job_error(&hop))?;
                }
            }
            job.end_of_input(*port).map_err(job_error(&hop))?;
        }
        state.job = Some((job, schema.clone()));
        Ok(())
    }

    /// Removes the retried rows from the quarantine and adds those rejected again, in one commit. Rows added
    /// meanwhile are kept.
    fn give_up(
        &self,
        app: &str,
        positions: &Positions,
        provenance: &Provenance,
        columns: &[String],
        leaving: &HashMap<u128, u64>,
        back: &GoesBack,
    ) -> Result<(), RetryError> {
        let runtime = &self.runtime;
        for _ in 0..ATTEMPTS {
            let mut table = runtime.block_on(self.lake.quarantine(&self.hop.name))?.rewritten().held();
            let mut writer = runtime.block_on(table.begin())?;
            let mut leaving = leaving.clone();
            let mut batches = runtime.block_on(table.scan(None))?;
            while let Some(rows) = runtime.block_on(batches.try_next())? {
                let stays = staying(&rows, columns, &mut leaving)?;
                writer.write(&stays)?;
            }
            let mut batches = runtime.block_on(back.table().scan(None))?;
            while let Some(rows) = runtime.block_on(batches.try_next())? {
                writer.write(&rows)?;
            }
            let commit = Commit {
                app: app.to_owned(),
                positions: positions.clone(),
                begun: None,
                provenance: provenance.clone(),
                whole: false,
            };
            match runtime.block_on(table.commit(writer, commit)) {
                Ok(_) => return Ok(()),
                // Rows were added meanwhile. They must not be lost.
                Err(DeltaError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RetryError::Busy { hop: self.hop.name.clone(), attempts: ATTEMPTS })
    }
}

/// The columns that only the payloads of rows have.
fn others(schema: &SchemaRef, rejects: &[(Reject, u128)]) -> Vec<FieldRef> {
    let lines: Vec<u8> = rejects.iter().flat_map(|(reject, _)| reject.payload.iter().copied().chain([b'\n'])).collect();
    // Payloads that cannot even be guessed at are reported one by one when they are read.
    let Ok(found) = format::infer_json(&lines) else { return Vec::new() };
    let known = |name: &str| schema.fields().iter().any(|field| same_column(field.name(), name));
    found.fields().iter().filter(|field| !known(field.name())).cloned().collect()
}

/// The rows that stay. A row leaves as often as it is counted.
fn staying(
    rows: &RecordBatch,
    columns: &[String],
    leaving: &mut HashMap<u128, u64>,
) -> Result<RecordBatch, RetryError> {
    let failed = || DeltaError::Arrow {
        action: "choose rows",
        table: "quarantine".to_owned(),
        source: Box::new(arrow_schema::ArrowError::SchemaError("a column of the quarantine is gone".to_owned())),
    };
    // A column added to the quarantine meanwhile does not make its rows different.
    let known: Option<Vec<usize>> = columns.iter().map(|name| rows.schema().index_of(name).ok()).collect();
    let known = rows.project(&known.ok_or_else(failed)?).map_err(|_| failed())?;
    let stays: BooleanArray = row_hashes(&known)
        .iter()
        .map(|hash| match leaving.get_mut(hash) {
            Some(count) if *count > 0 => {
                *count -= 1;
                Some(false)
            }
            _ => Some(true),
        })
        .collect();
    debug_assert_eq!(stays.null_count(), 0);
    Ok(filter_record_batch(rows, &stays).map_err(|_| failed())?)
}
