//! The flow: sources, hops and tables at work.
//!
//! [`bind::bind`] finds out all that can be known before anything runs; [`run::Run`]
//! runs it. One thread feeds a hop, another takes the rows through its module and
//! into its tables; rows go from hop to hop in memory and count once the commit
//! behind them is there ([`flow`]).

mod artifacts;
pub mod bind;
mod columns;
mod commit;
mod context;
mod downstream;
pub mod fault;
pub mod fixture;
mod flow;
mod hop;
mod input;
mod intake;
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
