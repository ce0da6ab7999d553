//! The pipeline engine: runs the hops of a plan between sources and tables.
//!
//! [`bind::bind`] checks everything that can be known before a run; [`run::Run`] runs it. Each hop has one thread
//! that reads its input and one that runs its module and writes its tables. Rows are handed downstream in memory and
//! count there once they are committed ([`flow`]).

mod artifacts;
pub mod bind;
mod columns;
mod commit;
mod context;
mod downstream;
pub mod events;
pub mod fault;
pub mod fixture;
mod flow;
mod hop;
mod input;
mod intake;
mod landing;
mod lookup;
pub mod maintenance;
pub mod module;
mod module_stage;
mod quarantine;
mod queue;
mod rebalance;
pub mod replay;
pub mod retry;
mod rows;
pub mod run;
pub mod schedule;
mod sink;
mod state;
mod stream;
mod watermark;

pub use fault::PipelineError;
