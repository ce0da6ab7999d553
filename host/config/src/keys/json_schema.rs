//! The JSON Schema of keys, in draft 07.

use serde_json::{Map, Value as Json, json};

use super::describe::{AnyKey, KeySet};

/// A string may always have a variable in it, whatever its key takes.
pub(crate) const VARIABLE: &str = r"\$\{[^}]*\}";

/// The names of pipelines, sources, hops and variables.
pub(crate) const NAME: &str = "^[a-z0-9][a-z0-9_-]*$";

/// The names of tables.
pub(crate) const TABLE_NAME: &str = "^[a-z0-9][a-z0-9_]*$";

/// A table with these keys and no others.
pub(crate) fn of(keys: &KeySet) -> Json {
    let properties: Map<String, Json> = keys.keys.iter().map(|key| (key.name().to_owned(), property(*key))).collect();
    let required: Vec<&str> = keys.keys.iter().filter(|key| key.is_required()).map(|key| key.name()).collect();
    json!({
        "type": "object",
        "description": keys.about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// Text that matches this pattern, or has a variable in it.
pub(crate) fn pattern(pattern: &str) -> Json {
    json!({ "type": "string", "pattern": format!("{pattern}|{VARIABLE}") })
}

/// Tables by name.
pub(crate) fn named(inner: Json, pattern: &str) -> Json {
    json!({ "type": "object", "propertyNames": { "pattern": pattern }, "additionalProperties": inner })
}

/// Text that is not empty.
pub(crate) fn text() -> Json {
    json!({ "type": "string", "minLength": 1 })
}

fn property(key: &dyn AnyKey) -> Json {
    let mut schema = key.shape().schema();
    schema["description"] = json!(key.about());
    if let Some(example) = key.example() {
        schema["examples"] = json!([from_toml(example)]);
    }
    if let Some(default) = key.default() {
        schema["default"] = from_toml(&default);
    }
    schema
}

fn from_toml(value: &str) -> Json {
    let table: toml::Table = toml::from_str(&format!("value = {value}"))
        .expect("every default and example is TOML because a test makes the whole schema of them");
    let value = table.get("value").cloned().expect("the key is there because it was just written");
    serde_json::to_value(value).expect("the value is JSON because no default or example is a date or not finite")
}
