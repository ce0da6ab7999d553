//! Modules and pipelines lie beside the tables that they made, unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use sluicebox_config as config;
use sluicebox_lake::{Lake, LakeError};

use crate::harness::{self, module, root, sluice, text};

const PIPELINE: &str = r#"
[pipeline]
name = "kept"
lake = "elsewhere"

[vars.bad]
description = "The share of bad rows."

[sources.orders]
type = "simulate"
dataset = "orders"
rows = 500
seed = 1
bad = 0.1

[tables.silver.orders]
mode = "upsert"
key = ["order_id", "product_id"]
description = "Orders, a share of ${bad} bad; \"quoted\", with a \\ and a $${literal}."

[hops.land]
from = "orders"
to = "bronze.orders"

[hops.clean]
from = "bronze.orders"
module = "MODULE"
to = "silver.orders"
"#;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[tokio::test]
async fn a_run_keeps_its_modules_and_its_pipeline_once() {
    let folder = harness::Lake::new();
    let (file, lake) = (folder.path().join("kept.toml"), folder.path().join("lake"));
    let component = module("retail_clean_orders");
    fs::write(&file, PIPELINE.replace("MODULE", text(&component))).expect("a temporary folder is writable");
    let arguments = ["run", text(&file), "--lake", text(&lake), "--var", "bad=10 %", "--json"];
    let run = sluice::run(&arguments).ok();
    let digest = run.hop("clean")["digest"].as_str().expect("the hop has a module").to_owned();

    let modules = files(&lake.join("_modules"));
    assert_eq!(modules, [lake.join(format!("_modules/{digest}.wasm"))]);
    assert_eq!(fs::read(&modules[0]).expect("readable"), fs::read(&component).expect("readable"));

    let vars = BTreeMap::from([("bad".to_owned(), "10 %".to_owned())]);
    let plan = config::load(&file, &vars).expect("a valid file").plan;
    let pipelines = files(&lake.join("_pipelines"));
    assert_eq!(pipelines, [lake.join(format!("_pipelines/{}.toml", plan.config_hash))]);
    let kept = fs::read_to_string(&pipelines[0]).expect("readable");
    assert!(kept.contains("a share of 10 % bad") && !kept.contains("elsewhere"), "{kept}");

    // Running again changes neither; a link to the old file would show a new one put over it.
    let before: Vec<_> = modules.iter().chain(&pipelines).map(|path| modified(path)).collect();
    sluice::run(&arguments).ok();
    assert_eq!(before, modules.iter().chain(&pipelines).map(|path| modified(path)).collect::<Vec<_>>());
    assert_eq!((files(&lake.join("_modules")).len(), files(&lake.join("_pipelines")).len()), (1, 1));

    let opened = Lake::open(text(&lake)).expect("a lake");
    assert_eq!(hex(&opened.module(&digest).await.expect("the module is kept")), digest);
    assert_eq!(opened.pipeline(&plan.config_hash).await.expect("the pipeline is kept"), kept);
    let tables: Vec<String> = opened.tables().await.expect("tables").into_iter().map(|(layer, _)| layer).collect();
    assert_eq!(tables, ["bronze", "quarantine", "silver"], "what is kept is no table");
}

#[tokio::test]
async fn what_is_not_what_its_name_says_is_refused() {
    let folder = harness::Lake::new();
    let lake = Lake::open(text(folder.path())).expect("a lake");
    let digest = hex(b"a component");
    lake.keep_module(&digest, b"a component").await.expect("kept");
    lake.keep_module(&digest, b"a component").await.expect("there already");
    assert_eq!(lake.module(&digest).await.expect("kept"), b"a component");
    fs::write(folder.path().join(format!("_modules/{digest}.wasm")), b"another").expect("writable");
    let error = lake.module(&digest).await.expect_err("it was changed");
    assert!(matches!(&error, LakeError::NotItself { found, .. } if *found == hex(b"another")), "{error}");
    let error = lake.module("0").await.expect_err("it was never kept");
    assert!(matches!(error, LakeError::NotKept { .. }), "{error}");
}

#[test]
fn what_is_kept_of_a_pipeline_says_all_that_its_hash_covers() {
    let cases = files(&root().join("tests/config/cases")).into_iter().chain(files(&root().join("pipelines")));
    let mut compared = 0;
    for file in cases.filter(|path| path.extension().is_some_and(|ending| ending == "toml")) {
        let written = fs::read(&file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).expect("readable");
        let vars: BTreeMap<String, String> = written
            .lines()
            .filter_map(|line| line.strip_prefix("# --var "))
            .filter_map(|var| var.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(written.contains("[vars.data]").then(|| ("data".to_owned(), "data".to_owned())))
            .collect();
        let Ok(loaded) = config::load(&file, &vars) else { continue };
        let kept = loaded.plan.text.clone();
        let again = config::reload("kept", kept.clone())
            .unwrap_or_else(|problems| panic!("{}:\n{kept}\n{}", file.display(), problems.render(false)));
        assert_eq!(again.plan.config_hash, loaded.plan.config_hash, "{}:\n{kept}", file.display());
        assert_eq!(format!("{:?}", again.plan.tables), format!("{:?}", loaded.plan.tables), "{}", file.display());
        assert_eq!(again.plan.text, kept, "{}", file.display());
        compared += 1;
    }
    assert!(compared >= 6, "only {compared} pipelines were compared");
}

fn modified(path: &Path) -> std::time::SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).expect("the file is there")
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
