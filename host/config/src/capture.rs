//! `[sources.<name>]` with `type = "capture"`: files of Event Hubs Capture.

use std::path::Path;
use std::time::Duration;

use super::problem::Draft;
use super::section::Section;
use super::{message_format, sources};
use sluicebox_core::plan::{CaptureFiles, CaptureSpec, Gaps, LayoutPart, TimePart};

/// What Capture calls its files where nobody chose otherwise.
const LAYOUT: &str = "{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}";

/// Capture writes at least every 15 minutes, so an hour is several files.
const OVERLAP: Duration = Duration::from_secs(3_600);

const TOKENS: [(&str, LayoutPart); 9] = [
    ("Namespace", LayoutPart::Namespace),
    ("EventHub", LayoutPart::EventHub),
    ("PartitionId", LayoutPart::PartitionId),
    ("Year", LayoutPart::Time(TimePart::Year)),
    ("Month", LayoutPart::Time(TimePart::Month)),
    ("Day", LayoutPart::Time(TimePart::Day)),
    ("Hour", LayoutPart::Time(TimePart::Hour)),
    ("Minute", LayoutPart::Time(TimePart::Minute)),
    ("Second", LayoutPart::Time(TimePart::Second)),
];

/// A `capture` source.
pub(super) fn capture(section: &Section<'_>, folder: &Path) -> Option<CaptureSpec> {
    let files = files(section, folder);
    let raw = section.or("raw", true, Section::flag);
    let (format, columns) = message_format::read(section, folder).unzip();
    Some(CaptureSpec { files: files?, format: format?, columns: columns?, raw: raw? })
}

/// Which files, of a source of its own or of one that goes on with the live hub.
pub(super) fn files(section: &Section<'_>, folder: &Path) -> Option<CaptureFiles> {
    let path = section.text("path").and_then(|path| sources::resolve(section, folder, &path));
    let layout = section.or("layout", parse(LAYOUT).ok(), |section, key| layout(section, key).map(Some));
    let hub = section.or("hub", None, |section, key| section.text(key).map(|hub| Some(hub.value)));
    let gaps = section.or("gaps", Gaps::Wait, Section::word);
    let overlap = section.or("overlap", OVERLAP, Section::time);
    let (layout, hub) = (layout.flatten()?, hub?);
    if hub.is_some() && layout.contains(&LayoutPart::EventHub) {
        section.misplaced("hub", "is said by the path already", "remove it, or take `{EventHub}` out of `layout`");
    }
    Some(CaptureFiles { path: path?, layout, hub, gaps: gaps?, overlap: overlap? })
}

fn layout(section: &Section<'_>, key: &str) -> Option<Vec<LayoutPart>> {
    let text = section.text(key)?;
    match parse(&text.value) {
        Ok(parts) => Some(parts),
        Err(why) => {
            section.cx.report(
                Draft::error(format!("`{key}` of {} {why}", section.what))
                    .at(&text.span)
                    .hint(format!("write it as Capture does: `\"{LAYOUT}\"`")),
            );
            None
        }
    }
}

/// The parts of a layout, or what is wrong with it.
fn parse(text: &str) -> Result<Vec<LayoutPart>, String> {
    let mut parts = Vec::new();
    let mut rest = text.strip_suffix(".avro").unwrap_or(text);
    while !rest.is_empty() {
        let (before, token) = rest.split_once('{').unwrap_or((rest, ""));
        if !before.is_empty() {
            parts.push(LayoutPart::Text(before.to_owned()));
        }
        if before.len() == rest.len() {
            break;
        }
        let (token, after) = token.split_once('}').ok_or_else(|| "has a `{` without its `}`".to_owned())?;
        let known = TOKENS.iter().find(|(name, _)| name.eq_ignore_ascii_case(token));
        let (_, part) = known.ok_or_else(|| format!("names `{{{token}}}`, which no path has"))?;
        if parts.contains(part) {
            return Err(format!("names `{{{token}}}` twice"));
        }
        parts.push(part.clone());
        rest = after;
    }
    for (name, part) in TOKENS.iter().filter(|(_, part)| !matches!(part, LayoutPart::Namespace | LayoutPart::EventHub))
    {
        if !parts.contains(part) {
            return Err(format!("does not say where `{{{name}}}` stands"));
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_names_every_part_that_is_needed_once() {
        assert_eq!(parse(LAYOUT).unwrap().len(), 17);
        let flat = "p{PartitionId}--{Year}-{Month}-{Day}--{Hour}-{Minute}-{Second}.avro";
        assert_eq!(parse(flat).unwrap()[..2], [LayoutPart::Text("p".into()), LayoutPart::PartitionId]);
        for (wrong, why) in [
            ("", "does not say where `{PartitionId}` stands"),
            ("{EventHub}/{PartitionId}/{Year}", "does not say where `{Month}` stands"),
            ("{PartitionId}{PartitionId}", "names `{PartitionId}` twice"),
            ("{Partition}", "names `{Partition}`, which no path has"),
            ("a{b", "has a `{` without its `}`"),
        ] {
            assert_eq!(parse(wrong).unwrap_err(), why);
        }
    }
}
