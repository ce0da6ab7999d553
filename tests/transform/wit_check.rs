//! The contract does not change in silence: another text is another version, and a
//! version of the same line still takes the modules of the one before.

use std::fs;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use wit_parser::{Resolve, WorldId};

fn wit() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

/// The version that a contract says it has.
fn version(text: &str) -> &str {
    let package = text.lines().find_map(|line| line.strip_prefix("package sluicebox:transform@"));
    package.and_then(|rest| rest.strip_suffix(';')).expect("the contract names its package and version")
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The recorded versions, newest last.
fn versions(record: &str) -> Vec<(String, String)> {
    record
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_once(' ').expect("a line of wit/VERSIONS is a version and a digest"))
        .map(|(version, digest)| (version.to_owned(), digest.trim().to_owned()))
        .collect()
}

/// What is wrong with a contract under a record of versions.
fn check(text: &str, record: &[(String, String)]) -> Result<(), String> {
    let (version, digest) = (version(text), digest(text));
    match record.last() {
        Some((newest, recorded)) if newest == version && *recorded == digest => Ok(()),
        Some((newest, _)) if newest == version => Err(format!(
            "wit/transform.wit has changed and still says {version}: raise its version, keep the old text as \
             wit/released/{version}.wit, and add `<new version> <digest>` to wit/VERSIONS; if {version} was never \
             released, replace its digest there with {digest}"
        )),
        _ => Err(format!("wit/VERSIONS does not end with this version: add `{version} {digest}` to it")),
    }
}

/// Versions whose modules the later one must still take: the first number that is not
/// zero is the same.
fn same_line(a: &str, b: &str) -> bool {
    let line = |version: &str| {
        let numbers: Vec<u64> = version.split('.').filter_map(|number| number.parse().ok()).collect();
        let first = numbers.iter().position(|number| *number > 0).unwrap_or(numbers.len() - 1);
        numbers[..=first].to_vec()
    };
    line(a) == line(b)
}

/// Whether modules of the world in `old` still fit the world in `new`.
fn compatible(old: &str, new: &str) -> Result<(), String> {
    let mut resolve = Resolve::default();
    let mut world = |name: &str, text: &str| -> WorldId {
        // Two versions of one package, or else the parser would take them for one.
        let text = text.replacen(&format!("@{};", version(text)), &format!("@{}-{name};", version(text)), 1);
        let package = resolve.push_str(format!("{name}.wit"), &text).unwrap();
        resolve.select_world(&[package], Some("transformer")).unwrap()
    };
    let (old, new) = (world("old", old), world("new", new));
    wit_component::semver_check(resolve, old, new).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_changed_contract_has_a_new_version() {
    let text = fs::read_to_string(wit().join("transform.wit")).unwrap();
    let record = versions(&fs::read_to_string(wit().join("VERSIONS")).unwrap());
    if let Err(problem) = check(&text, &record) {
        panic!("{problem}");
    }
    for pair in record.windows(2) {
        let (old, digest_of_old) = &pair[0];
        let kept = fs::read_to_string(wit().join(format!("released/{old}.wit"))).unwrap_or_else(|error| {
            panic!("wit/released/{old}.wit is recorded in wit/VERSIONS and cannot be read: {error}")
        });
        assert_eq!(digest(&kept), *digest_of_old, "wit/released/{old}.wit is not the text that was released");
        let newest = &record[record.len() - 1].0;
        if same_line(old, newest)
            && let Err(problem) = compatible(&kept, &text)
        {
            panic!("modules built against {old} no longer fit {newest}: {problem}");
        }
    }
}

#[test]
fn the_check_notices() {
    let text = fs::read_to_string(wit().join("transform.wit")).unwrap();
    let changed = text.replace("sequence: u64,", "sequence: u32,");
    assert!(changed != text);
    let record = vec![(version(&text).to_owned(), digest(&text))];
    assert_eq!(check(&text, &record), Ok(()));
    assert!(check(&changed, &record).unwrap_err().contains("raise its version"));
    let raised = changed.replace("transform@0.1.0", "transform@0.1.1");
    assert!(check(&raised, &record).unwrap_err().contains("add `0.1.1 "));

    assert!(same_line("0.1.0", "0.1.1") && !same_line("0.1.0", "0.2.0"));
    assert!(same_line("1.0.0", "1.4.2") && !same_line("1.0.0", "2.0.0"));
    assert_eq!(compatible(&text, &text), Ok(()));
    assert!(compatible(&text, &changed).is_err());
    // A new import takes nothing from old modules.
    let more = text.replace(
        "metric: func(name: string, value: f64);",
        "metric: func(name: string, value: f64);\n    more: func();",
    );
    assert!(more != text);
    assert_eq!(compatible(&text, &more), Ok(()));
}
