//! Links between sources, hops and tables: every name resolved, no table with two writers, no cycles, and modes that
//! fit what hops read.

mod modes;
mod order;
mod parts;

use crate::diagnostics::{At, Context, Draft, Span, list, meant};
use crate::hops::HopDraft;
use sluicebox_core::plan::{TableName, Upstream};

pub(crate) use modes::followed;
pub(crate) use parts::Parts;

use parts::Writers;

/// Checks the links between the parts. Returns the hops in an order in which each comes after the hops that write
/// what it reads, unless there is a cycle.
pub(crate) fn check(cx: &Context, parts: &Parts) -> Option<Vec<usize>> {
    let writers = writers(cx, &parts.hops);
    let links = Links { cx, parts, writers };
    for hop in &parts.hops {
        links.check_upstream(hop);
        links.check_lookups(hop);
    }
    modes::check(cx, parts, &links.writers);
    order::check(cx, &parts.hops, &links.writers)
}

/// Warns of unused sources and tables.
pub(crate) fn report_unused(cx: &Context, parts: &Parts) {
    for source in &parts.sources {
        let upstream = Upstream::Source(source.name.value.clone());
        if !parts.hops.iter().any(|hop| hop.from.as_ref().is_some_and(|from| from.value == upstream)) {
            cx.report(
                Draft::warning(format!("no hop reads source `{}`", source.name.value))
                    .at(&source.name.span)
                    .hint(format!("add a hop with `from = \"{}\"`, or remove the source", source.name.value)),
            );
        }
    }
    for table in &parts.tables {
        if !parts.hops.iter().any(|hop| hop.to.iter().any(|to| to.value == table.name.value)) {
            cx.report(
                Draft::warning(format!("no hop writes table `{}`", table.name.value))
                    .at(&table.name.span)
                    .hint(format!("add a hop with `to = \"{}\"`, or remove the table", table.name.value)),
            );
        }
    }
}

/// The first hop that writes each table; a second one is reported.
fn writers(cx: &Context, hops: &[HopDraft]) -> Writers {
    let mut writers = Writers::new();
    for (index, hop) in hops.iter().enumerate() {
        for to in &hop.to {
            let Some((first, span)) = writers.get(&to.value) else {
                writers.insert(to.value.clone(), (index, to.span.clone()));
                continue;
            };
            let (first, name) = (&hops[*first].name.value, &hop.name.value);
            let message = match first == name {
                true => format!("hop `{name}` writes table `{}` from two outputs", to.value),
                false => format!("hops `{first}` and `{name}` both write table `{}`", to.value),
            };
            cx.report(
                Draft::error(message)
                    .at(&to.span)
                    .also(span, "first written here")
                    .hint("a table has one writer; let each write a table of its own"),
            );
        }
    }
    writers
}

struct Links<'a> {
    cx: &'a Context,
    parts: &'a Parts,
    writers: Writers,
}

impl Links<'_> {
    fn check_upstream(&self, hop: &HopDraft) {
        let Some(from) = &hop.from else { return };
        match &from.value {
            Upstream::Table(table) => self.check_written(hop, "reads", table, &from.span),
            Upstream::Source(name) => {
                if !self.parts.sources.iter().any(|source| source.name.value == *name) {
                    self.report_unknown_source(hop, name, &from.span);
                }
            }
        }
    }

    fn check_lookups(&self, hop: &HopDraft) {
        for At { value, span } in &hop.lookups {
            self.check_written(hop, "looks up", value, span);
        }
    }

    fn report_unknown_source(&self, hop: &HopDraft, name: &str, span: &Span) {
        let tables: Vec<String> = self.writers.keys().map(ToString::to_string).collect();
        let sources: Vec<&str> = self.parts.sources.iter().map(|source| source.name.value.as_str()).collect();
        let same_name = self.writers.keys().find(|table| table.name == name);
        let known = sources.iter().copied().chain(tables.iter().map(String::as_str));
        let hint = match (meant(name, known), same_name) {
            (_, Some(table)) => format!("to read the table, write `{table}`"),
            (Some(candidate), None) => format!("did you mean `{candidate}`?"),
            (None, None) if sources.is_empty() => format!("declare it with a `[sources.{name}]` table"),
            (None, None) => format!("sources are {}; tables are named `layer.table`", list(&sources)),
        };
        let message = format!("hop `{}` reads unknown source `{name}`", hop.name.value);
        self.cx.report(Draft::error(message).at(span).hint(hint));
    }

    fn check_written(&self, hop: &HopDraft, verb: &str, table: &TableName, span: &Span) {
        // A hop whose outputs could not all be read may be the writer.
        if self.writers.contains_key(table) || self.parts.hops.iter().any(|hop| !hop.to_is_whole) {
            return;
        }
        let written: Vec<String> = self.writers.keys().map(ToString::to_string).collect();
        let elsewhere = self.writers.keys().find(|other| other.name == table.name);
        let name = table.to_string();
        let hint = match (elsewhere, meant(&name, written.iter().map(String::as_str))) {
            (Some(other), _) => format!("did you mean `{other}`?"),
            (None, Some(candidate)) => format!("did you mean `{candidate}`?"),
            (None, None) => format!("tables that hops write are {}", list(&written)),
        };
        let message = format!("hop `{}` {verb} table `{table}`, which no hop writes", hop.name.value);
        self.cx.report(Draft::error(message).at(span).hint(hint));
    }
}
