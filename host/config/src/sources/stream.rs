//! The keys of every unbounded source.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::capture::CAPTURED;
use super::message;
use crate::diagnostics::{Draft, Span};
use crate::document::{Node, Value};
use crate::keys::{
    File, Found, GIB, KIB, Key, Kind, Maybe, Section, Shape, Size, SubTable, Text, Texts, Time, Whole, Word, Words,
    json_schema,
};
use sluicebox_core::plan::{CaptureFiles, KafkaConnection, KafkaSpec, OnLost, StreamStart};

pub(super) const TOPICS: Key<Topics> =
    Key::new("topics", Topics, "The topics; each partition is a lane.").example(r#"["orders"]"#);
pub(super) const GROUP: Key<Maybe<Text>> = Key::new(
    "group",
    Text,
    "The consumer group whose members share the partitions under `--follow`; without it a run takes all of them.",
)
.optional()
.example(r#""sluice""#);
pub(super) const SESSION_TIMEOUT: Key<Time> = Key::new(
    "session_timeout",
    Time::from_to(1_000, 300_000),
    "Time without a heartbeat after which the group gives a member's partitions to others.",
)
.default(|| Duration::from_secs(30))
.example(r#""10s""#);
pub(super) const START: Key<Start> = Key::new(
    "start",
    Start,
    "Where a partition begins if no table has a position in it: `earliest`, `latest`, a time with its zone, or positions by lane, \
     `{ \"orders/0\" = 1200 }`; other lanes then begin at the earliest.",
)
.default(|| StreamStart::Earliest)
.example(r#""2026-01-31T12:00:00Z""#);
pub(super) const ON_LOST: Key<Word<OnLost>> = Key::new(
    "on_lost",
    Word::new(),
    "What to do when the next messages are no longer kept: stop, or continue with the oldest that are.",
)
.more("Either way the number of lost messages is reported.")
.default(|| OnLost::Stop)
.example(r#""earliest""#);
pub(super) const RESET: Key<Whole<u32>> = Key::new(
    "reset",
    Whole::from_to(0, 1_000_000),
    "How often what is read was deleted and made anew, so that its numbers began again.",
)
.more("Each time its partitions are lanes of their own (`orders/0#1`), read from their beginning.")
.default(|| 0)
.example("1");
pub(super) const MAX_IN_FLIGHT: Key<Size<u64>> =
    Key::new("max_in_flight", Size::from_to(64 * KIB, 2 * GIB), "Bytes that may be fetched ahead of what is read.")
        .default(|| 64 << 20)
        .example(r#""16 MiB""#);
pub(super) const CAPTURE: Key<Maybe<SubTable<CaptureFiles>>> =
    Key::new("capture", CAPTURED, "Captured files of the same hub, which are read before it.")
        .more("See [below](#capture).")
        .optional()
        .example(r#"{ path = "${captured}" }"#);
pub(super) const CA: Key<Maybe<File>> = Key::new(
    "ca",
    File,
    "The certificate authority of the broker, as a PEM file; without it, those that the system trusts.",
)
.optional()
.absent("those that the system trusts")
.example(r#""ca.pem""#);

/// Reads the keys of every such source, with brokers at `connection`.
pub(super) fn read(section: &Section<'_>, connection: Option<KafkaConnection>) -> Option<KafkaSpec> {
    let topics = section.get(&TOPICS);
    let group = section.get(&GROUP);
    let session_timeout = section.get(&SESSION_TIMEOUT);
    let start = section.get(&START);
    let on_lost = section.get(&ON_LOST);
    let reset = section.get(&RESET);
    let max_in_flight = section.get(&MAX_IN_FLIGHT);
    let bodies = message::read(section);
    if section.has(&GROUP) {
        section.misplaced(
            &CAPTURE,
            "cannot be read by the members of a group, who would all read it",
            "read the files in a run without `group` first; a group then goes on where they end",
        );
    }
    let capture = section.get(&CAPTURE);
    let bodies = bodies?;
    Some(KafkaSpec {
        connection: connection?,
        topics: topics?,
        group: group?,
        session_timeout: session_timeout?,
        start: start?,
        on_lost: on_lost?,
        format: bodies.format,
        columns: bodies.columns,
        raw: bodies.raw,
        timestamps: bodies.timestamps,
        max_in_flight: max_in_flight?,
        reset: reset?,
        capture: capture?.map(Box::new),
    })
}

/// Names of topics, at least one.
#[derive(Clone, Copy)]
pub(super) struct Topics;

impl Shape for Topics {
    fn label(&self) -> String {
        Texts.label()
    }

    fn schema(&self) -> Json {
        Texts.schema()
    }
}

impl Kind for Topics {
    type Value = Vec<String>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<String>> {
        let topics = Texts.read(found)?;
        if topics.is_empty() || topics.iter().any(|topic| topic.trim().is_empty()) {
            found.section.misplaced(found.key, "names no topic", "name at least one: `topics = [\"orders\"]`");
            return None;
        }
        Some(topics)
    }
}

/// A word or a time, or a table of lanes to positions.
#[derive(Clone, Copy)]
pub(super) struct Start;

impl Shape for Start {
    fn label(&self) -> String {
        "`earliest`, `latest`, a time with its zone, or a table of lanes to positions".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [
            json_schema::text(),
            { "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 }, "minProperties": 1 },
        ] })
    }
}

impl Kind for Start {
    type Value = StreamStart;

    fn read(&self, found: &Found<'_, '_>) -> Option<StreamStart> {
        if matches!(found.node().value, Value::Table(_)) {
            return positions(found).map(StreamStart::Positions);
        }
        let text = found.text()?.value;
        match text.as_str() {
            "earliest" => return Some(StreamStart::Earliest),
            "latest" => return Some(StreamStart::Latest),
            _ => {}
        }
        let time = DateTime::parse_from_rfc3339(&text);
        if time.is_err() {
            let hint = "write `earliest`, `latest`, a time with its zone (`\"2026-01-31T12:00:00Z\"`), or positions: \
                        `{ \"orders/0\" = 1200 }`";
            found.report(format!("unknown `{}` `{text}` in {}", found.name(), found.what()), Some(hint.to_owned()));
        }
        Some(StreamStart::At(time.ok()?.with_timezone(&Utc)))
    }

    fn toml(&self, value: &StreamStart) -> Option<String> {
        match value {
            StreamStart::Earliest => Some("\"earliest\"".to_owned()),
            StreamStart::Latest => Some("\"latest\"".to_owned()),
            StreamStart::At(_) | StreamStart::Positions(_) => None,
        }
    }
}

/// Offsets of lanes, each of which is a partition of one of the topics.
fn positions(found: &Found<'_, '_>) -> Option<BTreeMap<String, i64>> {
    let entries = found.entries()?;
    let (key, what) = (found.name(), found.what());
    let topics = found.section.peek(&TOPICS).and_then(|entry| match &entry.node.value {
        Value::List(topics) => Some(topics),
        _ => None,
    });
    let mut positions = BTreeMap::new();
    for entry in entries {
        let lane = entry.key.rsplit_once('/').filter(|(_, number)| number.parse::<u32>().is_ok());
        let known = |topic: &str| {
            let is = |node: &Node| matches!(&node.value, Value::Text(text) if text == topic);
            topics.is_none_or(|topics| topics.iter().any(is))
        };
        let report = |message: String, span: &Span, hint: &str| {
            found.section.cx.report(Draft::error(message).at(span).hint(hint));
        };
        match (lane, &entry.node.value) {
            (Some((topic, _)), Value::Integer(position)) if known(topic) && *position >= 0 => {
                positions.insert(entry.key.clone(), *position);
            }
            (Some((topic, _)), Value::Integer(position)) if *position >= 0 => report(
                format!("`{key}` of {what} names the topic `{topic}`, which is not one of its `topics`"),
                &entry.key_span,
                "a lane is one of the topics, a slash, and the number of a partition",
            ),
            (None, _) => report(
                format!("`{}` in `{key}` of {what} is not a lane", entry.key),
                &entry.key_span,
                "a lane is one of the topics, a slash, and the number of a partition: `\"orders/0\"`",
            ),
            _ => report(
                format!("the position of `{}` in `{key}` of {what} must be a whole number from 0", entry.key),
                &entry.node.span,
                "it is the offset of the first message that is taken",
            ),
        }
    }
    (positions.len() == entries.len()).then_some(positions)
}

impl Words for OnLost {
    const ALL: &'static [(&'static str, Self)] = &[("stop", Self::Stop), ("earliest", Self::Earliest)];
}
