//! Fixtures: rows in, expected rows out, for one module and no service.
//!
//! A case is a folder: `in/<port>.jsonl` for every input port, `out/<port>.jsonl` for
//! every output port, `rejected.jsonl` with `{"row": 0, "code": "…"}` for every row
//! that must be rejected, and `config.json` where the module needs other settings.

use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use serde_json::Value;

use super::fault::PipelineError;
use sluicebox_core::fault::in_one_line;
use sluicebox_core::plan::Limits;
use sluicebox_formats as format;
use sluicebox_sandbox::{Descriptor, Job, Module, Output, Role, Wanted};

/// How one case ended.
pub struct CaseResult {
    /// The folder's name.
    pub name: String,
    /// What differs; empty when the case passed.
    pub differences: Vec<String>,
}

/// Runs every case in a folder, in the order of their names. Must be called on a
/// guest thread.
pub fn run(module: &Module, config: &str, limits: &Limits, folder: &Path) -> Result<Vec<CaseResult>, PipelineError> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| wrong(folder, format!("cannot be read: {error}")))? {
        let path = entry.map_err(|error| wrong(folder, format!("cannot be read: {error}")))?.path();
        if path.is_dir() {
            cases.push(path);
        }
    }
    cases.sort();
    if cases.is_empty() {
        return Err(wrong(folder, "holds no case: each is a folder with `in/` and `out/`".into()));
    }
    cases.iter().map(|case| run_case(module, config, limits, case)).collect()
}

fn run_case(module: &Module, config: &str, limits: &Limits, case: &Path) -> Result<CaseResult, PipelineError> {
    let own = case.join("config.json");
    let config = match own.exists() {
        true => fs::read_to_string(&own).map_err(|error| wrong(&own, format!("cannot be read: {error}")))?,
        false => config.to_owned(),
    };
    let name = case.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let result = match execute(module, &config, limits, case)? {
        Ok(found) => compare(&found, case)?,
        Err(failure) => vec![failure],
    };
    Ok(CaseResult { name, differences: result })
}

/// The output of a module for a case.
struct Found {
    descriptor: Descriptor,
    batches: Vec<(usize, RecordBatch)>,
    rejected: Vec<(u64, String)>,
}

/// Runs the module over the case. The inner error is the module's own failure, which
/// fails the case and not the run.
fn execute(
    module: &Module,
    config: &str,
    limits: &Limits,
    case: &Path,
) -> Result<Result<Found, String>, PipelineError> {
    let descriptor = match module.describe(config, limits) {
        Ok(descriptor) => descriptor,
        Err(error) => return Ok(Err(in_one_line(&error))),
    };
    let mut inputs = Vec::new();
    for (port, input) in descriptor.inputs.iter().enumerate() {
        let path = case.join("in").join(format!("{}.jsonl", input.name));
        inputs.push((port, read_rows(&path, &input.wanted)?));
    }
    // Lookup tables are pushed before the first row.
    inputs.sort_by_key(|(port, _)| descriptor.inputs[*port].role == Role::Rows);
    let bound: Vec<_> =
        inputs.iter().map(|(port, rows)| (descriptor.inputs[*port].name.clone(), rows.schema())).collect();
    let binding = match descriptor.bind(&bound) {
        Ok(binding) => std::sync::Arc::new(binding),
        Err(error) => return Ok(Err(in_one_line(&error))),
    };
    let mut found = Found { descriptor, batches: Vec::new(), rejected: Vec::new() };
    let run = |found: &mut Found| -> Result<(), sluicebox_sandbox::JobError> {
        let mut job = Job::open(module, config, binding, limits, None)?;
        let mut keep = |output: Output| {
            found.batches.extend(output.batches);
            found
                .rejected
                .extend(output.rejections.into_iter().map(|rejection| (u64::from(rejection.row), rejection.code)));
        };
        for (port, rows) in &inputs {
            if rows.num_rows() > 0 {
                keep(job.push(*port, rows, None)?);
            }
            keep(job.end_of_input(*port)?);
        }
        keep(job.flush(None)?);
        Ok(())
    };
    Ok(match run(&mut found) {
        Ok(()) => Ok(found),
        Err(error) => Err(in_one_line(&error)),
    })
}

fn compare(found: &Found, case: &Path) -> Result<Vec<String>, PipelineError> {
    let mut differences = Vec::new();
    for (port, output) in found.descriptor.outputs.iter().enumerate() {
        let path = case.join("out").join(format!("{}.jsonl", output.name));
        let actual: Vec<Value> = found
            .batches
            .iter()
            .filter(|(from, _)| *from == port)
            .flat_map(|(_, rows)| format::rows_as_json(rows, &(0..rows.num_rows()).collect::<Vec<_>>()))
            .map(|row| serde_json::from_slice(&row).unwrap_or(Value::Null))
            .collect();
        let expected = if path.exists() { read_json(&path)? } else { Vec::new() };
        differ(&format!("port `{}`", output.name), &expected, &actual, &mut differences);
    }
    let path = case.join("rejected.jsonl");
    let expected = if path.exists() { read_json(&path)? } else { Vec::new() };
    let actual: Vec<Value> =
        found.rejected.iter().map(|(row, code)| serde_json::json!({ "row": row, "code": code })).collect();
    differ("rejected rows", &expected, &actual, &mut differences);
    Ok(differences)
}

/// Compares row by row. A field that an expected row leaves out is expected to be null.
fn differ(what: &str, expected: &[Value], actual: &[Value], differences: &mut Vec<String>) {
    for (row, (expected, actual)) in expected.iter().zip(actual).enumerate() {
        let (expected, actual) = (without_nulls(expected), without_nulls(actual));
        if expected != actual {
            differences.push(format!("{what}, row {row}:\n      expected {expected}\n      found    {actual}"));
        }
    }
    if expected.len() != actual.len() {
        let next = match actual.get(expected.len()) {
            Some(extra) => format!("; the first one too many is {extra}"),
            None => format!("; the first one missing is {}", expected[actual.len()]),
        };
        differences.push(format!("{what}: expected {} rows, found {}{next}", expected.len(), actual.len()));
    }
}

fn without_nulls(row: &Value) -> Value {
    match row {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// The rows of an input file, with the types that the port wants; fields beyond those
/// are inferred.
fn read_rows(path: &Path, wanted: &Wanted) -> Result<RecordBatch, PipelineError> {
    let text = fs::read(path).map_err(|error| wrong(path, format!("cannot be read: {error}")))?;
    let inferred = format::infer_json(&text).map_err(|error| wrong(path, in_one_line(&error)))?;
    let schema: SchemaRef = match wanted {
        Wanted::All => inferred,
        Wanted::Columns(wanted) => {
            let mut fields = wanted.fields().to_vec();
            fields.extend(
                inferred.fields().iter().filter(|field| wanted.field_with_name(field.name()).is_err()).cloned(),
            );
            std::sync::Arc::new(Schema::new(fields))
        }
    };
    format::rows_from_json(&text, &schema).map_err(|error| wrong(path, in_one_line(&error)))
}

fn read_json(path: &Path) -> Result<Vec<Value>, PipelineError> {
    let text = fs::read_to_string(path).map_err(|error| wrong(path, format!("cannot be read: {error}")))?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| wrong(path, format!("line {} is not JSON: {error}", number + 1)))
        })
        .collect()
}

fn wrong(path: &Path, message: String) -> PipelineError {
    PipelineError::Fixture { path: PathBuf::from(path), message }
}
