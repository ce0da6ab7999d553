//! The order of hops, and cycles.

use super::parts::Writers;
use crate::diagnostics::{Context, Draft, Span, list};
use crate::hops::HopDraft;
use sluicebox_core::plan::{TableName, Upstream};

/// The hops, each after the hops that write what it reads or looks up, and otherwise in the order of the file. `None`
/// if there is a cycle, which is reported.
pub(crate) fn check(cx: &Context, hops: &[HopDraft], writers: &Writers) -> Option<Vec<usize>> {
    let reads: Vec<Vec<Read<'_>>> = hops.iter().map(|hop| reads(hop, writers)).collect();
    let mut order = Vec::with_capacity(hops.len());
    let mut placed = vec![false; hops.len()];
    while let Some(next) =
        (0..hops.len()).find(|&hop| !placed[hop] && reads[hop].iter().all(|read| placed[read.writer]))
    {
        placed[next] = true;
        order.push(next);
    }
    if order.len() == hops.len() {
        return Some(order);
    }
    let mut seen = placed;
    for start in 0..hops.len() {
        if let Some(cycle) = cycle(start, &reads, &mut seen) {
            report(cx, hops, &cycle);
        }
    }
    None
}

/// A read of a table that `writer` writes.
struct Read<'a> {
    writer: usize,
    table: &'a TableName,
    span: &'a Span,
}

fn reads<'a>(hop: &'a HopDraft, writers: &Writers) -> Vec<Read<'a>> {
    let from = hop.from.as_ref().and_then(|from| match &from.value {
        Upstream::Table(table) => Some((table, &from.span)),
        Upstream::Source(_) => None,
    });
    let lookups = hop.lookups.iter().map(|lookup| (&lookup.value, &lookup.span));
    from.into_iter()
        .chain(lookups)
        .filter_map(|(table, span)| Some(Read { writer: writers.get(table)?.0, table, span }))
        .collect()
}

/// A cycle reachable from `start` through hops not yet seen, each with what it reads from the next. All visited hops
/// count as seen afterwards, so a cycle is found once.
fn cycle<'a>(start: usize, reads: &'a [Vec<Read<'a>>], seen: &mut [bool]) -> Option<Vec<(usize, &'a Read<'a>)>> {
    if std::mem::replace(&mut seen[start], true) {
        return None;
    }
    let mut path: Vec<(usize, usize)> = vec![(start, 0)];
    while let Some((hop, next)) = path.last_mut() {
        let Some(read) = reads[*hop].get(*next) else {
            path.pop();
            continue;
        };
        *next += 1;
        let writer = read.writer;
        if let Some(begin) = path.iter().position(|(hop, _)| *hop == writer) {
            // `next` was already advanced past the read in use.
            return Some(path[begin..].iter().map(|(hop, next)| (*hop, &reads[*hop][*next - 1])).collect());
        }
        if !std::mem::replace(&mut seen[writer], true) {
            path.push((writer, 0));
        }
    }
    None
}

fn report(cx: &Context, hops: &[HopDraft], cycle: &[(usize, &Read<'_>)]) {
    let names: Vec<&str> = cycle.iter().map(|(hop, _)| hops[*hop].name.value.as_str()).collect();
    let message = match names.as_slice() {
        [only] => format!("hop `{only}` reads the table that it writes"),
        names => format!("hops {} form a cycle", list(names)),
    };
    let mut draft = Draft::error(message);
    for (index, (hop, read)) in cycle.iter().enumerate() {
        let reader = &hops[*hop].name.value;
        let writer = &hops[read.writer].name.value;
        let label = format!("`{reader}` reads `{}`, which `{writer}` writes", read.table);
        draft = match (index, cycle.len()) {
            (0, 1) => draft.at(read.span),
            _ => draft.also(read.span, label),
        };
    }
    cx.report(draft.hint("let one of them read a table from further up"));
}
