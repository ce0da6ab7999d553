//! What a hop reads and writes: its upstream, and the tables behind the ports of its module.

use serde_json::{Value as Json, json};

use crate::diagnostics::At;
use crate::document::{Entry, Value};
use crate::keys::{Found, Kind, Shape};
use crate::tables::{name_schema, parse_name};
use sluicebox_core::plan::{TableName, Upstream};

/// The name of a source, or `layer.table`.
#[derive(Clone, Copy)]
pub(super) struct UpstreamName;

impl Shape for UpstreamName {
    fn label(&self) -> String {
        "source or table".to_owned()
    }
}

impl Kind for UpstreamName {
    type Value = At<Upstream>;

    fn read(&self, found: &Found<'_, '_>) -> Option<At<Upstream>> {
        let from = found.text()?;
        let upstream = match from.value.contains('.') {
            true => Upstream::Table(parse_name(found.section.cx, &from.value, &from.span)?),
            false => Upstream::Source(from.value),
        };
        Some(At::new(upstream, &from.span))
    }
}

/// Tables by port, as far as they could be read.
pub(super) struct Ports<P> {
    known: Vec<(P, At<TableName>)>,
    /// Whether all of them could.
    pub(super) whole: bool,
}

impl<P: Clone> Ports<P> {
    /// No tables, because none could be read.
    pub(super) fn unreadable() -> Self {
        Self { known: Vec::new(), whole: false }
    }

    /// The tables without their places, if all are known.
    pub(super) fn bare(&self) -> Option<Vec<(P, TableName)>> {
        let bare = self.known.iter().map(|(port, table)| (port.clone(), table.value.clone()));
        self.whole.then(|| bare.collect())
    }

    /// The tables that are known.
    pub(super) fn tables(self) -> Vec<At<TableName>> {
        self.known.into_iter().map(|(_, table)| table).collect()
    }
}

impl<P> Default for Ports<P> {
    fn default() -> Self {
        Self { known: Vec::new(), whole: true }
    }
}

/// `layer.table`, or a table of output port to `layer.table`; `None` is the first output.
#[derive(Clone, Copy)]
pub(super) struct Outputs;

impl Shape for Outputs {
    fn label(&self) -> String {
        "table, or table of port to table".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [
            name_schema(),
            { "type": "object", "additionalProperties": name_schema(), "minProperties": 1 },
        ] })
    }
}

impl Kind for Outputs {
    type Value = Ports<Option<String>>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Ports<Option<String>>> {
        let node = found.node();
        match &node.value {
            Value::Table(entries) => {
                let Ports { known, whole } = ports(found, entries);
                Some(Ports { known: known.into_iter().map(|(port, table)| (Some(port), table)).collect(), whole })
            }
            Value::Text(text) => {
                let table = parse_name(found.section.cx, text, &node.span)?;
                Some(Ports { known: vec![(None, At::new(table, &node.span))], whole: true })
            }
            _ => {
                found.wrong("a table's name, or a table of output ports", node, None);
                None
            }
        }
    }
}

/// A table of lookup port to `layer.table`.
#[derive(Clone, Copy)]
pub(super) struct Lookups;

impl Shape for Lookups {
    fn label(&self) -> String {
        "table of port to table".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "object", "additionalProperties": name_schema() })
    }
}

impl Kind for Lookups {
    type Value = Ports<String>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Ports<String>> {
        Some(ports(found, found.entries()?))
    }
}

fn ports(found: &Found<'_, '_>, entries: &[Entry]) -> Ports<String> {
    let known: Vec<_> = entries
        .iter()
        .filter_map(|entry| match &entry.node.value {
            Value::Text(text) => {
                let table = parse_name(found.section.cx, text, &entry.node.span)?;
                Some((entry.key.clone(), At::new(table, &entry.node.span)))
            }
            _ => {
                let path = format!("{}.{}", found.name(), entry.key);
                found.wrong_at(&path, "a table's name", &entry.node, None);
                None
            }
        })
        .collect();
    let whole = known.len() == entries.len();
    Ports { known, whole }
}
