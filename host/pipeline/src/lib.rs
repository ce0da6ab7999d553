//! The flow: sources, hops and tables at work.
//!
//! [`bind::bind`] finds out all that can be known before anything runs; [`run::Run`]
//! runs it. One thread feeds a hop, another takes the rows through its module and
//! into its tables; rows go from hop to hop in memory and count once the commit
//! behind them is there ([`flow`]).

mod below;
pub mod bind;
mod columns;
mod commit;
mod context;
pub mod fault;
mod feed;
pub mod fixture;
mod flow;
pub mod group;
mod hop;
mod intake;
pub mod keeper;
mod lanes;
mod lookup;
pub mod module;
mod origin;
mod passage;
mod quarantine;
mod queue;
pub mod replay;
pub mod retry;
mod rows;
pub mod run;
mod sink;
mod state;
mod stream;
mod watermark;

pub use fault::PipelineError;
