//! Binding a plan before it runs: loads every module, matches every port with its table, and works out the columns of
//! every table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use tokio::runtime::Handle;

use super::columns;
use super::fault::PipelineError;
use super::module::{HopModule, Loader};
use super::rows::{ingested_at, with_marks};
use super::schedule::{self, Taking};
use super::sink::lake_error;
use sluicebox_core::batch::column;
use sluicebox_core::plan::{Contract, HopSpec, Plan, TableName, TableSpec, Upstream};
use sluicebox_lake::Lake;
use sluicebox_sandbox::Sandbox;
use sluicebox_sources as source;

/// A plan whose modules are loaded and whose tables' columns are known.
pub struct Bound {
    /// The module of each hop, by the hop's name.
    pub modules: HashMap<String, HopModule>,
    /// The columns that each written table will have. A table may get more.
    pub schemas: HashMap<TableName, SchemaRef>,
    /// The tables that already exist in the lake, with their columns.
    pub existing: HashMap<TableName, SchemaRef>,
}

/// Loads and binds everything. Reports all problems, not only the first.
pub fn bind(plan: &Plan, sandbox: &Arc<Sandbox>, lake: &Lake, runtime: &Handle) -> Result<Bound, Vec<PipelineError>> {
    let mut problems = Vec::new();
    let mut bound = Bound { modules: HashMap::new(), schemas: HashMap::new(), existing: HashMap::new() };
    let mut tables = HashMap::new();
    for spec in &plan.tables {
        match runtime.block_on(lake.table(spec)) {
            Ok(table) => {
                if let Some(schema) = table.schema() {
                    bound.existing.insert(spec.name.clone(), schema);
                }
                tables.insert(spec.name.clone(), table);
            }
            Err(error) => {
                problems.push(lake_error(&hop_of(plan, &spec.name), format!("opening {} failed", spec.name))(error))
            }
        }
    }
    let mut loader = Loader::new(sandbox);
    for hop in &plan.hops {
        let rows = bind_hop(plan, hop, &mut loader, &mut bound, runtime);
        for (table, rows) in rows.unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        }) {
            let Some((spec, written)) = plan.table(&table).zip(tables.get(&table)) else { continue };
            let found = columns::missing(spec, &rows, bound.existing.get(&table));
            if found.is_empty() {
                match written.stored(&rows) {
                    Ok(stored) => {
                        bound.schemas.insert(table, stored);
                    }
                    Err(error) => {
                        problems.push(lake_error(&hop.name, format!("{table} cannot hold these rows"))(error))
                    }
                }
            }
            problems.extend(found);
        }
    }
    problems.extend(plan.hops.iter().flat_map(|hop| unfit_expectations(plan, hop, &bound)));
    problems.extend(
        plan.hops.iter().flat_map(|hop| columns::missing_groups(plan, hop, |table| table_schema(&bound, table))),
    );
    if problems.is_empty() { Ok(bound) } else { Err(problems) }
}

/// Expectations whose columns do not exist or whose values do not fit the columns' types.
fn unfit_expectations(plan: &Plan, hop: &HopSpec, bound: &Bound) -> Vec<PipelineError> {
    let mut problems = Vec::new();
    for (_, name) in &hop.to {
        let (Some(spec), Some(schema)) = (plan.table(name), table_schema(bound, name)) else { continue };
        // The table may store other types than the rows have. Rows are checked with the stored types.
        let Ok(schema) = sluicebox_delta::stored_schema(&name.to_string(), &schema) else { continue };
        problems.extend(sluicebox_delta::unfit_expectations(spec, &schema).into_iter().map(|unfit| {
            PipelineError::Expect {
                table: name.to_string(),
                key: format!("expect.{}.{}", unfit.entry, unfit.key),
                source: Box::new(unfit.error.into()),
            }
        }));
    }
    problems
}

/// Binds a hop. Returns the columns of the rows that each of its tables gets, or nothing where a problem upstream,
/// which is reported there, hides them.
fn bind_hop(
    plan: &Plan,
    hop: &HopSpec,
    loader: &mut Loader,
    bound: &mut Bound,
    runtime: &Handle,
) -> Result<Vec<(TableName, SchemaRef)>, PipelineError> {
    let module = loader.load(hop)?;
    let Some(rows) = upstream_schema(plan, hop, bound, runtime)? else {
        return Ok(Vec::new());
    };
    let Some(module) = module else {
        return Ok(hop.to.iter().map(|(_, table)| (table.clone(), rows.clone())).collect());
    };
    let lookups: HashMap<_, _> = hop
        .lookups
        .iter()
        .filter_map(|(_, table)| table_schema(bound, table).map(|schema| (table.clone(), schema)))
        .collect();
    if lookups.len() < hop.lookups.iter().map(|(_, table)| table).collect::<std::collections::HashSet<_>>().len() {
        return Ok(Vec::new());
    }
    let binding = module.bind(&hop.name, &rows, &lookups)?;
    let outputs =
        module.sinks.iter().enumerate().filter_map(|(port, sink)| {
            binding.output_schema(port).map(|schema| (hop.to[*sink].1.clone(), schema.clone()))
        });
    let outputs: Vec<_> = outputs.collect();
    if schedule::taking(plan, hop) == Taking::Changes {
        columns::check_weights(plan, hop, &module, &outputs)?;
    }
    columns::check_event_time(plan, hop, &module, &rows)?;
    bound.modules.insert(hop.name.clone(), module);
    Ok(outputs)
}

/// The columns of the rows that a hop reads.
pub(super) fn upstream_schema(
    plan: &Plan,
    hop: &HopSpec,
    bound: &Bound,
    runtime: &Handle,
) -> Result<Option<SchemaRef>, PipelineError> {
    match &hop.from {
        Upstream::Table(table) => Ok(table_schema(bound, table).map(|schema| match schedule::taking(plan, hop) {
            Taking::Changes => with_marks(&schema),
            _ => schema,
        })),
        Upstream::Source(name) => {
            let Some(spec) = plan.source(name) else { return Ok(None) };
            let known = hop
                .to
                .first()
                .and_then(|(_, table)| Some(decoded_columns(bound.existing.get(table)?, plan.table(table))));
            let decoded = source::schema(spec, known, runtime).map_err(|error| PipelineError::Source {
                hop: hop.name.clone(),
                upstream: name.clone(),
                source: Box::new(error),
            })?;
            Ok(Some(landed(&decoded)))
        }
    }
}

/// The columns of a table: its present ones and those that this plan adds.
fn table_schema(bound: &Bound, table: &TableName) -> Option<SchemaRef> {
    match (bound.existing.get(table), bound.schemas.get(table)) {
        (Some(existing), Some(planned)) => {
            let mut fields = existing.fields().to_vec();
            fields.extend(
                planned.fields().iter().filter(|field| existing.field_with_name(field.name()).is_err()).cloned(),
            );
            Some(Arc::new(Schema::new(fields)))
        }
        (existing, planned) => existing.or(planned).cloned(),
    }
}

/// The columns of a bronze table: the decoded ones and the system columns.
fn landed(decoded: &SchemaRef) -> SchemaRef {
    let mut fields = decoded.fields().to_vec();
    fields.push(Arc::new(Field::new(column::LANE, DataType::Utf8, true)));
    fields.push(Arc::new(Field::new(column::POSITION, DataType::Int64, true)));
    fields.push(Arc::new(ingested_at()));
    Arc::new(Schema::new(fields))
}

/// The columns of a bronze table that its source decodes: all except the system columns.
pub fn decoded_columns(schema: &SchemaRef, table: Option<&TableSpec>) -> SchemaRef {
    let system = [
        column::LANE,
        column::POSITION,
        column::INGESTED_AT,
        column::RESCUED,
        column::RAW,
        column::KEY,
        column::HEADERS,
        column::TIMESTAMP,
    ];
    let derived = table.map_or(&[][..], |table| &table.derive);
    let decoded = |name: &str| {
        !system.contains(&name) && !derived.iter().any(|derived| derived.column.eq_ignore_ascii_case(name))
    };
    Arc::new(Schema::new(schema.fields().iter().filter(|field| decoded(field.name())).cloned().collect::<Vec<_>>()))
}

/// The contract of the table that decoded rows are written to unchanged. `None` if a module is in between.
pub fn landing(plan: &Plan, hop: &HopSpec) -> Option<Contract> {
    let (_, table) = hop.to.first().filter(|_| hop.module.is_none())?;
    plan.table(table).map(|table| table.contract)
}

fn hop_of(plan: &Plan, table: &TableName) -> String {
    plan.hops
        .iter()
        .find(|hop| hop.to.iter().any(|(_, to)| to == table))
        .map_or_else(|| table.to_string(), |hop| hop.name.clone())
}
