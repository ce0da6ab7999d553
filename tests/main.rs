//! The one integration-test binary: one link, one process to run.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests themselves do")]

mod harness;

mod cli;
mod config;
mod dependencies;
mod lake;
mod layering;
mod origin;
mod pipeline;
mod service;
mod source;
mod stream;
mod transform;
