//! What tests of streams have in common.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::kafka::Broker;
use crate::harness::sluice::Outcome;
use crate::harness::{Lake, duckdb, sluice, text};

/// How long a test waits for something that must come.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A pipeline in a folder of its own, with its lake.
pub struct Pipeline {
    pub lake: Lake,
    file: PathBuf,
}

/// The source of a plain listener, with these further lines.
pub fn source(broker: &Broker, topics: &[&str], more: &str) -> String {
    let (topics, brokers) = (serde_json::json!(topics), &broker.plain);
    format!("[sources.events]\ntype = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = {topics}\n{more}\n")
}

/// A pipeline that lands its source, with these further lines.
pub fn landing(source: &str, more: &str) -> Pipeline {
    Pipeline::new(&format!(
        "[pipeline]\nname = \"stream\"\n\n{source}\n[hops.land]\nfrom = \"events\"\nto = \"bronze.events\"\n{more}\n"
    ))
}

impl Pipeline {
    /// A pipeline of this text.
    pub fn new(text: &str) -> Self {
        let lake = Lake::new();
        let file = lake.path().join("pipeline.toml");
        std::fs::write(&file, text).expect("the pipeline can be written");
        Self { lake, file }
    }

    /// The same tables with another text.
    pub fn change(&self, text: impl Fn(String) -> String) {
        let old = std::fs::read_to_string(&self.file).expect("it was written");
        std::fs::write(&self.file, text(old)).expect("the pipeline can be written");
    }

    /// A run to the end of what is there.
    pub fn run(&self) -> Outcome {
        self.run_with(&[])
    }

    /// As [`Pipeline::run`], with these environment variables.
    pub fn run_with(&self, variables: &[(&str, &str)]) -> Outcome {
        let mut command = sluice::command();
        command.args(self.arguments()).envs(variables.iter().copied());
        sluice::finish(&mut command)
    }

    /// A run that goes on until it is killed.
    pub fn follow(&self) -> Following {
        self.follow_with(&[])
    }

    /// As [`Pipeline::follow`], with these environment variables.
    pub fn follow_with(&self, variables: &[(&str, &str)]) -> Following {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.lake.path().join("follow.log"));
        let child = sluice::command()
            .args(self.arguments())
            .arg("--follow")
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(log.expect("a log can be written"))
            .spawn()
            .expect("the program under test can be started");
        Following { child }
    }

    /// What runs that went on have said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.lake.path().join("follow.log")).unwrap_or_default()
    }

    fn arguments(&self) -> [&str; 5] {
        ["run", text(&self.file), "--lake", text(self.lake.path()), "--json"]
    }

    /// The one row of a query, in which `{lake}` stands for the folder of the tables.
    pub fn row(&self, statement: &str) -> Option<Value> {
        duckdb::row(self.lake.path(), statement)
    }

    /// The rows of a query.
    pub fn rows(&self, statement: &str) -> Option<Vec<Value>> {
        duckdb::rows(self.lake.path(), statement)
    }

    /// The positions that a table has recorded for a hop, as its log says.
    pub fn positions(&self, table: &str, app: &str) -> Vec<(String, i64)> {
        let mut found = std::collections::BTreeMap::new();
        for entry in log(&self.lake.table(table)) {
            for action in entry {
                let Some(txn) = action.get("txn") else { continue };
                let (id, version) = (txn["appId"].as_str().unwrap(), txn["version"].as_i64().unwrap());
                if let Some(lane) = id.strip_prefix(app) {
                    found.insert(lane.trim_start_matches('/').to_owned(), version);
                }
            }
        }
        found.into_iter().collect()
    }

    /// Waits until a table has these positions in total.
    pub fn wait_for(&self, table: &str, app: &str, total: i64) {
        let begun = Instant::now();
        loop {
            let found: i64 = self.positions(table, app).iter().map(|(_, position)| position).sum();
            if found >= total {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "{table} is at {found} of {total}\n{}", self.said());
            // Not a wait for something to happen by then: a poll of a condition with a deadline.
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// The entries of a table's log that are files of their own, in their order.
pub fn log(table: &Path) -> Vec<Vec<Value>> {
    let Ok(entries) = std::fs::read_dir(table.join("_delta_log")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    files.iter().map(read).collect()
}

/// The version that a table is at.
pub fn log_version(table: &Path) -> i64 {
    let entries = std::fs::read_dir(table.join("_delta_log")).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".json")?.parse().ok()).max().unwrap_or(0)
}

/// A run that goes on.
pub struct Following {
    child: Child,
}

impl Following {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().expect("it was not waited for yet");
        self.child.wait().expect("a killed child can be waited for");
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let status = std::process::Command::new("kill").args([name, &self.id().to_string()]).status();
        assert!(status.expect("kill can be started").success());
    }

    /// Ends it in order and gives its code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // After a failed test nothing may stay behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
