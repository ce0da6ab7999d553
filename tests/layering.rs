//! The layers of ARCHITECTURE.md, held by a test: who may import whom, who alone may name a library,
//! how long a file may be, and what no file may contain.
//!
//! It reads text, not syntax trees: comments and literals are blanked, the rest is searched for paths.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::root;

/// The modules of the host, each with the modules it may import. A module may always import itself.
const MODULES: &[(&str, Imports)] = &[
    // L0: plain data.
    ("batch", Imports::Only(L0)),
    ("crash", Imports::Only(L0)),
    ("fault", Imports::Only(L0)),
    ("meter", Imports::Only(L0)),
    ("plan", Imports::Only(L0)),
    // L1: siblings, each the only one to know its foreign libraries. Only sources stand on others: they
    // decode with `format` and generate with `simulate`, which can also write what it generates.
    ("format", Imports::Only(L0)),
    ("lake", Imports::Only(L0)),
    ("simulate", Imports::Only(&["batch", "crash", "fault", "meter", "plan", "format"])),
    ("source", Imports::Only(&["batch", "crash", "fault", "meter", "plan", "format", "simulate"])),
    ("transform", Imports::Only(L0)),
    // L2: text to plan, plan to running pipeline.
    ("config", Imports::Only(L0)),
    (
        "pipeline",
        Imports::Only(&[
            "batch",
            "crash",
            "fault",
            "meter",
            "plan",
            "format",
            "lake",
            "simulate",
            "source",
            "transform",
        ]),
    ),
    // L3: what people touch.
    ("cli", Imports::Any),
    ("report", Imports::Any),
    ("main", Imports::Any),
    ("lib", Imports::Any),
];

const L0: &[&str] = &["batch", "crash", "fault", "meter", "plan"];

enum Imports {
    Any,
    Only(&'static [&'static str]),
}

/// Foreign crates that only some modules may name, with what that buys.
const CRATES: &[(&str, &[&str], &str)] = &[
    ("delta_kernel", &["lake"], "the Delta library can be exchanged behind `lake` alone"),
    ("deltalake", &["lake"], "the Delta library can be exchanged behind `lake` alone"),
    ("object_store", &["lake", "source", "format"], "only what reads or writes bytes knows where they lie"),
    ("reqwest", &["source"], "clients of the web are kept in one place"),
    ("rdkafka", &["source"], "unsafe calls and the client's many settings are kept in one place"),
    ("parquet", &["lake", "format"], "encodings are chosen in one place for writing and one for reading"),
    ("wasmtime", &["transform"], "guest code can run nowhere but in the sandbox"),
    ("arrow_ipc", &["transform"], "bytes from a guest are checked before anything else sees them"),
    ("flatbuffers", &["transform"], "bytes from a guest are checked before anything else sees them"),
    ("serde", &["config"], "wire types never leave the module that parses them"),
    ("toml", &["config"], "the pipeline file's grammar is known in one place"),
    ("arrow_csv", &["format"], "a decoder's quirks are handled in one place"),
    ("arrow_json", &["format"], "a decoder's quirks are handled in one place"),
    ("arrow_avro", &["format"], "a decoder's quirks are handled in one place"),
    ("encoding_rs", &["format"], "a decoder's quirks are handled in one place"),
    ("flate2", &["format"], "a decoder's quirks are handled in one place"),
    ("zstd", &["format", "lake"], "files are unpacked in one place, and pages of tables packed in another"),
    ("fake", &["simulate"], "invented data cannot come from anywhere else"),
    ("clap", &["cli", "main"], "the program can be driven without its command line"),
    ("indicatif", &["report"], "only what prints knows what it prints on"),
    ("tracing_subscriber", &["cli", "main", "report"], "a library does not decide where logs go"),
];

/// Who may write to standard output: what is there is an interface, JSON lines that others read.
const PRINTERS: &[&str] = &["cli", "report", "main"];

/// Past this many lines a file has a second noun.
const LONGEST_FILE: usize = 600;

/// Macros that stand for work not done.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];

#[test]
fn the_host_keeps_its_layers() {
    let source = root().join("host/src");
    let problems: Vec<String> = rust_files(&source)
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).expect("sources are UTF-8");
            let module = module_of(file.strip_prefix(&source).expect("because it was found below it"));
            check_layers(&shown(file), &module, &text)
        })
        .collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_file_is_tidy() {
    let problems: Vec<String> = ["host/src", "tests", "bench/src", "guest-transforms"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .flat_map(|file| check_tidy(&shown(&file), &fs::read_to_string(&file).expect("sources are UTF-8")))
        .collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Breaches of the layering in one file of `module`.
fn check_layers(file: &str, module: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let Some((_, imports)) = MODULES.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{file}:1: `{module}` has no layer: give it one in tests/layering.rs")];
    };
    let code = blank(text);
    for (line, imported) in crate_paths(&code) {
        let known = MODULES.iter().any(|(name, _)| *name == imported);
        let allowed = match imports {
            Imports::Any => true,
            Imports::Only(modules) => modules.contains(&imported.as_str()) || imported == module,
        };
        // A path such as `crate::Name` may be a macro or an item of lib.rs; only modules have layers.
        if known && !allowed {
            problems.push(format!(
                "{file}:{line}: `{module}` imports `crate::{imported}`: a layer uses the layers above it in lib.rs, \
                 never below and never beside, so that each can be read, tested and exchanged by itself"
            ));
        }
    }
    if !PRINTERS.contains(&module) {
        for line in lines_with_macro(&code, "println!").chain(lines_with_macro(&code, "print!")) {
            problems.push(format!("{file}:{line}: `{module}` prints, only {PRINTERS:?} may: others read that output"));
        }
    }
    for (name, owners, why) in CRATES {
        if owners.contains(&module) {
            continue;
        }
        for line in lines_naming(&code, name) {
            problems.push(format!("{file}:{line}: `{module}` names `{name}`, only {owners:?} may: {why}"));
        }
    }
    problems
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

/// Every `crate::<name>` of the text with its line, `use crate::{a, b::c}` taken apart.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| is_word(before) || before == '$') {
            continue;
        }
        let line = line_of(code, at);
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => paths.push((line, leading_word(rest))),
            Some(group) => paths.extend(group_heads(group).into_iter().map(|name| (line, name))),
        }
    }
    paths
}

/// The first words of the entries of a `use` group whose opening brace is already read.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut entry = String::new();
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(leading_word(entry.trim_start())),
            _ => {}
        }
        if character == ',' && depth == 0 {
            entry.clear();
        } else {
            entry.push(character);
        }
    }
    heads.push(leading_word(entry.trim_start()));
    heads.retain(|head| !head.is_empty());
    heads
}

/// The lines that name the foreign crate: `name::…` or `use name`, but not `other::name::…`.
fn lines_naming(code: &str, name: &str) -> Vec<usize> {
    code.match_indices(name)
        .filter(|(at, _)| {
            let before = code[..*at].trim_end_matches(' ');
            let after = &code[at + name.len()..];
            let whole = !code[..*at].ends_with(is_word) && !after.starts_with(is_word);
            let path = after.starts_with("::") && !before.ends_with("::") && !before.ends_with('.');
            let used = before.ends_with("use") && (after.starts_with(';') || after.starts_with(" as "));
            whole && (path || used)
        })
        .map(|(at, _)| line_of(code, at))
        .collect()
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

fn leading_word(text: &str) -> String {
    text.chars().take_while(|character| is_word(*character)).collect()
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The module that a file below `host/src` belongs to: its first folder, or its own name.
fn module_of(relative: &Path) -> String {
    let first = relative.components().next().map(|first| first.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
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
fn siblings_and_lower_layers_are_refused() {
    let cases = [
        ("lake", "use crate::plan::TableSpec;", 0),
        ("lake", "use crate::transform::Job;", 1),
        ("source", "use crate::format::Decoder;", 0),
        ("format", "use crate::{batch::Batch, source::{A, B}, lake};", 2),
        ("plan", "fn f() -> crate::lake::Table {}", 1),
        ("config", "use crate::pipeline::run;", 1),
        ("pipeline", "use crate::{lake, transform};\nuse crate::cli;", 1),
        ("cli", "use crate::{config, pipeline};", 0),
        ("nonsense", "", 1),
    ];
    for (module, text, expected) in cases {
        let problems = check_layers("x.rs", module, text);
        assert_eq!(problems.len(), expected, "{module}: {text}: {problems:?}");
    }
    assert!(check_layers("x.rs", "pipeline", "\n\nuse crate::cli;")[0].starts_with("x.rs:3: "));
}

#[test]
fn a_foreign_crate_is_seen_where_it_is_named_and_nowhere_else() {
    let cases = [
        ("lake", "use wasmtime::Engine;", 1),
        ("lake", "use wasmtime as w;", 1),
        ("lake", "fn f(e: wasmtime::Engine) {}", 1),
        ("transform", "use wasmtime::Engine;", 0),
        ("lake", "// wasmtime::Engine\nlet s = \"wasmtime::Engine\"; /* wasmtime::x */", 0),
        ("lake", "let s = r#\"a \" wasmtime::x\"#; let c = '\"'; let t: &'static str = \"toml::x\";", 0),
        ("lake", "use crate::lake::parquet::Writer; use deltalake::parquet::x;", 0),
        ("config", "use serde::Deserialize; use serde_json::Value;", 0),
        ("pipeline", "use serde_json::Value;", 0),
        ("pipeline", "println!(); eprintln!(); print!();", 2),
        ("cli", "println!()", 0),
    ];
    for (module, text, expected) in cases {
        let problems = check_layers("x.rs", module, text);
        assert_eq!(problems.len(), expected, "{module}: {text}: {problems:?}");
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
