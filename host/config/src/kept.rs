//! What is kept of a pipeline file beside the tables that it makes: all of it but what opens doors.
//!
//! Credentials in the URLs of sources and the values of variables of type `secret` are left out before the text is
//! written and before it is hashed, so that neither holds them and the two agree. A replay reads no source.

use crate::document::{Entry, Node, Value};
use crate::vars::Vars;
use sluicebox_core::redact::redact;

/// The entries of the file as they are kept.
pub(super) fn entries(root: &[Entry], vars: &Vars) -> Vec<Entry> {
    root.iter()
        .map(|entry| match entry.key.as_str() {
            "sources" => Entry { node: without_secrets(&entry.node, vars), ..entry.clone() },
            _ => entry.clone(),
        })
        .collect()
}

fn without_secrets(node: &Node, vars: &Vars) -> Node {
    let value = match &node.value {
        Value::Text(text) => Value::Text(match vars.shown(&node.span) {
            Some(shown) => redact(&shown),
            None => redact(text),
        }),
        Value::List(items) => Value::List(items.iter().map(|item| without_secrets(item, vars)).collect()),
        Value::Table(entries) => {
            let below = |entry: &Entry| Entry { node: without_secrets(&entry.node, vars), ..entry.clone() };
            Value::Table(entries.iter().map(below).collect())
        }
        other => other.clone(),
    };
    Node { span: node.span.clone(), value }
}
