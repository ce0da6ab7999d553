//! What becomes of texts without declared types: what lands comes back as it was written, or in one of the forms that
//! the documentation names, and all else is in quarantine with its bytes.

use std::collections::HashMap;

use arrow_schema::DataType;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluicebox_core::batch::Positions;
use sluicebox_core::plan::{CsvFormat, Format, Quoting};

use super::generated::{Cell, Table, number};
use super::harness::{Folder, Read, schema};

/// Whether a field comes back as it was written from a column of that type, which shows it as `shown`.
pub fn comes_back(cell: &Cell, kind: &DataType, shown: &str) -> bool {
    let text = cell.text.as_str();
    if *kind == DataType::Utf8 {
        return if text.is_empty() && !cell.quoted { shown == "∅" } else { shown == text };
    }
    // Spaces around other values than texts do not matter, and none of them has an empty one.
    let text = text.trim();
    if text.is_empty() {
        return shown == "∅";
    }
    match kind {
        DataType::Int64 => shown == text || (text == "-0" && shown == "0"),
        DataType::Decimal128(_, scale) => {
            let zeros = "0".repeat(usize::from(scale.unsigned_abs()));
            let unsigned = if number(text).is_some_and(|(_, digits, _)| digits.is_empty()) {
                text.trim_start_matches('-')
            } else {
                text
            };
            shown == unsigned || (!text.contains('.') && shown == format!("{unsigned}.{zeros}"))
        }
        DataType::Float64 if text.eq_ignore_ascii_case("nan") => shown == "NaN",
        DataType::Float64 if text.to_lowercase().contains("inf") => {
            shown == text.to_lowercase().replace("infinity", "inf")
        }
        DataType::Float64 => {
            let (Some(written), Ok(held)) = (number(text), shown.parse::<f64>()) else { return false };
            let digits = written.1.len().max(1) - 1;
            let superfluous =
                text.contains('.') && !text.contains(['e', 'E']) && text.ends_with('0') && !text.ends_with(".0");
            number(&format!("{held:.digits$e}")).is_some_and(|back| (back.1, back.2) == (written.1, written.2))
                && !superfluous
        }
        DataType::Boolean => shown == text.to_lowercase(),
        DataType::Date32 => shown == text,
        DataType::Timestamp(..) => {
            let time = if text.len() == 10 { format!("{text}T00:00:00") } else { text.replace(' ', "T") };
            shown == format!("{time}Z")
        }
        _ => false,
    }
}

/// Looks for each row of `rows`, which are the records of the files `names` in turn, where it must be.
fn check(table: &Table, files: &[(String, Vec<Vec<Cell>>)], read: &Read) -> Result<(), TestCaseError> {
    let mut landed = HashMap::new();
    let (places, shown) = (read.places(), read.table());
    let kinds: Vec<Vec<DataType>> = read
        .batches
        .iter()
        .flat_map(|batch| {
            let kinds: Vec<_> = batch.schema().fields().iter().map(|field| field.data_type().clone()).collect();
            std::iter::repeat_n(kinds, batch.num_rows())
        })
        .collect();
    for ((place, row), kinds) in places.into_iter().zip(&shown).zip(&kinds) {
        prop_assert!(landed.insert(place, (row, kinds)).is_none(), "a row stands twice");
    }
    let mut rejected = HashMap::new();
    for reject in &read.rejects {
        prop_assert!(rejected.insert((reject.lane.to_string(), reject.position), reject).is_none());
    }
    let count: usize = files.iter().map(|(_, rows)| rows.len()).sum();
    prop_assert_eq!(landed.len() + rejected.len(), count);
    for (name, rows) in files {
        for (at, row) in rows.iter().enumerate() {
            let place = (name.clone(), at as i64);
            match (landed.get(&place), rejected.get(&place)) {
                (Some((shown, kinds)), None) => {
                    for ((cell, kind), shown) in row.iter().zip(kinds.iter()).zip(shown.iter()) {
                        prop_assert!(comes_back(cell, kind, shown), "{cell:?} is {shown:?} as {kind}");
                    }
                }
                (None, Some(reject)) => {
                    let written = table.record(row);
                    prop_assert_eq!(&reject.payload, written.as_bytes());
                }
                _ => return Err(TestCaseError::fail(format!("{place:?} is nowhere, or twice"))),
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Files that are read at once, and a later one that is held to the columns of the table.
    #[test]
    fn what_lands_and_what_is_in_quarantine_is_all_that_was_written(seed in any::<u64>()) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let table = Table::new(&mut random);
        let cut = |random: &mut ChaCha8Rng| random.random_range(0..=table.rows.len());
        let (one, other) = (cut(&mut random), cut(&mut random));
        let (first, last) = (one.min(other), one.max(other));
        let folder = Folder::new(Format::Csv(table.format.clone()));
        let files = [("a.csv".to_owned(), table.rows[..first].to_vec()), ("b.csv".to_owned(), table.rows[first..last].to_vec())];
        files.iter().for_each(|(name, rows)| folder.write(name, table.file(rows)));
        let read = folder.read();
        check(&table, &files, &read)?;

        let Some(batch) = read.batches.first() else { return Ok(()) };
        let later = [("c.csv".to_owned(), table.rows[last..].to_vec())];
        folder.write("c.csv", table.file(&later[0].1));
        let read = folder.try_read_known(&read.positions, Some(batch.schema())).expect("the file is read");
        check(&table, &later, &read)?;
    }

    /// Whatever stands in a file, and whatever dialect it is read as, each of its words is in a row or in quarantine,
    /// once.
    #[test]
    fn no_word_of_a_file_is_lost_or_doubled(
        parts in prop::collection::vec(prop_oneof![
            4 => Just(","), 3 => Just("\n"), 3 => Just("\""), 1 => Just("\"\""), 1 => Just("\\"), 1 => Just("\r\n"),
            1 => Just(" "), 1 => Just("\",\""), 1 => Just("\"\n"), 1 => Just("\\\""),
        ], 0..120),
        width in 1..4_usize,
        (escapes, ragged, declared) in (any::<bool>(), any::<bool>(), any::<bool>()),
        quoting in prop_oneof![Just(Quoting::Strict), Just(Quoting::Lenient), Just(Quoting::None)],
    ) {
        let names = ["a", "b", "c"];
        let mut text = names[..width].join(",") + "\n";
        for (at, part) in parts.iter().enumerate() {
            text.push_str(&format!("<{at}>{part}"));
        }
        let format = CsvFormat { escape: escapes.then_some(b'\\'), ragged, quoting, ..CsvFormat::default() };
        let mut folder = Folder::new(Format::Csv(format));
        if declared {
            folder.spec.columns = Some(schema(&names[..width].iter().map(|name| (*name, "string")).collect::<Vec<_>>()));
        }
        let read = folder.with("x.csv", &text).read();
        let mut found = String::new();
        read.table().iter().flatten().for_each(|cell| found.push_str(cell));
        read.rejects.iter().for_each(|reject| found.push_str(&String::from_utf8_lossy(&reject.payload)));
        for at in 0..parts.len() {
            prop_assert_eq!(found.matches(&format!("<{at}>")).count(), 1, "<{}> of {:?}", at, text);
        }
    }
}

#[test]
fn a_file_without_rows_decides_nothing() {
    let folder = Folder::csv()
        .with("a.csv", "id,amount,day\n")
        .with("b.csv", "id,amount,day\n1,10.5,2024-01-02\n2,3.25,2024-01-03\n");
    assert_eq!(folder.schema(None).unwrap(), schema(&[("id", "int64"), ("amount", "float64"), ("day", "date")]));
    let read = folder.read();
    assert_eq!(read.table(), [["1", "10.5", "2024-01-02"], ["2", "3.25", "2024-01-03"]]);
    assert_eq!(*read.batches[0].column(0).data_type(), DataType::Int64);
    let alone = Folder::csv().with("a.csv", "id,amount\n");
    let columns = alone.schema(None).unwrap();
    assert!(columns.fields().iter().all(|field| *field.data_type() == DataType::Null), "{columns:?}");
}

#[test]
fn several_files_are_looked_at_before_a_type_is_taken() {
    let folder = Folder::csv();
    for day in 1..30 {
        folder
            .write(&format!("{day:02}.csv"), format!("code,n\n{},{day}\n", if day == 29 { "01067" } else { "80331" }));
    }
    assert_eq!(folder.schema(None).unwrap(), schema(&[("code", "string"), ("n", "int64")]));
    assert_eq!(folder.read().rejects.len(), 0);
}

#[test]
fn a_later_value_that_would_come_back_otherwise_is_in_quarantine() {
    let folder = Folder::csv().with("a.csv", "zip,amount\n80331,1.50\n10115,20.00\n");
    let first = folder.read();
    folder.write("b.csv", "zip,amount\n01067,1.50\n1067,1.5\n1068,7\n");
    let read = folder.try_read_known(&first.positions, Some(first.batches[0].schema())).unwrap();
    assert_eq!(read.table(), [["1068", "7.00"]]);
    assert_eq!(read.bad(), [(0, 2, "csv.type", "01067,1.50".to_owned()), (1, 3, "csv.type", "1067,1.5".to_owned())]);
    let told = "column `zip`: `01067` would come back as `1067` from int64, the type that was inferred; declare the column to have it so";
    assert_eq!(read.rejects[0].message, told);
    let declared = folder.columns(&[("zip", "int64"), ("amount", "decimal(10,2)")]);
    assert_eq!(declared.read_after(&first.positions).table(), [["1067", "1.50"], ["1067", "1.50"], ["1068", "7.00"]]);
    let after: Positions = first.positions;
    assert!(after.get("a.csv").is_some());
}
