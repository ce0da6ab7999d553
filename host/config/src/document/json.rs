//! Parts of the file as JSON: a module's configuration, and the canonical text of a plan.

use serde_json::{Map, Number, Value as Json};

use super::tree::{Entry, Node, Value};
use crate::diagnostics::{Context, Draft, Span};

/// A table as one JSON object, its keys in the order of their names.
pub(crate) fn object(cx: &Context, node: &Node) -> Option<String> {
    convert(node, &|moment, span| {
        cx.report(
            Draft::error(format!("JSON has no dates, and a module's `config` is handed over as JSON: {moment}"))
                .at(span)
                .hint(format!("write it in quotes: `\"{moment}\"`")),
        );
        None
    })
    .map(|json| json.to_string())
}

/// The whole file with its variables filled in, as one line that does not depend on comments, spacing or the order of
/// keys. The lake and the variables are left out: they say where a pipeline runs, not what it does.
pub(crate) fn canonical(root: &[Entry]) -> String {
    let mut out = Vec::new();
    for entry in root.iter().filter(|entry| entry.key != "vars") {
        let mut node = entry.node.clone();
        match (entry.key.as_str(), &mut node.value) {
            ("pipeline", Value::Table(keys)) => keys.retain(|key| key.key != "lake"),
            ("sources", Value::Table(sources)) => sources.iter_mut().for_each(order_columns),
            _ => {}
        }
        out.push(Entry { node, ..entry.clone() });
    }
    let root = Node { span: 0..0, value: Value::Table(out) };
    let text = |moment: &str, _: &_| Some(Json::String(moment.to_owned()));
    convert(&root, &text).unwrap_or(Json::Null).to_string()
}

/// The order of columns is significant: the table becomes a list.
fn order_columns(source: &mut Entry) {
    let Value::Table(keys) = &mut source.node.value else { return };
    for key in keys.iter_mut().filter(|key| key.key == "columns") {
        if let Value::Table(columns) = &key.node.value {
            let columns = columns
                .iter()
                .map(|column| Node {
                    span: column.key_span.clone(),
                    value: Value::List(vec![
                        Node { span: column.key_span.clone(), value: Value::Text(column.key.clone()) },
                        column.node.clone(),
                    ]),
                })
                .collect();
            key.node.value = Value::List(columns);
        }
    }
}

type OnMoment<'a> = &'a dyn Fn(&str, &Span) -> Option<Json>;

fn convert(node: &Node, on_moment: OnMoment<'_>) -> Option<Json> {
    match &node.value {
        Value::Text(text) => Some(Json::String(text.clone())),
        Value::Integer(integer) => Some(Json::from(*integer)),
        Value::Float(float) => Number::from_f64(*float).map(Json::Number),
        Value::Flag(flag) => Some(Json::Bool(*flag)),
        Value::Moment(moment) => on_moment(moment, &node.span),
        // All items are visited even after a bad one, so that all problems are reported.
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| convert(item, on_moment)).collect();
            items.into_iter().collect::<Option<_>>().map(Json::Array)
        }
        Value::Table(entries) => {
            let mut entries: Vec<_> =
                entries.iter().map(|entry| (entry.key.clone(), convert(&entry.node, on_moment))).collect();
            // The map may keep insertion order; sorting makes the text canonical either way.
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            let entries: Option<Map<_, _>> =
                entries.into_iter().map(|(key, value)| value.map(|value| (key, value))).collect();
            entries.map(Json::Object)
        }
        Value::Broken => None,
    }
}
