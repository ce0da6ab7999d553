//! Maintenance of tables: compaction, vacuum and log cleanup.

use std::collections::VecDeque;

use crate::table::{TableError, TableRef, tables};
use sluicebox_core::plan::{Plan, TableSpec, Upkeep, WriteMode};
use sluicebox_delta::{Maintained, Maintenance, Table};
use sluicebox_lake::{Lake, LakeError};
use sluicebox_pipeline::maintenance;

/// The number of small files of a partition from which they are compacted.
const LEAST_FILES: u64 = 2;

/// What to maintain.
#[derive(Clone, Copy, Debug)]
pub struct MaintainRequest<'a> {
    /// The lake.
    pub lake: &'a Lake,
    /// The lake's location as requested.
    pub location: &'a str,
    /// The pipeline with the maintenance settings, whose tables are maintained. Without it, every table of the lake,
    /// with the defaults.
    pub plan: Option<&'a Plan>,
    /// Only these tables, such as `silver.orders`; all if it is empty.
    pub tables: &'a [String],
    /// Report what would be done, and change nothing.
    pub dry_run: bool,
}

/// The tables that remain to be maintained.
pub struct Maintaining<'a> {
    request: MaintainRequest<'a>,
    left: VecDeque<(TableRef, Result<Task, LakeError>)>,
}

/// A table and its maintenance settings.
struct Task {
    table: Table,
    upkeep: Upkeep,
    /// The hops of the pipeline that read it.
    readers: Vec<String>,
}

/// Opens the tables to maintain.
///
/// # Errors
/// The lake cannot be listed or has no tables, or a named table does not exist.
pub async fn maintain(request: MaintainRequest<'_>) -> Result<Maintaining<'_>, TableError> {
    let (mut opened, mut unreadable) = (Vec::new(), Vec::new());
    for table in tables(request.lake).await? {
        let Some((upkeep, readers, spec)) = due(request.plan, &table) else { continue };
        let open = match &spec {
            Some(spec) => request.lake.table(spec).await,
            None => table.open(request.lake).await,
        };
        match open {
            Ok(open) => opened.push((table, Ok(Task { table: open, upkeep, readers }))),
            Err(error) => unreadable.push((table, Err(error))),
        }
    }
    if opened.is_empty() && unreadable.is_empty() {
        return Err(TableError::NoTables { lake: request.location.to_owned() });
    }
    let known: Vec<String> = opened.iter().chain(&unreadable).map(|(table, _)| table.to_string()).collect();
    if let Some(unknown) = request.tables.iter().find(|table| !known.contains(table)) {
        return Err(TableError::Unknown { table: unknown.clone(), lake: request.location.to_owned(), known });
    }
    let wanted = |table: &TableRef| request.tables.is_empty() || request.tables.contains(&table.to_string());
    let left = unreadable.into_iter().chain(opened).filter(|(table, _)| wanted(table)).collect();
    Ok(Maintaining { request, left })
}

/// When what is due to a table, which hops read it, and how the pipeline opens it, where there is one; nothing for a
/// table of another pipeline.
fn due(plan: Option<&Plan>, table: &TableRef) -> Option<(Upkeep, Vec<String>, Option<TableSpec>)> {
    match (table, plan) {
        (TableRef::Quarantine(hop), plan) => plan
            .is_none_or(|plan| plan.hops.iter().any(|each| each.name == *hop))
            .then(|| (Upkeep::default(), Vec::new(), None)),
        (TableRef::Layer(name), None) => {
            Some((TableSpec::new(name.clone(), WriteMode::Append).upkeep, Vec::new(), None))
        }
        (TableRef::Layer(name), Some(plan)) => {
            // A table that is only read belongs to another pipeline.
            let written = plan.hops.iter().any(|hop| hop.to.iter().any(|(_, to)| to == name));
            let spec = plan.table(name).filter(|_| written)?;
            Some((spec.upkeep.clone(), maintenance::readers(plan, spec), Some(spec.clone())))
        }
    }
}

impl Maintaining<'_> {
    /// Maintains the next table. A failure does not stop the others. Tables that cannot be opened come first.
    pub async fn next(&mut self) -> Option<(TableRef, Result<Maintained, LakeError>)> {
        let (table, task) = self.left.pop_front()?;
        let done = match task {
            Ok(task) => self.look_after(&table, task).await,
            Err(error) => Err(error),
        };
        Some((table, done))
    }

    async fn look_after(&self, name: &TableRef, mut task: Task) -> Result<Maintained, LakeError> {
        let followers = self.request.lake.followers(&name.to_string(), &task.readers).await?;
        let due = maintenance::task(&task.upkeep, LEAST_FILES, true, followers);
        Ok(task.table.maintain(&Maintenance { dry_run: self.request.dry_run, ..due }).await?)
    }
}
