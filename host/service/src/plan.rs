//! What a run would create and read, and what its modules may use.

use arrow_schema::DataType;

use crate::session::Session;
use sluicebox_core::plan::{HopSpec, Limits, TableName, Upstream, WriteMode};
use sluicebox_pipeline::module::HopModule;

/// What a run of a pipeline would do.
#[derive(Clone, Debug)]
pub struct PlanReport {
    /// The pipeline.
    pub pipeline: String,
    /// The lake's location as requested.
    pub location: String,
    /// Every hop, in the order of the plan.
    pub hops: Vec<HopPlan>,
}

/// What one hop would do.
#[derive(Clone, Debug)]
pub struct HopPlan {
    /// Its name.
    pub hop: String,
    /// Its upstream.
    pub from: Upstream,
    /// Its module, if any.
    pub module: Option<ModulePlan>,
    /// Its lookup tables, by port.
    pub lookups: Vec<(String, TableName)>,
    /// The tables that it writes.
    pub tables: Vec<TablePlan>,
}

/// A module, its promises and its limits.
#[derive(Clone, Debug)]
pub struct ModulePlan {
    /// Its name in its descriptor.
    pub name: String,
    /// Its version in its descriptor.
    pub version: String,
    /// SHA-256 of the component, as lower-case hex.
    pub digest: String,
    /// The same rows always give the same rows.
    pub deterministic: bool,
    /// Every row that goes in comes out or is rejected.
    pub row_preserving: bool,
    /// It keeps state between pushes.
    pub stateful: bool,
    /// Its limits.
    pub limits: Limits,
}

/// A table that a hop writes.
#[derive(Clone, Debug)]
pub struct TablePlan {
    /// The table.
    pub table: TableName,
    /// How it is written.
    pub mode: Option<WriteMode>,
    /// Whether it exists.
    pub exists: bool,
    /// The columns that it will have; it may get more.
    pub columns: Vec<ColumnPlan>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct ColumnPlan {
    /// Its name.
    pub name: String,
    /// Its type, as the table stores it.
    pub data_type: DataType,
    /// Whether the run would add it; true of every column of a new table.
    pub added: bool,
}

/// What a run would do.
pub fn plan(session: &Session) -> PlanReport {
    let plan = &session.loaded.plan;
    PlanReport {
        pipeline: plan.name.clone(),
        location: session.location.clone(),
        hops: plan.hops.iter().map(|hop| hop_plan(session, hop)).collect(),
    }
}

fn hop_plan(session: &Session, hop: &HopSpec) -> HopPlan {
    let module = session.bound.modules.get(&hop.name).zip(hop.module.as_ref());
    HopPlan {
        hop: hop.name.clone(),
        from: hop.from.clone(),
        module: module.map(|(module, spec)| module_plan(module, &spec.limits)),
        lookups: hop.lookups.clone(),
        tables: hop.to.iter().map(|(_, table)| table_plan(session, table)).collect(),
    }
}

fn module_plan(module: &HopModule, limits: &Limits) -> ModulePlan {
    let descriptor = &module.descriptor;
    ModulePlan {
        name: descriptor.name.clone(),
        version: descriptor.version.clone(),
        digest: module.module.digest().to_owned(),
        deterministic: descriptor.deterministic,
        row_preserving: descriptor.row_preserving,
        stateful: descriptor.stateful,
        limits: limits.clone(),
    }
}

fn table_plan(session: &Session, table: &TableName) -> TablePlan {
    let existing = session.bound.existing.get(table);
    let fields = session.bound.schemas.get(table).map(|schema| schema.fields().clone()).unwrap_or_default();
    let columns = fields.iter().map(|field| ColumnPlan {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        added: existing.is_none_or(|schema| schema.field_with_name(field.name()).is_err()),
    });
    TablePlan {
        table: table.clone(),
        mode: session.loaded.plan.table(table).map(|spec| spec.mode.clone()),
        exists: existing.is_some(),
        columns: columns.collect(),
    }
}
