//! Text: free, names, and single characters.

use serde_json::Value as Json;

use crate::keys::describe::Shape;
use crate::keys::json_schema;
use crate::keys::key::Kind;
use crate::keys::names::check_name;
use crate::keys::section::Found;

/// Non-empty text.
#[derive(Clone, Copy)]
pub(crate) struct Text;

impl Shape for Text {
    fn label(&self) -> String {
        "text".to_owned()
    }
}

impl Kind for Text {
    type Value = String;

    fn read(&self, found: &Found<'_, '_>) -> Option<String> {
        found.text().map(|text| text.value)
    }

    fn toml(&self, value: &String) -> Option<String> {
        Some(format!("\"{value}\""))
    }
}

/// The name of a column.
#[derive(Clone, Copy)]
pub(crate) struct Column;

impl Shape for Column {
    fn label(&self) -> String {
        "column".to_owned()
    }
}

impl Kind for Column {
    type Value = String;

    fn read(&self, found: &Found<'_, '_>) -> Option<String> {
        found.text().map(|text| text.value)
    }

    fn toml(&self, value: &String) -> Option<String> {
        Some(format!("\"{value}\""))
    }
}

/// A name; messages call the thing by this noun.
#[derive(Clone, Copy)]
pub(crate) struct Name(pub(crate) &'static str);

impl Shape for Name {
    fn label(&self) -> String {
        "name".to_owned()
    }

    fn schema(&self) -> Json {
        json_schema::pattern(json_schema::NAME)
    }
}

impl Kind for Name {
    type Value = String;

    fn read(&self, found: &Found<'_, '_>) -> Option<String> {
        let name = found.text()?;
        check_name(found.section.cx, self.0, &name.value, &name.span).then_some(name.value)
    }
}

/// Exactly one ASCII character.
#[derive(Clone, Copy)]
pub(crate) struct Char;

impl Shape for Char {
    fn label(&self) -> String {
        "one ASCII character".to_owned()
    }

    fn schema(&self) -> Json {
        json_schema::pattern(r"^[\x01-\x7f]$")
    }
}

impl Kind for Char {
    type Value = u8;

    fn read(&self, found: &Found<'_, '_>) -> Option<u8> {
        match found.any_text()?.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(*byte),
            _ => {
                found.report(
                    format!("`{}` of {} must be one ASCII character", found.name(), found.what()),
                    Some("common ones are `,`, `;`, `|` and, for a tab, `\"\\t\"`".to_owned()),
                );
                None
            }
        }
    }

    fn toml(&self, value: &u8) -> Option<String> {
        Some(match value {
            b'"' => "'\"'".to_owned(),
            byte => format!("\"{}\"", char::from(*byte)),
        })
    }
}
