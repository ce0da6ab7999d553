//! Typed keys, and reading their values from a section.

use serde_json::Value as Json;

use super::describe::{AnyKey, KeySet, Shape};
use super::section::{Found, Section};

/// A key of the pipeline file: everything that the program and its documents know about it. It is required unless it
/// has a [default](Key::default) or is [optional](Key::optional).
#[derive(Clone, Copy)]
pub(crate) struct Key<K: Kind> {
    name: &'static str,
    kind: K,
    about: &'static str,
    more: &'static str,
    example: Option<&'static str>,
    default: Option<fn() -> K::Value>,
    absent: Option<&'static str>,
}

/// The kind of a value: its shape, and how it is read.
pub(crate) trait Kind: Shape + Copy + 'static {
    /// The type of the value.
    type Value: 'static;

    /// Reads the value. `None` if something is wrong, which is reported.
    fn read(&self, found: &Found<'_, '_>) -> Option<Self::Value>;

    /// A default as TOML, if it can be written so.
    fn toml(&self, value: &Self::Value) -> Option<String> {
        let _ = value;
        None
    }
}

impl<K: Kind> Key<K> {
    /// A required key; `about` is one sentence for hints, editors and the reference page.
    pub(crate) const fn new(name: &'static str, kind: K, about: &'static str) -> Self {
        Self { name, kind, about, more: "", example: None, default: None, absent: None }
    }

    /// Further sentences for the reference page.
    pub(crate) const fn more(mut self, sentences: &'static str) -> Self {
        self.more = sentences;
        self
    }

    /// An example value, as TOML.
    pub(crate) const fn example(mut self, toml: &'static str) -> Self {
        self.example = Some(toml);
        self
    }

    /// The default. If the plan's own type has one, the key uses that.
    pub(crate) const fn default(mut self, value: fn() -> K::Value) -> Self {
        self.default = Some(value);
        self
    }

    /// The default, in words for the reference page.
    pub(crate) const fn absent(mut self, words: &'static str) -> Self {
        self.absent = Some(words);
        self
    }

    /// Makes the key optional: without it, the value is `None`.
    pub(crate) const fn optional(self) -> Key<Maybe<K>> {
        Key {
            name: self.name,
            kind: Maybe(self.kind),
            about: self.about,
            more: self.more,
            example: self.example,
            default: Some(none::<K::Value>),
            absent: self.absent,
        }
    }
}

fn none<T>() -> Option<T> {
    None
}

impl<K: Kind> AnyKey for Key<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn more(&self) -> &'static str {
        self.more
    }

    fn example(&self) -> Option<&'static str> {
        self.example
    }

    fn is_required(&self) -> bool {
        self.default.is_none()
    }

    fn default(&self) -> Option<String> {
        self.kind.toml(&self.default?())
    }

    fn absent(&self) -> Option<&'static str> {
        self.absent
    }

    fn shape(&self) -> &dyn Shape {
        &self.kind
    }
}

impl Section<'_> {
    /// The value of `key`, or its default. `None` if it is missing and required, or something is wrong with it; that
    /// is reported.
    pub(crate) fn get<K: Kind>(&self, key: &Key<K>) -> Option<K::Value> {
        match (self.peek(key), key.default) {
            (Some(entry), _) => key.kind.read(&Found { section: self, key, entry }),
            (None, Some(default)) => Some(default()),
            (None, None) => {
                self.missing(key);
                None
            }
        }
    }

    /// As [`Section::get`], for an optional key that other keys make required.
    pub(crate) fn need<K: Kind>(&self, key: &Key<Maybe<K>>) -> Option<K::Value> {
        if !self.has(key) {
            self.missing(key);
        }
        self.get(key)?
    }
}

/// An optional value.
#[derive(Clone, Copy)]
pub(crate) struct Maybe<K>(K);

impl<K: Kind> Kind for Maybe<K> {
    type Value = Option<K::Value>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Self::Value> {
        self.0.read(found).map(Some)
    }
}

impl<K: Kind> Shape for Maybe<K> {
    fn label(&self) -> String {
        self.0.label()
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }

    fn below(&self) -> Option<&'static KeySet> {
        self.0.below()
    }

    fn is_secret(&self) -> bool {
        self.0.is_secret()
    }

    fn header(&self, name: &str) -> Option<String> {
        self.0.header(name)
    }
}
