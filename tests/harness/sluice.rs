//! Runs the program as its users do: a process, arguments, what it prints.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// `sluice`, ready for arguments; in tests it never touches the user's own cache folder.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command
        .env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
        .env("NO_COLOR", "1")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

/// Runs `sluice` with these arguments in the root of the workspace, to its end.
pub fn run(arguments: &[&str]) -> Outcome {
    run_in(super::root(), arguments)
}

/// Runs `sluice` with these arguments in `folder`, to its end.
pub fn run_in(folder: &Path, arguments: &[&str]) -> Outcome {
    finish(command().current_dir(folder).args(arguments))
}

/// Runs a prepared command to its end.
pub fn finish(command: &mut Command) -> Outcome {
    let output = command.output().expect("the program under test can be started");
    Outcome {
        command: format!("{command:?}"),
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("the program prints UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("the program prints UTF-8"),
    }
}

/// How a run ended and what it printed.
pub struct Outcome {
    /// What was run.
    pub command: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Outcome {
    /// Itself, after a clean end.
    ///
    /// # Panics
    /// With everything the program printed, when it did not end with code 0.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Itself, after an end with this code.
    ///
    /// # Panics
    /// With everything the program printed, when the code is another.
    pub fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Every line of the standard output that is a JSON object, in order.
    pub fn events(&self) -> Vec<Value> {
        self.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
    }

    /// The summary of a run with `--json`: the last line of the standard output.
    ///
    /// # Panics
    /// With everything the program printed, when that line is not a JSON object.
    pub fn summary(&self) -> Value {
        let last = self.stdout.lines().next_back().unwrap_or_default();
        match serde_json::from_str(last) {
            Ok(summary @ Value::Object(_)) => summary,
            _ => panic!("the last line of standard output is not a summary in JSON\n{self}"),
        }
    }

    /// One hop of the summary.
    ///
    /// # Panics
    /// When the summary does not name it.
    pub fn hop(&self, name: &str) -> Value {
        let summary = self.summary();
        let hops = summary["hops"].as_array().cloned().unwrap_or_default();
        hops.into_iter()
            .find(|hop| hop["hop"] == name)
            .unwrap_or_else(|| panic!("no hop `{name}` in the summary\n{self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "ran {}, which ended with code {:?}", self.command, self.code)?;
        writeln!(f, "--- standard output\n{}", self.stdout)?;
        write!(f, "--- standard error\n{}", self.stderr)
    }
}
