//! Compiled modules on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sluicebox_core::plan::Limits;
use sluicebox_sandbox::{CacheDir, Sandbox};

use super::handmade::HONEST;

fn load(folder: &Path) {
    let sandbox = Sandbox::new(CacheDir::At(folder.to_owned())).unwrap();
    let path = folder.with_extension("wasm");
    // Small, so that compiling it takes no time.
    fs::write(&path, HONEST.component()).unwrap();
    let module = sandbox.load(&path).unwrap();
    // It runs: its `describe` does nothing but panic.
    let error = module.describe("{}", &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("it panicked"), "{error}");
}

fn entry(folder: &Path) -> PathBuf {
    let entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "cwasm"))
        .collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0].clone()
}

#[test]
fn an_entry_is_used_and_a_forged_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new").join("cache");
    load(&folder);
    let entry = entry(&folder);
    let whole = fs::read(&entry).unwrap();
    for path in [&entry, &folder.join("key")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let made = fs::metadata(&entry).unwrap().modified().unwrap();

    // Used: nothing is written again.
    load(&folder);
    assert_eq!(fs::metadata(&entry).unwrap().modified().unwrap(), made);

    // Forged: compiled and written again.
    let mut forged = whole.clone();
    let middle = forged.len() / 2;
    forged[middle] ^= 1;
    fs::write(&entry, forged).unwrap();
    load(&folder);
    assert_eq!(fs::read(&entry).unwrap().len(), whole.len());
}
