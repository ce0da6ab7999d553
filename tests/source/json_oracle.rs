//! Random files of JSON lines, read by the source, by Python's exact reader, by DuckDB and by pyarrow: what
//! lands is what was written, or the line is in quarantine.

use std::fmt::Write as _;
use std::process::Command;

use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluicebox_formats::rows_as_json;

use super::harness::Folder;
use crate::harness::oracle::python;
use crate::harness::root;

/// Random files of one test run; `$SLUICE_FILES` asks for others.
const FILES: u64 = 40;

/// What the values of a field are.
#[derive(Clone, Debug)]
enum Kind {
    Whole(u32),
    Amount(usize),
    Measured,
    Long,
    Odd,
    Text,
    Flag,
    Day,
    Code,
    Nothing,
    List(Box<Kind>),
    Object(Vec<(String, Kind)>),
    Mixed(Box<Kind>, Box<Kind>),
}

const WORDS: [&str; 10] =
    ["", "null", "é", "a\\\"b", "c\\\\d", "\\u00e4\\ud83d\\ude00", "line\\nend", "{}", "007", "2024-01-31"];

impl Kind {
    fn random(random: &mut ChaCha8Rng, depth: usize) -> Self {
        let scalar = |random: &mut ChaCha8Rng| match random.random_range(0..10) {
            0 => Self::Whole(random.random_range(1..19)),
            1 => Self::Amount(random.random_range(1..5)),
            2 => Self::Measured,
            3 => Self::Long,
            4 => Self::Odd,
            5 => Self::Text,
            6 => Self::Flag,
            7 => Self::Day,
            8 => Self::Code,
            _ => Self::Nothing,
        };
        match random.random_range(0..10) {
            0 if depth < 3 => Self::List(Box::new(Self::random(random, depth + 1))),
            1 | 2 if depth < 3 => Self::Object(fields(random, depth + 1)),
            3 => Self::Mixed(Box::new(scalar(random)), Box::new(scalar(random))),
            _ => scalar(random),
        }
    }

    fn write(&self, random: &mut ChaCha8Rng, into: &mut String) {
        let digits = |random: &mut ChaCha8Rng, count: usize| -> String {
            (0..count).map(|_| char::from(b'0' + random.random_range(0..10_u8))).collect()
        };
        if random.random_bool(0.05) {
            into.push_str("null");
            return;
        }
        let sign = if random.random_bool(0.3) { "-" } else { "" };
        match self {
            Self::Whole(size) => {
                let _ = write!(into, "{sign}{}", random.random_range(0..10_u64.pow(*size)));
            }
            Self::Amount(scale) => {
                let _ = write!(into, "{sign}{}.{}", random.random_range(0..100_000), digits(random, *scale));
            }
            Self::Measured => {
                let value: f64 = random.random_range(-1e6..1e6) * 10_f64.powi(random.random_range(-20..20));
                let _ = if random.random_bool(0.5) { write!(into, "{value}") } else { write!(into, "{value:e}") };
            }
            Self::Long => {
                let count = random.random_range(10..45);
                let _ = write!(into, "{sign}{}{}", random.random_range(1..10), digits(random, count));
            }
            Self::Odd => {
                into.push_str(
                    ["1e400", "0.1234567890123456789012", "-0", "0.0", "1E2", "9007199254740993"]
                        .choose(random)
                        .unwrap(),
                );
            }
            Self::Text => {
                let _ = write!(into, "\"{}\"", WORDS.choose(random).unwrap());
            }
            Self::Flag => into.push_str(if random.random_bool(0.5) { "true" } else { "false" }),
            Self::Day => {
                let _ = write!(
                    into,
                    "\"20{:02}-{:02}-28T00:00:00Z\"",
                    random.random_range(0..99),
                    random.random_range(1..13)
                );
            }
            Self::Code => {
                let _ = write!(into, "\"{}\"", digits(random, 6));
            }
            Self::Nothing => into.push_str("null"),
            Self::List(item) => {
                into.push('[');
                for at in 0..random.random_range(0..4) {
                    into.push_str(if at > 0 { ", " } else { "" });
                    item.write(random, into);
                }
                into.push(']');
            }
            Self::Object(fields) => write_object(fields, random, into),
            Self::Mixed(one, other) => {
                if random.random_bool(0.8) {
                    one.write(random, into)
                } else {
                    other.write(random, into)
                }
            }
        }
    }
}

fn fields(random: &mut ChaCha8Rng, depth: usize) -> Vec<(String, Kind)> {
    let count = random.random_range(1..5);
    let name = |at: usize, random: &mut ChaCha8Rng| match random.random_range(0..12) {
        // Names that differ in case alone.
        0 => "F0".to_owned(),
        1 => format!("f {at}"),
        2 => format!("ä{at}"),
        _ => format!("f{at}"),
    };
    (0..count).map(|at| (name(at, random), Kind::random(random, depth))).collect()
}

fn write_object(fields: &[(String, Kind)], random: &mut ChaCha8Rng, into: &mut String) {
    into.push('{');
    let mut first = true;
    for (name, kind) in fields {
        if random.random_bool(0.1) {
            continue;
        }
        let _ = write!(into, "{}\"{name}\": ", if first { "" } else { ", " });
        first = false;
        kind.write(random, into);
    }
    into.push('}');
}

#[test]
fn what_lands_is_what_was_written() {
    let Some(python) = python() else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|count| count.parse::<u64>().ok());
    let files = number("SLUICE_FILES").unwrap_or(FILES);
    let first = number("SLUICE_SEED").unwrap_or_else(rand::random);
    let folder = tempfile::tempdir().unwrap();
    let mut unread = 0;
    for seed in (0..files).map(|step| first.wrapping_add(step)) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let fields = fields(&mut random, 0);
        let mut text = String::new();
        for _ in 0..random.random_range(1..200) {
            write_object(&fields, &mut random, &mut text);
            text.push('\n');
        }
        let source = Folder::json().with("a.jsonl", &text);
        let name = folder.path().join(seed.to_string());
        std::fs::write(name.with_extension("jsonl"), &text).unwrap();
        let read = match source.try_read(&Default::default()) {
            Ok(read) => read,
            Err(error) => {
                // A field that is an object here and a number there has no type; the source says so.
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                assert!(cause.contains("of another kind"), "seed {seed}: {error}: {cause}");
                unread += 1;
                std::fs::remove_file(name.with_extension("jsonl")).unwrap();
                continue;
            }
        };
        let mut landed = String::new();
        for rows in &read.batches {
            for line in rows_as_json(rows, &(0..rows.num_rows()).collect::<Vec<_>>()) {
                landed.push_str(std::str::from_utf8(&line).unwrap());
                landed.push('\n');
            }
        }
        for bad in &read.rejects {
            let line = text.lines().nth(bad.position as usize).unwrap();
            assert_eq!(bad.payload, line.as_bytes(), "seed {seed}: a line in quarantine is not whole");
            let _ = writeln!(landed, "{{\"_bad\": {}}}", bad.position);
        }
        std::fs::write(name.with_extension("ours"), landed).unwrap();
    }
    assert!(unread < files.div_ceil(2), "{unread} of {files} files have no types");
    let output = Command::new(&python).arg(root().join("tests/harness/json_oracle.py")).arg(folder.path()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "first seed {first}:\n{told}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{told}");
}
