//! What the columns of a source are called in the lake: data by the rules of the pipeline file, the host's own
//! by its prefix, and neither ever by a name of the other.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, FieldRef, Schema, SchemaRef};

use super::fault::PipelineError;
use sluicebox_core::columns::{ColumnName, ORIGIN, SystemColumn, SystemNames, relabelled};
use sluicebox_core::plan::{ColumnNames, HopSpec, Plan, TableSpec, Upstream};

/// Columns that the rows of every source may have besides their data.
const ALWAYS: [SystemColumn; 4] =
    [SystemColumn::Lane, SystemColumn::Position, SystemColumn::IngestedAt, SystemColumn::Rescued];

/// How a hop names the columns that its source gives.
#[derive(Clone, Debug)]
pub struct Landing {
    hop: String,
    system: SystemNames,
    names: ColumnNames,
    /// What the last rows had, and what they landed as: the next ones mostly have the same.
    last: Option<(SchemaRef, SchemaRef)>,
}

impl Landing {
    /// The naming of a hop's source.
    pub fn of(plan: &Plan, hop: &HopSpec) -> Self {
        let names = match &hop.from {
            Upstream::Source(name) => plan.source(name).map(|source| source.names.clone()).unwrap_or_default(),
            Upstream::Table(_) => ColumnNames::default(),
        };
        Self { hop: hop.name.clone(), system: plan.system.clone(), names, last: None }
    }

    /// Rows of the source under the names that they have from now on.
    ///
    /// # Errors
    /// Two columns would have one name.
    pub fn apply(&mut self, rows: RecordBatch) -> Result<RecordBatch, PipelineError> {
        let landed = match &self.last {
            Some((from, to)) if Arc::ptr_eq(from, rows.schema_ref()) || from == rows.schema_ref() => to.clone(),
            _ => {
                let landed = self.schema(rows.schema_ref())?;
                self.last = Some((rows.schema(), landed.clone()));
                landed
            }
        };
        if Arc::ptr_eq(&landed, rows.schema_ref()) {
            return Ok(rows);
        }
        Ok(relabelled(&rows, landed))
    }

    /// The columns of the source, of which the host's own are marked, under the names that they land by.
    ///
    /// # Errors
    /// Two columns would have one name.
    pub fn schema(&self, decoded: &SchemaRef) -> Result<SchemaRef, PipelineError> {
        let own: Vec<String> = decoded
            .fields()
            .iter()
            .filter_map(|field| SystemColumn::of(field))
            .chain(ALWAYS)
            .map(|column| self.system.name(column))
            .collect();
        let mut taken: HashMap<String, &str> = HashMap::new();
        let mut changed = false;
        let mut fields: Vec<FieldRef> = Vec::with_capacity(decoded.fields().len());
        for field in decoded.fields() {
            let name = match SystemColumn::of(field) {
                Some(column) => self.system.name(column),
                None => self.name(field.name(), &own),
            };
            if let Some(other) = taken.insert(ColumnName(&name).key(), field.name()) {
                return Err(PipelineError::Landing {
                    hop: self.hop.clone(),
                    first: other.to_owned(),
                    second: field.name().clone(),
                    name,
                });
            }
            if name == *field.name() {
                fields.push(field.clone());
                continue;
            }
            changed = true;
            let mut metadata = field.metadata().clone();
            if SystemColumn::of(field).is_none() {
                metadata.insert(ORIGIN.to_owned(), field.name().clone());
            }
            fields.push(Arc::new(field.as_ref().clone().with_name(name).with_metadata(metadata)));
        }
        Ok(if changed { Arc::new(Schema::new(fields)) } else { decoded.clone() })
    }

    /// What a data column is called. One that would have a name of the host's own gets `data` before it.
    fn name(&self, origin: &str, own: &[String]) -> String {
        let name = self.names.name(origin);
        if !own.iter().any(|own| ColumnName(own) == ColumnName(&name)) {
            return name;
        }
        if name.starts_with('_') { format!("data{name}") } else { format!("data_{name}") }
    }
}

/// The columns of a table that a source decodes, under the names that the source has for them: all but
/// those that the host adds or derives.
pub fn decoded_columns(schema: &SchemaRef, table: Option<&TableSpec>) -> SchemaRef {
    let derived = table.map_or(&[][..], |table| &table.derive);
    let is_derived = |name: &str| derived.iter().any(|derived| ColumnName(&derived.column) == ColumnName(name));
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .filter(|field| SystemColumn::of(field).is_none() && !is_derived(field.name()))
        .map(|field| {
            let name = field.metadata().get(ORIGIN).unwrap_or_else(|| field.name());
            Field::new(name, field.data_type().clone(), field.is_nullable())
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// The data columns of a source's rows.
pub fn without_system_columns(decoded: &SchemaRef) -> SchemaRef {
    let data = decoded.fields().iter().filter(|field| SystemColumn::of(field).is_none());
    Arc::new(Schema::new(data.cloned().collect::<Vec<_>>()))
}

/// The columns of a source's rows with those that the host adds to them, as a table has them.
pub fn with_system_columns(decoded: &SchemaRef, rescues: bool) -> SchemaRef {
    let (own, mut fields): (Vec<FieldRef>, Vec<FieldRef>) =
        decoded.fields().iter().cloned().partition(|field| SystemColumn::of(field).is_some());
    let has = |column: SystemColumn| own.iter().any(|field| SystemColumn::of(field) == Some(column));
    if rescues && !has(SystemColumn::Rescued) {
        fields.push(Arc::new(SystemColumn::Rescued.field()));
    }
    fields.extend(own);
    fields.extend(SystemColumn::ORIGINS.map(|column| Arc::new(column.field())));
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use arrow_schema::DataType;
    use proptest::prelude::*;

    use super::*;

    fn landing(prefix: &str, names: ColumnNames) -> Landing {
        Landing { hop: "land".to_owned(), system: SystemNames::new(prefix), names, last: None }
    }

    fn decoded(names: &[String]) -> SchemaRef {
        let data: Vec<_> = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
        with_system_columns(&(Arc::new(Schema::new(data)) as SchemaRef), true)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a file calls its columns, none passes for the host's, and each is found again by its own name.
        #[test]
        fn data_is_never_taken_for_the_hosts(
            names in prop::collection::hash_set("_(lane|position|ingested_at|rescued|weight|row|id)|[A-Z][a-z]{0,4}( [A-Za-z]{1,4})?", 1..8),
            prefix in prop::sample::select(vec!["_", "_sb_", "sys_"]),
            snake: bool,
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let landing = landing(prefix, ColumnNames { snake, ..ColumnNames::default() });
            let from = decoded(&names);
            let Ok(landed) = landing.schema(&from) else { return Ok(()) };
            for (before, after) in from.fields().iter().zip(landed.fields()) {
                prop_assert_eq!(SystemColumn::of(before), SystemColumn::of(after));
                match SystemColumn::of(after) {
                    Some(column) => prop_assert_eq!(after.name(), &landing.system.name(column)),
                    None => prop_assert!(ALWAYS.iter().all(|own| landing.system.name(*own) != *after.name())),
                }
            }
            let again = decoded_columns(&landed, None);
            let found: Vec<_> = again.fields().iter().map(|field| field.name().clone()).collect();
            prop_assert_eq!(found, names);
        }
    }

    #[test]
    fn two_columns_never_share_a_name() {
        let landing = landing("_", ColumnNames { snake: true, ..ColumnNames::default() });
        let error = landing.schema(&decoded(&["Order ID".to_owned(), "order_id".to_owned()]));
        assert!(error.is_err_and(|error| error.to_string().contains("Order ID")));
        let error = super::Landing { names: ColumnNames::default(), ..landing };
        assert!(error.schema(&decoded(&["_lane".to_owned(), "data_lane".to_owned()])).is_err());
    }
}
