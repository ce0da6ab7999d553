//! The one integration-test binary: one link, one process to run.

mod harness;

mod cli;
mod config;
mod lake;
mod layering;
mod pipeline;
mod source;
mod transform;
