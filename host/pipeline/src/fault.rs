//! Errors of checking and running a pipeline.

use std::path::PathBuf;

use thiserror::Error;

use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_lake::LakeError;
use sluicebox_sandbox::{AdmissionError, BindError, JobError, ModuleError, SandboxError};
use sluicebox_sources::SourceError;

/// Why a pipeline cannot be checked, or why it stopped. Every variant that belongs to a hop names it.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// The sandbox could not be set up.
    #[error("the sandbox could not start")]
    Sandbox(#[source] Box<SandboxError>),
    /// A module was refused before it ran.
    #[error("hop `{hop}`: the module {} was refused", path.display())]
    Admission {
        /// The hop that names the module.
        hop: String,
        /// The component.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<AdmissionError>,
    },
    /// A module failed in `describe`.
    #[error("hop `{hop}`: the module {} could not describe itself", path.display())]
    Describe {
        /// The hop that names the module.
        hop: String,
        /// The component.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<ModuleError>,
    },
    /// A module's ports do not fit the tables around it.
    #[error("hop `{hop}`: the module does not fit its tables")]
    Bind {
        /// The hop.
        hop: String,
        /// What does not fit.
        #[source]
        source: Box<BindError>,
    },
    /// A port named in the pipeline file that the module does not have, or the reverse.
    #[error("hop `{hop}`: {message}")]
    Ports {
        /// The hop.
        hop: String,
        /// What is wrong.
        message: String,
        /// What to write instead.
        hint: String,
    },
    /// The rules of a table do not fit its rows.
    #[error("{message}")]
    Table {
        /// The table.
        table: String,
        /// What does not fit.
        message: String,
        /// What would.
        hint: String,
    },
    /// Two columns of a source would have one name in the lake.
    #[error("hop `{hop}`: the columns `{first}` and `{second}` of the source would both be called `{name}`")]
    Landing {
        /// The hop.
        hop: String,
        /// A column, as the source calls it.
        first: String,
        /// Another one.
        second: String,
        /// The name.
        name: String,
    },
    /// An expectation of a table does not fit its columns.
    #[error("an expectation of {table} does not fit")]
    Expect {
        /// The table.
        table: String,
        /// The key of the pipeline file below the table's, such as `expect.0.min`.
        key: String,
        /// Why.
        #[source]
        source: Box<LakeError>,
    },
    /// The source failed.
    #[error("hop `{hop}`: reading source `{upstream}` failed")]
    Source {
        /// The hop that reads it.
        hop: String,
        /// The source.
        upstream: String,
        /// Why.
        #[source]
        source: Box<SourceError>,
    },
    /// A running module failed.
    #[error("hop `{hop}`: the module failed")]
    Job {
        /// The hop.
        hop: String,
        /// Why.
        #[source]
        source: Box<JobError>,
    },
    /// A table could not be read or written.
    #[error("hop `{hop}`: {doing}")]
    Lake {
        /// The hop.
        hop: String,
        /// What was attempted, with the table's name.
        doing: String,
        /// Why.
        #[source]
        source: Box<LakeError>,
    },
    /// The lake could not be opened.
    #[error("the lake could not be opened")]
    OpenLake(#[source] Box<LakeError>),
    /// The hop was forgotten: what it has read is not known any more.
    #[error("hop `{hop}`: `{app}` was forgotten, so what it has read of its upstream is not known any more")]
    Forgotten {
        /// The hop.
        hop: String,
        /// Its name in tables, as `<pipeline>/<hop>`.
        app: String,
    },
    /// Two outputs of one hop were left at positions that cannot be reconciled.
    #[error("hop `{hop}`: {message}")]
    Positions {
        /// The hop.
        hop: String,
        /// What was found.
        message: String,
    },
    /// The upstream hop failed. The rows that it handed on since its last commit do not exist. Reported with the
    /// upstream hop.
    #[error("hop `{hop}`: stopped with the hop that writes {upstream}")]
    Abandoned {
        /// The hop.
        hop: String,
        /// The upstream table.
        upstream: String,
    },
    /// The state of a module is missing or cannot be used.
    #[error("hop `{hop}`: {message}")]
    State {
        /// The hop.
        hop: String,
        /// What was found.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Another run of the same pipeline has committed the rows that this one was writing.
    #[error("hop `{hop}`: another run wrote the same rows to {table}")]
    Overtaken {
        /// The hop.
        hop: String,
        /// The table.
        table: String,
    },
    /// The operating system refused a thread.
    #[error("hop `{hop}`: no thread could be started")]
    Thread {
        /// The hop.
        hop: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A panic of this program, caught at the border of its hop.
    #[error("hop `{hop}` ended by a fault of sluice itself: {message}")]
    Panic {
        /// The hop.
        hop: String,
        /// The panic's message.
        message: String,
    },
    /// A fixture could not be read or has a wrong form.
    #[error("fixture {}: {message}", path.display())]
    Fixture {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

impl PipelineError {
    /// The key in the pipeline file that caused the error, such as `hops.clean.module`.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Admission { hop, .. } | Self::Describe { hop, .. } => Some(format!("hops.{hop}.module")),
            Self::Bind { hop, .. } | Self::Ports { hop, .. } | Self::Landing { hop, .. } => Some(format!("hops.{hop}")),
            Self::Table { table, .. } => Some(format!("tables.{table}")),
            Self::Expect { table, key, .. } => Some(format!("tables.{table}.{key}")),
            Self::Source { upstream, .. } => Some(format!("sources.{upstream}")),
            Self::Job { hop, .. } => Some(format!("hops.{hop}.module")),
            _ => None,
        }
    }

    /// Whether the pipeline file says or names something wrong. Otherwise the lake, a disk or a broker failed, and
    /// the same file may do.
    pub fn is_in_file(&self) -> bool {
        match self {
            Self::Admission { .. }
            | Self::Describe { .. }
            | Self::Bind { .. }
            | Self::Ports { .. }
            | Self::Landing { .. }
            | Self::Table { .. }
            | Self::Expect { .. } => true,
            Self::Source { source, .. } => source.is_misnamed(),
            _ => false,
        }
    }

    /// The hop that it belongs to, where it belongs to one.
    pub fn hop(&self) -> Option<&str> {
        match self {
            Self::Admission { hop, .. }
            | Self::Describe { hop, .. }
            | Self::Bind { hop, .. }
            | Self::Ports { hop, .. }
            | Self::Landing { hop, .. }
            | Self::Source { hop, .. }
            | Self::Job { hop, .. }
            | Self::Lake { hop, .. }
            | Self::Positions { hop, .. }
            | Self::Abandoned { hop, .. }
            | Self::State { hop, .. }
            | Self::Forgotten { hop, .. }
            | Self::Overtaken { hop, .. }
            | Self::Thread { hop, .. }
            | Self::Panic { hop, .. } => Some(hop),
            Self::Sandbox(_) | Self::Table { .. } | Self::Expect { .. } | Self::OpenLake(_) | Self::Fixture { .. } => {
                None
            }
        }
    }

    fn inner(&self) -> Option<&dyn Fault> {
        match self {
            Self::Sandbox(source) => Some(source.as_ref()),
            Self::Admission { source, .. } => Some(source.as_ref()),
            Self::Describe { source, .. } => Some(source.as_ref()),
            Self::Bind { source, .. } => Some(source.as_ref()),
            Self::Source { source, .. } => Some(source.as_ref()),
            Self::Job { source, .. } => Some(source.as_ref()),
            Self::Lake { source, .. } | Self::Expect { source, .. } | Self::OpenLake(source) => Some(source.as_ref()),
            Self::Ports { .. }
            | Self::Landing { .. }
            | Self::Table { .. }
            | Self::Positions { .. }
            | Self::Abandoned { .. }
            | Self::State { .. }
            | Self::Forgotten { .. }
            | Self::Overtaken { .. }
            | Self::Thread { .. }
            | Self::Panic { .. }
            | Self::Fixture { .. } => None,
        }
    }
}

impl Fault for PipelineError {
    fn remedy(&self) -> Remedy {
        match self {
            // The next run continues at the positions of the other one.
            Self::Overtaken { .. } => Remedy::Retry,
            _ => self.inner().map_or(Remedy::Stop, Fault::remedy),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Ports { hint, .. } | Self::Table { hint, .. } | Self::State { hint, .. } => Some(hint.clone()),
            Self::Landing { second, .. } => Some(format!(
                "give one of them another name: `rename = {{ {} = \"…\" }}` in the source",
                toml_key(second)
            )),
            Self::Positions { .. } => {
                Some("each output of a hop must only ever be written by that hop; if a table was restored or deleted by hand, delete the hop's other outputs too".into())
            }
            Self::Forgotten { .. } => {
                Some("give the hop another name and tables of its own, or delete its tables to make them anew".into())
            }
            Self::Overtaken { .. } => {
                Some("let one run of a pipeline write a lake at a time; nothing was lost, and the next run continues".into())
            }
            Self::Panic { .. } => Some("this is a bug: nothing uncommitted was kept, and another run continues from the last commit".into()),
            other => other.inner().and_then(Fault::hint),
        }
    }
}

/// A name as a key of TOML.
fn toml_key(name: &str) -> String {
    format!("\"{}\"", name.escape_debug())
}
