//! Reads secrets from the places that the pipeline file names.

use super::SourceError;
use sluicebox_core::plan::Secret;

/// The secret for the source `name`.
///
/// # Errors
/// It is missing or empty.
pub(super) fn reveal(name: &str, secret: &Secret) -> Result<String, SourceError> {
    let absent = |why: String| SourceError::NoSecret { name: name.to_owned(), secret: secret.to_string(), why };
    match secret {
        Secret::Env(variable) => match std::env::var(variable) {
            Ok(value) if !value.is_empty() => Ok(value),
            Ok(_) => Err(absent("the variable is empty".to_owned())),
            Err(std::env::VarError::NotPresent) => Err(absent("the variable is not set".to_owned())),
            Err(std::env::VarError::NotUnicode(_)) => Err(absent("the variable is not UTF-8".to_owned())),
        },
        Secret::File(path) => {
            let value = std::fs::read_to_string(path).map_err(|error| absent(error.to_string()))?;
            let value = value.strip_suffix('\n').unwrap_or(&value);
            match value.strip_suffix('\r').unwrap_or(value) {
                "" => Err(absent("the file is empty".to_owned())),
                value => Ok(value.to_owned()),
            }
        }
    }
}
