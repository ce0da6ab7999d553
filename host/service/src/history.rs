//! The history of a table, commit by commit.

use futures::TryStreamExt;

use crate::table::{TableError, TableRef};
use sluicebox_delta::Step;
use sluicebox_lake::{Lake, LakeError};

/// The newest commits of a table, newest first, at most `limit` of them. Commits that are no longer in the log are
/// reported as gone and do not count.
///
/// # Errors
/// The table does not exist, or its log cannot be read.
pub async fn history(lake: &Lake, table: &TableRef, limit: usize) -> Result<Vec<Step>, TableError> {
    let opened = table.open(lake).await?;
    let mut history = opened.history().await.map_err(LakeError::from)?;
    let (mut steps, mut left) = (Vec::new(), limit);
    while left > 0 {
        let Some(step) = history.try_next().await.map_err(LakeError::from)? else { break };
        // Missing commits do not count towards the limit, so that they do not hide present ones.
        left -= usize::from(matches!(step, Step::Commit(_)));
        steps.push(step);
    }
    Ok(steps)
}
