//! What every test may lean on: where things lie, the program itself, an independent reader.
#![allow(dead_code, reason = "a harness offers more than the tests of any one moment use")]

pub mod capture;
pub mod duckdb;
pub mod kafka;
pub mod oracle;
pub mod registry;
pub mod sluice;
pub mod spark;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The part of a pipeline file that reads the simulator's orders from CSV files in `${data}`.
pub const ORDERS_SOURCE: &str = r#"[vars.data]
type = "path"

[sources.orders]
type = "files"
path = "${data}"
glob = "orders*.csv"
format = "csv"

[sources.orders.columns]
order_id = "int32"
customer_id = "int32"
product_id = "int32"
order_date = "date"
quantity = "int32"
status = "string"
shipping_date = "date"
"#;

/// The root of the workspace, where `pipelines/` and `guest-transforms/` are.
pub fn root() -> &'static Path {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"));
    program.ancestors().nth(2).expect("because the program's crate is a folder of the host's")
}

/// The compiled module `name`.
///
/// # Panics
/// When it has not been built: a test that cannot load a module proves nothing.
pub fn module(name: &str) -> PathBuf {
    let path = root().join("guest-transforms/dist").join(format!("{name}.wasm"));
    assert!(path.is_file(), "there is no module at {}: run `just modules`", path.display());
    path
}

/// A folder of the real data sets, or `None`, said aloud, where they are not at hand.
///
/// They are looked for in `$SLUICE_DATA`, else in `../shared/data` beside the workspace. Their licences
/// keep them out of this repository.
pub fn data(folder: &str) -> Option<PathBuf> {
    let base = std::env::var_os("SLUICE_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let path = base.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    skipped(&format!("there is no data at {} (set SLUICE_DATA to the folder of the data sets)", path.display()));
    None
}

/// Says that the running test is skipped, and why.
///
/// It writes to the handle itself, because `cargo test` swallows what a passing test prints by macro.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // A closed standard error is no reason to fail a test.
    let _ = writeln!(std::io::stderr(), "skipped {test}: {why}");
}

/// An empty lake that is removed with this value.
pub struct Lake {
    folder: TempDir,
}

impl Lake {
    /// A new, empty lake.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self { folder }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of `table`, named as in a pipeline file: `silver.users`.
    pub fn table(&self, table: &str) -> PathBuf {
        let (layer, name) = table.split_once('.').expect("a table is named layer.table");
        self.path().join(layer).join(name)
    }
}

/// A way to name the lake on a command line.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

#[test]
fn a_lake_names_its_tables() {
    let lake = Lake::new();
    assert_eq!(lake.table("silver.users"), lake.path().join("silver/users"));
}
