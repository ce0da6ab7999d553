//! Avro records that are the bodies of messages.

use std::sync::Arc;

use apache_avro::Schema as AvroSchema;
use apache_avro::headers::{HeaderBuilder as _, RabinFingerprintHeader};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use sluicebox_core::plan::{AvroSchemas, Demands, MessageFormat, Registry};
use sluicebox_core::reject::RejectCode;
use sluicebox_formats::{BadSchema, MessageDecoder, Messages};

use super::avro::long;
use super::harness::cells;

const ORDER: &str = r#"{"type":"record","name":"order","fields":[
    {"name":"id","type":{"type":"string","logicalType":"uuid"}},
    {"name":"price","type":["null",{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}]},
    {"name":"placed","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"state","type":"string"}]}"#;

/// The same some months later: the price is gone, there is a channel.
const LATER: &str = r#"{"type":"record","name":"order","fields":[
    {"name":"state","type":"string"},
    {"name":"id","type":"string"},
    {"name":"channel","type":{"type":"enum","name":"channel","symbols":["web","shop"]}},
    {"name":"placed","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;

const ID: &str = "6f1f3b1c-8a2b-4f4e-9f63-0a1b2c3d4e5f";

fn columns() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("price", DataType::Decimal128(10, 2), true),
        Field::new("placed", time, true),
    ]))
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    long(bytes, text.len() as i64);
    bytes.extend_from_slice(text.as_bytes());
}

/// A record of `ORDER`.
fn order(price: Option<i16>, state: &str) -> Vec<u8> {
    let mut record = Vec::new();
    text(&mut record, ID);
    long(&mut record, price.is_some().into());
    if let Some(cents) = price {
        long(&mut record, 2);
        record.extend_from_slice(&cents.to_be_bytes());
    }
    long(&mut record, 1_700_000_000_000);
    text(&mut record, state);
    record
}

/// A record of `LATER`.
fn later(state: &str) -> Vec<u8> {
    let mut record = Vec::new();
    text(&mut record, state);
    text(&mut record, "7");
    long(&mut record, 1);
    long(&mut record, 1_700_000_000_001);
    record
}

fn framed(number: u32, record: &[u8]) -> Vec<u8> {
    [&[0], &number.to_be_bytes()[..], record].concat()
}

fn bare(schema: &str, columns: &SchemaRef) -> Result<MessageDecoder, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schema.avsc");
    std::fs::write(&path, schema).unwrap();
    let format = MessageFormat::Avro(AvroSchemas::File(path));
    MessageDecoder::new(&format, columns).map_err(|error| error.to_string())
}

/// A decoder that heard of these schemas what a registry would say.
fn registered(schemas: &[(u32, &str)]) -> MessageDecoder {
    let registry = Registry { url: "http://localhost".to_owned(), user: None, ca: None };
    let format = MessageFormat::Avro(AvroSchemas::Registry(registry));
    let mut decoder = MessageDecoder::new(&format, &columns()).unwrap();
    for (number, schema) in schemas {
        decoder.learn_schema(*number, Ok(schema));
    }
    decoder
}

fn decode(decoder: &mut MessageDecoder, bodies: &[Vec<u8>]) -> Messages {
    let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    let found = decoder.decode(&bodies).unwrap();
    // Whatever comes, every message is a row or is bad.
    let taken = found.taken.clone().unwrap_or_else(|| (0..bodies.len()).collect());
    let mut all: Vec<usize> = taken.iter().copied().chain(found.bad.iter().map(|bad| bad.at)).collect();
    assert_eq!(found.rows.num_rows(), taken.len());
    assert!(taken.is_sorted());
    all.sort_unstable();
    assert_eq!(all, (0..bodies.len()).collect::<Vec<_>>(), "{found:?}");
    found
}

#[test]
fn bare_records_become_the_declared_columns() {
    let mut decoder = bare(ORDER, &columns()).unwrap();
    let found = decode(&mut decoder, &[order(Some(1999), "NY"), order(None, "CA")]);
    assert_eq!(
        cells(&found.rows),
        [
            [ID, "19.99", "2023-11-14T22:13:20Z", r#"{"state":"NY"}"#],
            [ID, "∅", "2023-11-14T22:13:20Z", r#"{"state":"CA"}"#]
        ]
    );
    assert!(found.taken.is_none() && found.bad.is_empty());
}

#[test]
fn records_may_begin_with_the_fingerprint_of_their_schema() {
    let mut decoder = bare(ORDER, &columns()).unwrap();
    let mark = RabinFingerprintHeader::from_schema(&AvroSchema::parse_str(ORDER).unwrap()).build_header();
    let single = [&mark[..], &order(Some(1999), "NY")].concat();
    let other = [&mark[..9], &[mark[9] ^ 1], &order(Some(1999), "NY")].concat();
    let found = decode(&mut decoder, &[single, order(None, "CA"), other]);
    let states: Vec<String> = cells(&found.rows).into_iter().map(|row| row[3].clone()).collect();
    assert_eq!(states, [r#"{"state":"NY"}"#, r#"{"state":"CA"}"#]);
    assert_eq!(found.bad.iter().map(|bad| (bad.at, bad.reason.as_str())).collect::<Vec<_>>(), [(2, "avro.record")]);
}

#[test]
fn messages_of_several_schemas_keep_their_order() {
    let mut decoder = registered(&[(3, ORDER), (400, LATER)]);
    let bodies = [
        framed(400, &later("TX")),
        framed(3, &order(Some(5), "NY")),
        framed(400, &later("AZ")),
        framed(3, &order(None, "IL")),
    ];
    let found = decode(&mut decoder, &bodies);
    let rows = cells(&found.rows);
    let states: Vec<&str> = rows.iter().map(|row| row[3].as_str()).collect();
    assert_eq!(
        states,
        [
            r#"{"state":"TX","channel":"shop"}"#,
            r#"{"state":"NY"}"#,
            r#"{"state":"AZ","channel":"shop"}"#,
            r#"{"state":"IL"}"#
        ]
    );
    assert_eq!((rows[0][0].as_str(), rows[0][1].as_str(), rows[1][1].as_str()), ("7", "∅", "0.05"));
}

#[test]
fn schemas_are_asked_for_once_and_those_that_are_not_there_again() {
    let mut decoder = registered(&[(3, ORDER)]);
    let bodies = [framed(3, &order(None, "")), framed(9, b""), framed(8, b""), framed(9, b"")];
    let given: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    assert_eq!(decoder.unknown_schemas(&given), [9, 8]);
    for number in [9, 8] {
        let message = format!("the registry has no schema {number}");
        decoder.learn_schema(number, Err(BadSchema { reason: RejectCode::AvroSchemaUnknown, message }));
    }
    assert!(decoder.unknown_schemas(&given).is_empty());
    let found = decode(&mut decoder, &bodies);
    let told: Vec<_> = found.bad.iter().map(|bad| (bad.at, bad.reason.as_str(), bad.message.as_str())).collect();
    assert_eq!(told[0], (1, "avro.schema-unknown", "the registry has no schema 9"));
    assert_eq!(told.len(), 3);
    decoder.forget_bad_schemas();
    assert_eq!(decoder.unknown_schemas(&given), [9, 8]);
}

#[test]
fn a_record_that_is_none_is_bad_by_itself() {
    let whole = order(Some(1), "NY");
    let mut twice = framed(3, &whole);
    twice.extend_from_slice(&framed(3, &whole));
    let mut prefix = framed(3, &whole);
    prefix.extend_from_slice(&framed(3, b""));
    let bodies = [
        framed(3, &whole),
        framed(3, &whole[..whole.len() - 1]),
        framed(3, &whole),
        framed(3, &[&whole[..], b"x"].concat()),
        twice,
        prefix,
        framed(3, b""),
        framed(3, &whole),
        b"{\"id\":1}".to_vec(),
        vec![0, 0, 0],
        Vec::new(),
        framed(3, &whole),
    ];
    let found = decode(&mut registered(&[(3, ORDER)]), &bodies);
    assert_eq!(found.taken.as_deref(), Some(&[0, 2, 7, 11][..]));
    assert!(cells(&found.rows).iter().all(|row| row[1] == "0.01"), "{:?}", found.rows);
    let reasons: Vec<&str> = found.bad.iter().map(|bad| bad.reason.as_str()).collect();
    assert_eq!(reasons, [&["avro.record"; 5][..], &["avro.frame"; 3]].concat());
    assert!(found.bad[1].message.contains("1 are left over"), "{:?}", found.bad[1]);
    assert!(found.bad[5].message.contains("begins with the byte 0x7b"), "{:?}", found.bad[5]);
}

#[test]
fn a_value_that_does_not_fit_is_bad_and_the_others_go_on() {
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"id","type":["null","string"]},{"name":"price","type":["null","string"]}]}"#;
    let record = |id: Option<&str>, price: &str| {
        let mut record = Vec::new();
        long(&mut record, id.is_some().into());
        if let Some(id) = id {
            text(&mut record, id);
        }
        long(&mut record, 1);
        text(&mut record, price);
        record
    };
    let bodies = [record(Some("a"), "1.5"), record(None, "2"), record(Some("b"), "dear"), record(Some("c"), "3")];
    let found = decode(&mut bare(schema, &columns()).unwrap(), &bodies);
    let rows = cells(&found.rows);
    assert_eq!((rows[0][1].as_str(), rows[1][1].as_str(), rows.len()), ("1.50", "3.00", 2));
    let told: Vec<_> = found.bad.iter().map(|bad| (bad.at, bad.reason.as_str())).collect();
    assert_eq!(told, [(1, "avro.null"), (2, "avro.type")]);
}

#[test]
fn a_schema_without_a_column_that_must_be_there_gives_no_rows() {
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"price","type":"int"}]}"#;
    let found = decode(&mut registered(&[(1, schema)]), &[framed(1, &[2]), framed(1, &[4])]);
    assert_eq!(found.rows.num_rows(), 0);
    assert_eq!(found.bad[1].message, "column `id` must not be null");
}

#[test]
fn a_schema_that_is_of_no_use_is_told_apart() {
    let cases = [
        ("{", "is no schema of records"),
        (r#""string""#, "is no schema of records"),
        (r#"{"type":"record","name":"r","fields":[{"name":"x","type":"int"}]}"#, "none of the declared columns, but x"),
        (
            r#"{"type":"record","name":"r","fields":[{"name":"id","type":"string"},{"name":"placed","type":{"type":"array","items":"int"}}]}"#,
            "`placed` is of type list",
        ),
        // A few bytes of it would promise two billion nulls.
        (
            r#"{"type":"record","name":"r","fields":[{"name":"id","type":"string"},{"name":"l","type":{"type":"array","items":"null"}}]}"#,
            "which take no bytes",
        ),
    ];
    for (schema, why) in cases {
        let error = bare(schema, &columns()).err().unwrap_or_default();
        assert!(error.contains(why), "{schema}: {error}");
        let found = decode(&mut registered(&[(1, schema)]), &[framed(1, &[0, 0])]);
        assert_eq!(found.bad[0].reason, "avro.schema");
        assert!(found.bad[0].message.contains(why), "{schema}: {:?}", found.bad);
    }
}

/// A record of a union whose number says which type it has.
fn either(id: i64) -> Vec<u8> {
    let mut record = Vec::new();
    long(&mut record, id);
    long(&mut record, id % 3);
    match id % 3 {
        1 => long(&mut record, id * 7),
        2 => text(&mut record, &format!("s{id}")),
        _ => {}
    }
    record
}

const EITHER: &str = r#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"},{"name":"either","type":["null","long","string"]}]}"#;

#[test]
fn values_of_a_union_are_right_in_every_batch() {
    let columns = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("either", DataType::Utf8, true),
    ]));
    let mut decoder = bare(EITHER, &columns).unwrap();
    let mut id = 0;
    for size in [64, 1, 300, 64, 2_000] {
        let mut bodies: Vec<Vec<u8>> = (id..id + size).map(either).collect();
        // Where one is bad, each is looked at by itself.
        bodies.push(b"x".to_vec());
        let found = decode(&mut decoder, &bodies);
        assert_eq!(found.bad.len(), 1);
        for (row, id) in cells(&found.rows).iter().zip(id..) {
            let expected = match id % 3 {
                1 => (id * 7).to_string(),
                2 => format!("s{id}"),
                _ => "∅".to_owned(),
            };
            assert_eq!((&row[0], &row[1]), (&id.to_string(), &expected));
        }
        id += size;
    }
}

proptest! {
    #[test]
    fn no_bytes_end_the_decoder(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..40)) {
        let mut decoder = bare(ORDER, &columns()).unwrap();
        decode(&mut decoder, &bodies);
        let rows = cells(&decode(&mut decoder, &[order(Some(1), "NY")]).rows);
        prop_assert_eq!(rows[0][1].as_str(), "0.01");
    }

    #[test]
    fn a_record_with_one_byte_changed_is_a_row_or_is_bad(at in 0_usize..54, byte in any::<u8>()) {
        let mut decoder = registered(&[(3, ORDER)]);
        let mut changed = order(Some(1), "NY");
        let at = at % changed.len();
        changed[at] = byte;
        let found = decode(&mut decoder, &[framed(3, &order(Some(2), "CA")), framed(3, &changed), framed(3, &order(Some(3), "AZ"))]);
        let rows = cells(&found.rows);
        prop_assert_eq!(rows[0][1].as_str(), "0.02");
        prop_assert_eq!(rows[rows.len() - 1][1].as_str(), "0.03");
    }
}

#[test]
fn more_may_be_wanted_of_messages() {
    let narrow = r#"{"type":"record","name":"r","fields":[{"name":"id","type":"string"}]}"#;
    let wide = r#"{"type":"record","name":"r","fields":[{"name":"id","type":"string"},{"name":"price","type":"int"},{"name":"placed","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"more","type":["null","int"]}]}"#;
    let record = |more: &[u8]| [&[2, b'a', 4, 2], more].concat();
    let bodies = [framed(1, &[2, b'a']), framed(2, &record(&[2, 14])), framed(2, &record(&[0]))];
    let told = |demands| {
        let mut decoder = registered(&[(1, narrow), (2, wide)]).demanding(demands);
        let found = decode(&mut decoder, &bodies);
        found.bad.into_iter().map(|bad| (bad.at, bad.reason.as_str(), bad.message)).collect::<Vec<_>>()
    };
    let lacking = names_of(&columns()).into_iter().find(|name| name != "id").unwrap();
    assert_eq!(told(Demands::default()), []);
    let new = (1, "avro.new-field", "the message has the field `more`, which no column takes".to_owned());
    assert_eq!(told(Demands { known: true, whole: false }), std::slice::from_ref(&new));
    let found = told(Demands { known: true, whole: true });
    assert_eq!(found[0], (0, "avro.missing-field", format!("the message lacks the field `{lacking}`")));
}

fn names_of(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}
