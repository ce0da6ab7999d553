//! The plain data of Sluicebox: batches, plans, faults and meters.
//!
//! Nothing here does I/O. Every other crate depends on this one.

pub mod batch;
pub mod columns;
pub mod crash;
pub mod fault;
pub mod left_out;
pub mod meter;
pub mod plan;
pub mod printable;
pub mod redact;
pub mod reject;
pub mod types;
