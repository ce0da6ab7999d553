//! A module that tries to burn the machine down, in a pipeline with honest neighbours.

use std::path::Path;

use crate::harness::{Lake, module, sluice, text};

const PIPELINE: &str = r#"
[pipeline]
name = "hostile"

[sources.ids]
type = "files"
path = "data"
glob = "ids.csv"
format = "csv"

[sources.ids.columns]
id = "int64"
name = "string"
price = "float64"

[tables.gold.out]
mode = "overwrite"
[tables.gold.kept]
mode = "overwrite"
[tables.gold.honest]
mode = "overwrite"

[hops.land]
from = "ids"
to = "bronze.ids"

[hops.evil]
from = "bronze.ids"
module = "EVIL"
config = { deed = "DEED" }
lookups = { lookup = "bronze.ids" }
to = { out = "gold.out", kept = "gold.kept" }
limits = { memory = "64 MiB", time = "300ms", output_bytes = "4 MiB" }

[hops.honest]
from = "bronze.ids"
to = "gold.honest"
"#;

/// A deed, and what the one error about it must say.
const DEEDS: &[(&str, &[&str])] = &[
    ("spin", &["300ms", "limits.time"]),
    ("allocate", &["memory", "limits.memory"]),
    ("recurse", &["recursion"]),
    ("panic", &["I will not"]),
    ("connect", &["network"]),
];

#[test]
fn each_deed_is_one_clear_error_and_the_neighbours_carry_on() {
    for (deed, words) in DEEDS {
        let folder = Lake::new();
        let file = write(folder.path(), deed);
        let lake = folder.path().join("lake");
        let run = sluice::run(&["run", text(&file), "--lake", text(&lake), "--json"]).failed(1);
        assert_eq!(run.summary()["status"], "failed", "{deed}");
        assert_eq!(run.stderr.matches("error: ").count(), 1, "{deed} is told once:\n{}", run.stderr);
        for word in *words {
            assert!(run.stderr.contains(word), "{deed} does not say `{word}`:\n{}", run.stderr);
        }
        assert!(run.stderr.contains("hop `evil`"), "{deed} does not name its hop:\n{}", run.stderr);
        for (hop, rows) in [("land", 1_000), ("honest", 1_000)] {
            assert_eq!(run.hop(hop)["rows_out"], rows, "{deed} hurt {hop}");
        }
        assert_eq!(run.hop("evil")["rows_out"], 0, "{deed}");
        assert_eq!(run.hop("evil")["commits"], 0, "{deed}");
    }
}

#[test]
fn without_a_deed_it_is_a_module_like_any_other() {
    let folder = Lake::new();
    let file = write(folder.path(), "");
    let run = sluice::run(&["run", text(&file), "--lake", text(&folder.path().join("lake")), "--json"]).ok();
    assert_eq!(run.hop("evil")["rows_in"], 1_000);
    assert_eq!(run.hop("evil")["rows_out"], 2_000, "every row on both of its ports");
}

#[test]
fn a_module_with_state_may_stand_where_commits_come_in_between() {
    let folder = Lake::new();
    let file = write(folder.path(), "");
    let pipeline = std::fs::read_to_string(&file).expect("it was just written");
    let appended =
        pipeline.replace("[tables.gold.out]\nmode = \"overwrite\"\n[tables.gold.kept]\nmode = \"overwrite\"\n", "");
    assert_ne!(appended, pipeline, "the pipeline has other tables now");
    std::fs::write(&file, appended).expect("a temporary folder is writable");
    sluice::run(&["check", text(&file)]).ok();
}

fn write(folder: &Path, deed: &str) -> std::path::PathBuf {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).expect("a temporary folder is writable");
    let rows: String = (0..1_000).map(|id| format!("{id},name {id},1.5\n")).collect();
    std::fs::write(data.join("ids.csv"), format!("id,name,price\n{rows}")).expect("a temporary folder is writable");
    let file = folder.join("hostile.toml");
    let pipeline = PIPELINE.replace("EVIL", text(&module("evil"))).replace("DEED", deed);
    std::fs::write(&file, pipeline).expect("a temporary folder is writable");
    file
}
