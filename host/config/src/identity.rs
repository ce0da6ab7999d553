//! Who a reader is, and who vouches for whom it speaks to: names, references to secrets, certificates.

use std::path::{Path, PathBuf};

use super::paths;
use super::problem::Draft;
use super::section::Section;
use super::words::{MechanismName, Protocol};
use sluicebox_core::plan::{Mechanism, Sasl, Secret, Security, Token};

/// What a user of Event Hubs is called that has a connection string.
const CONNECTION_STRING_USER: &str = "$ConnectionString";

/// How Kafka's brokers are spoken to.
pub(super) fn security(section: &Section<'_>, folder: &Path) -> Option<Security> {
    let protocol = section.or("security", Protocol::Plaintext, Section::word);
    let ca = section.or("ca", None, |section, key| path(section, key, folder).map(Some));
    let mechanism = section.or("mechanism", MechanismName::Plain, Section::word);
    let protocol = protocol?;
    let tls = matches!(protocol, Protocol::Ssl | Protocol::SaslSsl);
    if !tls {
        section.misplaced("ca", "has no use without encryption", "set `security = \"ssl\"` or `\"sasl_ssl\"`");
    }
    if !matches!(protocol, Protocol::SaslPlaintext | Protocol::SaslSsl) {
        for key in ["mechanism", "user", "password", "token", "oauth"] {
            section.misplaced(key, "has no use here", "set `security = \"sasl_ssl\"`, or remove it");
        }
        return Some(Security { tls, ca: ca?, sasl: None });
    }
    let sasl = match mechanism? {
        MechanismName::Plain => password(section, folder, Mechanism::Plain),
        MechanismName::ScramSha256 => password(section, folder, Mechanism::ScramSha256),
        MechanismName::ScramSha512 => password(section, folder, Mechanism::ScramSha512),
        MechanismName::OauthBearer => token(section, folder).map(Sasl::Token),
    };
    Some(Security { tls, ca: ca?, sasl: Some(sasl?) })
}

/// How Event Hubs is spoken to, at this address.
pub(super) fn event_hubs(section: &Section<'_>, folder: &Path, address: &str) -> Option<Security> {
    let ca = section.or("ca", None, |section, key| path(section, key, folder).map(Some));
    let sasl = match (section.peek("connection_string").is_some(), section.peek("entra").is_some()) {
        (true, true) => {
            section.misplaced(
                "entra",
                "cannot stand beside `connection_string`",
                "keep the one by which this reader is known to the namespace",
            );
            None
        }
        (false, true) => entra(&section.section("entra")?, folder, address).map(Sasl::Token),
        (true, false) => secret(section, "connection_string", folder).map(|password| {
            let user = CONNECTION_STRING_USER.to_owned();
            Sasl::Password { mechanism: Mechanism::Plain, user, password }
        }),
        (false, false) => {
            section.missing("connection_string");
            None
        }
    };
    Some(Security { tls: true, ca: ca?, sasl: Some(sasl?) })
}

/// By name and password.
fn password(section: &Section<'_>, folder: &Path, mechanism: Mechanism) -> Option<Sasl> {
    for key in ["token", "oauth"] {
        section.misplaced(key, "has no use with this `mechanism`", "set `mechanism = \"oauthbearer\"`, or remove it");
    }
    for key in ["user", "password"] {
        if section.peek(key).is_none() {
            section.missing(key);
        }
    }
    let user = section.peek("user").and_then(|_| section.text("user"));
    let password = section.peek("password").and_then(|_| secret(section, "password", folder));
    Some(Sasl::Password { mechanism, user: user?.value, password: password? })
}

/// By a token, which is there or is issued.
fn token(section: &Section<'_>, folder: &Path) -> Option<Token> {
    for key in ["user", "password"] {
        section.misplaced(key, "has no use with `mechanism = \"oauthbearer\"`", "a token says who the reader is");
    }
    match (section.peek("token").is_some(), section.peek("oauth").is_some()) {
        (true, true) => {
            section.misplaced("token", "cannot stand beside `oauth`", "keep `token` if somebody else renews it");
            None
        }
        (true, false) => secret(section, "token", folder).map(Token::Given),
        (false, true) => issued(&section.section("oauth")?, folder),
        (false, false) => {
            section.missing("oauth");
            None
        }
    }
}

/// By a token of an authorization server.
fn issued(section: &Section<'_>, folder: &Path) -> Option<Token> {
    let url = url(section, "token_url");
    let client_id = section.text("client_id");
    let client_secret = secret(section, "client_secret", folder);
    let scope = section.or("scope", None, |section, key| section.text(key).map(|scope| Some(scope.value)));
    Some(Token::Issued { url: url?, client_id: client_id?.value, client_secret: client_secret?, scope: scope? })
}

/// By a token of Entra ID for a namespace of Event Hubs.
fn entra(section: &Section<'_>, folder: &Path, address: &str) -> Option<Token> {
    let tenant = section.text("tenant");
    let client_id = section.text("client_id");
    let client_secret = secret(section, "client_secret", folder);
    let authority = section.or("authority", "https://login.microsoftonline.com".to_owned(), url);
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    Some(Token::Issued {
        url: format!("{}/{}/oauth2/v2.0/token", authority?.trim_end_matches('/'), tenant?.value),
        client_id: client_id?.value,
        client_secret: client_secret?,
        scope: Some(format!("https://{host}/.default")),
    })
}

/// An address of the web.
pub(super) fn url(section: &Section<'_>, key: &str) -> Option<String> {
    let text = section.text(key)?;
    let known =
        url::Url::parse(&text.value).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !known {
        section.cx.report(
            Draft::error(format!("`{key}` of {} is not an address: `{}`", section.what, text.value))
                .at(&text.span)
                .hint("it begins with `https://` or `http://`"),
        );
        return None;
    }
    Some(text.value)
}

pub(super) fn path(section: &Section<'_>, key: &str, folder: &Path) -> Option<PathBuf> {
    let text = section.text(key)?;
    match paths::absolute(&folder.join(&text.value)) {
        Ok(path) => Some(path.into()),
        Err(error) => {
            let message = format!("`{key}` of {} is not a usable path: {error}", section.what);
            section.cx.report(Draft::error(message).at(&text.span));
            None
        }
    }
}

/// A reference to a secret. What is written in its place is never shown, because it may be the
/// secret itself.
pub(super) fn secret(section: &Section<'_>, key: &str, folder: &Path) -> Option<Secret> {
    let text = section.text(key)?.value;
    let refuse = || {
        section.cx.report(
            Draft::error(format!("`{key}` of {} must say where the secret is, and not be it", section.what))
                .at(&section.head)
                .hint(format!("write `{key} = \"env:NAME\"` or `{key} = \"file:PATH\"`")),
        );
        None
    };
    let named = |name: &str| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    match text.split_once(':') {
        Some(("env", name)) if named(name) => Some(Secret::Env(name.to_owned())),
        Some(("file", path)) if !path.is_empty() => match paths::absolute(&folder.join(path)) {
            Ok(path) => Some(Secret::File(path.into())),
            Err(_) => refuse(),
        },
        _ => refuse(),
    }
}
