//! `docs/pipeline-file.md`: its examples load, and its tables of keys are made from the keys.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sluicebox_config as config;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pipeline-file.md")
}

fn text() -> String {
    fs::read_to_string(file()).expect("the document is part of the repository")
}

/// The examples: every fenced block marked `toml`.
fn examples(document: &str) -> Vec<String> {
    let blocks = document.split("```toml\n").skip(1);
    blocks.filter_map(|block| block.split_once("\n```")).map(|(example, _)| format!("{example}\n")).collect()
}

#[test]
fn every_example_of_the_document_loads_without_a_warning() {
    let examples = examples(&text());
    assert!(!examples.is_empty(), "the document has no examples");
    let folder = tempfile::tempdir().expect("a folder for the test");
    fs::create_dir(folder.path().join("modules")).expect("the folder can be made");
    for module in ["clean_users", "clean_orders", "totals", "split_orders"] {
        fs::write(folder.path().join(format!("modules/{module}.wasm")), "").expect("a module can be put there");
    }
    let vars: BTreeMap<String, String> = BTreeMap::from([("country".to_owned(), "FR".to_owned())]);
    for example in examples {
        let file = folder.path().join("example.toml");
        fs::write(&file, &example).expect("the example can be written");
        let vars = if example.contains("[vars.country]") { vars.clone() } else { BTreeMap::new() };
        match config::load(&file, &vars) {
            Ok(loaded) => {
                let warnings: String = loaded.warnings.iter().map(|warning| warning.render(false)).collect();
                assert!(warnings.is_empty(), "{warnings}\n{example}");
            }
            Err(problems) => panic!("{}\n{example}", problems.render(false)),
        }
    }
}

#[test]
fn its_tables_of_keys_are_those_that_the_keys_make() {
    let page = text();
    let filled = config::fill_reference(&page).unwrap_or_else(|error| panic!("{error}"));
    if std::env::var_os("SLUICE_BLESS").is_some() {
        fs::write(file(), &filled).expect("the document can be written");
    }
    let differing =
        text().lines().zip(filled.lines()).find(|(found, made)| found != made).map(|(_, made)| made.to_owned());
    assert!(
        text() == filled,
        "docs/pipeline-file.md is out of date; set SLUICE_BLESS=1 to write its tables anew. The first line that differs \
         should be {differing:?}"
    );
}

#[test]
fn a_mark_that_names_no_keys_or_does_not_end_is_refused() {
    let page = text();
    let error = |page: &str| config::fill_reference(page).expect_err("the page is wrong").to_string();
    assert!(error(&page.replace("<!-- keys: flush -->", "<!-- keys: flash -->")).contains("`flash`"));
    assert!(
        error(&page.replace("<!-- keys: flush -->", "")).contains("no table of the page is about the keys `flush`")
    );
    assert!(error("<!-- keys: flush -->\n| key |").contains("does not end"));
}
