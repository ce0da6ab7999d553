//! Sluicebox: rows from files and streams, through sandboxed WebAssembly transforms,
//! into Delta Lake tables, exactly once.
//!
//! Modules stand in reading order; a layer may use the layers above it in this list
//! and never its siblings. `tests/layering.rs` holds the rules.

// L0: plain data.
pub mod batch;
pub mod crash;
pub mod fault;
pub mod meter;
pub mod plan;

// L1: each alone may name its foreign libraries.
pub mod format;
pub mod lake;
pub mod simulate;
pub mod source;
pub mod transform;

// L2: text to plan, plan to running pipeline.
pub mod config;
pub mod pipeline;

// L3: what people touch.
pub mod cli;
pub mod report;
