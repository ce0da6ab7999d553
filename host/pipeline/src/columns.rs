//! Checks the columns that the rules of tables name against the columns of their rows.

use arrow_schema::{DataType, SchemaRef, TimeUnit};

use super::fault::PipelineError;
use super::module::HopModule;
use super::schedule;
use sluicebox_core::columns::{SystemColumn, same_column};
use sluicebox_core::plan::{HopSpec, Plan, TableName, TableSpec, Upstream, WriteMode};
use sluicebox_core::types::Named;

/// Columns that the rules of a table name, and that neither its rows nor the table have.
pub(super) fn missing(spec: &TableSpec, rows: &SchemaRef, existing: Option<&SchemaRef>) -> Vec<PipelineError> {
    let mut named = spec.mode.columns();
    named.extend(spec.partition_by.iter().map(|column| ("partition_by", column.as_str())));
    if let WriteMode::Upsert { delete_when: Some(rule), .. } = &spec.mode {
        named.push(("delete_when", &rule.column));
    }
    named.extend(spec.layout.sort_by.iter().map(|column| ("sort_by", column.as_str())));
    named.extend(spec.upkeep.z_order.iter().map(|column| ("z_order", column.as_str())));
    let derived = |column: &str| spec.derive.iter().any(|each| same_column(&each.column, column));
    let absent =
        |column: &str| !has(rows, column) && !derived(column) && !existing.is_some_and(|table| has(table, column));
    let brought = spec.derive.iter().filter(|each| has(rows, &each.column)).map(|each| PipelineError::Table {
        table: spec.name.to_string(),
        message: format!("`derive` of {} makes `{}`, which its rows have already", spec.name, each.column),
        hint: "give the derived column another name, or leave it out of `derive`".into(),
    });
    named
        .into_iter()
        .filter(|(_, column)| absent(column))
        .map(|(rule, column)| problem(spec, rule, column, rows))
        .chain(brought)
        .collect()
}

fn problem(spec: &TableSpec, rule: &str, column: &str, rows: &SchemaRef) -> PipelineError {
    PipelineError::Table {
        table: spec.name.to_string(),
        message: format!("`{rule}` of {} names `{column}`, which its rows do not have", spec.name),
        hint: format!("its columns: {}", names(rows)),
    }
}

/// Upstream columns that the groups of a hop's tables are computed from, and that the upstream does not have. Where
/// `by` names no upstream column, the module may make the group columns itself.
pub(super) fn missing_groups(
    plan: &Plan,
    hop: &HopSpec,
    schema: impl Fn(&TableName) -> Option<SchemaRef>,
) -> Vec<PipelineError> {
    let Upstream::Table(upstream) = &hop.from else { return Vec::new() };
    let Some(rows) = schema(upstream) else { return Vec::new() };
    let tables = hop.to.iter().filter_map(|(_, table)| plan.table(table));
    let groups = tables.flat_map(|spec| spec.mode.key().iter().zip(&spec.groups_from).map(move |pair| (spec, pair)));
    let absent = groups.filter(|(_, (by, from))| by != from && !has(&rows, from));
    absent
        .map(|(spec, (by, from))| PipelineError::Table {
            table: spec.name.to_string(),
            message: format!("`by` of {} makes `{by}` from `{from}`, which {upstream} does not have", spec.name),
            hint: format!("the columns of {upstream}: {}", names(&rows)),
        })
        .collect()
}

/// Outputs of a module that drop `_weight`, so that deletions would be lost.
pub(super) fn check_weights(
    plan: &Plan,
    hop: &HopSpec,
    module: &HopModule,
    outputs: &[(TableName, SchemaRef)],
) -> Result<(), PipelineError> {
    let keyed = |table: &TableName| plan.table(table).is_some_and(|spec| spec.mode != WriteMode::Append);
    let Some((table, _)) =
        outputs.iter().find(|(table, rows)| keyed(table) && SystemColumn::Weight.find(rows).is_none())
    else {
        return Ok(());
    };
    let Upstream::Table(upstream) = &hop.from else { return Ok(()) };
    Err(PipelineError::Ports {
        hop: hop.name.clone(),
        message: format!(
            "the rows that the module `{}` makes for {table} have no `{}`, and rows of {upstream} can be taken away again",
            module.descriptor.name,
            plan.system.name(SystemColumn::Weight)
        ),
        hint: format!(
            "add the column to the output: `weight()` among its columns, and `rows.weights()` for its values, in the SDK; a pass-through output has it unless it drops it; or make {table} a `replace` or `overwrite` table"
        ),
    })
}

/// Reports an event time column that the upstream does not have, or an `event_time` that no module uses.
pub(super) fn check_event_time(
    plan: &Plan,
    hop: &HopSpec,
    module: &HopModule,
    rows: &SchemaRef,
) -> Result<(), PipelineError> {
    let Some(event_time) = &hop.event_time else { return Ok(()) };
    let wrong = |message: String, hint: String| Err(PipelineError::Ports { hop: hop.name.clone(), message, hint });
    let column = &event_time.column;
    match rows.field_with_name(column).map(|field| field.data_type()) {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, _)) => {}
        Ok(other) => {
            return wrong(
                format!("`event_time` names the column `{column}`, which is {} and not an instant", Named(other)),
                "declare it as `timestamp` where it is read, or make it one in a hop before".into(),
            );
        }
        Err(_) => {
            return wrong(
                format!("`event_time` names the column `{column}`, which its upstream does not have"),
                format!("its columns: {}", names(rows)),
            );
        }
    }
    if !module.descriptor.stateful || schedule::taking(plan, hop).is_whole() {
        return wrong(
            "`event_time` has no use here".into(),
            "only a module that remembers rows from commit to commit asks how far time has come; remove the key".into(),
        );
    }
    Ok(())
}

fn has(schema: &SchemaRef, column: &str) -> bool {
    schema.fields().iter().any(|field| same_column(field.name(), column))
}

fn names(schema: &SchemaRef) -> String {
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
}
