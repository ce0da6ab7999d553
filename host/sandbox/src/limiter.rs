//! Memory, counted over everything a job owns.

use wasmtime::ResourceLimiter;

/// What one table element costs the host.
const TABLE_ELEMENT: u64 = 8;

/// Sums a job's memories and tables. The engine's own limiter caps each memory by
/// itself, so a component of ten memories would have ten times its limit. Growth that
/// the engine then fails to do stays counted: the engine reports such failures also for
/// growth that it never asked about, and counting too much is the safe side.
pub(super) struct Budget {
    limit: u64,
    used: u64,
    /// The total that was asked for and refused in the present call.
    refused: Option<u64>,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: 0, refused: None }
    }

    /// Forgets refusals of earlier calls.
    pub(super) fn begin_call(&mut self) {
        self.refused = None;
    }

    /// The bytes that the module would have had, had the host not refused.
    pub(super) fn refused(&self) -> Option<u64> {
        self.refused
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    fn grow(&mut self, more: u64) -> bool {
        let wanted = self.used.saturating_add(more);
        if wanted > self.limit {
            self.refused = Some(wanted);
            return false;
        }
        self.used = wanted;
        true
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current) as u64))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow((desired.saturating_sub(current) as u64).saturating_mul(TABLE_ELEMENT)))
    }

    // A Rust module has one of each; these leave room for runtimes that link several
    // core modules, and none for a component made of ten thousand.
    fn instances(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        8
    }

    fn tables(&self) -> usize {
        32
    }
}
