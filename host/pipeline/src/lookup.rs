//! The lookup tables of a module, held in memory while it runs.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::TryStreamExt;

use super::fault::PipelineError;
use super::sink::lake_error;
use sluicebox_core::batch::{Lane, Positions};
use sluicebox_core::plan::{Plan, TableName};
use sluicebox_delta::Table;
use sluicebox_lake::Lake;

/// A lookup table as of the version read last.
struct Lookup {
    name: TableName,
    table: Table,
    schema: SchemaRef,
    rows: Vec<RecordBatch>,
    version: u64,
}

/// Every lookup table of one hop.
#[derive(Default)]
pub struct Lookups {
    tables: Vec<Lookup>,
    /// Bytes that all lookup tables may take in memory.
    memory: u64,
    rows_schema: Option<SchemaRef>,
}

impl Lookups {
    /// Reads the tables. They must fit the memory limit of the module's job, because the job holds them.
    pub async fn read(
        lake: &Lake,
        plan: &Plan,
        hop: &str,
        names: &[TableName],
        memory: u64,
    ) -> Result<Self, PipelineError> {
        let mut lookups = Self { tables: Vec::new(), memory, rows_schema: None };
        for name in names {
            let Some(spec) = plan.table(name) else { continue };
            let failed = lake_error(hop, format!("reading the lookup table {name} failed"));
            let table = lake.table(spec).await.map_err(failed)?;
            let lookup = lookups.read_one(hop, name, table).await?;
            lookups.tables.push(lookup);
        }
        Ok(lookups)
    }

    /// Reads tables that have a new version again. Returns whether there was one.
    pub async fn refresh(&mut self, hop: &str) -> Result<bool, PipelineError> {
        let mut moved = false;
        for index in 0..self.tables.len() {
            let lookup = &mut self.tables[index];
            let failed = lake_error(hop, format!("reading the lookup table {} failed", lookup.name));
            lookup.table.refresh().await.map_err(failed)?;
            if lookup.table.version() == Some(lookup.version) {
                continue;
            }
            // The old rows are freed before the new ones are read.
            let Lookup { name, table, .. } = self.tables.remove(index);
            let lookup = self.read_one(hop, &name, table).await?;
            self.tables.insert(index, lookup);
            moved = true;
        }
        Ok(moved)
    }

    async fn read_one(&self, hop: &str, name: &TableName, table: Table) -> Result<Lookup, PipelineError> {
        let failed = || lake_error(hop, format!("reading the lookup table {name} failed"));
        let (Some(schema), Some(version)) = (table.schema(), table.version()) else {
            return Err(PipelineError::Ports {
                hop: hop.to_owned(),
                message: format!("the lookup table {name} does not exist yet"),
                hint: "the hop that writes it has not written anything".into(),
            });
        };
        let mut bytes: u64 = self.tables.iter().flat_map(|other| &other.rows).map(size).sum();
        let mut rows: Vec<RecordBatch> = Vec::new();
        let mut batches = table.scan(None).await.map_err(failed())?;
        while let Some(batch) = batches.try_next().await.map_err(failed())? {
            bytes += size(&batch);
            if bytes > self.memory {
                return Err(PipelineError::Ports {
                    hop: hop.to_owned(),
                    message: format!(
                        "the lookup table {name} is larger than the {} bytes that the job may use",
                        self.memory
                    ),
                    hint: "raise `limits.memory` of the hop, or make the lookup table smaller".into(),
                });
            }
            rows.push(batch);
        }
        drop(batches);
        Ok(Lookup { name: name.clone(), table, schema, rows, version })
    }

    /// Sets the columns of the rows to come, so that a job can be opened before the first row.
    pub fn with_rows_schema(mut self, schema: Option<SchemaRef>) -> Self {
        self.rows_schema = schema;
        self
    }

    /// The columns of the rows to come, if they are known.
    pub fn rows_schema(&self) -> Option<SchemaRef> {
        self.rows_schema.clone()
    }

    /// The columns of every table.
    pub fn schemas(&self) -> HashMap<TableName, SchemaRef> {
        self.tables.iter().map(|table| (table.name.clone(), table.schema.clone())).collect()
    }

    /// The rows of a table.
    pub fn rows<'a>(&'a self, name: &TableName) -> impl Iterator<Item = &'a RecordBatch> + use<'a> {
        let name = name.clone();
        self.tables.iter().filter(move |table| table.name == name).flat_map(|table| &table.rows)
    }

    /// The version of every table, by its name.
    pub fn versions(&self) -> Positions {
        self.tables.iter().map(|table| (Lane::from(table.name.to_string()), table.version as i64)).collect()
    }
}

fn size(rows: &RecordBatch) -> u64 {
    rows.get_array_memory_size() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int64Array;

    use super::*;
    use sluicebox_core::plan::{Layer, TableSpec, WriteMode};
    use sluicebox_delta::{Commit, Provenance};

    async fn add(table: &mut Table, values: Vec<i64>, position: i64) {
        let rows = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(values)) as _)]).expect("one column");
        table.create(&rows.schema(), Provenance::default()).await.expect("a table");
        let mut writer = table.begin().await.expect("a writer");
        writer.write(&rows).expect("rows");
        let positions = Positions::of("f".into(), position);
        table.commit(writer, Commit { app: "p/h".into(), positions, ..Commit::default() }).await.expect("a commit");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_table_that_moved_is_read_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lake = Lake::open(folder.path().to_str().expect("a path in UTF-8")).expect("a lake");
        let name = TableName { layer: Layer::Silver, name: "countries".into() };
        let spec = TableSpec::new(name.clone(), WriteMode::Append);
        let mut table = lake.table(&spec).await.expect("a table");
        add(&mut table, vec![1, 2], 1).await;
        let plan = Plan {
            name: "p".into(),
            config_hash: String::new(),
            text: String::new(),
            system: sluicebox_core::columns::SystemNames::default(),
            sources: Vec::new(),
            tables: vec![spec],
            hops: Vec::new(),
        };
        let names = std::slice::from_ref(&name);
        let mut lookups = Lookups::read(&lake, &plan, "h", names, 1 << 20).await.expect("small");
        assert!(!lookups.refresh("h").await.expect("nothing to read"));
        let before = lookups.versions();
        add(&mut table, vec![3], 2).await;
        assert!(lookups.refresh("h").await.expect("small"));
        assert_ne!(lookups.versions(), before);
        assert_eq!(lookups.rows(&name).map(RecordBatch::num_rows).sum::<usize>(), 3);
        assert!(!lookups.refresh("h").await.expect("nothing to read"));
        lookups.memory = 8;
        add(&mut table, vec![4; 1_000], 3).await;
        let error = lookups.refresh("h").await.expect_err("the bound holds when a table grows too");
        assert!(error.to_string().contains("larger than"), "{error}");
    }
}
