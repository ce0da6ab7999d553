//! The columns of a folder's files: declared, known of their table, or inferred from a sample of them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use tokio::runtime::Handle;

use super::columns::PathColumns;
use super::listing::{self, Listed};
use crate::{Inferred, SourceError};
use sluicebox_core::left_out::LeftOut;
use sluicebox_core::plan::{FilesSpec, Format};
use sluicebox_core::redact::RedactedUrl;
use sluicebox_formats::{self as format, FormatError, Sample, Sampled, chosen};

/// The columns that are declared, or known of the table that the rows land in.
pub(super) fn declared(spec: &FilesSpec, known: Option<SchemaRef>) -> Option<SchemaRef> {
    let columns = spec.columns.clone().or(known);
    columns.filter(|columns| !columns.fields().is_empty())
}

/// How a file of that name is read: its delimiter may depend on the name.
pub(super) fn of_file<'a>(format: &'a Format, name: &str) -> Cow<'a, Format> {
    match format {
        Format::Csv(csv) => Cow::Owned(Format::Csv(csv.of_file(name))),
        other => Cow::Borrowed(other),
    }
}

/// The files from which columns are inferred: those that are not empty, some from the first to the last.
pub(super) fn sample(files: &[Listed]) -> Vec<Listed> {
    let files: Vec<&Listed> = files.iter().filter(|file| file.bytes > 0).collect();
    chosen(files.len()).into_iter().map(|at| files[at].clone()).collect()
}

/// The columns of the files in `sample`, or of `file` where files have types of their own; `None` while no row says what
/// they are.
///
/// # Errors
/// A file cannot be read; with where it lies.
pub(super) fn inferred(
    file: &Listed,
    sample: &[Listed],
    spec: &FilesSpec,
) -> Result<Option<SchemaRef>, (Box<Listed>, FormatError)> {
    // The same files as when the hop was bound, so that the types are the same.
    let files: Vec<&Listed> = match spec.format {
        Format::Csv(_) if !sample.is_empty() => sample.iter().collect(),
        _ => vec![file],
    };
    let sample = look_at(&files, spec).map_err(|error| (Box::new(files[0].clone()), error))?;
    Ok(Some(sample.schema()).filter(|columns| sample.rows > 0 && !columns.fields().is_empty()))
}

fn look_at(files: &[&Listed], spec: &FilesSpec) -> Result<Sample, FormatError> {
    let inputs: Vec<_> = files.iter().map(|file| file.input()).collect();
    let files: Vec<Sampled<'_>> =
        files.iter().zip(&inputs).map(|(file, input)| Sampled { name: &file.lane, input }).collect();
    format::infer(&files, &spec.format, spec.compression)
}

/// The columns of a folder's files, those of their paths included. Those of which no row says what they are have no type.
pub(crate) fn schema(
    name: &str,
    spec: &FilesSpec,
    known: Option<SchemaRef>,
    runtime: &Handle,
) -> Result<SchemaRef, SourceError> {
    // What folders say is known only from the folders, unless the columns are declared.
    let (files, _) = match &spec.columns {
        Some(_) => (Vec::new(), LeftOut::default()),
        None => listing::list(name, spec, runtime)?,
    };
    let beside = PathColumns::of(spec, &files, known.as_ref());
    if let Some(columns) = declared(spec, known) {
        return Ok(beside.with(&beside.without(&columns)));
    }
    let inferred = infer_from(name, spec, &files)?;
    if inferred.sample.rows > 0 {
        return Ok(beside.with(&beside.without(&inferred.sample.schema())));
    }
    let untyped = |column: &format::InferredColumn| Field::new(column.field.name(), DataType::Null, true);
    let untyped = Schema::new(inferred.sample.columns.iter().map(untyped).collect::<Vec<_>>());
    Ok(beside.with(&beside.without(&Arc::new(untyped))))
}

/// What a folder's files say about their columns.
///
/// # Errors
/// The folder cannot be listed, it has no file with a column, or the first file cannot be read.
pub(crate) fn infer(name: &str, spec: &FilesSpec, runtime: &Handle) -> Result<Inferred, SourceError> {
    let (listed, _) = listing::list(name, spec, runtime)?;
    infer_from(name, spec, &listed)
}

fn infer_from(name: &str, spec: &FilesSpec, listed: &[Listed]) -> Result<Inferred, SourceError> {
    let mut files: Vec<Listed> = match spec.format {
        Format::Csv(_) => sample(listed),
        _ => listed.iter().filter(|file| file.bytes > 0).cloned().collect(),
    };
    let nothing =
        || SourceError::NothingToInfer { name: name.to_owned(), path: RedactedUrl::new(&spec.path).to_string() };
    loop {
        let Some(first) = files.first() else { return Err(nothing()) };
        let looked = look_at(&files.iter().collect::<Vec<_>>(), spec).map_err(|error| SourceError::File {
            name: name.to_owned(),
            file: first.location(),
            source: Box::new(error),
        });
        match looked {
            // A file that may not be read is left out, and the others say what they can.
            Err(error) if error.is_forbidden() => drop(files.remove(0)),
            Err(error) => return Err(error),
            Ok(sample) if sample.columns.is_empty() => return Err(nothing()),
            Ok(sample) => {
                let names = sample.files.iter().map(|at| files[*at].lane.clone()).collect();
                return Ok(Inferred { sample, files: names, of: listed.len() });
            }
        }
    }
}
