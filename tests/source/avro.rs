//! Avro object containers.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use sluicebox_core::batch::Positions;
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::Format;

use super::harness::Folder;

/// The header of a file of records `{n: long}`, and the marker after its blocks.
fn header() -> (Vec<u8>, [u8; 16]) {
    let marker = *b"0123456789abcdef";
    let schema = br#"{"type":"record","name":"r","fields":[{"name":"n","type":"long"}]}"#;
    let mut bytes = b"Obj\x01".to_vec();
    bytes.push(2);
    bytes.push(22);
    bytes.extend_from_slice(b"avro.schema");
    long(&mut bytes, schema.len() as i64);
    bytes.extend_from_slice(schema);
    bytes.push(0);
    bytes.extend_from_slice(&marker);
    (bytes, marker)
}

/// A number as Avro writes it.
pub fn long(bytes: &mut Vec<u8>, number: i64) {
    let mut left = ((number << 1) ^ (number >> 63)) as u64;
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
}

fn block(bytes: &mut Vec<u8>, numbers: &[i64], marker: &[u8; 16]) {
    let mut body = Vec::new();
    for number in numbers {
        long(&mut body, *number);
    }
    long(bytes, numbers.len() as i64);
    long(bytes, body.len() as i64);
    bytes.extend_from_slice(&body);
    bytes.extend_from_slice(marker);
}

#[test]
fn values_of_a_union_are_right_in_every_batch() {
    let marker = *b"0123456789abcdef";
    let schema = br#"{"type":"record","name":"r","fields":[{"name":"n","type":["null","long","string"]}]}"#;
    let mut bytes = b"Obj\x01".to_vec();
    bytes.extend_from_slice(&[2, 22]);
    bytes.extend_from_slice(b"avro.schema");
    long(&mut bytes, schema.len() as i64);
    bytes.extend_from_slice(schema);
    bytes.push(0);
    bytes.extend_from_slice(&marker);
    let mut number = 0_i64;
    // Blocks of less, of about as many, and of more records than a batch has.
    for records in [10, 5_000, 8_000, 30_000, 1, 9_000] {
        let mut body = Vec::new();
        for _ in 0..records {
            long(&mut body, number % 3);
            match number % 3 {
                1 => long(&mut body, number),
                2 => {
                    let text = format!("s{number}");
                    long(&mut body, text.len() as i64);
                    body.extend_from_slice(text.as_bytes());
                }
                _ => {}
            }
            number += 1;
        }
        long(&mut bytes, records);
        long(&mut bytes, body.len() as i64);
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&marker);
    }
    let read = Folder::new(Format::Avro).with("a.avro", &bytes).read();
    assert!(read.batches.iter().all(|batch| batch.num_rows() <= 8_192));
    let table = read.table();
    assert_eq!(table.len() as i64, number);
    for (row, number) in table.iter().zip(0_i64..) {
        let expected = match number % 3 {
            1 => number.to_string(),
            2 => format!("s{number}"),
            _ => "∅".to_owned(),
        };
        assert_eq!(row, &[expected]);
    }
}

#[test]
fn a_block_without_records_does_not_end_the_file() {
    let (mut bytes, marker) = header();
    for numbers in [&[][..], &[1, 2], &[], &[], &[-3], &[]] {
        block(&mut bytes, numbers, &marker);
    }
    let folder = Folder::new(Format::Avro).with("a.avro", &bytes).with("b.avro", header().0);
    let read = folder.read();
    assert_eq!(read.table(), [["1"], ["2"], ["-3"]]);
    assert_eq!(read.sealed("a.avro"), Some(bytes.len() as u64));
    assert!(read.sealed("b.avro").is_some(), "a header alone is an empty file");
}

#[test]
fn a_cut_anywhere_is_an_error() {
    let (head, marker) = header();
    let mut bytes = head.clone();
    block(&mut bytes, &[1, 2, 300], &marker);
    for end in 1..bytes.len() {
        if end == head.len() {
            continue;
        }
        let error = Folder::new(Format::Avro).with("a.avro", &bytes[..end]).fails();
        assert!(error.to_string().contains("a.avro"), "{end}: {error}");
        assert!(error.hint().is_some(), "{end}: {error:?}");
    }
}

#[test]
fn a_value_that_does_not_fit_costs_its_row_only() {
    let (mut bytes, marker) = header();
    block(&mut bytes, &[1, 300, -7], &marker);
    let folder = Folder::new(Format::Avro).columns(&[("n", "int8")]).with("a.avro", &bytes);
    let read = folder.read();
    assert_eq!(read.table(), [["1"], ["-7"]]);
    assert_eq!(read.bad(), [(1, 0, "avro.type", r#"{"n":300}"#.to_owned())]);
    // A resume behind the first row counts on.
    let rest = folder.read_after(&Positions::of("a.avro".into(), 1));
    assert_eq!((rest.table(), rest.places()[0].1), (vec![vec!["-7".to_owned()]], 2));
    assert_eq!(rest.bad().len(), 1);
}

#[test]
fn a_damaged_block_is_an_error() {
    let (mut bytes, marker) = header();
    block(&mut bytes, &[1, 2], &marker);
    block(&mut bytes, &[3], b"fedcba9876543210");
    let error = Folder::new(Format::Avro).with("a.avro", &bytes).fails();
    let text = format!("{error:?}");
    assert!(text.contains("the block at byte") && text.contains("is damaged"), "{text}");
    Folder::new(Format::Avro).with("a.avro", "not avro at all").fails();
}

#[test]
fn codecs_and_resuming() {
    use arrow_avro::compression::CompressionCodec;
    use arrow_avro::writer::{WriterBuilder, format::AvroOcfFormat};
    let rows = RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from_iter_values(0..20_000)) as arrow_array::ArrayRef),
        ("s", Arc::new(StringArray::from_iter_values((0..20_000).map(|n| format!("s{n}"))))),
    ])
    .unwrap();
    for codec in
        [None, Some(CompressionCodec::Deflate), Some(CompressionCodec::Snappy), Some(CompressionCodec::ZStandard)]
    {
        let mut bytes = Vec::new();
        let mut writer = WriterBuilder::new(rows.schema().as_ref().clone())
            .with_compression(codec)
            .build::<_, AvroOcfFormat>(&mut bytes)
            .unwrap();
        writer.write(&rows.slice(0, 7_000)).unwrap();
        writer.write(&rows.slice(7_000, 13_000)).unwrap();
        writer.finish().unwrap();
        drop(writer);
        let folder = Folder::new(Format::Avro).with("a.avro", &bytes);
        let whole = folder.read();
        assert_eq!(whole.rows(), 20_000, "{codec:?}");
        assert_eq!(whole.table()[19_999], ["19999", "s19999"]);
        let read = folder.read_after(&Positions::of("a.avro".into(), 12_345));
        assert_eq!((read.rows(), read.places()[0].1), (20_000 - 12_345, 12_345));
    }
}
