//! `[sources.<name>]` of what others write to while it is read: Kafka and Event Hubs.

use std::collections::BTreeMap;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};

use super::paths;
use super::problem::Draft;
use super::section::Section;
use super::sources;
use super::text::Span;
use super::tree::{Node, Value};
use super::words::{MessageName, Protocol};
use crate::plan::{
    CaptureFiles, CsvFormat, KafkaConnection, KafkaSpec, Mechanism, MessageFormat, OnLost, Sasl, Secret, Security,
    StreamStart,
};

/// What a user of Event Hubs is called.
const CONNECTION_STRING_USER: &str = "$ConnectionString";

/// A `kafka` source.
pub(super) fn kafka(section: &Section<'_>, folder: &Path) -> Option<KafkaSpec> {
    let brokers = section.text("brokers").map(|brokers| brokers.value);
    let security = security(section, folder);
    let stream = stream(section);
    let connection = KafkaConnection { brokers: brokers?, event_hubs: false, security: security? };
    let capture = capture(section, folder);
    stream.zip(capture).map(|(stream, capture)| KafkaSpec { connection, capture, ..stream })
}

/// An `eventhubs` source.
pub(super) fn event_hubs(section: &Section<'_>, folder: &Path) -> Option<KafkaSpec> {
    let namespace = section.text("namespace").map(|namespace| namespace.value);
    let ca = section.or("ca", None, |section, key| path(section, key, folder).map(Some));
    let password = secret(section, "connection_string", folder);
    let stream = stream(section);
    let sasl = Sasl { mechanism: Mechanism::Plain, user: CONNECTION_STRING_USER.to_owned(), password: password? };
    let security = Security { tls: true, ca: ca?, sasl: Some(sasl) };
    let connection = KafkaConnection { brokers: address(&namespace?), event_hubs: true, security };
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
fn stream(section: &Section<'_>) -> Option<KafkaSpec> {
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
    let (format, columns) = body(section).unzip();
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

/// How the bodies of messages are decoded, and their columns.
pub(super) fn body(section: &Section<'_>) -> Option<(MessageFormat, SchemaRef)> {
    let format = section.word::<MessageName>("format");
    let columns = section.or("columns", None, |section, _| sources::columns(section).map(Some));
    let plain = CsvFormat { header: false, ..CsvFormat::plain() };
    let csv = section.or("csv", plain, |section, key| {
        let csv = section.section(key)?;
        let read = sources::read_csv(&csv, true)?;
        if read.header && csv.peek("header").is_some() {
            csv.misplaced("header", "has no meaning: a message is one record", "leave it out");
            return None;
        }
        Some(CsvFormat { header: false, ..read })
    });
    let format = match format? {
        MessageName::Json => MessageFormat::Json,
        MessageName::Csv => MessageFormat::Csv(csv?),
        MessageName::Bytes => MessageFormat::Bytes,
    };
    if !matches!(format, MessageFormat::Csv(_)) {
        section.misplaced("csv", "has no use with this `format`", "remove it, or set `format = \"csv\"`");
    }
    let columns = match (&format, columns?) {
        (MessageFormat::Bytes, None) => Arc::new(Schema::new(vec![Field::new("value", DataType::Binary, true)])),
        (MessageFormat::Bytes, Some(_)) => {
            section.misplaced(
                "columns",
                "has no use with `format = \"bytes\"`",
                "remove it: the one column is `value`",
            );
            return None;
        }
        (_, Some(columns)) => columns,
        (_, None) => {
            // Others write while it is read, so there is no first message that could speak for all.
            section.missing("columns");
            return None;
        }
    };
    Some((format, columns))
}

fn security(section: &Section<'_>, folder: &Path) -> Option<Security> {
    let protocol = section.or("security", Protocol::Plaintext, Section::word);
    let ca = section.or("ca", None, |section, key| path(section, key, folder).map(Some));
    let mechanism = section.or("mechanism", Mechanism::Plain, Section::word);
    let user = section.or("user", None, |section, key| section.text(key).map(|user| Some(user.value)));
    let password = section.or("password", None, |section, key| secret(section, key, folder).map(Some));
    let protocol = protocol?;
    let tls = matches!(protocol, Protocol::Ssl | Protocol::SaslSsl);
    let sasl = matches!(protocol, Protocol::SaslPlaintext | Protocol::SaslSsl);
    if !tls {
        section.misplaced("ca", "has no use without encryption", "set `security = \"ssl\"` or `\"sasl_ssl\"`");
    }
    if !sasl {
        for key in ["mechanism", "user", "password"] {
            section.misplaced(key, "has no use here", "set `security = \"sasl_ssl\"`, or remove it");
        }
        return Some(Security { tls, ca: ca?, sasl: None });
    }
    for key in ["user", "password"] {
        if section.peek(key).is_none() {
            section.missing(key);
        }
    }
    let sasl = Sasl { mechanism: mechanism?, user: user??, password: password?? };
    Some(Security { tls, ca: ca?, sasl: Some(sasl) })
}

fn path(section: &Section<'_>, key: &str, folder: &Path) -> Option<PathBuf> {
    let text = section.text(key)?;
    match paths::absolute(&folder.join(&text.value)) {
        Ok(path) => Some(path.into()),
        Err(error) => {
            let message = format!("`{key}` of {} is not a usable path: {error}", section.what);
            section.cx.report(Draft::error(message).at(&text.span));
            None
        }
    }
}

/// A reference to a secret. What is written in its place is never shown, because it may be the
/// secret itself.
fn secret(section: &Section<'_>, key: &str, folder: &Path) -> Option<Secret> {
    let text = section.text(key)?.value;
    let refuse = || {
        section.cx.report(
            Draft::error(format!("`{key}` of {} must say where the secret is, and not be it", section.what))
                .at(&section.head)
                .hint(format!("write `{key} = \"env:NAME\"` or `{key} = \"file:PATH\"`")),
        );
        None
    };
    let named = |name: &str| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    match text.split_once(':') {
        Some(("env", name)) if named(name) => Some(Secret::Env(name.to_owned())),
        Some(("file", path)) if !path.is_empty() => match paths::absolute(&folder.join(path)) {
            Ok(path) => Some(Secret::File(path.into())),
            Err(_) => refuse(),
        },
        _ => refuse(),
    }
}
