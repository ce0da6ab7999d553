//! A rebalance: lanes of a shared source are assigned and revoked while the hop runs.

use super::fault::PipelineError;
use super::hop::{Hop, start};
use super::sink::lake_error;
use sluicebox_core::batch::Positions;
use sluicebox_sources::LaneChange;

impl Hop {
    /// Commits what was read so far, gives up the revoked lanes, and returns the positions at which the assigned
    /// lanes continue. Their previous owner has committed by now, or its commits will fail.
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
        // Rows already committed for the assigned lanes are handed downstream before any rows after them.
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

    /// Hands the commits of other hosts to this hop's tables downstream. Nothing of its own may be pending.
    pub(super) fn catch_up(&mut self) -> Result<(), PipelineError> {
        for sink in &mut self.sinks {
            let failed = lake_error(&self.context.spec.name, format!("following {} failed", sink.name));
            sink.catch_up(&self.context.runtime).map_err(failed)?;
        }
        Ok(())
    }
}
