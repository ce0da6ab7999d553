//! The keys of sources that others write to while they are read.

use super::{CSV, DAY, GIB, KIB, Key, Kind, Section};
use crate::config::words::{self, MessageName, Protocol};
use crate::plan::{Gaps, Mechanism, OnLost};

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
    "The columns of the body in table order; with `format = \"json\"` or `\"csv\"`.",
);
const CSV_KEY: Key = Key::new(
    "csv",
    Kind::Section(&CSV),
    "{ delimiter = \";\", header = false }",
    "How CSV is read; only with `format = \"csv\"`, whose messages have no header.",
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
    keys: &[TYPE, PATH, LAYOUT, HUB, GAPS, OVERLAP, FORMAT, COLUMNS, CSV_KEY, RAW],
};

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
            Kind::Word(words::names::<Mechanism>),
            "\"scram-sha-512\"",
            "How the name and the password are said; with `security = \"sasl_…\"`.",
        )
        .default("\"plain\""),
        Key::new("user", Kind::Text, "\"sluice\"", "The name of the reader; with `security = \"sasl_…\"`."),
        Key::new(
            "password",
            Kind::Secret,
            "\"env:KAFKA_PASSWORD\"",
            "Where the password is to be had: `env:NAME` or `file:PATH`.",
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
        RAW,
        MAX_IN_FLIGHT,
        CAPTURE_KEY,
        CA,
        Key::new(
            "connection_string",
            Kind::Secret,
            "\"env:EVENTHUBS_CONNECTION\"",
            "Where the connection string is to be had: `env:NAME` or `file:PATH`.",
        )
        .required(),
    ],
};
