//! `[sources.<name>]` of what others write to while it is read: Kafka and Event Hubs.

use std::collections::BTreeMap;

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::problem::Draft;
use super::section::Section;
use super::text::Span;
use super::tree::{Node, Value};
use super::{identity, message_format};
use sluicebox_core::plan::{CaptureFiles, KafkaConnection, KafkaSpec, OnLost, Security, StreamStart};

/// A `kafka` source.
pub(super) fn kafka(section: &Section<'_>, folder: &Path) -> Option<KafkaSpec> {
    let brokers = section.text("brokers").map(|brokers| brokers.value);
    let security = identity::security(section, folder);
    let stream = stream(section, folder);
    let connection = KafkaConnection { brokers: brokers?, event_hubs: false, security: security? };
    let capture = capture(section, folder);
    stream.zip(capture).map(|(stream, capture)| KafkaSpec { connection, capture, ..stream })
}

/// An `eventhubs` source.
pub(super) fn event_hubs(section: &Section<'_>, folder: &Path) -> Option<KafkaSpec> {
    let brokers = section.text("namespace").map(|namespace| address(&namespace.value));
    let security = identity::event_hubs(section, folder, brokers.as_deref().unwrap_or_default());
    let stream = stream(section, folder);
    let connection = KafkaConnection { brokers: brokers?, event_hubs: true, security: security? };
    let capture = capture(section, folder);
    stream.zip(capture).map(|(stream, capture)| KafkaSpec { connection, capture, ..stream })
}

/// The whole address of a namespace.
fn address(namespace: &str) -> String {
    match (namespace.contains('.'), namespace.contains(':')) {
        (_, true) => namespace.to_owned(),
        (true, false) => format!("{namespace}:9093"),
        (false, false) => format!("{namespace}.servicebus.windows.net:9093"),
    }
}

/// What both kinds have, with a connection to nowhere.
fn stream(section: &Section<'_>, folder: &Path) -> Option<KafkaSpec> {
    let topics = section.texts("topics", false).and_then(|topics| {
        if topics.is_empty() || topics.iter().any(|topic| topic.value.trim().is_empty()) {
            section.misplaced("topics", "names no topic", "name at least one: `topics = [\"orders\"]`");
            return None;
        }
        Some(topics.into_iter().map(|topic| topic.value).collect())
    });
    let group = section.or("group", None, |section, key| section.text(key).map(|group| Some(group.value)));
    let session_timeout = section.or("session_timeout", Duration::from_secs(30), Section::time);
    let start = section.or("start", StreamStart::Earliest, start);
    let on_lost = section.or("on_lost", OnLost::Stop, Section::word);
    let raw = section.or("raw", true, Section::flag);
    let max_in_flight = section.or("max_in_flight", 64 << 20, Section::size);
    let (format, columns) = message_format::read(section, folder).unzip();
    Some(KafkaSpec {
        connection: KafkaConnection {
            brokers: String::new(),
            event_hubs: false,
            security: Security { tls: false, ca: None, sasl: None },
        },
        topics: topics?,
        group: group?,
        session_timeout: session_timeout?,
        start: start?,
        on_lost: on_lost?,
        format: format?,
        columns: columns?,
        raw: raw?,
        max_in_flight: max_in_flight?,
        capture: None,
    })
}

/// Captured files that come before the hub; the inner `None` where there are none.
fn capture(section: &Section<'_>, folder: &Path) -> Option<Option<Box<CaptureFiles>>> {
    if section.peek("capture").is_some() {
        section.peek("group").is_some().then(|| {
            section.misplaced(
                "capture",
                "cannot be read by the members of a group, who would all read it",
                "read the files in a run without `group` first; a group then goes on where they end",
            );
        });
    }
    section.or("capture", None, |section, key| {
        super::capture::files(&section.section(key)?, folder).map(|files| Some(Box::new(files)))
    })
}

fn start(section: &Section<'_>, key: &str) -> Option<StreamStart> {
    if section.peek(key).is_some_and(|entry| matches!(entry.node.value, Value::Table(_))) {
        return positions(section, key).map(StreamStart::Positions);
    }
    let text = section.text(key)?;
    match text.value.as_str() {
        "earliest" => return Some(StreamStart::Earliest),
        "latest" => return Some(StreamStart::Latest),
        _ => {}
    }
    match DateTime::parse_from_rfc3339(&text.value) {
        Ok(time) => Some(StreamStart::At(time.with_timezone(&Utc))),
        Err(_) => {
            section.cx.report(
                Draft::error(format!("unknown `{key}` `{}` in {}", text.value, section.what))
                    .at(&text.span)
                    .hint("write `earliest`, `latest`, a time with its zone (`\"2026-01-31T12:00:00Z\"`), or positions: `{ \"orders/0\" = 1200 }`"),
            );
            None
        }
    }
}

/// Offsets of lanes, each of which is a partition of one of the topics.
fn positions(section: &Section<'_>, key: &str) -> Option<BTreeMap<String, i64>> {
    let entries = section.entries(key)?;
    let topics = section.peek("topics").and_then(|entry| match &entry.node.value {
        Value::List(topics) => Some(topics),
        _ => None,
    });
    let mut found = BTreeMap::new();
    for entry in entries {
        let lane = entry.key.rsplit_once('/').filter(|(_, number)| number.parse::<u32>().is_ok());
        let known = |topic: &str| {
            let is = |node: &Node| matches!(&node.value, Value::Text(text) if text == topic);
            topics.is_none_or(|topics| topics.iter().any(is))
        };
        let report = |message: String, span: &Span, hint: &str| {
            section.cx.report(Draft::error(message).at(span).hint(hint));
        };
        match (lane, &entry.node.value) {
            (Some((topic, _)), Value::Integer(position)) if known(topic) && *position >= 0 => {
                found.insert(entry.key.clone(), *position);
            }
            (Some((topic, _)), Value::Integer(position)) if *position >= 0 => report(
                format!("`{key}` of {} names the topic `{topic}`, which is not one of its `topics`", section.what),
                &entry.key_span,
                "a lane is one of the topics, a slash, and the number of a partition",
            ),
            (None, _) => report(
                format!("`{}` in `{key}` of {} is not a lane", entry.key, section.what),
                &entry.key_span,
                "a lane is one of the topics, a slash, and the number of a partition: `\"orders/0\"`",
            ),
            _ => report(
                format!("the position of `{}` in `{key}` of {} must be a whole number from 0", entry.key, section.what),
                &entry.node.span,
                "it is the offset of the first message that is taken",
            ),
        }
    }
    (found.len() == entries.len()).then_some(found)
}
