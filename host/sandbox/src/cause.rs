//! Why a call into a module failed.

use std::fmt;
use std::time::Duration;

use super::error::AdmissionError;
use super::message::MessageError;
use sluicebox_core::fault::Remedy;

/// The kinds of failure that a module reports itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The configuration is wrong.
    Config,
    /// The input as a whole cannot be used.
    Input,
    /// The restored state is unusable.
    State,
    /// The module found a bug of its own.
    Internal,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureKind::Config => "its configuration is wrong",
            FailureKind::Input => "its input cannot be used",
            FailureKind::State => "its saved state cannot be used",
            FailureKind::Internal => "it found a fault of its own",
        })
    }
}

/// Why a call into a module failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The module reports a failure; the job goes on.
    #[error("{kind}: {message}")]
    Failure {
        /// What kind.
        kind: FailureKind,
        /// The module's message.
        message: String,
    },
    /// Longer than `limits.time`.
    #[error("it ran longer than {limit:?}")]
    Time {
        /// The limit.
        limit: Duration,
    },
    /// More than `limits.memory`.
    #[error("it asked for {wanted} bytes of memory in all and may have {limit}")]
    Memory {
        /// The bytes that it asked for in all.
        wanted: u64,
        /// The limit.
        limit: u64,
    },
    /// More than `limits.stack`.
    #[error("it ran out of stack ({limit} bytes)")]
    Stack {
        /// The limit.
        limit: u32,
    },
    /// More than `limits.handles`.
    #[error("it held more than {limit} resource handles")]
    Handles {
        /// The limit.
        limit: u32,
    },
    /// More than `limits.output_bytes`.
    #[error("it emitted more than {limit} bytes in one call")]
    OutputBytes {
        /// The limit.
        limit: u64,
    },
    /// More than `limits.output_rows`.
    #[error("it emitted more than {limit} rows in one call")]
    OutputRows {
        /// The limit.
        limit: u64,
    },
    /// More state than the job has memory.
    #[error("it saved more than {limit} bytes of state")]
    State {
        /// The limit.
        limit: u64,
    },
    /// More metrics than allowed.
    #[error("it reported more than {limit} different metrics in one call")]
    Metrics {
        /// The limit.
        limit: usize,
    },
    /// A metric's name cannot be used.
    #[error("it reported a metric named `{name}`: names are up to 64 letters, digits, `_`, `-` and `.`")]
    MetricName {
        /// The name.
        name: String,
    },
    /// An `unreachable` instruction: a panic, an abort, a failed assertion.
    #[error("it panicked")]
    Panic,
    /// Memory or table access out of bounds; a runaway recursion ends so too, where the
    /// language keeps a stack of its own in memory.
    #[error("it reached outside of its memory, as a runaway recursion also does")]
    OutOfBounds,
    /// A whole-number division by zero.
    #[error("it divided by zero")]
    DivisionByZero,
    /// Any other trap.
    #[error("it broke off: {0}")]
    Trap(String),
    /// A capability that no module has.
    #[error("it asked for {import}: {reason}")]
    Refused {
        /// The import's full name.
        import: String,
        /// Why no module has it.
        reason: &'static str,
    },
    /// An import that is not allowed during this call.
    #[error("it called `sink.{import}`, which has no meaning here")]
    NotNow {
        /// The import.
        import: &'static str,
    },
    /// No such output port.
    #[error("it emitted on output port {port} and has only {ports}")]
    NoPort {
        /// The port's index.
        port: u32,
        /// How many it has.
        ports: usize,
    },
    /// Bytes that are not a record batch of the port's schema.
    #[error("what it emitted on `{port}` is not a record batch of that port")]
    Message {
        /// The port's name.
        port: String,
        /// What is wrong.
        source: MessageError,
    },
    /// A pass-through batch without input rows.
    #[error("it emitted on `{port}`, which continues rows of `{input}`, while none of them were being pushed")]
    NoInput {
        /// The output port's name.
        port: String,
        /// The input port's name.
        input: String,
    },
    /// A row index that does not name a row, or not in order.
    #[error("row {row} at index {at} of what it emitted on `{port}` {problem}")]
    Row {
        /// The output port's name.
        port: String,
        /// The row it named.
        row: u32,
        /// The index in the emitted batch.
        at: usize,
        /// What is wrong with it.
        problem: RowProblem,
    },
    /// A rejection that does not name a row or reason.
    #[error("it rejected row {row}, which {problem}")]
    Reject {
        /// The row it named.
        row: u32,
        /// What is wrong with it.
        problem: RowProblem,
    },
    /// More rejections than there are rows.
    #[error("it rejected {rejections} rows at once, and {left} of the batch were left to reject")]
    Rejections {
        /// Rows in the call.
        rejections: usize,
        /// Rows of the batch that were not rejected before.
        left: usize,
    },
    /// A rejection without a reason.
    #[error("it rejected row {row} for reason {reason} and gave {reasons} reasons")]
    NoReason {
        /// The row it named.
        row: u32,
        /// The index of the reason.
        reason: u32,
        /// The number of reasons.
        reasons: usize,
    },
    /// The module broke its promise of `row-preserving`.
    #[error("it promises to keep every row, and of {rows} rows {out} came out and {rejected} were rejected")]
    NotPreserved {
        /// Rows pushed.
        rows: usize,
        /// Rows emitted.
        out: usize,
        /// Rows rejected.
        rejected: usize,
    },
    /// Text or a list that the host could not read.
    #[error("the host could not take what it passed: {0}")]
    Abi(String),
    /// The instance could not be made.
    #[error("it could not be started: {0}")]
    Start(String),
    /// The rows do not have the bound columns.
    #[error("the rows do not have the columns that the module was bound to: {0}")]
    Shape(String),
    /// A null in a required column.
    #[error("column `{column}` has {nulls} nulls and the module wants it without")]
    Null {
        /// The column.
        column: String,
        /// How many.
        nulls: usize,
    },
    /// A value that does not fit the type that the module wants.
    #[error("column `{column}` cannot be turned into {wanted}")]
    Cast {
        /// The column.
        column: String,
        /// The wanted type.
        wanted: String,
        /// The error of the cast.
        source: arrow_schema::ArrowError,
    },
    /// The rows could not be encoded.
    #[error("the rows could not be encoded")]
    Encode {
        /// The error of the encoder.
        source: arrow_schema::ArrowError,
    },
    /// More rows or bytes than one call can carry.
    #[error("one call carries at most {limit} {unit} and this batch has {actual}")]
    TooMuch {
        /// `rows` or `bytes`.
        unit: &'static str,
        /// The limit.
        limit: u64,
        /// The actual number.
        actual: u64,
    },
    /// The job ended with an earlier error.
    #[error("the job has ended with an earlier error")]
    Ended,
    /// The job was called on a thread whose stack may be too small.
    #[error("it was called on a thread that was not started by `spawn_guest_thread`")]
    WrongThread,
    /// `limits.stack` is more than a guest thread has.
    #[error("a stack of {wanted} bytes is more than the {limit} that a job can have")]
    StackCeiling {
        /// `limits.stack`.
        wanted: u32,
        /// The limit.
        limit: u32,
    },
    /// The engine for this stack size could not be created.
    #[error("it could not be prepared for its stack size")]
    Prepare {
        /// The error.
        source: Box<AdmissionError>,
    },
}

/// Why a row index is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowProblem {
    /// The batch has fewer rows.
    OutOfRange {
        /// The rows of the batch.
        rows: usize,
    },
    /// It is not greater than the one before it.
    OutOfOrder,
    /// It was used before.
    Twice,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowProblem::OutOfRange { rows } => {
                write!(f, "is not one of the {rows} rows being pushed")
            }
            RowProblem::OutOfOrder => f.write_str("does not come after the one before it"),
            RowProblem::Twice => f.write_str("has been named before"),
        }
    }
}

impl Cause {
    /// The remedy. The rows are at fault if other rows might succeed; anything else needs a person.
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Cause::Failure { kind: FailureKind::Input, .. }
            | Cause::Time { .. }
            | Cause::Memory { .. }
            | Cause::Stack { .. }
            | Cause::Handles { .. }
            | Cause::OutputBytes { .. }
            | Cause::OutputRows { .. }
            | Cause::Panic
            | Cause::OutOfBounds
            | Cause::DivisionByZero
            | Cause::Trap(_)
            | Cause::Message { .. }
            | Cause::Row { .. }
            | Cause::Reject { .. }
            | Cause::Rejections { .. }
            | Cause::NotPreserved { .. }
            | Cause::Null { .. }
            | Cause::Cast { .. }
            | Cause::TooMuch { .. } => Remedy::Quarantine,
            _ => Remedy::Stop,
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        Some(match self {
            Cause::Failure { kind: FailureKind::Config, .. } => "mend the hop's `config` in the pipeline file".into(),
            Cause::Time { .. } => "raise `limits.time` of the hop if the module is honestly slow".into(),
            Cause::Memory { .. } => "raise `limits.memory` of the hop if the module honestly needs it".into(),
            Cause::Stack { .. } => "raise `limits.stack` of the hop if the recursion has an end".into(),
            Cause::Handles { .. } => "raise `limits.handles` of the hop".into(),
            Cause::OutputBytes { .. } => "raise `limits.output_bytes` of the hop, or emit less".into(),
            Cause::OutputRows { .. } => "raise `limits.output_rows` of the hop, or emit less".into(),
            Cause::State { .. } => "raise `limits.memory` of the hop, which also bounds its saved state".into(),
            Cause::StackCeiling { limit, .. } => {
                format!("set `limits.stack` of the hop to at most {limit} bytes")
            }
            Cause::Null { column, .. } => {
                format!("let the module want `{column}` nullable and reject such rows itself")
            }
            Cause::TooMuch { .. } => "push the rows in smaller batches".into(),
            Cause::NotPreserved { .. }
            | Cause::Row { .. }
            | Cause::Reject { .. }
            | Cause::Rejections { .. }
            | Cause::Message { .. }
            | Cause::NoReason { .. }
            | Cause::NoPort { .. } => "this is a bug in the module".into(),
            _ => return None,
        })
    }
}
