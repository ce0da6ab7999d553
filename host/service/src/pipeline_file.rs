//! A pipeline file and its variables.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::NotStarted;
use sluicebox_config::{self as config, Loaded};

/// The lake of a pipeline without one.
const DEFAULT_LAKE: &str = "lake";

/// Which pipeline file to read, with its variables and lake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineFile {
    /// The file.
    pub path: PathBuf,
    /// Values of its variables, by name.
    pub vars: BTreeMap<String, String>,
    /// A lake, a folder or a URL, that overrides the file's own.
    pub lake: Option<String>,
}

impl PipelineFile {
    /// Reads the file. Modules, sources and the lake are not touched.
    ///
    /// # Errors
    /// [`NotStarted::Problems`], with all problems of the file.
    pub fn load(&self) -> Result<Loaded, NotStarted> {
        Ok(config::load(&self.path, &self.vars)?)
    }

    /// The lake's location: that of the request, else that of the file, else `lake` in the working directory.
    pub fn location(&self, loaded: &Loaded) -> String {
        self.lake.clone().or_else(|| loaded.lake.clone()).unwrap_or_else(|| DEFAULT_LAKE.into())
    }
}
