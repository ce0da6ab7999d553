//! The JSON Schema in `docs/`: it is the one that the keys make, and it knows exactly the
//! keys that the reader takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use sluicebox_config::json_schema;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pipeline.schema.json")
}

#[test]
fn the_shipped_schema_is_the_one_that_the_keys_make() {
    let schema = json_schema();
    if std::env::var_os("SLUICE_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
        fs::write(shipped(), text + "\n").expect("the schema can be written");
    }
    let text = fs::read_to_string(shipped()).expect("the schema is part of the repository");
    let found: Json = serde_json::from_str(&text).expect("the shipped schema is JSON");
    assert!(found == schema, "docs/pipeline.schema.json is out of date; set SLUICE_BLESS=1 to write it anew");
}

/// `ok-complete.toml` loads, so what it holds is what the reader takes. Every key of it is
/// looked up in the schema, and every key of the schema must have been met.
#[test]
fn the_schema_has_exactly_the_keys_that_the_reader_takes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/config/cases/ok-complete.toml");
    let text = fs::read_to_string(file).expect("the complete file is part of the repository");
    let document: toml::Table = toml::from_str(&text).expect("the complete file is TOML");
    let document = serde_json::to_value(document).expect("the complete file holds nothing that JSON has not");

    let schema = json_schema();
    let mut known = BTreeSet::new();
    collect_keys("", &schema, &mut known);
    let mut met = BTreeSet::new();
    walk("", &document, &schema, &mut met);

    let missing: Vec<_> = known.difference(&met).collect();
    assert!(
        missing.is_empty(),
        "keys of the schema that ok-complete.toml does not show the reader taking: {missing:?}"
    );
}

/// A key by the path to it; layers have the same keys, so they count as one.
fn path_to(path: &str, kind: &str, name: &str) -> String {
    let name = if ["bronze", "silver", "gold"].contains(&name) { "*" } else { name };
    format!("{path}/{kind}{name}")
}

/// Every property of the schema, by the path of its keys; a name of a person's choice is `*`.
fn collect_keys(path: &str, schema: &Json, keys: &mut BTreeSet<String>) {
    for branch in branches(schema) {
        let kind = kind_of(branch);
        for (name, inner) in branch.get("properties").and_then(Json::as_object).into_iter().flatten() {
            let path = path_to(path, &kind, name);
            collect_keys(&path, inner, keys);
            keys.insert(path);
        }
        if let Some(inner) = branch.get("items") {
            collect_keys(path, inner, keys);
        }
        if let Some(inner) = branch.get("additionalProperties").filter(|inner| inner.is_object()) {
            collect_keys(&format!("{path}/*"), inner, keys);
        }
    }
}

fn walk(path: &str, value: &Json, schema: &Json, met: &mut BTreeSet<String>) {
    if let Some(items) = value.as_array() {
        let of_items = branches(schema).find_map(|branch| branch.get("items"));
        items
            .iter()
            .filter(|item| item.is_object())
            .for_each(|item| walk(path, item, of_items.unwrap_or(&Json::Null), met));
    }
    let Some(table) = value.as_object() else { return };
    let matching = branches(schema).find(|branch| {
        let wanted = branch.pointer("/properties/type/const");
        branch["type"] == "object" && wanted.is_none_or(|wanted| table.get("type") == Some(wanted))
    });
    let branch = matching.unwrap_or_else(|| panic!("the schema has no table at {path}"));
    let kind = kind_of(branch);
    for (name, inner) in table {
        match (branch.pointer(&format!("/properties/{name}")), branch.get("additionalProperties")) {
            (Some(schema), _) => {
                let path = path_to(path, &kind, name);
                walk(&path, inner, schema, met);
                met.insert(path);
            }
            (None, Some(schema)) if schema.is_object() => walk(&format!("{path}/*"), inner, schema, met),
            (None, None) => {}
            (None, Some(_)) => panic!("the reader takes `{path}/{name}`, and the schema does not"),
        }
    }
}

/// The alternatives of a schema, or itself.
fn branches(schema: &Json) -> impl Iterator<Item = &Json> {
    let alternatives = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(*key)?.as_array());
    let itself = alternatives.is_none().then_some(schema);
    alternatives.into_iter().flatten().chain(itself)
}

/// `files:` before the keys of sources of that type.
fn kind_of(branch: &Json) -> String {
    let kind = branch.pointer("/properties/type/const").and_then(Json::as_str);
    kind.map(|kind| format!("{kind}:")).unwrap_or_default()
}
