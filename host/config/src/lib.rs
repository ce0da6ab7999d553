//! Text to validated plan: the file as a tree, its parts, and what ties them together.
//!
//! Reading goes on after a problem as far as that is sensible, so that a person sees
//! every problem at once, each with its place and what to try.

pub mod keys;
mod places;
mod problem;
pub mod schema;
mod text;

mod capture;
mod columns;
mod context;
mod derive;
mod expect;
mod hops;
mod identity;
mod json;
mod layout;
mod links;
mod message_format;
mod mode;
mod modes;
mod names;
mod order;
mod paths;
mod quantities;
mod resolved;
mod section;
mod sources;
mod streams;
mod syntax;
mod tables;
mod texts;
mod tree;
mod vars;
mod words;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use places::Places;
pub use problem::{Level, Problem, Problems, Snippet};

use context::Context;
use links::Parts;
use problem::Draft;
use section::Section;
use text::Text;
use tree::{Entry, Value};
use vars::Vars;

use sluicebox_core::plan::{Plan, TableName, TableSpec, Upstream};

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
    let body = std::fs::read(path).map_err(|error| unreadable(&name, error))?;
    let body = match String::from_utf8(body) {
        Ok(body) => body,
        Err(error) => return Err(not_utf8(name, &error)),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    read(Context::new(Arc::new(Text::new(name, body))), folder, vars)
}

/// Reads a pipeline that was kept beside its tables: [`Plan::text`] of a plan that ran, which
/// people know by `name`. The modules that it names need not be where they were; whoever
/// reads it has them from elsewhere.
///
/// # Errors
/// As [`load`]; the text is not what this program keeps.
pub fn reload(name: &str, text: String) -> Result<Loaded, Problems> {
    read(Context::of_kept(Arc::new(Text::new(name, text))), Path::new(""), &BTreeMap::new())
}

fn read(cx: Context, folder: &Path, given: &BTreeMap<String, String>) -> Result<Loaded, Problems> {
    let file = cx.text.name().to_owned();
    let loaded = interpret(&cx, folder, given);
    if loaded.is_none() && !cx.has_errors() {
        // No way leads here; if one does, a person must not be told that nothing is wrong.
        cx.report(
            Draft::error("the pipeline file was not understood, and nothing wrong was found in it")
                .hint("this is a fault of Sluicebox; please report it together with the file"),
        );
    }
    let problems = cx.into_problems();
    match loaded {
        Some(loaded) if problems.iter().all(|problem| problem.level == Level::Warning) => {
            Ok(Loaded { warnings: problems, ..loaded })
        }
        _ => Err(Problems::new(file, problems)),
    }
}

/// `None` only after an error was reported.
fn interpret(cx: &Context, folder: &Path, given: &BTreeMap<String, String>) -> Option<Loaded> {
    let mut root = tree::parse(cx)?;
    let Value::Table(entries) = &mut root.value else { return None };
    let vars = Vars::read(cx, entries, given, folder);
    for entry in entries.iter_mut().filter(|entry| entry.key != "vars") {
        vars.fill(cx, &entry.key, &mut entry.node);
    }
    // A missing table has no place; the file's first character stands for all of it.
    let file = Section::open(cx, &keys::FILE, "the file".to_owned(), &(0..0), &root)?;
    let pipeline = file.section("pipeline");
    let name = pipeline.as_ref().and_then(|pipeline| pipeline.name("name", "pipeline"));
    let lake = pipeline.as_ref().and_then(|pipeline| lake(pipeline, folder));
    if let Some(pipeline) = &pipeline {
        pipeline.or("description", None, |pipeline, key| pipeline.text(key).map(Some));
    }
    let named = |key| file.peek(key).and_then(|_| file.entries(key)).unwrap_or_default();
    let parts = Parts {
        sources: sources::read(cx, named("sources"), folder),
        tables: tables::read(cx, named("tables")),
        hops: hops::read(cx, file.entries("hops").unwrap_or_default(), folder),
    };
    if parts.hops.is_empty() && file.peek("hops").is_some() {
        file.misplaced("hops", "holds no hop", "add a hop: `[hops.land]` with `from` and `to`");
    }
    let order = links::check(cx, &parts);
    if cx.has_errors() {
        return None;
    }
    vars.report_unused(cx);
    links::report_unused(cx, &parts);
    let Value::Table(entries) = &root.value else { return None };
    let followed = modes::followed(&parts);
    let text = resolved::text(entries);
    let plan = assemble(name?.value, config_hash(entries), text, parts, &order?, &followed)?;
    Some(Loaded { plan, lake, places: Places::new(cx.text.clone(), entries), warnings: Vec::new() })
}

fn lake(pipeline: &Section<'_>, folder: &Path) -> Option<String> {
    pipeline.peek("lake")?;
    let lake = pipeline.text("lake")?;
    match paths::resolve(folder, &lake.value) {
        Ok(lake) => Some(lake),
        Err(error) => {
            pipeline.cx.report(Draft::error(format!("`lake` is not a usable path: {error}")).at(&lake.span));
            None
        }
    }
}

fn config_hash(entries: &[Entry]) -> String {
    let digest = Sha256::digest(json::canonical(entries).as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn assemble(
    name: String,
    config_hash: String,
    text: String,
    parts: Parts,
    order: &[usize],
    followed: &[TableName],
) -> Option<Plan> {
    let sources = parts.sources.into_iter().map(|source| source.spec).collect::<Option<Vec<_>>>()?;
    let mut hops: Vec<_> = parts.hops.into_iter().map(|hop| hop.spec).collect();
    let hops = order.iter().map(|&index| hops[index].take()).collect::<Option<Vec<_>>>()?;
    let declared = parts.tables.into_iter().map(|table| table.spec).collect::<Option<Vec<_>>>()?;
    let mut tables: Vec<TableSpec> = Vec::new();
    let mut add = |name: &TableName| {
        if !tables.iter().any(|table| table.name == *name) {
            let spec = declared.iter().find(|table| table.name == *name);
            tables.push(spec.cloned().unwrap_or_else(|| tables::plain(name)));
        }
    };
    for hop in &hops {
        if let Upstream::Table(table) = &hop.from {
            add(table);
        }
        hop.lookups.iter().for_each(|(_, table)| add(table));
        hop.to.iter().for_each(|(_, table)| add(table));
    }
    for table in tables.iter_mut().filter(|table| followed.contains(&table.name)) {
        table.changes = true;
    }
    Some(Plan { name, config_hash, text, sources, tables, hops })
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
