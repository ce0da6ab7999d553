//! Reads tables with Spark and Delta Lake, the reader that most of our users have.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::{root, skipped};

/// Spark fetches its Delta jars when it starts for the first time, and two that do so at once leave each other half of them.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The rows of each statement over the lake, each a JSON object, or `None`, said aloud, without Spark.
///
/// `{lake}` in a statement is the lake's folder: ``select * from delta.`{lake}/silver/users` ``. One
/// Java machine serves all of them, because starting it is what takes the time.
///
/// # Panics
/// When a statement fails.
pub fn rows(lake: &Path, statements: &[String]) -> Option<Vec<Vec<Value>>> {
    let python = python()?;
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut child = Command::new(&python)
        .arg(root().join("tests/harness/spark_read.py"))
        .arg(lake)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
    let mut input = child.stdin.take().expect("because it was piped just above");
    input.write_all(statements.join("\n").as_bytes()).expect("the reader takes its statements");
    drop(input);
    let output = child.wait_with_output().expect("the reader ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("the reader prints UTF-8");
    let mut results = vec![Vec::new()];
    for line in text.lines() {
        match serde_json::from_str(line).expect("the reader prints JSON lines") {
            Value::Array(_) => results.push(Vec::new()),
            row => results.last_mut().expect("there is always one").push(row),
        }
    }
    results.pop();
    assert_eq!(results.len(), statements.len(), "{text}");
    Some(results)
}

/// The Python that has Spark: `$SLUICE_SPARK`, as `just test` sets it where there is a Java machine.
fn python() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os("SLUICE_SPARK") {
        return Some(PathBuf::from(python));
    }
    let known = Command::new(root().join("scripts/venv")).args(["--installed", "bench/peers/spark.txt"]).output();
    let java = Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    match known {
        Ok(output) if output.status.success() && java => {
            Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        }
        _ => {
            skipped("there is no Spark (it takes a Java machine and `scripts/venv bench/peers/spark.txt`)");
            None
        }
    }
}
