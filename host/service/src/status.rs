//! The status of every table of a lake.

use crate::table::{TableError, TableRef, tables};
use sluicebox_delta::TableInfo;
use sluicebox_lake::{Lake, LakeError};

/// The status of a lake.
#[derive(Debug)]
pub struct LakeStatus {
    /// Every table that can be read, in order of layer and name.
    pub tables: Vec<(TableRef, TableInfo)>,
    /// Why the others cannot be read.
    pub unreadable: Vec<(TableRef, LakeError)>,
}

/// Reads every table. One that cannot be read does not hide the others. `location` is the lake's location as
/// requested.
///
/// # Errors
/// The lake cannot be listed, or has no tables.
pub async fn status(lake: &Lake, location: &str) -> Result<LakeStatus, TableError> {
    let mut found = LakeStatus { tables: Vec::new(), unreadable: Vec::new() };
    for table in tables(lake).await? {
        match look(lake, &table).await {
            Ok(info) => found.tables.push((table, info)),
            Err(error) => found.unreadable.push((table, error)),
        }
    }
    if found.tables.is_empty() && found.unreadable.is_empty() {
        return Err(TableError::NoTables { lake: location.to_owned() });
    }
    Ok(found)
}

async fn look(lake: &Lake, table: &TableRef) -> Result<TableInfo, LakeError> {
    Ok(table.open(lake).await?.info().await?)
}
