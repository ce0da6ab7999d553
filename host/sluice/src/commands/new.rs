//! `sluice new`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::Exit;
use crate::report;

/// The template of the project, with `{{name}}` and `{{crate_name}}` to fill in.
static TEMPLATE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest-transforms/template");

/// The SDK is copied into the project, so that it compiles anywhere.
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest-transforms/sdk");

/// Names that a crate cannot have, or that conflict with the SDK.
const KEYWORDS: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "sluicebox_sdk",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

#[derive(clap::Args)]
#[command(after_help = "Examples:
  sluice new clean_orders
  cd clean_orders
  cargo test                                              native unit tests
  cargo build --release --target wasm32-wasip2            the module
  sluice test target/wasm32-wasip2/release/clean_orders.wasm")]
pub struct Args {
    /// The project's folder; its last part becomes the module's name.
    path: PathBuf,
}

/// Makes a transform project.
pub fn run(args: &Args) -> Exit {
    let name = args.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let valid = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_' || each == '-');
    if !valid {
        report::message(
            &format!("`{name}` cannot be the name of a module"),
            Some("use lower-case letters, digits, `_` and `-`, beginning with a letter"),
        );
        return Exit::Usage;
    }
    if KEYWORDS.contains(&name.replace('-', "_").as_str()) {
        report::message(
            &format!("`{name}` cannot be the name of a module: Rust, or a crate that a module is built with, has it"),
            Some(&format!("choose another one, such as `{name}_rows`")),
        );
        return Exit::Usage;
    }
    if args.path.exists() {
        report::message(
            &format!("{} exists already", args.path.display()),
            Some("choose another name, or remove it first"),
        );
        return Exit::Usage;
    }
    let result = write(&TEMPLATE, &args.path, &name).and_then(|()| write(&SDK, &args.path.join("sdk"), &name));
    match result {
        Ok(()) => {
            report::line(format_args!("Made {}. Next:", args.path.display()));
            report::line(format_args!("  cd {}", args.path.display()));
            report::line(format_args!("  cargo test"));
            report::line(format_args!("  cargo build --release --target wasm32-wasip2"));
            report::line(format_args!("  sluice test target/wasm32-wasip2/release/{}.wasm", name.replace('-', "_")));
            Exit::Done
        }
        Err(error) => {
            report::message(&format!("{} could not be written: {error}", args.path.display()), None);
            Exit::Failed
        }
    }
}

fn write(from: &Dir<'_>, to: &Path, name: &str) -> io::Result<()> {
    for folder in from.dirs() {
        let below = folder.path().file_name().unwrap_or_default();
        if below != "target" {
            write(folder, &to.join(below), name)?;
        }
    }
    fs::create_dir_all(to)?;
    for file in from.files() {
        let file_name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A manifest in the template would make it a package of this workspace.
        let path = to.join(file_name.strip_suffix(".template").unwrap_or(&file_name));
        match file.contents_utf8() {
            Some(text) => {
                let text = text.replace("{{name}}", name).replace("{{crate_name}}", &name.replace('-', "_"));
                fs::write(path, text)?;
            }
            None => fs::write(path, file.contents())?,
        }
    }
    Ok(())
}
