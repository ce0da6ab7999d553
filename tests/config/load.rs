//! What loading a file gives besides the plan, and what no file may do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use sluicebox_config::{self as config, Level, Loaded, Problems};
use sluicebox_core::fault::{Fault, Place};

const FILE: &str = r#"
[pipeline]
name = "shop"
lake = "lake"

[vars.data]
type = "path"
default = "data"

[sources.orders]
type = "files"
path = "${data}/orders"
format = "csv"
columns = { id = "int64", at = "timestamp" }

[hops.land]
from = "orders"
to = "bronze.orders"
"#;

fn load(text: &str, vars: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    load_in(folder.path(), text, vars)
}

fn load_in(folder: &Path, text: &str, vars: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let file = folder.join("shop.toml");
    fs::write(&file, text).expect("the file can be written");
    let vars: BTreeMap<String, String> = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    config::load(&file, &vars)
}

fn hash(text: &str, vars: &[(&str, &str)]) -> String {
    load(text, vars).expect("the file is sound").plan.config_hash
}

fn path_of_orders(loaded: &Loaded) -> String {
    match &loaded.plan.sources[0].kind {
        sluicebox_core::plan::SourceKind::Files(files) => files.path.clone(),
        other => panic!("not files: {other:?}"),
    }
}

#[test]
fn the_hash_is_of_what_the_file_says_and_not_of_how() {
    let vars = [("data", "/drop")];
    let plain = hash(FILE, &vars);
    assert_eq!(
        plain, "a6d0719a5e152325a44e21cc0a6cfa4ee7650bb6ba3044df4971f7dd09fd89a3",
        "old commits name hashes of this form"
    );

    assert_eq!(plain, hash(&format!("# A comment.\n{FILE}\n\n"), &vars));
    assert_eq!(plain, hash(&FILE.replace("lake = \"lake\"", "lake = \"elsewhere\""), &vars));
    assert_eq!(
        plain,
        hash(
            &FILE.replace("from = \"orders\"\nto = \"bronze.orders\"", "to = 'bronze.orders'\nfrom = 'orders'"),
            &vars
        )
    );
    assert_eq!(
        plain,
        hash(&FILE.replace("${data}", "/drop").replace("[vars.data]\ntype = \"path\"\ndefault = \"data\"\n", ""), &[])
    );

    assert_ne!(plain, hash(FILE, &[("data", "/other")]));
    assert_ne!(plain, hash(&FILE.replace("bronze.orders", "bronze.order"), &vars));
}

#[test]
fn the_order_of_columns_is_part_of_the_hash() {
    let turned = FILE.replace("id = \"int64\", at = \"timestamp\"", "at = \"timestamp\", id = \"int64\"");
    assert_ne!(hash(FILE, &[]), hash(&turned, &[]));
}

#[test]
fn paths_are_relative_to_where_they_were_written() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let at = |path: &str| folder.path().join(path).display().to_string();

    let loaded = load_in(folder.path(), FILE, &[]).expect("the file is sound");
    assert_eq!(path_of_orders(&loaded), at("data/orders"));
    assert_eq!(loaded.lake, Some(at("lake")));

    let given = load_in(folder.path(), FILE, &[("data", "drop")]).expect("the file is sound");
    let here = std::env::current_dir().expect("there is a working directory");
    assert_eq!(path_of_orders(&given), here.join("drop/orders").display().to_string());

    let url = load_in(folder.path(), FILE, &[("data", "s3://bucket")]).expect("the file is sound");
    assert_eq!(path_of_orders(&url), "s3://bucket/orders");
}

#[test]
fn later_problems_can_point_into_the_file() {
    let loaded = load(FILE, &[]).expect("the file is sound");
    let place = |key: &str| loaded.places.get(key).map(|Place { line, column, .. }| (line, column));
    assert_eq!(place("hops.land.to"), Some((18, 6)));
    assert_eq!(place("hops.land"), Some((16, 7)));
    assert_eq!(place("sources.orders.columns.at"), Some((14, 32)));
    assert_eq!(place("hops.land.limits.time"), place("hops.land"), "what is left out is looked for further up");
    assert_eq!(place("nowhere"), None);

    let problem = loaded.places.problem("hops.land.to", "table `bronze.orders` has no column `price`", None);
    assert_eq!(problem.level, Level::Error);
    assert!(
        problem.render(false).contains("18 | to = \"bronze.orders\"\n   |      ^^^^^^^^^^^^^^^"),
        "{}",
        problem.render(false)
    );
}

#[derive(Debug, thiserror::Error)]
#[error("the module does not fit `bronze.orders`")]
struct Misfit(#[source] std::num::ParseIntError);

impl Fault for Misfit {
    fn hint(&self) -> Option<String> {
        Some("build it anew".into())
    }
}

#[test]
fn a_later_error_is_drawn_with_its_causes_and_hint() {
    let loaded = load(FILE, &[]).expect("the file is sound");
    let error = Misfit("x".parse::<u8>().expect_err("it is no number"));
    let rendered = loaded.places.fault("hops.land.to", &error).render(false);
    let expected = "\
   |
18 | to = \"bronze.orders\"
   |      ^^^^^^^^^^^^^^^
   |
   = caused by: invalid digit found in string
   = hint: build it anew
";
    assert!(rendered.starts_with("error: the module does not fit `bronze.orders`\n  --> "), "{rendered}");
    assert!(rendered.ends_with(expected), "{rendered}");
    assert!(
        loaded
            .places
            .fault("nowhere", &error)
            .render(false)
            .ends_with("\n  caused by: invalid digit found in string\n  hint: build it anew\n")
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_like_any_other() {
    let problems = config::load(Path::new("/nowhere/shop.toml"), &BTreeMap::new()).expect_err("there is no such file");
    let rendered = problems.render(false);
    assert!(rendered.starts_with("error: cannot read the pipeline file `/nowhere/shop.toml`: "), "{rendered}");
    assert!(rendered.contains("\n  hint: check the path of the pipeline file\n"), "{rendered}");

    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("latin.toml");
    fs::write(&file, b"[pipeline]\nname = \"caf\xe9\"\n").expect("the file can be written");
    let problems = config::load(&file, &BTreeMap::new()).expect_err("it is not UTF-8");
    let place = problems.iter().next().and_then(|problem| problem.place.clone()).expect("it has a place");
    assert_eq!((place.line, place.column), (2, 12));
}

#[test]
fn warnings_do_not_keep_a_pipeline_from_running() {
    let text = format!("{FILE}\n[tables.gold.idle]\nmode = \"overwrite\"\n");
    let loaded = load(&text, &[]).expect("the file is sound");
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].level, Level::Warning);
    assert_eq!(loaded.plan.tables.len(), 1, "only tables that a hop touches are in the plan");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is cut out of a file or put into it, there is a plan or at least one error,
    /// every place is inside the file, and the report can be drawn.
    #[test]
    fn no_file_makes_the_reader_panic(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, mangled()), 1..4),
    ) {
        let mut text = include_str!("cases/ok-complete.toml").to_owned();
        for (at, length, insert) in cuts {
            let mut start = at.index(text.len());
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + length).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(start..end, &insert);
        }
        match load(&text, &[("country", "FR")]) {
            Ok(loaded) => prop_assert!(loaded.warnings.iter().all(|warning| !warning.render(true).is_empty())),
            Err(problems) => {
                prop_assert!(problems.iter().any(|problem| problem.level == Level::Error));
                let lines = text.matches('\n').count() + 1;
                prop_assert!(problems.iter().filter_map(|problem| problem.place.as_ref()).all(|place| place.line <= lines));
                prop_assert!(!problems.render(true).is_empty());
            }
        }
    }
}

/// Pieces that mean something to TOML or to pipelines, and pieces that do not.
fn mangled() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("\n".to_owned()),
        Just("[hops.a]\n".to_owned()),
        Just("\"".to_owned()),
        Just("${".to_owned()),
        Just("}".to_owned()),
        Just("=".to_owned()),
        Just("é\u{202e}".to_owned()),
        Just("\r\n\t".to_owned()),
        Just("-1e400".to_owned()),
        "[a-z_.\"={}\\[\\]0-9 ]{0,8}",
        any::<String>(),
    ]
}
