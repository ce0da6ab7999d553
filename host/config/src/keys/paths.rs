//! Paths in the file, which are relative to its folder.

use std::io;
use std::path::Path;

/// Whether the text is a URL and not a folder.
pub(crate) fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// The absolute path, without following links.
pub(crate) fn absolute(path: &Path) -> io::Result<String> {
    let path = std::path::absolute(path)?;
    path.into_os_string()
        .into_string()
        .map_err(|path| io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not UTF-8", path.display())))
}

/// A path of the file, made absolute, or a URL.
pub(crate) fn resolve(folder: &Path, written: &str) -> io::Result<String> {
    if is_url(written) { Ok(written.to_owned()) } else { absolute(&folder.join(written)) }
}
