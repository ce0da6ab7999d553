//! The one integration-test binary: one link, one process to run.

mod cli;
mod config;
mod lake;
mod pipeline;
mod source;
mod transform;
