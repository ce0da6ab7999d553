//! Avro messages whose schemas lie in a registry.

use serde_json::json;

use super::support::{Pipeline, landing, source};
use crate::harness::kafka::{Broker, broker};
use crate::harness::registry::{Registry, registry};
use crate::source::avro::long;

const FIRST: &str = r#"{"type":"record","name":"order","namespace":"shop","fields":[
    {"name":"id","type":"string"},{"name":"cents","type":"long"}]}"#;

/// A field more, of a type that lies under a subject of its own.
const SECOND: &str = r#"{"type":"record","name":"order","namespace":"shop","fields":[
    {"name":"id","type":"string"},{"name":"cents","type":"long"},
    {"name":"from","type":"shop.Place"},{"name":"to","type":"Place"}]}"#;

const PLACE: &str =
    r#"{"type":"record","name":"Place","namespace":"shop","fields":[{"name":"state","type":"string"}]}"#;

fn text(bytes: &mut Vec<u8>, text: &str) {
    long(bytes, text.len() as i64);
    bytes.extend_from_slice(text.as_bytes());
}

fn message(schema: u32, id: &str, cents: i64, places: &[&str]) -> Vec<u8> {
    let mut bytes = [&[0], &schema.to_be_bytes()[..]].concat();
    text(&mut bytes, id);
    long(&mut bytes, cents);
    places.iter().for_each(|place| text(&mut bytes, place));
    bytes
}

fn pipeline(broker: &Broker, topic: &str, registry: &str) -> Pipeline {
    let keys = format!(
        "format = \"avro\"\navro = {{ registry = \"{registry}\" }}\ncolumns = {{ id = \"string not null\", cents = \"int64\" }}"
    );
    landing(&source(broker, &[topic], &keys), "")
}

fn both() -> Option<(&'static Broker, &'static Registry)> {
    broker().zip(registry())
}

#[test]
fn schemas_of_a_registry_are_found_and_what_has_none_is_kept() {
    let Some((broker, registry)) = both() else { return };
    let topic = broker.topic("avro", 1);
    let first = registry.register("orders-value", FIRST, &json!([]));
    registry.register("place", PLACE, &json!([]));
    let refers = json!([{ "name": "shop.Place", "subject": "place", "version": 1 }]);
    let second = registry.register("orders-later-value", SECOND, &refers);
    let lacking = 4_000_000;
    let bodies = [
        message(first, "a", 100, &[]),
        message(second, "b", 200, &["NY", "TX"]),
        message(lacking, "c", 300, &[]),
        b"{\"id\":\"d\"}".to_vec(),
        message(first, "e", 500, &["left over"]),
        message(first, "f", 600, &[]),
    ];
    broker.write(&topic, 0, &bodies);
    let pipeline = pipeline(broker, &topic, &registry.url);
    let run = pipeline.run().ok();
    let hop = run.hop("land");
    assert_eq!((&hop["rows_in"], &hop["rows_out"], &hop["rows_rejected"]), (&json!(6), &json!(3), &json!(3)), "{run}");
    if let Some(rows) = pipeline.rows("select id, cents, _rescued from delta_scan('{lake}/bronze/events') order by id")
    {
        let rescued = r#"{"from":{"state":"NY"},"to":{"state":"TX"}}"#;
        let expected = [
            json!({ "id": "a", "cents": 100, "_rescued": null }),
            json!({ "id": "b", "cents": 200, "_rescued": rescued }),
            json!({ "id": "f", "cents": 600, "_rescued": null }),
        ];
        assert_eq!(rows, expected);
    }
    let statement = "select reason, message from delta_scan('{lake}/quarantine/land') order by position";
    let Some(kept) = pipeline.rows(statement) else { return };
    let told: Vec<(&str, &str)> =
        kept.iter().map(|row| (row["reason"].as_str().unwrap(), row["message"].as_str().unwrap())).collect();
    assert_eq!(told[0].0, "avro.schema-unknown");
    assert!(told[0].1.contains("has no schema 4000000"), "{told:?}");
    assert_eq!((told[1].0, told[2].0), ("avro.frame", "avro.record"), "{told:?}");
}

#[test]
fn what_is_wrong_with_a_registry_is_said_and_no_message_is_lost() {
    let Some((broker, registry)) = both() else { return };
    let topic = broker.topic("avro-wrong", 1);
    let schema = registry.register("wrong-value", FIRST, &json!([]));
    broker.write(&topic, 0, [message(schema, "a", 1, &[])]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let pipeline = pipeline(broker, &topic, &format!("http://127.0.0.1:{port}"));
    let absent = pipeline.run().failed(1);
    assert!(absent.stderr.contains("the schema registry at http://127.0.0.1:"), "{absent}");
    assert!(absent.stderr.contains("does not answer") && absent.stderr.contains("refused"), "{absent}");
    // The registry's address without the path at which it speaks Confluent's language.
    let base = registry.url.trim_end_matches("/apis/ccompat/v7");
    pipeline.change(|text| text.replace(&format!("http://127.0.0.1:{port}"), base));
    let strange = pipeline.run().failed(1);
    assert!(
        strange.stderr.contains("is no schema registry") && strange.stderr.contains("/apis/ccompat/v7"),
        "{strange}"
    );
    pipeline.change(|text| text.replace(base, &registry.url));
    assert_eq!(pipeline.run().ok().hop("land")["rows_out"], 1);
}
