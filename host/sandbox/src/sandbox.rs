//! The sandbox of a process, and its modules.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::admission;
use super::bindings::TransformerPre;
use super::cache::{Cache, CacheDir};
use super::descriptor::{self, Descriptor};
use super::engine::{Ticker, engine};
use super::error::{AdmissionError, ModuleError, SandboxError};
use super::guest::Guest;
use super::instance::Instance;
use super::sink;
use super::text::printable;
use super::thread::on_guest_thread;
use sluicebox_core::plan::Limits;

/// Compiles and runs modules. One per process.
pub struct Sandbox {
    cache: Option<Cache>,
    /// The engine slots, by stack size.
    floors: Mutex<HashMap<u32, Arc<EngineSlot>>>,
    /// The loaded modules, so that hops with the same module share its code.
    modules: Mutex<HashMap<String, Weak<Code>>>,
}

/// An engine with its linker and its clock. The engine decides the stack size of what runs on it, so `limits.stack`
/// chooses the slot.
pub(super) struct EngineSlot {
    linker: Linker<Guest>,
    pub(super) clock: Ticker,
}

/// A module ready to run in one engine slot.
pub(super) struct Ready {
    pub(super) floor: Arc<EngineSlot>,
    pub(super) pre: TransformerPre<Guest>,
}

/// A compiled module, shared by all of its jobs.
#[derive(Clone)]
pub struct Module {
    code: Arc<Code>,
    name: Arc<str>,
    path: Arc<Path>,
}

/// The same bytes are the same code, whatever their path.
struct Code {
    sandbox: Arc<Sandbox>,
    digest: String,
    bytes: Vec<u8>,
    ready: Mutex<HashMap<u32, Arc<Ready>>>,
}

impl Sandbox {
    /// Sets up the engine and its clock.
    ///
    /// # Errors
    /// The engine does not know the processor, or no thread can be started. A cache that cannot be used is only a
    /// warning.
    pub fn new(cache: CacheDir) -> Result<Arc<Self>, SandboxError> {
        let sandbox = Self { cache: Cache::open(&cache), floors: Mutex::default(), modules: Mutex::default() };
        // Done here, so that a machine that cannot do it reports so at once.
        sandbox.floor(Limits::default().stack)?;
        Ok(Arc::new(sandbox))
    }

    /// Admits a module: reads it, compiles it or loads it from the cache, and checks its imports and exports. The
    /// same bytes are compiled once, whatever their path.
    ///
    /// # Errors
    /// The file cannot be read, is too large, is not a component, or imports more than the contract.
    pub fn load(self: &Arc<Self>, path: &Path) -> Result<Module, AdmissionError> {
        let bytes = admission::read(path)?;
        let digest = admission::digest(&bytes);
        let code = self.code(digest, bytes);
        let name = path.file_stem().map_or_else(|| "module".into(), |stem| stem.to_string_lossy());
        let module = Module { code, name: Arc::from(printable(&name, 100)), path: Arc::from(path) };
        module.ready(Limits::default().stack)?;
        Ok(module)
    }

    fn code(self: &Arc<Self>, digest: String, bytes: Vec<u8>) -> Arc<Code> {
        let mut modules = lock(&self.modules);
        if let Some(code) = modules.get(&digest).and_then(Weak::upgrade) {
            return code;
        }
        modules.retain(|_, code| code.strong_count() > 0);
        let code = Arc::new(Code { sandbox: self.clone(), digest: digest.clone(), bytes, ready: Mutex::default() });
        modules.insert(digest, Arc::downgrade(&code));
        code
    }

    fn floor(&self, stack: u32) -> Result<Arc<EngineSlot>, SandboxError> {
        let mut floors = lock(&self.floors);
        if let Some(floor) = floors.get(&stack) {
            return Ok(floor.clone());
        }
        let engine: Engine = engine(stack as usize)?;
        let mut linker = Linker::new(&engine);
        sink::link(&mut linker).map_err(|error| SandboxError::Link { source: error.into_boxed_dyn_error() })?;
        let floor = Arc::new(EngineSlot { linker, clock: Ticker::start(&engine)? });
        floors.insert(stack, floor.clone());
        Ok(floor)
    }
}

impl Module {
    /// SHA-256 of the component, as lower-case hex.
    pub fn digest(&self) -> &str {
        &self.code.digest
    }

    /// The component, as it was read.
    pub fn bytes(&self) -> &[u8] {
        &self.code.bytes
    }

    /// The name of its file, without ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Describes the module under `config`, which is one JSON object as text.
    ///
    /// The module runs on its own thread, so this can be called from anywhere.
    ///
    /// # Errors
    /// The call fails or exceeds a limit, or the descriptor is invalid.
    pub fn describe(&self, config: &str, limits: &Limits) -> Result<Descriptor, ModuleError> {
        let name = || self.name.to_string();
        let said = on_guest_thread("describe", || Instance::describe(self, config, limits))
            .map_err(|source| ModuleError::Thread { module: name(), source })?
            .map_err(ModuleError::Call)?;
        descriptor::check(said).map_err(|source| ModuleError::Descriptor { module: name(), source })
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// The module in the engine slot of this stack size.
    pub(super) fn ready(&self, stack: u32) -> Result<Arc<Ready>, AdmissionError> {
        let code = &*self.code;
        let mut ready = lock(&code.ready);
        if let Some(ready) = ready.get(&stack) {
            return Ok(ready.clone());
        }
        let floor = code
            .sandbox
            .floor(stack)
            .map_err(|source| AdmissionError::Prepare { path: self.path.to_path_buf(), source })?;
        let cache = code.sandbox.cache.as_ref();
        let pre = admission::admit(&self.path, &code.bytes, &code.digest, &floor.linker, cache)?;
        let made = Arc::new(Ready { floor, pre });
        ready.insert(stack, made.clone());
        Ok(made)
    }
}

/// A panic while the lock was held leaves the map consistent, because nothing under it is done in steps.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
