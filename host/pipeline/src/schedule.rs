//! The schedule of a plan: which hops run together, and in which order.
//!
//! A hop that can read its upstream's rows from memory runs together with the hop that writes them. Any other hop
//! waits until everything it reads is complete. A group is a hop with all hops that follow it in memory.

use sluicebox_core::plan::{HopSpec, OnDeletes, Plan, TableName, TableSpec, Upstream, WriteMode};

/// Hops that run at the same time, by their index in the plan.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// The first hop is the one that the others follow; each stands after its upstream.
    pub hops: Vec<usize>,
    /// Groups that must end before this one starts.
    pub needs: Vec<usize>,
}

/// Sorts the hops of a plan into groups, each after those it needs.
pub fn groups(plan: &Plan) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of = Vec::new();
    for (index, hop) in plan.hops.iter().enumerate() {
        let live = live_upstream(plan, index).and_then(|above| group_of.get(above).copied());
        let group = live.unwrap_or_else(|| {
            groups.push(Group { hops: Vec::new(), needs: Vec::new() });
            groups.len() - 1
        });
        group_of.push(group);
        groups[group].hops.push(index);
        for need in reads(hop).filter_map(|table| writer(plan, table)).filter_map(|above| group_of.get(above).copied())
        {
            if need != group && !groups[group].needs.contains(&need) {
                groups[group].needs.push(need);
            }
        }
    }
    groups
}

/// What a hop reads from its upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taking {
    /// New rows of a source or append table.
    Rows,
    /// The changes of a table whose rows change.
    Changes,
    /// The whole upstream, whenever it has a new version.
    Whole,
    /// The groups that changed, by these columns of the upstream; the whole upstream where the groups are unknown.
    Groups(Vec<String>),
}

impl Taking {
    /// Whether a run makes one commit that stands for the whole upstream.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole | Self::Groups(_))
    }
}

/// What a hop reads from its upstream, by the modes of the tables around it.
pub fn taking(plan: &Plan, hop: &HopSpec) -> Taking {
    let outputs: Vec<_> = hop.to.iter().filter_map(|(_, table)| plan.table(table)).collect();
    if outputs.iter().any(|table| table.mode == WriteMode::Overwrite) {
        return Taking::Whole;
    }
    let replaced = outputs.iter().find(|table| matches!(table.mode, WriteMode::Replace { .. }));
    if let Some(first) = replaced {
        // Outputs with groups of different columns have no groups in common.
        let alike = outputs.iter().all(|table| table.groups_from == first.groups_from);
        return if alike { Taking::Groups(first.groups_from.clone()) } else { Taking::Whole };
    }
    match &hop.from {
        Upstream::Table(_) if hop.on_deletes == OnDeletes::Follow => Taking::Changes,
        Upstream::Table(table) if plan.table(table).is_some_and(|table| has_changes(&table.mode)) => Taking::Changes,
        _ => Taking::Rows,
    }
}

/// Whether a hop reads its whole upstream every time, because it rewrites its tables.
pub fn is_whole(plan: &Plan, hop: &HopSpec) -> bool {
    taking(plan, hop).is_whole()
}

/// Whether rows of a table are updated and deleted, so that downstream hops read changes.
pub fn has_changes(mode: &WriteMode) -> bool {
    matches!(mode, WriteMode::Upsert { .. } | WriteMode::Accumulate { .. })
}

/// The hop that hands its rows to this one in memory, if there is one.
pub fn live_upstream(plan: &Plan, index: usize) -> Option<usize> {
    let hop = &plan.hops[index];
    let Upstream::Table(table) = &hop.from else { return None };
    // A sorted or partitioned table stores rows in another order than they were written, and a downstream hop must
    // see one order whenever it reads them. Changes are handed on as they were committed.
    let in_order = |table: &TableSpec| table.layout.sort_by.is_empty() && table.partition_by.is_empty();
    let followed = plan
        .table(table)
        .is_some_and(|table| table.mode == WriteMode::Append && in_order(table) || has_changes(&table.mode));
    let lookups_rest = hop.lookups.iter().all(|(_, table)| writer(plan, table).is_none());
    if taking(plan, hop).is_whole() || !followed || !lookups_rest {
        return None;
    }
    writer(plan, table).filter(|above| *above < index)
}

/// The hop that writes a table.
pub fn writer(plan: &Plan, table: &TableName) -> Option<usize> {
    plan.hops.iter().position(|hop| hop.to.iter().any(|(_, to)| to == table))
}

/// The hops that write what a hop reads.
pub fn above(plan: &Plan, hop: usize) -> impl Iterator<Item = usize> {
    reads(&plan.hops[hop]).filter_map(|table| writer(plan, table))
}

fn reads(hop: &HopSpec) -> impl Iterator<Item = &TableName> {
    let upstream = match &hop.from {
        Upstream::Table(table) => Some(table),
        Upstream::Source(_) => None,
    };
    upstream.into_iter().chain(hop.lookups.iter().map(|(_, table)| table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluicebox_core::plan::{Flush, Layer};

    fn table(text: &str) -> TableName {
        let (layer, name) = text.split_once('.').expect("tests write layer.table");
        let layer = [Layer::Bronze, Layer::Silver, Layer::Gold].into_iter().find(|each| each.as_str() == layer);
        TableName { layer: layer.expect("tests name a layer"), name: name.into() }
    }

    /// `hops`: (from, to, lookups); a name with a dot is a table. `modes`: tables that are not append tables.
    fn plan(hops: &[(&str, &str, &[&str])], modes: &[(&str, WriteMode)]) -> Plan {
        let mode = |name: &str| {
            modes.iter().find(|(each, _)| *each == name).map_or(WriteMode::Append, |(_, mode)| mode.clone())
        };
        let spec = |name: &str| TableSpec::new(table(name), mode(name));
        Plan {
            name: "p".into(),
            config_hash: String::new(),
            text: String::new(),
            system: sluicebox_core::columns::SystemNames::default(),
            sources: Vec::new(),
            tables: hops.iter().map(|(_, to, _)| spec(to)).collect(),
            hops: hops
                .iter()
                .map(|(from, to, lookups)| HopSpec {
                    event_time: None,
                    name: (*to).into(),
                    from: if from.contains('.') {
                        Upstream::Table(table(from))
                    } else {
                        Upstream::Source((*from).into())
                    },
                    module: None,
                    to: vec![(None, table(to))],
                    on_deletes: OnDeletes::Stop,
                    lookups: lookups.iter().map(|lookup| ((*lookup).into(), table(lookup))).collect(),
                    flush: Flush::default(),
                })
                .collect(),
        }
    }

    fn upsert() -> WriteMode {
        WriteMode::Upsert { key: vec!["id".into()], order_by: None, delete_when: None }
    }

    #[test]
    fn a_chain_of_appends_and_upserts_runs_as_one() {
        let plan = plan(
            &[
                ("orders", "bronze.orders", &[]),
                ("bronze.orders", "silver.lines", &[]),
                ("silver.lines", "silver.orders", &[]),
            ],
            &[("silver.orders", upsert())],
        );
        assert_eq!(groups(&plan), [Group { hops: vec![0, 1, 2], needs: vec![] }]);
    }

    #[test]
    fn changes_flow_through_every_table_that_keeps_its_rows() {
        let accumulate = WriteMode::Accumulate { key: vec!["day".into()], sum: Vec::new(), count: "rows".into() };
        let plan = plan(
            &[
                ("orders", "bronze.orders", &[]),
                ("bronze.orders", "silver.orders", &[]),
                ("silver.orders", "gold.days", &[]),
                ("gold.days", "gold.log", &[]),
                ("silver.orders", "gold.top", &[]),
            ],
            &[("silver.orders", upsert()), ("gold.days", accumulate), ("gold.top", WriteMode::Overwrite)],
        );
        let group = |hops: &[usize], needs: &[usize]| Group { hops: hops.to_vec(), needs: needs.to_vec() };
        assert_eq!(groups(&plan), [group(&[0, 1, 2, 3], &[]), group(&[4], &[0])]);
        let takings: Vec<_> = plan.hops.iter().map(|hop| taking(&plan, hop)).collect();
        let (rows, changes) = (Taking::Rows, Taking::Changes);
        assert_eq!(takings, [rows.clone(), rows, changes.clone(), changes, Taking::Whole]);
    }

    #[test]
    fn groups_are_known_where_all_outputs_are_made_from_the_same() {
        let replace = || WriteMode::Replace { by: vec!["day".into()] };
        let mut plan = plan(
            &[("orders", "silver.orders", &[]), ("silver.orders", "gold.days", &[])],
            &[("gold.days", replace()), ("gold.shops", replace())],
        );
        assert_eq!(taking(&plan, &plan.hops[1]), Taking::Groups(vec!["day".into()]));
        let mut other = TableSpec::new(table("gold.shops"), replace());
        other.groups_from = vec!["opened_on".into()];
        plan.hops[1].to.push((None, other.name.clone()));
        plan.tables.push(other);
        assert_eq!(taking(&plan, &plan.hops[1]), Taking::Whole);
    }

    #[test]
    fn a_rewritten_table_waits_for_all_it_reads() {
        let plan = plan(
            &[
                ("orders", "bronze.orders", &[]),
                ("products", "bronze.products", &[]),
                ("bronze.orders", "gold.sales", &["bronze.products"]),
            ],
            &[("gold.sales", WriteMode::Overwrite)],
        );
        assert_eq!(groups(&plan)[2], Group { hops: vec![2], needs: vec![0, 1] });
    }

    #[test]
    fn a_hop_that_looks_up_what_this_plan_writes_is_not_live() {
        // Were it live, the bronze hop would wait for it while it waits for the lookup.
        let plan = plan(
            &[
                ("orders", "bronze.orders", &[]),
                ("bronze.orders", "silver.products", &[]),
                ("bronze.orders", "silver.orders", &["silver.products"]),
            ],
            &[("silver.products", upsert())],
        );
        assert_eq!(groups(&plan), [Group { hops: vec![0, 1], needs: vec![] }, Group { hops: vec![2], needs: vec![0] }]);
    }

    #[test]
    fn a_lookup_that_nobody_writes_here_does_not_hold_a_hop_back() {
        let plan =
            plan(&[("orders", "bronze.orders", &[]), ("bronze.orders", "silver.orders", &["gold.calendar"])], &[]);
        assert_eq!(groups(&plan), [Group { hops: vec![0, 1], needs: vec![] }]);
    }
}
