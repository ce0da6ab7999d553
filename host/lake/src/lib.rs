//! The lake: Delta tables on a local disk or in an object store, and the files kept beside them.
//!
//! A [`Lake`] opens [`Table`]s. A table is written by [`Table::begin`], [`Writer::write`] and
//! [`Table::commit`], which makes rows and positions visible in one log entry, and read by
//! [`Table::added_since`] or [`Table::scan`].
//!
//! deltalake keeps the state of tables; Parquet is written here, because that is where the
//! time goes, and so are commits, because that is where rows are counted once.

mod artifacts;
mod change_data;
mod changes;
mod checkpoint;
mod commit;
mod contract;
mod convert;
mod data;
mod derive;
mod disk;
mod entry;
mod error;
mod expect;
mod follow;
mod history;
mod info;
mod json;
mod landed;
mod location;
mod log;
mod maintain;
mod mapping;
mod object;
mod partition;
mod partitioned_writer;
mod protocol;
mod provenance;
mod quarantine;
mod read;
mod row_changes;
mod scan;
mod schema;
mod sort;
mod state;
mod table;
mod upsert;
mod vectors;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

pub use changes::Changes;
pub use commit::{Commit, Committed};
pub use contract::Refused;
pub use derive::derived_schema;
pub use error::LakeError;
pub use expect::{Unfit, Unmet, unfit_expectations};
pub use follow::Added;
pub use history::{CommitRecord, Step};
pub use info::TableInfo;
pub use maintain::{Compaction, Followers, Maintained, Maintenance, Unused};
pub use provenance::Provenance;
pub use quarantine::{Quarantined, quarantine_batch, quarantine_schema, quarantined};
pub use scan::Groups;
pub use schema::table_schema as stored_schema;
pub use state::{Piece, States};
pub use table::Table;
pub use vectors::VectorError;
pub use writer::{Accepted, Writer};

use location::Location;
use sluicebox_core::plan::{Contract, Drift, Layer, TableName, TableSpec, WriteMode};
use table::TableOptions;

/// The folder of the quarantine tables, and the layer that [`Lake::tables`] gives for them.
const QUARANTINE: &str = "quarantine";

/// A folder of tables, by layer.
#[derive(Clone, Debug)]
pub struct Lake {
    location: Location,
    /// Tables that are read from elsewhere, each at one version.
    pins: HashMap<TableName, (Location, u64)>,
}

impl Lake {
    /// The lake at a path or URL. Nothing is created before the first table is.
    pub fn open(location: &str) -> Result<Self, LakeError> {
        let location = Location::parse(location)?;
        if let Some(folder) = &location.folder
            && let Some(file) = folder.ancestors().find(|path| path.exists() && !path.is_dir())
        {
            return Err(LakeError::NotAFolder { path: file.display().to_string() });
        }
        Ok(Self { location, pins: HashMap::new() })
    }

    /// A lake in a store of the caller's, whose root is the root of `url`: for tests that make a
    /// store fail, and for stores that need a wrapper.
    pub fn with_store(store: Arc<dyn ObjectStore>, url: &Url) -> Result<Self, LakeError> {
        Ok(Self { location: Location::with_store(store, url)?, pins: HashMap::new() })
    }

    /// This lake, where one table is that of another lake as it stood at `version`. It can be
    /// read and followed up to there, and not be written.
    pub fn pinned(mut self, table: &TableName, from: &Lake, version: u64) -> Result<Self, LakeError> {
        self.pins.insert(table.clone(), (from.folder(table)?, version));
        Ok(self)
    }

    /// Where it lies, as people see it.
    pub fn location(&self) -> &str {
        &self.location.name
    }

    /// A table, which may not exist yet.
    pub async fn table(&self, spec: &TableSpec) -> Result<Table, LakeError> {
        let manner = TableOptions {
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
        };
        match self.pins.get(&spec.name) {
            Some((folder, version)) => Table::open_at(folder.clone(), manner, *version).await,
            None => Table::open(self.folder(&spec.name)?, manner).await,
        }
    }

    /// The quarantine table of a hop, which may not exist yet. Its columns are [`quarantine_schema`].
    pub async fn quarantine(&self, hop: &str) -> Result<Table, LakeError> {
        Table::open(self.location.below(QUARANTINE)?.below(hop)?, Self::of_quarantine(hop)).await
    }

    /// The quarantine table of a hop as it stood at `version`.
    pub async fn quarantine_at(&self, hop: &str, version: u64) -> Result<Table, LakeError> {
        Table::open_at(self.location.below(QUARANTINE)?.below(hop)?, Self::of_quarantine(hop), version).await
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
        }
    }

    /// Every table that exists, as layer (or `quarantine`) and name, in order.
    pub async fn tables(&self) -> Result<Vec<(String, String)>, LakeError> {
        let store = self.location.store();
        let mut tables = Vec::new();
        let layers = [Layer::Bronze, Layer::Silver, Layer::Gold].map(Layer::as_str);
        for layer in layers.into_iter().chain([QUARANTINE]) {
            let folder = Path::from(layer);
            let failed = || LakeError::store("list", format!("{}/{layer}", self.location.name));
            let listing = match store.list_with_delimiter(Some(&folder)).await {
                Err(object_store::Error::NotFound { .. }) => continue,
                other => other.map_err(failed())?,
            };
            for table in listing.common_prefixes {
                let Some(name) = table.filename() else {
                    continue;
                };
                let inside = store.list_with_delimiter(Some(&table)).await.map_err(failed())?;
                if inside.common_prefixes.iter().any(|inner| inner.filename() == Some("_delta_log")) {
                    tables.push((layer.to_owned(), name.to_owned()));
                }
            }
        }
        tables.sort();
        Ok(tables)
    }

    /// How far the readers of a table have come, whatever pipeline they belong to: each records its
    /// position in the tables that it writes. `readers` are hops, as `<pipeline>/<hop>`, that are known
    /// to read it and may not have begun.
    pub async fn followers(&self, table: &str, readers: &[String]) -> Result<Followers, LakeError> {
        let mut behind: Option<(u64, String)> = None;
        let mut begun: Vec<String> = Vec::new();
        for (layer, name) in self.tables().await? {
            let Some(layer) = [Layer::Bronze, Layer::Silver, Layer::Gold].into_iter().find(|it| it.as_str() == layer)
            else {
                continue;
            };
            let spec = TableSpec::new(TableName { layer, name }, WriteMode::Append);
            let below = self.table(&spec).await?;
            for (app, position) in &below.transactions {
                let Some(reader) = app.strip_suffix(table).and_then(|rest| rest.strip_suffix('/')) else {
                    continue;
                };
                begun.push(reader.to_owned());
                let version = u64::try_from(*position).unwrap_or_default();
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

    /// Copies a landed file unchanged to `<lake>/<layer>/<table>/_files/<lane>`. A copy that is
    /// already whole is left alone.
    ///
    /// `from` is a path or a URL.
    pub async fn keep_file(&self, table: &TableName, from: &str, lane: &str) -> Result<(), LakeError> {
        landed::keep(&self.folder(table)?, from, lane).await
    }

    fn folder(&self, table: &TableName) -> Result<Location, LakeError> {
        self.location.below(table.layer.as_str())?.below(&table.name)
    }
}
