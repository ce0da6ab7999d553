//! Which files become modules.

use std::fs;
use std::sync::Arc;

use sluicebox_core::fault::Fault;
use sluicebox_sandbox::{AdmissionError, CacheDir, Sandbox};

use super::handmade::HONEST;
use super::modules::{evil, path, sandbox};

#[test]
fn the_digest_is_the_files() {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(fs::read(path("evil")).unwrap());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(evil().digest(), digest);
}

#[test]
fn what_is_no_module_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let load = |bytes: &[u8]| {
        let path = folder.path().join("module.wasm");
        fs::write(&path, bytes).unwrap();
        match sandbox().load(&path) {
            Ok(_) => panic!("loaded"),
            Err(error) => error,
        }
    };
    assert!(matches!(load(b""), AdmissionError::Compile { .. }));
    assert!(matches!(load(b"\0asm\x01\0\0\0"), AdmissionError::Compile { .. }));
    let whole = fs::read(path("evil")).unwrap();
    assert!(matches!(load(&whole[..whole.len() / 2]), AdmissionError::Compile { .. }));
    assert!(matches!(load(&vec![0; (16 << 20) + 1]), AdmissionError::TooLarge { .. }));
    // An empty component is one, only it exports nothing.
    let error = load(b"\0asm\x0d\0\x01\0");
    assert!(matches!(error, AdmissionError::Export { .. }), "{error}");
    assert!(error.hint().unwrap().contains("wit/transform.wit"));

    let error = match sandbox().load(&folder.path().join("absent.wasm")) {
        Ok(_) => panic!("loaded"),
        Err(error) => error,
    };
    assert!(matches!(error, AdmissionError::Read { .. }));
}

#[test]
fn imports_outside_of_the_contract_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module.wasm");
    // (component (import "acme:spy/eyes@1.0.0" (instance)))
    let import = b"acme:spy/eyes@1.0.0";
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    // A type section with one instance type of no declarations.
    component.extend([7, 3, 1, 0x42, 0]);
    let mut section = vec![1, 0];
    section.push(import.len() as u8);
    section.extend(import);
    section.extend([5, 0]);
    component.push(10);
    component.push(section.len() as u8);
    component.extend(section);
    fs::write(&path, component).unwrap();
    match sandbox().load(&path) {
        Err(AdmissionError::Import { import, .. }) => assert_eq!(import, "acme:spy/eyes@1.0.0"),
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        Ok(_) => panic!("loaded"),
    }
}

#[test]
fn the_same_bytes_share_their_code() {
    let folder = tempfile::tempdir().unwrap();
    let [original, copy] = ["one", "another"].map(|name| folder.path().join(format!("{name}.wasm")));
    fs::write(&original, HONEST.component()).unwrap();
    fs::copy(&original, &copy).unwrap();
    let sandbox = Sandbox::new(CacheDir::None).unwrap();
    let first = sandbox.load(&original).unwrap();
    let weight = Arc::strong_count(&sandbox);
    let second = sandbox.load(&copy).unwrap();
    assert_eq!(second.digest(), first.digest());
    assert_eq!((first.name(), second.name()), ("one", "another"));
    // Another code would hold the sandbox once more.
    assert_eq!(Arc::strong_count(&sandbox), weight);
}
