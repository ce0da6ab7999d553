//! `[sources.<name>]` with `type = "kafka"`.

use super::message::{AVRO_KEY, COLUMNS, CSV_KEY, FORMAT, RAW, TIMESTAMPS};
use super::names::{COLUMN_NAMES, RENAME};
use super::oauth::OAUTH;
use super::stream::{CA, CAPTURE, GROUP, MAX_IN_FLIGHT, ON_LOST, RESET, SESSION_TIMEOUT, START, TOPICS};
use super::{SourceType, Type, stream, type_key};
use crate::keys::{AnyKey, Key, KeySet, Maybe, SecretRef, Section, SubTable, Text, Word, Words};
use sluicebox_core::plan::{KafkaConnection, KafkaSpec, Mechanism, Sasl, Security, SourceKind, Token};

const KIND: Key<Type> = type_key("kafka");
const BROKERS: Key<Text> =
    Key::new("brokers", Text, "Where the brokers are: `host:port`, several with commas between them.")
        .example(r#""localhost:9092""#);
const SECURITY: Key<Word<Protocol>> =
    Key::new("security", Word::new(), "Whether connections are encrypted (`ssl`) and readers authenticate (`sasl`).")
        .default(|| Protocol::Plaintext)
        .example(r#""sasl_ssl""#);
const MECHANISM: Key<Word<MechanismName>> =
    Key::new("mechanism", Word::new(), "How the reader authenticates; with `security = \"sasl_…\"`.")
        .more("By name and password, or with a token.")
        .default(|| MechanismName::Plain)
        .example(r#""scram-sha-512""#);
const USER: Key<Maybe<Text>> = Key::new("user", Text, "The name of the reader; with `security = \"sasl_…\"`.")
    .optional()
    .absent("required with a password")
    .example(r#""sluice""#);
const PASSWORD: Key<Maybe<SecretRef>> =
    Key::new("password", SecretRef, "Where the password is stored: `env:NAME` or `file:PATH`.")
        .more("It is read when the run begins, and neither shown nor kept anywhere.")
        .optional()
        .absent("required with `user`")
        .example(r#""env:KAFKA_PASSWORD""#);
const OAUTH_KEY: Key<Maybe<SubTable<Token>>> =
    Key::new("oauth", OAUTH, "Where tokens are issued; with `mechanism = \"oauthbearer\"`.")
        .more("See [below](#oauth).")
        .optional()
        .absent("required with `oauthbearer`, if there is no `token`")
        .example(
            r#"{ token_url = "https://login.example.com/oauth2/token", client_id = "sluice", client_secret = "env:CLIENT_SECRET" }"#,
        );
const TOKEN: Key<Maybe<SecretRef>> = Key::new(
    "token",
    SecretRef,
    "Instead of `oauth`, where a token is stored that another program renews: `env:NAME` or `file:PATH`.",
)
.more("Kubernetes renews one in a file, for example. It is read again before it expires.")
.optional()
.example(r#""file:/run/secrets/token""#);

/// `[sources.<name>]` with `type = "kafka"`.
pub(super) static KEYS: KeySet = KeySet {
    about: "Topics of Kafka.",
    keys: &[
        &KIND,
        &BROKERS,
        &TOPICS,
        &GROUP,
        &SESSION_TIMEOUT,
        &START,
        &ON_LOST,
        &RESET,
        &FORMAT,
        &COLUMNS,
        &RENAME,
        &COLUMN_NAMES,
        &CSV_KEY,
        &AVRO_KEY,
        &RAW,
        &TIMESTAMPS,
        &MAX_IN_FLIGHT,
        &CAPTURE,
        &SECURITY,
        &CA,
        &MECHANISM,
        &USER,
        &PASSWORD,
        &OAUTH_KEY,
        &TOKEN,
    ],
};

/// Topics of Kafka.
pub(super) const TYPE: SourceType =
    SourceType { name: "kafka", keys: &KEYS, read: |section| read(section).map(SourceKind::Kafka) };

fn read(section: &Section<'_>) -> Option<KafkaSpec> {
    let brokers = section.get(&BROKERS);
    let security = security(section);
    let connection = brokers.zip(security);
    let connection = connection.map(|(brokers, security)| KafkaConnection { brokers, event_hubs: false, security });
    stream::read(section, connection)
}

/// The authentication and encryption of the connection.
fn security(section: &Section<'_>) -> Option<Security> {
    let protocol = section.get(&SECURITY);
    let ca = section.get(&CA);
    let mechanism = section.get(&MECHANISM);
    let protocol = protocol?;
    let tls = matches!(protocol, Protocol::Ssl | Protocol::SaslSsl);
    if !tls {
        section.misplaced(&CA, "has no use without encryption", "set `security = \"ssl\"` or `\"sasl_ssl\"`");
    }
    if !matches!(protocol, Protocol::SaslPlaintext | Protocol::SaslSsl) {
        let stray: [&dyn AnyKey; 5] = [&MECHANISM, &USER, &PASSWORD, &TOKEN, &OAUTH_KEY];
        for key in stray {
            section.misplaced(key, "has no use here", "set `security = \"sasl_ssl\"`, or remove it");
        }
        return Some(Security { tls, ca: ca?, sasl: None });
    }
    let sasl = match mechanism? {
        MechanismName::Plain => password(section, Mechanism::Plain),
        MechanismName::ScramSha256 => password(section, Mechanism::ScramSha256),
        MechanismName::ScramSha512 => password(section, Mechanism::ScramSha512),
        MechanismName::OauthBearer => token(section).map(Sasl::Token),
    };
    Some(Security { tls, ca: ca?, sasl: Some(sasl?) })
}

/// By user name and password.
fn password(section: &Section<'_>, mechanism: Mechanism) -> Option<Sasl> {
    let (why, hint) = ("has no use with this `mechanism`", "set `mechanism = \"oauthbearer\"`, or remove it");
    section.misplaced(&TOKEN, why, hint);
    section.misplaced(&OAUTH_KEY, why, hint);
    let user = section.need(&USER);
    let password = section.need(&PASSWORD);
    Some(Sasl::Password { mechanism, user: user?, password: password? })
}

/// By a token, given or issued.
fn token(section: &Section<'_>) -> Option<Token> {
    let (why, hint) = ("has no use with `mechanism = \"oauthbearer\"`", "a token says who the reader is");
    section.misplaced(&USER, why, hint);
    section.misplaced(&PASSWORD, why, hint);
    match (section.has(&TOKEN), section.has(&OAUTH_KEY)) {
        (true, true) => {
            section.misplaced(&TOKEN, "cannot stand beside `oauth`", "keep `token` if somebody else renews it");
            None
        }
        (true, false) => section.need(&TOKEN).map(Token::Given),
        (false, _) => section.need(&OAUTH_KEY),
    }
}

/// The security protocol, in Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl Words for Protocol {
    const ALL: &'static [(&'static str, Self)] = &[
        ("plaintext", Self::Plaintext),
        ("ssl", Self::Ssl),
        ("sasl_plaintext", Self::SaslPlaintext),
        ("sasl_ssl", Self::SaslSsl),
    ];
}

/// The SASL mechanism, before its settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MechanismName {
    Plain,
    ScramSha256,
    ScramSha512,
    OauthBearer,
}

impl Words for MechanismName {
    const ALL: &'static [(&'static str, Self)] = &[
        ("plain", Self::Plain),
        ("scram-sha-256", Self::ScramSha256),
        ("scram-sha-512", Self::ScramSha512),
        ("oauthbearer", Self::OauthBearer),
    ];
}
