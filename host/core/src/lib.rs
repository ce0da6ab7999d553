//! The plain data of Sluicebox: what moves, what a pipeline file says, and what can go wrong.
//!
//! Nothing here reads or writes anything; every other crate stands on this one.

pub mod batch;
pub mod crash;
pub mod fault;
pub mod meter;
pub mod plan;
pub mod redact;
