//! The host's data of one running instance: its limits, and what the current call has used and emitted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;

use super::binding::Binding;
use super::cause::{Cause, RowProblem};
use super::error::Call;
use super::job::{Output, Rejection};
use super::limiter::Budget;
use super::log::Log;
use super::message;
use super::rows::{RowSet, Selection, indices};
use super::text::{is_name, printable};
use sluicebox_core::columns::relabelled;
use sluicebox_core::plan::Limits;

/// The most different metrics of one call.
const METRICS: usize = 256;
/// The most bytes of a metric's name.
const METRIC_NAME: usize = 64;
/// The most reasons of a call with fewer rejections.
const REASONS: usize = 1_000;
/// The least bytes that an emitted batch counts as, because it costs the host that much.
const BATCH_COST: u64 = 4 << 10;
/// The bytes that a piece of state counts as on top of its own.
const STATE_COST: u64 = 64;

/// The store's data.
pub(super) struct Guest {
    pub(super) memory: Budget,
    pub(super) limits: Limits,
    binding: Option<Arc<Binding>>,
    call: Call,
    /// The batch being pushed.
    pushed: Option<Pushed>,
    output: Output,
    metrics: BTreeMap<String, f64>,
    state: Vec<(String, Vec<u8>)>,
    /// The index of each key of `state`.
    state_keys: HashMap<String, usize>,
    state_bytes: u64,
    bytes: u64,
    rows: u64,
    /// Rows emitted on output port 0, which is where `row-preserving` is counted.
    first_rows: usize,
    pub(super) log: Log,
    /// How often the deterministic clock was read and random numbers were drawn.
    pub(super) ticks: u64,
    pub(super) random: u64,
}

struct Pushed {
    port: usize,
    rows: RecordBatch,
    /// For each pass-through output, the input rows it has emitted.
    continued: Vec<Option<RowSet>>,
    rejected: RowSet,
    /// For a row-preserving module: every row that was emitted or rejected.
    settled: Option<RowSet>,
}

impl Guest {
    pub(super) fn new(module: Arc<str>, binding: Option<Arc<Binding>>, limits: Limits) -> Self {
        let log = Log::new(module, limits.log_lines, limits.log_bytes);
        Self {
            memory: Budget::new(limits.memory),
            limits,
            binding,
            call: Call::Open,
            pushed: None,
            output: Output::default(),
            metrics: BTreeMap::new(),
            state: Vec::new(),
            state_keys: HashMap::new(),
            state_bytes: 0,
            bytes: 0,
            rows: 0,
            first_rows: 0,
            log,
            ticks: 0,
            random: 0,
        }
    }

    /// Starts a call, with usage at zero.
    pub(super) fn begin(&mut self, call: Call, pushed: Option<(usize, RecordBatch)>) {
        self.call = call;
        self.memory.begin_call();
        self.output = Output::default();
        self.metrics.clear();
        self.state.clear();
        self.state_keys.clear();
        self.state_bytes = 0;
        self.bytes = 0;
        self.rows = 0;
        self.first_rows = 0;
        self.log.begin();
        self.pushed = pushed.map(|(port, rows)| {
            let ports = self.binding.as_ref().map_or(0, |binding| binding.outputs.len());
            let preserving = self.binding.as_ref().is_some_and(|binding| {
                binding.descriptor.row_preserving && binding.is_rows(port) && binding.outputs[0].same.is_some()
            });
            Pushed {
                port,
                continued: (0..ports).map(|_| None).collect(),
                rejected: RowSet::new(rows.num_rows()),
                settled: preserving.then(|| RowSet::new(rows.num_rows())),
                rows,
            }
        });
    }

    /// The output of the call, after it returned; makes the checks that need the end.
    pub(super) fn finish(&mut self) -> Result<Output, Cause> {
        self.log.end();
        let pushed = self.pushed.take();
        if let Some(binding) = &self.binding
            && binding.descriptor.row_preserving
            && matches!(self.call, Call::Push | Call::EndOfInput | Call::Flush)
        {
            let (rows, rejected, out) = match &pushed {
                Some(pushed) if binding.is_rows(pushed.port) => (
                    pushed.rows.num_rows(),
                    pushed.rejected.len(),
                    pushed.settled.as_ref().map_or(self.first_rows, |settled| settled.len() - pushed.rejected.len()),
                ),
                _ => (0, 0, self.first_rows),
            };
            if out + rejected != rows {
                return Err(Cause::NotPreserved { rows, out, rejected });
            }
        }
        let mut output = std::mem::take(&mut self.output);
        output.metrics = std::mem::take(&mut self.metrics).into_iter().collect();
        Ok(output)
    }

    /// The saved state, after `snapshot` returned.
    pub(super) fn take_state(&mut self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.state)
    }

    /// Adds the time of the whole call, which includes its imports.
    pub(super) fn took(&mut self, call: Duration) {
        let spent = &mut self.output.spent;
        spent.module = call.saturating_sub(spent.copy + spent.decode);
    }

    /// Adds the time of copying and decoding one emitted batch.
    pub(super) fn took_batch(&mut self, copy: Duration, decode: Duration) {
        self.output.spent.copy += copy;
        self.output.spent.decode += decode;
    }

    // The imports of `sink`.

    /// Checks whether the next emitted batch may have this size.
    pub(super) fn check_emit(&self, port: u32, bytes: u64, chunks: u64) -> Result<(), Cause> {
        if !matches!(self.call, Call::Push | Call::EndOfInput | Call::Flush) {
            return Err(Cause::NotNow { import: "emit" });
        }
        let ports = self.binding.as_ref().map_or(0, |binding| binding.outputs.len());
        if port as usize >= ports {
            return Err(Cause::NoPort { port, ports });
        }
        // A chunk costs a pointer and a length, even if it is empty.
        let counted = self.bytes.saturating_add(bytes.saturating_add(chunks.saturating_mul(8)).max(BATCH_COST));
        if counted > self.limits.output_bytes {
            return Err(Cause::OutputBytes { limit: self.limits.output_bytes });
        }
        Ok(())
    }

    /// Accepts one emitted message, aligned in host memory.
    pub(super) fn emit(&mut self, port: u32, bytes: Buffer) -> Result<(), Cause> {
        self.check_emit(port, bytes.len() as u64, 0)?;
        self.bytes += (bytes.len() as u64).max(BATCH_COST);
        let Some(binding) = self.binding.clone() else {
            return Err(Cause::NotNow { import: "emit" });
        };
        let port = port as usize;
        let output = &binding.outputs[port];
        let name = || binding.descriptor.outputs[port].name.clone();

        // A declared row count is accepted up to the limit; one more tells that the limit was exceeded.
        let left = self.limits.output_rows - self.rows;
        let emitted = match message::decode(&bytes, &output.emitted, left) {
            Ok(emitted) => emitted,
            Err(message::MessageError::Rows { declared, .. })
                if u64::try_from(declared).is_ok_and(|rows| rows > left) =>
            {
                return Err(Cause::OutputRows { limit: self.limits.output_rows });
            }
            Err(source) => {
                return Err(Cause::Message { port: name(), source });
            }
        };
        self.rows += emitted.num_rows() as u64;
        if port == 0 {
            self.first_rows += emitted.num_rows();
        }

        let batch = match &output.same {
            // The module's own schema does not say which columns are the host's.
            None => relabelled(&emitted, output.full.clone()),
            Some(same) => {
                let Some(pushed) = self.pushed.as_mut().filter(|pushed| pushed.port == same.input) else {
                    let input = binding.descriptor.inputs[same.input].name.clone();
                    return Err(Cause::NoInput { port: name(), input });
                };
                // The decoder has checked the emitted columns against a schema that begins with it.
                let Some(kept) = indices(&emitted) else {
                    return Err(Cause::Shape("no `_row` column".into()));
                };
                let rows = pushed.rows.num_rows();
                let selection = Selection::new(kept.values(), rows).map_err(|(at, problem)| Cause::Row {
                    port: name(),
                    row: kept.value(at),
                    at,
                    problem,
                })?;
                let again = |row: u32| Cause::Row {
                    port: name(),
                    row,
                    at: kept.values().partition_point(|kept| *kept < row),
                    problem: RowProblem::Twice,
                };
                pushed.continued[port]
                    .get_or_insert_with(|| RowSet::new(rows))
                    .insert_all(&selection)
                    .map_err(again)?;
                if let Some(settled) = &mut pushed.settled {
                    settled.insert_all(&selection).map_err(again)?;
                }
                selection
                    .assemble(same, &output.full, &pushed.rows, &emitted)
                    .map_err(|source| Cause::Encode { source })?
            }
        };
        self.output.batches.push((port, batch));
        Ok(())
    }

    /// Checks the number of rejections and reasons of one call.
    pub(super) fn check_reject(&self, rejections: usize, reasons: usize) -> Result<(), Cause> {
        let Some(pushed) = &self.pushed else {
            return Err(Cause::NotNow { import: "reject" });
        };
        let left = pushed.rows.num_rows() - pushed.rejected.len();
        if rejections > left {
            return Err(Cause::Rejections { rejections, left });
        }
        // One reason per row, or a fixed table of them.
        let most = rejections.max(REASONS);
        if reasons > most {
            return Err(Cause::Abi(format!("{reasons} reasons for {rejections} rejections")));
        }
        Ok(())
    }

    /// Accepts one rejected row.
    pub(super) fn reject(&mut self, row: u32, code: String, message: String) -> Result<(), Cause> {
        let Some(pushed) = &mut self.pushed else {
            return Err(Cause::NotNow { import: "reject" });
        };
        let wrong = |problem| Cause::Reject { row, problem };
        pushed.rejected.insert(row).map_err(wrong)?;
        if let Some(settled) = &mut pushed.settled {
            settled.insert(row).map_err(wrong)?;
        }
        self.output.rejections.push(Rejection { row, code, message });
        Ok(())
    }

    /// Checks whether this much more state may be saved.
    pub(super) fn check_state(&mut self, key: usize, chunk: usize) -> Result<(), Cause> {
        if self.call != Call::Snapshot {
            return Err(Cause::NotNow { import: "put-state" });
        }
        let more = (key as u64).saturating_add(chunk as u64).saturating_add(STATE_COST);
        self.state_bytes = self.state_bytes.saturating_add(more);
        if self.state_bytes > self.limits.memory {
            return Err(Cause::State { limit: self.limits.memory });
        }
        Ok(())
    }

    /// Accepts a piece of state that [`Self::check_state`] has counted.
    pub(super) fn put_state(&mut self, key: &str, chunk: &[u8]) {
        match self.state_keys.get(key) {
            Some(at) => self.state[*at].1.extend_from_slice(chunk),
            None => {
                self.state_keys.insert(key.to_owned(), self.state.len());
                self.state.push((key.to_owned(), chunk.to_vec()));
            }
        }
    }

    /// Adds to a metric.
    pub(super) fn metric(&mut self, name: &str, value: f64) -> Result<(), Cause> {
        if let Some(sum) = self.metrics.get_mut(name) {
            *sum += value;
            return Ok(());
        }
        if !is_name(name, METRIC_NAME) {
            return Err(Cause::MetricName { name: printable(name, METRIC_NAME) });
        }
        if self.metrics.len() == METRICS {
            return Err(Cause::Metrics { limit: METRICS });
        }
        self.metrics.insert(name.to_owned(), value);
        Ok(())
    }
}
