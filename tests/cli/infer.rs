//! `sluice infer`: what it prints can be pasted, and a run takes the same.

use std::fs;

use crate::harness::duckdb;
use crate::harness::{Lake, sluice, text};

const PIPELINE: &str = "[pipeline]\nname = \"p\"\n\n[sources.orders]\ntype = \"files\"\npath = \"drop\"\nformat = \"csv\"\n\
                        csv = { delimiter = \";\", decimal = \",\", date_format = \"%d.%m.%Y\" }\n\n\
                        [hops.land]\nfrom = \"orders\"\nto = \"bronze.orders\"\n";

#[test]
fn columns_are_printed_as_they_are_pasted() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    fs::create_dir_all(folder.path().join("drop")).expect("a folder");
    write("drop/1.csv", "id;zip;amount;day;Unit Price;empty\n1;80331;1,50;31.12.2024;7;\n");
    write("drop/2.csv", "id;zip;amount;day;Unit Price;empty\n2;01067;0,25;01.01.2025;8;\n");
    write("p.toml", PIPELINE);
    let file = folder.path().join("p.toml");
    let printed = sluice::run(&["infer", text(&file)]).ok().stdout;
    for line in [
        "# from 2 records of 2 of 2 files: 1.csv, 2.csv",
        "[sources.orders.columns]",
        "# 2 values: `1`, `2`\nid = \"int64\"",
        "# not int64: `01067` (2.csv, record 1) would come back as `1067`\nzip = \"string\"",
        "# every value has 2 digits behind the point\namount = \"decimal(18,2)\"",
        "day = \"date\"",
        "\"Unit Price\" = \"int64\"",
        "# 0 values, 2 empty\n# no value was seen\nempty = \"string\"",
    ] {
        assert!(printed.contains(line), "{line:?} is not in\n{printed}");
    }

    // Pasted, it is what a run takes without it.
    let pasted = format!("{PIPELINE}\n{printed}").replace("\"Unit Price\"", "unit_price");
    write("pasted.toml", &pasted);
    for name in ["drop/1.csv", "drop/2.csv"] {
        let text = fs::read_to_string(folder.path().join(name)).expect("the file").replace("Unit Price", "unit_price");
        write(name, &text);
    }
    let (inferred, declared) = (Lake::new(), Lake::new());
    sluice::run(&["run", text(&file), "--lake", text(inferred.path())]).ok();
    sluice::run(&["run", text(&folder.path().join("pasted.toml")), "--lake", text(declared.path())]).ok();
    let query = "select *, typeof(amount) as kind from (select id, zip, amount, day, unit_price, empty from delta_scan('{lake}/bronze/orders')) order by id";
    let Some(one) = duckdb::rows(inferred.path(), query) else { return };
    assert_eq!(Some(&one), duckdb::rows(declared.path(), query).as_ref());
    assert_eq!(one[1]["zip"], "01067");
    assert_eq!((&one[0]["amount"], &one[0]["day"]), (&"1.50".into(), &"2024-12-31".into()));
}

#[test]
fn a_file_alone_gives_a_whole_source() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("2024 [x].tsv");
    fs::write(&file, "a\tb\n1\t888E010010\n").expect("a file");
    let printed = sluice::run(&["infer", text(&file)]).ok().stdout;
    assert!(printed.contains("glob = \"2024 [[]x[]].tsv\"\nformat = \"csv\""), "{printed}");
    assert!(printed.contains("\nb = \"string\""), "{printed}");
    let name = printed.lines().next().expect("a line").to_owned();
    assert_eq!(name, "[sources.2024__x_]");
    let unknown = sluice::run(&["infer", "Cargo.lock"]).failed(2);
    assert!(unknown.stderr.contains("no ending that says its format"), "{unknown}");
}

#[test]
fn a_folder_of_headers_alone_makes_no_types() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    fs::create_dir_all(folder.path().join("drop")).expect("a folder");
    write("drop/1.csv", "id;amount\n");
    write("p.toml", PIPELINE);
    let (file, lake) = (folder.path().join("p.toml"), Lake::new());
    let printed = sluice::run(&["infer", text(&file)]).ok().stdout;
    assert!(printed.contains("there is no record yet"), "{printed}");
    sluice::run(&["run", text(&file), "--lake", text(lake.path())]).ok();
    write("drop/2.csv", "id;amount\n1;1,5\n");
    sluice::run(&["run", text(&file), "--lake", text(lake.path())]).ok();
    let query =
        "select id, typeof(id) as id_type, typeof(amount) as amount_type from delta_scan('{lake}/bronze/orders')";
    let Some(row) = duckdb::row(lake.path(), query) else { return };
    assert_eq!(row, serde_json::json!({ "id": 1, "id_type": "BIGINT", "amount_type": "DOUBLE" }));
}
