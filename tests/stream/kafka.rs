//! Reading topics: every message ends in a table or in quarantine, once.

use serde_json::json;
use sluicebox_sources::kafka::{Outgoing, Producer};

use super::support::{landing, log, source};
use crate::harness::kafka::broker;

const COLUMNS: &str = "format = \"json\"\ncolumns = { id = \"int64 not null\", name = \"string\" }";

#[test]
fn every_message_is_a_row_or_in_quarantine_with_its_bytes() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("mixed", 3);
    let producer = Producer::open("test", &broker.connection()).unwrap();
    let bad: &[&[u8]] =
        &[b"", b"{\"id\":1", b"{\"id\":1}{\"id\":2}", b"\xff\xfe", b"[1]", b"{\"id\":\"x\"}", b"{\"name\":\"n\"}"];
    for id in 0..20_000_i64 {
        let (key, body) = (format!("k{id}"), format!("{{\"id\":{id},\"name\":\"n{}\"}}", id % 7));
        let partition = Some((id % 3) as i32);
        let message = Outgoing { topic: &topic, partition, ..Outgoing::default() };
        producer
            .send(Outgoing {
                key: Some(key.as_bytes()),
                body: Some(body.as_bytes()),
                timestamp: Some(1_700_000_000_000 + id),
                ..message
            })
            .unwrap();
        if id % 100 == 0 {
            producer.send(Outgoing { body: Some(bad[(id / 100) as usize % bad.len()]), ..message }).unwrap();
        }
        if id % 1_000 == 0 {
            producer.send(Outgoing { key: Some(b"gone"), body: None, ..message }).unwrap();
        }
    }
    producer.flush().unwrap();
    let pipeline = landing(&source(broker, &[&topic], COLUMNS), "");
    let run = pipeline.run().ok();
    let hop = run.hop("land");
    assert_eq!(hop["rows_in"], 20_220, "{run}");
    assert_eq!(hop["rows_rejected"], 220, "{run}");
    let positions = pipeline.positions("bronze.events", "stream/land");
    assert_eq!(positions.iter().map(|(_, position)| position).sum::<i64>(), 20_220, "{positions:?}");
    assert_eq!(positions[0].0, format!("{topic}/0"));

    // Several partitions count with one entry of the log.
    let table = log(&pipeline.lake.table("bronze.events"));
    let lanes = |entry: &Vec<serde_json::Value>| entry.iter().filter(|action| action.get("txn").is_some()).count();
    assert_eq!(table.iter().map(lanes).max(), Some(3));

    // What was taken is not taken again, and what is new is.
    let again = pipeline.run().ok();
    assert_eq!(again.hop("land")["rows_in"], 0, "{again}");
    broker.write(&topic, 1, ["{\"id\":20000,\"name\":\"last\",\"more\":[1]}"]);
    let more = pipeline.run().ok();
    assert_eq!(more.hop("land")["rows_in"], 1, "{more}");

    let statement = "select count(*) as n, count(distinct id) as ids, sum(id)::bigint as total, \
        count(distinct _lane || '/' || _position) as places, max(_rescued) as rescued, \
        sum((decode(_key) = 'k' || id)::int)::bigint as keys, \
        sum((epoch_ms(_timestamp) = 1700000000000 + id)::int)::bigint as times, \
        sum((decode(_raw)::json->>'id' = id::text)::int)::bigint as raws from delta_scan('{lake}/bronze/events')";
    let Some(row) = pipeline.row(statement) else { return };
    let expected = json!({
        "n": 20_001, "ids": 20_001, "total": 200_010_000, "places": 20_001, "rescued": "{\"more\":[1]}",
        "keys": 20_000, "times": 20_000, "raws": 20_001,
    });
    assert_eq!(row, expected);
    let statement = "select reason, count(*) as n, count(distinct payload) as payloads \
        from delta_scan('{lake}/quarantine/land') group by reason order by reason";
    let Some(rows) = pipeline.rows(statement) else { return };
    let count =
        |reason: &str| rows.iter().find(|row| row["reason"] == reason).map_or(0, |row| row["n"].as_i64().unwrap());
    assert_eq!(count("kafka.no-body"), 20, "{rows:?}");
    assert_eq!(count("json.encoding"), 29, "{rows:?}");
    assert_eq!(count("json.syntax"), 87, "{rows:?}");
    assert_eq!(count("json.null"), 28, "{rows:?}");
    assert_eq!(count("json.type"), 56, "{rows:?}");
    assert_eq!(rows.iter().map(|row| row["n"].as_i64().unwrap()).sum::<i64>(), 220, "{rows:?}");
}

#[test]
fn bodies_are_csv_or_bytes_too() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("csv", 1);
    broker.write(&topic, 0, ["1,one", "2,\"two\nlines\"", "3,\"half", "4,four", "x,five", "6", ""]);
    let csv = "format = \"csv\"\ncolumns = { id = \"int64\", name = \"string\" }";
    let pipeline = landing(&source(broker, &[&topic], csv), "");
    let run = pipeline.run().ok();
    assert_eq!(run.hop("land")["rows_in"], 7, "{run}");
    let bytes = landing(&source(broker, &[&topic], "format = \"bytes\"\nraw = false"), "");
    bytes.run().ok();
    if let Some(rows) = pipeline.rows("select id, name from delta_scan('{lake}/bronze/events') order by _position") {
        let expected = [
            json!({ "id": 1, "name": "one" }),
            json!({ "id": 2, "name": "two\nlines" }),
            json!({ "id": 4, "name": "four" }),
        ];
        assert_eq!(rows[..3], expected);
    }
    let statement = "select count(*) as n, max(decode(value)) as last from delta_scan('{lake}/bronze/events')";
    if let Some(row) = bytes.row(statement) {
        assert_eq!(row, json!({ "n": 7, "last": "x,five" }));
    }
}

#[test]
fn a_source_begins_where_it_says_and_goes_on_where_its_table_is() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("begin", 2);
    let producer = Producer::open("test", &broker.connection()).unwrap();
    for id in 0..100_i64 {
        let body = format!("{{\"id\":{id}}}");
        let timestamp = Some(1_700_000_000_000 + id * 1_000);
        let partition = Some((id % 2) as i32);
        producer
            .send(Outgoing { topic: &topic, partition, body: Some(body.as_bytes()), timestamp, ..Outgoing::default() })
            .unwrap();
    }
    producer.flush().unwrap();
    // 40 seconds after the first message.
    let time = landing(&source(broker, &[&topic], &format!("{COLUMNS}\nstart = \"2023-11-14T22:14:00Z\"")), "");
    assert_eq!(time.run().ok().hop("land")["rows_in"], 60);
    let latest = landing(&source(broker, &[&topic], &format!("{COLUMNS}\nstart = \"latest\"")), "");
    assert_eq!(latest.run().ok().hop("land")["rows_in"], 0);
    let start = format!("{COLUMNS}\nstart = {{ \"{topic}/1\" = 45 }}");
    let positions = landing(&source(broker, &[&topic], &start), "");
    assert_eq!(positions.run().ok().hop("land")["rows_in"], 55);
    let beyond = landing(&source(broker, &[&topic], &start.replace("45", "51")), "").run().failed(1);
    assert!(beyond.stderr.contains("51"), "{beyond}");
    let earliest = landing(&source(broker, &[&topic], COLUMNS), "");
    assert_eq!(earliest.run().ok().hop("land")["rows_in"], 100);
    broker.write(&topic, 0, ["{\"id\":100}"]);
    for pipeline in [time, positions, earliest] {
        assert_eq!(pipeline.run().ok().hop("land")["rows_in"], 1);
    }
}

#[test]
fn a_message_of_five_megabytes_is_a_row_like_any_other() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic_with("large", 1, &[("max.message.bytes", "8000000")]);
    let large = format!("{{\"id\":1,\"name\":\"{}\"}}", "x".repeat(5_000_000));
    let broken = format!("{{\"id\":2,\"name\":\"{}", "y".repeat(5_000_000));
    broker.write(&topic, 0, [large.as_str(), broken.as_str(), "{\"id\":3}"]);
    let pipeline = landing(&source(broker, &[&topic], COLUMNS), "");
    let run = pipeline.run().ok();
    assert_eq!(run.hop("land")["rows_in"], 3, "{run}");
    let statement = "select count(*) as n, max(length(name)) as length from delta_scan('{lake}/bronze/events')";
    if let Some(row) = pipeline.row(statement) {
        assert_eq!(row, json!({ "n": 2, "length": 5_000_000 }));
    }
    let statement = "select octet_length(payload) as length from delta_scan('{lake}/quarantine/land')";
    if let Some(row) = pipeline.row(statement) {
        assert_eq!(row["length"], json!(broken.len()), "all of its bytes are kept");
    }
}

#[test]
fn a_run_that_goes_on_takes_what_comes_and_ends_in_order() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("live", 2);
    broker.write(&topic, 0, (0..500).map(|id| format!("{{\"id\":{id}}}")));
    let hop = "flush = { time = \"200ms\" }\n\n[hops.clean]\nfrom = \"bronze.events\"\nto = \"silver.events\"\nflush = { time = \"200ms\" }";
    let group = format!("group = \"{topic}\"\nsession_timeout = \"6s\"");
    for more in ["", group.as_str()] {
        let pipeline = landing(&source(broker, &[&topic], &format!("{COLUMNS}\n{more}")), hop);
        let run = pipeline.follow();
        let before: i64 = if more.is_empty() { 500 } else { 600 };
        pipeline.wait_for("bronze.events", "stream/land", before);
        broker.write(&topic, 1, (0..100).map(|id| format!("{{\"id\":{id}}}")));
        pipeline.wait_for("bronze.events", "stream/land", before + 100);
        assert_eq!(run.stop(), Some(130), "{}", pipeline.said());
        let statement = "select (select count(*) from delta_scan('{lake}/bronze/events')) as bronze, \
            (select count(*) from delta_scan('{lake}/silver/events')) as silver";
        if let Some(row) = pipeline.row(statement) {
            assert_eq!(row, json!({ "bronze": before + 100, "silver": before + 100 }));
        }
    }
}

#[test]
fn what_comes_after_a_first_look_at_the_latest_is_not_missed() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("latest", 2);
    broker.write(&topic, 0, ["{\"id\":1}"]);
    let pipeline = landing(&source(broker, &[&topic], &format!("{COLUMNS}\nstart = \"latest\"")), "");
    assert_eq!(pipeline.run().ok().hop("land")["rows_in"], 0);
    let positions = pipeline.positions("bronze.events", "stream/land");
    assert_eq!(positions, [(format!("{topic}/0"), 1), (format!("{topic}/1"), 0)]);
    broker.write(&topic, 0, ["{\"id\":2}"]);
    broker.write(&topic, 1, ["{\"id\":3}"]);
    assert_eq!(pipeline.run().ok().hop("land")["rows_in"], 2);
}
