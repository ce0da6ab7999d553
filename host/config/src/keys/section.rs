//! A section: a table of the file with a fixed set of keys, and the problems of its keys.

use super::describe::{AnyKey, KeySet};
use crate::diagnostics::{At, Context, Draft, MOST_PROBLEMS, Span, list, meant};
use crate::document::{Entry, Node, Value, entries};

/// A table of the file, and the keys that it may have.
pub(crate) struct Section<'a> {
    pub(crate) cx: &'a Context,
    /// Its name in messages: ``source `users` ``.
    pub(crate) what: String,
    /// The place where a missing key is reported.
    pub(crate) head: Span,
    keys: &'static KeySet,
    is_file: bool,
    entries: &'a [Entry],
}

impl<'a> Section<'a> {
    /// Opens the whole file.
    pub(crate) fn open_file(cx: &'a Context, keys: &'static KeySet, root: &'a Node) -> Option<Self> {
        // A missing table has no place, so the file's first character is used.
        let file = Self::open(cx, keys, "the file".to_owned(), &(0..0), root)?;
        Some(Self { is_file: true, ..file })
    }

    /// Opens a table and reports unknown keys.
    pub(crate) fn open(
        cx: &'a Context,
        keys: &'static KeySet,
        what: String,
        head: &Span,
        node: &'a Node,
    ) -> Option<Self> {
        Self::open_beside(cx, keys, what, head, node, &|_| None)
    }

    /// As [`Section::open`]; `elsewhere` says where an unknown key would be known.
    pub(crate) fn open_beside(
        cx: &'a Context,
        keys: &'static KeySet,
        what: String,
        head: &Span,
        node: &'a Node,
        elsewhere: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let entries = entries(cx, &what, node)?;
        let section = Self { cx, what, head: head.clone(), keys, is_file: false, entries };
        for entry in entries.iter().filter(|entry| keys.key(&entry.key).is_none()) {
            section.report_unknown(entry, elsewhere);
        }
        Some(section)
    }

    /// The entry of `key`, if it exists.
    pub(crate) fn peek(&self, key: &dyn AnyKey) -> Option<&'a Entry> {
        self.peek_name(key.name())
    }

    /// Whether the section has `key`.
    pub(crate) fn has(&self, key: &dyn AnyKey) -> bool {
        self.peek(key).is_some()
    }

    /// The span of the value of `key`; for a missing key, that of the section's head.
    pub(crate) fn span(&self, key: &dyn AnyKey) -> &Span {
        self.peek(key).map_or(&self.head, |entry| &entry.node.span)
    }

    /// The table's name in brackets, as far as its keys tell.
    pub(crate) fn path(&self) -> String {
        let name = self.what.split('`').nth(1).unwrap_or("…");
        format!("tables.{name}")
    }

    /// Reports a key that is valid by itself and does not fit the others.
    pub(crate) fn misplaced(&self, key: &dyn AnyKey, why: &str, hint: &str) {
        if let Some(entry) = self.peek(key) {
            self.cx.report(
                Draft::error(format!("`{}` in {} {why}", key.name(), self.what)).at(&entry.key_span).hint(hint),
            );
        }
    }

    /// Reports a missing required key.
    pub(crate) fn missing(&self, key: &dyn AnyKey) {
        let name = key.name();
        // An unknown key that was reported as a misspelling of this one counts as this one.
        let unknown = self.entries.iter().filter(|entry| self.keys.key(&entry.key).is_none());
        if unknown.take(MOST_PROBLEMS).filter_map(|entry| self.meant(&entry.key)).any(|meant| meant == name) {
            return;
        }
        let about = lower_first(key.about().trim_end_matches('.'));
        let hint = match (key.shape().header(name), key.example()) {
            (Some(header), _) => format!("add {header}: {about}"),
            (None, Some(example)) => format!("add `{name} = {example}`, for example: {about}"),
            (None, None) => format!("add `{name}`: {about}"),
        };
        self.cx.report(Draft::error(format!("{} has no `{name}`", self.what)).at(&self.head).hint(hint));
    }

    fn peek_name(&self, name: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// The missing key that `unknown` most likely means.
    fn meant(&self, unknown: &str) -> Option<&'static str> {
        meant(unknown, self.keys.keys.iter().map(|key| key.name()).filter(|name| self.peek_name(name).is_none()))
    }

    fn report_unknown(&self, entry: &Entry, elsewhere: &dyn Fn(&str) -> Option<String>) {
        if self.cx.is_full() {
            return self.cx.report(Draft::error(format!("unknown key `{}` in {}", entry.key, self.what)));
        }
        let hint = match self.meant(&entry.key) {
            Some(candidate) => format!("did you mean `{candidate}`?"),
            None => elsewhere(&entry.key).or_else(|| self.below(&entry.key)).unwrap_or_else(|| {
                let known: Vec<&str> = self.keys.keys.iter().map(|key| key.name()).collect();
                format!("known keys are {}", list(&known))
            }),
        };
        self.cx.report(
            Draft::error(format!("unknown key `{}` in {}", entry.key, self.what)).at(&entry.key_span).hint(hint),
        );
    }

    /// Says where a key belongs, if it is one of a table of this section.
    fn below(&self, key: &str) -> Option<String> {
        let parent = self
            .keys
            .keys
            .iter()
            .find(|parent| parent.shape().below().is_some_and(|below| below.key(key).is_some()))?;
        let parent = parent.name();
        Some(format!("`{key}` belongs into `{parent}`: `{parent} = {{ {key} = … }}`"))
    }
}

/// A key that exists, with its unread value.
pub(crate) struct Found<'f, 'a> {
    pub(crate) section: &'f Section<'a>,
    pub(crate) key: &'f dyn AnyKey,
    pub(crate) entry: &'a Entry,
}

impl<'a> Found<'_, 'a> {
    /// The key's name.
    pub(crate) fn name(&self) -> &'static str {
        self.key.name()
    }

    /// The section's name in messages.
    pub(crate) fn what(&self) -> &str {
        &self.section.what
    }

    /// The parsed value.
    pub(crate) fn node(&self) -> &'a Node {
        &self.entry.node
    }

    /// Reports a problem of the value, with a hint.
    pub(crate) fn report(&self, message: String, hint: Option<String>) {
        self.section.cx.report(Draft::error(message).at(&self.node().span).maybe_hint(hint));
    }

    /// Reports that the value, or `node` inside it, is of the wrong type.
    pub(crate) fn wrong(&self, wanted: &str, node: &Node, hint: Option<String>) {
        self.wrong_at(self.name(), wanted, node, hint);
    }

    /// As [`Found::wrong`], for `path`, which is at or below the key.
    pub(crate) fn wrong_at(&self, path: &str, wanted: &str, node: &Node, hint: Option<String>) {
        if matches!(node.value, Value::Broken) {
            return;
        }
        let found = node.value.kind();
        self.section.cx.report(
            Draft::error(format!("`{path}` of {} must be {wanted}, not {found}", self.what()))
                .at(&node.span)
                .maybe_hint(hint),
        );
    }

    /// Reports that the value is outside its bounds.
    pub(crate) fn out_of_range(&self, value: &str, bounds: String) {
        self.report(format!("`{}` of {} is out of range: {value}", self.name(), self.what()), Some(bounds));
    }

    /// Any text, the empty one included.
    pub(crate) fn any_text(&self) -> Option<&'a str> {
        match &self.node().value {
            Value::Text(text) => Some(text),
            other => {
                let hint = match other {
                    Value::Integer(_) | Value::Float(_) | Value::Flag(_) | Value::Moment(_) => {
                        let written = self.section.cx.text.slice(&self.node().span);
                        Some(format!("write it in quotes: `{} = \"{written}\"`", self.name()))
                    }
                    _ => None,
                };
                self.wrong("a string", self.node(), hint);
                None
            }
        }
    }

    /// Non-empty text.
    pub(crate) fn text(&self) -> Option<At<String>> {
        let text = self.any_text()?;
        if text.trim().is_empty() {
            let hint = format!("write `{} = {}`, for example", self.name(), self.key.example().unwrap_or("…"));
            self.report(format!("`{}` of {} is empty", self.name(), self.what()), Some(hint));
            return None;
        }
        Some(At::new(text.to_owned(), &self.node().span))
    }

    /// A table with arbitrary keys.
    pub(crate) fn entries(&self) -> Option<&'a [Entry]> {
        entries(self.section.cx, &format!("`{}` of {}", self.name(), self.what()), self.node())
    }

    /// A table with these keys.
    pub(crate) fn open(&self, keys: &'static KeySet) -> Option<Section<'a>> {
        let what = match self.section.is_file {
            true => format!("`[{}]`", self.name()),
            false => format!("`{}` of {}", self.name(), self.what()),
        };
        Section::open(self.section.cx, keys, what, &self.entry.key_span, self.node())
    }
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
