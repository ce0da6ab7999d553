//! Keeping tables in shape: nothing is lost or doubled by it, and nobody who reads them notices.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use arrow_array::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sluicebox_core::plan::{Layout, TableSpec, Upkeep, WriteMode};
use sluicebox_delta::{Followers, Maintained, Maintenance, Table};
use sluicebox_lake::Lake;

use super::support::{Sandbox, at, data_files, followed, put, rows, scanned, sorted, spec, upsert};
use crate::harness::duckdb;

fn compaction() -> Maintenance {
    Maintenance {
        upkeep: Upkeep::default(),
        least_files: 2,
        clean: false,
        followers: Followers::None,
        now: Utc::now(),
        dry_run: false,
    }
}

/// Everything, as of a time when nothing that is there now is young any more.
fn later() -> Maintenance {
    let now: DateTime<Utc> = Utc::now() + TimeDelta::days(40);
    Maintenance { clean: true, now, ..compaction() }
}

async fn fill(table: &mut Table, commits: std::ops::Range<i64>) {
    for id in commits {
        put(table, &[rows(&[2 * id, 2 * id + 1], &["a", "b"])], at("f", id + 1)).await.expect("commit");
    }
}

/// Every file of a table's folder, by its path, with the log.
fn files(folder: &Path) -> BTreeSet<String> {
    fn collect(root: &Path, folder: &Path, into: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
            match entry.path().is_dir() {
                true => collect(root, &entry.path(), into),
                false => {
                    let path = entry.path();
                    let path = path.strip_prefix(root).expect("below the table").to_string_lossy().into_owned();
                    into.insert(path);
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(folder, folder, &mut found);
    found
}

/// The actions of a version.
fn entry(folder: &Path, version: u64) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(format!("_delta_log/{version:020}.json"))).expect("an entry");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn small_files_become_one_and_rows_keep_their_order() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("t", WriteMode::Append)).await.expect("table");
    fill(&mut table, 0..30).await;
    let before = scanned(&table).await;
    let positions = table.positions("shop/hop/").await.expect("positions");

    let dry = table.maintain(&Maintenance { dry_run: true, ..compaction() }).await.expect("dry run");
    assert_eq!((dry.compacted[0].files, dry.version), (30, None));
    assert_eq!(data_files(&sandbox.path("t")), 30, "a dry run writes nothing");

    let done = table.maintain(&compaction()).await.expect("maintained");
    assert_eq!((done.compacted.len(), done.compacted[0].files, done.compacted[0].into_files), (1, 30, 1));
    assert_eq!(done.compacted[0].bytes, dry.compacted[0].bytes, "the dry run said so");
    assert_eq!(done.version, Some(31));
    assert_eq!(scanned(&table).await, before);
    assert_eq!(table.positions("shop/hop/").await.expect("positions"), positions);
    assert!(table.maintain(&compaction()).await.expect("maintained").is_nothing(), "one file is no reason");

    let actions = entry(&sandbox.path("t"), 31);
    let changes = |kind: &str| {
        actions.iter().filter_map(|action| action.get(kind)?.get("dataChange")?.as_bool()).collect::<Vec<_>>()
    };
    assert_eq!((changes("add"), changes("remove")), (vec![false], vec![false; 30]));
    let stats: Vec<Value> = actions
        .iter()
        .filter_map(|action| serde_json::from_str(action.get("add")?.get("stats")?.as_str()?).ok())
        .collect();
    assert_eq!(stats[0]["numRecords"], 60);
    assert_eq!((&stats[0]["minValues"]["id"], &stats[0]["maxValues"]["id"]), (&0.into(), &59.into()));

    // Whoever follows sees that a version came by, and no row of it.
    assert_eq!(followed(&table, Some(30)).await.expect("followed"), ["-- 31"]);
    put(&mut table, &[rows(&[100], &["c"])], at("f", 100)).await.expect("commit");
    assert_eq!(followed(&table, Some(30)).await.expect("followed"), ["-- 31", "100|c", "-- 32"]);
    let lake = sandbox.folder.path().join("lake");
    if let Some(row) = duckdb::row(&lake, "select count(*) as n, sum(id) as s from delta_scan('{lake}/silver/t')") {
        assert_eq!((&row["n"], &row["s"]), (&61.into(), &(59 * 30 + 100).into()));
    }
}

#[tokio::test]
async fn every_partition_by_itself_and_a_large_file_stays() {
    let sandbox = Sandbox::new();
    let layout = Layout { file_bytes: 64 << 10, ..Layout::default() };
    let spec = TableSpec { partition_by: vec!["word".into()], layout, ..spec("t", WriteMode::Append) };
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    fill(&mut table, 0..5).await;
    // Numbers without an order do not shrink.
    let ids: Vec<i64> = (1..30_001_u64)
        .map(|id| id ^ id << 13)
        .map(|id| id ^ id >> 7)
        .map(|id| (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ id << 17) as i64 >> 8)
        .collect();
    put(&mut table, &[rows(&ids, &ids.iter().map(|_| "a").collect::<Vec<_>>())], at("f", 6)).await.expect("commit");
    fill(&mut table, 6..9).await;
    let before = sorted(&table).await;
    let order: Vec<String> = scanned(&table).await.into_iter().filter(|line| line.ends_with("|a")).collect();
    let done = table.maintain(&compaction()).await.expect("maintained");
    let told: Vec<_> =
        done.compacted.iter().map(|each| (each.partition.as_str(), each.files, each.into_files)).collect();
    assert_eq!(told, [("word=a", 5, 1), ("word=a", 3, 1), ("word=b", 8, 1)]);
    assert_eq!(sorted(&table).await, before);
    let after: Vec<String> = scanned(&table).await.into_iter().filter(|line| line.ends_with("|a")).collect();
    assert!(order == after, "rows of a partition keep their order around the file that stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_that_race_double_nothing() {
    for round in 0..12 {
        let sandbox = Sandbox::new();
        let marks = round >= 6;
        let layout = Layout { deletion_vectors: marks, ..Layout::default() };
        let spec = TableSpec { layout, ..spec("t", upsert("id", None)) };
        let mut one = sandbox.lake.table(&spec).await.expect("table");
        fill(&mut one, 0..8).await;
        let mut two = sandbox.lake.table(&spec).await.expect("table");
        let mut three = sandbox.lake.table(&spec).await.expect("table");
        let (left, right) = (compaction(), compaction());
        // A commit that changes rows of the files that are being put together.
        let change = [rows(&[3, 15], &["new", "new"])];
        let (first, second, third) = match round % 3 {
            0 => {
                let (first, second) = tokio::join!(one.maintain(&left), two.maintain(&right));
                (first, Some(second), None)
            }
            1 => {
                let (first, third) = tokio::join!(one.maintain(&left), put(&mut three, &change, at("g", 1)));
                (first, None, Some(third))
            }
            _ => {
                let (first, second, third) =
                    tokio::join!(one.maintain(&left), two.maintain(&right), put(&mut three, &change, at("g", 1)));
                (first, Some(second), Some(third))
            }
        };
        let maintained: Vec<Maintained> =
            [Some(first), second].into_iter().flatten().map(|done| done.expect("maintained")).collect();
        let won = maintained.iter().filter(|done| !done.compacted.is_empty()).count();
        let lost = maintained.iter().filter(|done| done.lost).count();
        assert!(won + lost <= maintained.len(), "{maintained:?}");
        let changed = third.is_some();
        if let Some(third) = third {
            third.expect("the commit finds its way around");
        }
        let table = sandbox.lake.table(&spec).await.expect("table");
        let expected: BTreeSet<String> = (0..16)
            .map(|id| match id {
                3 | 15 if changed => format!("{id}|new"),
                id if id % 2 == 0 => format!("{id}|a"),
                id => format!("{id}|b"),
            })
            .collect();
        let found = sorted(&table).await;
        assert_eq!(found.len(), 16, "round {round}: {found:?}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "round {round}");
        if marks {
            continue;
        }
        // What lost has left nothing behind but what versions name.
        let named: BTreeSet<String> = (0..=table.version().expect("a version"))
            .flat_map(|version| entry(&sandbox.path("t"), version))
            .filter_map(|action| Some(action.get("add")?.get("path")?.as_str()?.to_owned()))
            .collect();
        assert_eq!(data_files(&sandbox.path("t")), named.len(), "round {round}");
    }
}

#[tokio::test]
async fn what_no_version_needs_goes_and_nothing_else() {
    let sandbox = Sandbox::new();
    let odd = ["a b", "100%", "ü€", "x=y", "a/b"];
    let spec = TableSpec { partition_by: vec!["word".into()], ..spec("t", upsert("id", None)) };
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    let ids: Vec<i64> = (0..odd.len() as i64).collect();
    put(&mut table, &[rows(&ids, &odd)], at("f", 1)).await.expect("commit");
    put(&mut table, &[rows(&[0, 7], &["100%", "100%"])], at("f", 2)).await.expect("commit");
    let folder = sandbox.path("t");
    for (path, text) in
        [("part-lost.parquet", "orphan"), ("notes.txt", "mine"), ("word=a%20b/part-lost.parquet", "orphan")]
    {
        std::fs::write(folder.join(path), text).expect("written");
    }
    std::fs::create_dir_all(folder.join("_files")).expect("created");
    std::fs::write(folder.join("_files/landed.parquet"), "kept").expect("written");

    let young = Maintenance {
        clean: true,
        upkeep: Upkeep { compact_at: 0, ..Upkeep::default() },
        least_files: usize::MAX,
        ..compaction()
    };
    let done = table.maintain(&young).await.expect("maintained");
    assert_eq!((done.unused.len(), done.log.len()), (0, 0), "what is young stays, whoever needs it");

    let later = Maintenance { least_files: usize::MAX, ..later() };
    let dry = table.maintain(&Maintenance { dry_run: true, ..later.clone() }).await.expect("dry run");
    let before = files(&folder);
    let done = table.maintain(&later).await.expect("maintained");
    assert_eq!(done.unused, dry.unused, "the dry run said so");
    let gone: BTreeSet<String> = before.difference(&files(&folder)).cloned().collect();
    let told: BTreeSet<String> = done.unused.iter().chain(&done.log).map(|unused| unused.path.clone()).collect();
    assert_eq!(gone, told);
    // The file that the upsert replaced, and two that no commit ever named.
    assert_eq!(done.unused.len(), 3, "{:?}", done.unused);
    assert!(files(&folder).contains("_files/landed.parquet") && files(&folder).contains("notes.txt"));
    let again = sandbox.lake.table(&spec).await.expect("table");
    assert_eq!(sorted(&again).await, ["0|100%", "1|100%", "2|ü€", "3|x=y", "4|a/b", "7|100%"]);
    let lake = sandbox.folder.path().join("lake");
    if let Some(row) = duckdb::row(&lake, "select count(*) as n from delta_scan('{lake}/silver/t')") {
        assert_eq!(row["n"], 6);
    }
}

#[tokio::test]
async fn the_log_keeps_what_a_reader_has_yet_to_take() {
    let sandbox = Sandbox::new();
    let plain = spec("t", WriteMode::Append);
    let mut table = sandbox.lake.table(&plain).await.expect("table");
    fill(&mut table, 0..50).await;
    let folder = sandbox.path("t");
    let entries = |folder: &Path| {
        let entries =
            files(folder).into_iter().filter(|path| path.starts_with("_delta_log/") && path.ends_with(".json"));
        entries.count()
    };
    let reader = |version| Followers::Taken { version, reader: "shop/below".into() };
    let with = |followers| Maintenance { followers, least_files: usize::MAX, ..later() };

    let dry = table.maintain(&Maintenance { dry_run: true, ..with(Followers::None) }).await.expect("dry run");
    assert_eq!((entries(&folder), dry.checkpoint), (51, Some(50)));

    let nobody = Followers::NotBegun { reader: "shop/below".into() };
    let done = table.maintain(&with(nobody)).await.expect("maintained");
    assert_eq!((done.log.len(), done.unused.len(), entries(&folder)), (0, 0, 51));

    // The checkpoint of version 20 covers all that a reader at version 25 has taken.
    let done = table.maintain(&with(reader(25))).await.expect("maintained");
    assert_eq!((entries(&folder), done.log.len()), (31, 20));
    assert!(done.held_by.is_some_and(|by| by.contains("shop/below")));
    let mut again = sandbox.lake.table(&plain).await.expect("table");
    let seen = followed(&again, Some(25)).await.expect("the rest is there");
    assert_eq!(seen.iter().filter(|line| line.starts_with("--")).count(), 25);
    assert_eq!(scanned(&again).await.len(), 100);

    let done = again.maintain(&with(Followers::None)).await.expect("maintained");
    assert_eq!((entries(&folder), done.held_by), (1, None), "the last checkpoint covers all but its own version");
    let mut last = sandbox.lake.table(&plain).await.expect("table");
    assert_eq!(scanned(&last).await.len(), 100);
    assert_eq!(last.positions("shop/hop/").await.expect("positions").get("f"), Some(50));
    // A commit that was made is still known to be made, and the table goes on.
    assert!(put(&mut last, &[rows(&[1], &["x"])], at("f", 50)).await.expect("commit").already);
    put(&mut last, &[rows(&[1], &["x"])], at("f", 51)).await.expect("commit");
    let lake = sandbox.folder.path().join("lake");
    if let Some(row) = duckdb::row(&lake, "select count(*) as n from delta_scan('{lake}/silver/t')") {
        assert_eq!(row["n"], 101);
    }
}

#[tokio::test]
async fn files_that_a_reader_has_yet_to_take_stay() {
    let sandbox = Sandbox::new();
    let spec = spec("t", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    fill(&mut table, 0..4).await;
    table.maintain(&compaction()).await.expect("maintained");
    let follower = Followers::Taken { version: 2, reader: "shop/below".into() };
    table.maintain(&Maintenance { followers: follower, least_files: usize::MAX, ..later() }).await.expect("maintained");
    let seen = followed(&table, Some(2)).await.expect("the files of these versions are there");
    assert_eq!(seen, ["4|a", "5|b", "-- 3", "6|a", "7|b", "-- 4", "-- 5"]);
    assert_eq!(data_files(&sandbox.path("t")), 3, "two that are to be read, and the one of all");
}

#[tokio::test]
async fn readers_are_found_wherever_they_write() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("t", WriteMode::Append)).await.expect("table");
    fill(&mut table, 0..3).await;
    let lake: &Lake = &sandbox.lake;
    assert_eq!(lake.followers("silver.t", &[]).await.expect("followers"), Followers::None);
    let begun = lake.followers("silver.t", &["shop/gold".into()]).await.expect("followers");
    assert_eq!(begun, Followers::NotBegun { reader: "shop/gold".into() });
    let mut below = lake.table(&spec("below", WriteMode::Append)).await.expect("table");
    put(&mut below, &[rows(&[1], &["a"])], at("silver.t", 2)).await.expect("commit");
    let taken = lake.followers("silver.t", &["shop/hop".into()]).await.expect("followers");
    assert_eq!(taken, Followers::Taken { version: 2, reader: "shop/hop".into() });
}

#[tokio::test]
async fn rows_along_a_curve_can_be_skipped_by_every_column() {
    let sandbox = Sandbox::new();
    let layout = Layout { file_bytes: 1 << 10, ..Layout::default() };
    let spec = TableSpec { layout, ..spec("t", WriteMode::Append) };
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    // 512 by 512 cells: sorted by either column alone, each file would span all of the other.
    let cells: Vec<(i64, i64)> =
        (0..262_144_i64).map(|cell| (cell * 7_919) % 262_144).map(|cell| (cell / 512, cell % 512)).collect();
    let batches: Vec<RecordBatch> = cells
        .chunks(8_192)
        .map(|cells| {
            let words: Vec<String> = cells.iter().map(|(_, y)| format!("{y:03}")).collect();
            let ids: Vec<i64> = cells.iter().map(|(x, _)| *x).collect();
            rows(&ids, &words.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    put(&mut table, &batches, at("f", 1)).await.expect("commit");
    let upkeep = Upkeep { z_order: vec!["id".into(), "word".into()], ..Upkeep::default() };
    let task = Maintenance { upkeep, ..compaction() };
    let done = table.maintain(&task).await.expect("maintained");
    assert_eq!(done.compacted.len(), 1);
    let stats: Vec<Value> = entry(&sandbox.path("t"), done.version.expect("a version"))
        .iter()
        .filter_map(|action| serde_json::from_str(action.get("add")?.get("stats")?.as_str()?).ok())
        .collect();
    assert!(stats.len() >= 4, "{} files", stats.len());
    for file in &stats {
        let id =
            file["maxValues"]["id"].as_i64().expect("a bound") - file["minValues"]["id"].as_i64().expect("a bound");
        let word =
            |bound: &str| file[bound]["word"].as_str().and_then(|word| word.parse::<i64>().ok()).expect("a bound");
        let word = word("maxValues") - word("minValues");
        assert!(id <= 256 && word <= 256, "a file spans {id} by {word} of 512");
    }
    assert_eq!(scanned(&table).await.len(), cells.len());
    assert!(table.maintain(&task).await.expect("maintained").is_nothing(), "what lies along the curve is left alone");
}

#[test]
fn ages_that_no_calendar_holds_remove_nothing() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let sandbox = Sandbox::new();
        let mut table = sandbox.lake.table(&spec("t", upsert("id", None))).await.expect("table");
        fill(&mut table, 0..2).await;
        let upkeep = Upkeep { keep_files: Duration::MAX, keep_log: Duration::MAX, ..Upkeep::default() };
        let done =
            table.maintain(&Maintenance { upkeep, least_files: usize::MAX, ..later() }).await.expect("maintained");
        assert_eq!((done.unused.len(), done.log.len()), (0, 0));
    });
}
