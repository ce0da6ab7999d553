//! `[sources.<name>]` with `type = "capture"`, and `capture` of a source that continues with the live hub.

use std::time::Duration;

use super::message::{self, AVRO_KEY, COLUMNS, CSV_KEY, FORMAT, RAW, TIMESTAMPS};
use super::names::{COLUMN_NAMES, RENAME};
use super::stream::RESET;
use super::{SourceType, Type, type_key};
use crate::keys::{DAY, Found, Key, KeySet, Kind, Location, Maybe, Section, Shape, SubTable, Text, Time, Word, Words};
use sluicebox_core::plan::{CaptureFiles, CaptureSpec, Gaps, LayoutPart, SourceKind, TimePart};

const KIND: Key<Type> = type_key("capture");
const PATH: Key<Location> = Key::new(
    "path",
    Location,
    "The folder of the captured files, relative to this file, or the URL of an object store.",
)
.example(r#""${captured}""#);
const LAYOUT: Key<Layout> = Key::new(
    "layout",
    Layout,
    "How the path of a file below that says what is in it: the name format of the capture settings.",
)
.more("All but `{Namespace}` and `{EventHub}` must be in it. A file whose path is another is an error.")
.default(|| parse(USUAL).unwrap_or_default())
.example(r#""{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}""#);
const HUB: Key<Maybe<Text>> =
    Key::new("hub", Text, "What the hub is called, where the path does not say; without it the source's own name.")
        .optional()
        .absent("the source's name")
        .example(r#""orders""#);
const GAPS: Key<Word<Gaps>> = Key::new(
    "gaps",
    Word::new(),
    "What to do where events are missing between two files: wait for the file that has them, or continue.",
)
.more("See below.")
.default(|| Gaps::Wait)
.example(r#""skip""#);
const OVERLAP: Key<Time> = Key::new(
    "overlap",
    Time::from_to(0, 31 * DAY),
    "How far before the recorded position files are looked at again, by the time in their paths.",
)
// Capture writes at least every 15 minutes, so an hour is several files.
.default(|| Duration::from_secs(3_600))
.example(r#""6h""#);

/// `[sources.<name>]` with `type = "capture"`.
pub(super) static KEYS: KeySet = KeySet {
    about: "Files that Event Hubs Capture wrote.",
    keys: &[
        &KIND,
        &PATH,
        &LAYOUT,
        &HUB,
        &GAPS,
        &OVERLAP,
        &RESET,
        &FORMAT,
        &COLUMNS,
        &RENAME,
        &COLUMN_NAMES,
        &CSV_KEY,
        &AVRO_KEY,
        &RAW,
        &TIMESTAMPS,
    ],
};

/// `capture` of a source that continues with the live hub.
pub(super) static CAPTURED_KEYS: KeySet =
    KeySet { about: "Captured files that are read before the hub.", keys: &[&PATH, &LAYOUT, &HUB, &GAPS, &OVERLAP] };

/// Files of Event Hubs Capture.
pub(super) const TYPE: SourceType =
    SourceType { name: "capture", keys: &KEYS, read: |section| read(section).map(SourceKind::Capture) };

/// The value of a key `capture`.
pub(super) const CAPTURED: SubTable<CaptureFiles> = SubTable { keys: &CAPTURED_KEYS, read: files };

/// Capture's default name format.
const USUAL: &str = "{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}";

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

fn read(section: &Section<'_>) -> Option<CaptureSpec> {
    let (files, reset) = (files(section), section.get(&RESET));
    let message::Bodies { format, columns, raw, timestamps } = message::read(section)?;
    let files = CaptureFiles { reset: reset?, ..files? };
    Some(CaptureSpec { files, format, columns, raw, timestamps })
}

fn files(section: &Section<'_>) -> Option<CaptureFiles> {
    let path = section.get(&PATH);
    let layout = section.get(&LAYOUT);
    let hub = section.get(&HUB);
    let gaps = section.get(&GAPS);
    let overlap = section.get(&OVERLAP);
    let (layout, hub) = (layout?, hub?);
    if hub.is_some() && layout.contains(&LayoutPart::EventHub) {
        section.misplaced(&HUB, "is said by the path already", "remove it, or take `{EventHub}` out of `layout`");
    }
    Some(CaptureFiles { path: path?, layout, hub, gaps: gaps?, overlap: overlap?, reset: 0 })
}

/// The name format of the capture settings.
#[derive(Clone, Copy)]
struct Layout;

impl Shape for Layout {
    fn label(&self) -> String {
        "text".to_owned()
    }
}

impl Kind for Layout {
    type Value = Vec<LayoutPart>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<LayoutPart>> {
        let text = found.text()?;
        parse(&text.value)
            .map_err(|why| {
                let hint = format!("write it as Capture does: `\"{USUAL}\"`");
                found.report(format!("`{}` of {} {why}", found.name(), found.what()), Some(hint));
            })
            .ok()
    }

    fn toml(&self, value: &Vec<LayoutPart>) -> Option<String> {
        let part = |part: &LayoutPart| match part {
            LayoutPart::Text(text) => text.clone(),
            part => {
                TOKENS.iter().find(|(_, known)| known == part).map_or(String::new(), |(name, _)| format!("{{{name}}}"))
            }
        };
        Some(format!("\"{}\"", value.iter().map(part).collect::<String>()))
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

impl Words for Gaps {
    const ALL: &'static [(&'static str, Self)] = &[("wait", Self::Wait), ("skip", Self::Skip)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_names_every_part_that_is_needed_once() {
        assert_eq!(parse(USUAL).unwrap().len(), 17);
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
