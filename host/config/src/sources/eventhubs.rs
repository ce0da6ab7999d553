//! `[sources.<name>]` with `type = "eventhubs"`: a Kafka source with the settings that Event Hubs needs.

use super::message::{AVRO_KEY, COLUMNS, CSV_KEY, FORMAT, RAW, TIMESTAMPS};
use super::names::{COLUMN_NAMES, RENAME};
use super::oauth::{CLIENT_ID, CLIENT_SECRET};
use super::stream::{CA, CAPTURE, GROUP, MAX_IN_FLIGHT, ON_LOST, RESET, SESSION_TIMEOUT, START, TOPICS};
use super::{SourceType, Type, stream, type_key};
use crate::keys::{Address, Key, KeySet, Maybe, SecretRef, Section, SubTable, Text};
use sluicebox_core::plan::{KafkaConnection, KafkaSpec, Mechanism, Sasl, Secret, Security, SourceKind, Token};

const KIND: Key<Type> = type_key("eventhubs");
const NAMESPACE: Key<Text> = Key::new(
    "namespace",
    Text,
    "The namespace, or its whole address where that is another than `<namespace>.servicebus.windows.net:9093`.",
)
.example(r#""shop-events""#);
const CONNECTION_STRING: Key<Maybe<SecretRef>> =
    Key::new("connection_string", SecretRef, "Where the connection string is stored: `env:NAME` or `file:PATH`.")
        .more("It is that of the namespace or of the one hub.")
        .optional()
        .absent("required, if there is no `entra`")
        .example(r#""env:EVENTHUBS_CONNECTION""#);
const ENTRA: Key<Maybe<SubTable<Principal>>> = Key::new(
    "entra",
    SubTable { keys: &ENTRA_KEYS, read: principal },
    "Instead of a connection string, the service principal that reads.",
)
.more("See [below](#entra).")
.optional()
.example(
    r#"{ tenant = "contoso.onmicrosoft.com", client_id = "4c1f7e0a-8d3b-4a52-9e55-0c7d2d1c9b11", client_secret = "env:CLIENT_SECRET" }"#,
);

const TENANT: Key<Text> =
    Key::new("tenant", Text, "The tenant, by its name or its id.").example(r#""contoso.onmicrosoft.com""#);
const AUTHORITY: Key<Address> = Key::new("authority", Address, "Who issues tokens, in another cloud.")
    .default(|| "https://login.microsoftonline.com".to_owned())
    .example(r#""https://login.microsoftonline.us""#);

/// `[sources.<name>]` with `type = "eventhubs"`.
pub(super) static KEYS: KeySet = KeySet {
    about: "Hubs of Azure Event Hubs, through its Kafka endpoint.",
    keys: &[
        &KIND,
        &NAMESPACE,
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
        &CA,
        &CONNECTION_STRING,
        &ENTRA,
    ],
};

/// `entra` of a source.
pub(super) static ENTRA_KEYS: KeySet = KeySet {
    about: "The service principal that reads, in Entra ID.",
    keys: &[&TENANT, &CLIENT_ID, &CLIENT_SECRET, &AUTHORITY],
};

/// Hubs of Event Hubs.
pub(super) const TYPE: SourceType =
    SourceType { name: "eventhubs", keys: &KEYS, read: |section| read(section).map(SourceKind::Kafka) };

/// The user name for a connection string of Event Hubs.
const CONNECTION_STRING_USER: &str = "$ConnectionString";

fn read(section: &Section<'_>) -> Option<KafkaSpec> {
    let brokers = section.get(&NAMESPACE).map(|namespace| address(&namespace));
    let security = security(section, brokers.as_deref().unwrap_or_default());
    let connection =
        brokers.zip(security).map(|(brokers, security)| KafkaConnection { brokers, event_hubs: true, security });
    stream::read(section, connection)
}

/// The full address of a namespace.
fn address(namespace: &str) -> String {
    match (namespace.contains('.'), namespace.contains(':')) {
        (_, true) => namespace.to_owned(),
        (true, false) => format!("{namespace}:9093"),
        (false, false) => format!("{namespace}.servicebus.windows.net:9093"),
    }
}

/// The authentication at Event Hubs at this address.
fn security(section: &Section<'_>, address: &str) -> Option<Security> {
    let ca = section.get(&CA);
    let sasl = match (section.has(&CONNECTION_STRING), section.has(&ENTRA)) {
        (true, true) => {
            section.misplaced(
                &ENTRA,
                "cannot stand beside `connection_string`",
                "keep the one by which this reader is known to the namespace",
            );
            None
        }
        (false, true) => section.need(&ENTRA).map(|principal| Sasl::Token(principal.token(address))),
        (_, false) => section.need(&CONNECTION_STRING).map(|password| {
            let user = CONNECTION_STRING_USER.to_owned();
            Sasl::Password { mechanism: Mechanism::Plain, user, password }
        }),
    };
    Some(Security { tls: true, ca: ca?, sasl: Some(sasl?) })
}

/// A service principal of Entra ID.
struct Principal {
    tenant: String,
    client_id: String,
    client_secret: Secret,
    authority: String,
}

fn principal(section: &Section<'_>) -> Option<Principal> {
    let tenant = section.get(&TENANT);
    let client_id = section.get(&CLIENT_ID);
    let client_secret = section.get(&CLIENT_SECRET);
    let authority = section.get(&AUTHORITY);
    Some(Principal { tenant: tenant?, client_id: client_id?, client_secret: client_secret?, authority: authority? })
}

impl Principal {
    /// The tokens for the namespace at `address`.
    fn token(self, address: &str) -> Token {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        Token::Issued {
            url: format!("{}/{}/oauth2/v2.0/token", self.authority.trim_end_matches('/'), self.tenant),
            client_id: self.client_id,
            client_secret: self.client_secret,
            scope: Some(format!("https://{host}/.default")),
        }
    }
}
