//! The module of a hop, and its configuration.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::document::object;
use crate::keys::{Found, Kind, Shape, absolute, is_url};

/// The path of a compiled module, which must exist.
#[derive(Clone, Copy)]
pub(super) struct ModuleFile;

impl Shape for ModuleFile {
    fn label(&self) -> String {
        "path".to_owned()
    }
}

impl Kind for ModuleFile {
    type Value = PathBuf;

    fn read(&self, found: &Found<'_, '_>) -> Option<PathBuf> {
        let (cx, what) = (found.section.cx, found.what());
        let written = found.text()?.value;
        let refuse = |message: String, hint: &str| {
            found.report(message, Some(hint.to_owned()));
            None
        };
        if is_url(&written) {
            return refuse(
                format!("the module of {what} is a URL: `{written}`"),
                "modules are files; fetch it and name the file",
            );
        }
        let path = match absolute(&cx.folder.join(&written)) {
            Ok(path) => PathBuf::from(path),
            Err(error) => return refuse(format!("the module of {what} is not a usable path: {error}"), "name a file"),
        };
        if cx.kept {
            return Some(path);
        }
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => Some(path),
            Ok(_) => refuse(
                format!("the module of {what} is not a file: `{written}`"),
                "name the compiled `.wasm` file itself",
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => refuse(
                format!("the module of {what} does not exist: `{written}`"),
                "build the modules with `just modules`; the path is relative to this file",
            ),
            Err(error) => refuse(
                format!("the module of {what} cannot be read: `{written}`: {error}"),
                "check that it may be read",
            ),
        }
    }
}

/// Any table, as one JSON object.
#[derive(Clone, Copy)]
pub(super) struct Free;

impl Shape for Free {
    fn label(&self) -> String {
        "table".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "object" })
    }
}

impl Kind for Free {
    type Value = String;

    fn read(&self, found: &Found<'_, '_>) -> Option<String> {
        found.entries()?;
        object(found.section.cx, found.node())
    }
}
