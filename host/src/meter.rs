//! Counters of a running hop: the pipeline adds, whoever shows progress reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one hop has done so far. Shared; every count only grows.
#[derive(Debug, Default)]
pub struct Meters {
    /// Rows read from the upstream.
    pub rows_in: AtomicU64,
    /// Rows handed to tables.
    pub rows_out: AtomicU64,
    /// Rows sent to quarantine.
    pub rows_rejected: AtomicU64,
    /// Bytes of rows read, as they lie in memory.
    pub bytes_in: AtomicU64,
    /// Commits made.
    pub commits: AtomicU64,
    /// Rows that the hop will read in all; 0 where that is not known.
    pub rows_expected: AtomicU64,
}

/// The counts of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Rows read from the upstream.
    pub rows_in: u64,
    /// Rows handed to tables.
    pub rows_out: u64,
    /// Rows sent to quarantine.
    pub rows_rejected: u64,
    /// Bytes of rows read, as they lie in memory.
    pub bytes_in: u64,
    /// Commits made.
    pub commits: u64,
    /// Rows that the hop will read in all, where that is known.
    pub rows_expected: Option<u64>,
}

impl Meters {
    /// Adds to one of the counters: `Meters::add(&meters.rows_in, 8_192)`.
    pub fn add(counter: &AtomicU64, count: u64) {
        // Counters are shown and never decide anything, so no order with other memory is needed.
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// The counts now. They are read one after another, so a batch in flight may be in one
    /// and not yet in the next.
    pub fn read(&self) -> Reading {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reading {
            rows_in: get(&self.rows_in),
            rows_out: get(&self.rows_out),
            rows_rejected: get(&self.rows_rejected),
            bytes_in: get(&self.bytes_in),
            commits: get(&self.commits),
            rows_expected: Some(get(&self.rows_expected)).filter(|expected| *expected > 0),
        }
    }
}
