//! Files that nobody vouches for: whatever is in them, reading ends in rows, bad records or an error, and takes
//! no more memory than a file gets.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod budget;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::builder::{ListBuilder, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StructArray, TimestampNanosecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sluicebox_core::plan::{Compression as Packed, Demands, Encoding as Letters, Format, Timestamps};
use sluicebox_formats::{FileSpec, FormatError, Input, LocalFile, Meter, open, schema};

/// What reading any file may take at its peak.
const MEMORY: usize = 1 << 30;

/// What reading any file of these sizes may take.
const TIME: Duration = Duration::from_secs(30);

/// Mutated files of one kind; `$SLUICE_MUTANTS` asks for others.
const MUTANTS: u64 = 300;

/// Batches of one file that are looked at.
const BATCHES: usize = 40;

fn jsonl() -> Format {
    Format::JsonLines { encoding: Letters::Utf8 }
}

fn json() -> Format {
    Format::Json { encoding: Letters::Utf8, path: Vec::new() }
}

/// Reads a file as a source does: its columns, then its rows. Gives how many rows there were, and bad records.
fn read(path: &Path, format: &Format) -> Result<(usize, usize), FormatError> {
    let input = Input::Local(LocalFile::new(path));
    let columns = schema(&input, format, Packed::Auto)?;
    let spec = FileSpec {
        format,
        compression: Packed::Auto,
        columns: Some(&columns),
        own_types: true,
        inferred: true,
        demands: Demands::default(),
        skip: 0,
        timestamps: Timestamps::Exact,
        whole: true,
    };
    let mut rows = open(&input, &spec, &Meter::default())?;
    let (mut good, mut bad) = (0, 0);
    for _ in 0..BATCHES {
        let Some(decoded) = rows.next()? else { break };
        assert_eq!(decoded.numbers.to_vec(decoded.rows.num_rows()).len(), decoded.rows.num_rows());
        good += decoded.rows.num_rows();
        bad += decoded.bad.len();
    }
    Ok((good, bad))
}

/// Reads `bytes` within what a file gets.
fn within(name: &str, bytes: &[u8], format: &Format) -> Result<(usize, usize), FormatError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let begun = Instant::now();
    let (result, peak) = budget::peak(|| read(&path, format));
    assert!(peak < MEMORY, "{name} of {} bytes took {} MiB: {result:?}", bytes.len(), peak >> 20);
    assert!(begun.elapsed() < TIME, "{name} of {} bytes took {:?}: {result:?}", bytes.len(), begun.elapsed());
    result
}

fn parquet(rows: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.into_inner().unwrap()
}

fn zstd() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build()
}

/// Rows of many types.
fn sample() -> RecordBatch {
    let count = 200_usize;
    let text: StringArray = (0..count).map(|row| (row % 7 > 0).then(|| format!("text {}", row % 13))).collect();
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..count {
        (0..row % 4).for_each(|item| lists.values().append_value(format!("{item}")));
        lists.append(row % 5 > 0);
    }
    let inner: ArrayRef = Arc::new((0..count as i64).collect::<Int64Array>());
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new((0..count as i64).collect::<Int64Array>()) as ArrayRef, true),
        ("text", Arc::new(text), true),
        ("value", Arc::new((0..count).map(|row| row as f64 / 7.0).collect::<Float64Array>()), true),
        (
            "at",
            Arc::new(TimestampNanosecondArray::from_iter_values((0..count as i64).map(|row| row * 1_000_000_007))),
            true,
        ),
        ("list", Arc::new(lists.finish()), true),
        ("inner", Arc::new(StructArray::try_from(vec![("n", inner)]).unwrap()), true),
    ])
    .unwrap()
}

fn long(number: i64, into: &mut Vec<u8>) {
    let mut rest = (number << 1 ^ number >> 63) as u64;
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

fn text(text: &[u8], into: &mut Vec<u8>) {
    long(text.len() as i64, into);
    into.extend_from_slice(text);
}

/// An Avro container of one block.
fn avro(schema: &str, records: i64, block: &[u8]) -> Vec<u8> {
    let mut bytes = b"Obj\x01".to_vec();
    long(1, &mut bytes);
    text(b"avro.schema", &mut bytes);
    text(schema.as_bytes(), &mut bytes);
    long(0, &mut bytes);
    bytes.extend([7; 16]);
    long(records, &mut bytes);
    text(block, &mut bytes);
    bytes.extend([7; 16]);
    bytes
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

fn avro_sample() -> Vec<u8> {
    let schema = record(
        r#"{"name":"id","type":"long"},{"name":"name","type":["null","string"]},
        {"name":"tags","type":{"type":"array","items":"string"}},{"name":"mark","type":{"type":"fixed","name":"F","size":4}},
        {"name":"attrs","type":{"type":"map","values":"double"}}"#,
    );
    let mut block = Vec::new();
    for row in 0..100 {
        long(row, &mut block);
        long(row % 2, &mut block);
        if row % 2 == 1 {
            text(b"name", &mut block);
        }
        long(2, &mut block);
        text(b"a", &mut block);
        text(b"bc", &mut block);
        long(0, &mut block);
        block.extend([1, 2, 3, 4]);
        long(1, &mut block);
        text(b"k", &mut block);
        block.extend(1.5_f64.to_le_bytes());
        long(0, &mut block);
    }
    avro(&schema, 100, &block)
}

fn lines() -> Vec<u8> {
    let mut text = String::new();
    for row in 0..100 {
        let _ = writeln!(
            text,
            r#"{{"id":{row},"a":{{"b":[1,2],"c":{{"d":"é\n"}},"e":null}},"n":{row}.5,"t":"{row}","big":1234567890123456789012}}"#
        );
    }
    text.into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// A file with a few bytes changed.
fn mutant(bytes: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..6) {
        if bytes.is_empty() {
            break;
        }
        // Lengths and counts stand near the beginning and the end.
        let at = match random.random_range(0..3) {
            0 => random.random_range(0..bytes.len().min(400)),
            1 => bytes.len() - 1 - random.random_range(0..bytes.len().min(1_200)),
            _ => random.random_range(0..bytes.len()),
        };
        let end = (at + random.random_range(1..9)).min(bytes.len());
        match random.random_range(0..7) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at..end].fill(0xff),
            2 => bytes[at..end].fill(0),
            3 => bytes[at] = random.random(),
            4 => drop(bytes.splice(at..at, [0xfe, 0xff, 0xff, 0xff, 0x0f])),
            5 => drop(bytes.drain(at..end)),
            _ => {
                let part = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, part));
            }
        }
    }
    bytes
}

#[test]
fn mutated_files_harm_nobody() {
    let mutants = std::env::var("SLUICE_MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(MUTANTS);
    let first: u64 = std::env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let plain = || WriterProperties::builder().set_dictionary_enabled(false);
    let rows = sample();
    let seeds = [
        ("plain.parquet", parquet(&rows, plain().build()), Format::Parquet),
        ("dictionary.parquet", parquet(&rows, WriterProperties::default()), Format::Parquet),
        (
            "delta.parquet",
            parquet(&rows, plain().set_column_encoding("text".into(), Encoding::DELTA_BYTE_ARRAY).build()),
            Format::Parquet,
        ),
        ("zstd.parquet", parquet(&rows, zstd()), Format::Parquet),
        ("a.avro", avro_sample(), Format::Avro),
        ("a.jsonl", lines(), jsonl()),
        ("a.json", [b"[", &lines()[..], b"]"].concat(), json()),
        ("a.jsonl.gz", gzip(&lines()), jsonl()),
    ];
    let mut refused = 0;
    for (name, bytes, format) in &seeds {
        assert!(within(name, bytes, format).unwrap().0 > 0, "{name}");
        for seed in (0..mutants).map(|step| first.wrapping_add(step)) {
            let mutant = mutant(bytes, &mut StdRng::seed_from_u64(seed));
            let result = std::panic::catch_unwind(|| within(name, &mutant, format));
            refused += u64::from(result.unwrap_or_else(|_| panic!("{name}, seed {seed}")).is_err());
        }
    }
    println!("{refused} of {} mutants were refused", mutants * seeds.len() as u64);
}

#[test]
fn small_files_that_promise_much() {
    // One long text, a hundred thousand times by its place in a dictionary; alone, and in lists.
    let mut texts = StringDictionaryBuilder::<Int32Type>::new();
    let text = "x".repeat(200_000);
    for _ in 0..100_000 {
        texts.append(&text).unwrap();
    }
    let texts: ArrayRef = Arc::new(texts.finish());
    let rows = RecordBatch::try_from_iter([("a", texts)]).unwrap();
    let (good, _) = within("dictionary.parquet", &parquet(&rows, zstd()), &Format::Parquet).unwrap();
    assert!(good > 1_000, "{good}");
    // A text of which each is the one before and one letter more.
    let chain: StringArray = (1..20_000).map(|length| Some("y".repeat(length))).collect();
    let rows = RecordBatch::try_from_iter([("a", Arc::new(chain) as ArrayRef)]).unwrap();
    let shared = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BYTE_ARRAY)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    assert_eq!(within("shared.parquet", &parquet(&rows, shared), &Format::Parquet).unwrap().0, 19_999);

    // Nulls of a type whose values are large.
    let fixed =
        |size: u32| record(&format!(r#"{{"name":"a","type":["null",{{"type":"fixed","name":"F","size":{size}}}]}}"#));
    let nulls = vec![0; 8_000];
    assert!(matches!(
        within("fixed.avro", &avro(&fixed(i32::MAX as u32), 8_000, &nulls), &Format::Avro),
        Err(FormatError::Type { .. })
    ));
    assert!(within("fixed.avro", &avro(&fixed(1 << 20), 8_000, &nulls), &Format::Avro).unwrap().0 > 1_000);
    // Items that take no bytes, as many as a number can say.
    let mut endless = Vec::new();
    long(1 << 40, &mut endless);
    long(0, &mut endless);
    let schema = record(r#"{"name":"a","type":{"type":"array","items":"null"}}"#);
    assert!(within("endless.avro", &avro(&schema, 1, &endless), &Format::Avro).is_err());
    // Records that hold each other twice.
    let mut twice = r#"{"type":"record","name":"R0","fields":[{"name":"x","type":"long"}]}"#.to_owned();
    for level in 1..28 {
        let below = level - 1;
        twice = format!(
            r#"{{"type":"record","name":"R{level}","fields":[{{"name":"a","type":{twice}}},{{"name":"b","type":"R{below}"}}]}}"#
        );
    }
    assert!(matches!(within("twice.avro", &avro(&twice, 0, &[]), &Format::Avro), Err(FormatError::Columns { .. })));

    // Brackets in brackets, and keys without end.
    let deep = format!("{{\"a\":1}}\n{}1{}\n", "{\"a\":".repeat(60_000), "}".repeat(60_000));
    assert_eq!(within("deep.jsonl", deep.as_bytes(), &jsonl()).unwrap(), (1, 1));
    assert_eq!(within("deep.json", deep.as_bytes(), &json()).unwrap(), (1, 1));
    let keys = |from: usize| (from..from + 300_000).map(|key| format!("\"k{key}\":1")).collect::<Vec<_>>().join(",");
    let many = format!("{{{}}}\n", keys(0));
    assert!(matches!(within("keys.jsonl", many.as_bytes(), &jsonl()), Err(FormatError::Columns { .. })));
    let wide: Vec<String> = (0..9_000).map(|key| format!("\"k{key}\":1")).collect();
    let wide = format!("{{{}}}\n{}", wide.join(","), "{}\n".repeat(100_000));
    let read = within("wide.jsonl", wide.as_bytes(), &jsonl()).unwrap();
    assert!(read.0 > 9_000, "{read:?}");
    // A gigabyte of one letter, packed into a megabyte.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(b"{\"a\":\"").unwrap();
    (0..1_024).for_each(|_| packed.write_all(&[b'x'; 1 << 20]).unwrap());
    packed.write_all(b"\"}\n{\"a\":\"y\"}\n").unwrap();
    assert_eq!(within("line.jsonl.gz", &packed.finish().unwrap(), &jsonl()).unwrap(), (1, 1));
}
