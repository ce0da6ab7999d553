//! Putting small files of a partition together.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use chrono::Utc;
use deltalake::kernel::Action;
use deltalake::protocol::DeltaOperation;
use futures::TryStreamExt;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use super::{Maintained, Maintenance};
use crate::commit::removal;
use crate::data_file::{Target, Written};
use crate::entry::{EntryError, write_entry};
use crate::error::DeltaError;
use crate::log;
use crate::partitioned_writer::PartitionedWriter;
use crate::read::{DataRef, ReadContext, open};
use crate::schema::find;
use crate::sort::Order;
use crate::table::Table;
use sluicebox_core::columns::same_column;
use sluicebox_core::crash::{self, Point};
use sluicebox_stores::discard;
use sluicebox_stores::new_id;

/// A file below this part of the wanted size is small.
const SMALL: u64 = 2;
/// Where a file says by which columns its rows lie along a curve.
const CURVE_TAG: &str = "sluicebox.zOrder";
/// How often a commit is put again that only lost its version, not its files.
const ATTEMPTS: usize = 20;

/// Files of one partition that became fewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// The partition, as its folder is named; empty without partitions.
    pub partition: String,
    /// How many they were.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How many they are now; 0 in a dry run.
    pub into_files: usize,
    /// Their bytes now; 0 in a dry run.
    pub into_bytes: u64,
}

/// Files that lie beside each other in a partition and are to be one.
struct Bin {
    partition: String,
    files: Vec<DataRef>,
}

impl Table {
    pub(super) async fn compact(&mut self, task: &Maintenance, done: &mut Maintained) -> Result<(), DeltaError> {
        // One bin at a time is read, written and committed, so that a bin that loses a race costs no other.
        for bin in self.bins(task)? {
            let mut compaction = Compaction {
                partition: bin.partition.clone(),
                files: bin.files.len(),
                bytes: bin.files.iter().map(|file| file.size).sum(),
                into_files: 0,
                into_bytes: 0,
            };
            if !task.dry_run {
                let written = self.rewrite(&bin, task).await?;
                compaction.into_files = written.len();
                compaction.into_bytes = written.iter().map(|each| each.add.size.unsigned_abs()).sum();
                match self.replace(&bin, written).await? {
                    Some(version) => done.version = Some(version),
                    None => {
                        done.lost = true;
                        return Ok(());
                    }
                }
            }
            done.compacted.push(compaction);
        }
        Ok(())
    }

    /// How many small files the partition has that has most of them.
    pub fn small_files(&self) -> Result<usize, DeltaError> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for file in self.files()? {
            if self.is_small(&file) {
                *counts.entry(self.partition_of(&file)).or_default() += 1;
            }
        }
        Ok(counts.into_values().max().unwrap_or(0))
    }

    fn is_small(&self, file: &DataRef) -> bool {
        file.size < self.options.layout.file_bytes / SMALL
    }

    fn partition_of(&self, file: &DataRef) -> String {
        // As the table has them: the plan may not be at hand.
        let columns = self.delta.state.as_ref().map(|state| state.metadata().partition_columns().to_vec());
        let columns = columns.unwrap_or_default();
        let values = columns.iter().map(|column| {
            let own = file.partition.iter().find(|(name, _)| same_column(name, column));
            (column.as_str(), own.and_then(|(_, value)| value.as_deref()))
        });
        crate::partition::folder(values)
    }

    fn bins(&self, task: &Maintenance) -> Result<Vec<Bin>, DeltaError> {
        let curve = curve_of(&task.upkeep.z_order);
        let mut partitions: BTreeMap<String, Vec<DataRef>> = BTreeMap::new();
        for file in self.files()? {
            partitions.entry(self.partition_of(&file)).or_default().push(file);
        }
        let tags = if curve.is_empty() { BTreeMap::new() } else { self.tags()? };
        let schema = self.known_schema()?;
        if let Some(column) = task.upkeep.z_order.iter().find(|column| find(schema, column).is_none()) {
            let (table, column) = (self.name().to_owned(), column.clone());
            return Err(DeltaError::NoSuchColumn { table, column, role: "z_order" });
        }
        let mut bins = Vec::new();
        for (partition, files) in partitions {
            let small = files.iter().filter(|file| self.is_small(file)).count();
            if !curve.is_empty() {
                // Along a curve rows have no old order to keep: whatever does not lie along it is taken.
                let along = |file: &DataRef| tags.get(&file.path) == Some(&curve);
                let astray = files.iter().filter(|file| !along(file)).count();
                // On command, a single file is reason enough.
                if astray >= task.least_files.saturating_sub(1).max(1) || small >= task.least_files.max(2) {
                    let files = files.into_iter().filter(|file| self.is_small(file) || !along(file)).collect();
                    bins.push(Bin { partition, files });
                }
                continue;
            }
            if small < task.least_files.max(2) {
                continue;
            }
            // Rows keep their order, so only neighbours come together.
            let mut run: Vec<DataRef> = Vec::new();
            for file in files {
                if self.is_small(&file) {
                    run.push(file);
                } else if run.len() > 1 {
                    bins.push(Bin { partition: partition.clone(), files: std::mem::take(&mut run) });
                } else {
                    run.clear();
                }
            }
            if run.len() > 1 {
                bins.push(Bin { partition, files: run });
            }
        }
        Ok(bins)
    }

    /// The curve of each file that says one, by its path.
    #[expect(deprecated, reason = "the state gives a file's tags in no other way than as part of its action")]
    fn tags(&self) -> Result<BTreeMap<String, String>, DeltaError> {
        let views = self.state()?.log_data();
        let tagged = views.iter().filter_map(|view| {
            let add = view.add_action();
            let curve = add.tags?.remove(CURVE_TAG)??;
            Some((add.path, curve))
        });
        Ok(tagged.collect())
    }

    /// The rows of a bin in new files.
    async fn rewrite(&self, bin: &Bin, task: &Maintenance) -> Result<Vec<Written>, DeltaError> {
        let (context, schema) = (self.context()?, self.known_schema()?.clone());
        let mut target = self.target(self.state()?.metadata().partition_columns().to_vec().into());
        if !task.upkeep.z_order.is_empty() {
            target.order = Arc::new(Order::Curve(task.upkeep.z_order.clone()));
        }
        let files = bin.files.clone();
        let name = self.name().to_owned();
        let pour = move || pour(&context, &schema, target, &files);
        let task_failed = |source| DeltaError::Task { action: "put files together", table: name, source };
        let mut written = tokio::task::spawn_blocking(pour).await.map_err(task_failed)??;
        // The place of the rows in the table stays theirs.
        let newest = bin.files.iter().map(|file| file.modified).max().unwrap_or_default();
        let curve = curve_of(&task.upkeep.z_order);
        for each in &mut written {
            each.add.data_change = false;
            each.add.modification_time = newest;
            if !curve.is_empty() {
                each.add.tags = Some([(CURVE_TAG.to_owned(), Some(curve.clone()))].into());
            }
        }
        Ok(written)
    }

    /// Commits that `written` stands for the files of a bin; `None` if one of those is gone.
    async fn replace(&mut self, bin: &Bin, written: Vec<Written>) -> Result<Option<u64>, DeltaError> {
        crash::pass(Point::Compacted);
        let paths: Vec<String> = written.iter().map(|written| written.add.path.clone()).collect();
        let name = self.name().to_owned();
        let id = new_id();
        let schema = self.known_schema()?.clone();
        for _ in 0..ATTEMPTS {
            let present = self.files()?;
            // A file whose rows were marked meanwhile is another file: its marked rows must not come back.
            let there = |file: &DataRef| {
                present
                    .iter()
                    .any(|other| other.path == file.path && other.size == file.size && other.vector == file.vector)
            };
            if *self.known_schema()? != schema || !bin.files.iter().all(there) {
                discard(&self.location, paths).await;
                return Ok(None);
            }
            let version = self.state()?.version() + 1;
            let failure = self.put_compaction(bin, &written, version, &id).await.err();
            if let Err(source) = self.refresh().await {
                return Err(DeltaError::Unknown { table: name, version, source: Box::new(source) });
            }
            let Some(failure) = failure else {
                return Ok(Some(version));
            };
            // Even a failed commit may have landed: only the log knows.
            match self.is_ours(version, &id).await {
                Ok(true) => return Ok(Some(version)),
                Ok(false) => {}
                Err(source) => return Err(DeltaError::Unknown { table: name, version, source: Box::new(source) }),
            }
            if let EntryError::Failed(error) = failure {
                discard(&self.location, paths).await;
                return Err(error);
            }
        }
        discard(&self.location, paths).await;
        Ok(None)
    }

    async fn put_compaction(&self, bin: &Bin, written: &[Written], version: u64, id: &str) -> Result<(), EntryError> {
        let now = Utc::now().timestamp_millis();
        let removed = bin.files.iter().map(|file| {
            let mut remove = removal(file, now);
            remove.data_change = false;
            Action::Remove(remove)
        });
        let added = written.iter().map(|written| Action::Add(written.add.clone()));
        let actions: Vec<Action> = removed.chain(added).collect();
        let target_size = i64::try_from(self.options.layout.file_bytes).unwrap_or(i64::MAX);
        let operation = DeltaOperation::Optimize { predicate: None, target_size };
        let mut info = self.maker_before(version - 1).await?;
        info.insert("commit".to_owned(), json!(id));
        info.insert("maintenance".to_owned(), json!("compact"));
        let info = [
            ("sluicebox".to_owned(), Value::Object(info)),
            ("readVersion".to_owned(), json!(version - 1)),
            ("isBlindAppend".to_owned(), json!(false)),
        ];
        write_entry(&self.location, version, actions, operation, info.into(), Vec::new()).await
    }

    /// What the version before says about its maker, who made these rows, too: whoever asks the last
    /// version whether the table is up to date gets the same answer as before.
    pub(super) async fn maker_before(&self, version: u64) -> Result<Map<String, Value>, DeltaError> {
        let entry = log::read(self.store.as_ref(), self.name(), version).await?;
        let mut info = entry.and_then(|entry| entry.info).map(|info| info.info).unwrap_or_default();
        let mut maker = match info.remove("sluicebox") {
            Some(Value::Object(maker)) => maker,
            _ => Map::new(),
        };
        for counted in ["rowsIn", "rowsOut", "rowsRejected"] {
            maker.insert(counted.to_owned(), json!(0));
        }
        Ok(maker)
    }
}

fn curve_of(columns: &[String]) -> String {
    columns.join(",")
}

/// Reads files one row group at a time and writes their rows; runs on a thread that may block.
fn pour(
    context: &ReadContext,
    schema: &SchemaRef,
    target: Target,
    files: &[DataRef],
) -> Result<Vec<Written>, DeltaError> {
    let runtime = Handle::current();
    let location = target.location.clone();
    let mut out = PartitionedWriter::new(target, schema)?;
    let mut read = || {
        for file in files {
            let mut batches = runtime.block_on(open(context, file, schema.clone()))?;
            while let Some(rows) = runtime.block_on(batches.try_next())? {
                out.write(&rows)?;
            }
        }
        Ok(())
    };
    match read() {
        Ok(()) => out.finish(),
        Err(error) => {
            let paths = out.complete_paths();
            drop(out);
            runtime.block_on(discard(&location, paths));
            Err(error)
        }
    }
}
