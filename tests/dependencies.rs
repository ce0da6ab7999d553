//! What deny.toml says of dependencies, checked without building cargo-deny, which takes minutes.

use std::process::Command;

use serde_json::Value;
use spdx::{Expression, ParseMode};

use crate::harness::root;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn every_dependency_is_one_that_deny_toml_lets_in() {
    let rules = Rules::read();
    let packages = packages();
    assert!(packages.len() > 50, "cargo names only {} packages", packages.len());
    let problems: Vec<String> = packages.iter().flat_map(|package| rules.check(package)).collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

struct Rules {
    licenses: Vec<String>,
    banned: Vec<Ban>,
}

struct Ban {
    name: String,
    /// The only packages that may depend on it.
    wrappers: Vec<String>,
    reason: String,
}

impl Rules {
    fn read() -> Self {
        let text = std::fs::read_to_string(root().join("deny.toml")).expect("there is a deny.toml");
        let rules: toml::Table = text.parse().expect("deny.toml is TOML");
        let licenses = list(&rules["licenses"]["allow"], |license| license.as_str().map(str::to_owned));
        let banned = list(&rules["bans"]["deny"], |ban| {
            Some(Ban {
                name: ban.get("crate")?.as_str()?.to_owned(),
                wrappers: ban
                    .get("wrappers")
                    .map(|names| list(names, |name| name.as_str().map(str::to_owned)))
                    .unwrap_or_default(),
                reason: ban.get("reason")?.as_str()?.to_owned(),
            })
        });
        Self { licenses, banned }
    }

    /// What is wrong with one package of `cargo metadata`.
    fn check(&self, package: &Value) -> Vec<String> {
        let name = package["name"].as_str().unwrap_or_default();
        let mut problems = Vec::new();
        let needs = package["dependencies"].as_array().into_iter().flatten();
        for need in needs.filter(|need| need["kind"].as_str() != Some("dev") && need["optional"] != true) {
            let need = need["name"].as_str().unwrap_or_default();
            let ban = self.banned.iter().find(|ban| ban.name == need);
            if let Some(ban) =
                ban.filter(|ban| !ban.wrappers.is_empty() && !ban.wrappers.iter().any(|wrapper| wrapper == name))
            {
                problems.push(format!("{name} depends on {need}, which is banned: {}", ban.reason));
            }
        }
        if let Some(ban) = self.banned.iter().find(|ban| ban.name == name && ban.wrappers.is_empty()) {
            problems.push(format!("{name} is banned: {}", ban.reason));
        }
        match package["source"].as_str() {
            // Our own packages have no source.
            None | Some(REGISTRY) => {}
            Some(source) => problems.push(format!("{name} comes from {source}, not from crates.io")),
        }
        let license = package["license"].as_str().unwrap_or_default();
        let allowed = Expression::parse_mode(license, ParseMode::LAX)
            .is_ok_and(|expression| expression.evaluate(|needed| self.licenses.contains(&needed.to_string())));
        if !allowed {
            problems.push(format!("{name} has the licence `{license}`, which deny.toml does not allow"));
        }
        problems
    }
}

/// The array as a list.
///
/// # Panics
/// When an entry is not of the shape that `read` knows: a rule that is not understood is not checked.
fn list<T>(array: &toml::Value, read: impl Fn(&toml::Value) -> Option<T>) -> Vec<T> {
    let entries = array.as_array().expect("deny.toml has lists here");
    entries.iter().map(|entry| read(entry).unwrap_or_else(|| panic!("deny.toml: cannot read {entry}"))).collect()
}

/// Every package that is built for this platform, tests included.
fn packages() -> Vec<Value> {
    let version = Command::new(env!("CARGO")).args(["-vV"]).output().expect("cargo can be run");
    let version = String::from_utf8(version.stdout).expect("cargo prints UTF-8");
    let platform = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its platform");
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", platform])
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    metadata["packages"].as_array().cloned().expect("cargo metadata lists packages")
}

#[test]
fn an_unwelcome_dependency_is_named_with_the_reason() {
    let rules = Rules {
        licenses: vec!["MIT".to_owned()],
        banned: vec![
            Ban { name: "evil".to_owned(), wrappers: vec![], reason: "it is".to_owned() },
            Ban { name: "odd".to_owned(), wrappers: vec!["tamer".to_owned()], reason: "it bites".to_owned() },
        ],
    };
    let package = |name: &str, license: &str, source: &str| serde_json::json!({ "name": name, "license": license, "source": source });
    assert!(rules.check(&package("good", "MIT OR GPL-3.0", REGISTRY)).is_empty());
    assert!(rules.check(&package("old", "GPL-3.0/MIT", REGISTRY)).is_empty());
    assert_eq!(rules.check(&package("evil", "MIT", REGISTRY)), ["evil is banned: it is"]);
    assert!(rules.check(&package("odd", "MIT", REGISTRY)).is_empty());
    let mut other = package("other", "MIT", REGISTRY);
    other["dependencies"] = serde_json::json!([{ "name": "odd", "kind": null, "optional": false }]);
    assert_eq!(rules.check(&other), ["other depends on odd, which is banned: it bites"]);
    other["name"] = "tamer".into();
    assert!(rules.check(&other).is_empty());
    assert_eq!(rules.check(&package("viral", "GPL-3.0 AND MIT", REGISTRY)).len(), 1);
    assert_eq!(rules.check(&package("none", "", REGISTRY)).len(), 1);
    assert_eq!(rules.check(&package("git", "MIT", "git+https://example.org/x")).len(), 1);
}
