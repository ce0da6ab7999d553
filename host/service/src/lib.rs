//! Operations on pipelines and lakes, as functions with typed results. They print nothing, parse no arguments and do
//! not end the process: the command line, a server and a schedule call the same ones.
//!
//! A [`Service`] owns what operations share: the runtime for I/O and the sandbox. Operations that only read a lake
//! are asynchronous; those that run modules or a pipeline block, and must not be called on a worker of the runtime.
//! [`Service::wait`] is the one place where the two kinds meet.
//!
//! | what | where |
//! | --- | --- |
//! | run a pipeline: once, or again and again | [`run()`], which tells [`Event`]s and gives a [`RunReport`] |
//! | read a pipeline file, check it, say what a run would do | [`PipelineFile`], [`Session`], [`plan()`] |
//! | test modules with fixtures | [`fixtures`] |
//! | look at tables | [`status`], [`head`], [`history`] |
//! | keep tables in shape | [`maintain`], [`forget`] |
//! | rows that could not go on | [`quarantine`] |
//! | make tables again and compare them | [`replay`] |
//!
//! Each operation has its own error enum; together they are an [`OperationError`] with an [`ErrorKind`].

mod error;
mod event;
pub mod fixtures;
pub mod forget;
pub mod head;
pub mod history;
pub mod maintain;
mod pipeline_file;
mod plan;
mod progress;
pub mod quarantine;
mod rate;
pub mod replay;
mod report;
mod scratch;
mod service;
mod session;
pub mod status;
mod supervisor;
mod table;

pub use error::{ErrorKind, NotStarted, OperationError};
pub use event::{Event, Events};
pub use pipeline_file::PipelineFile;
pub use plan::{ColumnPlan, HopPlan, ModulePlan, PlanReport, TablePlan, plan};
pub use progress::{HopProgress, Progress};
pub use report::{HopReport, RunReport, RunStatus};
pub use service::{Service, open_lake};
pub use session::{Checked, Session};
pub use supervisor::{RunRequest, run};
pub use table::{TableError, TableRef};
