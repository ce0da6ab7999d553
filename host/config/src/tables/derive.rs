//! `derive` of a table: columns that the host makes out of others.

use serde_json::{Value as Json, json};

use crate::diagnostics::{Draft, list, meant_or_known};
use crate::document::{Entry, Value};
use crate::keys::{Found, Kind, Shape, json_schema};
use sluicebox_core::columns::same_column;
use sluicebox_core::plan::{Derivation, Derived};

/// The forms, as they are written.
const FORMS: &[&str] = &["year", "month", "date", "hour", "bucket"];

/// More buckets than this would be more folders than a table should have.
const MOST_BUCKETS: u32 = 100_000;

/// A table of columns with how each is made from another.
#[derive(Clone, Copy)]
pub(super) struct Derivations;

impl Shape for Derivations {
    fn label(&self) -> String {
        "table of column to [form](#derive)".to_owned()
    }

    fn schema(&self) -> Json {
        let form = r"^\s*((year|month|date|hour)\s*\([^,()]+\)|bucket\s*\([^()]+,\s*[0-9_]+\s*\))\s*$";
        json!({
            "type": "object",
            "additionalProperties": json_schema::pattern(form),
            "propertyNames": { "pattern": "^[^_]" },
            "minProperties": 1,
        })
    }
}

impl Kind for Derivations {
    type Value = Vec<Derived>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<Derived>> {
        let entries = found.entries()?;
        let columns: Vec<Derived> = entries.iter().filter_map(|entry| column(found, entry)).collect();
        if columns.len() < entries.len() {
            return None;
        }
        let mut sound = true;
        for (derived, entry) in columns.iter().zip(entries) {
            let twin =
                entries.iter().find(|other| other.key_span != entry.key_span && same_column(&other.key, &derived.from));
            if let Some(twin) = twin {
                found.section.cx.report(
                    Draft::error(format!("`{}` in {} is derived from a derived column", derived.column, found.what()))
                        .at(&entry.node.span)
                        .also(&twin.key_span, "derived here")
                        .hint("derive both from a column that the rows have"),
                );
                sound = false;
            }
        }
        sound.then_some(columns)
    }
}

fn column(found: &Found<'_, '_>, entry: &Entry) -> Option<Derived> {
    if entry.key.starts_with('_') || entry.key.is_empty() {
        found.section.cx.report(
            Draft::error(format!("`{}` in `derive` of {} is no name for a column", entry.key, found.what()))
                .at(&entry.key_span)
                .hint("names beginning with `_` are kept for the columns that the host adds"),
        );
        return None;
    }
    let Value::Text(text) = &entry.node.value else {
        let path = format!("{}.{}", found.name(), entry.key);
        found.wrong_at(&path, "a string", &entry.node, Some(example(&entry.key)));
        return None;
    };
    match parse(text) {
        Ok((by, from)) if same_column(&from, &entry.key) => {
            found.section.cx.report(
                Draft::error(format!("`{}` in {} is derived from itself", entry.key, found.what()))
                    .at(&entry.node.span)
                    .hint(format!("give the derived column a name of its own: `{from}_{}`", form(by))),
            );
            None
        }
        Ok((by, from)) => Some(Derived { column: entry.key.clone(), from, by }),
        Err(hint) => {
            found.section.cx.report(
                Draft::error(format!("`{text}` does not derive a column"))
                    .at(&entry.node.span)
                    .hint(hint.unwrap_or_else(|| example(&entry.key))),
            );
            None
        }
    }
}

fn example(column: &str) -> String {
    format!("write `{column} = \"date(ordered_at)\"`, for example; forms are {}", list(FORMS))
}

fn form(by: Derivation) -> &'static str {
    match by {
        Derivation::Year => "year",
        Derivation::Month => "month",
        Derivation::Date => "date",
        Derivation::Hour => "hour",
        Derivation::Bucket(_) => "bucket",
    }
}

/// `date(ordered_at)` or `bucket(customer_id, 16)`; or what to write instead, where that is clear.
fn parse(text: &str) -> Result<(Derivation, String), Option<String>> {
    let (form, rest) = text.trim().split_once('(').ok_or(None)?;
    let inside = rest.strip_suffix(')').ok_or(None)?;
    let (form, inside) = (form.trim(), inside.trim());
    let by = match form {
        "year" => Derivation::Year,
        "month" => Derivation::Month,
        "date" => Derivation::Date,
        "hour" => Derivation::Hour,
        "bucket" => {
            let how = || Some("write `bucket(column, 16)`: the column and the number of buckets".to_owned());
            let (from, count) = inside.rsplit_once(',').ok_or_else(how)?;
            let count: u32 = count.trim().replace('_', "").parse().map_err(|_| how())?;
            if !(1..=MOST_BUCKETS).contains(&count) || from.trim().is_empty() {
                return Err(Some(format!("the number of buckets is from 1 to {MOST_BUCKETS}")));
            }
            return Ok((Derivation::Bucket(count), from.trim().to_owned()));
        }
        "day" | "to_date" => return Err(Some(format!("did you mean `date({inside})`?"))),
        other => return Err(meant_or_known(other, "form", FORMS)),
    };
    if inside.is_empty() || inside.contains(',') {
        return Err(Some(format!("`{form}` takes one column: `{form}(ordered_at)`")));
    }
    Ok((by, inside.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_whatever_their_spacing() {
        assert_eq!(parse(" date( ordered_at ) "), Ok((Derivation::Date, "ordered_at".into())));
        assert_eq!(parse("bucket(a, 1_000)"), Ok((Derivation::Bucket(1_000), "a".into())));
        for text in ["", "date", "date()", "date(a, b)", "bucket(a)", "bucket(a, 0)", "bucket(, 4)", "week(a)"] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
    }
}
