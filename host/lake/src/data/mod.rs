//! Data files: Parquet, written so that a row costs as little as it can.

mod chunk;
mod dictionary;
mod encoding;
mod file;
mod group;
mod groups;
mod integers;
mod sink;
mod stats;
mod validity;

pub(super) use encoding::{Encodings, ROW_GROUP_ROWS};
pub(super) use file::{DataFile, Keeping, Target, Written};
pub(super) use groups::takes;
pub(super) use sink::{Sink, create_folder, discard, sync_folder};
pub(super) use stats::stats_columns;
