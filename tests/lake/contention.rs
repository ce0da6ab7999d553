//! Two processes that write one table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};

use sluicebox_core::crash::{self, Point};
use sluicebox_lake::Lake;

use super::support::{sorted, spec, upsert};
use crate::harness::sluice;

/// Files of each process, each of which is a commit.
const FILES: u64 = 20;
const ROWS: u64 = 40;

/// A pipeline of its own name into a table that another one writes too.
fn pipeline(folder: &Path, name: &str, offset: u64, newest: &mut BTreeMap<u64, String>) -> std::path::PathBuf {
    let data = folder.join(name);
    std::fs::create_dir(&data).expect("a folder");
    for file in 0..FILES {
        let mut text = "id,seq,maker\n".to_owned();
        for row in 0..ROWS {
            // Both write the same keys, and neither is newer everywhere.
            let (id, seq) = ((file * 7 + row * 3) % 60, (file * 1_000 + row * 10) * 2 + (row + offset) % 2);
            writeln!(text, "{id},{seq},{name}").expect("a string takes all text");
            let line = format!("{id}|{seq}|{name}");
            let known = newest.entry(id).or_insert_with(|| line.clone());
            if known.split('|').nth(1).and_then(|seq| seq.parse().ok()) < Some(seq) {
                *known = line;
            }
        }
        std::fs::write(data.join(format!("{file:03}.csv")), text).expect("a file");
    }
    let path = folder.join(format!("{name}.toml"));
    let text = format!(
        "[pipeline]\nname = \"{name}\"\n\n[sources.s]\ntype = \"files\"\npath = \"{}\"\nformat = \"csv\"\n\n\
         [tables.silver.people]\nmode = \"upsert\"\nkey = [\"id\"]\norder_by = \"seq\"\n\n\
         [hops.load]\nfrom = \"s\"\nto = \"silver.people\"\nflush = {{ rows = 1 }}\n",
        data.display()
    );
    std::fs::write(&path, text).expect("a file");
    path
}

fn start(pipeline: &Path, lake: &Path, ends_at: Option<Point>) -> Child {
    let mut command = sluice::command();
    command.args(["run".as_ref(), pipeline.as_os_str(), "--json".as_ref(), "--lake".as_ref(), lake.as_os_str()]);
    if let Some(point) = ends_at {
        command.env(crash::VARIABLE, point.as_str());
    }
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program under test can be started")
}

/// Lets the child end well, or, if it may, as a test ends it. Whether it ended well.
fn ended_well(child: Child, may_be_ended: bool) -> bool {
    let output = child.wait_with_output().expect("it ends");
    let well = output.status.success();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(well || may_be_ended && output.status.signal().is_some(), "{why}");
    well
}

/// The table has the newest row of every key, and every file was counted once.
async fn check(lake: &Path, newest: BTreeMap<u64, String>) {
    let table = Lake::open(lake.to_str().expect("UTF-8")).expect("a lake");
    let table = table.table(&spec("people", upsert("id", Some("seq")))).await.expect("a table");
    let mut wanted: Vec<String> = newest.into_values().collect();
    wanted.sort();
    // Besides, the rows say which line of which file they are.
    let own = |line: &String| line.splitn(4, '|').take(3).collect::<Vec<_>>().join("|");
    let mut found: Vec<String> = sorted(&table).await.iter().map(own).collect();
    found.sort();
    assert_eq!(found, wanted);
    for name in ["one", "two"] {
        let positions = table.positions(&format!("{name}/load/")).await.expect("positions");
        assert_eq!(positions.iter().count() as u64, FILES, "{name} recorded every file");
    }
}

#[tokio::test]
async fn two_processes_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    let mut newest = BTreeMap::new();
    let pipelines = [("one", 0), ("two", 1)].map(|(name, offset)| pipeline(folder.path(), name, offset, &mut newest));
    for child in pipelines.map(|pipeline| start(&pipeline, &lake, None)) {
        ended_well(child, false);
    }
    check(&lake, newest).await;
    // Each commit says how often it had to begin again.
    let log = lake.join("silver/people/_delta_log");
    let entries = std::fs::read_dir(log).expect("a log").map(|entry| entry.expect("an entry").path());
    let entries = entries.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let told = entries.filter(|path| std::fs::read_to_string(path).expect("text").contains("\"conflicts\":"));
    assert!(told.count() as u64 >= FILES, "commits count their conflicts");
}

#[tokio::test]
async fn one_that_ends_before_it_tries_again_loses_nothing() {
    let mut ended = 0;
    // Whether the two meet is not in our hands, so they get more than one chance.
    for _ in 0..10 {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = folder.path().join("lake");
        let mut newest = BTreeMap::new();
        let [one, two] =
            [("one", 0), ("two", 1)].map(|(name, offset)| pipeline(folder.path(), name, offset, &mut newest));
        let other = start(&two, &lake, None);
        while !ended_well(start(&one, &lake, Some(Point::Conflict)), true) {
            ended += 1;
        }
        ended_well(other, false);
        check(&lake, newest).await;
        if ended > 0 {
            return;
        }
    }
    panic!("the two processes never met");
}
