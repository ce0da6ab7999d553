//! The history of a table, commit by commit, from its log.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use deltalake::kernel::Add;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use serde_json::Value;

use super::error::DeltaError;
use super::log::{self, Entry};
use super::table::Table;

/// How many log entries are fetched at once: enough to hide latency, few enough to be polite.
const CONCURRENT_READS: usize = 16;

/// A step back in a table's history.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// One commit.
    Commit(Box<CommitRecord>),
    /// Commits that are no longer in the log. Their effect is in the checkpoint after them.
    Gone {
        /// The oldest of them.
        first: u64,
        /// The newest of them.
        last: u64,
    },
}

/// The log's record of one commit, by any writer.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitRecord {
    /// The version that it made.
    pub version: u64,
    /// When it was made, if its writer recorded it.
    pub at: Option<DateTime<Utc>>,
    /// The operation as its writer names it, such as `WRITE` or `OPTIMIZE`.
    pub operation: Option<String>,
    /// The program that made it, if it is recorded.
    pub engine: Option<String>,
    /// The provenance that this program wrote, an object; null for other writers.
    pub maker: Value,
    /// The application transactions of this commit, by application id.
    pub transactions: Vec<(String, i64)>,
    /// Data files added.
    pub files_added: u64,
    /// Data files removed.
    pub files_removed: u64,
    /// Bytes of the added files.
    pub bytes_added: u64,
    /// Bytes of the removed files, as far as the log has them.
    pub bytes_removed: u64,
    /// Rows of the added files, if all of them have a row count.
    pub rows_added: Option<u64>,
    /// Whether the commit may have changed rows: `false` if it only rearranged files.
    pub data_change: bool,
}

impl CommitRecord {
    /// A text of the provenance, such as `hop` or `configHash`.
    pub fn made(&self, key: &str) -> Option<&str> {
        self.maker.get(key)?.as_str()
    }

    /// The digest of the module that made the rows.
    pub fn digest(&self) -> Option<&str> {
        self.maker.get("module")?.get("digest")?.as_str()
    }

    /// A count of the provenance, such as `rowsIn`.
    pub fn count(&self, key: &str) -> Option<u64> {
        self.maker.get(key)?.as_u64()
    }

    fn new(version: u64, entry: Entry) -> Self {
        let bytes = |size: Option<i64>| size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        let mut info = entry.info;
        let maker = info.as_mut().and_then(|info| info.info.remove("sluicebox")).unwrap_or(Value::Null);
        let mut transactions = entry.transactions;
        transactions.sort();
        Self {
            version,
            at: info.as_ref().and_then(|info| info.timestamp).and_then(DateTime::from_timestamp_millis),
            operation: info.as_ref().and_then(|info| info.operation.clone()),
            engine: info.as_ref().and_then(|info| info.engine_info.clone()),
            maker,
            transactions,
            files_added: entry.adds.len() as u64,
            files_removed: entry.removes.len() as u64,
            bytes_added: entry.adds.iter().map(|add| bytes(Some(add.size))).sum(),
            bytes_removed: entry.removes.iter().map(|remove| bytes(remove.size)).sum(),
            rows_added: entry.adds.iter().map(rows_of).sum(),
            data_change: entry.adds.iter().any(|add| add.data_change)
                || entry.removes.iter().any(|remove| remove.data_change),
        }
    }
}

/// The rows of a file, if its statistics have the number.
fn rows_of(add: &Add) -> Option<u64> {
    let stats: Value = serde_json::from_str(add.stats.as_ref()?).ok()?;
    stats.get("numRecords")?.as_u64()
}

impl Table {
    /// Every commit up to this handle's version, newest first. Adjacent commits that are no longer in the log are one
    /// step.
    pub async fn history(&self) -> Result<BoxStream<'static, Result<Step, DeltaError>>, DeltaError> {
        let Some(version) = self.version() else {
            return Err(DeltaError::NotCreated { table: self.options.name.clone() });
        };
        let (store, name) = (Arc::clone(&self.store), self.options.name.clone());
        let there = entries(&store, &name).await?;
        let spans = spans(&there, version);
        let steps = spans.into_iter().map(move |span| {
            let (store, name) = (Arc::clone(&store), name.clone());
            async move {
                let Span::There(version) = span else {
                    return Ok(span.gone());
                };
                // The log may have been cleaned since it was listed.
                match log::read(store.as_ref(), &name, version).await? {
                    Some(entry) => Ok(Step::Commit(Box::new(CommitRecord::new(version, entry)))),
                    None => Ok(Step::Gone { first: version, last: version }),
                }
            }
        });
        Ok(stream::iter(steps).buffered(CONCURRENT_READS).boxed())
    }
}

/// The versions that have a log entry.
async fn entries(store: &Arc<dyn ObjectStore>, table: &str) -> Result<BTreeSet<u64>, DeltaError> {
    let folder = Path::from("_delta_log");
    let failed = || DeltaError::store("list", format!("{table}/{folder}"));
    let listed: Vec<_> = store.list(Some(&folder)).try_collect().await.map_err(failed())?;
    let version = |name: &str| name.strip_suffix(".json")?.parse().ok();
    Ok(listed.iter().filter_map(|object| version(object.location.filename()?)).collect())
}

/// One version, or several missing ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    There(u64),
    Gone(u64, u64),
}

impl Span {
    fn gone(self) -> Step {
        match self {
            Span::There(version) => Step::Gone { first: version, last: version },
            Span::Gone(first, last) => Step::Gone { first, last },
        }
    }
}

/// All versions from `newest` down to 0, with missing ones merged.
fn spans(there: &BTreeSet<u64>, newest: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    // One more than the next version.
    let mut next = newest.saturating_add(1);
    for version in there.range(..=newest).rev().copied() {
        if version + 1 < next {
            spans.push(Span::Gone(version + 1, next - 1));
        }
        spans.push(Span::There(version));
        next = version;
    }
    if next > 0 {
        spans.push(Span::Gone(0, next - 1));
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::{Span, spans};

    #[test]
    fn what_is_gone_is_said_once_for_all_that_lie_together() {
        let there = [4, 5, 8].into_iter().collect();
        assert_eq!(
            spans(&there, 9),
            [Span::Gone(9, 9), Span::There(8), Span::Gone(6, 7), Span::There(5), Span::There(4), Span::Gone(0, 3)]
        );
        assert_eq!(spans(&[0, 1].into_iter().collect(), 1), [Span::There(1), Span::There(0)]);
        assert_eq!(spans(&[0, 1, 2].into_iter().collect(), 1), [Span::There(1), Span::There(0)]);
    }
}
