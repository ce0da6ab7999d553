//! The service: the runtime and the sandbox that operations share.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::NotStarted;
use sluicebox_lake::Lake;
use sluicebox_pipeline::PipelineError;
use sluicebox_sandbox::{CacheDir, Sandbox};

/// Threads of the runtime. It is for I/O; computing has its own threads.
const WORKERS: usize = 2;

/// The runtime for the I/O of operations, and the sandbox, which is set up when it is first needed. One serves a
/// whole process.
pub struct Service {
    runtime: Runtime,
    cache: CacheDir,
    sandbox: Mutex<Option<Arc<Sandbox>>>,
}

impl Service {
    /// Starts the runtime. Compiled modules are cached in the user's cache folder.
    ///
    /// # Errors
    /// The operating system refuses threads or files.
    pub fn start() -> Result<Self, NotStarted> {
        Self::with_cache(CacheDir::User)
    }

    /// Starts the runtime; compiled modules are cached in `cache`.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub fn with_cache(cache: CacheDir) -> Result<Self, NotStarted> {
        let runtime =
            Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().map_err(NotStarted::Runtime)?;
        Ok(Self { runtime, cache, sandbox: Mutex::new(None) })
    }

    /// The runtime, for work that lives longer than one operation.
    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Waits for an asynchronous operation. Must not be called on a worker of the runtime.
    pub fn wait<F: Future>(&self, operation: F) -> F::Output {
        self.runtime.block_on(operation)
    }

    /// The sandbox.
    ///
    /// # Errors
    /// The sandbox cannot be set up on this machine.
    pub fn sandbox(&self) -> Result<Arc<Sandbox>, NotStarted> {
        // A panic in here leaves no sandbox, or a complete one.
        let mut sandbox = self.sandbox.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sandbox) = &*sandbox {
            return Ok(sandbox.clone());
        }
        let made = Sandbox::new(self.cache.clone())
            .map_err(|error| NotStarted::from(Box::new(PipelineError::Sandbox(Box::new(error)))))?;
        Ok(sandbox.insert(made).clone())
    }
}

/// Opens the lake at a path or URL. Nothing is created.
///
/// # Errors
/// The location is not a folder, or cannot be reached.
pub fn open_lake(location: &str) -> Result<Lake, NotStarted> {
    Lake::open(location).map_err(|error| NotStarted::from(Box::new(PipelineError::OpenLake(Box::new(error)))))
}
