//! A real schema registry: Apicurio, started by the project's own script.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{root, skipped, text};

/// A registry that is gone when this process is.
pub struct Registry {
    /// Where it answers as Confluent's does.
    pub url: String,
}

/// The registry that all tests of this process share, or `None`, said aloud, where there can be none.
pub fn registry() -> Option<&'static Registry> {
    static REGISTRY: OnceLock<Result<Registry, String>> = OnceLock::new();
    match REGISTRY.get_or_init(start) {
        Ok(registry) => Some(registry),
        Err(why) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            skipped(why);
            None
        }
    }
}

fn start() -> Result<Registry, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("registry-{}", std::process::id()));
    let output = Command::new(root().join("scripts/registry"))
        .args(["start", text(&folder)])
        .env("REGISTRY_ENDS_WITH", std::process::id().to_string())
        .output()
        .expect("the script can be started");
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(Registry { url: String::from_utf8_lossy(&output.stdout).trim().to_owned() }),
        Some(3) => Err(format!("{said}: without a schema registry this is not tested")),
        _ => panic!("scripts/registry start: {said}"),
    }
}

impl Registry {
    /// Registers a schema, which refers to these others, and gives its number.
    pub fn register(&self, subject: &str, schema: &str, references: &Value) -> u32 {
        let body = json!({ "schema": schema, "references": references }).to_string();
        let output = Command::new("python3")
            .args(["-c", REGISTER, &format!("{}/subjects/{subject}/versions", self.url), &body])
            .output()
            .expect("python3 can be started");
        let answer: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        answer["id"].as_u64().expect("a number") as u32
    }
}

/// What every client of a registry does; no client of ours is to be trusted in a test of ours.
const REGISTER: &str = "import sys, urllib.request as r
print(r.urlopen(r.Request(sys.argv[1], sys.argv[2].encode(), {'content-type': 'application/json'})).read().decode())";
