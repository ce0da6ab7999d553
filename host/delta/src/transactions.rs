//! The application transactions of a table, without the table: nothing of its files or columns is read.

use std::collections::HashMap;
use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt};
use sluicebox_stores::Location;

use super::error::DeltaError;
use super::log;

/// What a table's log says of the applications that wrote it. Whoever asks again reads only what has come since.
pub struct Transactions {
    store: Arc<dyn ObjectStore>,
    table: String,
    /// The version up to which they are known.
    version: Option<u64>,
    found: HashMap<String, i64>,
}

impl Transactions {
    /// Of the table in this folder; nothing is read yet. `table` is its name in messages.
    pub fn new(location: &Location, table: &str) -> Self {
        Self { store: location.store(), table: table.to_owned(), version: None, found: HashMap::new() }
    }

    /// Takes up what was committed since the last call.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn refresh(&mut self) -> Result<(), DeltaError> {
        if let Some(version) = self.version
            && !self.is_there(version).await?
        {
            // The table was made anew, or its log was shortened beyond what is known.
            (self.version, self.found) = (None, HashMap::new());
        }
        let Some(mut version) = self.version else {
            let Some(newest) = log::newest_version(&self.store, &self.table).await? else {
                return Ok(());
            };
            self.found = log::transactions(&self.store, &self.table, newest).await?;
            self.version = Some(newest);
            return Ok(());
        };
        while let Some(entry) = log::read(self.store.as_ref(), &self.table, version + 1).await? {
            self.found.extend(entry.transactions);
            version += 1;
            self.version = Some(version);
        }
        Ok(())
    }

    async fn is_there(&self, version: u64) -> Result<bool, DeltaError> {
        let path = log::entry_path(version);
        match self.store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(DeltaError::store("look for", format!("{}/{path}", self.table))(error)),
        }
    }

    /// Every application with its version, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.found.iter().map(|(app, version)| (app.as_str(), *version))
    }
}
