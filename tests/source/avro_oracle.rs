//! Random schemas and values, written by apache-avro with every codec: what lands is what was written.

use std::collections::HashMap;
use std::fmt::Write as _;

use apache_avro::types::Value;
use apache_avro::{Codec, Decimal, Schema, Writer};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_cast::display::array_value_to_string;
use arrow_schema::DataType;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluicebox_core::plan::Format;

use super::harness::Folder;

/// Random files of one test run; `$SLUICE_FILES` asks for others.
const FILES: u64 = 60;

/// What the values of a field are.
enum Kind {
    Plain(&'static str),
    Logical(&'static str, &'static str),
    Decimal,
    Fixed(usize),
    Enum,
    Array(Box<Kind>),
    Map(Box<Kind>),
    Record(Vec<Kind>),
    Nullable(Box<Kind>, bool),
}

/// Names of types: each stands once in a schema.
#[derive(Default)]
struct Names(usize);

impl Names {
    fn next(&mut self) -> usize {
        self.0 += 1;
        self.0
    }
}

impl Kind {
    fn random(random: &mut ChaCha8Rng, depth: usize) -> Self {
        let below = |random: &mut ChaCha8Rng| Box::new(Self::random(random, depth + 1));
        match random.random_range(0..22) {
            0 | 1 if depth < 4 => Self::Array(below(random)),
            2 if depth < 4 => Self::Map(below(random)),
            3 | 4 if depth < 4 => Self::Record((0..random.random_range(1..4)).map(|_| *below(random)).collect()),
            5..=8 if depth < 4 => match Self::random(random, depth + 1) {
                nullable @ Self::Nullable(..) => nullable,
                other => Self::Nullable(Box::new(other), random.random_bool(0.5)),
            },
            9 => Self::Decimal,
            10 => Self::Fixed(random.random_range(1..9)),
            11 => Self::Enum,
            12 => Self::Logical("int", "date"),
            13 => Self::Logical("long", "timestamp-millis"),
            14 => Self::Logical("long", "timestamp-micros"),
            at => Self::Plain(["string", "long", "int", "double", "float", "boolean", "bytes"][at % 7]),
        }
    }

    fn schema(&self, names: &mut Names) -> String {
        match self {
            Self::Plain(name) => format!("\"{name}\""),
            Self::Logical(base, logical) => format!(r#"{{"type":"{base}","logicalType":"{logical}"}}"#),
            Self::Decimal => r#"{"type":"bytes","logicalType":"decimal","precision":20,"scale":3}"#.to_owned(),
            Self::Fixed(size) => format!(r#"{{"type":"fixed","name":"F{}","size":{size}}}"#, names.next()),
            Self::Enum => format!(r#"{{"type":"enum","name":"E{}","symbols":["RED","DARK_BLUE"]}}"#, names.next()),
            Self::Array(item) => format!(r#"{{"type":"array","items":{}}}"#, item.schema(names)),
            Self::Map(item) => format!(r#"{{"type":"map","values":{}}}"#, item.schema(names)),
            Self::Record(fields) => record(fields, names),
            Self::Nullable(inner, true) => format!(r#"["null",{}]"#, inner.schema(names)),
            Self::Nullable(inner, false) => format!(r#"[{},"null"]"#, inner.schema(names)),
        }
    }

    fn value(&self, random: &mut ChaCha8Rng) -> Value {
        match self {
            Self::Plain("string") => Value::String(["", "é", "a\n", "long text"][random.random_range(0..4)].to_owned()),
            Self::Plain("long") => Value::Long(random.random()),
            Self::Plain("int") => Value::Int(random.random()),
            Self::Plain("double") => Value::Double(random.random_range(-1e9..1e9)),
            Self::Plain("float") => Value::Float(random.random_range(-1e9..1e9)),
            Self::Plain("boolean") => Value::Boolean(random.random()),
            Self::Plain(_) => Value::Bytes((0..random.random_range(0..9)).map(|_| random.random()).collect()),
            Self::Logical(_, "date") => Value::Date(random.random_range(-700_000..2_900_000)),
            Self::Logical(_, "timestamp-millis") => {
                Value::TimestampMillis(random.random_range(-62_000_000_000_000..253_000_000_000_000))
            }
            Self::Logical(..) => {
                Value::TimestampMicros(random.random_range(-62_000_000_000_000_000..253_000_000_000_000_000))
            }
            Self::Decimal => Value::Decimal(Decimal::from(random.random_range(i64::MIN..i64::MAX).to_be_bytes())),
            Self::Fixed(size) => Value::Fixed(*size, (0..*size).map(|_| random.random()).collect()),
            Self::Enum => {
                let at = random.random_range(0..2);
                Value::Enum(at, ["RED", "DARK_BLUE"][at as usize].to_owned())
            }
            Self::Array(item) => Value::Array((0..random.random_range(0..4)).map(|_| item.value(random)).collect()),
            Self::Map(item) => {
                Value::Map((0..random.random_range(0..3)).map(|at| (format!("k{at}"), item.value(random))).collect())
            }
            Self::Record(fields) => values(fields, random),
            Self::Nullable(inner, first) => {
                let null = random.random_bool(0.3);
                let value = if null { Value::Null } else { inner.value(random) };
                Value::Union(u32::from(null != *first), Box::new(value))
            }
        }
    }
}

fn record(fields: &[Kind], names: &mut Names) -> String {
    let name = names.next();
    let mut text = String::new();
    for (at, field) in fields.iter().enumerate() {
        let _ =
            write!(text, "{}{{\"name\":\"f{at}\",\"type\":{}}}", if at > 0 { "," } else { "" }, field.schema(names));
    }
    format!(r#"{{"type":"record","name":"R{name}","fields":[{text}]}}"#)
}

fn values(fields: &[Kind], random: &mut ChaCha8Rng) -> Value {
    Value::Record(fields.iter().enumerate().map(|(at, field)| (format!("f{at}"), field.value(random))).collect())
}

/// Whether row `row` of an array holds a value.
fn holds(array: &ArrayRef, row: usize, value: &Value) -> bool {
    if let Value::Union(_, inner) = value {
        return holds(array, row, inner);
    }
    if array.is_null(row) || matches!(value, Value::Null) {
        return array.is_null(row) && matches!(value, Value::Null);
    }
    match value {
        Value::Boolean(truth) => array.as_boolean().value(row) == *truth,
        Value::Int(number) => array.as_primitive::<Int32Type>().value(row) == *number,
        Value::Long(number) => array.as_primitive::<Int64Type>().value(row) == *number,
        Value::Float(number) => array.as_primitive::<Float32Type>().value(row) == *number,
        Value::Double(number) => array.as_primitive::<Float64Type>().value(row) == *number,
        Value::String(text) | Value::Enum(_, text) => array.as_string::<i32>().value(row) == text,
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => array.as_binary::<i32>().value(row) == bytes.as_slice(),
        Value::Date(day) => array.as_primitive::<Date32Type>().value(row) == *day,
        Value::TimestampMillis(time) => array.as_primitive::<TimestampMicrosecondType>().value(row) == time * 1_000,
        Value::TimestampMicros(time) => array.as_primitive::<TimestampMicrosecondType>().value(row) == *time,
        Value::Decimal(number) => {
            let bytes = Vec::<u8>::try_from(number).unwrap();
            let mut whole = [if bytes[0] & 0x80 > 0 { 0xff } else { 0 }; 16];
            whole[16 - bytes.len()..].copy_from_slice(&bytes);
            array.data_type() == &DataType::Decimal128(20, 3)
                && array.as_primitive::<Decimal128Type>().value(row) == i128::from_be_bytes(whole)
        }
        Value::Array(items) => {
            let found = array.as_list::<i32>().value(row);
            found.len() == items.len() && items.iter().enumerate().all(|(at, item)| holds(&found, at, item))
        }
        Value::Map(entries) => {
            let found = array.as_map().value(row);
            let (keys, items) = (found.column(0).as_string::<i32>(), found.column(1));
            let places: HashMap<&str, usize> = keys.iter().flatten().enumerate().map(|(at, key)| (key, at)).collect();
            found.len() == entries.len()
                && entries.iter().all(|(key, item)| places.get(key.as_str()).is_some_and(|at| holds(items, *at, item)))
        }
        Value::Record(fields) => {
            let found = array.as_struct();
            fields.iter().all(|(name, value)| found.column_by_name(name).is_some_and(|array| holds(array, row, value)))
        }
        _ => false,
    }
}

#[test]
fn what_lands_is_what_was_written() {
    let number = |name: &str| std::env::var(name).ok().and_then(|count| count.parse::<u64>().ok());
    let first = number("SLUICE_SEED").unwrap_or_else(rand::random);
    for seed in (0..number("SLUICE_FILES").unwrap_or(FILES)).map(|step| first.wrapping_add(step)) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let fields: Vec<Kind> = (0..random.random_range(1..6)).map(|_| Kind::random(&mut random, 0)).collect();
        let text = record(&fields, &mut Names::default());
        let schema = Schema::parse_str(&text).unwrap();
        let codec = match seed % 6 {
            0 => Codec::Null,
            1 => Codec::Deflate(Default::default()),
            2 => Codec::Snappy,
            3 => Codec::Zstandard(Default::default()),
            4 => Codec::Bzip2(Default::default()),
            _ => Codec::Xz(Default::default()),
        };
        let mut writer = Writer::with_codec(&schema, Vec::new(), codec);
        let rows: Vec<Value> = (0..random.random_range(1..300)).map(|_| values(&fields, &mut random)).collect();
        for row in &rows {
            writer.append(row.clone()).unwrap();
            if random.random_bool(0.02) {
                writer.flush().unwrap();
            }
        }
        let read = Folder::new(Format::Avro).with("a.avro", writer.into_inner().unwrap()).read();
        assert_eq!((read.rows(), read.rejects.len()), (rows.len(), 0), "seed {seed}: {text}");
        let mut written = rows.iter();
        for batch in &read.batches {
            for row in 0..batch.num_rows() {
                let Some(Value::Record(values)) = written.next() else { panic!("seed {seed}: too many rows") };
                for (name, value) in values {
                    let array = batch.column_by_name(name).unwrap();
                    let shown = array_value_to_string(array, row);
                    assert!(holds(array, row, value), "seed {seed}, {name}: {value:?} landed as {shown:?} of {text}");
                }
            }
        }
    }
}
