//! The keys of sources that others write to while they are read.

use super::{CSV, DAY, GIB, KIB, Key, Kind, Section};
use crate::words::{self, MechanismName, MessageName, Protocol};
use sluicebox_core::plan::{Gaps, OnLost};

const TYPE: Key = Key::new("type", Kind::Text, "\"kafka\"", "The kind of source.").required();
const TOPICS: Key = Key::new("topics", Kind::Texts, "[\"orders\"]", "The topics; each partition is a lane.").required();
const GROUP: Key = Key::new(
    "group",
    Kind::Text,
    "\"sluice\"",
    "The consumer group whose members share the partitions under `--follow`; without it a run takes all of them.",
);
const SESSION_TIMEOUT: Key = Key::new(
    "session_timeout",
    Kind::Time(1_000, 300_000),
    "\"10s\"",
    "After which silence the group gives a member's partitions to others.",
)
.default("\"30s\"");
const START: Key = Key::new(
    "start",
    Kind::Start,
    "\"2026-01-31T12:00:00Z\"",
    "Where a partition begins that no table knows: `earliest`, `latest`, a time with its zone, or positions by lane, \
     `{ \"orders/0\" = 1200 }`; other lanes then begin at the earliest.",
)
.default("\"earliest\"");
const ON_LOST: Key = Key::new(
    "on_lost",
    Kind::Word(words::names::<OnLost>),
    "\"earliest\"",
    "What to do when the messages to go on with are no longer kept: stop, or go on with the oldest that are.",
)
.default("\"stop\"");
const FORMAT: Key =
    Key::new("format", Kind::Word(words::names::<MessageName>), "\"json\"", "How the body of a message is decoded.")
        .required();
const COLUMNS: Key = Key::new(
    "columns",
    Kind::ColumnTypes,
    "{ id = \"int64 not null\", name = \"string\" }",
    "The columns of the body in table order; with any `format` but `\"bytes\"`.",
);
const CSV_KEY: Key = Key::new(
    "csv",
    Kind::Section(&CSV),
    "{ delimiter = \";\", header = false }",
    "How CSV is read; only with `format = \"csv\"`, whose messages have no header.",
);
const AVRO_KEY: Key = Key::new(
    "avro",
    Kind::Section(&AVRO),
    "{ registry = \"http://localhost:8081\" }",
    "Where the schemas of the messages are; only with `format = \"avro\"`.",
);
const RAW: Key =
    Key::new("raw", Kind::Flag, "false", "Whether each row keeps the body as it came, in `_raw`.").default("true");
const MAX_IN_FLIGHT: Key = Key::new(
    "max_in_flight",
    Kind::Size(64 * KIB, 2 * GIB),
    "\"16 MiB\"",
    "Bytes that may be fetched ahead of what is taken.",
)
.default("\"64 MiB\"");
const CA: Key = Key::new(
    "ca",
    Kind::Text,
    "\"ca.pem\"",
    "The authority that vouches for the broker, as a PEM file; without it those that the system trusts.",
);

const PATH: Key = Key::new(
    "path",
    Kind::Text,
    "\"${captured}\"",
    "The folder of the captured files, relative to this file, or the URL of an object store.",
)
.required();
const LAYOUT: Key = Key::new(
    "layout",
    Kind::Text,
    "\"{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}\"",
    "How the path of a file below that says what is in it: the name format of the capture settings.",
)
.default("\"{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}\"");
const HUB: Key = Key::new(
    "hub",
    Kind::Text,
    "\"orders\"",
    "What the hub is called, where the path does not say; without it the source's own name.",
);
const GAPS: Key = Key::new(
    "gaps",
    Kind::Word(words::names::<Gaps>),
    "\"skip\"",
    "What to do where events are missing between two files: wait for the file that has them, or go on.",
)
.default("\"wait\"");
const OVERLAP: Key = Key::new(
    "overlap",
    Kind::Time(0, 31 * DAY),
    "\"6h\"",
    "How far before the place to go on from files are looked at again, by the time in their paths.",
)
.default("\"1h\"");
const CAPTURE_KEY: Key = Key::new(
    "capture",
    Kind::Section(&CAPTURED),
    "{ path = \"${captured}\" }",
    "Captured files of the same hub, which are read before it.",
);

/// `[sources.<name>]` with `type = "capture"`.
pub static CAPTURE: Section = Section {
    about: "Files that Event Hubs Capture wrote.",
    keys: &[TYPE, PATH, LAYOUT, HUB, GAPS, OVERLAP, FORMAT, COLUMNS, CSV_KEY, AVRO_KEY, RAW],
};

/// `avro` of a source whose messages are Avro records.
pub static AVRO: Section = Section {
    about: "Where the schemas are that messages were written with.",
    keys: &[
        Key::new(
            "registry",
            Kind::Text,
            "\"http://localhost:8081\"",
            "The address of a schema registry as Confluent's; each message begins with a zero byte and the number of its schema.",
        ),
        Key::new("user", Kind::Text, "\"sluice\"", "The name of the reader, where the registry asks for one."),
        Key::new(
            "password",
            Kind::Secret,
            "\"env:REGISTRY_PASSWORD\"",
            "Where its password is to be had: `env:NAME` or `file:PATH`.",
        ),
        Key::new(
            "ca",
            Kind::Text,
            "\"ca.pem\"",
            "The authority that vouches for the registry, as a PEM file, besides those that the system trusts.",
        ),
        Key::new(
            "schema",
            Kind::Text,
            "\"order.avsc\"",
            "Instead of a registry, the file with the one schema of all messages, which are bare records.",
        ),
    ],
};

/// `oauth` of a source whose broker takes tokens.
pub static OAUTH: Section = Section {
    about: "The authorization server that issues tokens (OAuth 2.0 client credentials).",
    keys: &[
        Key::new("token_url", Kind::Text, "\"https://login.example.com/oauth2/token\"", "Its token endpoint.")
            .required(),
        CLIENT_ID,
        CLIENT_SECRET,
        Key::new("scope", Kind::Text, "\"kafka\"", "What the token is asked for."),
    ],
};

/// `entra` of a source of type `eventhubs`.
pub static ENTRA: Section = Section {
    about: "The service principal that reads, in Entra ID.",
    keys: &[
        Key::new("tenant", Kind::Text, "\"contoso.onmicrosoft.com\"", "The tenant, by its name or its id.").required(),
        CLIENT_ID,
        CLIENT_SECRET,
        Key::new(
            "authority",
            Kind::Text,
            "\"https://login.microsoftonline.us\"",
            "Who issues tokens, in another cloud.",
        )
        .default("\"https://login.microsoftonline.com\""),
    ],
};

const CLIENT_ID: Key =
    Key::new("client_id", Kind::Text, "\"4c1f7e0a-8d3b-4a52-9e55-0c7d2d1c9b11\"", "The identity of the reader.")
        .required();
const CLIENT_SECRET: Key = Key::new(
    "client_secret",
    Kind::Secret,
    "\"env:CLIENT_SECRET\"",
    "Where that which proves it is to be had: `env:NAME` or `file:PATH`.",
)
.required();

/// `capture` of a source that goes on with the live hub.
pub static CAPTURED: Section =
    Section { about: "Captured files that are read before the hub.", keys: &[PATH, LAYOUT, HUB, GAPS, OVERLAP] };

/// `[sources.<name>]` with `type = "kafka"`.
pub static KAFKA: Section = Section {
    about: "Topics of Kafka.",
    keys: &[
        TYPE,
        Key::new(
            "brokers",
            Kind::Text,
            "\"localhost:9092\"",
            "Where the brokers are: `host:port`, several with commas between them.",
        )
        .required(),
        TOPICS,
        GROUP,
        SESSION_TIMEOUT,
        START,
        ON_LOST,
        FORMAT,
        COLUMNS,
        CSV_KEY,
        AVRO_KEY,
        RAW,
        MAX_IN_FLIGHT,
        CAPTURE_KEY,
        Key::new(
            "security",
            Kind::Word(words::names::<Protocol>),
            "\"sasl_ssl\"",
            "Whether connections are encrypted (`ssl`) and readers have to say who they are (`sasl`).",
        )
        .default("\"plaintext\""),
        CA,
        Key::new(
            "mechanism",
            Kind::Word(words::names::<MechanismName>),
            "\"scram-sha-512\"",
            "How the reader says who it is; with `security = \"sasl_…\"`.",
        )
        .default("\"plain\""),
        Key::new("user", Kind::Text, "\"sluice\"", "The name of the reader; with `security = \"sasl_…\"`."),
        Key::new(
            "password",
            Kind::Secret,
            "\"env:KAFKA_PASSWORD\"",
            "Where the password is to be had: `env:NAME` or `file:PATH`.",
        ),
        Key::new(
            "oauth",
            Kind::Section(&OAUTH),
            "{ token_url = \"https://login.example.com/oauth2/token\", client_id = \"sluice\", client_secret = \"env:CLIENT_SECRET\" }",
            "Where tokens are issued; with `mechanism = \"oauthbearer\"`.",
        ),
        Key::new(
            "token",
            Kind::Secret,
            "\"file:/run/secrets/token\"",
            "Instead of `oauth`, where a token is that somebody else renews: `env:NAME` or `file:PATH`.",
        ),
    ],
};

/// `[sources.<name>]` with `type = "eventhubs"`.
pub static EVENT_HUBS: Section = Section {
    about: "Hubs of Azure Event Hubs, through its Kafka endpoint.",
    keys: &[
        TYPE,
        Key::new(
            "namespace",
            Kind::Text,
            "\"shop-events\"",
            "The namespace, or its whole address where that is another than `<namespace>.servicebus.windows.net:9093`.",
        )
        .required(),
        TOPICS,
        GROUP,
        SESSION_TIMEOUT,
        START,
        ON_LOST,
        FORMAT,
        COLUMNS,
        CSV_KEY,
        AVRO_KEY,
        RAW,
        MAX_IN_FLIGHT,
        CAPTURE_KEY,
        CA,
        Key::new(
            "connection_string",
            Kind::Secret,
            "\"env:EVENTHUBS_CONNECTION\"",
            "Where the connection string is to be had: `env:NAME` or `file:PATH`.",
        ),
        Key::new(
            "entra",
            Kind::Section(&ENTRA),
            "{ tenant = \"contoso.onmicrosoft.com\", client_id = \"4c1f7e0a-8d3b-4a52-9e55-0c7d2d1c9b11\", client_secret = \"env:CLIENT_SECRET\" }",
            "Instead of a connection string, the service principal that reads.",
        ),
    ],
};
