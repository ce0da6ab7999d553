//! A table: its snapshot, its creation and its information.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use deltalake::DeltaTable;
use deltalake::kernel::{Action, MetadataExt, Protocol, new_metadata};
use deltalake::logstore::{StorageConfig, logstore_with};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::table::state::DeltaTableState;
use object_store::ObjectStore;
use tokio::runtime::Handle;

use super::contract::Rules;
use super::data_file::{Keeping, Target};
use super::derive::derived_schema;
use super::error::DeltaError;
use super::expect::Checks;
use super::file_set::FileSet;
use super::log;
use super::mapping::Mapping;
use super::partition;
use super::protocol;
use super::provenance::Provenance;
use super::read::{DataRef, ReadContext};
use super::schema::{find, from_delta, table_schema};
use super::sort::Order;
use super::stats::stats_columns;
use super::writer::Writer;
use sluicebox_core::batch::{Lane, Positions};
use sluicebox_core::columns::{SystemNames, same_column};
use sluicebox_core::plan::{Contract, Derived, Expectation, Layout, WriteMode};
use sluicebox_parquet_writer::Encodings;
use sluicebox_stores::Location;

/// Commits between two checkpoints of the log.
pub(super) const CHECKPOINT_INTERVAL: u64 = 20;

/// The options of a table: how it is written.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// Its name in messages, such as `silver.users`.
    pub name: String,
    /// The write mode.
    pub mode: WriteMode,
    /// The partition columns.
    pub partition_by: Vec<String>,
    /// Derived columns.
    pub derive: Vec<Derived>,
    /// How data files are laid out.
    pub layout: Arc<Layout>,
    /// What happens to rows with other columns.
    pub contract: Contract,
    /// The expectations.
    pub expect: Vec<Expectation>,
    /// Each commit records which rows it changed.
    pub changes: bool,
    /// Its description.
    pub description: Option<String>,
    /// Values without a column are kept in `_rescued`.
    pub rescues: bool,
    /// What the host's own columns are called.
    pub system: SystemNames,
}

/// A column of data that has a name which Delta's change data feed keeps for itself.
fn change_feed_column(schema: &Schema) -> Option<String> {
    const KEPT: [&str; 3] = ["_change_type", "_commit_version", "_commit_timestamp"];
    let mut names = schema.fields().iter().map(|field| field.name());
    names.find(|name| KEPT.iter().any(|kept| same_column(name, kept))).cloned()
}

impl TableOptions {
    /// A table of that name and mode, all else as it is by default.
    pub fn new(name: impl Into<String>, mode: WriteMode) -> Self {
        Self {
            name: name.into(),
            mode,
            partition_by: Vec::new(),
            derive: Vec::new(),
            layout: Arc::default(),
            contract: Contract::default(),
            expect: Vec::new(),
            changes: false,
            description: None,
            rescues: false,
            system: SystemNames::default(),
        }
    }

    /// The columns that readers look rows up by. They get bounds, however many columns are before them.
    pub(super) fn telling_columns(&self) -> Vec<String> {
        let mut columns = self.mode.key().to_vec();
        columns.extend(self.layout.sort_by.iter().cloned());
        columns.extend(self.derive.iter().flat_map(|derived| [derived.column.clone(), derived.from.clone()]));
        columns
    }

    /// The columns of a new table for rows of `schema`.
    fn stored(&self, table: &str, schema: &SchemaRef) -> Result<SchemaRef, DeltaError> {
        let schema = &derived_schema(table, &self.derive, schema)?;
        match &self.mode {
            WriteMode::Accumulate { key, sum, count } => {
                table_schema(table, super::upsert::accumulated(table, schema, key, sum, count)?.as_ref())
            }
            mode if mode.key().is_empty() => table_schema(table, schema.as_ref()),
            // The change columns are not part of the row.
            _ => table_schema(table, &super::row_changes::without(schema)),
        }
    }
}

/// A Delta table, and its only writer in this process.
pub struct Table {
    pub(super) options: TableOptions,
    pub(super) location: Location,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) delta: DeltaTable,
    pub(super) schema: Option<SchemaRef>,
    /// Every application transaction as of the snapshot's version.
    pub(super) transactions: HashMap<String, i64>,
    pub(super) encodings: Encodings,
    /// The snapshot is older than this process's last commit.
    pub(super) stale: bool,
    /// The table is pinned to this version.
    pinned: Option<u64>,
    /// The only version that a commit may be based on.
    pub(super) held: Option<u64>,
}

impl Table {
    /// Opens the table in a folder; it may not exist yet.
    ///
    /// # Errors
    /// The table's folder cannot be read, or its log is not valid.
    pub async fn open(location: Location, options: TableOptions) -> Result<Self, DeltaError> {
        Self::open_pinned(location, options, None).await
    }

    /// Opens the table as of `version`, whatever was committed since.
    ///
    /// # Errors
    /// As [`Table::open`]; there is no such version.
    pub async fn open_at(location: Location, options: TableOptions, version: u64) -> Result<Self, DeltaError> {
        Self::open_pinned(location, options, Some(version)).await
    }

    async fn open_pinned(location: Location, options: TableOptions, pinned: Option<u64>) -> Result<Self, DeltaError> {
        location.check_folder()?;
        let (store, url) = location.from_lake();
        let log = logstore_with(store, url, StorageConfig::default());
        let delta = DeltaTable::new(log.map_err(DeltaError::delta("find the log of", &location.name))?);
        let mut table = Self {
            options,
            store: location.store(),
            location,
            delta,
            schema: None,
            transactions: HashMap::new(),
            encodings: Encodings::default(),
            stale: false,
            pinned,
            held: None,
        };
        table.refresh().await?;
        Ok(table)
    }

    /// The same table, which every commit replaces as a whole.
    pub fn rewritten(mut self) -> Self {
        self.options.mode = WriteMode::Overwrite;
        self
    }

    /// The same table, which accepts only commits based on its present version: once another writer commits, a commit
    /// is a [`DeltaError::Conflict`].
    pub fn held(mut self) -> Self {
        self.held = self.version();
        self
    }

    /// Its name, such as `silver.users`.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Every application transaction as of this handle's version: the positions of all writers.
    pub fn transactions(&self) -> &HashMap<String, i64> {
        &self.transactions
    }

    /// The version of this handle; `None` if the table does not exist yet.
    pub fn version(&self) -> Option<u64> {
        self.delta.version()
    }

    /// The table's columns, partition columns included; `None` if it does not exist yet.
    pub fn schema(&self) -> Option<SchemaRef> {
        self.schema.clone()
    }

    /// The columns that the table gets when it is created for rows of `schema`.
    pub fn stored(&self, schema: &SchemaRef) -> Result<SchemaRef, DeltaError> {
        let stored = self.options.stored(&self.options.name, schema)?;
        match change_feed_column(&stored).filter(|_| self.feeds() && self.options.mode != WriteMode::Append) {
            Some(column) => Err(DeltaError::ChangeFeedColumn { table: self.options.name.clone(), column }),
            None => Ok(stored),
        }
    }

    /// Updates the handle with the commits of other processes.
    pub async fn refresh(&mut self) -> Result<(), DeltaError> {
        let name = self.options.name.clone();
        let before = self.delta.version();
        if self.pinned.is_some() && before.is_some() {
            return Ok(());
        }
        if before.is_none() {
            let log = self.delta.log_store();
            let there = log::is_there(self.store.as_ref(), &name).await?;
            if !there && !log.is_delta_table_location().await.map_err(DeltaError::delta("look for", &name))? {
                return Ok(());
            }
            let loaded = match self.pinned {
                Some(version) => self.delta.load_version(version).await,
                None => self.delta.load().await,
            };
            loaded.map_err(DeltaError::delta("read", &name))?;
        } else {
            self.delta.update_state().await.map_err(DeltaError::delta("read", &name))?;
        }
        let state = self.state()?;
        let version = state.version();
        protocol::can_read(&name, state)?;
        let schema = from_delta(&name, &state.schema())?;
        if self.schema.as_ref() != Some(&schema) {
            self.schema = Some(schema);
        }
        match before {
            Some(before) if before == version => {}
            Some(before) => {
                let versions = before + 1..=version;
                match log::transactions_of(&self.store, &name, versions, &mut self.transactions).await {
                    Err(DeltaError::LogGone { .. }) => {
                        self.transactions = log::transactions(&self.store, &name, version).await?;
                    }
                    other => other?,
                }
            }
            None => self.transactions = log::transactions(&self.store, &name, version).await?,
        }
        self.stale = false;
        Ok(())
    }

    pub(super) fn state(&self) -> Result<&DeltaTableState, DeltaError> {
        self.delta.state.as_ref().ok_or_else(|| DeltaError::NotCreated { table: self.options.name.clone() })
    }

    pub(super) fn known_schema(&self) -> Result<&SchemaRef, DeltaError> {
        self.schema.as_ref().ok_or_else(|| DeltaError::NotCreated { table: self.options.name.clone() })
    }

    /// Creates the table for rows of `schema`, unless it exists. Its columns are nullable and of Delta types; columns
    /// of the null type are dropped, and derived columns are added.
    pub async fn create(&mut self, schema: &SchemaRef, provenance: Provenance) -> Result<(), DeltaError> {
        if self.version().is_none() {
            self.refresh().await?;
        }
        if self.version().is_some() {
            return Ok(());
        }
        let name = self.options.name.clone();
        let schema = self.options.stored(&name, schema)?;
        self.check_columns(&schema)?;
        let delta_schema = super::schema::to_delta(&name, &schema)?;
        let mut configuration = vec![("delta.checkpointInterval", CHECKPOINT_INTERVAL.to_string())];
        if let Some(columns) = stats_columns(&schema, &self.options.telling_columns()) {
            configuration.push(("delta.dataSkippingStatsColumns", columns));
        }
        configuration.extend(self.wanted_settings().map(|setting| (setting, "true".to_owned())));
        let failed = || DeltaError::delta("describe", &name);
        let kernel = |error: deltalake::kernel::Error| DeltaError::delta("describe", &name)(error.into());
        let mut metadata =
            new_metadata(&delta_schema, self.options.partition_by.clone(), configuration).map_err(kernel)?;
        if let Some(description) = &self.options.description {
            metadata = metadata.with_description(description.clone()).map_err(kernel)?;
        }
        let protocol = protocol::protocol(self.options.changes, self.options.layout.deletion_vectors);
        let protocol: Protocol = serde_json::from_value(protocol).map_err(|error| failed()(error.into()))?;
        let operation = DeltaOperation::Create {
            mode: SaveMode::ErrorIfExists,
            location: self.location.url.clone(),
            protocol: protocol.clone(),
            metadata: metadata.clone(),
        };
        let actions = vec![Action::Protocol(protocol), Action::Metadata(metadata)];
        let id = sluicebox_stores::new_id();
        let info = provenance.into_info(&id, &Positions::default());
        let written = super::entry::write_entry(&self.location, 0, actions, operation, info, Vec::new()).await;
        match written {
            Ok(()) | Err(super::entry::EntryError::Exists) => self.refresh().await,
            Err(super::entry::EntryError::Failed(error)) => {
                // The commit may have landed all the same.
                self.refresh().await?;
                if self.version().is_some() { Ok(()) } else { Err(error) }
            }
        }
    }

    /// The settings that the plan asks for.
    pub(super) fn wanted_settings(&self) -> impl Iterator<Item = &'static str> + use<> {
        let changes = self.options.changes.then_some(protocol::CHANGES);
        let vectors = self.options.layout.deletion_vectors.then_some(protocol::VECTORS);
        changes.into_iter().chain(vectors)
    }

    /// Whether the next commit must record which rows it changes.
    pub(super) fn feeds(&self) -> bool {
        self.options.changes || self.delta.state.as_ref().is_some_and(|state| protocol::is_on(state, protocol::CHANGES))
    }

    /// Checks that the columns in the table's options exist and have a usable type.
    fn check_columns(&self, schema: &SchemaRef) -> Result<(), DeltaError> {
        let table = || self.options.name.clone();
        if self.feeds()
            && self.options.mode != WriteMode::Append
            && let Some(column) = change_feed_column(schema)
        {
            return Err(DeltaError::ChangeFeedColumn { table: table(), column });
        }
        let missing = |column: &str, role| DeltaError::NoSuchColumn { table: table(), column: column.to_owned(), role };
        for column in &self.options.partition_by {
            let field = schema.field(find(schema, column).ok_or_else(|| missing(column, "partition_by"))?);
            if !partition::can_partition(field.data_type()) {
                let data_type = field.data_type().clone();
                return Err(DeltaError::PartitionType { table: table(), column: column.clone(), data_type });
            }
        }
        if schema.fields().len() <= self.options.partition_by.len() {
            return Err(DeltaError::NoColumns { table: table() });
        }
        for (role, column) in self.options.mode.columns() {
            find(schema, column).ok_or_else(|| missing(column, role))?;
        }
        for column in &self.options.layout.sort_by {
            let field = schema.field(find(schema, column).ok_or_else(|| missing(column, "sort_by"))?);
            if field.data_type().is_nested() {
                let data_type = field.data_type().clone();
                return Err(DeltaError::SortType { table: table(), column: column.clone(), data_type });
            }
        }
        Ok(())
    }

    /// The recorded position of every lane of one hop; `prefix` is `<pipeline>/<hop>/`.
    pub async fn positions(&self, prefix: &str) -> Result<Positions, DeltaError> {
        let lanes = self
            .transactions
            .iter()
            .filter_map(|(app, position)| app.strip_prefix(prefix).map(|lane| (Lane::from(lane), *position)));
        Ok(lanes.collect())
    }

    /// Begins the rows of one commit. The table must exist.
    pub async fn begin(&mut self) -> Result<Writer, DeltaError> {
        if self.stale {
            self.refresh().await?;
        }
        let name = self.options.name.clone();
        let state = self.state()?;
        protocol::can_write(&name, state)?;
        let found = state.metadata().partition_columns().to_vec();
        let same = found.len() == self.options.partition_by.len()
            && found.iter().zip(&self.options.partition_by).all(|(a, b)| same_column(a, b));
        if !same {
            let wanted = self.options.partition_by.join(", ");
            return Err(DeltaError::PartitionsDiffer { table: name, found: found.join(", "), wanted });
        }
        let schema = self.known_schema()?.clone();
        self.check_columns(&schema)?;
        let options = &self.options;
        let rules = Rules::new(options, &found);
        let checks = Checks::new(&name, &options.expect, &schema, &options.mode)?;
        let mut target = self.target(found.into());
        if self.feeds() {
            target.keeping = Some(Keeping::default());
        }
        Writer::new(rules, checks, options.mode.clone(), schema, target, options.layout.memory)
    }

    pub(super) fn target(&self, partition_by: Arc<[String]>) -> Target {
        Target {
            location: self.location.clone(),
            runtime: Handle::current(),
            encodings: self.encodings.clone(),
            partition_by,
            layout: Arc::clone(&self.options.layout),
            order: Arc::new(Order::by(&self.options.layout.sort_by)),
            telling: self.telling_columns().into(),
            below: None,
            keeping: None,
        }
    }

    /// The columns that get bounds: those of the plan, and those of the table's own property.
    fn telling_columns(&self) -> Vec<String> {
        let mut columns = self.options.telling_columns();
        let configuration = self.delta.state.as_ref().map(|state| state.metadata().configuration());
        if let Some(said) = configuration.and_then(|configuration| configuration.get("delta.dataSkippingStatsColumns"))
        {
            columns.extend(said.split(',').map(|column| column.trim().trim_matches('`').to_owned()));
        }
        columns
    }

    pub(super) fn context(&self) -> Result<ReadContext, DeltaError> {
        Ok(ReadContext {
            location: self.location.clone(),
            store: Arc::clone(&self.store),
            table: self.options.name.clone(),
            partition_by: self.state()?.metadata().partition_columns().to_vec().into(),
            mapping: Mapping::of(&self.options.name, self.state()?)?.map(Arc::new),
        })
    }

    /// The data files of the present version.
    pub(super) fn file_set(&self) -> Result<FileSet, DeltaError> {
        Ok(FileSet::new(self.state()?.clone(), self.context()?))
    }

    /// All data files of the present version, oldest first.
    pub(super) fn files(&self) -> Result<Vec<DataRef>, DeltaError> {
        Ok(self.file_set()?.select(|_| true))
    }
}
