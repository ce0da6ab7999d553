//! The JSON Schema that editors check pipeline files against.

use serde_json::{Map, Value as Json, json};

use super::columns::TYPES;
use super::keys::{self, Key, Kind, Section};
use super::words;
use sluicebox_core::plan::Layer;

/// The schema of the whole file, in draft 07, which editors know best.
pub fn json_schema() -> Json {
    let mut schema = section(&keys::FILE, None);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Sluicebox pipeline");
    schema
}

/// What a string may hold besides what its key takes: a variable may stand for any of it.
const VARIABLE: &str = r"\$\{[^}]*\}";
const NAME: &str = "^[a-z0-9][a-z0-9_-]*$";
const TABLE_NAME: &str = "^[a-z0-9][a-z0-9_]*$";

fn section(section: &Section, type_name: Option<&str>) -> Json {
    let mut properties = Map::new();
    for key in section.keys {
        properties.insert(key.name.to_owned(), property(key));
    }
    if let Some(type_name) = type_name {
        properties.insert("type".to_owned(), json!({ "const": type_name, "description": "The kind of source." }));
    }
    let required: Vec<&str> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": section.about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Json {
    let mut schema = value(key.kind);
    schema["description"] = json!(key.about);
    schema["examples"] = json!([from_toml(key.example)]);
    if let Some(default) = key.default {
        schema["default"] = from_toml(default);
    }
    schema
}

fn value(kind: Kind) -> Json {
    match kind {
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Name => text(NAME),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Share => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Kind::Size(least, most) => json!({ "anyOf": [
            { "type": "integer", "minimum": least, "maximum": most },
            text(r"^\s*[0-9.]+\s*([kKmMgGtTpPeE]([iI]?[bB])?|[bB])?\s*$"),
        ] }),
        Kind::Time(..) => text(r"^\s*([0-9]+\s*[a-zA-Zµ]+\s*)+$"),
        Kind::Word(names) => json!({ "anyOf": [{ "enum": names() }, { "type": "string", "pattern": VARIABLE }] }),
        Kind::Secret => text(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"),
        Kind::Byte => text(r"^[\x01-\x7f]$"),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Globs => json!({ "anyOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 },
        ] }),
        Kind::Bound => bound(),
        Kind::Bounds => json!({ "type": "array", "items": bound(), "minItems": 1 }),
        Kind::Columns => columns(),
        Kind::Groups => json!({ "anyOf": [
            columns(),
            { "type": "object", "additionalProperties": { "type": "string", "minLength": 1 }, "minProperties": 1 },
        ] }),
        Kind::ColumnTypes => json!({
            "type": "object", "additionalProperties": column_type(), "propertyNames": { "pattern": "^[^_]" }, "minProperties": 1,
        }),
        Kind::Derivations => json!({
            "type": "object", "additionalProperties": derivation(), "propertyNames": { "pattern": "^[^_]" }, "minProperties": 1,
        }),
        Kind::Upstream => json!({ "type": "string", "minLength": 1 }),
        Kind::Start => json!({ "anyOf": [
            { "type": "string", "minLength": 1 },
            { "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 }, "minProperties": 1 },
        ] }),
        Kind::Outputs => json!({ "anyOf": [
            table_name(),
            { "type": "object", "additionalProperties": table_name(), "minProperties": 1 },
        ] }),
        Kind::Lookups => json!({ "type": "object", "additionalProperties": table_name() }),
        Kind::Free => json!({ "type": "object" }),
        Kind::Section(inner) => section(inner, None),
        Kind::List(inner) => json!({ "type": "array", "items": section(inner, None) }),
        Kind::Named(inner) => named(section(inner, None), NAME),
        Kind::Layered(inner) => {
            let layers = words::names::<Layer>();
            let tables: Map<String, Json> =
                layers.into_iter().map(|layer| (layer.to_owned(), named(section(inner, None), TABLE_NAME))).collect();
            json!({ "type": "object", "properties": tables, "additionalProperties": false })
        }
        Kind::Sources(kinds) => {
            let kinds: Vec<Json> = kinds.iter().map(|(name, inner)| section(inner, Some(name))).collect();
            named(json!({ "oneOf": kinds }), NAME)
        }
    }
}

fn named(inner: Json, pattern: &str) -> Json {
    json!({ "type": "object", "propertyNames": { "pattern": pattern }, "additionalProperties": inner })
}

fn text(pattern: &str) -> Json {
    json!({ "type": "string", "pattern": format!("{pattern}|{VARIABLE}") })
}

fn columns() -> Json {
    json!({ "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1, "uniqueItems": true })
}

fn table_name() -> Json {
    let layers = words::names::<Layer>().join("|");
    text(&format!(r"^({layers})\.[a-z0-9][a-z0-9_]*$"))
}

fn bound() -> Json {
    json!({ "type": ["string", "number"] })
}

fn derivation() -> Json {
    text(r"^\s*((year|month|date|hour)\s*\([^,()]+\)|bucket\s*\([^()]+,\s*[0-9_]+\s*\))\s*$")
}

fn column_type() -> Json {
    let types: Vec<String> = TYPES
        .iter()
        .map(|name| match *name {
            "decimal(p,s)" => r"decimal\s*\(\s*[0-9]+\s*,\s*[0-9]+\s*\)".to_owned(),
            name => name.to_owned(),
        })
        .collect();
    text(&format!(r"^\s*({})(\s+(not\s+)?null)?\s*$", types.join("|")))
}

fn from_toml(value: &str) -> Json {
    let table: toml::Table = toml::from_str(&format!("value = {value}"))
        .expect("every default and example is TOML because a test makes the whole schema of them");
    let value = table.get("value").cloned().expect("the key is there because it was just written");
    serde_json::to_value(value).expect("the value is JSON because no default or example is a date or not finite")
}
