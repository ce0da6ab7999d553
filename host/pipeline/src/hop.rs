//! One hop at work: what it takes in, and when that is enough for a commit.

use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::SchemaRef;
use chrono::Utc;
use crossbeam_channel::Sender;

use super::context::HopContext;
use super::fault::PipelineError;
use super::flow::{Flow, Intake};
use super::lookup::Lookups;
use super::module::HopModule;
use super::module_stage::OpenJob;
use super::quarantine::QuarantineSink;
use super::queue;
use super::rows::with_ingested_at;
use super::sink::{Sink, lake_error};
use super::state::Memory;
use sluicebox_core::batch::{Lane, Positions, column};
use sluicebox_core::meter::Meters;
use sluicebox_core::plan::{TableName, Upstream};
use sluicebox_delta::Groups;
use sluicebox_lake::Lake;

/// What a hop took in since its last commit.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) rows_out: u64,
    pub(super) rows_rejected: u64,
    pub(super) positions: Positions,
    /// Where the lanes of these rows stood before them.
    pub(super) begun: Positions,
    pub(super) since: Option<Instant>,
    /// Rows came since the last place where a commit may end.
    pub(super) open: bool,
}

/// One hop at work.
pub struct Hop {
    pub(super) context: HopContext,
    pub(super) module: Option<HopModule>,
    pub(super) job: Option<OpenJob>,
    pub(super) lookups: Lookups,
    pub(super) sinks: Vec<Sink>,
    pub(super) quarantine: QuarantineSink,
    /// What the module remembers, where commits come in between.
    pub(super) memory: Option<Memory>,
    /// How far every lane was taken, committed or not.
    pub(super) cursor: Positions,
    pub(super) taken: Taken,
    /// The rows of this run are one commit: an overwrite is whole or not at all.
    pub(super) whole: bool,
    pub(super) lake: Lake,
    /// Hears what is committed.
    pub(super) told: Option<Sender<Positions>>,
    /// Others write its tables at the same time, each rows of lanes of its own.
    pub(super) shared: bool,
    /// Whether it looks after its tables; of several that share them one does.
    pub(super) leading: bool,
}

impl Hop {
    /// A hop that continues where its tables say.
    pub fn new(
        context: HopContext,
        module: Option<HopModule>,
        lookups: Lookups,
        sinks: Vec<Sink>,
        quarantine: QuarantineSink,
        lake: Lake,
    ) -> Self {
        let whole = context.whole();
        // A whole table is taken from its beginning every time.
        let cursor = if whole { Positions::default() } else { start(&sinks) };
        let taken = Taken::default();
        Self {
            context,
            module,
            job: None,
            lookups,
            sinks,
            quarantine,
            memory: None,
            cursor,
            taken,
            whole,
            lake,
            told: None,
            shared: false,
            leading: true,
        }
    }

    /// The same hop, whose module remembers what it did before.
    pub async fn recall(mut self) -> Result<Self, PipelineError> {
        self.memory = Memory::recall(&self.lake, &self.context, self.module.as_ref(), &self.cursor).await?;
        Ok(self)
    }

    /// The same hop, of which this run makes the tables anew: groups that it does not make are gone.
    pub fn rewriting(mut self) -> Self {
        self.sinks = self.sinks.into_iter().map(Sink::rewriting).collect();
        self
    }

    /// The same hop, of which this run makes only these groups of its upstream.
    pub async fn narrowed(mut self, groups: &Groups) -> Result<Self, PipelineError> {
        for sink in &mut self.sinks {
            let failed = lake_error(&self.context.spec.name, format!("naming the groups of {} failed", sink.name));
            sink.name_groups(groups).await.map_err(failed)?;
        }
        Ok(self)
    }

    /// Whether its tables have these groups as the upstream has them: under names of their own,
    /// of the same types.
    pub fn groups_fit(&self, columns: &[String], upstream: &SchemaRef) -> bool {
        self.sinks.iter().all(|sink| sink.groups_fit(columns, upstream))
    }

    /// Whether rows of it are in quarantine.
    pub fn has_rejects(&self) -> bool {
        self.quarantine.has_rows()
    }

    /// How far every lane was taken.
    pub fn cursor(&self) -> &Positions {
        &self.cursor
    }

    /// The hop's own facts.
    pub fn context(&self) -> &HopContext {
        &self.context
    }

    /// From now on hands on what one of its tables gets to a hop that has read that up to
    /// version `seen`.
    pub fn follow(&mut self, table: &TableName, to: queue::Sender<Flow>, seen: Option<u64>) {
        if let Some(sink) = self.sinks.iter_mut().find(|sink| sink.name == *table) {
            sink.follow(to, seen);
        }
    }

    /// From now on looks after its tables, or leaves that to others.
    pub fn lead(&mut self, leading: bool) {
        self.leading = leading;
    }

    /// Nobody follows its tables from memory any more. Nothing may be pending.
    pub fn end_followers(&mut self) {
        self.sinks.iter_mut().for_each(Sink::end);
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

    /// From now on says what it commits.
    pub fn tell(&mut self, told: Sender<Positions>) {
        self.told = Some(told);
    }

    /// Commits what has waited long enough, if a commit may end here.
    pub fn tick(&mut self) -> Result<(), PipelineError> {
        if self.is_due() && self.has_pending() && !self.taken.open && !self.whole {
            return self.commit();
        }
        if self.shared && !self.has_pending() { self.catch_up() } else { Ok(()) }
    }

    /// How long it may wait for more before it has to look at the time.
    pub fn patience(&self) -> Duration {
        let most = self.context.spec.flush.time;
        match self.taken.since.filter(|_| self.has_pending() && !self.taken.open && !self.whole) {
            // What is due and cannot be committed yet needs no look every moment.
            Some(since) => most.saturating_sub(since.elapsed()).max(Duration::from_millis(10)),
            None => most,
        }
    }

    fn is_due(&self) -> bool {
        self.taken.since.is_some_and(|since| since.elapsed() >= self.context.spec.flush.time)
    }

    /// Whether something was taken that no commit holds yet.
    pub(super) fn has_pending(&self) -> bool {
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
            // A commit whose lanes some table has in part could be neither made nor left out.
            let between = |lane: &Lane| !self.marks(lane).is_empty();
            if !self.whole && self.taken.positions.iter().any(|(lane, _)| between(lane)) {
                self.commit()?;
            }
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
                sink.check_drift(&reject).map_err(lake_error(&self.context.spec.name, doing))?;
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
            for (lane, _) in intake.positions.iter() {
                if self.taken.positions.get(lane).is_none()
                    && let Some(at) = self.cursor.get(lane)
                {
                    self.taken.begun.advance(lane.clone(), at);
                }
            }
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
}

/// Whether a table already has what comes next in these lanes.
fn is_ahead(recorded: &Positions, cursor: &Positions, lanes: &[Lane]) -> bool {
    lanes.iter().any(|lane| recorded.get(lane) > cursor.get(lane))
}

/// Where a hop starts: in each lane, where the table stands that is furthest behind.
pub(super) fn start(sinks: &[Sink]) -> Positions {
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
