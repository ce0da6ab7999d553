//! `[hops.<name>]`: what moves rows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::{At, Context};
use super::json;
use super::keys;
use super::names::check_name;
use super::paths;
use super::problem::Draft;
use super::section::Section;
use super::tables;
use super::tree::{Entry, Value};
use sluicebox_core::plan::{EventTime, Flush, HopSpec, Limits, ModuleSpec, TableName, Upstream};

/// A hop as far as it could be read. What it reads and writes is known even where the
/// rest is wrong, so that other hops are not blamed for it.
pub(super) struct HopDraft {
    pub(super) name: At<String>,
    pub(super) from: Option<At<Upstream>>,
    pub(super) to: Vec<At<TableName>>,
    /// Whether `to` is all that it writes; else it may write any table.
    pub(super) to_is_whole: bool,
    pub(super) lookups: Vec<At<TableName>>,
    /// `None` when something about it is wrong; that is already reported.
    pub(super) spec: Option<HopSpec>,
}

/// Reads every hop of the file.
pub(super) fn read(cx: &Context, entries: &[Entry], folder: &Path) -> Vec<HopDraft> {
    entries.iter().map(|entry| hop(cx, entry, folder)).collect()
}

fn hop(cx: &Context, entry: &Entry, folder: &Path) -> HopDraft {
    let name = At::new(entry.key.clone(), &entry.key_span);
    let named = check_name(cx, "hop", &entry.key, &entry.key_span);
    let what = format!("hop `{}`", entry.key);
    let Some(section) = Section::open(cx, &keys::HOP, what, &entry.key_span, &entry.node) else {
        return HopDraft { name, from: None, to: Vec::new(), to_is_whole: false, lookups: Vec::new(), spec: None };
    };
    let from = section.text("from").and_then(|from| upstream(cx, from));
    let to = outputs(&section);
    let lookups =
        section.or("lookups", Ports::default(), |section, key| Some(ports(section, key, section.entries(key)?)));
    let lookups = lookups.unwrap_or(Ports { known: Vec::new(), whole: false });
    let module = section.or("module", None, |section, key| Some(Some(module(section, key, folder)?)));
    let config = section.or("config", "{}".to_owned(), |section, key| {
        section.entries(key)?;
        json::object(cx, &section.peek(key)?.node)
    });
    let limits = section.or("limits", Limits::default(), |section, key| limits(&section.section(key)?));
    let fixtures = section.or("fixtures", None, |section, key| Some(Some(fixtures(section, key, folder)?)));
    let event_time = section.or("event_time", None, |section, key| event_time(&section.section(key)?).map(Some));
    let flush = section.or("flush", Flush::default(), |section, key| flush(&section.section(key)?));
    if section.peek("module").is_none() {
        for key in ["config", "lookups", "limits", "fixtures", "event_time"] {
            section.misplaced(key, "has no use without a module", "add `module = \"….wasm\"`, or remove it");
        }
    }
    let spec = || {
        let module = match module? {
            Some(path) => Some(ModuleSpec { path, config: config?, limits: limits?, fixtures: fixtures? }),
            None => None,
        };
        Some(HopSpec {
            name: entry.key.clone(),
            from: from.as_ref()?.value.clone(),
            module,
            to: to.bare()?,
            lookups: lookups.bare()?,
            event_time: event_time?,
            flush: flush?,
        })
    };
    let spec = spec().filter(|_| named);
    HopDraft { name, spec, from, to_is_whole: to.whole, to: to.tables(), lookups: lookups.tables() }
}

/// Tables by port, as far as they could be read.
struct Ports<P> {
    known: Vec<(P, At<TableName>)>,
    /// Whether every one could.
    whole: bool,
}

impl<P: Clone> Ports<P> {
    fn bare(&self) -> Option<Vec<(P, TableName)>> {
        let bare = self.known.iter().map(|(port, table)| (port.clone(), table.value.clone()));
        self.whole.then(|| bare.collect())
    }

    fn tables(self) -> Vec<At<TableName>> {
        self.known.into_iter().map(|(_, table)| table).collect()
    }
}

impl<P> Default for Ports<P> {
    fn default() -> Self {
        Self { known: Vec::new(), whole: true }
    }
}

fn upstream(cx: &Context, from: At<String>) -> Option<At<Upstream>> {
    let upstream = match from.value.contains('.') {
        true => Upstream::Table(tables::parse_name(cx, &from.value, &from.span)?),
        false => Upstream::Source(from.value),
    };
    Some(At::new(upstream, &from.span))
}

fn outputs(section: &Section<'_>) -> Ports<Option<String>> {
    let nothing = Ports { known: Vec::new(), whole: false };
    let Some(entry) = section.entry("to") else { return nothing };
    match &entry.node.value {
        Value::Table(entries) => {
            if section.peek("module").is_none() {
                section.misplaced(
                    "to",
                    "names output ports, and there is no module to have them",
                    "name one table: `to = \"bronze.orders\"`, for example",
                );
            } else if entries.is_empty() {
                section.misplaced("to", "names no table", "name a table for at least one output");
            }
            let Ports { known, whole } = ports(section, "to", entries);
            Ports { known: known.into_iter().map(|(port, table)| (Some(port), table)).collect(), whole }
        }
        Value::Text(text) => match tables::parse_name(section.cx, text, &entry.node.span) {
            Some(table) => Ports { known: vec![(None, At::new(table, &entry.node.span))], whole: true },
            None => nothing,
        },
        _ => {
            section.wrong("to", "a table's name, or a table of output ports", &entry.node, None);
            nothing
        }
    }
}

fn ports(section: &Section<'_>, key: &str, entries: &[Entry]) -> Ports<String> {
    let known: Vec<_> = entries
        .iter()
        .filter_map(|entry| match &entry.node.value {
            Value::Text(text) => {
                let table = tables::parse_name(section.cx, text, &entry.node.span)?;
                Some((entry.key.clone(), At::new(table, &entry.node.span)))
            }
            _ => {
                section.wrong(&format!("{key}.{}", entry.key), "a table's name", &entry.node, None);
                None
            }
        })
        .collect();
    let whole = known.len() == entries.len();
    Ports { known, whole }
}

fn module(section: &Section<'_>, key: &str, folder: &Path) -> Option<PathBuf> {
    let written = section.text(key)?;
    let refuse = |message: String, hint: &str| {
        section.cx.report(Draft::error(message).at(&written.span).hint(hint));
        None
    };
    let what = &section.what;
    if paths::is_url(&written.value) {
        return refuse(
            format!("the module of {what} is a URL: `{}`", written.value),
            "modules are files; fetch it and name the file",
        );
    }
    let path = match paths::absolute(&folder.join(&written.value)) {
        Ok(path) => PathBuf::from(path),
        Err(error) => return refuse(format!("the module of {what} is not a usable path: {error}"), "name a file"),
    };
    if section.cx.kept {
        return Some(path);
    }
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Some(path),
        Ok(_) => refuse(
            format!("the module of {what} is not a file: `{}`", written.value),
            "name the compiled `.wasm` file itself",
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => refuse(
            format!("the module of {what} does not exist: `{}`", written.value),
            "build the modules with `just modules`; the path is relative to this file",
        ),
        Err(error) => refuse(
            format!("the module of {what} cannot be read: `{}`: {error}", written.value),
            "check that it may be read",
        ),
    }
}

/// Only `sluice test` needs the folder, so whether it is there is not looked into.
fn fixtures(section: &Section<'_>, key: &str, folder: &Path) -> Option<PathBuf> {
    let written = section.text(key)?;
    match paths::absolute(&folder.join(&written.value)) {
        Ok(path) => Some(PathBuf::from(path)),
        Err(error) => {
            let message = format!("the fixtures of {} are not a usable path: {error}", section.what);
            section.cx.report(Draft::error(message).at(&written.span));
            None
        }
    }
}

fn limits(section: &Section<'_>) -> Option<Limits> {
    let standard = Limits::default();
    let memory = section.or("memory", standard.memory, Section::size);
    let time = section.or("time", standard.time, Section::time);
    let output_bytes = section.or("output_bytes", standard.output_bytes, Section::size);
    let output_rows = count(section, "output_rows", standard.output_rows);
    let log_lines = count(section, "log_lines", standard.log_lines);
    let log_bytes = section.or("log_bytes", standard.log_bytes.into(), Section::size);
    let handles = count(section, "handles", standard.handles);
    let stack = section.or("stack", standard.stack.into(), Section::size);
    // The keys' ranges end below what 32 bits hold, so nothing is lost in these conversions.
    Some(Limits {
        memory: memory?,
        time: time?,
        output_bytes: output_bytes?,
        output_rows: output_rows?,
        log_lines: log_lines?,
        log_bytes: u32::try_from(log_bytes?).ok()?,
        handles: handles?,
        stack: u32::try_from(stack?).ok()?,
    })
}

fn event_time(section: &Section<'_>) -> Option<EventTime> {
    let column = section.text("column");
    let lateness = section.or("lateness", LATENESS, Section::time);
    Some(EventTime { column: column?.value, lateness: lateness? })
}

/// What rows may be late where the file does not say.
const LATENESS: Duration = Duration::from_secs(600);

fn flush(section: &Section<'_>) -> Option<Flush> {
    let standard = Flush::default();
    let rows = count(section, "rows", standard.rows);
    let bytes = section.or("bytes", standard.bytes, Section::size);
    let time = section.or("time", standard.time, Section::time);
    Some(Flush { rows: rows?, bytes: bytes?, time: time? })
}

/// A whole number that the range of its key keeps inside `T`.
fn count<T: TryFrom<i64>>(section: &Section<'_>, key: &str, standard: T) -> Option<T> {
    section.or(key, standard, |section, key| T::try_from(section.integer(key)?).ok())
}
