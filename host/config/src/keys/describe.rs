//! The description of a key, whatever the type of its value: enough for the JSON Schema, the reference page, hints,
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
    /// The key with this name.
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

    /// Additional text for the reference page; usually empty.
    fn more(&self) -> &'static str;

    /// An example value, as TOML.
    fn example(&self) -> Option<&'static str>;

    /// Whether the key is always required.
    fn is_required(&self) -> bool;

    /// The default, as TOML, if it is a value.
    fn default(&self) -> Option<String>;

    /// The default, in words, if it is not a value.
    fn absent(&self) -> Option<&'static str>;

    /// The shape of its value.
    fn shape(&self) -> &dyn Shape;
}

/// The shape of a value.
pub(crate) trait Shape: Sync {
    /// A few words for the reference page.
    fn label(&self) -> String;

    /// The JSON Schema of the value; by default, non-empty text.
    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    /// The keys of the value, if it is a table with its own keys.
    fn below(&self) -> Option<&'static KeySet> {
        None
    }

    /// Whether the value refers to a secret.
    fn is_secret(&self) -> bool {
        false
    }

    /// How a key of this name is written with its own header: ``a `[limits]` table``.
    fn header(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}
