//! Tests of lake: what a table promises to whoever writes, follows and reads it.

mod acceptance;
mod commits;
mod contract;
mod derive;
mod drift;
mod expect;
mod follow;
mod kept;
mod partitions;
mod replace;
mod statistics;
mod support;
mod trouble;
mod upsert;
