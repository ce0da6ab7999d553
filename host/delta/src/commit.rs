//! Commits: rows and positions in one log entry, once.
//!
//! An entry is only written at the version after the snapshot whose positions were checked, so that no other commit
//! can come in between. After a conflict the table is refreshed, the positions are checked again, and an upsert finds
//! its rows again.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use chrono::Utc;
use deltalake::kernel::{Action, AddCDCFile, MetadataExt, Remove, StructType, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde_json::json;
use tokio::runtime::Handle;

use super::changes::{Changes, kept_changes};
use super::data_file::{Target, Written};
use super::entry::{EntryError, write_entry};
use super::error::DeltaError;
use super::log;
use super::protocol;
use super::provenance::Provenance;
use super::read::DataRef;
use super::row_changes;
use super::schema::{find, from_delta, to_delta};
use super::table::{CHECKPOINT_INTERVAL, Table};
use super::upsert::{Change, Counts, Rewrite};
use super::writer::{Match, Writer};
use sluicebox_core::batch::{Lane, Positions};
use sluicebox_core::columns::kept_metadata;
use sluicebox_core::crash::{self, Point};
use sluicebox_core::plan::WriteMode;
use sluicebox_stores::discard;
use sluicebox_stores::new_id;

/// How often a commit is tried before it fails with a conflict.
const ATTEMPTS: u32 = 20;

/// What is recorded with the rows of a commit.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// `<pipeline>/<hop>`, the first part of every `txn` application id.
    pub app: String,
    /// The lanes that these rows advance, and only those.
    pub positions: Positions,
    /// The positions of the lanes before these rows, as their reader knows them. If the table has another position,
    /// another run has advanced the lane. `None` for the positions when the writer began.
    pub begun: Option<Positions>,
    /// The provenance of the rows.
    pub provenance: Provenance,
    /// The rows were computed from the whole upstream up to the positions, and not from the rows after the recorded
    /// ones. Then a position may stay the same, because another lane moved or because other code computed the rows.
    pub whole: bool,
}

/// The result of a commit.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The table's version after it.
    pub version: u64,
    /// Rows written by it, without unchanged rows of rewritten files.
    pub rows: u64,
    /// Inserted rows; in a mode without keys, all rows written.
    pub inserted: u64,
    /// Rows that replaced others.
    pub updated: u64,
    /// Deleted rows, as far as the log has their number.
    pub deleted: u64,
    /// Rows of the table that were matched and not changed, because they were equal or newer.
    pub unchanged: u64,
    /// Data files added.
    pub files_added: usize,
    /// Data files removed.
    pub files_removed: usize,
    /// Bytes of the data files added.
    pub bytes_added: u64,
    /// How often another writer committed first, so that the commit was retried.
    pub conflicts: u32,
    /// The changed rows, if the table records them.
    pub changes: Changes,
    /// The positions were recorded already, so nothing was written.
    pub already: bool,
}

impl Committed {
    /// The metrics for `commitInfo`: Delta's names where it has them, and text values, as other writers have.
    fn metrics(&self) -> serde_json::Value {
        json!({
            "numTargetRowsInserted": self.inserted.to_string(),
            "numTargetRowsUpdated": self.updated.to_string(),
            "numTargetRowsDeleted": self.deleted.to_string(),
            "numTargetFilesAdded": self.files_added.to_string(),
            "numTargetFilesRemoved": self.files_removed.to_string(),
            "conflicts": self.conflicts.to_string(),
        })
    }
}

impl Table {
    /// Commits the writer's rows and the positions atomically, exactly once.
    ///
    /// Without rows only the positions are recorded. If every lane is already at or past
    /// its position, nothing is written; if only some are, it is an error.
    pub async fn commit(&mut self, writer: Writer, commit: Commit) -> Result<Committed, DeltaError> {
        // The positions before the rows, as of the beginning of the writer.
        let since = |(lane, _): (&Lane, i64)| {
            let app = app_id(&commit.app, lane);
            match &commit.begun {
                Some(begun) => (begun.get(lane), app),
                None => (self.transactions.get(&app).copied(), app),
            }
        };
        let since = commit.positions.iter().map(since).collect();
        if self.stale {
            self.refresh().await?;
        }
        crash::pass(Point::Write);
        let Writer { mode, began_with, schema, target, body, rows, .. } = writer;
        let name = self.options.name.clone();
        let task = |source| DeltaError::Task { action: "finish the data files", table: name.clone(), source };
        let (finished, rest) = tokio::task::spawn_blocking(move || body.finish()).await.map_err(task)?;
        let own = finished?;
        crash::pass(Point::Written);
        let paths = own.iter().map(|written| written.add.path.clone()).collect();
        let mut attempt = Attempt { commit, since, mode, began_with, schema, target, rest: Some(rest), rows, own };
        let outcome = self.attempt(&mut attempt).await;
        match &outcome {
            Ok(committed) if !committed.already => {}
            // Files of a commit that may have landed must not be removed.
            Err(DeltaError::Unknown { .. }) => {}
            _ => discard(&attempt.target.location, paths).await,
        }
        outcome
    }

    async fn attempt(&mut self, attempt: &mut Attempt) -> Result<Committed, DeltaError> {
        let name = self.options.name.clone();
        let id = new_id();
        for conflicts in 0..ATTEMPTS {
            if self.is_recorded(&attempt.commit)? {
                return Ok(already(self.state()?.version(), self.feeds()));
            }
            self.is_alone(attempt)?;
            let version = self.state()?.version() + 1;
            if self.held.is_some_and(|held| held + 1 != version) {
                return Err(DeltaError::Conflict { table: name, attempts: 1 });
            }
            let schema = self.schema_after(attempt)?;
            let change = self.change(attempt, &schema).await?;
            let extra = change.written.iter().chain(&change.feed).map(|written| written.add.path.clone());
            let extra: Vec<String> = extra.chain(change.vectors.clone()).collect();
            let counts = change.counts;
            let committed = Committed {
                version,
                rows: attempt.rows,
                inserted: counts.inserted,
                updated: counts.updated,
                deleted: counts.deleted,
                unchanged: counts.unchanged,
                files_added: attempt.own.len() + change.written.len(),
                files_removed: change.removed.len() - change.marked.len(),
                bytes_added: attempt.own.iter().chain(&change.written).map(|w| w.add.size.unsigned_abs()).sum(),
                conflicts,
                changes: self.changes_of(attempt, &change, &schema)?,
                already: false,
            };
            let failure = match self.put(attempt, &change, &committed, &schema, &id).await {
                Ok(()) => {
                    crash::pass(Point::Committed);
                    self.landed(&attempt.commit, version).await;
                    return Ok(committed);
                }
                Err(failure) => failure,
            };
            // Even a failed commit may have landed; only the log tells.
            if let Err(source) = self.refresh().await {
                return Err(DeltaError::Unknown { table: name, version, source: Box::new(source) });
            }
            match self.is_ours(version, &id).await {
                Ok(true) => {
                    self.landed(&attempt.commit, version).await;
                    return Ok(committed);
                }
                Ok(false) => {
                    crash::pass(Point::Conflict);
                    discard(&attempt.target.location, extra).await;
                }
                Err(source) => {
                    return Err(DeltaError::Unknown { table: name, version, source: Box::new(source) });
                }
            }
            if let EntryError::Failed(error) = failure {
                return if self.is_recorded(&attempt.commit)? {
                    Ok(already(self.state()?.version(), self.feeds()))
                } else {
                    Err(error)
                };
            }
        }
        Err(DeltaError::Conflict { table: name, attempts: ATTEMPTS })
    }

    /// Whether all lanes of the commit are at or past their positions. For a commit of the whole, whether any lane is
    /// past, because the table was then made of newer rows.
    fn is_recorded(&self, commit: &Commit) -> Result<bool, DeltaError> {
        if commit.whole {
            let recorded = |lane| self.transactions.get(&app_id(&commit.app, lane));
            return Ok(commit.positions.iter().any(|(lane, position)| recorded(lane) > Some(&position)));
        }
        let (mut recorded, mut missing) = (None, None);
        for (lane, position) in commit.positions.iter() {
            match self.transactions.get(&app_id(&commit.app, lane)) {
                Some(at) if *at >= position => recorded = recorded.or(Some((lane, *at))),
                _ => missing = missing.or(Some(lane)),
            }
        }
        match (recorded, missing) {
            (Some((recorded, at)), Some(missing)) => Err(DeltaError::MixedPositions {
                table: self.options.name.clone(),
                app: commit.app.clone(),
                recorded: recorded.to_string(),
                at,
                missing: missing.to_string(),
            }),
            (recorded, _) => Ok(recorded.is_some()),
        }
    }

    /// Checks that no other run of the hop has advanced its lanes since the rows were read. Such a run has committed
    /// some of them, and no position tells which.
    fn is_alone(&self, attempt: &Attempt) -> Result<(), DeltaError> {
        let moved = attempt.since.iter().find(|(before, app)| self.transactions.get(app) != before.as_ref());
        match moved.filter(|_| !attempt.commit.whole) {
            None => Ok(()),
            Some((_, app)) => Err(DeltaError::Overtaken { table: self.options.name.clone(), lane: app.clone() }),
        }
    }

    /// The table's schema with the columns that the rows add to it.
    fn schema_after(&self, attempt: &Attempt) -> Result<SchemaRef, DeltaError> {
        let now = self.known_schema()?;
        if *now == attempt.began_with {
            return Ok(attempt.schema.clone());
        }
        let moved = || DeltaError::SchemaMoved { table: self.options.name.clone() };
        if attempt.mode == WriteMode::Overwrite {
            return Err(moved());
        }
        // Another writer changed the schema. That is fine as long as no column has two types.
        let mut fields: Vec<_> = now.fields().iter().cloned().collect();
        for field in attempt.schema.fields() {
            match find(now, field.name()) {
                None => fields.push(Arc::clone(field)),
                Some(index) if now.field(index).data_type() == field.data_type() => {}
                Some(_) => return Err(moved()),
            }
        }
        let required =
            |field: &&Arc<arrow_schema::Field>| !field.is_nullable() && find(&attempt.schema, field.name()).is_none();
        if fields.iter().any(|field| required(&field)) {
            return Err(moved());
        }
        Ok(Arc::new(arrow_schema::Schema::new(fields)))
    }

    /// Computes the changes to the present files of the table.
    async fn change(&self, attempt: &mut Attempt, schema: &SchemaRef) -> Result<Change, DeltaError> {
        let written: u64 = attempt.own.iter().filter_map(|written| DataRef::of(&written.add).rows()).sum();
        let own = Counts { inserted: written, ..Counts::default() };
        match &attempt.mode {
            WriteMode::Append => return Ok(Change { counts: own, ..Change::default() }),
            WriteMode::Overwrite => {
                let removed = self.files()?;
                let deleted = removed.iter().filter_map(DataRef::rows).sum();
                return Ok(Change { removed, counts: Counts { deleted, ..own }, ..Change::default() });
            }
            WriteMode::Upsert { .. } | WriteMode::Accumulate { .. } | WriteMode::Replace { .. } => {}
        }
        let nothing = match &attempt.rest {
            Some(Match::Groups(groups)) => groups.len() == 0,
            Some(Match::Rows(_)) => attempt.rows == 0,
            Some(Match::Nothing) | None => true,
        };
        let Some(rest) = attempt.rest.take_if(|_| !nothing) else {
            return Ok(Change::default());
        };
        let (context, files, schema, target) =
            (self.context()?, self.file_set()?, schema.clone(), attempt.target.clone());
        let marks = self.options.layout.deletion_vectors;
        let (feeds, memory, files_of_rows) = (self.feeds(), self.options.layout.memory, attempt.own.clone());
        let task = |source| DeltaError::Task { action: "rewrite data files", table: self.options.name.clone(), source };
        let (change, rest) = tokio::task::spawn_blocking(move || {
            let runtime = Handle::current();
            let rewrite = Rewrite {
                context: &context,
                files,
                schema: &schema,
                runtime: &runtime,
                target: &target,
                feeds,
                memory,
                marks,
            };
            let change = match &rest {
                Match::Rows(source) => rewrite.merge(source),
                Match::Groups(groups) => rewrite.remove(groups, &files_of_rows),
                Match::Nothing => Ok(Change::default()),
            };
            (change, rest)
        })
        .await
        .map_err(task)?;
        attempt.rest = Some(rest);
        let mut change = change?;
        change.counts.inserted += own.inserted;
        Ok(change)
    }

    /// The rows that a commit changes, as followers of the table will read them.
    fn changes_of(&self, attempt: &Attempt, change: &Change, schema: &SchemaRef) -> Result<Changes, DeltaError> {
        if !self.feeds() {
            return Ok(Changes::None);
        }
        let (files, word): (Vec<&Written>, _) = if !change.feed.is_empty() {
            (change.feed.iter().collect(), None)
        } else if change.removed.is_empty() {
            (attempt.own.iter().chain(&change.written).collect(), Some(row_changes::INSERT))
        } else {
            return Ok(Changes::Stored);
        };
        let kept = kept_changes(&files, &attempt.target.partition_by, schema, word, &self.options.name)?;
        Ok(kept.map_or(Changes::Stored, Changes::InMemory))
    }

    async fn put(
        &self,
        attempt: &Attempt,
        change: &Change,
        committed: &Committed,
        schema: &SchemaRef,
        id: &str,
    ) -> Result<(), EntryError> {
        let (state, version) = (self.state()?, committed.version);
        let mut actions = Vec::new();
        actions.extend(self.described(schema)?);
        let now = Utc::now().timestamp_millis();
        actions.extend(change.removed.iter().map(|file| Action::Remove(removal(file, now))));
        let written: Vec<&Written> = attempt.own.iter().chain(&change.written).collect();
        actions.extend(written.iter().map(|written| Action::Add(written.add.clone())));
        actions.extend(change.marked.iter().map(|add| Action::Add(add.clone())));
        actions.extend(change.feed.iter().map(|written| {
            Action::Cdc(AddCDCFile {
                path: written.add.path.clone(),
                size: written.add.size,
                partition_values: written.add.partition_values.clone(),
                data_change: false,
                tags: None,
            })
        }));
        if !change.removed.is_empty() && protocol::is_append_only(state) {
            let feature = "appendOnly, so its rows cannot be replaced".to_owned();
            return Err(DeltaError::Feature { table: self.options.name.clone(), feature }.into());
        }
        let operation = attempt.operation();
        let transactions = attempt
            .commit
            .positions
            .iter()
            .map(|(lane, position)| {
                Transaction::new_with_last_update(app_id(&attempt.commit.app, lane), position, Some(now))
            })
            .collect();
        let mut info = attempt.commit.provenance.clone().into_info(id, &attempt.commit.positions);
        info.insert("readVersion".to_owned(), json!(version - 1));
        info.insert("operationMetrics".to_owned(), committed.metrics());
        info.insert("isBlindAppend".to_owned(), json!(attempt.mode == WriteMode::Append));
        write_entry(&self.location, version, actions, operation, info, transactions).await
    }

    /// Metadata and protocol actions: columns that the rows add, and features that the plan asks for.
    fn described(&self, schema: &SchemaRef) -> Result<Vec<Action>, DeltaError> {
        let (state, name) = (self.state()?, &self.options.name);
        let failed = || DeltaError::delta("describe", name);
        let mut actions = Vec::new();
        let missing: Vec<&str> = self.wanted_settings().filter(|setting| !protocol::is_on(state, setting)).collect();
        let changes = missing.contains(&protocol::CHANGES);
        let vectors = missing.contains(&protocol::VECTORS);
        if let Some(raised) = protocol::raised(state.protocol(), changes, vectors).map_err(|e| failed()(e.into()))? {
            let raised = serde_json::from_value(raised).map_err(|error| failed()(error.into()))?;
            actions.push(Action::Protocol(raised));
        }
        let evolves = self.known_schema()? != schema;
        if evolves || !missing.is_empty() {
            let mut metadata = protocol::with_settings(name, state.metadata().clone(), &missing)?;
            if evolves {
                let delta_schema = self.evolved(schema)?;
                metadata = metadata.with_schema(&delta_schema).map_err(|error| failed()(error.into()))?;
            }
            actions.push(Action::Metadata(metadata));
        }
        Ok(actions)
    }

    /// The Delta schema for `schema`, with the metadata of the table's own schema.
    fn evolved(&self, schema: &SchemaRef) -> Result<StructType, DeltaError> {
        let name = &self.options.name;
        let (before, wanted) = (self.state()?.schema(), to_delta(name, schema)?);
        let known = from_delta(name, &before)?;
        let fields = wanted.fields().map(|field| {
            let same = known.field_with_name(field.name()).ok().map(|known| known.data_type())
                == schema.field_with_name(field.name()).ok().map(|wanted| wanted.data_type());
            match before.field(field.name()) {
                Some(own) if same => {
                    let mut own = own.clone();
                    let said = schema.field_with_name(field.name()).map(kept_metadata).unwrap_or_default();
                    own.metadata.extend(said.into_iter().map(|(key, value)| (key, value.into())));
                    own
                }
                _ => field.clone(),
            }
        });
        StructType::try_new(fields).map_err(|error| DeltaError::delta("describe", name)(error.into()))
    }

    /// Whether the entry of `version` is the one with this id.
    pub(super) async fn is_ours(&self, version: u64, id: &str) -> Result<bool, DeltaError> {
        let entry = log::read(self.store.as_ref(), &self.options.name, version).await?;
        let info = entry.and_then(|entry| entry.info);
        let found = info.as_ref().and_then(|info| info.info.get("sluicebox")?.get("commit")?.as_str());
        Ok(found == Some(id))
    }

    /// Updates the handle after our own commit. It has landed, so nothing here can fail it.
    async fn landed(&mut self, commit: &Commit, version: u64) {
        if self.version().is_none_or(|known| known < version)
            && let Err(error) = self.refresh().await
        {
            tracing::warn!(table = %self.options.name, version, %error, "committed, but the log could not be read again");
            for (lane, position) in commit.positions.iter() {
                self.transactions.insert(app_id(&commit.app, lane), position);
            }
            self.stale = true;
            return;
        }
        let interval = self.delta.state.as_ref().map(|state| state.table_config().checkpoint_interval);
        let due = interval.is_some_and(|interval| {
            version.is_multiple_of(interval.map_or(CHECKPOINT_INTERVAL, |interval| interval.get()))
        });
        if !due {
            return;
        }
        crash::pass(Point::Checkpoint);
        if let Err(error) = self.make_checkpoint().await {
            tracing::warn!(table = %self.options.name, version, %error, "committed, but the log has no new checkpoint");
        }
        crash::pass(Point::Checkpointed);
    }
}

/// The state of a commit over its attempts.
struct Attempt {
    commit: Commit,
    /// The positions of the commit's lanes before its rows.
    since: Vec<(Option<i64>, String)>,
    mode: WriteMode,
    began_with: SchemaRef,
    schema: SchemaRef,
    target: Target,
    /// `None` while files are rewritten on another thread.
    rest: Option<Match>,
    rows: u64,
    /// The files of the new rows.
    own: Vec<Written>,
}

impl Attempt {
    fn operation(&self) -> DeltaOperation {
        let partition_by = (!self.target.partition_by.is_empty()).then(|| self.target.partition_by.to_vec());
        let write = |mode| DeltaOperation::Write { mode, partition_by, predicate: None };
        match &self.mode {
            WriteMode::Append => write(SaveMode::Append),
            WriteMode::Overwrite | WriteMode::Replace { .. } => write(SaveMode::Overwrite),
            WriteMode::Upsert { key, .. } | WriteMode::Accumulate { key, .. } => {
                let equal: Vec<String> = key.iter().map(|key| format!("target.{key} <=> source.{key}")).collect();
                DeltaOperation::Merge {
                    predicate: None,
                    merge_predicate: Some(equal.join(" AND ")),
                    matched_predicates: Vec::new(),
                    not_matched_predicates: Vec::new(),
                    not_matched_by_source_predicates: Vec::new(),
                }
            }
        }
    }
}

fn already(version: u64, feeds: bool) -> Committed {
    Committed {
        version,
        rows: 0,
        inserted: 0,
        updated: 0,
        deleted: 0,
        unchanged: 0,
        files_added: 0,
        files_removed: 0,
        bytes_added: 0,
        conflicts: 0,
        changes: if feeds { Changes::Stored } else { Changes::None },
        already: true,
    }
}

fn app_id(app: &str, lane: &str) -> String {
    format!("{app}/{lane}")
}

pub(super) fn removal(file: &DataRef, now: i64) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change: true,
        deletion_timestamp: Some(now),
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition.clone()),
        size: i64::try_from(file.size).ok(),
        deletion_vector: file.vector.clone(),
        ..Remove::default()
    }
}
