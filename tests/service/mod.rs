//! Operations as a program calls them, without a command line.

mod errors;
mod events;
mod run;

use std::fs;
use std::path::PathBuf;

use crate::harness::{Lake, text};
use sluicebox_sandbox::CacheDir;
use sluicebox_service::{PipelineFile, Service, Session};

/// A pipeline into bronze and silver, three of whose rows are good.
const PIPELINE: &str = r#"
[pipeline]
name = "service"

[vars.data]
type = "path"

[sources.rows]
type = "files"
path = "${data}"
glob = "*.csv"
format = "csv"
columns = { id = "int64", name = "string" }

[tables.silver.rows]
mode = "upsert"
key = ["id"]

[hops.land]
from = "rows"
to = "bronze.rows"

[hops.clean]
from = "bronze.rows"
to = "silver.rows"
"#;

/// A folder with the pipeline, its file and a lake.
pub struct Example {
    pub folder: Lake,
    pub file: PipelineFile,
}

impl Example {
    pub fn new() -> Self {
        let folder = Lake::new();
        let data = folder.path().join("data");
        fs::create_dir_all(&data).expect("a temporary folder is writable");
        let path = folder.path().join("service.toml");
        fs::write(&path, PIPELINE).expect("a temporary folder is writable");
        let vars = [("data".to_owned(), text(&data).to_owned())].into();
        let lake = Some(text(&folder.path().join("lake")).to_owned());
        let example = Self { folder, file: PipelineFile { path, vars, lake } };
        example.add("first.csv", "id,name\n1,one\nbad,two\n3,three\n");
        example
    }

    /// Adds a file to the source.
    pub fn add(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join("data").join(name), text).expect("a temporary folder is writable");
    }

    pub fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    pub fn session(&self, service: &Service) -> Session {
        let loaded = self.file.load().expect("the file is valid");
        let location = self.file.location(&loaded);
        Session::open(service, loaded, location).expect("everything fits")
    }
}

pub fn service() -> Service {
    Service::with_cache(CacheDir::None).expect("there are threads")
}
