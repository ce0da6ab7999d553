//! A run that is ended anywhere, again and again, makes the tables of a run that nobody
//! disturbed: row for row, and every commit in its place.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use sluicebox_core::crash::Point;

use super::support::{commits, crashes, rows};
use crate::harness::{Lake, ORDERS_SOURCE, module, sluice, text};

/// Runs that are ended at a random moment; `SLUICE_KILLS` sets another number.
const KILLS: usize = 100;

/// At most so many passings of one point are tried; a point that is passed more often is like
/// those before.
const PASSINGS: usize = 12;

const PIPELINE: &str = r#"
[pipeline]
name = "crash"

ORDERS_SOURCE

[tables.silver.orders]
mode = "upsert"
key = ["order_id", "product_id"]

[tables.gold.orders]
mode = "overwrite"

[tables.gold.totals]
mode = "accumulate"
key = ["order_date"]
sum = ["quantity"]
count = "lines"

[tables.gold.days]
mode = "replace"
by = ["order_date"]

[hops.land]
from = "orders"
to = "bronze.orders"
flush = { rows = 50 }

[hops.lines]
from = "bronze.orders"
to = "silver.lines"
flush = { rows = 300 }

[hops.clean]
from = "bronze.orders"
module = "MODULE"
to = "silver.orders"
flush = { rows = 250 }

[hops.totals]
from = "silver.orders"
to = "gold.totals"
flush = { rows = 200 }

[hops.first]
from = "bronze.orders"
module = "FIRST"
config = { key = ["status"] }
to = "silver.first"
flush = { rows = 350 }

[hops.copy]
from = "silver.orders"
to = "gold.orders"

[hops.days]
from = "silver.lines"
to = "gold.days"
"#;

/// Tables that take rows up commit by commit, with the rows that come in.
const BY_COMMIT: &[&str] = &["bronze.orders", "silver.lines", "silver.orders", "silver.first"];

const TABLES: &[&str] = &[
    "bronze.orders",
    "silver.lines",
    "silver.orders",
    "gold.orders",
    "gold.days",
    "gold.totals",
    "silver.first",
    "quarantine.land",
    "quarantine.clean",
    "quarantine.first",
];

const FILES: usize = 22;
const ROWS: usize = 60;

pub struct Example {
    folder: Lake,
}

impl Example {
    pub fn new() -> Self {
        let folder = Lake::new();
        let file = folder.path().join("crash.toml");
        fs::write(
            file,
            PIPELINE
                .replace("ORDERS_SOURCE", ORDERS_SOURCE)
                .replace("MODULE", text(&module("retail_clean_orders")))
                .replace("FIRST", text(&module("distinct"))),
        )
        .expect("writable");
        let data = folder.path().join("data");
        fs::create_dir_all(&data).expect("a temporary folder is writable");
        for file in 0..FILES {
            let mut rows = String::from("order_id,customer_id,product_id,order_date,quantity,status,shipping_date\n");
            for row in 0..ROWS {
                let id = file * 40 + row;
                match row % 29 {
                    27 => rows.push_str(&format!("{id},none,7,2024-01-01,1,completed,2024-01-02\n")),
                    28 => rows.push_str(&format!("{id},5,7,2024-01-01,0,completed,2024-01-02\n")),
                    _ => rows.push_str(&format!("{id},5,{},2024-01-0{},1,file {file},\n", id % 20, 1 + id % 9)),
                }
            }
            fs::write(data.join(format!("orders-{file:02}.csv")), rows).expect("a temporary folder is writable");
        }
        Self { folder }
    }

    pub fn lake(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The pipeline's file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("crash.toml")
    }

    /// A file of the same pipeline that commits at other places.
    pub fn file_with_other_commits(&self) -> PathBuf {
        let file = self.folder.path().join("other.toml");
        let pipeline = fs::read_to_string(self.file()).expect("the file is there");
        let other = [
            ("rows = 50", "rows = 110"),
            ("rows = 300", "rows = 130"),
            ("rows = 250", "rows = 400"),
            ("rows = 350", "rows = 90"),
        ];
        let pipeline = other.iter().fold(pipeline, |pipeline, (from, to)| pipeline.replace(from, to));
        fs::write(&file, pipeline).expect("a temporary folder is writable");
        file
    }

    /// The arguments of a run.
    pub fn arguments_of(&self, file: &Path, lake: &Path) -> Vec<String> {
        let data = format!("data={}", text(&self.folder.path().join("data")));
        ["run", text(file), "--lake", text(lake), "--var", &data, "--json"].map(str::to_owned).to_vec()
    }

    fn arguments(&self, lake: &Path) -> Vec<String> {
        self.arguments_of(&self.file(), lake)
    }

    /// Runs the pipeline to its end.
    pub fn run(&self, lake: &Path) {
        sluice::finish(sluice::command().args(self.arguments(lake))).ok();
    }

    /// Every table of an undisturbed lake, as text.
    pub async fn expected(&self) -> Vec<Vec<String>> {
        let lake = self.lake("undisturbed");
        self.run(&lake);
        check_commits(&lake).await;
        tables(&lake).await
    }

    /// The lake is what it would be had nothing happened to it.
    pub async fn check(&self, lake: &Path, expected: &[Vec<String>], after: &str) {
        check_commits(lake).await;
        for (table, (expected, found)) in TABLES.iter().zip(expected.iter().zip(tables(lake).await)) {
            let more = found.iter().filter(|row| !expected.contains(row)).take(3).collect::<Vec<_>>();
            let (one, other) = (expected.len(), found.len());
            assert!(*expected == found, "{table} has {other} rows instead of {one} after {after}, such as {more:?}");
        }
    }
}

async fn tables(lake: &Path) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for table in TABLES {
        found.push(rows(lake, table).await);
    }
    found
}

/// What must hold of every log: positions only rise, none is there twice, and every row that
/// came in was counted once.
async fn check_commits(lake: &Path) {
    let mut landed = 0;
    for table in BY_COMMIT {
        let mut reached: HashMap<String, i64> = HashMap::new();
        let (mut rows_in, mut rejected) = (0, 0);
        for commit in commits(lake, table).await {
            for (app, at) in &commit.transactions {
                let before = reached.insert(app.clone(), *at);
                assert!(before < Some(*at), "{table}: {app} went from {before:?} to {at}");
            }
            rows_in += commit.count("rowsIn").unwrap_or_default();
            rejected += commit.count("rowsRejected").unwrap_or_default();
        }
        let came = if *table == "bronze.orders" { (FILES * ROWS) as u64 } else { landed };
        assert_eq!(rows_in, came, "{table}: rows in over all commits");
        if *table == "bronze.orders" {
            landed = rows_in - rejected;
        }
    }
}

#[tokio::test]
async fn ended_at_every_point_a_run_is_finished_by_the_next_one() {
    let example = Example::new();
    let expected = example.expected().await;
    let mut passed = Vec::new();
    for point in Point::ALL.iter().map(|point| point.as_str()) {
        let lake = example.lake(point);
        let mut ended = 0;
        for passing in 1..=PASSINGS {
            // The same lake goes on, so each run is ended in the middle of what the last one left.
            if !crashes(&example.arguments(&lake), point, passing) {
                break;
            }
            ended += 1;
        }
        example.run(&lake);
        example.check(&lake, &expected, &format!("{ended} ends at `{point}`")).await;
        if ended > 0 {
            passed.push(point);
        }
    }
    // The others need another writer, or a retry out of quarantine, and are tested with these.
    let points = ["write", "written", "committed", "checkpoint", "checkpointed", "quarantined", "table", "state"];
    assert_eq!(passed, points);
}

#[tokio::test]
async fn ended_while_files_are_put_together_no_row_is_lost_or_doubled() {
    let example = Example::new();
    let expected = example.expected().await;
    let lake = example.lake("undisturbed");
    let arguments = ["maintain", "--lake", text(&lake)].map(str::to_owned);
    let before = commits(&lake, "silver.lines").await.len();
    let mut ended = 0;
    while ended < PASSINGS && crashes(&arguments, Point::Compacted.as_str(), 1 + ended % 2) {
        ended += 1;
        assert_eq!(tables(&lake).await, expected, "after {ended} ends");
    }
    assert!(ended > 0, "nothing was put together");
    sluice::run(&["maintain", "--lake", text(&lake)]).ok();
    assert!(commits(&lake, "silver.lines").await.len() > before, "the files were put together in the end");
    example.run(&lake);
    assert_eq!(tables(&lake).await, expected);
}

#[tokio::test]
async fn killed_at_random_the_tables_and_their_commits_are_the_same() {
    let kills = std::env::var("SLUICE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let example = Example::new();
    let expected = example.expected().await;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let mut killed = 0;
    let mut round = 0;
    while killed < kills {
        let lake = example.lake(&format!("killed-{round}"));
        round += 1;
        // A lake is soon complete; then there is nothing left to kill, and another one begins.
        loop {
            let mut child = sluice::command()
                .args(example.arguments(&lake))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program under test can be started");
            // Not a wait for anything: the moment of the kill is what is random here.
            let (_never, moment) = mpsc::channel::<()>();
            let _ = moment.recv_timeout(Duration::from_micros(random.random_range(10_000..400_000)));
            child.kill().expect("because the child was not waited for yet");
            let status = child.wait().expect("a killed child can be waited for");
            if status.code().is_some() {
                break;
            }
            killed += 1;
            if killed == kills {
                break;
            }
        }
        example.run(&lake);
        example.check(&lake, &expected, &format!("{killed} kills")).await;
        assert!(round < 10 * kills, "runs end before they can be killed: only {killed} were");
    }
}
