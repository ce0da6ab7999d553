//! Tests of streams, with a real broker.

mod errors;
mod kafka;
mod kill;
mod support;
