//! Files as Event Hubs Capture writes them, by hand: what reads them shares no code with this.

use std::path::Path;

/// An event in a captured file.
#[derive(Clone, Debug)]
pub struct Captured {
    pub sequence: i64,
    /// As `EnqueuedTimeUtc` has it.
    pub enqueued: String,
    /// `x-opt-enqueued-time`, in milliseconds since 1970.
    pub millis: Option<i64>,
    /// `x-opt-partition-key`.
    pub key: Option<String>,
    pub properties: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

impl Captured {
    /// An event with a body and no more than it must have.
    pub fn new(sequence: i64, body: impl Into<Vec<u8>>) -> Self {
        Self {
            sequence,
            enqueued: "1/2/2024 3:04:05 PM".to_owned(),
            millis: Some(1_704_207_845_678),
            key: None,
            properties: Vec::new(),
            body: Some(body.into()),
        }
    }
}

const SCHEMA: &str = r#"{"type":"record","name":"EventData","namespace":"Microsoft.ServiceBus.Messaging","fields":[{"name":"SequenceNumber","type":"long"},{"name":"Offset","type":"string"},{"name":"EnqueuedTimeUtc","type":"string"},{"name":"SystemProperties","type":{"type":"map","values":["long","double","string","bytes"]}},{"name":"Properties","type":{"type":"map","values":["long","double","string","bytes","null"]}},{"name":"Body","type":["null","bytes"]}]}"#;
const MARKER: [u8; 16] = *b"0123456789abcdef";

/// A container of these events, in blocks of up to three; without events it is what Capture
/// writes when nothing came. A block without events stands before the others.
pub fn container(events: &[Captured]) -> Vec<u8> {
    let mut out = b"Obj\x01".to_vec();
    long(&mut out, 2);
    for (key, value) in [("avro.codec", "null"), ("avro.schema", SCHEMA)] {
        bytes(&mut out, key.as_bytes());
        bytes(&mut out, value.as_bytes());
    }
    long(&mut out, 0);
    out.extend_from_slice(&MARKER);
    for block in std::iter::once(&events[..0]).chain(events.chunks(3)) {
        let mut records = Vec::new();
        block.iter().for_each(|event| record(&mut records, event));
        long(&mut out, block.len() as i64);
        bytes(&mut out, &records);
        out.extend_from_slice(&MARKER);
    }
    out
}

/// Puts a container into a folder, under a path below it.
pub fn put(folder: &Path, path: &str, events: &[Captured]) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a temporary folder is writable");
    std::fs::write(path, container(events)).expect("a temporary folder is writable");
}

fn record(out: &mut Vec<u8>, event: &Captured) {
    long(out, event.sequence);
    bytes(out, (event.sequence * 312).to_string().as_bytes());
    bytes(out, event.enqueued.as_bytes());
    let system = i64::from(event.millis.is_some()) + i64::from(event.key.is_some());
    if system > 0 {
        long(out, system);
    }
    if let Some(millis) = event.millis {
        bytes(out, b"x-opt-enqueued-time");
        long(out, 0);
        long(out, millis);
    }
    if let Some(key) = &event.key {
        bytes(out, b"x-opt-partition-key");
        long(out, 2);
        bytes(out, key.as_bytes());
    }
    long(out, 0);
    if !event.properties.is_empty() {
        long(out, event.properties.len() as i64);
        for (key, value) in &event.properties {
            bytes(out, key.as_bytes());
            long(out, 2);
            bytes(out, value.as_bytes());
        }
    }
    long(out, 0);
    match &event.body {
        None => long(out, 0),
        Some(body) => {
            long(out, 1);
            bytes(out, body);
        }
    }
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

fn long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest > 0x7f {
        out.push(rest as u8 & 0x7f | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
