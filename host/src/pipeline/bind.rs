//! What can be known before anything runs: every module loaded, every port bound,
//! the columns of every table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use tokio::runtime::Handle;

use super::fault::PipelineError;
use super::group;
use super::module::{HopModule, Loader};
use super::rows::ingested_at;
use super::sink::lake_error;
use crate::batch::column;
use crate::lake::Lake;
use crate::plan::{HopSpec, Plan, TableName, Upstream};
use crate::source;
use crate::transform::Sandbox;

/// A plan whose modules are loaded and whose tables' columns are known.
pub struct Bound {
    /// The module of each hop, by the hop's name.
    pub modules: HashMap<String, HopModule>,
    /// The columns that each written table will have at least.
    pub schemas: HashMap<TableName, SchemaRef>,
    /// The tables that the lake holds already, with their columns.
    pub existing: HashMap<TableName, SchemaRef>,
}

/// Loads and binds everything. All problems are found, not only the first.
pub fn bind(plan: &Plan, sandbox: &Arc<Sandbox>, lake: &Lake, runtime: &Handle) -> Result<Bound, Vec<PipelineError>> {
    let mut problems = Vec::new();
    let mut bound = Bound { modules: HashMap::new(), schemas: HashMap::new(), existing: HashMap::new() };
    for spec in &plan.tables {
        match runtime.block_on(lake.table(spec)) {
            Ok(table) => {
                if let Some(schema) = table.schema() {
                    bound.existing.insert(spec.name.clone(), schema);
                }
            }
            Err(error) => {
                problems.push(lake_error(&hop_of(plan, &spec.name), format!("opening {} failed", spec.name))(error))
            }
        }
    }
    let mut loader = Loader::new(sandbox);
    for hop in &plan.hops {
        if let Err(problem) = bind_hop(plan, hop, &mut loader, &mut bound, runtime) {
            problems.push(problem);
        }
    }
    problems.extend(plan.hops.iter().flat_map(|hop| missing_columns(plan, hop, &bound)));
    if problems.is_empty() { Ok(bound) } else { Err(problems) }
}

/// Columns that the rules of a hop's tables name and their rows will not have.
fn missing_columns(plan: &Plan, hop: &HopSpec, bound: &Bound) -> Vec<PipelineError> {
    let mut problems = Vec::new();
    for (_, name) in &hop.to {
        let (Some(spec), Some(schema)) = (plan.table(name), table_schema(bound, name)) else { continue };
        let named = spec.mode.columns().into_iter();
        let named = named.chain(spec.partition_by.iter().map(|column| ("partition_by", column.as_str())));
        for (rule, column) in
            named.filter(|(_, column)| !schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(column)))
        {
            let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            problems.push(PipelineError::Table {
                table: name.to_string(),
                message: format!("`{rule}` of {name} names `{column}`, which its rows do not have"),
                hint: format!("its columns: {}", columns.join(", ")),
            });
        }
    }
    problems
}

fn bind_hop(
    plan: &Plan,
    hop: &HopSpec,
    loader: &mut Loader,
    bound: &mut Bound,
    runtime: &Handle,
) -> Result<(), PipelineError> {
    let module = loader.load(hop)?;
    // A hop above that could not be bound has been reported; nothing more is known here.
    let Some(rows) = upstream_schema(plan, hop, bound, runtime)? else {
        return Ok(());
    };
    let Some(module) = module else {
        for (_, table) in &hop.to {
            bound.schemas.insert(table.clone(), rows.clone());
        }
        return Ok(());
    };
    // A state would have to be saved with every commit and given back after a crash; until
    // it is, only a module that sees its whole upstream in one run may keep one.
    if module.descriptor.stateful && !group::is_whole(plan, hop) {
        return Err(PipelineError::Ports {
            hop: hop.name.clone(),
            message: format!(
                "the module `{}` keeps state from batch to batch, and the hop commits in between",
                module.descriptor.name
            ),
            hint:
                "let the hop write tables of mode `overwrite` or `replace`, which take the whole upstream in one commit"
                    .into(),
        });
    }
    let lookups: HashMap<_, _> = hop
        .lookups
        .iter()
        .filter_map(|(_, table)| table_schema(bound, table).map(|schema| (table.clone(), schema)))
        .collect();
    if lookups.len() < hop.lookups.iter().map(|(_, table)| table).collect::<std::collections::HashSet<_>>().len() {
        return Ok(());
    }
    let binding = module.bind(&hop.name, &rows, &lookups)?;
    for (port, sink) in module.sinks.iter().enumerate() {
        if let Some(schema) = binding.output_schema(port) {
            bound.schemas.insert(hop.to[*sink].1.clone(), schema.clone());
        }
    }
    bound.modules.insert(hop.name.clone(), module);
    Ok(())
}

/// The columns of the rows that a hop takes in.
pub(super) fn upstream_schema(
    plan: &Plan,
    hop: &HopSpec,
    bound: &Bound,
    runtime: &Handle,
) -> Result<Option<SchemaRef>, PipelineError> {
    match &hop.from {
        Upstream::Table(table) => Ok(table_schema(bound, table)),
        Upstream::Source(name) => {
            let Some(spec) = plan.source(name) else { return Ok(None) };
            let known = hop.to.first().and_then(|(_, table)| bound.existing.get(table)).map(without_system_columns);
            let decoded = source::schema(spec, known, runtime).map_err(|error| PipelineError::Source {
                hop: hop.name.clone(),
                upstream: name.clone(),
                source: Box::new(error),
            })?;
            Ok(Some(landed(&decoded)))
        }
    }
}

/// A table's columns: those it has, and those that this plan would add.
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

/// The columns of a bronze table: what was decoded, and where it came from.
fn landed(decoded: &SchemaRef) -> SchemaRef {
    let mut fields = decoded.fields().to_vec();
    fields.push(Arc::new(Field::new(column::LANE, DataType::Utf8, true)));
    fields.push(Arc::new(Field::new(column::POSITION, DataType::Int64, true)));
    fields.push(Arc::new(ingested_at()));
    Arc::new(Schema::new(fields))
}

/// The columns of a bronze table that a source decodes.
pub fn without_system_columns(schema: &SchemaRef) -> SchemaRef {
    let system = [column::LANE, column::POSITION, column::INGESTED_AT, column::RESCUED, column::RAW];
    Arc::new(Schema::new(
        schema.fields().iter().filter(|field| !system.contains(&field.name().as_str())).cloned().collect::<Vec<_>>(),
    ))
}

fn hop_of(plan: &Plan, table: &TableName) -> String {
    plan.hops
        .iter()
        .find(|hop| hop.to.iter().any(|(_, to)| to == table))
        .map_or_else(|| table.to_string(), |hop| hop.name.clone())
}
