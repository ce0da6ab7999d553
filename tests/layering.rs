//! The layers of ARCHITECTURE.md, held by a test: which crate may stand on which, who alone may depend on a
//! library, how long a file may be, and what no file may contain.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::root;

/// The crates of the host in layers, each with those of ours that it may stand on. Cargo refuses what a
/// manifest does not name; this table holds the manifests.
const LAYERS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("formats", &["core"]),
    ("parquet-writer", &[]),
    ("stores", &["core"]),
    ("sandbox", &["core"]),
    ("simulate", &["core", "formats"]),
    ("delta", &["core", "parquet-writer", "stores"]),
    ("lake", &["core", "delta", "stores"]),
    ("sources", &["core", "formats", "simulate"]),
    ("config", &["core"]),
    ("pipeline", &["core", "formats", "delta", "lake", "stores", "sandbox", "sources"]),
    ("service", &["core", "formats", "delta", "lake", "sandbox", "config", "pipeline"]),
    ("sluice", ANY),
];

/// Every crate of the host: for the program, which ties them together.
const ANY: &[&str] = &[
    "core",
    "formats",
    "parquet-writer",
    "stores",
    "sandbox",
    "simulate",
    "delta",
    "lake",
    "sources",
    "config",
    "pipeline",
    "service",
];

/// Foreign crates that only some crates may depend on, with what that buys.
const FOREIGN: &[(&str, &[&str], &str)] = &[
    ("delta_kernel", &["delta"], "the Delta library can be exchanged behind `delta` alone"),
    ("deltalake", &["delta"], "the Delta library can be exchanged behind `delta` alone"),
    (
        "object_store",
        &["stores", "delta", "lake", "sources", "formats"],
        "only what reads or writes bytes knows where they lie",
    ),
    ("reqwest", &["sources"], "HTTP clients are kept in one place"),
    ("rdkafka", &["sources"], "unsafe calls and the client's many settings are kept in one place"),
    (
        "parquet",
        &["parquet-writer", "delta", "formats"],
        "encodings are chosen in one place for writing and one for reading",
    ),
    ("wasmtime", &["sandbox"], "guest code can run nowhere but in the sandbox"),
    ("arrow-ipc", &["sandbox"], "bytes from a guest are checked before anything else sees them"),
    ("flatbuffers", &["sandbox"], "bytes from a guest are checked before anything else sees them"),
    ("toml", &["config"], "the pipeline file's grammar is known in one place"),
    ("arrow-csv", &["formats"], "a decoder's quirks are handled in one place"),
    ("arrow-json", &["formats"], "a decoder's quirks are handled in one place"),
    ("arrow-avro", &["formats"], "a decoder's quirks are handled in one place"),
    ("encoding_rs", &["formats"], "a decoder's quirks are handled in one place"),
    ("flate2", &["formats"], "a decoder's quirks are handled in one place"),
    ("fake", &["simulate"], "invented data cannot come from anywhere else"),
    ("clap", &["sluice"], "the program can be driven without its command line"),
    ("indicatif", &["sluice"], "only what prints knows what it prints on"),
    ("tracing-subscriber", &["sluice"], "a library does not decide where logs go"),
];

/// Who may write to standard output: what is there is an interface, JSON lines that others read.
const PRINTERS: &[&str] = &["sluice"];

/// Past this many lines a file has a second noun.
const LONGEST_FILE: usize = 600;

/// Macros that stand for work not done.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];

#[test]
fn the_host_keeps_its_layers() {
    let host = root().join("host");
    let mut problems = Vec::new();
    for folder in folders(&host) {
        let file = host.join(&folder).join("Cargo.toml");
        let manifest = fs::read_to_string(&file).expect("every folder of the host is a crate");
        problems.extend(check_manifest(&shown(&file), &folder, &manifest));
        for file in rust_files(&host.join(&folder).join("src")) {
            let text = fs::read_to_string(&file).expect("sources are UTF-8");
            problems.extend(check_printing(&shown(&file), &folder, &text));
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_file_is_tidy() {
    let problems: Vec<String> = ["host", "tests", "bench/src", "guest-transforms"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .flat_map(|file| check_tidy(&shown(&file), &fs::read_to_string(&file).expect("sources are UTF-8")))
        .collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Breaches of the layers in the manifest of one crate. Dependencies of its tests are its own affair.
fn check_manifest(file: &str, name: &str, manifest: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let Some((_, allowed)) = LAYERS.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{file}:1: `{name}` has no layer: give it one in tests/layering.rs")];
    };
    for (line, dependency) in dependencies(manifest) {
        if let Some(ours) = dependency.strip_prefix("sluicebox-")
            && !allowed.contains(&ours)
        {
            problems.push(format!(
                "{file}:{line}: `{name}` stands on `{ours}`: a crate uses those above it, never those below it and \
                 never those beside it, so that each can be read, tested and exchanged by itself"
            ));
        }
        if let Some((_, owners, why)) = FOREIGN.iter().find(|(foreign, ..)| *foreign == dependency)
            && !owners.contains(&name)
        {
            problems.push(format!("{file}:{line}: `{name}` depends on `{dependency}`, only {owners:?} may: {why}"));
        }
    }
    problems
}

/// Lines that print in a file of a crate that may not.
fn check_printing(file: &str, name: &str, text: &str) -> Vec<String> {
    if PRINTERS.contains(&name) {
        return Vec::new();
    }
    let code = blank(text);
    let lines = lines_with_macro(&code, "println!").chain(lines_with_macro(&code, "print!"));
    lines
        .map(|line| format!("{file}:{line}: `{name}` prints, only {PRINTERS:?} may: others read that output"))
        .collect()
}

/// The dependencies of a manifest with their lines; those of tests are left out.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut section = "";
    for (number, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]"
            && let Some(end) = line.find([' ', '.', '='])
        {
            found.push((number + 1, line[..end].to_owned()));
        }
    }
    found
}

/// The names of the folders in a folder, in order.
fn folders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder of sources can be listed");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a folder of sources can be listed").path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Breaches of the rules for any file.
fn check_tidy(file: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let length = text.lines().count();
    if length > LONGEST_FILE {
        problems.push(format!(
            "{file}:{LONGEST_FILE}: {length} lines: a file has one noun, and past {LONGEST_FILE} lines it has two"
        ));
    }
    let code = blank(text);
    for unfinished in UNFINISHED {
        for line in lines_with_macro(&code, unfinished) {
            problems.push(format!("{file}:{line}: `{unfinished}` stands for work that is not done"));
        }
    }
    for (number, (line, original)) in code.lines().zip(text.lines()).enumerate() {
        let number = number + 1;
        if line.contains("#[ignore") {
            problems.push(format!("{file}:{number}: an ignored test is a promise nobody checks"));
        }
        if line.contains("#[allow(") || line.contains("#![allow(") {
            // The attribute may be wrapped over lines.
            let rest: String = code.lines().skip(number - 1).take(6).collect::<Vec<_>>().join(" ");
            let attribute = rest.split(']').next().unwrap_or_default();
            if !attribute.contains("reason") {
                problems.push(format!("{file}:{number}: `{}` has no `reason = \"…\"`", original.trim()));
            }
        }
    }
    problems
}

/// The lines that call the macro, named with its exclamation mark.
fn lines_with_macro<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let calls = code.match_indices(name).filter(|(at, _)| !code[..*at].ends_with(is_word));
    calls.map(|(at, _)| line_of(code, at))
}

/// The text with comments and the insides of literals as blanks; lines keep their numbers.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest).filter(|_| !code.ends_with(is_word)) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.extend(rest[..skipped].chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        rest = &rest[skipped..];
    }
    code
}

/// The length of the raw string that the text begins with.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    Some(body.find(&close).map_or(text.len(), |end| start + end + close.len()))
}

/// The length of the quoted literal that the text begins with, escapes heeded.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            return at + character.len_utf8();
        }
    }
    text.len()
}

/// Whether the quote that the text begins with opens a character, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut next = text.chars().skip(1);
    next.next() == Some('\\') || next.next() == Some('\'')
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

/// Every Rust file below the folder, build output and templates left out, in order.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return files };
    for entry in entries {
        let path = entry.expect("a folder of sources can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "dist", "template"].contains(&name.as_str()) && !name.starts_with('.') {
            files.extend(rust_files(&path));
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn crates_beside_and_below_are_refused() {
    let cases = [
        ("lake", "[dependencies]\nsluicebox-core.workspace = true", 0),
        ("lake", "[dependencies]\nsluicebox-sandbox.workspace = true", 1),
        ("lake", "[dev-dependencies]\nsluicebox-sandbox.workspace = true", 0),
        ("config", "[dependencies]\nsluicebox-pipeline = { path = \"../pipeline\" }", 1),
        ("lake", "[dependencies]\nwasmtime.workspace = true", 1),
        ("sandbox", "[dependencies]\nwasmtime.workspace = true", 0),
        ("sluice", "[dependencies]\nsluicebox-config.workspace = true\nclap.workspace = true", 0),
        ("nonsense", "", 1),
    ];
    for (name, manifest, expected) in cases {
        let problems = check_manifest("Cargo.toml", name, manifest);
        assert_eq!(problems.len(), expected, "{name}: {manifest}: {problems:?}");
    }
    let problems = check_manifest("Cargo.toml", "lake", "\n[dependencies]\nclap.workspace = true");
    assert!(problems[0].starts_with("Cargo.toml:3: "), "{problems:?}");
}

#[test]
fn printing_is_seen_where_it_is_code() {
    for (name, text, expected) in [
        ("pipeline", "println!(); eprintln!(); print!();", 2),
        ("pipeline", "// println!()\nlet s = \"println!\"; /* print! */", 0),
        ("pipeline", "let s = r#\"a \" println!\"#; let c = '\"'; let t: &'static str = \"print!()\";", 0),
        ("sluice", "println!()", 0),
    ] {
        assert_eq!(check_printing("x.rs", name, text).len(), expected, "{name}: {text}");
    }
}

#[test]
fn unfinished_work_is_refused() {
    let cases = [
        ("todo!()", 1),
        ("my_todo!()", 0),
        ("// todo!()", 0),
        ("#[allow(dead_code)]", 1),
        ("#[allow(dead_code, reason = \"shared\")]", 0),
        ("#![allow(\n    dead_code,\n    reason = \"shared\"\n)]", 0),
        ("#[ignore]", 1),
    ];
    for (text, expected) in cases {
        let problems = check_tidy("x.rs", text);
        assert_eq!(problems.len(), expected, "{text}: {problems:?}");
    }
    assert_eq!(check_tidy("x.rs", &"\n".repeat(LONGEST_FILE + 1)).len(), 1);
}
