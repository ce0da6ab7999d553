//! Tests of lake: what a table promises to whoever writes, follows and reads it.

mod acceptance;
mod accumulate;
mod changes;
mod checkpoints;
mod commits;
mod contention;
mod contract;
mod derive;
mod drift;
mod expect;
mod follow;
mod kept;
mod large;
mod maintain;
mod oracle;
mod order;
mod partitions;
mod places;
mod replace;
mod splice;
mod states;
mod statistics;
pub mod support;
mod trouble;
mod upsert;
mod vectors;
