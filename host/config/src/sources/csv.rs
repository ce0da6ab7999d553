//! `csv` of a source: how delimited text is read.

use crate::diagnostics::{Draft, Span};
use crate::keys::{Char, Flag, Key, KeySet, Section, SubTable, Texts, Word, Words};
use sluicebox_core::plan::{CsvFormat, Encoding};

const DELIMITER: Key<Char> = Key::new("delimiter", Char, "Between fields.")
    .more("A tab is `\"\\t\"`.")
    .default(|| CsvFormat::default().delimiter)
    .example(r#"";""#);
const QUOTE: Key<Char> = Key::new("quote", Char, "Around fields that hold a delimiter or a newline.")
    .default(|| CsvFormat::default().quote)
    .example(r#""'""#);
const HEADER: Key<Flag> =
    Key::new("header", Flag, "Whether the first record names the columns; without it `columns` apply in order.")
        .default(|| CsvFormat::default().header)
        .example("false");
const NULLS: Key<Texts> = Key::new("nulls", Texts, "Fields with exactly this text are null, besides the empty one.")
    .default(|| CsvFormat::default().nulls)
    .example(r#"["NA"]"#);
const ENCODING: Key<Word<Encoding>> = Key::new("encoding", Word::new(), "The character encoding.")
    .more("A byte-order mark is always recognised.")
    .default(|| CsvFormat::default().encoding)
    .example(r#""latin-1""#);

/// `csv` of a source.
pub(super) static KEYS: KeySet =
    KeySet { about: "How CSV is read.", keys: &[&DELIMITER, &QUOTE, &HEADER, &NULLS, &ENCODING] };

/// The value of a key `csv`.
pub(super) const CSV: SubTable<Csv> = SubTable { keys: &KEYS, read };

/// The settings of CSV, and the place of `header`.
#[derive(Default)]
pub(super) struct Csv {
    pub(super) format: CsvFormat,
    /// The place of `header`, if it is set.
    header: Option<Span>,
}

impl Csv {
    /// Whether the file sets `header`.
    pub(super) fn says_header(&self) -> bool {
        self.header.is_some()
    }

    /// Reports an invalid `header` in `csv` of a source.
    pub(super) fn misplaced_header(&self, source: &Section<'_>, why: &str, hint: &str) {
        if let Some(span) = &self.header {
            source.cx.report(Draft::error(format!("`header` in `csv` of {} {why}", source.what)).at(span).hint(hint));
        }
    }
}

fn read(csv: &Section<'_>) -> Option<Csv> {
    let delimiter = csv.get(&DELIMITER);
    let quote = csv.get(&QUOTE);
    let header = csv.get(&HEADER);
    let nulls = csv.get(&NULLS);
    let encoding = csv.get(&ENCODING);
    if delimiter.is_some() && delimiter == quote {
        let draft = Draft::error(format!("`delimiter` and `quote` in {} are the same", csv.what));
        let written = [csv.peek(&QUOTE), csv.peek(&DELIMITER)].into_iter().flatten();
        csv.cx.report(written.fold(draft, |draft, entry| draft.at(&entry.node.span)));
        return None;
    }
    let format =
        CsvFormat { delimiter: delimiter?, quote: quote?, header: header?, nulls: nulls?, encoding: encoding? };
    Some(Csv { format, header: csv.peek(&HEADER).map(|entry| entry.key_span.clone()) })
}

impl Words for Encoding {
    const ALL: &'static [(&'static str, Self)] =
        &[("utf-8", Self::Utf8), ("latin-1", Self::Latin1), ("windows-1252", Self::Windows1252)];
}
