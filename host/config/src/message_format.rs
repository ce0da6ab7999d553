//! How the bodies of messages are decoded: what sources that others write to have in common.

use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::section::Section;
use super::words::MessageName;
use super::{identity, sources};
use sluicebox_core::plan::{AvroSchemas, CsvFormat, MessageFormat, Registry};

/// How the bodies of messages are decoded, and their columns.
pub(super) fn read(section: &Section<'_>, folder: &Path) -> Option<(MessageFormat, SchemaRef)> {
    let format = section.word::<MessageName>("format");
    let columns = section.or("columns", None, |section, _| sources::columns(section).map(Some));
    let plain = CsvFormat { header: false, ..CsvFormat::default() };
    let csv = section.or("csv", plain, |section, key| {
        let csv = section.section(key)?;
        let read = sources::read_csv(&csv, true)?;
        if read.header && csv.peek("header").is_some() {
            csv.misplaced("header", "has no meaning: a message is one record", "leave it out");
            return None;
        }
        Some(CsvFormat { header: false, ..read })
    });
    let avro = section.or("avro", None, |section, key| avro(&section.section(key)?, folder).map(Some));
    let format = match format? {
        MessageName::Json => MessageFormat::Json,
        MessageName::Csv => MessageFormat::Csv(csv?),
        MessageName::Avro => match avro? {
            Some(schemas) => MessageFormat::Avro(schemas),
            None => {
                section.missing("avro");
                return None;
            }
        },
        MessageName::Bytes => MessageFormat::Bytes,
    };
    if !matches!(format, MessageFormat::Csv(_)) {
        section.misplaced("csv", "has no use with this `format`", "remove it, or set `format = \"csv\"`");
    }
    if !matches!(format, MessageFormat::Avro(_)) {
        section.misplaced("avro", "has no use with this `format`", "remove it, or set `format = \"avro\"`");
    }
    let columns = match (&format, columns?) {
        (MessageFormat::Bytes, None) => Arc::new(Schema::new(vec![Field::new("value", DataType::Binary, true)])),
        (MessageFormat::Bytes, Some(_)) => {
            section.misplaced(
                "columns",
                "has no use with `format = \"bytes\"`",
                "remove it: the one column is `value`",
            );
            return None;
        }
        (_, Some(columns)) => columns,
        (_, None) => {
            // Others write while it is read, so there is no first message that could speak for all.
            section.missing("columns");
            return None;
        }
    };
    Some((format, columns))
}

/// Where the schemas are that Avro bodies were written with.
fn avro(section: &Section<'_>, folder: &Path) -> Option<AvroSchemas> {
    let schema = section.or("schema", None, |section, key| identity::path(section, key, folder).map(Some));
    let url = section.or("registry", None, |section, key| identity::url(section, key).map(Some));
    let user = section.or("user", None, |section, key| section.text(key).map(|user| Some(user.value)));
    let password = section.or("password", None, |section, key| identity::secret(section, key, folder).map(Some));
    let ca = section.or("ca", None, |section, key| identity::path(section, key, folder).map(Some));
    let (schema, url, user, password, ca) = (schema?, url?, user?, password?, ca?);
    match (schema, url) {
        (None, None) => {
            section.missing("registry");
            None
        }
        (Some(_), Some(_)) => {
            section.misplaced(
                "schema",
                "cannot stand beside `registry`",
                "keep `registry` if each message names its schema there, or `schema` if one holds for all",
            );
            None
        }
        (Some(schema), None) => {
            for key in ["user", "password", "ca"] {
                section.misplaced(key, "has no use without `registry`", "remove it");
            }
            Some(AvroSchemas::File(schema))
        }
        (None, Some(url)) => {
            let user = match (user, password) {
                (Some(user), Some(password)) => Some((user, password)),
                (None, None) => None,
                (Some(_), None) => {
                    section.missing("password");
                    return None;
                }
                (None, Some(_)) => {
                    section.missing("user");
                    return None;
                }
            };
            Some(AvroSchemas::Registry(Registry { url, user, ca }))
        }
    }
}
