//! The memory limit, over everything that a job owns.

use wasmtime::ResourceLimiter;

/// What one table element costs the host.
const TABLE_ELEMENT: u64 = 8;

/// Sums a job's memories and tables. The engine's own limiter caps each memory by itself, so a component with ten
/// memories would have ten times its limit. Growth that the engine then fails to do stays counted, because the engine
/// reports such failures also for growth that it never asked about; counting too much is safe.
pub(super) struct Budget {
    limit: u64,
    used: u64,
    /// The total that was requested and denied in the current call.
    refused: Option<u64>,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: 0, refused: None }
    }

    /// Clears denials of earlier calls.
    pub(super) fn begin_call(&mut self) {
        self.refused = None;
    }

    /// The total bytes that the module requested in a denied call.
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

    // A Rust module has one of each; these limits suffice for runtimes that link several core modules, and not for a
    // component made of ten thousand.
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
