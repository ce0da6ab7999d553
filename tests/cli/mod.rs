//! The program as a shell sees it: exit codes, what is printed where, and the words of
//! errors that every newcomer meets.

mod infer;
mod maintain;

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Lake, sluice, text};

const PIPELINE: &str = r#"
[pipeline]
name = "cli"

[vars.data]
type = "path"
description = "Where the files are."

[sources.rows]
type = "files"
path = "${data}"
glob = "*.csv"
format = "csv"
columns = { id = "int64", name = "string" }

[hops.land]
from = "rows"
to = "bronze.rows"
"#;

/// A folder with a pipeline and a file of three rows, one of them bad.
fn example() -> (Lake, PathBuf, String) {
    let folder = Lake::new();
    let data = folder.path().join("data");
    fs::create_dir_all(&data).expect("a temporary folder is writable");
    fs::write(data.join("rows.csv"), "id,name\n1,one\ntwo,\"\u{1b}[31mtwo\"\n3,three\n")
        .expect("a temporary folder is writable");
    let file = folder.path().join("cli.toml");
    fs::write(&file, PIPELINE).expect("a temporary folder is writable");
    let var = format!("data={}", text(&data));
    (folder, file, var)
}

#[test]
fn a_run_ends_with_one_object_of_the_promised_shape() {
    let (folder, file, var) = example();
    let lake = folder.path().join("lake");
    let run = sluice::run(&["run", text(&file), "--lake", text(&lake), "--var", &var, "--json"]).ok();
    let summary = run.summary();
    let keys =
        |value: &serde_json::Value| -> Vec<String> { value.as_object().expect("an object").keys().cloned().collect() };
    let mut found = keys(&summary);
    found.sort();
    assert_eq!(found, ["cpu_seconds", "hops", "peak_memory_bytes", "seconds", "status"]);
    let mut found = keys(&summary["hops"][0]);
    found.sort();
    // What scripts rely on, and how many bytes waited for the hop at most.
    let promised = ["commits", "digest", "hop", "module", "rows_in", "rows_out", "rows_rejected"];
    assert!(promised.iter().all(|key| found.iter().any(|found| found == key)), "{found:?}");
    found.retain(|key| !promised.contains(&key.as_str()));
    assert_eq!(found, ["peak_in_flight_bytes"]);
    let hop = run.hop("land");
    assert_eq!((&hop["rows_in"], &hop["rows_out"], &hop["rows_rejected"]), (&3.into(), &2.into(), &1.into()));

    let listed = sluice::run(&["quarantine", "ls", "--lake", text(&lake)]).ok();
    assert!(listed.stdout.contains("land"), "{}", listed.stdout);
    let shown = sluice::run(&["quarantine", "show", "land", "--lake", text(&lake)]).ok();
    assert!(shown.stdout.contains("rows.csv, line 3"), "{}", shown.stdout);
    assert!(!shown.stdout.contains('\u{1b}'), "a row cannot steer the terminal: {:?}", shown.stdout);
    let json = sluice::run(&["quarantine", "show", "land", "--lake", text(&lake), "--json"]).ok();
    let row: serde_json::Value = serde_json::from_str(json.stdout.trim()).expect("one object");
    assert_eq!(row["payload"], "two,\"\u{1b}[31mtwo\"", "the original bytes are kept");

    let head = sluice::run(&["head", "bronze", "--lake", text(&lake)]).ok();
    assert!(head.stdout.contains("bronze.rows: 2 rows"), "{}", head.stdout);
    let status = sluice::run(&["status", "--lake", text(&lake)]).ok();
    assert!(status.stdout.contains("quarantine.land"), "{}", status.stdout);
}

#[test]
fn wrong_usage_and_invalid_pipelines_are_2() {
    let (folder, file, var) = example();
    sluice::run(&["run"]).failed(2);
    sluice::run(&["fly"]).failed(2);
    let missing = sluice::run(&["check", text(&file)]).failed(2);
    assert!(missing.stderr.contains("--var data="), "{}", missing.stderr);
    sluice::run(&["check", text(&file), "--var", &var]).ok();
    let absent = folder.path().join("absent.toml");
    sluice::run(&["run", text(&absent)]).failed(2);
    let json = sluice::run(&["run", text(&absent), "--json"]).failed(2);
    assert!(json.summary()["errors"][0].as_str().is_some_and(|error| error.contains("absent.toml")), "{json}");
    let module = crate::harness::module("select");
    let test = sluice::run(&["test", text(&module), "--config", "{bad"]).failed(2);
    assert!(test.stderr.contains("hint"), "{test}");
}

#[test]
fn what_fails_with_json_says_so_in_one_object() {
    let (folder, file, var) = example();
    let (empty, lake) = (folder.path().join("empty"), folder.path().join("lake"));
    let (empty, lake) = (text(&empty), text(&lake));
    sluice::run(&["run", text(&file), "--lake", lake, "--var", &var]).ok();
    let cases: [(&[&str], i32); 6] = [
        (&["status", "--lake", empty], 1),
        (&["maintain", "--lake", empty], 1),
        (&["maintain", "--lake", lake, "--table", "gold.none"], 2),
        (&["history", "gold.none", "--lake", lake], 1),
        (&["history", "none", "--lake", lake], 2),
        (&["replay", "land", "--lake", lake], 2),
    ];
    for (arguments, code) in cases {
        let plain = sluice::run(arguments).failed(code);
        assert_eq!(plain.stdout, "", "{plain}");
        let failed = sluice::run(&[arguments, &["--json"]].concat()).failed(code);
        assert_eq!(failed.stderr, plain.stderr, "a person reads the same");
        assert_eq!(failed.summary()["status"], "failed", "{failed}");
        let error = failed.summary()["errors"][0].as_str().map(str::to_owned).expect("there is an error");
        assert!(failed.stderr.contains(&error), "{failed}");
    }
}

#[test]
fn a_run_with_nothing_to_do_says_so_once() {
    let (folder, file, var) = example();
    let lake = folder.path().join("lake");
    let arguments = ["run", text(&file), "--lake", text(&lake), "--var", &var];
    sluice::run(&arguments).ok();
    let idle = sluice::run(&arguments).ok();
    assert_eq!(idle.stderr.matches("land").count(), 1, "{idle}");
}

#[test]
fn a_folder_that_is_not_there_is_the_same_to_every_command() {
    let (folder, file, _) = example();
    let lake = folder.path().join("lake");
    let nowhere = format!("data={}", text(&folder.path().join("nowhere")));
    // With declared columns nothing is wrong before it is read.
    let run = sluice::run(&["run", text(&file), "--lake", text(&lake), "--var", &nowhere]).failed(1);
    assert!(run.stderr.contains("nowhere") && run.stderr.contains("hint"), "{run}");
    let inferred = PIPELINE.replace("columns = { id = \"int64\", name = \"string\" }\n", "");
    fs::write(&file, inferred).expect("a temporary folder is writable");
    let lake = folder.path().join("another");
    let run = sluice::run(&["run", text(&file), "--lake", text(&lake), "--var", &nowhere]);
    let run = run.failed(2);
    let check = sluice::run(&["check", text(&file), "--lake", text(&lake), "--var", &nowhere]).failed(2);
    assert!(check.stderr.contains("nowhere"), "{}", check.stderr);
    let json = sluice::run(&["run", text(&file), "--lake", text(&lake), "--var", &nowhere, "--json"]).failed(2);
    assert_eq!(json.summary()["status"], "failed");
    assert!(json.summary()["errors"][0].as_str().is_some_and(|error| error.contains("source `rows`")), "{json}");
    assert!(run.stderr.contains("nowhere"), "{}", run.stderr);
    assert!(!lake.join("bronze/rows/_delta_log").exists() || !run.stderr.is_empty(), "nothing half done in silence");
}

#[test]
fn a_lake_that_is_a_file_is_told_so() {
    let (folder, file, var) = example();
    let lake = folder.path().join("lake");
    fs::write(&lake, "not a folder").expect("a temporary folder is writable");
    let run = sluice::run(&["run", text(&file), "--lake", text(&lake), "--var", &var]).failed(1);
    assert!(run.stderr.contains("hint"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(&lake).expect("it is still a file"), "not a folder");
}

#[test]
fn new_writes_a_project_that_names_itself() {
    let folder = Lake::new();
    let made = sluice::run_in(folder.path(), &["new", "clean_things"]).ok();
    assert!(made.stdout.contains("cargo build"), "{}", made.stdout);
    let project = folder.path().join("clean_things");
    let manifest = fs::read_to_string(project.join("Cargo.toml")).expect("a project has a manifest");
    assert!(manifest.contains("name = \"clean_things\""), "{manifest}");
    assert!(project.join("sdk/src/lib.rs").is_file(), "the SDK goes with it");
    assert!(project.join("fixtures").is_dir(), "and a fixture");
    for file in files(&project) {
        let text = fs::read_to_string(&file).expect("a project is text");
        assert!(!text.contains("{{"), "{} has a gap left to fill", file.display());
    }
    sluice::run_in(folder.path(), &["new", "clean_things"]).failed(2);
    sluice::run_in(folder.path(), &["new", "Clean Things"]).failed(2);
    for keyword in ["fn", "self", "proc-macro"] {
        let refused = sluice::run_in(folder.path(), &["new", keyword]).failed(2);
        assert!(refused.stderr.contains("hint"), "{refused}");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder that was just made").flatten();
    // The SDK's own sources may hold braces; what was filled in is outside of them.
    entries
        .map(|entry| entry.path())
        .filter(|path| !path.ends_with("sdk"))
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

#[test]
fn simulated_events_are_files_of_lines_that_any_seed_makes_again() {
    let folder = Lake::new();
    let out = folder.path().join("events");
    let shares = ["--bad", "0.1", "--late", "0.05", "--duplicates", "0.02"];
    let all = ["simulate", "order-events", "--rows", "250", "--per-file", "100", "--out", text(&out)];
    sluice::run(&[&all[..], &shares[..]].concat()).ok();
    let mut names: Vec<_> =
        fs::read_dir(&out).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    let files: Vec<Vec<u8>> = names.iter().map(|path| fs::read(path).expect("readable")).collect();
    let lines = |bytes: &Vec<u8>| bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(files.iter().map(lines).collect::<Vec<_>>(), [100, 100, 50]);
    assert!(text(&names[0]).ends_with("order-events-000001.jsonl"), "{names:?}");
    let again = folder.path().join("again");
    let one = ["simulate", "order-events", "--rows", "250", "--out", text(&again)];
    sluice::run(&[&one[..], &shares[..]].concat()).ok();
    assert_eq!(fs::read(again.join("order-events-000001.jsonl")).expect("readable"), files.concat());
    let too_many = ["simulate", "reviews", "--late", "0.6", "--duplicates", "0.6", "--out", text(&out)];
    assert_eq!(sluice::run(&too_many).code, Some(2));
}

#[test]
fn simulated_events_are_posted_as_lines() {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/events", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let mut body = Vec::new();
        let (stream, _) = listener.accept().expect("a client");
        let mut reader = BufReader::new(stream);
        loop {
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).expect("a request") > 0 && line != "\r\n" {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            if length == 0 {
                return body;
            }
            let mut part = vec![0; length];
            reader.read_exact(&mut part).expect("a body");
            body.extend(part);
            reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("the client listens");
        }
    });
    sluice::run(&["simulate", "reviews", "--rows", "10000", "--to", "http", "--url", &url]).ok();
    let body = server.join().expect("the server ends when its client goes");
    assert_eq!(body.iter().filter(|byte| **byte == b'\n').count(), 10_000);
    let nobody = ["simulate", "reviews", "--to", "http", "--url", "http://127.0.0.1:1/"];
    assert!(sluice::run(&nobody).failed(1).to_string().contains("127.0.0.1:1"));
    assert_eq!(sluice::run(&["simulate", "reviews", "--to", "http"]).code, Some(2));
}
