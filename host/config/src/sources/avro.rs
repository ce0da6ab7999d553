//! `avro` of a source: the writer schemas of its messages.

use crate::keys::{Address, File, Key, KeySet, Maybe, SecretRef, Section, SubTable, Text};
use sluicebox_core::plan::{AvroSchemas, Registry};

const REGISTRY: Key<Maybe<Address>> = Key::new(
    "registry",
    Address,
    "The address of a schema registry as Confluent's; each message begins with a zero byte and the number of its schema.",
)
.more("`/schemas/ids/1` is added to the address.")
.optional()
.absent("required, if there is no `schema`")
.example(r#""http://localhost:8081""#);
const USER: Key<Maybe<Text>> = Key::new("user", Text, "The name of the reader, where the registry asks for one.")
    .optional()
    .example(r#""sluice""#);
const PASSWORD: Key<Maybe<SecretRef>> =
    Key::new("password", SecretRef, "Where the password of the reader is stored: `env:NAME` or `file:PATH`.")
        .optional()
        .absent("required with `user`")
        .example(r#""env:REGISTRY_PASSWORD""#);
const CA: Key<Maybe<File>> = Key::new(
    "ca",
    File,
    "The certificate authority of the registry, as a PEM file, besides those that the system trusts.",
)
.optional()
.example(r#""ca.pem""#);
const SCHEMA: Key<Maybe<File>> = Key::new(
    "schema",
    File,
    "Instead of a registry, the file with the one schema of all messages, which are bare records.",
)
.optional()
.example(r#""order.avsc""#);

/// `avro` of a source whose messages are Avro records.
pub(super) static KEYS: KeySet = KeySet {
    about: "Where the schemas are that messages were written with.",
    keys: &[&REGISTRY, &USER, &PASSWORD, &CA, &SCHEMA],
};

/// The value of a key `avro`.
pub(super) const AVRO: SubTable<AvroSchemas> = SubTable { keys: &KEYS, read };

fn read(section: &Section<'_>) -> Option<AvroSchemas> {
    let schema = section.get(&SCHEMA);
    let url = section.get(&REGISTRY);
    let user = section.get(&USER);
    let password = section.get(&PASSWORD);
    let ca = section.get(&CA);
    let (schema, url, user, password, ca) = (schema?, url?, user?, password?, ca?);
    match (schema, url) {
        (None, None) => {
            section.missing(&REGISTRY);
            None
        }
        (Some(_), Some(_)) => {
            section.misplaced(
                &SCHEMA,
                "cannot stand beside `registry`",
                "keep `registry` if each message names its schema there, or `schema` if one holds for all",
            );
            None
        }
        (Some(schema), None) => {
            section.misplaced(&USER, "has no use without `registry`", "remove it");
            section.misplaced(&PASSWORD, "has no use without `registry`", "remove it");
            section.misplaced(&CA, "has no use without `registry`", "remove it");
            Some(AvroSchemas::File(schema))
        }
        (None, Some(url)) => {
            let user = match (user, password) {
                (Some(user), Some(password)) => Some((user, password)),
                (None, None) => None,
                (Some(_), None) => {
                    section.missing(&PASSWORD);
                    return None;
                }
                (None, Some(_)) => {
                    section.missing(&USER);
                    return None;
                }
            };
            Some(AvroSchemas::Registry(Registry { url, user, ca }))
        }
    }
}
