//! Text to validated plan: the file as a tree, its parts, and what ties them together.
//!
//! Reading goes on after a problem as far as that is sensible, so that a person sees
//! every problem at once, each with its place and what to try.

mod diagnostics;
mod document;
mod file;
mod hops;
mod kept;
mod keys;
mod links;
mod reference;
mod sources;
mod tables;
mod vars;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

pub use diagnostics::{Level, Problem, Problems, Snippet};
pub use document::Places;
pub use file::json_schema;
pub use reference::{ReferenceError, fill_reference};

use diagnostics::{Context, Draft, Text};

use sluicebox_core::plan::Plan;

/// A pipeline file that was read without an error.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub plan: Plan,
    /// The lake that it names: an absolute path or a URL.
    pub lake: Option<String>,
    /// Where each key stands, so that later problems can point into the file.
    pub places: Places,
    /// What is odd about it.
    pub warnings: Vec<Problem>,
}

/// Reads the pipeline file at `path`, its variables set by `vars`.
///
/// # Errors
/// Every problem of the file at once. Modules are looked for and not opened; sources
/// and the lake are not touched.
pub fn load(path: &Path, vars: &BTreeMap<String, String>) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    let body = read_file(path).map_err(|error| unreadable(&name, error))?;
    let body = match String::from_utf8(body) {
        Ok(body) => body,
        Err(error) => return Err(not_utf8(name, &error)),
    };
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    read(Context::new(Arc::new(Text::new(name, body)), folder), vars)
}

/// Bytes that a pipeline file may have.
const MOST_BYTES: u64 = 16 << 20;

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut body)?;
    if body.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(body)
}

/// Reads a pipeline that was kept beside its tables: [`Plan::text`] of a plan that ran, which
/// people know by `name`. The modules that it names need not be where they were; whoever
/// reads it has them from elsewhere.
///
/// # Errors
/// As [`load`]; the text is not what this program keeps.
pub fn reload(name: &str, text: String) -> Result<Loaded, Problems> {
    read(Context::of_kept(Arc::new(Text::new(name, text))), &BTreeMap::new())
}

fn read(cx: Context, given: &BTreeMap<String, String>) -> Result<Loaded, Problems> {
    let file = cx.text.name().to_owned();
    let loaded = file::read(&cx, given);
    if loaded.is_none() && !cx.has_errors() {
        // No way leads here; if one does, a person must not be told that nothing is wrong.
        cx.report(
            Draft::error("the pipeline file was not understood, and nothing wrong was found in it")
                .hint("this is a fault of Sluicebox; please report it together with the file"),
        );
    }
    let problems = cx.into_problems();
    match loaded {
        Some(file::Read { plan, lake, places }) if problems.iter().all(|problem| problem.level == Level::Warning) => {
            Ok(Loaded { plan, lake, places, warnings: problems })
        }
        _ => Err(Problems::new(file, problems)),
    }
}

fn unreadable(name: &str, error: io::Error) -> Problems {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "check the path of the pipeline file",
        io::ErrorKind::IsADirectory => "name the pipeline file itself, not its folder",
        _ => "check that the file may be read",
    };
    let draft = Draft::error(format!("cannot read the pipeline file `{name}`: {error}")).hint(hint);
    let problem = draft.into_problem(&Arc::new(Text::new(name, "")));
    Problems::unreadable(name.to_owned(), problem, error)
}

fn not_utf8(name: String, error: &std::string::FromUtf8Error) -> Problems {
    let valid = error.utf8_error().valid_up_to();
    let body = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let draft = Draft::error("the pipeline file is not UTF-8").at(&(valid..valid)).hint("save the file as UTF-8");
    let problem = draft.into_problem(&Arc::new(Text::new(name.clone(), body)));
    Problems::new(name, vec![problem])
}
