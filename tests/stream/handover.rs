//! From captured files to the live hub: every event once, though neither has them all.

use serde_json::json;

use super::support::{landing, source};
use crate::harness::capture::{Captured, put};
use crate::harness::kafka::broker;
use crate::harness::text;

fn body(partition: i64, number: i64) -> String {
    format!("{{\"id\": {}}}", partition * 1_000_000 + number)
}

#[test]
fn the_hub_goes_on_at_the_event_at_which_the_files_end() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("captured", 2);
    for partition in 0..2 {
        broker.write(&topic, partition as i32, (0..1_000).map(|number| body(partition, number)));
        // The hub does not keep what is older, and the files do not have what is newer.
        broker.expire(&topic, partition as i32, 300);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let captured = |partition: i64, numbers: std::ops::Range<i64>| -> Vec<Captured> {
        numbers.map(|number| Captured::new(number, body(partition, number))).collect()
    };
    for (partition, minute, numbers) in [(0, 0, 0..250), (0, 1, 200..600), (1, 0, 0..310), (1, 1, 310..450)] {
        let path = format!("{partition}/2024/03/01/00/{minute:02}/00.avro");
        put(folder.path(), &path, &captured(partition, numbers));
    }
    let layout = "{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}";
    let more = format!(
        "format = \"json\"\ncolumns = {{ id = \"int64\" }}\ncapture = {{ path = \"{}\", layout = \"{layout}\" }}",
        text(folder.path())
    );
    let pipeline = landing(&source(broker, &[&topic], &more), "flush = { rows = 170 }");
    let run = pipeline.run().ok();
    assert_eq!(run.hop("land")["rows_in"], 2_000, "{run}");
    let again = pipeline.run().ok();
    assert_eq!(again.hop("land")["rows_in"], 0, "{again}");
    broker.write(&topic, 1, [body(1, 1_000)]);
    // What is captured later was taken from the hub before.
    put(folder.path(), "0/2024/03/01/00/02/00.avro", &captured(0, 600..1_000));
    put(folder.path(), "1/2024/03/01/00/02/00.avro", &captured(1, 450..1_001));
    let more = pipeline.run().ok();
    assert_eq!(more.hop("land")["rows_in"], 1, "{more}");
    let found = pipeline.row(
        "select count(*) as n, count(distinct id) as ids, count(distinct (_lane, _position)) as places,
                count(*) filter (id % 1000000 <> _position or id // 1000000 <> split_part(_lane, '/', 2)::int) as moved
         from delta_scan('{lake}/bronze/events')",
    );
    let Some(found) = found else { return };
    assert_eq!(found, json!({ "n": 2_001, "ids": 2_001, "places": 2_001, "moved": 0 }));
}
