//! Tests of streams, with a real broker.

mod avro;
mod errors;
mod handover;
mod kafka;
mod kill;
mod orders;
mod slow;
mod support;
mod tokens;
