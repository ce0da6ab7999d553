//! The lake: Delta tables by layer, and the files stored beside them.
//!
//! A [`Lake`] opens [`Table`]s, which `sluicebox-delta` reads and writes. It stores what commits name: the artifacts
//! (modules and pipelines) and states of modules. It also has the quarantine tables and keeps landed files.

mod artifacts;
mod error;
mod landed;
mod quarantine;
mod readers;
mod state;

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use sluicebox_core::columns::SystemNames;
use sluicebox_core::plan::{Contract, Drift, Layer, TableName, TableSpec, WriteMode};
use sluicebox_delta::{Table, TableOptions};
use sluicebox_stores::{Location, StoreError};

use readers::Readers;

pub use error::LakeError;
pub use landed::LandedFile;
pub use quarantine::{Quarantined, quarantine_batch, quarantine_schema, quarantined};
pub use readers::Remembered;
pub use state::{Piece, States};

/// The folder of the quarantine tables, and the layer that [`Lake::tables`] gives for them.
const QUARANTINE: &str = "quarantine";

/// A folder of tables, by layer.
#[derive(Clone, Debug)]
pub struct Lake {
    location: Location,
    /// Tables pinned to another lake, each at one version.
    pins: HashMap<TableName, (Location, u64)>,
    /// How far the readers of tables have come, as far as it was read.
    readers: Readers,
}

impl Lake {
    /// The lake at a path or URL. Nothing is created before the first table is.
    pub fn open(location: &str) -> Result<Self, LakeError> {
        let location = Location::parse(location)?;
        location.check_folder()?;
        Ok(Self { location, pins: HashMap::new(), readers: Readers::default() })
    }

    /// A lake in a given store, whose root is the root of `url`: for tests with a failing store, and for stores with
    /// a wrapper.
    pub fn with_store(store: Arc<dyn ObjectStore>, url: &Url) -> Result<Self, LakeError> {
        Ok(Self { location: Location::with_store(store, url)?, pins: HashMap::new(), readers: Readers::default() })
    }

    /// This lake with one table pinned to that of another lake at `version`. It can be read and followed up to there,
    /// and not written.
    pub fn pinned(mut self, table: &TableName, from: &Lake, version: u64) -> Result<Self, LakeError> {
        self.pins.insert(table.clone(), (from.folder(table)?, version));
        Ok(self)
    }

    /// Its location, as shown in messages.
    pub fn location(&self) -> &str {
        &self.location.name
    }

    /// A table, which may not exist yet.
    pub async fn table(&self, spec: &TableSpec) -> Result<Table, LakeError> {
        let options = TableOptions {
            name: spec.name.to_string(),
            mode: spec.mode.clone(),
            partition_by: spec.partition_by.clone(),
            derive: spec.derive.clone(),
            layout: Arc::new(spec.layout.clone()),
            contract: spec.contract,
            expect: spec.expect.clone(),
            changes: spec.changes,
            description: spec.description.clone(),
            rescues: spec.name.layer == Layer::Bronze,
            system: spec.system.clone(),
        };
        match self.pins.get(&spec.name) {
            Some((folder, version)) => Ok(Table::open_at(folder.clone(), options, *version).await?),
            None => Ok(Table::open(self.folder(&spec.name)?, options).await?),
        }
    }

    /// The quarantine table of a hop, which may not exist yet. Its columns are [`quarantine_schema`].
    pub async fn quarantine(&self, hop: &str) -> Result<Table, LakeError> {
        Ok(Table::open(self.location.below(QUARANTINE)?.below(hop)?, Self::of_quarantine(hop)).await?)
    }

    /// The quarantine table of a hop as it stood at `version`.
    pub async fn quarantine_at(&self, hop: &str, version: u64) -> Result<Table, LakeError> {
        Ok(Table::open_at(self.location.below(QUARANTINE)?.below(hop)?, Self::of_quarantine(hop), version).await?)
    }

    fn of_quarantine(hop: &str) -> TableOptions {
        TableOptions {
            name: format!("{QUARANTINE}.{hop}"),
            mode: WriteMode::Append,
            partition_by: Vec::new(),
            derive: Vec::new(),
            layout: Arc::default(),
            contract: Contract {
                new_column: Drift::Evolve,
                missing_column: Drift::NullValue,
                type_change: Drift::Freeze,
            },
            expect: Vec::new(),
            changes: false,
            description: Some(format!("Rows that hop '{hop}' could not pass on, and why.")),
            rescues: false,
            system: SystemNames::default(),
        }
    }

    /// Every table that exists, as layer (or `quarantine`) and name, in order.
    pub async fn tables(&self) -> Result<Vec<(String, String)>, LakeError> {
        let store = self.location.store();
        let mut tables = Vec::new();
        let layers = [Layer::Bronze, Layer::Silver, Layer::Gold].map(Layer::as_str);
        for layer in layers.into_iter().chain([QUARANTINE]) {
            let folder = Path::from(layer);
            let failed = || StoreError::object("list", format!("{}/{layer}", self.location.name));
            let listing = match store.list_with_delimiter(Some(&folder)).await {
                Err(object_store::Error::NotFound { .. }) => continue,
                other => other.map_err(failed())?,
            };
            for table in listing.common_prefixes {
                let Some(name) = table.filename() else {
                    continue;
                };
                let log = table.clone().join("_delta_log");
                let is_table = match &self.location.folder {
                    Some(folder) => folder.join(layer).join(name).join("_delta_log").is_dir(),
                    // A folder of a store is there when something is in it.
                    None => store.list(Some(&log)).next().await.transpose().map_err(failed())?.is_some(),
                };
                if is_table {
                    tables.push((layer.to_owned(), name.to_owned()));
                }
            }
        }
        tables.sort();
        Ok(tables)
    }

    /// Copies a landed file unchanged to `<lake>/<layer>/<table>/_files/<lane>`, unless a complete copy exists. What
    /// a store cannot have in a name is percent-encoded there.
    ///
    /// # Errors
    /// The file cannot be read, is not as long as it was, or cannot be written.
    pub async fn keep_file(&self, table: &TableName, file: LandedFile) -> Result<(), LakeError> {
        landed::keep(&self.folder(table)?, file).await
    }

    fn folder(&self, table: &TableName) -> Result<Location, LakeError> {
        Ok(self.location.below(table.layer.as_str())?.below(&table.name)?)
    }
}
