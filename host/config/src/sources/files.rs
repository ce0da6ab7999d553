//! `[sources.<name>]` with `type = "files"`.

use globset::Glob;
use serde_json::{Value as Json, json};

use super::columns::ColumnTypes;
use super::csv::{CSV, Csv};
use super::file_columns::{self, FILE_COLUMNS, FILE_NAME, HIVE_FOLDERS};
use super::names::{COLUMN_NAMES, RENAME};
use super::{SourceType, Type, timestamps_key, type_key};
use crate::diagnostics::Draft;
use crate::keys::{
    Flag, Found, Key, KeySet, Kind, Location, Maybe, Section, Shape, SubTable, Texts, Whole, Word, Words, word_of,
};
use sluicebox_core::plan::{ChangedFiles, Compression, Encoding, FilesSpec, Format, Links, SourceKind, Timestamps};

const KIND: Key<Type> = type_key("files");
const PATH: Key<Location> =
    Key::new("path", Location, "The folder, relative to this file, or the URL of an object store.")
        .example(r#""${data}""#);
const GLOB: Key<Globs> = Key::new("glob", Globs, "Which files of the folder, as one glob or a list.")
    .more(
        "Globs are relative to the folder; any of a list lets a file in. The default takes every file with an ending of \
         the format, compressed or not.",
    )
    .default(|| vec![EVERYTHING.to_owned()])
    .example(r#""*orders*.csv""#);
const RECURSIVE: Key<Flag> =
    Key::new("recursive", Flag, "Whether folders below it are read too.").default(|| false).example("true");
const LINKS: Key<Word<Links>> =
    Key::new("links", Word::new(), "Which links are followed: those that lead to something in the folder, or all.")
        .more("See [which files are read](#which-files-are-read).")
        .default(|| Links::Inside)
        .example(r#""anywhere""#);
const MAX_FILES: Key<Whole<u64>> = Key::new(
    "max_files",
    Whole::from_to(1, 1_000_000_000),
    "How many files and folders may be looked at; with more the source stops.",
)
.default(|| FilesSpec::MAX_FILES)
.example("5_000_000");
const FORMAT: Key<Word<FormatName>> = Key::new("format", Word::new(), "How a file is decoded.").example(r#""csv""#);
const COMPRESSION: Key<Word<Compression>> =
    Key::new("compression", Word::new(), "How a file is compressed; `auto` goes by the ending of its name.")
        .more("The endings are `.gz`, `.zst`, `.bz2` and `.xz`; any other file is then not compressed. All members of a compressed file are read; only zeros may follow the last. Parquet and Avro files compress their own blocks.")
        .default(|| Compression::Auto)
        .example(r#""gzip""#);
const KEEP_FILES: Key<Flag> =
    Key::new("keep_files", Flag, "Whether each file is kept unchanged beside the bronze table.")
        .default(|| false)
        .example("true");
const CHANGED_FILES: Key<Word<ChangedFiles>> = Key::new(
    "changed_files",
    Word::new(),
    "What happens with a file that changed after it was read to its end.",
)
.more(
    "Stop and name it, or leave it with a warning. The same holds for a file that was written to after a part of \
             it was read; left with a warning, it is read on.",
)
.default(|| ChangedFiles::Stop)
.example(r#""ignore""#);
const TIMESTAMPS: Key<Word<Timestamps>> = timestamps_key();
const CSV_KEY: Key<SubTable<Csv>> = Key::new("csv", CSV, "How CSV is read; only with `format = \"csv\"`.")
    .default(Csv::default)
    .absent("see below")
    .example(r#"{ delimiter = ";" }"#);
const JSONL: Key<SubTable<Encoding>> = Key::new(
    "jsonl",
    SubTable { keys: &JSONL_KEYS, read: |jsonl| jsonl.get(&JSONL_ENCODING) },
    "How JSON lines are read; only with `format = \"jsonl\"`.",
)
.default(|| Encoding::Utf8)
.absent("see below")
.example(r#"{ encoding = "utf-8" }"#);
const JSON: Key<SubTable<Documents>> = Key::new(
    "json",
    SubTable { keys: &JSON_KEYS, read: |json| Some((json.get(&JSON_ENCODING)?, json.get(&JSON_PATH)?)) },
    "How JSON documents are read; only with `format = \"json\"`.",
)
.default(|| (Encoding::Utf8, None))
.absent("see below")
.example(r#"{ path = "data.items" }"#);
const COLUMNS: Key<Maybe<ColumnTypes>> =
    Key::new("columns", ColumnTypes, "The columns in table order; without it they are inferred from the first file.")
        .optional()
        .absent("inferred")
        .example(r#"{ id = "int64 not null", name = "string" }"#);

const JSONL_ENCODING: Key<Word<Encoding>> =
    Key::new("encoding", Word::new(), "The character encoding.").default(|| Encoding::Utf8).example(r#""latin-1""#);

/// The encoding of JSON documents, and the path to the records in each.
type Documents = (Encoding, Option<Vec<String>>);

const JSON_PATH: Key<Maybe<JsonPath>> = Key::new(
    "path",
    JsonPath,
    "The keys that lead to the records in each document, with points between them.",
)
.more(
    "`data.items` reads `{\"data\": {\"items\": [{…}, {…}]}}`. An array there holds records, an object is one record, \
             and null is none.",
)
.optional()
.absent("the document itself")
.example(r#""data.items""#);
const JSON_ENCODING: Key<Word<Encoding>> =
    Key::new("encoding", Word::new(), "The character encoding.").default(|| Encoding::Utf8).example(r#""latin-1""#);

/// `[sources.<name>]` with `type = "files"`.
pub(super) static KEYS: KeySet = KeySet {
    about: "Files in a folder; each file is read once, in the order of its rows.",
    keys: &[
        &KIND,
        &PATH,
        &GLOB,
        &RECURSIVE,
        &LINKS,
        &MAX_FILES,
        &FORMAT,
        &COMPRESSION,
        &HIVE_FOLDERS,
        &FILE_NAME,
        &FILE_COLUMNS,
        &KEEP_FILES,
        &CHANGED_FILES,
        &TIMESTAMPS,
        &CSV_KEY,
        &JSONL,
        &JSON,
        &COLUMNS,
        &RENAME,
        &COLUMN_NAMES,
    ],
};

/// `jsonl` of a source.
pub(super) static JSONL_KEYS: KeySet = KeySet { about: "How JSON lines are read.", keys: &[&JSONL_ENCODING] };

/// `json` of a source.
pub(super) static JSON_KEYS: KeySet =
    KeySet { about: "How JSON documents are read.", keys: &[&JSON_PATH, &JSON_ENCODING] };

/// Files in a folder.
pub(super) const TYPE: SourceType =
    SourceType { name: "files", keys: &KEYS, read: |section| read(section).map(SourceKind::Files) };

fn read(section: &Section<'_>) -> Option<FilesSpec> {
    let path = section.get(&PATH);
    let format = section.get(&FORMAT);
    let columns = section.get(&COLUMNS);
    let glob = section.get(&GLOB);
    let recursive = section.get(&RECURSIVE);
    let (links, max_files) = (section.get(&LINKS), section.get(&MAX_FILES));
    let declares = |name: &str| {
        let declared = columns.iter().flatten().flat_map(|columns| columns.fields().iter());
        declared.into_iter().any(|field| field.name().eq_ignore_ascii_case(name))
    };
    let file_columns = file_columns::read(section, declares);
    let keep_files = section.get(&KEEP_FILES);
    let compression = section.get(&COMPRESSION);
    let changed_files = section.get(&CHANGED_FILES);
    let timestamps = section.get(&TIMESTAMPS);
    let settings = settings(section, format);
    if matches!(format, Some(FormatName::Parquet | FormatName::Avro))
        && !matches!(compression, None | Some(Compression::Auto | Compression::None))
    {
        section.misplaced(
            &COMPRESSION,
            "is for text files",
            "Parquet and Avro files compress their own blocks; leave `compression` out",
        );
    }
    Some(FilesSpec {
        path: path?,
        glob: glob?,
        recursive: recursive?,
        links: links?,
        max_files: max_files?,
        format: settings?,
        compression: compression?,
        columns: columns?,
        file_columns: file_columns?,
        keep_files: keep_files?,
        changed_files: changed_files?,
        timestamps: timestamps?,
    })
}

fn settings(section: &Section<'_>, format: Option<FormatName>) -> Option<Format> {
    // Settings of another format are still read, so that their problems are reported at once.
    let csv = section.get(&CSV_KEY);
    let jsonl = section.get(&JSONL);
    let json = section.get(&JSON);
    let csv = csv.filter(|csv| {
        let nameless = !csv.format.header && !section.has(&COLUMNS);
        if nameless {
            csv.misplaced_header(
                section,
                "leaves the columns without names",
                "declare the columns in their order, in `columns` of the source",
            );
        }
        !nameless
    });
    let format = format?;
    let why = format!("has no use with format `{}`", word_of(format));
    if format != FormatName::Csv {
        section.misplaced(&CSV_KEY, &why, "remove it, or set `format = \"csv\"`");
    }
    if format != FormatName::JsonLines {
        section.misplaced(&JSONL, &why, "remove it, or set `format = \"jsonl\"`");
    }
    if format != FormatName::Json {
        section.misplaced(&JSON, &why, "remove it, or set `format = \"json\"`");
    }
    match format {
        FormatName::Csv => csv.map(|csv| Format::Csv(csv.format)),
        FormatName::JsonLines => jsonl.map(|encoding| Format::JsonLines { encoding }),
        FormatName::Json => json.map(|(encoding, path)| Format::Json { encoding, path: path.unwrap_or_default() }),
        FormatName::Parquet => Some(Format::Parquet),
        FormatName::Avro => Some(Format::Avro),
    }
}

/// Matches every file. The source then chooses files by the endings of the format.
const EVERYTHING: &str = "**/*";

/// A glob or a list of globs, at least one.
#[derive(Clone, Copy)]
struct Globs;

impl Shape for Globs {
    fn label(&self) -> String {
        "glob or list of globs".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 },
        ] })
    }
}

impl Kind for Globs {
    type Value = Vec<String>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<String>> {
        let (section, what) = (found.section, found.what());
        let globs = Texts::read_at(found, true)?;
        if globs.is_empty() {
            let hint = "name a glob such as `\"*.csv\"`, or leave the key out";
            section.misplaced(found.key, "lets no file in", hint);
            return None;
        }
        let mut sound = true;
        for glob in &globs {
            if let Err(error) = Glob::new(&glob.value) {
                let message = format!("`{}` in {what} is not a valid glob: {}", glob.value, error.kind());
                section.cx.report(
                    Draft::error(message).at(&glob.span).hint(
                        "`*` stands for any text, `?` for a character, `[ab]` for one of them, `{a,b}` for either",
                    ),
                );
                sound = false;
            } else if glob.value.is_empty() || glob.value.starts_with('/') {
                section.cx.report(
                    Draft::error(format!("`{}` in {what} is not a glob inside the folder", glob.value))
                        .at(&glob.span)
                        .hint("globs are relative to `path` and do not begin with `/`"),
                );
                sound = false;
            }
        }
        sound.then(|| globs.into_iter().map(|glob| glob.value).collect())
    }

    fn toml(&self, value: &Vec<String>) -> Option<String> {
        match value.as_slice() {
            [only] => Some(format!("\"{only}\"")),
            _ => None,
        }
    }
}

/// Keys with points between them.
#[derive(Clone, Copy)]
struct JsonPath;

impl Shape for JsonPath {
    fn label(&self) -> String {
        "keys with points between them".to_owned()
    }
}

impl Kind for JsonPath {
    type Value = Vec<String>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<String>> {
        let path = found.text()?;
        let keys: Vec<String> = path.value.split('.').map(str::to_owned).collect();
        if keys.iter().any(String::is_empty) {
            let hint = "write keys with one point between them, as `data.items`";
            found.report(
                format!("`{}` of {} has a key without a name", found.name(), found.what()),
                Some(hint.to_owned()),
            );
            return None;
        }
        Some(keys)
    }

    fn toml(&self, value: &Vec<String>) -> Option<String> {
        Some(format!("\"{}\"", value.join(".")))
    }
}

/// The format of a file, before its settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FormatName {
    Csv,
    JsonLines,
    Json,
    Parquet,
    Avro,
}

impl Words for FormatName {
    const ALL: &'static [(&'static str, Self)] = &[
        ("csv", Self::Csv),
        ("jsonl", Self::JsonLines),
        ("json", Self::Json),
        ("parquet", Self::Parquet),
        ("avro", Self::Avro),
    ];
}

impl Words for Compression {
    const ALL: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("none", Self::None),
        ("gzip", Self::Gzip),
        ("zstd", Self::Zstd),
        ("bzip2", Self::Bzip2),
        ("xz", Self::Xz),
    ];
}

impl Words for ChangedFiles {
    const ALL: &'static [(&'static str, Self)] = &[("stop", Self::Stop), ("ignore", Self::Ignore)];
}

impl Words for Links {
    const ALL: &'static [(&'static str, Self)] = &[("inside", Self::Inside), ("anywhere", Self::Anywhere)];
}
