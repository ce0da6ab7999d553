//! A process, measured from outside: what it took of the clock, the processors and the memory.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use wait4::Wait4 as _;

/// What a process took, with its descendants that it waited for.
#[derive(Clone, Debug)]
pub struct Run {
    /// From its start to its end, in seconds.
    pub wall: f64,
    /// User and system time, in seconds.
    pub cpu: f64,
    /// The most memory it held at a time, in bytes (of the largest process, where there were several).
    pub peak: u64,
    /// The last line it printed, when that is a JSON object.
    pub report: Option<Value>,
}

/// Runs the command to its end.
///
/// The kernel counts what this process held when it started the child as the child's memory, so the
/// caller must be small: nothing that is measured is ever done in the caller itself.
///
/// # Errors
/// When it cannot be started, or does not end with code 0: then with the end of what it printed.
pub fn run(command: &mut Command) -> io::Result<Run> {
    Running::start(command)?.wait(&[0])
}

/// A process that is being measured.
pub struct Running {
    child: Child,
    named: String,
    started: Instant,
    printed: File,
    complaints: File,
}

impl Running {
    /// Starts a process; see [`run`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        // Files take whatever is printed, however late it is read.
        let (printed, complaints) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(printed.try_clone()?)
            .stderr(complaints.try_clone()?)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("cannot start {command:?}: {error}")))?;
        Ok(Self { child, named: format!("{command:?}"), started, printed, complaints })
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Asks it to end, as a person at the keyboard would, and waits until it has.
    ///
    /// # Errors
    /// It cannot be asked, or does not end in order.
    pub fn interrupt(self) -> io::Result<Run> {
        Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status()?;
        self.wait(&[0, 130])
    }

    fn wait(mut self, good: &[i32]) -> io::Result<Run> {
        let used = self.child.wait4()?;
        let wall = self.started.elapsed().as_secs_f64();
        let printed = whole(&mut self.printed)?;
        if !used.status.code().is_some_and(|code| good.contains(&code)) {
            let text = whole(&mut self.complaints)?;
            let tail: Vec<&str> = printed.lines().chain(text.lines()).rev().take(30).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            let named = self.named;
            return Err(io::Error::other(format!("{named} ended with {}:\n{}", used.status, tail.join("\n"))));
        }
        let report = printed.lines().next_back().and_then(|line| serde_json::from_str(line).ok());
        Ok(Run {
            wall,
            cpu: (used.rusage.utime + used.rusage.stime).as_secs_f64(),
            peak: used.rusage.maxrss,
            report: report.filter(Value::is_object),
        })
    }
}

fn whole(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Bytes and number of the files below a folder whose names end with `ending`.
///
/// # Errors
/// When a folder cannot be listed.
pub fn files(folder: &Path, ending: &str) -> io::Result<(u64, u64)> {
    let (mut bytes, mut count) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let below = files(&entry.path(), ending)?;
            bytes += below.0;
            count += below.1;
        } else if entry.file_name().to_string_lossy().ends_with(ending) {
            bytes += entry.metadata()?.len();
            count += 1;
        }
    }
    Ok((bytes, count))
}

/// The first line a command prints, for the record of versions; `None` when it cannot be run.
pub fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().lines().next()?.to_owned();
    Some(text)
}

/// The machine: processor, cores, memory, kernel.
pub fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    serde_json::json!({
        "processor": field(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}
