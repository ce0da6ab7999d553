//! CSV files by chance through our reader, DuckDB and pyarrow: where the three differ, ours is right by a documented
//! rule, and the rule is listed here.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use arrow_schema::DataType;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sluicebox_core::plan::Format;

use super::exact::comes_back;
use super::generated::{Cell, Table, number};
use super::harness::{Folder, schema};
use crate::harness::oracle::python;
use crate::harness::root;

/// Files of one test run; `$SLUICE_FILES` asks for others, `$SLUICE_SEED` for the ones after that seed.
const FILES: u64 = 100;

/// By which of our rules a peer's text of a field may be another one than what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// `007`, `+7` and `12E4` are texts; the peer made numbers of them.
    CodesAreTexts,
    /// A whole number beyond 64 bits, or digits that no double holds: the peer rounded it.
    NoDigitIsLost,
    /// `1.10` is no `1.1`, nor is it `1.100`: the peer wrote it with fewer or more zeros.
    ZerosStay,
    /// `NaN`, `inf`, `null` and the like are texts, unless among numbers: the peer knows them in any case of letters.
    WordsAreTexts,
    /// A quoted text is never null, and an unquoted empty one always is: the peer does not tell them apart.
    EmptyTextIsNotNull,
    /// A day in a column of instants is its first moment, and an instant is shown in one form.
    InstantsHaveOneForm,
    /// True and false are shown in lower case.
    TruthHasOneForm,
    /// An escape has its meaning outside of quotes, too; the peer takes it for a character there.
    EscapesHoldEverywhere,
    /// Spaces around values that are no texts do not matter.
    SpacesAround,
}

/// Why a peer may have `theirs` for a field; `None` if it must not.
fn rule(cell: &Cell, theirs: Option<&str>) -> Option<Rule> {
    let text = cell.text.as_str();
    let Some(theirs) = theirs else {
        let word = ["null", "n/a", "nan", "na"].contains(&text.to_lowercase().as_str());
        return if text.is_empty() { Some(Rule::EmptyTextIsNotNull) } else { word.then_some(Rule::WordsAreTexts) };
    };
    if text.is_empty() && theirs.is_empty() {
        return Some(Rule::EmptyTextIsNotNull);
    }
    if text.contains('\\') && text.replace('\\', "\\\\") == theirs {
        return Some(Rule::EscapesHoldEverywhere);
    }
    let trimmed = text.trim();
    if theirs == trimmed {
        return Some(Rule::SpacesAround);
    }
    if theirs == text.to_lowercase() && ["true", "false"].contains(&theirs) {
        return Some(Rule::TruthHasOneForm);
    }
    if theirs.starts_with(trimmed) && trimmed.len() >= 10 && theirs.get(10..) == Some(" 00:00:00") {
        return Some(Rule::InstantsHaveOneForm);
    }
    // DuckDB has days and doubles that are called so.
    if ["nan", "inf", "-inf"].contains(&trimmed.to_lowercase().as_str()) {
        return Some(Rule::WordsAreTexts);
    }
    let back = theirs.parse::<f64>().ok()?;
    // Their number is the nearest one to what is written.
    let nearest = trimmed.parse::<f64>().ok()?;
    if back.to_bits() != nearest.to_bits() && !(back == 0.0 && nearest == 0.0) {
        return None;
    }
    let same = number(trimmed.trim_start_matches('+')) == number(theirs);
    let digits = trimmed.trim_start_matches('-');
    let code = trimmed.starts_with('+')
        || (digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0."))
        || trimmed.contains(['e', 'E'])
        || trimmed.starts_with("-0");
    Some(match (code, same) {
        (true, _) => Rule::CodesAreTexts,
        (false, false) => Rule::NoDigitIsLost,
        (false, true) => Rule::ZerosStay,
    })
}

#[test]
fn readers_agree_but_where_a_rule_of_ours_says_otherwise() {
    let Some(python) = python() else { return };
    let files = std::env::var("SLUICE_FILES").ok().and_then(|count| count.parse().ok()).unwrap_or(FILES);
    let first: u64 = std::env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let mut peers = Command::new(&python)
        .arg(root().join("tests/harness/csv_peers.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
    let mut asked = peers.stdin.take().expect("because it was piped just above");
    let mut answers = BufReader::new(peers.stdout.take().expect("because it was piped just above")).lines();
    let mut compared = std::collections::BTreeMap::<String, usize>::new();
    for seed in (0..files).map(|step| first.wrapping_add(step)) {
        let table = Table::new(&mut ChaCha8Rng::seed_from_u64(seed));
        let folder = Folder::new(Format::Csv(table.format.clone())).with("a.csv", table.file(&table.rows));
        let texts: Vec<(&str, &str)> = table.names.iter().map(|name| (name.as_str(), "string")).collect();
        let mut declared = Folder::new(Format::Csv(table.format.clone()));
        declared.spec.path = folder.spec.path.clone();
        declared.spec.columns = Some(schema(&texts));
        assert_eq!(ours(&table, &declared, seed), table.rows.len(), "seed {seed}: every record is a row of texts");
        ours(&table, &folder, seed);

        let file = json!({
            "path": folder.path().join("a.csv"),
            "delimiter": table.delimiter(),
            "quote": char::from(table.format.quote).to_string(),
            "escape": table.format.escape.map(|escape| char::from(escape).to_string()),
            "columns": table.names,
        });
        writeln!(asked, "{file}").expect("the peers listen");
        let answer = answers.next().unwrap_or_else(|| panic!("seed {seed}: the peers fell silent")).expect("text");
        let answer: Value = serde_json::from_str(&answer).expect("the peers answer in JSON");
        for (peer, kind) in [("duckdb", "text"), ("duckdb", "typed"), ("pyarrow", "text"), ("pyarrow", "typed")] {
            // A peer that refuses a file, or sees another number of records in it, has other rules for whole files.
            let Some(rows) = answer[peer][kind].as_array().filter(|rows| rows.len() == table.rows.len()) else {
                *compared.entry(format!("{peer} refuses a file")).or_default() += 1;
                continue;
            };
            for (theirs, row) in rows.iter().zip(&table.rows) {
                for (theirs, cell) in theirs.as_array().expect("a row is a list").iter().zip(row) {
                    let theirs = theirs.as_str();
                    if theirs == Some(&cell.text) {
                        *compared.entry("the same".to_owned()).or_default() += 1;
                        continue;
                    }
                    let rule = rule(cell, theirs);
                    assert!(rule.is_some(), "seed {seed}: {peer} reads {cell:?} as {theirs:?} ({kind}), by no rule");
                    *compared.entry(format!("{peer}: {:?}", rule.expect("it is some"))).or_default() += 1;
                }
            }
        }
    }
    drop(asked);
    assert!(peers.wait().expect("the peers end").success());
    eprintln!("{compared:?}");
    assert!(files < 20 || compared["the same"] > 1_000, "{compared:?}");
}

/// Reads a table as we do, and looks that all that lands is what was written. Gives the number of rows.
fn ours(table: &Table, folder: &Folder, seed: u64) -> usize {
    let read = folder.read();
    let kinds: Vec<DataType> = match read.batches.first() {
        Some(batch) => batch.schema().fields().iter().map(|field| field.data_type().clone()).collect(),
        None => return 0,
    };
    for ((_, position), shown) in read.places().into_iter().zip(read.table()) {
        for ((cell, kind), shown) in table.rows[position as usize].iter().zip(&kinds).zip(&shown) {
            assert!(comes_back(cell, kind, shown), "seed {seed}: {cell:?} is {shown:?} as {kind}");
        }
    }
    for reject in &read.rejects {
        let written = table.record(&table.rows[reject.position as usize]);
        assert_eq!(String::from_utf8_lossy(&reject.payload), written, "seed {seed}: {}", reject.message);
    }
    assert_eq!(read.rows() + read.rejects.len(), table.rows.len(), "seed {seed}");
    // All of a small file is the sample, so that no value is a surprise.
    assert_eq!(read.rejects.len(), 0, "seed {seed}: {:?}", read.bad());
    read.rows()
}
