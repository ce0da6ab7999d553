//! What a hop's module remembers from commit to commit.

use super::context::HopContext;
use super::fault::PipelineError;
use super::module::HopModule;
use super::sink::lake_error;
use crate::batch::Positions;
use crate::lake::{Lake, States};
use crate::transform::SavedState;

/// States that are kept: a crash between the commits of a hop's tables leaves the one behind
/// at the state before, and the rest is for a person who looks.
const KEPT: usize = 4;

/// The memory of a hop whose module keeps state while the hop commits in between.
pub struct Memory {
    states: States,
    saved: Option<SavedState>,
}

impl Memory {
    /// What the hop's module remembered at these positions; `None` for a hop that needs no memory.
    ///
    /// # Errors
    /// When there should be a state and there is none, or one of another version.
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
        let states = lake.states(&context.pipeline, hop).map_err(failed())?;
        if positions.is_empty() {
            return Ok(Some(Self { states, saved: None }));
        }
        let wrong = |message: String, hint: &str| PipelineError::State { hop: hop.clone(), message, hint: hint.into() };
        let (name, version) = (&module.descriptor.name, module.descriptor.state_version);
        let Some(bytes) = states.load(positions).await.map_err(failed())? else {
            return Err(wrong(
                format!("there is no state for the module `{name}` at the positions that its tables stand at"),
                "its rows so far were made by a module without state, or the lake's `_state` folder was lost; give the hop a new name and new tables, and it starts from the beginning",
            ));
        };
        let saved = decode(&bytes).ok_or_else(|| {
            wrong(
                "the state of its module cannot be read".into(),
                "it was saved by another version of sluice; run that, or give the hop a new name and new tables",
            )
        })?;
        if let Some(found) = saved.as_ref().map(|state| state.version).filter(|found| *found != version) {
            return Err(wrong(
                format!("the module `{name}` reads state of version {version}, and what was saved has version {found}"),
                "run the module that saved it, or give the hop a new name and new tables, and it starts from the beginning",
            ));
        }
        Ok(Some(Self { states, saved }))
    }

    /// What the next job begins with.
    pub fn saved(&self) -> Option<&SavedState> {
        self.saved.as_ref()
    }

    /// Remembers what a job saved.
    pub fn remember(&mut self, state: SavedState) {
        self.saved = Some(state);
    }

    /// Puts the memory beside the tables, for the commit that moves the hop to these positions.
    /// Gives its path from the lake's root.
    pub async fn save(&self, hop: &str, positions: &Positions) -> Result<String, PipelineError> {
        let saved = self.states.save(positions, &encode(self.saved.as_ref())).await;
        saved.map_err(lake_error(hop, "saving the state of its module failed"))
    }

    /// Forgets what no commit needs any more, now that the hop stands at these positions.
    pub async fn forget(&self, positions: &Positions) {
        self.states.keep_newest(KEPT, positions).await;
    }
}

/// A state in bytes: whether there is one, its version, and each key and value behind its length.
fn encode(state: Option<&SavedState>) -> Vec<u8> {
    let Some(state) = state else { return vec![0] };
    let mut bytes = vec![1];
    bytes.extend_from_slice(&state.version.to_le_bytes());
    for (key, value) in &state.entries {
        for part in [key.as_bytes(), value] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

/// What [`encode`] wrote; `None` when these bytes are something else.
fn decode(bytes: &[u8]) -> Option<Option<SavedState>> {
    let (kind, rest) = bytes.split_first()?;
    if *kind == 0 {
        return rest.is_empty().then_some(None);
    }
    let (version, mut rest) = rest.split_first_chunk::<4>()?;
    let mut state = SavedState { version: u32::from_le_bytes(*version), entries: Vec::new() };
    let part = |rest: &mut &[u8]| {
        let (length, after) = rest.split_first_chunk::<8>()?;
        let (part, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        *rest = after;
        Some(part.to_vec())
    };
    while !rest.is_empty() {
        let key = String::from_utf8(part(&mut rest)?).ok()?;
        state.entries.push((key, part(&mut rest)?));
    }
    (*kind == 1).then_some(Some(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written_and_nothing_else_is() {
        let states = [
            None,
            Some(SavedState::default()),
            Some(SavedState { version: 7, entries: vec![("a".into(), vec![1, 2]), (String::new(), Vec::new())] }),
        ];
        for state in states {
            let bytes = encode(state.as_ref());
            assert_eq!(decode(&bytes), Some(state));
            for cut in 1..bytes.len() {
                // A cut between two entries is a shorter state; the lake's digest tells it apart.
                assert_ne!(decode(&bytes[..cut]), decode(&bytes), "{cut}");
            }
        }
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[2, 0, 0, 0, 0]), None);
    }
}
