//! What a writer's schema would become, found out without making it: records that are named twice are
//! there twice, and a few of these make billions of columns.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::FormatError;
use crate::limits::{COLUMNS, TYPE_DEPTH};

/// Refuses a schema of too many columns, of types that lie too deep in each other or that hold
/// themselves.
pub(super) fn check(schema: &str) -> Result<(), FormatError> {
    // What is no schema, its decoder says.
    let Ok(schema) = serde_json::from_str::<Value>(schema) else { return Ok(()) };
    let mut names = Names::default();
    let size = names.size(&schema, "", "")?;
    if size.columns > COLUMNS {
        return Err(FormatError::Columns { most: COLUMNS });
    }
    Ok(())
}

/// Named types, each with its size once that is known.
#[derive(Default)]
struct Names(HashMap<String, Option<Size>>);

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    columns: usize,
    depth: usize,
}

impl Size {
    const SCALAR: Self = Self { columns: 1, depth: 1 };

    fn with(self, other: Self) -> Self {
        Self { columns: self.columns.saturating_add(other.columns), depth: self.depth.max(other.depth) }
    }
}

impl Names {
    /// The size of a type in the column `column`.
    fn size(&mut self, schema: &Value, space: &str, column: &str) -> Result<Size, FormatError> {
        match schema {
            Value::String(name) => self.named(name, space, column),
            Value::Array(branches) => branches
                .iter()
                .try_fold(Size::default(), |size, branch| Ok(size.with(self.size(branch, space, column)?))),
            Value::Object(object) => self.of_object(object, space, column),
            _ => Ok(Size::SCALAR),
        }
    }

    fn named(&self, name: &str, space: &str, column: &str) -> Result<Size, FormatError> {
        match self.0.get(&full_name(name, space)).or_else(|| self.0.get(name)) {
            Some(Some(size)) => Ok(*size),
            Some(None) => {
                let problem = format!("is of the recursive type `{name}`, which holds itself");
                Err(FormatError::Type { column: column.to_owned(), problem })
            }
            None => Ok(Size::SCALAR),
        }
    }

    fn of_object(&mut self, object: &Map<String, Value>, space: &str, column: &str) -> Result<Size, FormatError> {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let inner = match text("type") {
            Some("array") => object.get("items"),
            Some("map") => object.get("values"),
            Some("record" | "error") => return self.of_record(object, space, column),
            Some("enum" | "fixed") => {
                if let Some(name) = text("name") {
                    self.0.insert(full_name(name, text("namespace").unwrap_or(space)), Some(Size::SCALAR));
                }
                return Ok(Size::SCALAR);
            }
            _ => return object.get("type").map_or(Ok(Size::SCALAR), |kind| self.size(kind, space, column)),
        };
        let inner = inner.map_or(Ok(Size::SCALAR), |inner| self.size(inner, space, column))?;
        deeper(inner, column)
    }

    fn of_record(&mut self, object: &Map<String, Value>, space: &str, column: &str) -> Result<Size, FormatError> {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let name = text("name").unwrap_or_default();
        let full = full_name(name, text("namespace").unwrap_or(space));
        let inside = full.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        self.0.insert(full.clone(), None);
        let mut size = Size { columns: 1, depth: 0 };
        for field in object.get("fields").and_then(Value::as_array).into_iter().flatten() {
            let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
            let path = if column.is_empty() { name.to_owned() } else { format!("{column}.{name}") };
            if let Some(kind) = field.get("type") {
                size = size.with(self.size(kind, &inside, &path)?);
            }
        }
        let size = deeper(size, column)?;
        self.0.insert(full, Some(size));
        Ok(size)
    }
}

fn deeper(size: Size, column: &str) -> Result<Size, FormatError> {
    if size.depth > TYPE_DEPTH {
        let problem = format!("has types that lie in each other deeper than {TYPE_DEPTH}");
        return Err(FormatError::Type { column: column.to_owned(), problem });
    }
    Ok(Size { depth: size.depth + 1, ..size })
}

fn full_name(name: &str, space: &str) -> String {
    if name.contains('.') || space.is_empty() { name.to_owned() } else { format!("{space}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_as_often_as_they_stand() {
        // Each level has the one below it twice.
        let mut schema = r#"{"type":"record","name":"R0","fields":[{"name":"x","type":"long"}]}"#.to_owned();
        for level in 1..20 {
            let below = level - 1;
            schema = format!(
                r#"{{"type":"record","name":"R{level}","fields":[{{"name":"a","type":{schema}}},{{"name":"b","type":"R{below}"}}]}}"#
            );
        }
        assert!(matches!(check(&schema), Err(FormatError::Columns { .. })));
        let node = r#"{"type":"record","name":"Node","namespace":"n","fields":[{"name":"id","type":"long"},{"name":"next","type":["null",{"type":"array","items":"Node"}]}]}"#;
        let error = check(node).unwrap_err().to_string();
        assert!(error.contains("`next`") && error.contains("recursive"), "{error}");
        let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(40), "}".repeat(40));
        let deep = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"x","type":{deep}}}]}}"#);
        assert!(matches!(check(&deep), Err(FormatError::Type { .. })));
    }
}
