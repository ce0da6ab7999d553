//! The tables that a module looks rows up in, held for the time of a run.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::TryStreamExt;

use super::fault::PipelineError;
use super::sink::lake_error;
use crate::batch::{Lane, Positions};
use crate::lake::Lake;
use crate::plan::{Plan, TableName};

/// A lookup table as it stood when the hop started.
struct Lookup {
    name: TableName,
    schema: SchemaRef,
    rows: Vec<RecordBatch>,
    version: u64,
}

/// Every lookup table of one hop.
#[derive(Default)]
pub struct Lookups {
    tables: Vec<Lookup>,
    rows_schema: Option<SchemaRef>,
}

impl Lookups {
    /// Reads the tables. They must fit the memory that the module's job may use, since
    /// that is where they are going.
    pub async fn read(
        lake: &Lake,
        plan: &Plan,
        hop: &str,
        names: &[TableName],
        memory: u64,
    ) -> Result<Self, PipelineError> {
        let mut tables = Vec::new();
        let mut bytes = 0;
        for name in names {
            let failed = || lake_error(hop, format!("reading the lookup table {name} failed"));
            let Some(spec) = plan.table(name) else { continue };
            let table = lake.table(spec).await.map_err(failed())?;
            let (Some(schema), Some(version)) = (table.schema(), table.version()) else {
                return Err(PipelineError::Ports {
                    hop: hop.to_owned(),
                    message: format!("the lookup table {name} does not exist yet"),
                    hint: "the hop that writes it has not written anything".into(),
                });
            };
            let mut rows: Vec<RecordBatch> = Vec::new();
            let mut batches = std::pin::pin!(table.scan(None).await.map_err(failed())?);
            while let Some(batch) = batches.try_next().await.map_err(failed())? {
                bytes += batch.get_array_memory_size() as u64;
                if bytes > memory {
                    return Err(PipelineError::Ports {
                        hop: hop.to_owned(),
                        message: format!(
                            "the lookup table {name} is larger than the {memory} bytes that the job may use"
                        ),
                        hint: "raise `limits.memory` of the hop, or make the lookup table smaller".into(),
                    });
                }
                rows.push(batch);
            }
            tables.push(Lookup { name: name.clone(), schema, rows, version });
        }
        Ok(Self { tables, rows_schema: None })
    }

    /// Remembers the columns of the rows to come, so that a job can be opened before the first.
    pub fn with_rows_schema(mut self, schema: Option<SchemaRef>) -> Self {
        self.rows_schema = schema;
        self
    }

    /// The columns of the rows to come, where they are known before the first.
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
