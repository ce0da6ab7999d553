//! What became of a table, commit by commit, as its log tells it.

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
    /// Commits that the log does not have any more. What they did is not known; what they
    /// left is in the checkpoint behind them.
    Gone {
        /// The oldest of them.
        first: u64,
        /// The newest of them.
        last: u64,
    },
}

/// What the log says about one commit, whoever made it.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitRecord {
    /// The version that it made.
    pub version: u64,
    /// When, where its maker says so.
    pub at: Option<DateTime<Utc>>,
    /// What its maker calls it, such as `WRITE` or `OPTIMIZE`.
    pub operation: Option<String>,
    /// The program that made it, where it says so.
    pub engine: Option<String>,
    /// What this program wrote about it, an object; null for the commits of others.
    pub maker: Value,
    /// The application transactions of this commit, by application id.
    pub transactions: Vec<(String, i64)>,
    /// Data files that came.
    pub files_added: u64,
    /// Data files that went.
    pub files_removed: u64,
    /// Bytes of the files that came.
    pub bytes_added: u64,
    /// Bytes of the files that went, as far as the log says.
    pub bytes_removed: u64,
    /// Rows of the files that came, if every one of them says how many it has.
    pub rows_added: Option<u64>,
    /// Whether the table's rows may differ from those before: `false` where files were only
    /// rearranged.
    pub data_change: bool,
}

impl CommitRecord {
    /// A text that this program wrote about the commit, such as `hop` or `configHash`.
    pub fn made(&self, key: &str) -> Option<&str> {
        self.maker.get(key)?.as_str()
    }

    /// The digest of the module that made the rows.
    pub fn digest(&self) -> Option<&str> {
        self.maker.get("module")?.get("digest")?.as_str()
    }

    /// A count that this program wrote about the commit, such as `rowsIn`.
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

/// The rows of a file, where its statistics say how many it has.
fn rows_of(add: &Add) -> Option<u64> {
    let stats: Value = serde_json::from_str(add.stats.as_ref()?).ok()?;
    stats.get("numRecords")?.as_u64()
}

impl Table {
    /// Every commit up to the version that this handle knows, newest first. Commits that are
    /// not in the log any more are said to be gone, in one step for as many as lie together.
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
                // A cleaner may have been here since the log was listed.
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

/// One version, or several that are gone.
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

/// Every version from `newest` down to 0, those that are gone put together.
fn spans(there: &BTreeSet<u64>, newest: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    // One past the version that comes next.
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
