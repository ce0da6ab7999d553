//! Counters of a running hop: the pipeline adds, whoever shows progress reads.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::Otherwise;

/// Different numbers that a module may report in a run.
const METRICS: usize = 256;

/// What one hop has done so far. Shared; every count but `in_flight` only grows.
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
    /// How often another writer committed first, so that a commit was made again.
    pub conflicts: AtomicU64,
    /// How much of its source was read, in the source's own unit: bytes of files, or rows.
    pub source_done: AtomicU64,
    /// How much there is to read in all, in the same unit; 0 where that is not known.
    pub source_total: AtomicU64,
    /// Bytes of rows that wait for the hop, or that it works on.
    in_flight: AtomicU64,
    /// The most that these ever were.
    peak_in_flight: AtomicU64,
    /// Named numbers that the hop's module added to.
    metrics: Mutex<BTreeMap<String, f64>>,
    /// Committed work's rows that did not fulfil an expectation, where there were any.
    unmet: Mutex<BTreeMap<Expected, u64>>,
}

/// An expectation, as counts name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// The table, as `layer.name`.
    pub table: String,
    /// The column.
    pub column: String,
    /// The rule, such as `range`.
    pub rule: &'static str,
    /// What happens to a row that does not fulfil it.
    pub otherwise: Otherwise,
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
    /// How often another writer committed first, so that a commit was made again.
    pub conflicts: u64,
    /// The most bytes of rows that waited for the hop, or that it worked on, at one time.
    pub peak_in_flight: u64,
    /// How much of its source was read, and how much there is, where that is known.
    pub source: Option<(u64, u64)>,
}

impl Meters {
    /// Adds to one of the counters: `Meters::add(&meters.rows_in, 8_192)`.
    pub fn add(counter: &AtomicU64, count: u64) {
        // Counters are shown and never decide anything, so no order with other memory is needed.
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts bytes of rows that wait for the hop from now on.
    pub fn add_in_flight(&self, bytes: u64) {
        let now = self.in_flight.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.peak_in_flight.fetch_max(now, Ordering::Relaxed);
    }

    /// Counts bytes of rows that the hop is done with.
    pub fn remove_in_flight(&self, bytes: u64) {
        self.in_flight.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes of rows that wait for the hop now, or that it works on.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Says how far the source was read.
    pub fn set_source(&self, done: u64, total: Option<u64>) {
        self.source_done.store(done, Ordering::Relaxed);
        self.source_total.store(total.unwrap_or(0), Ordering::Relaxed);
    }

    /// Adds to a number that a module reports. False if it is a further one of more than anybody
    /// would look at, and is left out.
    pub fn add_metric(&self, name: &str, value: f64) -> bool {
        // A thread that panicked while it held the lock left a number too small at worst.
        let mut metrics = self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if metrics.len() == METRICS && !metrics.contains_key(name) {
            return false;
        }
        *metrics.entry(name.to_owned()).or_default() += value;
        true
    }

    /// What the module reported so far, by name.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let metrics = self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        metrics.iter().map(|(name, sum)| (name.clone(), *sum)).collect()
    }

    /// Counts rows that did not fulfil an expectation.
    pub fn add_unmet(&self, expected: Expected, rows: u64) {
        let mut unmet = self.unmet.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *unmet.entry(expected).or_default() += rows;
    }

    /// Every expectation that rows did not fulfil, with how many they were.
    pub fn unmet(&self) -> Vec<(Expected, u64)> {
        let unmet = self.unmet.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        unmet.iter().map(|(expected, rows)| (expected.clone(), *rows)).collect()
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
            conflicts: get(&self.conflicts),
            peak_in_flight: get(&self.peak_in_flight),
            source: Some((get(&self.source_done), get(&self.source_total))).filter(|(_, total)| *total > 0),
        }
    }
}
