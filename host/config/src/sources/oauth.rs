//! `oauth` of a source: the authorization server, and the client's credentials.

use crate::keys::{Address, Key, KeySet, Maybe, SecretRef, Section, SubTable, Text};
use sluicebox_core::plan::Token;

const TOKEN_URL: Key<Address> = Key::new("token_url", Address, "Its token endpoint.")
    .more("It is asked with the client's credentials (OAuth 2.0).")
    .example(r#""https://login.example.com/oauth2/token""#);
pub(super) const CLIENT_ID: Key<Text> =
    Key::new("client_id", Text, "The client ID of the reader.").example(r#""4c1f7e0a-8d3b-4a52-9e55-0c7d2d1c9b11""#);
pub(super) const CLIENT_SECRET: Key<SecretRef> =
    Key::new("client_secret", SecretRef, "Where the client's secret is stored: `env:NAME` or `file:PATH`.")
        .example(r#""env:CLIENT_SECRET""#);
const SCOPE: Key<Maybe<Text>> =
    Key::new("scope", Text, "What the token is asked for.").optional().example(r#""kafka""#);

/// `oauth` of a source whose broker takes tokens.
pub(super) static KEYS: KeySet = KeySet {
    about: "The authorization server that issues tokens (OAuth 2.0 client credentials).",
    keys: &[&TOKEN_URL, &CLIENT_ID, &CLIENT_SECRET, &SCOPE],
};

/// The value of a key `oauth`.
pub(super) const OAUTH: SubTable<Token> = SubTable { keys: &KEYS, read };

fn read(section: &Section<'_>) -> Option<Token> {
    let url = section.get(&TOKEN_URL);
    let client_id = section.get(&CLIENT_ID);
    let client_secret = section.get(&CLIENT_SECRET);
    let scope = section.get(&SCOPE);
    Some(Token::Issued { url: url?, client_id: client_id?, client_secret: client_secret?, scope: scope? })
}
