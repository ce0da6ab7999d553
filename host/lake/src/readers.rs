//! Who reads a table, and how far each reader has come: it stands in the tables that they write.

use std::collections::HashMap;
use std::sync::Arc;

use sluicebox_core::batch::FORGOTTEN;
use sluicebox_core::plan::{Layer, TableName, TableSpec, WriteMode};
use sluicebox_delta::{Followers, Transactions};
use tokio::sync::Mutex;

use super::{Lake, LakeError};

/// What is known of the tables' transactions, by table. Whoever asks again reads only what was committed since, and
/// opens no table.
#[derive(Clone, Default)]
pub(super) struct Readers(Arc<Mutex<HashMap<TableName, Transactions>>>);

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readers")
    }
}

/// What a reader that is to be forgotten has recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The table that it wrote.
    pub table: TableName,
    /// The table that it read.
    pub upstream: String,
    /// The version of that which it has taken.
    pub version: i64,
}

impl Lake {
    /// How far the readers of a table have come, in any pipeline: each records its position in the tables that it
    /// writes. `readers` are hops, as `<pipeline>/<hop>`, that read it and may not have started.
    pub async fn followers(&self, table: &str, readers: &[String]) -> Result<Followers, LakeError> {
        let mut behind: Option<(u64, String)> = None;
        let mut begun: Vec<String> = Vec::new();
        let mut known = self.readers.0.lock().await;
        for name in self.written().await? {
            for (app, position) in self.transactions(&mut known, &name).await?.iter() {
                let Some(reader) = app.strip_suffix(table).and_then(|rest| rest.strip_suffix('/')) else {
                    continue;
                };
                begun.push(reader.to_owned());
                if position == FORGOTTEN {
                    continue;
                }
                let version = u64::try_from(position).unwrap_or_default();
                if behind.as_ref().is_none_or(|(least, _)| version < *least) {
                    behind = Some((version, reader.to_owned()));
                }
            }
        }
        if let Some(reader) = readers.iter().find(|reader| !begun.contains(reader)) {
            return Ok(Followers::NotBegun { reader: reader.clone() });
        }
        Ok(behind.map_or(Followers::None, |(version, reader)| Followers::Taken { version, reader }))
    }

    /// What a reader, as `<pipeline>/<hop>`, has recorded of the tables that it read.
    ///
    /// # Errors
    /// A log of the lake cannot be read.
    pub async fn remembered(&self, reader: &str) -> Result<Vec<Remembered>, LakeError> {
        let mut known = self.readers.0.lock().await;
        let mut found = Vec::new();
        for table in self.written().await? {
            for (app, version) in self.transactions(&mut known, &table).await?.iter() {
                let lane = app.strip_prefix(reader).and_then(|rest| rest.strip_prefix('/'));
                // Lanes of sources hold nothing.
                if let Some(upstream) = lane.filter(|lane| is_table(lane))
                    && version != FORGOTTEN
                {
                    found.push(Remembered { table: table.clone(), upstream: upstream.to_owned(), version });
                }
            }
        }
        found.sort_by(|a, b| (&a.table, &a.upstream).cmp(&(&b.table, &b.upstream)));
        Ok(found)
    }

    /// Forgets what a reader has recorded: from now on no table keeps anything for it. It must not come back under
    /// that name.
    ///
    /// # Errors
    /// A table cannot be read or written. What was forgotten before stays forgotten.
    pub async fn forget(&self, reader: &str, what: &[Remembered]) -> Result<(), LakeError> {
        for each in what.chunk_by(|a, b| a.table == b.table) {
            let Some(first) = each.first() else { continue };
            let mut table = self.table(&TableSpec::new(first.table.clone(), WriteMode::Append)).await?;
            let apps: Vec<String> = each.iter().map(|each| format!("{reader}/{}", each.upstream)).collect();
            table.forget(&apps).await?;
        }
        Ok(())
    }

    /// The tables that hops write, quarantine aside.
    async fn written(&self) -> Result<Vec<TableName>, LakeError> {
        let layers = [Layer::Bronze, Layer::Silver, Layer::Gold];
        let named = |(layer, name): (String, String)| {
            let layer = layers.into_iter().find(|each| each.as_str() == layer)?;
            Some(TableName { layer, name })
        };
        Ok(self.tables().await?.into_iter().filter_map(named).collect())
    }

    async fn transactions<'k>(
        &self,
        known: &'k mut HashMap<TableName, Transactions>,
        table: &TableName,
    ) -> Result<&'k Transactions, LakeError> {
        let transactions = match known.entry(table.clone()) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Transactions::new(&self.folder(table)?, &table.to_string()))
            }
        };
        transactions.refresh().await?;
        Ok(transactions)
    }
}

/// Whether a lane is a table, as `layer.name`.
fn is_table(lane: &str) -> bool {
    let layers = [Layer::Bronze, Layer::Silver, Layer::Gold];
    lane.split_once('.').is_some_and(|(layer, name)| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        layers.iter().any(|each| each.as_str() == layer) && name.chars().all(plain)
    })
}
