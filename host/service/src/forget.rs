//! Forgetting a hop that was renamed or removed, so that no table keeps its log for it.

use crate::table::TableError;
use sluicebox_lake::{Lake, Remembered};

/// Forgets what a hop, as `<pipeline>/<hop>`, has recorded of the tables that it read; with `dry_run` it is only
/// returned. What the hop wrote is kept, and a hop of that name cannot continue.
///
/// # Errors
/// A table of the lake cannot be read or written.
pub async fn forget(lake: &Lake, hop: &str, dry_run: bool) -> Result<Vec<Remembered>, TableError> {
    let found = lake.remembered(hop).await?;
    if !dry_run {
        lake.forget(hop, &found).await?;
    }
    Ok(found)
}
