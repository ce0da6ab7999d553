//! Delta tables: read, written exactly once, upserted within a memory budget, and maintained.
//!
//! A [`Table`] is opened in a folder of a store with its [`TableOptions`]. It is written by [`Table::begin`],
//! [`Writer::write`] and [`Table::commit`], which makes rows and positions visible in one log entry, and read
//! by [`Table::added_since`], [`Table::changes_since`] or [`Table::scan`].
//!
//! deltalake holds snapshots of tables. Parquet is written by `sluicebox-parquet-writer`, because that takes most of
//! the time, and commits are made here, because positions must be checked on the very snapshot that is committed on.
//!
//! An upsert into a table, whoever wrote it, within a memory budget:
//!
//! ```rust,ignore
#![doc = include_str!("../examples/upsert.rs")]
//! ```

mod change_data;
mod changes;
mod checkpoint;
mod commit;
mod contract;
mod convert;
mod data_file;
mod derive;
mod entry;
mod error;
mod expect;
mod file_set;
mod follow;
mod handles;
mod history;
mod info;
mod json;
mod log;
mod maintain;
mod mapping;
mod net_changes;
mod object;
mod partition;
mod partitioned_writer;
mod protocol;
mod provenance;
mod read;
mod row_changes;
mod scan;
mod schema;
mod sort;
mod stats;
mod table;
mod transactions;
mod upsert;
mod vectors;
mod writer;

pub use changes::Changes;
pub use commit::{Commit, Committed};
pub use contract::Refused;
pub use derive::derived_schema;
pub use error::DeltaError;
pub use expect::{Unfit, Unmet, unfit_expectations};
pub use follow::Added;
pub use history::{CommitRecord, Step};
pub use info::TableInfo;
pub use maintain::{Compaction, Followers, Maintained, Maintenance, Unused};
pub use provenance::Provenance;
pub use scan::Groups;
pub use schema::{table_schema as stored_schema, timestamp};
pub use table::{Table, TableOptions};
pub use transactions::Transactions;
pub use vectors::VectorError;
pub use writer::{Accepted, Writer};

pub use sluicebox_core::plan::{Layout, WriteMode};
pub use sluicebox_stores::Location;
