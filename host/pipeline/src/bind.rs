//! Binding a plan before it runs: loads every module, matches every port with its table, and works out the columns of
//! every table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use tokio::runtime::Handle;

use super::columns;
use super::fault::PipelineError;
use super::landing::{Landing, decoded_columns, with_system_columns, without_system_columns};
use super::module::{HopModule, Loader};
use super::rows::{CHANGE_MARKS, with_marks};
use super::schedule::{self, Taking};
use super::sink::lake_error;
use sluicebox_core::columns::same_column;
use sluicebox_core::plan::{Contract, HopSpec, Plan, TableName, Upstream};
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
    /// What each hop's source decodes, by the hop's name: its data columns under the source's names.
    pub decoded: HashMap<String, SchemaRef>,
}

/// Loads and binds everything. Reports all problems, not only the first.
pub fn bind(plan: &Plan, sandbox: &Arc<Sandbox>, lake: &Lake, runtime: &Handle) -> Result<Bound, Vec<PipelineError>> {
    let mut problems = Vec::new();
    let mut bound =
        Bound { modules: HashMap::new(), schemas: HashMap::new(), existing: HashMap::new(), decoded: HashMap::new() };
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
    let Some(Incoming { rows, decoded }) = upstream_schema(plan, hop, bound, runtime)? else {
        return Ok(Vec::new());
    };
    if let Some(decoded) = decoded {
        bound.decoded.insert(hop.name.clone(), decoded);
    }
    check_change_marks(plan, hop, &rows)?;
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

/// What a hop takes in.
pub(super) struct Incoming {
    /// The columns of its rows.
    pub(super) rows: SchemaRef,
    /// Of a source the data columns that it decodes, under its own names.
    pub(super) decoded: Option<SchemaRef>,
}

/// The columns of the rows that a hop takes in; `None` where a problem further up hides them.
pub(super) fn upstream_schema(
    plan: &Plan,
    hop: &HopSpec,
    bound: &Bound,
    runtime: &Handle,
) -> Result<Option<Incoming>, PipelineError> {
    match &hop.from {
        Upstream::Table(table) => Ok(table_schema(bound, table).map(|schema| Incoming {
            rows: match schedule::taking(plan, hop) {
                Taking::Changes => with_marks(&schema, &plan.system),
                _ => schema,
            },
            decoded: None,
        })),
        Upstream::Source(name) => {
            let Some(spec) = plan.source(name) else { return Ok(None) };
            // The columns of a table behind a module are none of the source's business.
            let known = hop
                .to
                .first()
                .filter(|_| hop.module.is_none())
                .and_then(|(_, table)| Some(decoded_columns(bound.existing.get(table)?, plan.table(table))));
            let decoded = source::schema(spec, known, runtime).map_err(|error| PipelineError::Source {
                hop: hop.name.clone(),
                upstream: name.clone(),
                source: Box::new(error),
            })?;
            let rows = Landing::of(plan, hop).schema(&with_system_columns(&decoded, source::rescues(spec)))?;
            Ok(Some(Incoming { rows, decoded: Some(without_system_columns(&decoded)) }))
        }
    }
}

/// A table with columns of its own that are called what its changes call theirs.
fn check_change_marks(plan: &Plan, hop: &HopSpec, rows: &SchemaRef) -> Result<(), PipelineError> {
    let Upstream::Table(upstream) = &hop.from else { return Ok(()) };
    if schedule::taking(plan, hop) != Taking::Changes {
        return Ok(());
    }
    for name in CHANGE_MARKS.map(|mark| plan.system.name(mark)) {
        if rows.fields().iter().filter(|field| same_column(field.name(), &name)).count() > 1 {
            return Err(PipelineError::Ports {
                hop: hop.name.clone(),
                message: format!(
                    "{upstream} has a column `{name}` of its own, and its changes come with a column of that name"
                ),
                hint: "give the host's columns other names, with `system_prefix = \"_sluice_\"` in `[pipeline]`, or rename the column where it lands".into(),
            });
        }
    }
    Ok(())
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

/// The contract of the table that a hop's rows land in as they come; `None` where a module makes others of them.
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
