//! Hides credentials of URLs in messages.

use std::fmt;

/// A URL whose credentials are never printed.
///
/// `Display` and `Debug` show it as [`redact`] does; only [`RedactedUrl::expose`] returns all of it, for connecting.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RedactedUrl(String);

impl RedactedUrl {
    /// A URL as it was written; a local path is accepted as well, and shown as it is.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL with its credentials: for connecting, never for a message or a file.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.0))
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&redact(&self.0), f)
    }
}

/// The replacement for a secret.
const HIDDEN: &str = "…";

/// Schemes in which the name before the `@` is a container and no user.
const CONTAINERS: [&str; 4] = ["abfs", "abfss", "wasb", "wasbs"];

/// `text` with the credentials of every URL in it hidden: the user before an `@`, and the values of the query and
/// the fragment (`?sig=…`). Messages of libraries quote URLs, so this takes any text.
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let scheme = before[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.')).next();
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`')).unwrap_or(after.len());
        let (url, beyond) = after.split_at(end);
        show(scheme.unwrap_or_default(), url, &mut shown);
        rest = beyond;
    }
    shown.push_str(rest);
    shown
}

/// Appends the visible part of a URL after its `://`.
fn show(scheme: &str, url: &str, shown: &mut String) {
    let (place, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let place = match user_end(place) {
        Some(end) if !place[..end].contains(':') && CONTAINERS.iter().any(|own| own.eq_ignore_ascii_case(scheme)) => {
            place
        }
        Some(end) => {
            shown.push_str(HIDDEN);
            &place[end..]
        }
        None => place,
    };
    shown.push_str(place);
    for part in query.split_inclusive(['?', '#', '&', ';']) {
        let (said, mark) = match part.strip_suffix(['?', '#', '&', ';']) {
            Some(said) => (said, &part[said.len()..]),
            None => (part, ""),
        };
        match said.split_once('=') {
            Some((name, _)) => shown.extend([name, "=", HIDDEN]),
            // A query parameter without a name is all value.
            None if !said.is_empty() => shown.push_str(HIDDEN),
            None => {}
        }
        shown.push_str(mark);
    }
}

/// Where the last `@` stands, if what comes before it may be a user. By the rules that is so before the first slash
/// alone, but a password may have slashes that nobody escaped; then there is no host with a port before them.
fn user_end(place: &str) -> Option<usize> {
    let authority = &place[..place.find('/').unwrap_or(place.len())];
    let is_host = authority.starts_with('[') && authority.ends_with(']')
        || authority
            .rsplit_once(':')
            .is_none_or(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    if is_host && !authority.contains('@') { None } else { place.rfind('@') }
}

#[cfg(test)]
mod tests {
    use super::{RedactedUrl, redact};

    #[test]
    fn credentials_are_hidden_wherever_a_url_stands() {
        for (text, shown) in [
            ("https://ann:s3cr3t@host/x?sig=SIG&sv=2024", "https://…@host/x?sig=…&sv=…"),
            ("s3://KEY:SECRET@bucket", "s3://…@bucket"),
            ("https://token@host:8080/x", "https://…@host:8080/x"),
            ("https://ann:s3/cr3t@host/x", "https://…@host/x"),
            (
                "cannot reach (http://a:b@h/?q=1), twice http://a:b@h/#t",
                "cannot reach (http://…@h/?q=… twice http://…@h/#…",
            ),
            ("abfss://lake@account.dfs.core.windows.net/a b", "abfss://lake@account.dfs.core.windows.net/a b"),
            ("abfss://lake:key@account.dfs.core.windows.net", "abfss://…@account.dfs.core.windows.net"),
            ("http://[::1]:9092/a@b", "http://[::1]:9092/a@b"),
            ("http://host:80/a@b#token=x", "http://host:80/a@b#token=…"),
            ("/data/a:b@c?d=e", "/data/a:b@c?d=e"),
            ("no url at all", "no url at all"),
        ] {
            assert_eq!(redact(text), shown);
        }
        let url = RedactedUrl::new("s3://KEY:SECRET@bucket");
        assert_eq!(format!("{url} {url:?}"), "s3://…@bucket \"s3://…@bucket\"");
        assert_eq!(url.expose(), "s3://KEY:SECRET@bucket");
    }

    #[test]
    fn no_part_of_a_secret_is_left_whatever_it_is_made_of() {
        let alphabet = ['a', ':', '/', '@', '%', '+', '=', '.', '-', '[', ']'];
        // Every secret of three of these letters, marked so that it can be found again.
        for index in 0..alphabet.len().pow(3) {
            let letters = [index, index / alphabet.len(), index / alphabet.len().pow(2)];
            let secret: String = letters.iter().map(|at| alphabet[at % alphabet.len()]).collect();
            let shown = redact(&format!("https://user:SEC{secret}RET@host/path?sig=SEC{secret}RET&x=1"));
            assert!(!shown.contains("SEC") && !shown.contains("RET"), "{secret}: {shown}");
            assert!(shown.starts_with("https://…@host/path?sig=…"), "{secret}: {shown}");
        }
    }
}
