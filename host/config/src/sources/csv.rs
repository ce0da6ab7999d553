//! `csv` of a source: how delimited text is read.

use super::values::{self, BY_COLUMN, DATE_FORMAT, DECIMAL, EPOCH, FALSE, THOUSANDS, TIMESTAMP_FORMAT, TIMEZONE, TRUE};
use crate::diagnostics::{Draft, Span};
use crate::keys::{AnyKey, Char, Flag, Key, KeySet, Maybe, Section, SubTable, Texts, Whole, Word, Words};
use sluicebox_core::plan::{CsvFormat, Encoding, Quoting, TextValues};

const DELIMITER: Key<Maybe<Char>> = Key::new("delimiter", Char, "Between fields.")
    .more("A tab is `\"\\t\"`.")
    .optional()
    .absent("`\"\\t\"` in `.tsv` files, else `\",\"`")
    .example(r#"";""#);
const QUOTE: Key<Char> = Key::new("quote", Char, "Around fields that hold a delimiter or a newline.")
    .default(|| CsvFormat::default().quote)
    .example(r#""'""#);
const QUOTING: Key<Word<Quoting>> = Key::new("quoting", Word::new(), "What quotes mean.")
    .more(
        "`strict`: they enclose whole fields, as RFC 4180 says, and a record with any other quote is a bad one. `lenient`: a \
         quote inside of a field that does not begin with one is a character like others. `none`: every quote is.",
    )
    .default(|| CsvFormat::default().quoting)
    .example(r#""none""#);
const ESCAPE: Key<Maybe<Char>> =
    Key::new("escape", Char, "Makes a quote, a delimiter, a line end or itself behind it a character of the text.")
        .more("Before anything else it is a character itself. Two quotes in a quoted field are still one.")
        .optional()
        .example(r#""\\""#);
const COMMENT: Key<Maybe<Char>> = Key::new("comment", Char, "A line that begins with it is passed over.")
    .more("In files; a message is a record, whatever it begins with.")
    .optional()
    .example(r##""#""##);
const SKIP_ROWS: Key<Whole<u64>> =
    Key::new("skip_rows", Whole::from_to(0, 1_000_000), "Lines of a file, before the header, that are passed over.")
        .default(|| CsvFormat::default().skip_rows)
        .example("3");
const SKIP_BLANK: Key<Maybe<Flag>> = Key::new("skip_blank", Flag, "Whether empty lines are passed over.")
    .more("In a file of one column each is a row with an empty field, unless this is `true`.")
    .optional()
    .absent("`true`, except in files of one column")
    .example("true");
const RAGGED: Key<Flag> =
    Key::new("ragged", Flag, "Whether records may have another number of fields than the header.")
        .more("Those that one lacks are null, those that it has too many must be empty.")
        .default(|| CsvFormat::default().ragged)
        .example("true");
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
pub(super) static KEYS: KeySet = KeySet {
    about: "How CSV is read.",
    keys: &[
        &DELIMITER,
        &QUOTE,
        &QUOTING,
        &ESCAPE,
        &COMMENT,
        &SKIP_ROWS,
        &SKIP_BLANK,
        &RAGGED,
        &HEADER,
        &NULLS,
        &ENCODING,
        &DECIMAL,
        &THOUSANDS,
        &DATE_FORMAT,
        &TIMESTAMP_FORMAT,
        &TIMEZONE,
        &EPOCH,
        &TRUE,
        &FALSE,
        &BY_COLUMN,
    ],
};

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
    let quoting = csv.get(&QUOTING);
    let escape = csv.get(&ESCAPE);
    let comment = csv.get(&COMMENT);
    let skip_rows = csv.get(&SKIP_ROWS);
    let skip_blank = csv.get(&SKIP_BLANK);
    let ragged = csv.get(&RAGGED);
    let header = csv.get(&HEADER);
    let nulls = csv.get(&NULLS);
    let encoding = csv.get(&ENCODING);
    let values = values::read(csv);
    let marks = [
        (&DELIMITER as &dyn AnyKey, delimiter.map(|delimiter| delimiter.unwrap_or(b','))),
        (&QUOTE as &dyn AnyKey, quote.filter(|_| quoting != Some(Quoting::None))),
        (&ESCAPE as &dyn AnyKey, escape.flatten()),
        (&COMMENT as &dyn AnyKey, comment.flatten()),
    ];
    for (at, (key, mark)) in marks.iter().enumerate() {
        let twin = marks[..at].iter().find(|(_, other)| mark.is_some() && other == mark);
        let Some((twin, _)) = twin else { continue };
        let draft = Draft::error(format!("`{}` and `{}` in {} are the same", twin.name(), key.name(), csv.what));
        let written = [csv.peek(*key), csv.peek(*twin)].into_iter().flatten();
        csv.cx.report(written.fold(draft, |draft, entry| draft.at(&entry.node.span)));
        return None;
    }
    let (all, columns) = values?;
    let format = CsvFormat {
        delimiter: delimiter?,
        quote: quote?,
        quoting: quoting?,
        escape: escape?,
        comment: comment?,
        skip_rows: skip_rows?,
        skip_blank: skip_blank?,
        ragged: ragged?,
        header: header?,
        nulls: nulls?,
        encoding: encoding?,
        values: Box::new(TextValues { all, columns }),
    };
    Some(Csv { format, header: csv.peek(&HEADER).map(|entry| entry.key_span.clone()) })
}

impl Words for Encoding {
    const ALL: &'static [(&'static str, Self)] =
        &[("utf-8", Self::Utf8), ("latin-1", Self::Latin1), ("windows-1252", Self::Windows1252)];
}

impl Words for Quoting {
    const ALL: &'static [(&'static str, Self)] =
        &[("strict", Self::Strict), ("lenient", Self::Lenient), ("none", Self::None)];
}
