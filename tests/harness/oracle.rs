//! The Python with other readers and writers, whose answers ours are compared with.

use std::path::PathBuf;
use std::process::Command;

use super::{root, skipped};

/// The Python that has delta-rs, DuckDB and pyarrow: `$SLUICE_ORACLE`, or what an earlier `just test` installed.
///
/// # Panics
/// Under `CI=true` when there is none: CI must not skip what it is for.
pub fn python() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os("SLUICE_ORACLE") {
        return Some(PathBuf::from(python));
    }
    let known = Command::new(root().join("scripts/venv")).args(["--installed", "tests/harness/oracle.txt"]).output();
    if let Ok(output) = known
        && output.status.success()
    {
        return Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let why = "there is no Python with delta-rs (`just test` installs it, or set SLUICE_ORACLE)";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    skipped(why);
    None
}
