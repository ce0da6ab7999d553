//! Counts rows in quarantine by hop and reason.

use std::collections::BTreeMap;

use futures::TryStreamExt;

use super::error::QuarantineError;
use super::rows::QuarantineRow;
use crate::table::{TableError, TableRef, tables};
use sluicebox_lake::{Lake, LakeError};

/// The rows of one hop with one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonCount {
    /// The hop.
    pub hop: String,
    /// The reason's code.
    pub reason: String,
    /// The number of rows.
    pub rows: u64,
    /// The message of the first row.
    pub example: String,
}

/// Counts the rows of every quarantine, in order of hop and reason. `location` is the lake's location as requested.
///
/// # Errors
/// The lake cannot be read, or has no tables at all.
pub async fn list(lake: &Lake, location: &str) -> Result<Vec<ReasonCount>, QuarantineError> {
    let tables = tables(lake).await?;
    if tables.is_empty() {
        return Err(TableError::NoTables { lake: location.to_owned() }.into());
    }
    let mut counts: BTreeMap<(String, String), (u64, String)> = BTreeMap::new();
    for table in tables {
        let TableRef::Quarantine(hop) = &table else { continue };
        let opened = table.open(lake).await?;
        let mut batches = opened.scan(None).await.map_err(LakeError::from)?;
        while let Some(rows) = batches.try_next().await.map_err(LakeError::from)? {
            for row in QuarantineRow::all(&rows) {
                let count = counts.entry((hop.clone(), row.reason())).or_insert_with(|| (0, row.message()));
                count.0 += 1;
            }
        }
    }
    let counted = counts.into_iter();
    Ok(counted.map(|((hop, reason), (rows, example))| ReasonCount { hop, reason, rows, example }).collect())
}
