//! What a table's protocol asks of whoever reads or writes it, and what ours ask.

use deltalake::kernel::{MetadataExt, Protocol};
use deltalake::table::state::DeltaTableState;
use serde_json::{Value, json};

use super::error::DeltaError;
use super::mapping::Mapping;

/// Each commit of the table records which rows it changed.
pub(super) const CHANGES: &str = "delta.enableChangeDataFeed";
/// Rows of the table may be marked as deleted.
pub(super) const VECTORS: &str = "delta.enableDeletionVectors";

/// Features that our reader knows, or that ask nothing of whoever reads a table's present rows: what is to be
/// minded before files are removed is for those who remove them, and widened types are read as what they are now.
const READ: [&str; 7] = [
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    "typeWidening",
    "typeWidening-preview",
    "v2Checkpoint",
    VACUUM_CHECK,
];
/// Features that our writer knows, or that ask nothing of a table without what they are about:
/// such columns and conditions are looked for before anything is written.
const WRITTEN: [&str; 11] = [
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "columnMapping",
    "deletionVectors",
    "generatedColumns",
    "identityColumns",
    "invariants",
    "timestampNtz",
    "v2Checkpoint",
    VACUUM_CHECK,
];
/// Files are removed only by those who could write the table.
const VACUUM_CHECK: &str = "vacuumProtocolCheck";

/// The oldest protocol that has what we write: everybody can read it.
pub(super) fn protocol(changes: bool, vectors: bool) -> Value {
    match (changes, vectors) {
        (false, false) => json!({ "minReaderVersion": 1, "minWriterVersion": 2 }),
        // Version 4 stands for change data, among what we do not use.
        (true, false) => json!({ "minReaderVersion": 1, "minWriterVersion": 4 }),
        (_, true) => {
            let mut features = vec!["appendOnly", "deletionVectors", "invariants"];
            if changes {
                features.insert(1, "changeDataFeed");
            }
            json!({
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": ["deletionVectors"],
                "writerFeatures": features,
            })
        }
    }
}

/// The protocol that a table needs in addition to its own to have what is asked for; `None` if it has it.
pub(super) fn raised(own: &Protocol, changes: bool, vectors: bool) -> Result<Option<Value>, serde_json::Error> {
    let own = serde_json::to_value(own)?;
    let version = |key: &str| own.get(key).and_then(Value::as_i64).unwrap_or(0);
    let (reader, writer) = (version("minReaderVersion"), version("minWriterVersion"));
    if writer < 7 && !vectors {
        let raised = json!({ "minReaderVersion": reader, "minWriterVersion": writer.max(4) });
        return Ok((changes && writer < 4).then_some(raised));
    }
    let mut read = features(&own, "readerFeatures", reader >= 3, legacy_reader(reader));
    let mut written = features(&own, "writerFeatures", writer >= 7, legacy_writer(writer));
    let before = (read.len(), written.len(), reader, writer);
    let add = |features: &mut Vec<String>, feature: &str| {
        if !features.iter().any(|own| own == feature) {
            features.push(feature.to_owned());
        }
    };
    if changes {
        add(&mut written, "changeDataFeed");
    }
    if vectors {
        add(&mut read, "deletionVectors");
        add(&mut written, "deletionVectors");
    }
    let reader = if read.is_empty() { reader } else { 3 };
    if before == (read.len(), written.len(), reader, 7) {
        return Ok(None);
    }
    let mut raised = json!({ "minReaderVersion": reader, "minWriterVersion": 7, "writerFeatures": written });
    if reader >= 3 {
        raised["readerFeatures"] = json!(read);
    }
    Ok(Some(raised))
}

/// Refuses a table that our reader does not understand.
pub(super) fn can_read(table: &str, state: &DeltaTableState) -> Result<(), DeltaError> {
    let protocol = as_json(table, state)?;
    let version = protocol.get("minReaderVersion").and_then(Value::as_i64).unwrap_or(0);
    let asked = features(&protocol, "readerFeatures", version >= 3, legacy_reader(version));
    refuse(table, asked, &READ)?;
    if version > 3 {
        return Err(DeltaError::Feature { table: table.to_owned(), feature: format!("reader version {version}") });
    }
    Mapping::of(table, state).map(drop)
}

/// Refuses a table that our writer would harm.
pub(super) fn can_write(table: &str, state: &DeltaTableState) -> Result<(), DeltaError> {
    can_read(table, state)?;
    let protocol = as_json(table, state)?;
    let version = protocol.get("minWriterVersion").and_then(Value::as_i64).unwrap_or(0);
    let asked = features(&protocol, "writerFeatures", version >= 7, legacy_writer(version));
    refuse(table, asked, &WRITTEN)?;
    let refuse = |feature: String| Err(DeltaError::Feature { table: table.to_owned(), feature });
    if version > 7 {
        return refuse(format!("writer version {version}"));
    }
    // Not every writer lists column mapping among the features that a writer must know.
    if Mapping::of(table, state)?.is_some() {
        return refuse("columnMapping".to_owned());
    }
    let settings = state.metadata().configuration();
    if let Some(constraint) = settings.keys().find_map(|key| key.strip_prefix("delta.constraints.")) {
        return refuse(format!("the constraint '{constraint}'"));
    }
    let schema = serde_json::to_value(state.schema()).map_err(|source| DeltaError::Log {
        table: table.to_owned(),
        version: state.version(),
        source,
    })?;
    match constrained("", &schema["fields"]) {
        Some((rule, column)) => refuse(format!("{rule} on column '{column}'")),
        None => Ok(()),
    }
}

/// Rules of columns, by their key in a field's metadata.
const COLUMN_RULES: [(&str, &str); 3] = [
    ("delta.invariants", "an invariant"),
    ("delta.generationExpression", "a generation expression"),
    ("delta.identity.start", "an identity"),
];

/// The first column, at any depth, that has a rule for its values.
fn constrained(above: &str, fields: &Value) -> Option<(&'static str, String)> {
    fields.as_array()?.iter().find_map(|field| {
        let path = format!("{above}{}", field["name"].as_str().unwrap_or_default());
        let rule = COLUMN_RULES.iter().find(|(key, _)| field["metadata"].get(key).is_some());
        match rule {
            Some((_, rule)) => Some((*rule, path)),
            None => constrained_within(&path, &field["type"]),
        }
    })
}

fn constrained_within(path: &str, kind: &Value) -> Option<(&'static str, String)> {
    let inner = |key: &str| constrained_within(path, kind.get(key)?);
    constrained(&format!("{path}."), kind.get("fields").unwrap_or(&Value::Null))
        .or_else(|| inner("elementType"))
        .or_else(|| inner("keyType"))
        .or_else(|| inner("valueType"))
}

/// Refuses to remove files of a table that asks for a writer's knowledge there, if ours has it not.
pub(super) fn can_vacuum(table: &str, state: &DeltaTableState) -> Result<(), DeltaError> {
    let protocol = as_json(table, state)?;
    let asked = features(&protocol, "writerFeatures", true, &[]);
    if asked.iter().any(|feature| feature == VACUUM_CHECK) { can_write(table, state) } else { Ok(()) }
}

/// Whether the table's rows may only be added to.
pub(super) fn is_append_only(state: &DeltaTableState) -> bool {
    is_on(state, "delta.appendOnly")
}

/// Whether a setting of the table is true.
pub(super) fn is_on(state: &DeltaTableState, setting: &str) -> bool {
    state.metadata().configuration().get(setting).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The table's metadata with settings that are true from now on.
pub(super) fn with_settings(
    table: &str,
    metadata: deltalake::kernel::Metadata,
    settings: &[&str],
) -> Result<deltalake::kernel::Metadata, DeltaError> {
    settings.iter().try_fold(metadata, |metadata, setting| {
        metadata
            .add_config_key((*setting).to_owned(), "true".to_owned())
            .map_err(|error| DeltaError::delta("describe", table)(error.into()))
    })
}

fn as_json(table: &str, state: &DeltaTableState) -> Result<Value, DeltaError> {
    serde_json::to_value(state.protocol()).map_err(|source| DeltaError::Log {
        table: table.to_owned(),
        version: state.version(),
        source,
    })
}

fn features(protocol: &Value, key: &str, listed: bool, legacy: &[&str]) -> Vec<String> {
    if !listed {
        return legacy.iter().map(|feature| (*feature).to_owned()).collect();
    }
    let list = protocol.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn legacy_reader(version: i64) -> &'static [&'static str] {
    if version >= 2 { &["columnMapping"] } else { &[] }
}

/// What the writer versions before feature lists stand for.
fn legacy_writer(version: i64) -> &'static [&'static str] {
    const ALL: [&str; 7] = [
        "appendOnly",
        "invariants",
        "checkConstraints",
        "changeDataFeed",
        "generatedColumns",
        "columnMapping",
        "identityColumns",
    ];
    match version {
        ..=1 => &[],
        2 => &ALL[..2],
        3 => &ALL[..3],
        4 => &ALL[..5],
        5 => &ALL[..6],
        _ => &ALL,
    }
}

fn refuse(table: &str, asked: Vec<String>, known: &[&str]) -> Result<(), DeltaError> {
    let unknown: Vec<String> = asked.into_iter().filter(|feature| !known.contains(&feature.as_str())).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(DeltaError::Feature { table: table.to_owned(), feature: unknown.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(value: Value) -> Protocol {
        serde_json::from_value(value).expect("a protocol")
    }

    #[test]
    fn only_what_is_asked_for_is_raised() {
        let oldest = own(protocol(false, false));
        assert_eq!(raised(&oldest, false, false).expect("json"), None);
        assert_eq!(raised(&oldest, true, false).expect("json"), Some(protocol(true, false)));
        let raised_to = raised(&oldest, true, true).expect("json").expect("raised");
        assert_eq!(raised_to["minReaderVersion"], 3);
        assert_eq!(raised_to["readerFeatures"], json!(["deletionVectors"]));
        assert_eq!(
            raised_to["writerFeatures"],
            json!(["appendOnly", "invariants", "changeDataFeed", "deletionVectors"])
        );
        assert_eq!(raised(&own(raised_to), true, true).expect("json"), None);
        assert_eq!(raised(&own(protocol(true, false)), true, false).expect("json"), None);
        assert_eq!(raised(&own(protocol(false, true)), false, true).expect("json"), None);
    }
}
