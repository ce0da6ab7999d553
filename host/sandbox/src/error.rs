//! Errors of the sandbox.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::cause::Cause;
use super::descriptor::DescriptorError;
use sluicebox_core::fault::{Fault, Remedy};

type Source = Box<dyn Error + Send + Sync>;

/// The sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine rejected its settings, for example on an unknown processor.
    #[error("cannot set up the WebAssembly engine")]
    Engine {
        /// The error of the engine.
        source: Source,
    },
    /// An import of the contract could not be linked.
    #[error("cannot link the module contract")]
    Link {
        /// The error of the engine.
        source: Source,
    },
    /// The clock that interrupts modules could not be started.
    #[error("cannot start the thread that interrupts modules")]
    Clock {
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Fault for SandboxError {}

/// Why a file is not admitted as a module.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The file could not be read.
    #[error("cannot read module `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is larger than any module may be.
    #[error("module `{}` has {size} bytes, more than the {limit} that a module may have", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is machine code, which cannot be checked.
    #[error("`{}` is already compiled to machine code and cannot be trusted", path.display())]
    Precompiled {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a valid component.
    #[error("`{}` is not a WebAssembly component that can be compiled", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// The error of the engine.
        source: Source,
    },
    /// The component imports something that is neither the contract nor a known stub.
    #[error("module `{}` imports `{import}`, which is not part of the contract", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// The import's name.
        import: String,
    },
    /// The component does not export the contract, or exports other types.
    #[error("module `{}` does not export `sluicebox:transform/transform@0.1.0` as the contract has it", path.display())]
    Export {
        /// The file.
        path: PathBuf,
        /// The error of the engine.
        source: Source,
    },
    /// The engine for a job's stack size could not be created.
    #[error("cannot prepare module `{}` for running", path.display())]
    Prepare {
        /// The file.
        path: PathBuf,
        /// The error.
        source: SandboxError,
    },
}

impl Fault for AdmissionError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } | Self::Prepare { .. } => None,
            Self::TooLarge { .. } => {
                Some("build it in release mode with `strip = \"debuginfo\"` and `lto = \"fat\"`".into())
            }
            Self::Precompiled { .. } => {
                Some("name the `.wasm` component itself; the host compiles and caches it".into())
            }
            Self::Compile { .. } => Some("build it for the target `wasm32-wasip2`, in release mode".into()),
            Self::Import { .. } => Some(
                "a module may use nothing but `sluicebox:transform/sink`; remove the dependency that asks for more"
                    .into(),
            ),
            Self::Export { .. } => Some("build it against the same `wit/transform.wit` as this host".into()),
        }
    }
}

/// Why a module could not be described.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The call itself failed.
    #[error(transparent)]
    Call(JobError),
    /// Its descriptor is invalid.
    #[error("module `{module}` describes itself wrongly")]
    Descriptor {
        /// The module's file.
        module: String,
        /// What is wrong.
        source: DescriptorError,
    },
    /// The thread for the call could not be started.
    #[error("cannot start a thread to run module `{module}`")]
    Thread {
        /// The module's file.
        module: String,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Fault for ModuleError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Call(error) => error.hint(),
            Self::Descriptor { .. } => Some("this is a bug in the module's `describe`".into()),
            Self::Thread { .. } => None,
        }
    }
}

/// A call into a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `transform.describe`
    Describe,
    /// `job.open`
    Open,
    /// `job.push`
    Push,
    /// `job.end-of-input`
    EndOfInput,
    /// `job.flush`
    Flush,
    /// `job.snapshot`
    Snapshot,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Describe => "describe",
            Call::Open => "open",
            Call::Push => "push",
            Call::EndOfInput => "end-of-input",
            Call::Flush => "flush",
            Call::Snapshot => "snapshot",
        })
    }
}

/// A failed call into a module.
#[derive(Debug)]
pub struct JobError {
    /// The module's file.
    pub module: String,
    /// The call.
    pub call: Call,
    /// Why it failed.
    pub cause: Cause,
    /// Its backtrace and last log lines.
    pub trace: Box<Trace>,
}

/// The backtrace and last log lines of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The running functions of the module, innermost first.
    pub frames: Vec<String>,
    /// The last log lines, oldest first.
    pub log: Vec<String>,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "module `{}` failed in {}: {}", self.module, self.call, self.cause)?;
        let Trace { frames, log } = &*self.trace;
        if !frames.is_empty() {
            write!(f, "; it was in {}", frames.join(" < "))?;
        }
        if !log.is_empty() {
            write!(f, "; its last log lines: {}", log.join(" | "))?;
        }
        Ok(())
    }
}

impl Error for JobError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

impl Fault for JobError {
    fn remedy(&self) -> Remedy {
        self.cause.remedy()
    }

    fn hint(&self) -> Option<String> {
        self.cause.hint()
    }
}
