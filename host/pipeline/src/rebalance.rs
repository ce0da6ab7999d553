//! A hop whose source is shared: lanes come and go while it runs.

use super::fault::PipelineError;
use super::hop::{Hop, start};
use super::sink::lake_error;
use sluicebox_core::batch::Positions;
use sluicebox_sources::LaneChange;

impl Hop {
    /// Makes what was read so far count, gives up the revoked lanes, and says where its tables
    /// have the assigned ones: whoever had those has committed them by now, or never will.
    pub fn change_lanes(&mut self, change: &LaneChange) -> Result<Positions, PipelineError> {
        self.shared = true;
        if self.has_pending() {
            self.commit()?;
        }
        let (hop, app) = (self.context.spec.name.clone(), self.context.app.clone());
        let runtime = self.context.runtime.clone();
        for sink in &mut self.sinks {
            let failed = lake_error(&hop, format!("looking at {} again failed", sink.name));
            runtime.block_on(sink.look_again(&app)).map_err(failed)?;
        }
        let failed = lake_error(&hop, format!("looking at the quarantine of `{hop}` again failed"));
        runtime.block_on(self.quarantine.look_again(&app)).map_err(failed)?;
        // What the lanes that are new here hold already goes down before anything that follows it.
        self.catch_up()?;
        let recorded = start(&self.sinks);
        let kept = change.owned.iter().filter(|lane| !change.assigned.contains(lane));
        let kept = kept.filter_map(|lane| Some((lane.clone(), self.cursor.get(lane)?)));
        let from: Positions =
            change.assigned.iter().filter_map(|lane| Some((lane.clone(), recorded.get(lane)?))).collect();
        self.cursor = kept.chain(from.iter().map(|(lane, at)| (lane.clone(), at))).collect();
        tracing::debug!(hop, owned = change.owned.len(), assigned = change.assigned.len(), "lanes changed");
        Ok(from)
    }

    /// Hands on what others have committed to this hop's tables. Nothing of its own may be pending.
    pub(super) fn catch_up(&mut self) -> Result<(), PipelineError> {
        for sink in &mut self.sinks {
            let failed = lake_error(&self.context.spec.name, format!("following {} failed", sink.name));
            sink.catch_up(&self.context.runtime).map_err(failed)?;
        }
        Ok(())
    }
}
