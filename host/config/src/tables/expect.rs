//! `[[tables.<layer>.<name>.expect]]`: what the values of a column must fulfil.
//!
//! Whether a rule fits the type of its column is checked later, when the columns are known.

use regex::Regex;

use crate::diagnostics::{Draft, list};
use crate::keys::{
    AnyKey, Column, ColumnValue, ColumnValues, Columns, Flag, Found, Key, KeySet, Kind, Maybe, Section, Shape,
    TableList, Word, Words,
};
use sluicebox_core::plan::{Expectation, Otherwise, Rule};

const COLUMN: Key<Column> = Key::new("column", Column, "The column.").example(r#""price""#);
const NOT_NULL: Key<Flag> =
    Key::new("not_null", Flag, "Whether it must not be null.").default(|| false).example("true");
const MIN: Key<Maybe<ColumnValue>> = Key::new("min", ColumnValue, "The least value, itself included.")
    .more("A number, a date, an instant or text. NaN lies between no bounds.")
    .optional()
    .example("0");
const MAX: Key<Maybe<ColumnValue>> =
    Key::new("max", ColumnValue, "The greatest value, itself included.").optional().example(r#""100.00""#);
const MATCHES: Key<Maybe<Pattern>> =
    Key::new("matches", Pattern, "A regular expression that matches somewhere in the text.")
        .more("`^` and `$` bind it to the ends.")
        .optional()
        .example(r#""^[A-Z]{2}$""#);
const ONE_OF: Key<Maybe<ColumnValues>> =
    Key::new("one_of", ColumnValues, "The values that there may be.").optional().example(r#"["new", "paid"]"#);
const UNIQUE: Key<Flag> = Key::new("unique", Flag, "Whether no other row of the same commit may have the value.")
    .more("The first keeps its place.")
    .default(|| false)
    .example("true");
const UNIQUE_WITHIN: Key<Maybe<Columns>> =
    Key::new("unique_within", Columns, "As `unique`, among rows with the same values in these columns.")
        .optional()
        .example(r#"["order_id"]"#);
const OTHERWISE: Key<Word<Otherwise>> = Key::new(
    "otherwise",
    Word::new(),
    "What happens to a row that does not: it is counted and goes on, goes to quarantine, or stops the hop.",
)
.more(
    "In quarantine its code is `expect.not-null`, `expect.range`, `expect.matches`, `expect.one-of` or `expect.unique`. A \
     hop that stops names the row.",
)
.default(|| Otherwise::Reject)
.example(r#""stop""#);

/// An entry of `expect` of a table.
pub(super) static KEYS: KeySet = KeySet {
    about: "What the values of one column must fulfil; null fulfils everything but `not_null`.",
    keys: &[&COLUMN, &NOT_NULL, &MIN, &MAX, &MATCHES, &ONE_OF, &UNIQUE, &UNIQUE_WITHIN, &OTHERWISE],
};

/// The value of a key `expect`.
pub(super) const EXPECT: TableList<Expectation> = TableList { keys: &KEYS, read };

fn read(section: &Section<'_>) -> Option<Expectation> {
    let column = section.get(&COLUMN);
    let not_null = section.get(&NOT_NULL);
    let min = section.get(&MIN);
    let max = section.get(&MAX);
    let matches = section.get(&MATCHES);
    let one_of = section.get(&ONE_OF);
    let unique = section.get(&UNIQUE);
    let within = section.get(&UNIQUE_WITHIN);
    let otherwise = section.get(&OTHERWISE);
    let (column, min, max) = (column?, min?, max?);
    let mut rules = Vec::new();
    rules.extend(not_null?.then_some(Rule::NotNull));
    if min.is_some() || max.is_some() {
        rules.push(Rule::Range { min, max });
    }
    rules.extend(matches?.map(Rule::Matches));
    rules.extend(one_of?.map(Rule::OneOf));
    rules.extend(match (unique?, within?) {
        (_, Some(within)) => Some(Rule::Unique(within)),
        (true, None) => Some(Rule::Unique(Vec::new())),
        (false, None) => None,
    });
    if rules.is_empty() {
        let needed: [&dyn AnyKey; 7] = [&NOT_NULL, &MIN, &MAX, &MATCHES, &ONE_OF, &UNIQUE, &UNIQUE_WITHIN];
        let names: Vec<&str> = needed.iter().map(|key| key.name()).collect();
        let draft = Draft::error(format!("{} expects nothing of column `{column}`", section.what)).at(&section.head);
        section.cx.report(draft.hint(format!("add one of {}", list(&names))));
        return None;
    }
    Some(Expectation { column, rules, otherwise: otherwise? })
}

/// A regular expression.
#[derive(Clone, Copy)]
struct Pattern;

impl Shape for Pattern {
    fn label(&self) -> String {
        "regular expression".to_owned()
    }
}

impl Kind for Pattern {
    type Value = String;

    fn read(&self, found: &Found<'_, '_>) -> Option<String> {
        let text = found.text()?.value;
        if let Err(error) = Regex::new(&text) {
            // The library's error has several lines; the last one says what is wrong.
            let why = error.to_string();
            let why = why.lines().next_back().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let hint = "expressions are those of Rust's regex library; a literal string `'…'` needs no escapes";
            found.report(
                format!("`{}` of {} is no regular expression: {why}", found.name(), found.what()),
                Some(hint.to_owned()),
            );
            return None;
        }
        Some(text)
    }
}

impl Words for Otherwise {
    const ALL: &'static [(&'static str, Self)] =
        &[("warn", Self::Warn), ("reject", Self::Reject), ("stop", Self::Stop)];
}
