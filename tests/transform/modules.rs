//! Modules and batches that the tests share.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use sluicebox_core::plan::Limits;
use sluicebox_sandbox::{Binding, CacheDir, Job, JobError, Module, Output, Sandbox, spawn_guest_thread};

/// One sandbox for all tests, as there is one in a process.
pub fn sandbox() -> Arc<Sandbox> {
    static SANDBOX: OnceLock<Arc<Sandbox>> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::new(CacheDir::None).unwrap()).clone()
}

/// A built module of `guest-transforms`.
pub fn path(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../guest-transforms/dist/{name}.wasm"));
    assert!(path.exists(), "{} is not built: run `just modules`", path.display());
    path
}

pub fn evil() -> Module {
    static EVIL: OnceLock<Module> = OnceLock::new();
    EVIL.get_or_init(|| sandbox().load(&path("evil")).unwrap()).clone()
}

/// `rows` rows of id, name and price, with 4 in every 7 names.
pub fn batch(rows: usize) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    let names: ArrayRef =
        Arc::new(StringArray::from_iter((0..rows).map(|row| (row % 7 < 4).then(|| format!("name of {row}")))));
    let prices: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64 / 4.0)));
    RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("name", names, true), ("price", prices, true)])
        .unwrap()
}

pub fn config(deed: &str, at: &str) -> String {
    format!(r#"{{"deed": "{deed}", "at": "{at}"}}"#)
}

/// The evil module's ports under a deed, bound to `schema` and an empty lookup.
pub fn bind(config: &str, schema: SchemaRef) -> Arc<Binding> {
    let descriptor = evil().describe(config, &Limits::default()).unwrap();
    let lookup = batch(0).schema();
    Arc::new(descriptor.bind(&[("rows".into(), schema), ("lookup".into(), lookup)]).unwrap())
}

/// Runs `work` on a thread that may run modules.
pub fn on_guest_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_guest_thread("test", work).unwrap().join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Opens the evil module and pushes one batch of five rows.
pub fn push(config: &str, limits: &Limits) -> Result<Output, JobError> {
    let (config, limits) = (config.to_owned(), limits.clone());
    on_guest_thread(move || {
        let binding = bind(&config, batch(5).schema());
        let mut job = Job::open(&evil(), &config, binding, &limits, None)?;
        job.push(0, &batch(5), None)
    })
}
