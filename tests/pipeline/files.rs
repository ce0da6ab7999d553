//! Files of all kinds of names, from their folder into the lake: landed once, kept as they are, told when left out.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::harness::{Lake, sluice, text};

const PIPELINE: &str = r#"
[pipeline]
name = "drops"

[sources.drops]
type = "files"
path = "drop"
format = "csv"
keep_files = true
columns = { n = "int64" }

[hops.land]
from = "drops"
to = "bronze.drops"
"#;

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(fs::read(path).unwrap()),
        }
    }
    found.sort();
    found
}

#[test]
fn files_of_any_name_land_once_and_are_kept_byte_for_byte() {
    let lake = Lake::new();
    let drop = lake.path().join("drop");
    fs::create_dir(&drop).unwrap();
    fs::write(lake.path().join("p.toml"), PIPELINE).unwrap();
    let names: [&[u8]; 16] = [
        b"a b",
        b"a%20b",
        b"a#b",
        b"a#c",
        b"[1]",
        b"{x}",
        b"tab\there",
        b"tab%09here",
        b"tab%2509here",
        b"line\nbreak",
        "\u{e4}".as_bytes(),
        "a\u{308}".as_bytes(),
        b"caf\xe9",
        "caf\u{fffd}E9".as_bytes(),
        b"a\\b",
        b"100%",
    ];
    for (number, name) in names.iter().enumerate() {
        let path = drop.join(OsStr::from_bytes(&[name, &b".csv"[..]].concat()));
        fs::write(path, format!("n\n{number}\n")).unwrap();
    }
    let run = || sluice::run_in(lake.path(), &["run", "p.toml", "--lake", text(lake.path()), "--json"]);
    let first = run().ok();
    assert_eq!(first.hop("land")["rows_in"], names.len(), "{first}");
    assert_eq!(files(&lake.table("bronze.drops").join("_files")), files(&drop));
    assert_eq!(run().ok().hop("land")["rows_in"], 0, "a second run finds nothing new");
}

#[test]
fn what_is_left_out_is_in_the_summary_and_what_was_corrected_stops_the_run() {
    let lake = Lake::new();
    let drop = lake.path().join("drop");
    fs::create_dir(&drop).unwrap();
    fs::write(lake.path().join("p.toml"), PIPELINE).unwrap();
    fs::write(drop.join("a.csv"), "n\n1\n").unwrap();
    fs::write(drop.join("_b.csv"), "n\n2\n").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", drop.join("c.csv")).unwrap();
    let run = || sluice::run_in(lake.path(), &["run", "p.toml", "--lake", text(lake.path()), "--json"]);
    let first = run().ok();
    let left_out = &first.hop("land")["left_out"];
    assert_eq!((&left_out["files"], &left_out["named"][0]["file"]), (&2.into(), &"_b.csv".into()), "{first}");
    let shown = sluice::run_in(lake.path(), &["run", "p.toml", "--lake", text(lake.path())]).ok();
    let said = format!("{}{}", shown.stdout, shown.stderr);
    assert!(said.contains("2 files left out") && said.contains("c.csv: it is a link out of the folder"), "{shown}");
    fs::write(drop.join("a.csv"), "n\n7\n").unwrap();
    let second = run();
    assert_ne!(second.code, Some(0), "{second}");
    assert!(second.stderr.contains("a.csv is not what it was when it was read to its end"), "{second}");
}
