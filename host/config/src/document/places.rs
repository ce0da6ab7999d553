//! The places of keys, for problems that are found later.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tree::{Entry, Value};
use crate::diagnostics::{Draft, Problem, Span, Text};
use sluicebox_core::fault::{Fault, Place, causes};

/// The place of each key of a pipeline file, by its path: `hops.clean.module`, `tables.silver.users.key`,
/// `hops.clean.to.users`. Tables of a list are numbered from 0: `tables.silver.users.expect.0.min`.
#[derive(Clone, Debug)]
pub struct Places {
    text: Arc<Text>,
    spans: BTreeMap<String, Span>,
}

impl Places {
    pub(crate) fn new(text: Arc<Text>, root: &[Entry]) -> Self {
        let mut spans = BTreeMap::new();
        collect(&mut spans, "", root);
        Self { text, spans }
    }

    /// The place of the value of `key`; for a table, of its name. A missing key is looked for further up:
    /// `hops.clean.limits.time`, then `hops.clean.limits`, then `hops.clean`.
    pub fn get(&self, key: &str) -> Option<Place> {
        self.span(key).map(|span| self.text.place(span.start))
    }

    /// A problem at `key` found after the file was read, shown like any other.
    pub fn problem(&self, key: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        let draft = Draft::error(message).maybe_hint(hint);
        let draft = match self.span(key) {
            Some(span) => draft.at(span),
            None => draft,
        };
        draft.into_problem(&self.text)
    }

    /// An error at `key`, shown like a problem of the file itself, with its causes and its hint.
    pub fn fault(&self, key: &str, error: &dyn Fault) -> Problem {
        Problem { causes: causes(error), ..self.problem(key, error.to_string(), error.hint()) }
    }

    fn span(&self, key: &str) -> Option<&Span> {
        let mut key = key;
        loop {
            if let Some(span) = self.spans.get(key) {
                return Some(span);
            }
            key = &key[..key.rfind('.')?];
        }
    }
}

fn collect(spans: &mut BTreeMap<String, Span>, above: &str, entries: &[Entry]) {
    for entry in entries {
        let key = if above.is_empty() { entry.key.clone() } else { format!("{above}.{}", entry.key) };
        match &entry.node.value {
            Value::Table(entries) => {
                collect(spans, &key, entries);
                spans.insert(key, entry.key_span.clone());
            }
            Value::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    if let Value::Table(entries) = &item.value {
                        let key = format!("{key}.{number}");
                        collect(spans, &key, entries);
                        let span = entries.first().map_or(&item.span, |first| &first.key_span);
                        spans.insert(key, span.clone());
                    }
                }
                spans.insert(key, entry.node.span.clone());
            }
            _ => {
                spans.insert(key, entry.node.span.clone());
            }
        }
    }
}
