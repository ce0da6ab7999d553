//! Modes of tables against what hops read: a hop either takes the rows that are new or the
//! whole of its upstream, and the upstream must be able to give it that.

use super::context::{At, Context};
use super::hops::HopDraft;
use super::links::{Parts, Writers};
use super::problem::Draft;
use super::words::{self, ModeName};
use crate::plan::{Layer, TableName, Upstream, WriteMode};

/// Reports every hop whose upstream does not fit the tables that it writes.
pub(super) fn check(cx: &Context, parts: &Parts, writers: &Writers) {
    let modes = Modes { cx, parts, writers };
    parts.hops.iter().for_each(|hop| modes.check(hop));
}

struct Modes<'a> {
    cx: &'a Context,
    parts: &'a Parts,
    writers: &'a Writers,
}

/// A table that a hop writes.
struct Output<'a> {
    table: &'a At<TableName>,
    mode: ModeName,
}

impl Modes<'_> {
    fn check(&self, hop: &HopDraft) {
        let outputs = hop.to.iter().filter_map(|table| Some(Output { table, mode: self.mode(&table.value)? }));
        let (incremental, whole): (Vec<_>, Vec<_>) = outputs.partition(|output| is_incremental(output.mode));
        let from = hop.from.as_ref().map(|from| (from, &from.value));
        match (incremental.first(), whole.first(), from) {
            (Some(rows), Some(all), _) => self.report_two_kinds(hop, rows, all),
            (None, Some(all), Some((from, Upstream::Source(source)))) => self.report_source(hop, from, source, all),
            (Some(output), None, Some((from, Upstream::Table(table)))) => {
                if let Some(mode) = self.mode(table).filter(|mode| *mode != ModeName::Append) {
                    self.report_upstream(hop, from, table, mode, output);
                }
            }
            (None, Some(output), Some((from, Upstream::Table(table)))) => {
                if let Some(mode) = self.mode(table).filter(|mode| !is_incremental(*mode)) {
                    self.report_upstream(hop, from, table, mode, output);
                }
            }
            _ => {}
        }
    }

    fn report_two_kinds(&self, hop: &HopDraft, rows: &Output<'_>, all: &Output<'_>) {
        let label = |output: &Output<'_>| match is_incremental(output.mode) {
            true => format!("`{}` takes the rows that are new", words::name(output.mode)),
            false => format!("`{}` takes the whole upstream", words::name(output.mode)),
        };
        let message =
            format!("hop `{}` cannot write both `{}` and `{}`", hop.name.value, rows.table.value, all.table.value);
        self.cx.report(
            Draft::error(message)
                .also(&all.table.span, label(all))
                .also(&rows.table.span, label(rows))
                .hint("give each kind of table a hop of its own"),
        );
    }

    fn report_source(&self, hop: &HopDraft, from: &At<Upstream>, source: &str, all: &Output<'_>) {
        let landed = TableName { layer: Layer::Bronze, name: all.table.value.name.clone() };
        let mode = words::name(all.mode);
        self.cx.report(
            Draft::error(format!(
                "hop `{}` reads source `{source}` into table `{}`, whose mode is `{mode}`",
                hop.name.value, all.table.value
            ))
            .at(&from.span)
            .also(&all.table.span, format!("`{mode}` takes the whole upstream"))
            .hint(format!("a source gives each row once: land it in `{landed}`, and read that")),
        );
    }

    fn report_upstream(
        &self,
        hop: &HopDraft,
        from: &At<Upstream>,
        table: &TableName,
        mode: ModeName,
        output: &Output<'_>,
    ) {
        let (upstream, into) = (words::name(mode), words::name(output.mode));
        let origin = match self.origin(table, output.mode) {
            Some(origin) => format!("read `{origin}`, which it is made from"),
            None => format!("read {}", needs(output.mode)),
        };
        let hint = match mode {
            ModeName::Upsert => format!(
                "rows of `{table}` change after they were written; make `{}` an `overwrite` or `replace` table, or {origin}",
                output.table.value
            ),
            _ => format!("rows of `{table}` are written anew each time; {origin}"),
        };
        self.cx.report(
            Draft::error(format!(
                "hop `{}` reads table `{table}` (mode `{upstream}`) into table `{}` (mode `{into}`)",
                hop.name.value, output.table.value
            ))
            .at(&from.span)
            .also(&output.table.span, format!("`{into}` needs {} upstream", needs(output.mode)))
            .hint(hint),
        );
    }

    /// The table that `table` is made from, if a hop into a table of mode `into` may read it.
    fn origin(&self, table: &TableName, into: ModeName) -> Option<&TableName> {
        let (writer, _) = self.writers.get(table)?;
        let Upstream::Table(origin) = &self.parts.hops[*writer].from.as_ref()?.value else { return None };
        let fits = match self.mode(origin)? {
            ModeName::Append => true,
            ModeName::Upsert => !is_incremental(into),
            ModeName::Overwrite | ModeName::Replace => false,
        };
        fits.then_some(origin)
    }

    /// The mode of a table; `None` where its declaration is wrong and nothing can be said.
    fn mode(&self, table: &TableName) -> Option<ModeName> {
        match self.parts.tables.iter().find(|draft| draft.name.value == *table) {
            Some(draft) => draft.spec.as_ref().map(|spec| match spec.mode {
                WriteMode::Append => ModeName::Append,
                WriteMode::Upsert { .. } | WriteMode::Accumulate { .. } => ModeName::Upsert,
                WriteMode::Overwrite => ModeName::Overwrite,
                WriteMode::Replace { .. } => ModeName::Replace,
            }),
            None => Some(ModeName::Append),
        }
    }
}

fn is_incremental(mode: ModeName) -> bool {
    matches!(mode, ModeName::Append | ModeName::Upsert)
}

fn needs(mode: ModeName) -> &'static str {
    if is_incremental(mode) { "a source or an append table" } else { "an append or upsert table" }
}
