//! A running hop: reads its input and decides when to commit.

use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::SchemaRef;
use chrono::Utc;
use crossbeam_channel::Sender;

use super::context::HopContext;
use super::fault::PipelineError;
use super::flow::{Flow, Intake};
use super::landing::Landing;
use super::lookup::Lookups;
use super::module::HopModule;
use super::module_stage::OpenJob;
use super::quarantine::QuarantineSink;
use super::queue;
use super::rows::{with_ingested_at, with_named_marks};
use super::sink::{Sink, lake_error};
use super::state::Memory;
use sluicebox_core::batch::{Lane, Positions};
use sluicebox_core::columns::SystemColumn;
use sluicebox_core::meter::Meters;
use sluicebox_core::plan::{OnDeletes, TableName, Upstream};
use sluicebox_delta::Groups;
use sluicebox_lake::{Lake, LandedFile};
use sluicebox_sources::FinishedFile;

/// What a hop has read since its last commit.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) rows_out: u64,
    pub(super) rows_rejected: u64,
    pub(super) positions: Positions,
    /// The positions of these lanes before the rows.
    pub(super) begun: Positions,
    pub(super) since: Option<Instant>,
    /// Rows arrived after the last point at which a commit may end.
    pub(super) open: bool,
}

/// A running hop.
pub struct Hop {
    pub(super) context: HopContext,
    /// What the columns of its source are called.
    landing: Landing,
    pub(super) module: Option<HopModule>,
    pub(super) job: Option<OpenJob>,
    pub(super) lookups: Lookups,
    pub(super) sinks: Vec<Sink>,
    pub(super) quarantine: QuarantineSink,
    /// The module's state, if the hop commits before the end of its input.
    pub(super) memory: Option<Memory>,
    /// The position of every lane after the last row read, committed or not.
    pub(super) cursor: Positions,
    pub(super) taken: Taken,
    /// All rows of this run are one commit, because an overwrite is atomic.
    pub(super) whole: bool,
    pub(super) lake: Lake,
    /// Receives the committed positions.
    pub(super) told: Option<Sender<Positions>>,
    /// Other hosts write the same tables at the same time, each from its own lanes.
    pub(super) shared: bool,
    /// Whether this host maintains the tables. If several hosts write them, only the leader does.
    pub(super) leading: bool,
}

impl Hop {
    /// A hop that continues at the positions in its tables.
    pub fn new(
        context: HopContext,
        module: Option<HopModule>,
        lookups: Lookups,
        sinks: Vec<Sink>,
        quarantine: QuarantineSink,
        lake: Lake,
    ) -> Self {
        let whole = context.whole();
        // A whole upstream is read from its beginning every time.
        let cursor = if whole { Positions::default() } else { start(&sinks) };
        let taken = Taken::default();
        Self {
            landing: context.landing.clone(),
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

    /// The same hop, with the saved state of its module.
    pub async fn recall(mut self) -> Result<Self, PipelineError> {
        self.memory = Memory::recall(&self.lake, &self.context, self.module.as_ref(), &self.cursor).await?;
        Ok(self)
    }

    /// The same hop, whose next commit replaces the tables as a whole: groups that get no row are removed.
    pub fn rewriting(mut self) -> Self {
        self.sinks = self.sinks.into_iter().map(Sink::rewriting).collect();
        self
    }

    /// The same hop, which computes only these groups of its upstream.
    pub async fn narrowed(mut self, groups: &Groups) -> Result<Self, PipelineError> {
        for sink in &mut self.sinks {
            let failed = lake_error(&self.context.spec.name, format!("naming the groups of {} failed", sink.name));
            sink.name_groups(groups).await.map_err(failed)?;
        }
        Ok(self)
    }

    /// Whether its tables have these groups with the same types as the upstream, possibly under other column names.
    pub fn groups_fit(&self, columns: &[String], upstream: &SchemaRef) -> bool {
        self.sinks.iter().all(|sink| sink.groups_fit(columns, upstream))
    }

    /// Whether its quarantine has rows.
    pub fn has_rejects(&self) -> bool {
        self.quarantine.has_rows()
    }

    /// The position of every lane after the last row read.
    pub fn cursor(&self) -> &Positions {
        &self.cursor
    }

    /// The context of the hop.
    pub fn context(&self) -> &HopContext {
        &self.context
    }

    /// Hands the rows of one of its tables to a downstream hop from now on, which has read the table up to version
    /// `seen`.
    pub fn follow(&mut self, table: &TableName, to: queue::Sender<Flow>, seen: Option<u64>, on_deletes: OnDeletes) {
        if let Some(sink) = self.sinks.iter_mut().find(|sink| sink.name == *table) {
            sink.follow(to, seen, on_deletes);
        }
    }

    /// Sets whether this host maintains the tables from now on.
    pub fn lead(&mut self, leading: bool) {
        self.leading = leading;
    }

    /// Stops handing rows downstream. Nothing may be pending.
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

    /// Ends a hop without input, so that downstream hops do not wait.
    pub fn idle(mut self) -> Result<(), PipelineError> {
        for sink in &mut self.sinks {
            sink.end();
        }
        Ok(())
    }

    /// Reads rows, and commits when a flush limit is reached.
    pub fn take(&mut self, intake: Intake) -> Result<(), PipelineError> {
        for part in self.align(intake)? {
            self.take_part(part)?;
        }
        Ok(())
    }

    /// Sends the positions of every commit from now on.
    pub fn tell(&mut self, told: Sender<Positions>) {
        self.told = Some(told);
    }

    /// Commits when the flush time is over, if a commit may end here.
    pub fn tick(&mut self) -> Result<(), PipelineError> {
        if self.is_due() && self.has_pending() && !self.taken.open && !self.whole {
            return self.commit();
        }
        if self.shared && !self.has_pending() { self.catch_up() } else { Ok(()) }
    }

    /// How long the hop may wait for input before it must check its flush time.
    pub fn patience(&self) -> Duration {
        let most = self.context.spec.flush.time;
        match self.taken.since.filter(|_| self.has_pending() && !self.taken.open && !self.whole) {
            // A commit that is due but may not end here needs no busy waiting.
            Some(since) => most.saturating_sub(since.elapsed()).max(Duration::from_millis(10)),
            None => most,
        }
    }

    fn is_due(&self) -> bool {
        self.taken.since.is_some_and(|since| since.elapsed() >= self.context.spec.flush.time)
    }

    /// Whether anything read is not committed.
    pub(super) fn has_pending(&self) -> bool {
        !self.taken.positions.is_empty()
    }

    /// A crash between the commits of a hop's tables leaves some tables ahead of others. Then the rows in between are
    /// read again. This splits them so that every commit ends exactly at the position of a table that is ahead; that
    /// table skips the commit.
    fn align(&mut self, intake: Intake) -> Result<Vec<Intake>, PipelineError> {
        let Some((lane, _)) = intake.positions.iter().next().map(|(lane, at)| (lane.clone(), at)) else {
            return Ok(vec![intake]);
        };
        let ahead = if self.whole { Vec::new() } else { self.marks(&lane) };
        if ahead.is_empty() {
            // A commit of lanes that a table has recorded in part could neither be made nor skipped.
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
            SystemColumn::Position.values(&intake.rows).map(|positions| positions.as_primitive::<Int64Type>().clone())
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

    /// Positions of a lane, after the cursor, at which a table of this hop stands.
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
                Upstream::Source(_) => self.landing.apply(with_ingested_at(&intake.rows, Utc::now()))?,
                Upstream::Table(_) => with_named_marks(intake.rows, &self.context.system),
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

    fn keep(&self, file: &FinishedFile) -> Result<(), PipelineError> {
        for sink in &self.sinks {
            let copy = file.clone();
            let landed = LandedFile {
                lane: file.lane.to_string(),
                location: file.location.clone(),
                bytes: file.bytes,
                modified: file.modified,
                open: Box::new(move || copy.read()),
            };
            let doing = format!("keeping the file `{}` beside {} failed", file.lane, sink.name);
            let kept = self.context.runtime.block_on(self.lake.keep_file(&sink.name, landed));
            kept.map_err(lake_error(&self.context.spec.name, doing))?;
        }
        Ok(())
    }
}

/// Whether a table is ahead of the cursor in one of these lanes.
fn is_ahead(recorded: &Positions, cursor: &Positions, lanes: &[Lane]) -> bool {
    lanes.iter().any(|lane| recorded.get(lane) > cursor.get(lane))
}

/// The start positions of a hop: in each lane, the position of the table that is furthest behind.
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
