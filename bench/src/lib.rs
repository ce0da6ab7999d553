//! What the benches share: the data they run on, how a process is measured, how figures are shown.
//!
//! A figure without its rival means little, so every bench runs both sides in turns, in one run, on the
//! same files, and reports ratios beside the absolute numbers.

pub mod figures;
pub mod measure;
pub mod orders;

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where benches keep data and results; it survives a `cargo clean` of single packages only.
pub fn output() -> PathBuf {
    root().join("target/bench")
}
