//! `docs/pipeline-file.md`: its examples load, and it leaves out no key.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sluicebox_config::{self as config, keys};

fn text() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pipeline-file.md");
    fs::read_to_string(file).expect("the document is part of the repository")
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
fn the_document_names_every_key_and_its_default() {
    let document = text();
    let sections: [(&str, &keys::Section); 22] = [
        ("[pipeline]", &keys::PIPELINE),
        ("[vars.", &keys::VAR),
        ("type = \"files\"", &keys::FILES),
        ("csv", &keys::CSV),
        ("jsonl", &keys::JSONL),
        ("type = \"capture\"", &keys::CAPTURE),
        ("capture", &keys::CAPTURED),
        ("type = \"kafka\"", &keys::KAFKA),
        ("type = \"eventhubs\"", &keys::EVENT_HUBS),
        ("avro", &keys::AVRO),
        ("oauth", &keys::OAUTH),
        ("entra", &keys::ENTRA),
        ("type = \"simulate\"", &keys::SIMULATE),
        ("[tables.", &keys::TABLE),
        ("contract", &keys::CONTRACT),
        ("layout", &keys::LAYOUT),
        ("upkeep", &keys::UPKEEP),
        ("expect", &keys::EXPECT),
        ("[hops.", &keys::HOP),
        ("event_time", &keys::EVENT_TIME),
        ("limits", &keys::LIMITS),
        ("flush", &keys::FLUSH),
    ];
    for (name, section) in sections {
        assert!(document.contains(name), "{name} is not in the document");
        for key in section.keys {
            let row = document.lines().find(|line| {
                line.starts_with(&format!("| `{}` |", key.name))
                    && key.default.is_none_or(|default| line.contains(&format!("`{default}`")))
            });
            assert!(
                row.is_some(),
                "no table row of the document is about `{}` of {name} (default {:?})",
                key.name,
                key.default
            );
        }
    }
}
