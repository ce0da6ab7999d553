//! The sandbox: compiles untrusted modules once and runs them with no authority but the contract in
//! `wit/transform.wit`.
//!
//! In the order of a module's life: a [`Sandbox`] loads a file as a [`Module`]; its [`Descriptor`] says what it is; a
//! [`Binding`] binds its ports to tables; and a [`Job`] takes batches and returns [`Output`].
//!
//! What a module returns is hostile until checked. In a pass-through output the `_row` indices of one emitted batch
//! must ascend, and no row may be emitted twice on the same port in one push. So the order of a lane is preserved, an
//! output is never larger than its input, and selecting rows is a filter. A module that multiplies or reorders rows
//! declares a full output.
//!
//! A program that wants nothing but to run a module needs this crate alone:
//!
//! ```rust,ignore
#![doc = include_str!("../examples/run_module.rs")]
//! ```

/// The contract that this host speaks, as commits name it.
pub const CONTRACT: &str = "sluicebox:transform@0.1.0";

mod admission;
mod binding;
mod bindings;
mod cache;
mod cause;
mod descriptor;
mod encode;
mod engine;
mod error;
mod gather;
mod guest;
mod instance;
mod job;
mod limiter;
mod log;
mod message;
mod rows;
mod sandbox;
mod schema;
mod sink;
mod stubs;
mod text;
mod thread;

pub use binding::{BindError, Binding};
pub use cache::CacheDir;
pub use cause::{Cause, FailureKind, RowProblem};
pub use descriptor::{Descriptor, DescriptorError, InputPort, OutputPort, OutputSchema, Role, Wanted};
pub use error::{AdmissionError, Call, JobError, ModuleError, SandboxError, Trace};
pub use job::{Job, Output, Rejection, SavedState, Spent};
pub use message::MessageError;
pub use sandbox::{Module, Sandbox};
pub use schema::SchemaError;
pub use sluicebox_core::plan::Limits;
pub use thread::{on_guest_thread, spawn_guest_thread};
