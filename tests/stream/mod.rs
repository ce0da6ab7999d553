//! Tests of streams, with a real broker.

mod errors;
mod kafka;
mod kill;
mod slow;
mod support;
