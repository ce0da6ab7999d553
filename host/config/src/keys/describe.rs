//! What a key says of itself, whatever the type of its value: enough for the JSON Schema, the reference page, hints,
//! and the search for unknown keys.

use serde_json::{Value as Json, json};

/// The keys that a table of the file may have.
pub(crate) struct KeySet {
    /// One sentence for editors.
    pub(crate) about: &'static str,
    /// The keys, in the order in which the reference page lists them.
    pub(crate) keys: &'static [&'static dyn AnyKey],
}

impl KeySet {
    /// The key of that name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static dyn AnyKey> {
        self.keys.iter().find(|key| key.name() == name).copied()
    }
}

/// A key without the type of its value.
pub(crate) trait AnyKey: Sync {
    /// As it is written.
    fn name(&self) -> &'static str;

    /// One sentence for hints, editors and the reference page.
    fn about(&self) -> &'static str;

    /// What the reference page says besides; empty as a rule.
    fn more(&self) -> &'static str;

    /// A value that a person might write, as TOML.
    fn example(&self) -> Option<&'static str>;

    /// Whether the key must be there, whatever else is.
    fn is_required(&self) -> bool;

    /// What holds without the key, as TOML, where that is a value.
    fn default(&self) -> Option<String>;

    /// What holds without the key, in words, where that is no value.
    fn absent(&self) -> Option<&'static str>;

    /// What its value may be.
    fn shape(&self) -> &dyn Shape;
}

/// What a value may be.
pub(crate) trait Shape: Sync {
    /// In a few words, as the reference page says it.
    fn label(&self) -> String;

    /// As JSON Schema says it; text that is not empty, unless the kind knows more.
    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    /// The keys of the value, where it is a table with keys of its own.
    fn below(&self) -> Option<&'static KeySet> {
        None
    }

    /// Whether the value says where a secret is.
    fn is_secret(&self) -> bool {
        false
    }

    /// How a key of this name is written where it has a header of its own: ``a `[limits]` table``.
    fn header(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}
