//! The commits of a hop: at its flush limits and at the end of its input.

use super::events::HopEvent;
use super::fault::PipelineError;
use super::hop::Hop;
use super::module_stage::job_error;
use super::sink::lake_error;
use super::state::Memory;
use sluicebox_core::batch::Positions;
use sluicebox_core::crash::{self, Point};
use sluicebox_core::meter::Meters;
use sluicebox_delta::Provenance;

impl Hop {
    /// Ends the input: the module emits what it held back, and everything pending is committed, unless the input
    /// stopped at a place where no commit may end.
    pub fn finish(mut self, complete: bool) -> Result<(), PipelineError> {
        if self.taken.open || (self.whole && !self.has_pending()) {
            self.abandon();
            return Ok(());
        }
        // A module with state has no end of input: the next run continues with its state.
        let ends = complete && self.memory.is_none();
        if let (true, Some(module)) = (ends, self.module.clone()) {
            // An aggregating module may emit rows for an empty table too.
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

    /// Discards everything that is not committed.
    pub fn abandon(mut self) {
        self.quarantine.abandon(&self.context.runtime);
        for sink in &mut self.sinks {
            sink.abandon(&self.context.runtime);
        }
    }

    /// Commits everything read so far: first the quarantine, then each table.
    pub(super) fn commit(&mut self) -> Result<(), PipelineError> {
        if let (Some(module), Some(open)) = (self.module.clone(), &mut self.job) {
            let watermark = self.memory.as_mut().and_then(Memory::advance);
            let output = open.job.flush(watermark).map_err(job_error(&self.context.spec.name))?;
            let whole = self.whole;
            let writing: Vec<bool> =
                self.sinks.iter().map(|sink| whole || !is_behind(&sink.recorded, &self.taken.positions)).collect();
            self.write_output(&module, output, None, &writing, true)?;
        }
        let state = self.save_state()?;
        if state.is_some() {
            crash::pass(Point::State);
        }
        let taken = std::mem::take(&mut self.taken);
        self.quarantine.place(&taken.positions);
        let hop = self.context.spec.name.clone();
        let provenance = Provenance {
            rows_in: taken.rows,
            rows_out: taken.rows_out,
            rows_rejected: taken.rows_rejected,
            lookups: self.lookups.versions(),
            state,
            ..self.context.provenance(self.module.as_ref())
        };
        let mut rejected = taken.rows_rejected;
        if !self.whole && is_behind(self.quarantine.recorded(), &taken.positions) {
            self.quarantine.abandon(&self.context.runtime);
            rejected = 0;
        }
        self.quarantine
            .commit(&self.context.app, &taken.positions, provenance.clone(), &self.context.runtime)
            .map_err(lake_error(&hop, format!("committing to the quarantine of `{hop}` failed")))?;
        if rejected > 0 {
            self.context.listener.tell(|| HopEvent::Reject { hop: hop.clone(), rows: rejected });
        }
        crash::pass(Point::Quarantined);
        for sink in &mut self.sinks {
            if !self.whole && is_behind(&sink.recorded, &taken.positions) {
                continue;
            }
            let rows = sink.pending();
            let name = sink.name.to_string();
            let committed = sink
                .commit(
                    &self.context.app,
                    (&taken.begun, &taken.positions),
                    provenance.clone(),
                    self.whole,
                    &self.context.runtime,
                )
                .map_err(lake_error(&hop, format!("committing to {name} failed")))?;
            if sink.is_overtaken(&committed) {
                return Err(PipelineError::Overtaken { hop, table: name });
            }
            sink.hand_on(&committed, &self.context.runtime)
                .map_err(lake_error(&hop, format!("reading back what {name} got failed")))?;
            crash::pass(Point::Table);
            tracing::debug!(hop, table = name, version = committed.version, rows, "committed");
            Meters::add(&self.context.meter.commits, 1);
            Meters::add(&self.context.meter.conflicts, u64::from(committed.conflicts));
            Meters::add(&self.context.meter.rows_out, rows);
            sink.count_unmet(&self.context.meter);
            self.context.listener.tell(|| HopEvent::Commit {
                hop: hop.clone(),
                table: sink.name.clone(),
                version: committed.version,
                rows,
            });
            if self.leading {
                sink.keep(&committed, &self.lake, &self.context.runtime);
            }
        }
        if let Some(memory) = &mut self.memory {
            self.context.runtime.block_on(memory.forget(&self.cursor));
        }
        if let Some(told) = &self.told {
            // Only the source listens, for offsets that nobody depends on. It may be gone.
            let _ = told.send(taken.positions);
        }
        self.refresh_lookups()
    }

    /// Saves the module's state before the commit that names it. Returns its path.
    fn save_state(&mut self) -> Result<Option<String>, PipelineError> {
        let Some(memory) = &mut self.memory else { return Ok(None) };
        let hop = &self.context.spec.name;
        if let Some(open) = &mut self.job {
            memory.remember(open.job.snapshot().map_err(job_error(hop))?);
        }
        self.context.runtime.block_on(memory.save(hop, &self.cursor)).map(Some)
    }

    /// Reads lookup tables again that have a new version. The job that holds the old rows ends, and the next rows
    /// open a new one.
    fn refresh_lookups(&mut self) -> Result<(), PipelineError> {
        // A hop that reads its whole upstream has nothing more to read.
        if self.whole {
            return Ok(());
        }
        if self.context.runtime.block_on(self.lookups.refresh(&self.context.spec.name))? {
            self.job = None;
        }
        Ok(())
    }
}

/// Whether all these positions are recorded already, so that the commit is done.
fn is_behind(recorded: &Positions, positions: &Positions) -> bool {
    !positions.is_empty() && positions.iter().all(|(lane, position)| recorded.get(lane) >= Some(position))
}
