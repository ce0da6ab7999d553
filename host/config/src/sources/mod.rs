//! `[sources.<name>]`: sources. A type of source is one file here and one line of [`TYPES`].

mod avro;
mod capture;
mod columns;
mod csv;
mod eventhubs;
mod file_columns;
mod files;
mod kafka;
mod message;
mod names;
mod oauth;
mod simulate;
mod stream;
mod values;

use serde_json::{Value as Json, json};

use crate::diagnostics::{At, Context, Draft, meant_or_known};
use crate::document::{Entry, Node, Value, entries};
use crate::keys::{AnyKey as _, Found, Key, KeySet, Kind, Section, Shape, Word, Words, check_name, json_schema};
use sluicebox_core::plan::{ColumnNames, SourceKind, SourceSpec, Timestamps};

/// A type of source.
pub(crate) struct SourceType {
    /// The value of `type`.
    name: &'static str,
    /// The keys of such a source.
    keys: &'static KeySet,
    /// Reads them.
    read: fn(&Section<'_>) -> Option<SourceKind>,
}

/// The types of source.
static TYPES: &[SourceType] = &[files::TYPE, capture::TYPE, kafka::TYPE, eventhubs::TYPE, simulate::TYPE];

/// Key sets of sources with their names on the reference page.
pub(crate) static REFERENCE: &[(&str, &KeySet)] = &[
    ("files", &files::KEYS),
    ("csv", &csv::KEYS),
    ("csv_column", &values::COLUMN_KEYS),
    ("jsonl", &files::JSONL_KEYS),
    ("json", &files::JSON_KEYS),
    ("kafka", &kafka::KEYS),
    ("avro", &avro::KEYS),
    ("oauth", &oauth::KEYS),
    ("eventhubs", &eventhubs::KEYS),
    ("entra", &eventhubs::ENTRA_KEYS),
    ("capture", &capture::KEYS),
    ("captured", &capture::CAPTURED_KEYS),
    ("simulate", &simulate::KEYS),
];

/// A source as far as it could be read.
pub(crate) struct SourceDraft {
    pub(crate) name: At<String>,
    /// `None` if something is wrong; that is already reported.
    pub(crate) spec: Option<SourceSpec>,
}

/// The keys of a source, by its type.
pub(crate) fn keys_of(source: &Node) -> Option<&'static KeySet> {
    let Value::Table(entries) = &source.value else { return None };
    let Value::Text(name) = &entries.iter().find(|entry| entry.key == "type")?.node.value else { return None };
    TYPES.iter().find(|known| known.name == name).map(|known| known.keys)
}

/// Sources by name, each with the keys that its `type` has.
#[derive(Clone, Copy)]
pub(crate) struct Sources;

impl Shape for Sources {
    fn label(&self) -> String {
        "tables by name".to_owned()
    }

    fn schema(&self) -> Json {
        let types: Vec<Json> = TYPES.iter().map(|known| json_schema::of(known.keys)).collect();
        json_schema::named(json!({ "oneOf": types }), json_schema::NAME)
    }

    fn header(&self, name: &str) -> Option<String> {
        Some(format!("`[{name}.<name>]` tables"))
    }
}

impl Kind for Sources {
    type Value = Vec<SourceDraft>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<SourceDraft>> {
        Some(found.entries()?.iter().map(|entry| draft(found.section.cx, entry)).collect())
    }
}

fn draft(cx: &Context, entry: &Entry) -> SourceDraft {
    let named = check_name(cx, "source", &entry.key, &entry.key_span);
    let read = kind(cx, entry);
    let spec = read.filter(|_| named).map(|(kind, names)| SourceSpec { name: entry.key.clone(), kind, names });
    SourceDraft { name: At::new(entry.key.clone(), &entry.key_span), spec }
}

fn kind(cx: &Context, entry: &Entry) -> Option<(SourceKind, ColumnNames)> {
    let what = format!("source `{}`", entry.key);
    let found = entries(cx, &what, &entry.node)?;
    let types: Vec<&str> = TYPES.iter().map(|known| known.name).collect();
    let written = || types.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let Some(key) = found.iter().find(|key| key.key == "type") else {
        cx.report(
            Draft::error(format!("{what} has no `type`"))
                .at(&entry.key_span)
                .hint(format!("add `type`, which is one of {}", written())),
        );
        return None;
    };
    match &key.node.value {
        Value::Text(name) => match TYPES.iter().find(|known| known.name == name) {
            Some(known) => {
                let elsewhere = |key: &str| elsewhere(known, key);
                let head = &entry.key_span;
                let section = Section::open_beside(cx, known.keys, what, head, &entry.node, &elsewhere)?;
                let kind = (known.read)(&section);
                let names = match known.keys.key(names::RENAME.name()) {
                    Some(_) => names::read(&section),
                    None => Some(ColumnNames::default()),
                };
                kind.zip(names)
            }
            None => {
                cx.report(
                    Draft::error(format!("unknown `type` `{name}` in {what}"))
                        .at(&key.node.span)
                        .maybe_hint(meant_or_known(name, "possible value", &types)),
                );
                None
            }
        },
        Value::Broken => None,
        other => {
            cx.report(
                Draft::error(format!("`type` of {what} must be a string, not {}", other.kind()))
                    .at(&key.node.span)
                    .hint(format!("write one of {}", written())),
            );
            None
        }
    }
}

/// Says which other type of source has a key.
fn elsewhere(here: &SourceType, key: &str) -> Option<String> {
    let other = TYPES.iter().find(|other| other.name != here.name && other.keys.key(key).is_some())?;
    Some(format!("`{key}` is a key of sources of type `{}`", other.name))
}

/// The key `type` of a source of this type.
/// The key `timestamps`, which sources of files and of messages have.
const fn timestamps_key() -> Key<Word<Timestamps>> {
    Key::new(
        "timestamps",
        Word::new(),
        "What becomes of times with digits below microseconds: their rows go to quarantine, or the digits are cut off.",
    )
    .more("Digits that are zero do not count.")
    .default(|| Timestamps::Exact)
    .example(r#""truncate""#)
}

impl Words for Timestamps {
    const ALL: &'static [(&'static str, Self)] = &[("exact", Self::Exact), ("truncate", Self::Truncate)];
}

const fn type_key(name: &'static str) -> Key<Type> {
    Key::new("type", Type(name), "The kind of source.")
}

#[derive(Clone, Copy)]
struct Type(&'static str);

impl Shape for Type {
    fn label(&self) -> String {
        format!("`{}`", self.0)
    }

    fn schema(&self) -> Json {
        json!({ "const": self.0 })
    }
}

impl Kind for Type {
    type Value = ();

    /// The type was read before the other keys.
    fn read(&self, _: &Found<'_, '_>) -> Option<()> {
        Some(())
    }
}
