//! Counters of a running hop: the pipeline adds, progress reports read.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::left_out::LeftOut;
use crate::plan::Otherwise;

/// Different metrics that a module may report in a run.
const METRICS: usize = 256;

/// The counters of one hop. Shared; every counter but `in_flight` only grows.
#[derive(Debug, Default)]
pub struct Meters {
    /// Rows read from the upstream.
    pub rows_in: AtomicU64,
    /// Rows handed to tables.
    pub rows_out: AtomicU64,
    /// Rows sent to quarantine.
    pub rows_rejected: AtomicU64,
    /// Bytes of rows read, in memory.
    pub bytes_in: AtomicU64,
    /// Commits made.
    pub commits: AtomicU64,
    /// How often a commit was retried because another writer committed first.
    pub conflicts: AtomicU64,
    /// How much of the source was read, in its own unit: bytes of files, or rows.
    pub source_done: AtomicU64,
    /// The total to read, in the same unit; 0 if it is not known.
    pub source_total: AtomicU64,
    /// Bytes of rows that wait for the hop or that it works on.
    in_flight: AtomicU64,
    /// The maximum of `in_flight`.
    peak_in_flight: AtomicU64,
    /// Metrics of the hop's module.
    metrics: Mutex<BTreeMap<String, f64>>,
    /// Committed rows that did not fulfil an expectation.
    unmet: Mutex<BTreeMap<Expected, u64>>,
    /// Files that the source was asked for and left out.
    left_out: Mutex<LeftOut>,
}

/// An expectation, as the key of counts.
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

/// A reading of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Rows read from the upstream.
    pub rows_in: u64,
    /// Rows handed to tables.
    pub rows_out: u64,
    /// Rows sent to quarantine.
    pub rows_rejected: u64,
    /// Bytes of rows read, in memory.
    pub bytes_in: u64,
    /// Commits made.
    pub commits: u64,
    /// How often a commit was retried because another writer committed first.
    pub conflicts: u64,
    /// The most bytes of rows that ever waited for the hop or that it worked on.
    pub peak_in_flight: u64,
    /// How much of the source was read, and the total, if it is known.
    pub source: Option<(u64, u64)>,
}

impl Meters {
    /// Adds to one of the counters: `Meters::add(&meters.rows_in, 8_192)`.
    pub fn add(counter: &AtomicU64, count: u64) {
        // Counters are only shown, so no ordering with other memory is needed.
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Adds bytes of rows that wait for the hop from now on.
    pub fn add_in_flight(&self, bytes: u64) {
        let now = self.in_flight.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.peak_in_flight.fetch_max(now, Ordering::Relaxed);
    }

    /// Removes bytes of rows that the hop is done with.
    pub fn remove_in_flight(&self, bytes: u64) {
        self.in_flight.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes of rows that wait for the hop or that it works on now.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Sets how far the source was read.
    pub fn set_source(&self, done: u64, total: Option<u64>) {
        self.source_done.store(done, Ordering::Relaxed);
        self.source_total.store(total.unwrap_or(0), Ordering::Relaxed);
    }

    /// Adds to a metric. False if the hop has too many metrics and this new one is not counted.
    pub fn add_metric(&self, name: &str, value: f64) -> bool {
        // A panic while the lock was held leaves at worst a metric that is too small.
        let mut metrics = self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if metrics.len() == METRICS && !metrics.contains_key(name) {
            return false;
        }
        *metrics.entry(name.to_owned()).or_default() += value;
        true
    }

    /// The metrics so far, by name.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let metrics = self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        metrics.iter().map(|(name, sum)| (name.clone(), *sum)).collect()
    }

    /// Counts rows that did not fulfil an expectation.
    pub fn add_unmet(&self, expected: Expected, rows: u64) {
        let mut unmet = self.unmet.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *unmet.entry(expected).or_default() += rows;
    }

    /// Every expectation that rows did not fulfil, with their number.
    pub fn unmet(&self) -> Vec<(Expected, u64)> {
        let unmet = self.unmet.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        unmet.iter().map(|(expected, rows)| (expected.clone(), *rows)).collect()
    }

    /// Says which files the source leaves out, all of them so far.
    pub fn set_left_out(&self, left_out: LeftOut) {
        *self.left_out.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = left_out;
    }

    /// Files that the source was asked for and left out.
    pub fn left_out(&self) -> LeftOut {
        self.left_out.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
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
