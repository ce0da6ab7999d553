//! Reads a table with a fixed set of keys: every value checked against what its key takes.

use super::context::{Context, list, meant};
use super::keys::{self, Key, Kind};
use super::problem::Draft;
use super::text::Span;
use super::tree::{Entry, Node, Value};

/// A table of the file, and the keys that it may have.
pub(super) struct Section<'a> {
    pub(super) cx: &'a Context,
    pub(super) rules: &'static keys::Section,
    /// As messages name it: ``source `users` ``.
    pub(super) what: String,
    /// Where a missing key is shown.
    pub(super) head: Span,
    entries: &'a [Entry],
}

impl<'a> Section<'a> {
    /// Opens a table and reports every key that it should not have.
    pub(super) fn open(
        cx: &'a Context,
        rules: &'static keys::Section,
        what: String,
        head: &Span,
        node: &'a Node,
    ) -> Option<Self> {
        let entries = table(cx, &what, node)?;
        let section = Self { cx, rules, what, head: head.clone(), entries };
        for entry in entries.iter().filter(|entry| rules.key(&entry.key).is_none()) {
            section.unknown(entry);
        }
        Some(section)
    }

    /// The entry of `key`, reported when it must be there and is not.
    pub(super) fn entry(&self, key: &str) -> Option<&'a Entry> {
        let found = self.peek(key);
        if found.is_none() && self.rules.key(key).is_some_and(|rule| rule.required) {
            self.missing(key);
        }
        found
    }

    /// What `read` finds at `key`, or `standard` where the file says nothing.
    pub(super) fn or<T>(&self, key: &str, standard: T, read: impl FnOnce(&Self, &str) -> Option<T>) -> Option<T> {
        match self.peek(key) {
            Some(_) => read(self, key),
            None => Some(standard),
        }
    }

    /// The entry of `key`, if it is there.
    pub(super) fn peek(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// A table with keys of its own.
    pub(super) fn section(&self, key: &str) -> Option<Section<'a>> {
        let entry = self.entry(key)?;
        match self.rules.key(key).map(|rule| rule.kind) {
            Some(Kind::Section(rules)) => {
                let what = match std::ptr::eq(self.rules, &keys::FILE) {
                    true => format!("`[{key}]`"),
                    false => format!("`{key}` of {}", self.what),
                };
                Section::open(self.cx, rules, what, &entry.key_span, &entry.node)
            }
            _ => None,
        }
    }

    /// A table with keys of a person's choice.
    pub(super) fn entries(&self, key: &str) -> Option<&'a [Entry]> {
        let entry = self.entry(key)?;
        table(self.cx, &format!("`{key}` of {}", self.what), &entry.node)
    }

    /// As the file names it in brackets, as far as its keys alone tell.
    pub(super) fn path(&self) -> String {
        let name = self.what.split('`').nth(1).unwrap_or("…");
        format!("tables.{name}")
    }

    /// Reports a key that is fine by itself and out of place beside the others.
    pub(super) fn misplaced(&self, key: &str, why: &str, hint: &str) {
        if let Some(entry) = self.peek(key) {
            self.cx.report(Draft::error(format!("`{key}` in {} {why}", self.what)).at(&entry.key_span).hint(hint));
        }
    }

    /// Reports that `key` must be there and is not.
    pub(super) fn missing(&self, key: &str) {
        // A key that was reported as a likely misspelling of this one is this one.
        let unknown = self.entries.iter().filter(|entry| self.rules.key(&entry.key).is_none());
        if unknown.filter_map(|entry| self.meant(&entry.key)).any(|meant| meant == key) {
            return;
        }
        let hint = self.rules.key(key).map(|Key { kind, example, about, .. }| {
            let about = lower_first(about.trim_end_matches('.'));
            match kind {
                Kind::Section(_) => format!("add a `[{key}]` table: {about}"),
                Kind::Named(_) => format!("add `[{key}.<name>]` tables: {about}"),
                _ => format!("add `{key} = {example}`, for example: {about}"),
            }
        });
        self.cx.report(Draft::error(format!("{} has no `{key}`", self.what)).at(&self.head).maybe_hint(hint));
    }

    /// Reports that a value is of the wrong type.
    pub(super) fn wrong(&self, key: &str, wanted: &str, node: &Node, hint: Option<String>) {
        if matches!(node.value, Value::Broken) {
            return;
        }
        let found = node.value.kind();
        self.cx.report(
            Draft::error(format!("`{key}` of {} must be {wanted}, not {found}", self.what))
                .at(&node.span)
                .maybe_hint(hint),
        );
    }

    /// The key that is not there and that `unknown` most likely stands for.
    fn meant(&self, unknown: &str) -> Option<&'static str> {
        meant(unknown, self.rules.keys.iter().map(|key| key.name).filter(|key| self.peek(key).is_none()))
    }

    fn unknown(&self, entry: &Entry) {
        let known: Vec<&str> = self.rules.keys.iter().map(|key| key.name).collect();
        let hint = match self.meant(&entry.key) {
            Some(candidate) => Some(format!("did you mean `{candidate}`?")),
            None => elsewhere(&entry.key, self.rules).or_else(|| Some(format!("known keys are {}", list(&known)))),
        };
        self.cx.report(
            Draft::error(format!("unknown key `{}` in {}", entry.key, self.what)).at(&entry.key_span).maybe_hint(hint),
        );
    }
}

/// The entries of a table; anything else is reported.
pub(super) fn table<'a>(cx: &Context, what: &str, node: &'a Node) -> Option<&'a [Entry]> {
    match &node.value {
        Value::Table(entries) => Some(entries),
        Value::Broken => None,
        other => {
            cx.report(Draft::error(format!("{what} must be a table, not {}", other.kind())).at(&node.span));
            None
        }
    }
}

/// Says where a key belongs that another kind of source or a part of this section has.
fn elsewhere(key: &str, here: &'static keys::Section) -> Option<String> {
    for (kind, section) in keys::SOURCES {
        let is_source = keys::SOURCES.iter().any(|(_, source)| std::ptr::eq(*source, here));
        if is_source && !std::ptr::eq(*section, here) && section.key(key).is_some() {
            return Some(format!("`{key}` is a key of sources of type `{kind}`"));
        }
    }
    here.keys.iter().find_map(|parent| match parent.kind {
        Kind::Section(inner) if inner.key(key).is_some() => {
            Some(format!("`{key}` belongs into `{}`: `{} = {{ {key} = … }}`", parent.name, parent.name))
        }
        _ => None,
    })
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
