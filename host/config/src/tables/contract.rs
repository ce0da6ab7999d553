//! `contract` of a table: what happens if rows do not have its columns.

use serde_json::Value as Json;

use crate::keys::{Found, Key, KeySet, Kind, Section, Shape, SubTable, Word, Words};
use sluicebox_core::plan::{Contract, Drift};

const NEW_COLUMN: Key<Answer> = Key::new("new_column", Answer, "A column that the table does not have.")
    .default(|| Contract::default().new_column)
    .example(r#""freeze""#);
const MISSING_COLUMN: Key<Answer> =
    Key::new("missing_column", Answer, "A column of the table that the rows do not have.")
        .default(|| Contract::default().missing_column)
        .example(r#""reject_row""#);
const TYPE_CHANGE: Key<Answer> =
    Key::new("type_change", Answer, "A column whose type is not the table's and cannot be widened to it.")
        .default(|| Contract::default().type_change)
        .example(r#""freeze""#);

/// `contract` of a table.
pub(super) static KEYS: KeySet = KeySet {
    about: "What happens when rows do not have the table's columns.",
    keys: &[&NEW_COLUMN, &MISSING_COLUMN, &TYPE_CHANGE],
};

/// The value of a key `contract`.
pub(super) const CONTRACT: SubTable<Contract> = SubTable { keys: &KEYS, read };

fn read(section: &Section<'_>) -> Option<Contract> {
    let new_column = section.get(&NEW_COLUMN);
    let missing_column = section.get(&MISSING_COLUMN);
    let type_change = section.get(&TYPE_CHANGE);
    Some(Contract { new_column: new_column?, missing_column: missing_column?, type_change: type_change? })
}

/// An answer to schema drift. The reference page has a table of the answers.
#[derive(Clone, Copy)]
struct Answer;

const WORD: Word<Drift> = Word::new();

impl Shape for Answer {
    fn label(&self) -> String {
        "an answer".to_owned()
    }

    fn schema(&self) -> Json {
        WORD.schema()
    }
}

impl Kind for Answer {
    type Value = Drift;

    fn read(&self, found: &Found<'_, '_>) -> Option<Drift> {
        WORD.read(found)
    }

    fn toml(&self, value: &Drift) -> Option<String> {
        WORD.toml(value)
    }
}

impl Words for Drift {
    const ALL: &'static [(&'static str, Self)] = &[
        ("evolve", Self::Evolve),
        ("freeze", Self::Freeze),
        ("reject_row", Self::RejectRow),
        ("null_value", Self::NullValue),
    ];
}
