//! Information about a table.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::error::DeltaError;
use super::log;
use super::table::Table;

/// Information about a table at one version.
#[derive(Clone, Debug)]
pub struct TableInfo {
    /// The version.
    pub version: u64,
    /// Rows, if every file has a row count.
    pub rows: Option<u64>,
    /// Data files.
    pub files: usize,
    /// Bytes of the data files.
    pub bytes: u64,
    /// When the version was committed.
    pub last_commit: Option<DateTime<Utc>>,
    /// The provenance in the version's `commitInfo`; an object, or null for other programs' commits.
    pub maker: Value,
    /// Every application transaction, by application id.
    pub positions: Vec<(String, i64)>,
    /// The description in the table's metadata.
    pub description: Option<String>,
    /// The partition columns.
    pub partition_by: Vec<String>,
}

impl Table {
    /// Information about this handle's version.
    pub async fn info(&self) -> Result<TableInfo, DeltaError> {
        let state = self.state()?;
        let version = state.version();
        let (mut rows, mut bytes, mut files) = (Some(0), 0, 0);
        for view in state.log_data().iter() {
            let deleted = view.deletion_vector_descriptor().map_or(0, |vector| vector.cardinality.unsigned_abs());
            let own = view.num_records().and_then(|own| u64::try_from(own).ok()?.checked_sub(deleted));
            rows = rows.and_then(|rows: u64| Some(rows + own?));
            bytes += u64::try_from(view.size()).unwrap_or_default();
            files += 1;
        }
        let entry = log::read(self.store.as_ref(), &self.options.name, version).await?;
        let info = entry.and_then(|entry| entry.info);
        let mut positions: Vec<_> = self.transactions.iter().map(|(app, at)| (app.clone(), *at)).collect();
        positions.sort();
        Ok(TableInfo {
            version,
            rows,
            files,
            bytes,
            last_commit: info.as_ref().and_then(|info| info.timestamp).and_then(DateTime::from_timestamp_millis),
            maker: info.and_then(|mut info| info.info.remove("sluicebox")).unwrap_or(Value::Null),
            positions,
            description: state.metadata().description().map(str::to_owned),
            partition_by: state.metadata().partition_columns().to_vec(),
        })
    }
}
