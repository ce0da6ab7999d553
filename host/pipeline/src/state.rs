//! The state of a hop between commits: that of its module, and its event clock.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use serde_json::{Value, json};

use super::context::HopContext;
use super::fault::PipelineError;
use super::module::HopModule;
use super::sink::lake_error;
use super::watermark::EventClock;
use sluicebox_core::batch::Positions;
use sluicebox_lake::{Lake, Piece, States};
use sluicebox_sandbox::SavedState;

/// The number of states that are kept. After a crash between the commits of a hop's tables, one table may need the
/// state before the last; the others are for a person who investigates.
const KEPT: usize = 4;

/// The state of a hop whose module is stateful and whose commits come before the end of its input.
pub struct Memory {
    states: States,
    /// The state version and pieces that the module saved; `None` before the first.
    saved: Option<(u32, Vec<Piece>)>,
    clock: Option<EventClock>,
}

impl Memory {
    /// The state at these positions; `None` for a hop without state.
    ///
    /// # Errors
    /// A state should exist and does not, or has another version.
    pub async fn recall(
        lake: &Lake,
        context: &HopContext,
        module: Option<&HopModule>,
        positions: &Positions,
    ) -> Result<Option<Self>, PipelineError> {
        let Some(module) = module.filter(|module| module.descriptor.stateful && !context.whole()) else {
            return Ok(None);
        };
        let hop = &context.spec.name;
        let failed = || lake_error(hop, "reading the state of its module failed");
        let mut states = lake.states(&context.pipeline, hop).map_err(failed())?;
        let mut clock = context.spec.event_time.as_ref().map(EventClock::new);
        if positions.is_empty() {
            return Ok(Some(Self { states, saved: None, clock }));
        }
        let wrong = |message: String, hint: &str| PipelineError::State { hop: hop.clone(), message, hint: hint.into() };
        let (name, version) = (&module.descriptor.name, module.descriptor.state_version);
        let Some((head, pieces)) = states.load(positions).await.map_err(failed())? else {
            return Err(wrong(
                format!("there is no state for the module `{name}` at the positions that its tables stand at"),
                "its rows so far were made by a module without state, or the lake's `_state` folder was lost; give the hop a new name and new tables, and it starts from the beginning",
            ));
        };
        let found = match &head["version"] {
            Value::Null => None,
            found => Some(found.as_u64().and_then(|found| u32::try_from(found).ok()).ok_or_else(|| {
                wrong(
                    "the state of its module cannot be read".into(),
                    "it was saved by another version of sluice; run that, or give the hop a new name and new tables",
                )
            })?),
        };
        if let Some(found) = found.filter(|found| *found != version) {
            return Err(wrong(
                format!("the module `{name}` reads state of version {version}, and what was saved has version {found}"),
                "run the module that saved it, or give the hop a new name and new tables, and it starts from the beginning",
            ));
        }
        // A run that was killed between a commit and this point leaves more states than are needed, and this run may
        // have nothing to commit.
        states.keep_newest(KEPT, positions).await;
        // A hop that had no `event_time` before starts its clock with the next rows.
        if let Some(clock) = clock.as_mut().filter(|_| head["event_time"].is_object()) {
            clock.restore(&head["event_time"]);
        }
        Ok(Some(Self { states, saved: found.map(|version| (version, pieces)), clock }))
    }

    /// The state that the next job starts with.
    pub fn saved(&self) -> Option<SavedState> {
        let (version, pieces) = self.saved.as_ref()?;
        let entries = pieces.iter().map(|piece| (piece.key().to_owned(), piece.bytes().to_vec())).collect();
        Some(SavedState { version: *version, entries })
    }

    /// Takes over the state that a job saved.
    pub fn remember(&mut self, state: SavedState) {
        let before = self.saved.take().map(|(_, pieces)| pieces).unwrap_or_default();
        let before: HashMap<&str, &Piece> = before.iter().map(|piece| (piece.key(), piece)).collect();
        let piece = |(key, bytes): (String, Vec<u8>)| {
            let same = before.get(key.as_str()).copied();
            Piece::new(key, bytes, same)
        };
        self.saved = Some((state.version, state.entries.into_iter().map(piece).collect()));
    }

    /// Advances the event clock by rows that go into the module.
    pub fn see(&mut self, rows: &RecordBatch) {
        if let Some(clock) = &mut self.clock {
            clock.see(rows);
        }
    }

    /// The watermark as of the last commit.
    pub fn watermark(&self) -> Option<i64> {
        self.clock.as_ref().and_then(EventClock::watermark)
    }

    /// Advances the watermark at a commit and returns it.
    pub fn advance(&mut self) -> Option<i64> {
        self.clock.as_mut().and_then(EventClock::advance)
    }

    /// Saves the state for the commit that moves the hop to these positions. Returns its path from the lake's root.
    pub async fn save(&mut self, hop: &str, positions: &Positions) -> Result<String, PipelineError> {
        let pieces = self.saved.as_ref().map_or(&[][..], |(_, pieces)| pieces);
        let head = json!({
            "version": self.saved.as_ref().map(|(version, _)| version),
            "event_time": self.clock.as_ref().map(EventClock::save),
        });
        let saved = self.states.save(positions, &head, pieces).await;
        let (path, put) = saved.map_err(lake_error(hop, "saving the state of its module failed"))?;
        tracing::debug!(hop, put, pieces = pieces.len(), "state saved");
        Ok(path)
    }

    /// Deletes states that no commit needs any more, now that the hop stands at these positions.
    pub async fn forget(&mut self, positions: &Positions) {
        self.states.keep_newest(KEPT, positions).await;
    }
}
