//! `sluice infer`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use arrow_schema::{DataType, TimeUnit};

use super::Exit;
use super::session::{end, fail, variable};
use crate::report;
use sluicebox_core::plan::{
    ChangedFiles, ColumnNames, Compression, CsvFormat, Encoding, FileColumns, FilesSpec, Format, Links, SourceKind,
    SourceSpec, Timestamps,
};
use sluicebox_formats::InferredColumn;
use sluicebox_service::{OperationError, PipelineFile, Service};
use sluicebox_sources::{self as source, Inferred};

#[derive(clap::Args)]
#[command(after_help = "\
Looks at the first records of up to eight files, the first and the last of the folder among
them, 20,000 records in all, and prints the columns as they stand in a pipeline file, each
with what was seen of it. A run without declared columns takes these; declared ones stay as
they are, whatever comes later.

Examples:
  sluice infer shop.toml                    the columns of every files source
  sluice infer shop.toml --source orders    those of one
  sluice infer drop/orders.csv              a whole source for one file")]
pub struct Args {
    /// A pipeline file, or a file with rows.
    file: PathBuf,
    /// Only this source of the pipeline.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Sets a variable of the pipeline; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
}

/// Prints columns that can be pasted into a pipeline file.
pub fn run(args: &Args) -> Exit {
    end(infer(args), false)
}

fn infer(args: &Args) -> Result<Exit, OperationError> {
    let service = Service::start()?;
    if args.file.extension().is_some_and(|ending| ending == "toml") {
        of_pipeline(args, &service)
    } else {
        Ok(of_file(&args.file, &service))
    }
}

fn of_pipeline(args: &Args, service: &Service) -> Result<Exit, OperationError> {
    let file = PipelineFile { path: args.file.clone(), vars: args.vars.iter().cloned().collect(), lake: None };
    let loaded = file.load()?;
    report::warnings(&loaded.warnings);
    let sources: Vec<&SourceSpec> = loaded.plan.sources.iter().filter(|spec| wanted(spec, args)).collect();
    if sources.is_empty() {
        let (text, hint) = match &args.source {
            Some(name) => (format!("there is no source `{name}`"), "name a source of the pipeline file"),
            None => ("no source reads files".to_owned(), "the columns of other sources have to be declared"),
        };
        report::message(&text, Some(hint));
        return Ok(Exit::Usage);
    }
    let mut exit = Exit::Done;
    for spec in sources {
        match source::infer(spec, service.handle()) {
            Ok(Some(inferred)) => {
                let declared = matches!(&spec.kind, SourceKind::Files(files) if files.columns.is_some());
                report::line(section(&spec.name, &inferred, declared));
            }
            Ok(None) => {
                let text = format!("source `{}` does not read files", spec.name);
                report::message(&text, Some("declare its columns"));
                exit = Exit::Usage;
            }
            Err(error) => exit = fail(&error),
        }
    }
    Ok(exit)
}

fn wanted(spec: &SourceSpec, args: &Args) -> bool {
    match &args.source {
        Some(name) => spec.name == *name,
        None => matches!(spec.kind, SourceKind::Files(_)),
    }
}

fn of_file(file: &Path, service: &Service) -> Exit {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((format, word)) = format_of(name) else {
        report::message(
            &format!("`{}` has no ending that says its format", file.display()),
            Some(
                "known endings are .csv, .tsv, .jsonl, .ndjson, .json, .parquet and .avro, also with .gz or .zst; or name a pipeline file",
            ),
        );
        return Exit::Usage;
    };
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let stem = name.split('.').next().unwrap_or_default();
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    let mut called: String = stem.chars().map(letter).collect();
    if !called.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        called.insert(0, 'x');
    }
    let glob: String = name
        .chars()
        .flat_map(|letter| match letter {
            '*' | '?' | '[' | ']' | '{' | '}' => vec!['[', letter, ']'],
            other => vec![other],
        })
        .collect();
    let spec = FilesSpec {
        path: folder.display().to_string(),
        glob: vec![glob.clone()],
        recursive: false,
        format,
        compression: Compression::Auto,
        columns: None,
        keep_files: false,
        changed_files: ChangedFiles::Stop,
        links: Links::Inside,
        max_files: FilesSpec::MAX_FILES,
        file_columns: FileColumns { hive: false, name: None, facts: Vec::new() },
        timestamps: Timestamps::Exact,
    };
    let spec = SourceSpec { name: called.clone(), kind: SourceKind::Files(spec), names: ColumnNames::default() };
    match source::infer(&spec, service.handle()) {
        Ok(inferred) => {
            let folder = quoted(&folder.display().to_string());
            report::line(format_args!(
                "[sources.{called}]\ntype = \"files\"\npath = {folder}\nglob = {}\nformat = \"{word}\"\n",
                quoted(&glob)
            ));
            if let Some(inferred) = inferred {
                report::line(section(&called, &inferred, false));
            }
            Exit::Done
        }
        Err(error) => fail(&error),
    }
}

fn format_of(name: &str) -> Option<(Format, &'static str)> {
    let lower = name.to_lowercase();
    let bare = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(&lower);
    Some(match bare.rsplit_once('.')?.1 {
        "csv" | "tsv" => (Format::Csv(CsvFormat::default()), "csv"),
        "jsonl" | "ndjson" | "json" => (Format::JsonLines { encoding: Encoding::Utf8 }, "jsonl"),
        "parquet" => (Format::Parquet, "parquet"),
        "avro" => (Format::Avro, "avro"),
        _ => return None,
    })
}

/// The table `columns` of a source, with what was seen as comments.
fn section(source: &str, inferred: &Inferred, declared: bool) -> String {
    let mut text = String::new();
    let sample = &inferred.sample;
    let files = match inferred.files.as_slice() {
        [only] => report::visible(only),
        files => files.iter().map(|file| report::visible(file)).collect::<Vec<_>>().join(", "),
    };
    let says = sample.columns.iter().all(|column| column.evidence.is_none());
    // Writing to a string cannot fail.
    let _ = match says {
        true => writeln!(text, "# as {files} says"),
        false => writeln!(
            text,
            "# from {} records of {} of {} files: {files}",
            report::count(sample.rows),
            inferred.files.len(),
            inferred.of
        ),
    };
    if declared {
        text.push_str("# the pipeline file declares columns; these are what its files would say\n");
    }
    if sample.rows == 0 {
        text.push_str("# there is no record yet, so the types are not known\n");
    }
    let _ = writeln!(text, "[sources.{source}.columns]");
    for column in &sample.columns {
        write_column(&mut text, column);
    }
    text
}

fn write_column(text: &mut String, column: &InferredColumn) {
    if let Some(evidence) = &column.evidence {
        let _ = write!(text, "# {} values", report::count(evidence.values));
        if evidence.nulls > 0 {
            let _ = write!(text, ", {} empty", report::count(evidence.nulls));
        }
        if !evidence.examples.is_empty() {
            let examples: Vec<_> =
                evidence.examples.iter().map(|example| format!("`{}`", report::visible(example))).collect();
            let _ = write!(text, ": {}", examples.join(", "));
        }
        text.push('\n');
        for against in &evidence.against {
            let _ = writeln!(text, "# {}", report::visible(against));
        }
    }
    let name = column.field.name();
    let bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let key = if bare { name.clone() } else { quoted(name) };
    match type_name(column.field.data_type()) {
        Some(kind) if !name.starts_with('_') => {
            let _ = writeln!(text, "{key} = \"{kind}\"");
        }
        Some(_) => {
            let _ = writeln!(text, "# {key}: names that begin with `_` cannot be declared");
        }
        None => {
            let _ = writeln!(
                text,
                "{key} = \"string\"  # objects and lists, as their JSON text; without `columns` they keep their types"
            );
        }
    }
}

/// A type as the pipeline file writes it; `None` where it has no word for it.
fn type_name(kind: &DataType) -> Option<String> {
    Some(match kind {
        DataType::Utf8 => "string".to_owned(),
        DataType::Binary => "binary".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Int8 => "int8".to_owned(),
        DataType::Int16 => "int16".to_owned(),
        DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Float32 => "float32".to_owned(),
        DataType::Float64 => "float64".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        _ => return None,
    })
}

/// A text as a string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other if other.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(other));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
