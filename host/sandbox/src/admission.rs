//! Admission: from untrusted bytes to a component that may be instantiated.
//!
//! `admit` takes bytes and returns a checked component or an error, and has no other effect. So it can move to a
//! child process with its own limits without a change for its callers.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use super::bindings::TransformerPre;
use super::cache::Cache;
use super::error::AdmissionError;
use super::guest::Guest;
use super::{sink, stubs};

/// The most bytes of a component.
const SIZE: u64 = 16 << 20;
/// Interfaces of the contract that a component may import; the types have no functions.
const CONTRACT: [&str; 2] = [sink::NAME, "sluicebox:transform/types@0.1.0"];

/// Reads a module's file, up to the size limit.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, AdmissionError> {
    let unreadable = |source| AdmissionError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::new();
    file.take(SIZE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > SIZE {
        return Err(AdmissionError::TooLarge { path: path.to_owned(), size: size.max(SIZE + 1), limit: SIZE });
    }
    Ok(bytes)
}

/// A module's digest: SHA-256 as lower-case hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Compiles a module or loads it from the cache, and checks its imports and exports.
pub(super) fn admit(
    path: &Path,
    bytes: &[u8],
    digest: &str,
    linker: &Linker<Guest>,
    cache: Option<&Cache>,
) -> Result<TransformerPre<Guest>, AdmissionError> {
    let engine = linker.engine();
    if Engine::detect_precompiled(bytes).is_some() {
        return Err(AdmissionError::Precompiled { path: path.to_owned() });
    }
    let component = match cache.and_then(|cache| cache.load(engine, digest)) {
        Some(component) => component,
        None => {
            let compiled = Component::from_binary(engine, bytes).map_err(|error| AdmissionError::Compile {
                path: path.to_owned(),
                source: error.into_boxed_dyn_error(),
            })?;
            if let Some(cache) = cache {
                cache.store(engine, digest, &compiled);
            }
            compiled
        }
    };
    let uncompiled = |error: wasmtime::Error| AdmissionError::Compile {
        path: path.to_owned(),
        source: error.into_boxed_dyn_error(),
    };
    // Done here, so that the first job does not start slower than the others.
    component.initialize_copy_on_write_image().map_err(uncompiled)?;
    let pre = link(path, &component, linker)?;
    TransformerPre::new(pre)
        .map_err(|error| AdmissionError::Export { path: path.to_owned(), source: error.into_boxed_dyn_error() })
}

/// Links the contract and the stubs, and nothing else.
fn link(path: &Path, component: &Component, linker: &Linker<Guest>) -> Result<InstancePre<Guest>, AdmissionError> {
    let engine = linker.engine();
    let mut linker = linker.clone();
    let unknown = |import: &str| AdmissionError::Import { path: path.to_owned(), import: import.to_owned() };
    let unlinked = |error: wasmtime::Error| AdmissionError::Compile {
        path: path.to_owned(),
        source: error.into_boxed_dyn_error(),
    };
    for (import, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            return Err(unknown(import));
        };
        if CONTRACT.contains(&import) {
            continue;
        }
        if !stubs::is_known(import) {
            return Err(unknown(import));
        }
        let mut interface = linker.instance(import).map_err(unlinked)?;
        if !stubs::link(&mut interface, import, &instance, engine).map_err(unlinked)? {
            return Err(unknown(import));
        }
    }
    linker.instantiate_pre(component).map_err(unlinked)
}
