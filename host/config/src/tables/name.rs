//! Names of tables: `layer.name`.

use serde_json::Value as Json;

use crate::diagnostics::{Context, Draft, Span, meant_or_known};
use crate::keys::{Words, check_table_name, find_word, json_schema, words};
use sluicebox_core::plan::{Layer, TableName};

/// Parses `layer.name`, and reports problems.
pub(crate) fn parse_name(cx: &Context, text: &str, span: &Span) -> Option<TableName> {
    let Some((layer, name)) = text.split_once('.') else {
        cx.report(
            Draft::error(format!("`{text}` does not name a table"))
                .at(span)
                .hint(format!("tables are named by layer and name: `silver.{text}`, for example")),
        );
        return None;
    };
    let layer = parse_layer(cx, layer, &format!("`{layer}` in `{text}`"), span)?;
    check_table_name(cx, name, span).then(|| TableName { layer, name: name.to_owned() })
}

/// Parses a layer, called `shown` in messages, and reports problems.
pub(super) fn parse_layer(cx: &Context, layer: &str, shown: &str, span: &Span) -> Option<Layer> {
    let found = find_word(layer);
    if found.is_none() {
        let hint = meant_or_known(layer, "layer", &words::<Layer>());
        cx.report(Draft::error(format!("unknown layer {shown}")).at(span).maybe_hint(hint));
    }
    found
}

/// The JSON Schema of a table's name.
pub(crate) fn schema() -> Json {
    let layers = words::<Layer>().join("|");
    json_schema::pattern(&format!(r"^({layers})\.[a-z0-9][a-z0-9_]*$"))
}

impl Words for Layer {
    const ALL: &'static [(&'static str, Self)] =
        &[("bronze", Self::Bronze), ("silver", Self::Silver), ("gold", Self::Gold)];
}
