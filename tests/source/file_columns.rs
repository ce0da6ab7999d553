//! Columns that a file does not hold but is.

use sluicebox_core::plan::{FileFact, NamePart};

use super::harness::{Folder, schema};

#[test]
fn declared_columns_are_taken_from_folders() {
    let columns = [("id", "int64"), ("year", "int32"), ("month", "int32"), ("region", "string")];
    let folder = Folder::csv()
        .columns(&columns)
        .with("year=2024/month=05/region=North%20East/a.csv", "id\n1\n2\n")
        .with("year=2024/month=06/region=__HIVE_DEFAULT_PARTITION__/a.csv", "id\n3\n")
        .with("year=2025/a.csv", "id\n4\n");
    let rows = [
        ["1", "2024", "5", "North East"],
        ["2", "2024", "5", "North East"],
        ["3", "2024", "6", "∅"],
        ["4", "2025", "∅", "∅"],
    ];
    assert_eq!(folder.read().table(), rows);
    assert_eq!(folder.schema(None).unwrap(), schema(&columns));
}

#[test]
fn folders_are_columns_of_their_own_where_none_are_declared_and_lose_no_digit() {
    let mut folder = Folder::csv()
        .with("year=2024/month=05/day=2024-05-01/a.csv", "id\n1\n")
        .with("year=2024/month=11/day=2024-11-02/b.csv", "id\n2\n");
    let expected = schema(&[("id", "int64"), ("year", "int64"), ("month", "string"), ("day", "date")]);
    assert_eq!(folder.schema(None).unwrap(), expected);
    assert_eq!(folder.read().table(), [["1", "2024", "05", "2024-05-01"], ["2", "2024", "11", "2024-11-02"]]);
    assert_eq!(folder.schema(Some(expected.clone())).unwrap(), expected);
    let without = schema(&[("id", "int64")]);
    assert_eq!(folder.schema(Some(without.clone())).unwrap(), without, "a table that was made without them stays so");
    folder.spec.file_columns.hive = false;
    assert_eq!(folder.schema(None).unwrap(), without);
    assert_eq!(folder.read().table(), [["1"], ["2"]]);
}

#[test]
fn what_a_file_says_itself_counts() {
    let folder = Folder::csv()
        .columns(&[("id", "int64"), ("year", "int32")])
        .with("year=2024/a.csv", "id,year\n1,2023\n2,\n")
        .with("year=2024/b.csv", "id\n3\n");
    assert_eq!(folder.read().table(), [["1", "2023"], ["2", "∅"], ["3", "2024"]]);
}

#[test]
fn a_path_that_is_no_value_leaves_its_file_out() {
    let folder = Folder::csv()
        .columns(&[("id", "int64"), ("year", "int32")])
        .with("year=2024/a.csv", "id\n1\n")
        .with("year=last/b.csv", "id\n2\n");
    let read = folder.read();
    assert_eq!(read.table(), [["1", "2024"]]);
    let [(name, why)] = read.left_out.named() else { panic!("{:?}", read.left_out) };
    assert!(name == "year=last/b.csv" && why.contains("`last`") && why.contains("year"), "{name}: {why}");
}

#[test]
fn parts_of_a_name_and_what_is_known_of_a_file_are_columns() {
    let mut folder = Folder::csv()
        .columns(&[("id", "int64"), ("date", "date")])
        .with("x/Lyon-Est-2024-05-01.csv", "id\n1\n")
        .with("x/readme.csv", "id\n2\n");
    let column = |name: &str| NamePart::Column(name.to_owned());
    let text = |text: &str| NamePart::Text(text.to_owned());
    folder.spec.file_columns.name = Some(vec![column("store"), text("-2"), column("rest"), text(".csv")]);
    let read = folder.read();
    assert_eq!(read.table(), [["1", "Lyon-Est", "024-05-01"]], "the shortest text that lets the rest fit");
    assert_eq!(read.left_out.named()[0].0, "x/readme.csv", "a name that does not fit is left out and named");
    folder.spec.file_columns.name = Some(vec![text("Lyon-Est-"), column("date"), text(".csv")]);
    let facts =
        [("file", FileFact::Name), ("path", FileFact::Path), ("bytes", FileFact::Size), ("at", FileFact::Modified)];
    folder.spec.file_columns.facts = facts.map(|(name, fact)| (name.to_owned(), fact)).to_vec();
    let row = folder.read().table().remove(0);
    assert_eq!(row[..5], ["1", "2024-05-01", "Lyon-Est-2024-05-01.csv", "x/Lyon-Est-2024-05-01.csv", "5"]);
    assert!(row[5].starts_with("20") && row[5].ends_with('Z'), "{row:?}");
    let expected = schema(&[
        ("id", "int64"),
        ("date", "date"),
        ("file", "string"),
        ("path", "string"),
        ("bytes", "int64"),
        ("at", "timestamp"),
    ]);
    assert_eq!(folder.schema(None).unwrap(), expected);
}

#[test]
fn files_that_say_their_types_have_such_columns_as_well() {
    let folder = Folder::json().with("day=2024-05-01/a.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    assert_eq!(folder.read().table(), [["1", "∅", "2024-05-01"], ["2", "∅", "2024-05-01"]]);
}

#[test]
fn a_column_of_some_files_and_of_the_folders_of_others_is_one() {
    let folder = Folder::csv().with("year=2024/a.csv", "id,year\n1,2023\n").with("year=2025/b.csv", "id\n2\n");
    assert_eq!(folder.schema(None).unwrap(), schema(&[("id", "int64"), ("year", "int64")]));
    let read = folder.read();
    let mut rows = Vec::new();
    for batch in &read.batches {
        let year = batch.column_by_name("year").unwrap();
        rows.push(super::harness::shown(year, 0));
    }
    assert_eq!(rows, ["2023", "2025"]);
}
