//! Locations: files, folders, addresses, and secrets.

use std::path::PathBuf;

use serde_json::Value as Json;

use crate::diagnostics::Draft;
use crate::keys::describe::Shape;
use crate::keys::json_schema;
use crate::keys::key::Kind;
use crate::keys::paths::{absolute, resolve};
use crate::keys::section::Found;
use sluicebox_core::plan::Secret;

/// A path or a URL; the path is made absolute.
#[derive(Clone, Copy)]
pub(crate) struct Location;

impl Shape for Location {
    fn label(&self) -> String {
        "path or URL".to_owned()
    }
}

impl Kind for Location {
    type Value = String;

    fn read(&self, found: &Found<'_, '_>) -> Option<String> {
        let text = found.text()?;
        resolve(&found.section.cx.folder, &text.value).map_err(|error| unusable(found, &error)).ok()
    }
}

/// A path; it is made absolute.
#[derive(Clone, Copy)]
pub(crate) struct File;

impl Shape for File {
    fn label(&self) -> String {
        "path".to_owned()
    }
}

impl Kind for File {
    type Value = PathBuf;

    fn read(&self, found: &Found<'_, '_>) -> Option<PathBuf> {
        let text = found.text()?;
        let path = absolute(&found.section.cx.folder.join(text.value));
        path.map(PathBuf::from).map_err(|error| unusable(found, &error)).ok()
    }
}

fn unusable(found: &Found<'_, '_>, error: &std::io::Error) {
    found.report(format!("`{}` of {} is not a usable path: {error}", found.name(), found.what()), None);
}

/// An HTTP address.
#[derive(Clone, Copy)]
pub(crate) struct Address;

impl Shape for Address {
    fn label(&self) -> String {
        "address".to_owned()
    }
}

impl Kind for Address {
    type Value = String;

    fn read(&self, found: &Found<'_, '_>) -> Option<String> {
        let text = found.text()?.value;
        let known = url::Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !known {
            let hint = "it begins with `https://` or `http://`";
            found.report(
                format!("`{}` of {} is not an address: `{text}`", found.name(), found.what()),
                Some(hint.to_owned()),
            );
            return None;
        }
        Some(text)
    }

    fn toml(&self, value: &String) -> Option<String> {
        Some(format!("\"{value}\""))
    }
}

/// A reference to a secret: `env:NAME` or `file:PATH`. Any other text is never shown, because it may be the secret
/// itself.
#[derive(Clone, Copy)]
pub(crate) struct SecretRef;

impl Shape for SecretRef {
    fn label(&self) -> String {
        "`env:NAME` or `file:PATH`".to_owned()
    }

    fn schema(&self) -> Json {
        json_schema::pattern(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")
    }

    fn is_secret(&self) -> bool {
        true
    }
}

impl Kind for SecretRef {
    type Value = Secret;

    fn read(&self, found: &Found<'_, '_>) -> Option<Secret> {
        let text = found.text()?.value;
        let named = |name: &str| {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
        };
        let secret = match text.split_once(':') {
            Some(("env", name)) if named(name) => Some(Secret::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => {
                absolute(&found.section.cx.folder.join(path)).ok().map(|path| Secret::File(path.into()))
            }
            _ => None,
        };
        if secret.is_none() {
            let name = found.name();
            // The head of the section is shown, and not the value.
            found.section.cx.report(
                Draft::error(format!("`{name}` of {} must say where the secret is, and not be it", found.what()))
                    .at(&found.section.head)
                    .hint(format!("write `{name} = \"env:NAME\"` or `{name} = \"file:PATH\"`")),
            );
        }
        secret
    }
}
