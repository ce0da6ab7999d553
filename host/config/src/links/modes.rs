//! Checks the modes of tables against what hops read: a hop either follows its upstream or reads it as a whole, and
//! the upstream must support that.

use super::parts::{Parts, Writers};
use crate::diagnostics::{At, Context, Draft};
use crate::hops::HopDraft;
use crate::keys::word_of;
use crate::tables::ModeName;
use sluicebox_core::plan::{Layer, OnDeletes, TableName, Upstream, WriteMode};

/// Reports every hop whose upstream does not fit the tables that it writes.
pub(crate) fn check(cx: &Context, parts: &Parts, writers: &Writers) {
    let modes = Modes { cx, parts, writers };
    parts.hops.iter().for_each(|hop| modes.check(hop));
}

/// The tables whose changes a hop reads, unless the file sets `change_feed`.
pub(crate) fn followed(parts: &Parts) -> Vec<TableName> {
    let wanted = parts.hops.iter().filter_map(|hop| {
        let Upstream::Table(table) = &hop.from.as_ref()?.value else { return None };
        let outputs = hop.to.iter().all(|to| mode(parts, &to.value).is_some_and(|mode| mode != ModeName::Overwrite));
        (outputs && has_changes(mode(parts, table)?)).then_some(table)
    });
    let said =
        |table: &TableName| parts.tables.iter().any(|draft| draft.name.value == *table && draft.change_feed.is_some());
    wanted.filter(|table| !said(table)).cloned().collect()
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
        let outputs = hop.to.iter().filter_map(|table| Some(Output { table, mode: mode(self.parts, &table.value)? }));
        let (incremental, whole): (Vec<_>, Vec<_>) = outputs.partition(|output| is_incremental(output.mode));
        let from = hop.from.as_ref().map(|from| (from, &from.value));
        if let Some((at, Upstream::Table(table))) = from
            && hop.spec.as_ref().is_some_and(|spec| spec.on_deletes != OnDeletes::Stop)
            && let Some(mode) = mode(self.parts, table).filter(|mode| *mode != ModeName::Append)
        {
            self.report_deletes(hop, at, table, mode);
        }
        match (incremental.first(), whole.first(), from) {
            (Some(rows), Some(all), _) => self.report_two_kinds(hop, rows, all),
            (None, Some(all), Some((from, Upstream::Source(source)))) => self.report_source(hop, from, source, all),
            (Some(output), None, Some((from, Upstream::Table(table)))) => match mode(self.parts, table) {
                Some(mode) if !is_incremental(mode) => self.report_upstream(hop, from, table, mode, output),
                Some(mode) if has_changes(mode) => self.check_feed(hop, from, table, output),
                _ => {}
            },
            _ => {}
        }
    }

    /// Checks that the changes that a hop reads are recorded.
    fn check_feed(&self, hop: &HopDraft, from: &At<Upstream>, table: &TableName, output: &Output<'_>) {
        let draft = self.parts.tables.iter().find(|draft| draft.name.value == *table);
        let Some(off) = draft.and_then(|draft| draft.change_feed.as_ref()).filter(|feed| !feed.value) else { return };
        self.cx.report(
            Draft::error(format!("hop `{}` follows the changes of `{table}`, which records none", hop.name.value))
                .at(&off.span)
                .also(&from.span, format!("`{}` takes its changes", output.table.value))
                .hint("remove `change_feed`: it is on where a hop follows the table"),
        );
    }

    /// Only of append tables a deletion is news that has to be answered.
    fn report_deletes(&self, hop: &HopDraft, from: &At<Upstream>, table: &TableName, mode: ModeName) {
        let message = format!("hop `{}` has `on_deletes`, and `{table}` is not an append table", hop.name.value);
        self.cx.report(
            Draft::error(message)
                .at(&from.span)
                .hint(format!("remove it: rows of a table of mode `{}` come and go", word_of(mode))),
        );
    }

    fn report_two_kinds(&self, hop: &HopDraft, rows: &Output<'_>, all: &Output<'_>) {
        let label = |output: &Output<'_>| match is_incremental(output.mode) {
            true => format!("`{}` takes the rows that are new", word_of(output.mode)),
            false => format!("`{}` takes the whole upstream", word_of(output.mode)),
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
        let mode = word_of(all.mode);
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

    /// Reports a hop that follows a table that is rewritten each time.
    fn report_upstream(
        &self,
        hop: &HopDraft,
        from: &At<Upstream>,
        table: &TableName,
        mode: ModeName,
        output: &Output<'_>,
    ) {
        let (upstream, into) = (word_of(mode), word_of(output.mode));
        let origin = match self.origin(table) {
            Some(origin) => format!(", or read `{origin}`, which it is made from"),
            None => String::new(),
        };
        let hint = format!(
            "rows of `{table}` are written anew each time; make `{}` an `overwrite` or `replace` table{origin}",
            output.table.value
        );
        self.cx.report(
            Draft::error(format!(
                "hop `{}` reads table `{table}` (mode `{upstream}`) into table `{}` (mode `{into}`)",
                hop.name.value, output.table.value
            ))
            .at(&from.span)
            .also(&output.table.span, format!("`{into}` needs a source, or a table that it can follow"))
            .hint(hint),
        );
    }

    /// The upstream of `table`, if it can be followed.
    fn origin(&self, table: &TableName) -> Option<&TableName> {
        let (writer, _) = self.writers.get(table)?;
        let Upstream::Table(origin) = &self.parts.hops[*writer].from.as_ref()?.value else { return None };
        is_incremental(mode(self.parts, origin)?).then_some(origin)
    }
}

/// The mode of a table; `None` if its declaration is wrong.
fn mode(parts: &Parts, table: &TableName) -> Option<ModeName> {
    match parts.tables.iter().find(|draft| draft.name.value == *table) {
        Some(draft) => draft.spec.as_ref().map(|spec| match spec.mode {
            WriteMode::Append => ModeName::Append,
            WriteMode::Upsert { .. } => ModeName::Upsert,
            WriteMode::Accumulate { .. } => ModeName::Accumulate,
            WriteMode::Overwrite => ModeName::Overwrite,
            WriteMode::Replace { .. } => ModeName::Replace,
        }),
        None => Some(ModeName::Append),
    }
}

/// Whether a table is written incrementally and can be followed.
fn is_incremental(mode: ModeName) -> bool {
    matches!(mode, ModeName::Append | ModeName::Upsert | ModeName::Accumulate)
}

/// Whether rows of the table are updated and deleted.
fn has_changes(mode: ModeName) -> bool {
    matches!(mode, ModeName::Upsert | ModeName::Accumulate)
}
