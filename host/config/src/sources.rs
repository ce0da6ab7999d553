//! `[sources.<name>]`: where rows come from.

use std::path::Path;

use globset::Glob;

use super::columns;
use super::context::{At, Context, meant_or_known};
use super::keys;
use super::names::check_name;
use super::paths;
use super::problem::Draft;
use super::section::{Section, table};
use super::tree::{Entry, Value};
use super::words::{self, FormatName};
use sluicebox_core::plan::{
    ChangedFiles, Compression, CsvFormat, Dataset, Encoding, EventMix, FilesSpec, Format, SimulateSpec, SourceKind,
    SourceSpec,
};

/// A source as far as it could be read.
pub(super) struct SourceDraft {
    pub(super) name: At<String>,
    /// `None` when something about it is wrong; that is already reported.
    pub(super) spec: Option<SourceSpec>,
}

/// Reads every source of the file.
pub(super) fn read(cx: &Context, entries: &[Entry], folder: &Path) -> Vec<SourceDraft> {
    entries
        .iter()
        .map(|entry| {
            let named = check_name(cx, "source", &entry.key, &entry.key_span);
            let kind = kind(cx, entry, folder);
            let spec = kind.filter(|_| named).map(|kind| SourceSpec { name: entry.key.clone(), kind });
            SourceDraft { name: At::new(entry.key.clone(), &entry.key_span), spec }
        })
        .collect()
}

fn kind(cx: &Context, entry: &Entry, folder: &Path) -> Option<SourceKind> {
    let what = format!("source `{}`", entry.key);
    let keys = table(cx, &what, &entry.node)?;
    let types: Vec<&str> = keys::SOURCES.iter().map(|(name, _)| *name).collect();
    let Some(kind) = keys.iter().find(|key| key.key == "type") else {
        cx.report(
            Draft::error(format!("{what} has no `type`"))
                .at(&entry.key_span)
                .hint(format!("add `type`, which is one of {}", words(&types))),
        );
        return None;
    };
    let open = |rules| Section::open(cx, rules, what.clone(), &entry.key_span, &entry.node);
    match &kind.node.value {
        Value::Text(text) => match text.as_str() {
            "files" => files(open(&keys::FILES)?, folder).map(SourceKind::Files),
            "capture" => super::capture::capture(&open(&keys::CAPTURE)?, folder).map(SourceKind::Capture),
            "kafka" => super::streams::kafka(&open(&keys::KAFKA)?, folder).map(SourceKind::Kafka),
            "eventhubs" => super::streams::event_hubs(&open(&keys::EVENT_HUBS)?, folder).map(SourceKind::Kafka),
            "simulate" => simulate(&open(&keys::SIMULATE)?).map(SourceKind::Simulate),
            other => {
                cx.report(
                    Draft::error(format!("unknown `type` `{other}` in {what}"))
                        .at(&kind.node.span)
                        .maybe_hint(meant_or_known(other, "possible value", &types)),
                );
                None
            }
        },
        Value::Broken => None,
        other => {
            cx.report(
                Draft::error(format!("`type` of {what} must be a string, not {}", other.kind()))
                    .at(&kind.node.span)
                    .hint(format!("write one of {}", words(&types))),
            );
            None
        }
    }
}

fn words(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn files(section: Section<'_>, folder: &Path) -> Option<FilesSpec> {
    let path = section.text("path").and_then(|path| resolve(&section, folder, &path));
    let format = section.word::<FormatName>("format");
    let columns = section.or("columns", None, |section, _| columns(section).map(Some));
    let glob = match (section.peek("glob"), format) {
        (Some(_), _) => globs(&section),
        (None, Some(format)) => Some(default_globs(format)),
        (None, None) => None,
    };
    let recursive = section.or("recursive", false, Section::flag);
    let keep_files = section.or("keep_files", false, Section::flag);
    let compression = section.or("compression", Compression::Auto, Section::word);
    let changed_files = section.or("changed_files", ChangedFiles::Stop, Section::word);
    let settings = settings(&section, format);
    if matches!(format, Some(FormatName::Parquet | FormatName::Avro))
        && matches!(compression, Some(Compression::Gzip | Compression::Zstd))
    {
        section.misplaced(
            "compression",
            "is for text files",
            "Parquet and Avro files compress their own blocks; leave `compression` out",
        );
    }
    Some(FilesSpec {
        path: path?,
        glob: glob?,
        recursive: recursive?,
        format: settings?,
        compression: compression?,
        columns: columns?,
        keep_files: keep_files?,
        changed_files: changed_files?,
    })
}

/// A folder, or the URL of an object store.
pub(super) fn resolve(section: &Section<'_>, folder: &Path, path: &At<String>) -> Option<String> {
    match paths::resolve(folder, &path.value) {
        Ok(path) => Some(path),
        Err(error) => {
            let message = format!("`path` of {} is not a usable path: {error}", section.what);
            section.cx.report(Draft::error(message).at(&path.span));
            None
        }
    }
}

/// The declared columns.
pub(super) fn columns(section: &Section<'_>) -> Option<arrow_schema::SchemaRef> {
    let entries = section.entries("columns")?;
    if entries.is_empty() {
        section.misplaced("columns", "declares no column", "declare columns, or leave the table out to infer them");
        return None;
    }
    columns::read(section.cx, &section.what, entries)
}

fn globs(section: &Section<'_>) -> Option<Vec<String>> {
    let globs = section.texts("glob", true)?;
    if globs.is_empty() {
        section.misplaced("glob", "lets no file in", "name a glob such as `\"*.csv\"`, or leave the key out");
        return None;
    }
    let mut sound = true;
    for glob in &globs {
        if let Err(error) = Glob::new(&glob.value) {
            let message = format!("`{}` in {} is not a valid glob: {}", glob.value, section.what, error.kind());
            section.cx.report(
                Draft::error(message)
                    .at(&glob.span)
                    .hint("`*` stands for any text, `?` for a character, `[ab]` for one of them, `{a,b}` for either"),
            );
            sound = false;
        } else if glob.value.is_empty() || glob.value.starts_with('/') {
            section.cx.report(
                Draft::error(format!("`{}` in {} is not a glob inside the folder", glob.value, section.what))
                    .at(&glob.span)
                    .hint("globs are relative to `path` and do not begin with `/`"),
            );
            sound = false;
        }
    }
    sound.then(|| globs.into_iter().map(|glob| glob.value).collect())
}

/// Every file with an ending of the format, compressed or not.
fn default_globs(format: FormatName) -> Vec<String> {
    let glob = match format {
        FormatName::Csv => "**/*.{csv,csv.gz,csv.zst}",
        FormatName::JsonLines => "**/*.{jsonl,ndjson,json,jsonl.gz,ndjson.gz,json.gz,jsonl.zst,ndjson.zst,json.zst}",
        FormatName::Parquet => "**/*.parquet",
        FormatName::Avro => "**/*.avro",
    };
    vec![glob.to_owned()]
}

fn settings(section: &Section<'_>, format: Option<FormatName>) -> Option<Format> {
    // Settings of another format are still read, so that what is wrong in them is seen at once.
    let csv = section.or("csv", CsvFormat::default(), |section, key| {
        let has_columns = section.peek("columns").is_some();
        section.section(key).and_then(|csv| read_csv(&csv, has_columns))
    });
    let jsonl =
        section.or("jsonl", Encoding::Utf8, |section, key| section.section(key).and_then(|jsonl| encoding(&jsonl)));
    let format = format?;
    for (key, home) in [("csv", FormatName::Csv), ("jsonl", FormatName::JsonLines)] {
        if format != home {
            let why = format!("has no use with format `{}`", words::name(format));
            section.misplaced(key, &why, &format!("remove it, or set `format = \"{key}\"`"));
        }
    }
    match format {
        FormatName::Csv => csv.map(Format::Csv),
        FormatName::JsonLines => jsonl.map(|encoding| Format::JsonLines { encoding }),
        FormatName::Parquet => Some(Format::Parquet),
        FormatName::Avro => Some(Format::Avro),
    }
}

/// Settings of CSV.
pub(super) fn read_csv(csv: &Section<'_>, has_columns: bool) -> Option<CsvFormat> {
    let plain = CsvFormat::default();
    let delimiter = csv.or("delimiter", plain.delimiter, Section::byte);
    let quote = csv.or("quote", plain.quote, Section::byte);
    let header = csv.or("header", plain.header, Section::flag);
    let nulls = csv
        .or("nulls", plain.nulls, |csv, key| Some(csv.texts(key, false)?.into_iter().map(|null| null.value).collect()));
    let encoding = encoding(csv);
    if delimiter.is_some() && delimiter == quote {
        let draft = Draft::error(format!("`delimiter` and `quote` in {} are the same", csv.what));
        let written = ["quote", "delimiter"].iter().filter_map(|key| csv.peek(key));
        csv.cx.report(written.fold(draft, |draft, entry| draft.at(&entry.node.span)));
        return None;
    }
    if header == Some(false) && !has_columns {
        csv.misplaced(
            "header",
            "leaves the columns without names",
            "declare the columns in their order, in `columns` of the source",
        );
        return None;
    }
    Some(CsvFormat { delimiter: delimiter?, quote: quote?, header: header?, nulls: nulls?, encoding: encoding? })
}

fn encoding(section: &Section<'_>) -> Option<Encoding> {
    section.or("encoding", Encoding::Utf8, Section::word)
}

fn simulate(section: &Section<'_>) -> Option<SimulateSpec> {
    let dataset = section.word("dataset");
    let rows = section.integer("rows");
    let seed = section.or("seed", 0, Section::integer);
    let bad = section.or("bad", 0.0, Section::share);
    let mix = EventMix::default();
    let rate = section.or("rate", 0, Section::integer);
    let late = section.or("late", mix.late, Section::share);
    let duplicates = section.or("duplicates", mix.duplicates, Section::share);
    let step = section.or("step", mix.step, Section::time);
    let dataset: Dataset = dataset?;
    if !matches!(dataset, Dataset::OrderEvents | Dataset::Reviews | Dataset::AppEvents) {
        for key in ["rate", "late", "duplicates", "step"] {
            section.misplaced(
                key,
                &format!("has no use with dataset `{}`", words::name(dataset)),
                "remove it, or take `order-events`, `reviews` or `app-events`",
            );
        }
    }
    let events = EventMix { rate: rate?.unsigned_abs(), late: late?, duplicates: duplicates?, step: step? };
    if events.late + events.duplicates > 1.0 {
        section.misplaced("late", "and `duplicates` are more than all events", "lower one of them");
        return None;
    }
    Some(SimulateSpec { dataset, rows: rows?.unsigned_abs(), seed: seed?.unsigned_abs(), bad: bad?, events })
}
