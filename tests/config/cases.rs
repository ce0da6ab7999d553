//! Golden files: `cases/<name>.toml` is read, and what comes of it is `cases/<name>.err`
//! (the whole report, without colour) or `cases/<name>.plan` (the plan and its warnings).
//!
//! A line `# --var name=value` sets a variable. `SLUICE_BLESS=1` writes the golden files anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sluicebox_config::{self as config, Loaded};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/config/cases")
}

/// What a person would see, without what differs from machine to machine.
fn outcome(file: &Path) -> (&'static str, String) {
    let text = fs::read_to_string(file).unwrap_or_default();
    let vars: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# --var "))
        .filter_map(|var| var.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let (ending, rendered) = match config::load(file, &vars) {
        Ok(loaded) => ("plan", describe(&loaded)),
        Err(problems) => ("err", problems.render(false)),
    };
    let absolute = std::path::absolute(folder()).expect("the tests' folder has a path");
    let rendered =
        rendered.replace(&format!("{}/", folder().display()), "").replace(&absolute.display().to_string(), "<cases>");
    (ending, rendered)
}

fn describe(loaded: &Loaded) -> String {
    let plan = &loaded.plan;
    let mut out = format!("pipeline {}\nlake {:?}\n", plan.name, loaded.lake);
    for source in &plan.sources {
        let _ = writeln!(out, "\n{source:#?}");
    }
    for table in &plan.tables {
        let _ = writeln!(out, "\n{table:#?}");
    }
    for hop in &plan.hops {
        let _ = writeln!(out, "\n{hop:#?}");
    }
    for warning in &loaded.warnings {
        let _ = write!(out, "\n{}", warning.render(false));
    }
    out
}

fn cases(ending: &str) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the folder of cases is part of the repository")
        .map(|entry| entry.expect("its entries can be read").path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_case_reads_as_its_golden_file_says() {
    let bless = std::env::var_os("SLUICE_BLESS").is_some();
    let mut differences = Vec::new();
    for file in cases("toml") {
        let (ending, rendered) = outcome(&file);
        let (golden, other) = (
            file.with_extension(ending),
            match ending {
                "err" => file.with_extension("plan"),
                _ => file.with_extension("err"),
            },
        );
        if bless {
            fs::write(&golden, &rendered).expect("a golden file can be written");
            let _ = fs::remove_file(&other);
        }
        match fs::read_to_string(&golden) {
            Ok(expected) if expected == rendered && !other.exists() => {}
            Ok(expected) => {
                differences.push(format!("{}:\n--- expected\n{expected}\n--- found\n{rendered}", golden.display()))
            }
            Err(_) => differences.push(format!("{} is missing; found\n{rendered}", golden.display())),
        }
    }
    assert!(differences.is_empty(), "set SLUICE_BLESS=1 to accept:\n{}", differences.join("\n\n"));
}

#[test]
fn no_golden_file_has_lost_its_case() {
    for golden in cases("err").into_iter().chain(cases("plan")) {
        assert!(golden.with_extension("toml").exists(), "{} has no pipeline file", golden.display());
    }
}
