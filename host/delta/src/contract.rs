//! Holding rows to a table's contract: what happens when they do not have its columns.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::{Map, Value};

use super::convert::{Conversion, Difference, Kind, Loss};
use super::derive::{self, Derive};
use super::error::DeltaError;
use super::json;
use super::partition;
use super::schema::{check_names, find, merge_struct, table_field};
use super::table::TableOptions;
use sluicebox_core::columns::{SystemColumn, SystemNames, kept_metadata, same_column};
use sluicebox_core::plan::{Contract, Derivation, Derived, Drift, Rule, WriteMode};
use sluicebox_core::reject::RejectCode;
use sluicebox_core::types::Named;

/// A row that the table's contract does not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its index in the batch that was written.
    pub row: usize,
    /// The rule that it breaks.
    pub code: RejectCode,
    /// What is wrong with it, as a sentence with the offending value.
    pub message: String,
}

/// The rules of one table.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) table: String,
    pub(super) contract: Contract,
    /// Values without a place are kept in `_rescued`.
    pub(super) rescues: bool,
    /// The whole table is being written, so a column may take a new type.
    pub(super) retype: bool,
    /// Text that comes as a dictionary may stay one on its way to the file.
    pub(super) keyed: bool,
    /// Columns without which a row cannot be placed: keys and partition columns.
    pub(super) required: Vec<String>,
    /// Columns that decide which row gives way to which, and those that they are made from: none of their values
    /// may become another, or null, on the way.
    deciding: Vec<String>,
    /// The partition columns, and whether each is a part of the key.
    partitions: Vec<(String, bool)>,
    /// Columns whose values are compared, which dictionaries would only make slower.
    plain: Vec<String>,
    /// Columns that are made from others.
    derive: Vec<Derived>,
    /// Columns that are made from others which the table does not keep, as sums do not.
    pub(super) ahead: Vec<Derived>,
    /// What the pipeline calls the host's own columns.
    system: SystemNames,
}

impl Rules {
    pub(super) fn new(options: &TableOptions, partition_by: &[String]) -> Self {
        let derived = |column: &String| options.derive.iter().any(|derived| same_column(&derived.column, column));
        let sums = matches!(options.mode, WriteMode::Accumulate { .. });
        let placing = options.mode.key().iter().chain(partition_by);
        let mut plain: Vec<String> = placing.clone().chain(&options.layout.sort_by).cloned().collect();
        plain.extend(options.derive.iter().map(|derived| derived.from.clone()));
        for expectation in &options.expect {
            plain.push(expectation.column.clone());
            plain.extend(expectation.rules.iter().flat_map(Rule::columns).cloned());
        }
        let mut deciding: Vec<String> = placing.clone().cloned().collect();
        if let WriteMode::Upsert { order_by: Some(column), .. } = &options.mode {
            deciding.push(column.clone());
        }
        let made = options.derive.iter().filter(|derived| is_among(&deciding, &derived.column));
        let made: Vec<String> = made.map(|derived| derived.from.clone()).collect();
        deciding.extend(made);
        let partition = |column: &String| (column.clone(), is_among(options.mode.key(), column));
        Self {
            table: options.name.clone(),
            deciding,
            partitions: partition_by.iter().map(partition).collect(),
            contract: options.contract,
            rescues: options.rescues,
            retype: options.mode == WriteMode::Overwrite,
            keyed: matches!(options.mode, WriteMode::Append | WriteMode::Overwrite),
            required: placing.filter(|column| !derived(column)).cloned().collect(),
            plain,
            derive: if sums { Vec::new() } else { options.derive.clone() },
            ahead: if sums { options.derive.clone() } else { Vec::new() },
            system: options.system.clone(),
        }
    }
}

impl Rules {
    /// How the column `field` of a table of `fields` is made.
    fn derived(&self, derived: &Derived, field: &Field, fields: &[Arc<Field>]) -> Result<Take, DeltaError> {
        let table = || self.table.clone();
        let from = fields.iter().position(|other| same_column(other.name(), &derived.from));
        let from = from.ok_or_else(|| DeltaError::NoSuchColumn {
            table: table(),
            column: derived.from.clone(),
            role: "derive",
        })?;
        if !derived.by.takes(fields[from].data_type()) {
            return Err(DeltaError::DeriveType {
                table: table(),
                column: derived.column.clone(),
                from: derived.from.clone(),
                data_type: fields[from].data_type().clone(),
            });
        }
        let made = derive::field(derived);
        if made.data_type() != field.data_type() {
            return Err(DeltaError::TypeChange {
                table: table(),
                column: derived.column.clone(),
                expected: field.data_type().clone(),
                found: made.data_type().clone(),
            });
        }
        Ok(Take::Derived(from, derived.by))
    }
}

/// How batches of one schema are brought into a table's shape.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    incoming: SchemaRef,
    /// The table's schema after these rows.
    pub(super) schema: SchemaRef,
    /// The same, but with dictionaries where the rows have them.
    shaped: SchemaRef,
    takes: Vec<Take>,
    /// Columns whose values refuse their rows.
    refusing: Vec<usize>,
    /// Columns whose values go to `_rescued`.
    rescued: Vec<usize>,
    /// A column that the rows lack and the contract wants.
    lacking: Option<String>,
    contract: Contract,
    deciding: Vec<String>,
    /// The partition columns, and whether each is a part of the key.
    partitions: Vec<(usize, bool)>,
    keeps_rescued: bool,
    table: String,
}

#[derive(Clone, Debug)]
enum Take {
    /// A column of the rows.
    Column(usize, Conversion),
    /// Null in every row.
    Nothing,
    /// The rescued values, added to those of a column that the rows have.
    Rescued(Option<usize>),
    /// Made from another column of the table.
    Derived(usize, Derivation),
}

impl Shape {
    /// Whether this shape was made for rows of `schema`.
    pub(super) fn is_for(&self, schema: &SchemaRef) -> bool {
        Arc::ptr_eq(&self.incoming, schema) || self.incoming == *schema
    }

    /// The shape for rows of `incoming` in a table of `schema`.
    pub(super) fn new(rules: &Rules, schema: &SchemaRef, incoming: &SchemaRef) -> Result<Self, DeltaError> {
        let table = rules.table.clone();
        let contract = rules.contract;
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        let (mut refusing, mut rescued) = (Vec::new(), Vec::new());
        let (mut rescues, mut lacking) = (false, None);

        for field in incoming.fields() {
            check_names(&table, [field])?;
        }
        for (index, field) in incoming.fields().iter().enumerate() {
            if rules.derive.iter().any(|derived| same_column(&derived.column, field.name())) {
                return Err(DeltaError::DerivedColumn { table, column: field.name().clone() });
            }
            // The rows must not name two columns that the table would hold to be one.
            if incoming.fields()[..index].iter().any(|other| same_column(other.name(), field.name())) {
                return Err(DeltaError::DuplicateColumn { table, column: field.name().clone() });
            }
            let Some(position) = find(schema, field.name()) else {
                // A column without a type holds nothing that could be lost.
                if field.data_type() == &DataType::Null {
                    continue;
                }
                // The host's own columns come and go with the source, not with the contract.
                let own = SystemColumn::of(field).is_some();
                let answer = if own { Drift::Evolve } else { contract.new_column };
                match answer {
                    Drift::Evolve => fields.extend(table_field(field)?),
                    Drift::Freeze => {
                        return Err(DeltaError::NewColumn { table, column: field.name().clone() });
                    }
                    Drift::RejectRow => refusing.push(index),
                    Drift::NullValue => rescued.push(index),
                }
                continue;
            };
            // What the host says of a column is said of it from now on, whatever it was before.
            let said = kept_metadata(field);
            if !said.is_empty() && *fields[position].metadata() != said {
                fields[position] = Arc::new(fields[position].as_ref().clone().with_metadata(said));
            }
            let known = Arc::clone(&fields[position]);
            if contract.new_column == Drift::Evolve
                && let Some(merged) = merge_struct(known.data_type(), field)?
            {
                fields[position] = Arc::new(known.as_ref().clone().with_data_type(merged));
            }
            let (from, to) = (field.data_type(), fields[position].data_type().clone());
            let mut differences = Vec::new();
            Conversion::between(from, &to).differences(known.name(), from, &to, &mut differences);
            let changed = differences.iter().any(|each| matches!(each.kind, Kind::Changed { .. }));
            if changed && contract.type_change == Drift::Evolve && rules.retype {
                if let Some(changed) = table_field(field)? {
                    let data_type = changed.data_type().clone();
                    fields[position] = Arc::new(known.as_ref().clone().with_data_type(data_type).with_nullable(true));
                }
                continue;
            }
            for Difference { path: column, kind } in differences {
                match (kind, contract.new_column, contract.missing_column, contract.type_change) {
                    (Kind::New, Drift::Freeze, ..) => return Err(DeltaError::NewColumn { table, column }),
                    (Kind::New, new, ..) => rescues |= new == Drift::NullValue,
                    (Kind::Missing, _, Drift::Freeze, _) => return Err(DeltaError::MissingColumn { table, column }),
                    (Kind::Missing, _, Drift::RejectRow, _) => lacking = lacking.or(Some(column)),
                    (Kind::Missing, ..) => {}
                    (Kind::Changed { expected, found }, _, _, Drift::Freeze) => {
                        return Err(DeltaError::TypeChange { table, column, expected, found });
                    }
                    (Kind::Changed { .. }, _, _, change) => rescues |= change == Drift::NullValue,
                }
            }
        }

        let rescues = rules.rescues && (!rescued.is_empty() || rescues);
        let there = |schema: &Schema| SystemColumn::Rescued.find(schema).is_some();
        if rescues && !there(schema) && !there(incoming) {
            let field = rules.system.field(SystemColumn::Rescued);
            if fields.iter().any(|other| same_column(other.name(), field.name())) {
                return Err(DeltaError::SystemColumn { table, column: field.name().clone() });
            }
            fields.push(Arc::new(field));
        }

        for derived in &rules.derive {
            if !fields.iter().any(|field| same_column(field.name(), &derived.column)) {
                fields.push(Arc::new(derive::field(derived)));
            }
        }

        let mut shaped = fields.clone();
        let mut takes = Vec::with_capacity(fields.len());
        for field in &fields {
            let found = find(incoming, field.name());
            if let Some(derived) = rules.derive.iter().find(|each| same_column(&each.column, field.name())) {
                takes.push(rules.derived(derived, field, &fields)?);
                continue;
            }
            if rescues && SystemColumn::of(field) == Some(SystemColumn::Rescued) {
                takes.push(Take::Rescued(found));
                continue;
            }
            takes.push(match found {
                Some(index) => {
                    let own = incoming.field(index).data_type();
                    let placed = rules.plain.iter().any(|column| same_column(column, field.name()));
                    if rules.keyed && !placed && is_keyed_text(own) && field.data_type() == &DataType::Utf8 {
                        shaped[takes.len()] = Arc::new(field.as_ref().clone().with_data_type(own.clone()));
                        Take::Column(index, Conversion::Same)
                    } else {
                        Take::Column(index, Conversion::between(own, field.data_type()))
                    }
                }
                None => {
                    let name = field.name();
                    if rules.required.iter().any(|column| same_column(column, name)) {
                        return Err(DeltaError::MissingColumn { table, column: name.clone() });
                    }
                    // The host's own columns come and go with the source, not with the contract.
                    if SystemColumn::of(field).is_none() {
                        match contract.missing_column {
                            Drift::Freeze => {
                                return Err(DeltaError::MissingColumn { table, column: name.clone() });
                            }
                            Drift::RejectRow => lacking = lacking.or_else(|| Some(name.clone())),
                            Drift::Evolve | Drift::NullValue => {}
                        }
                    }
                    Take::Nothing
                }
            });
        }
        let partitions = rules.partitions.iter();
        let place = |name: &str| fields.iter().position(|field| field.name().eq_ignore_ascii_case(name));
        let partitions = partitions.filter_map(|(name, in_key)| Some((place(name)?, *in_key))).collect();
        Ok(Self {
            incoming: Arc::clone(incoming),
            schema: Arc::new(Schema::new(fields)),
            shaped: Arc::new(Schema::new(shaped)),
            takes,
            refusing,
            rescued,
            lacking,
            contract,
            deciding: rules.deciding.clone(),
            partitions,
            keeps_rescued: rescues,
            table,
        })
    }

    /// The rows that the contract lets in, in the table's shape, and those that it does not. Rows of a negative
    /// weight take others away and are not stored.
    pub(super) fn apply(
        &self,
        rows: &RecordBatch,
        weights: Option<&Int64Array>,
    ) -> Result<(RecordBatch, Vec<Refused>), DeltaError> {
        let failed = || DeltaError::arrow("convert rows", &self.table);
        if let Some(column) = &self.lacking {
            let refused = (0..rows.num_rows())
                .map(|row| Refused {
                    row,
                    code: RejectCode::ContractMissingColumn,
                    message: format!("the row lacks column '{column}'"),
                })
                .collect();
            return Ok((RecordBatch::new_empty(Arc::clone(&self.schema)), refused));
        }
        let mut refused: Vec<Refused> = Vec::new();
        let mut saved: Vec<Loss> = Vec::new();
        for index in &self.refusing {
            let name = self.incoming.field(*index).name();
            let column = rows.column(*index);
            for row in present(column) {
                let message =
                    format!("the row has {} in column '{name}', which the table does not have", shown(column, row));
                refused.push(Refused { row, code: RejectCode::ContractNewColumn, message });
            }
        }
        if self.keeps_rescued {
            for index in &self.rescued {
                let path = self.incoming.field(*index).name().clone();
                let values = Arc::clone(rows.column(*index));
                let held = values
                    .logical_nulls()
                    .map_or_else(|| BooleanBuffer::new_set(rows.num_rows()), |nulls| nulls.inner().clone());
                saved.push(Loss { path, kind: Kind::New, rows: held, values });
            }
        }

        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.takes.len());
        for (take, field) in self.takes.iter().zip(self.schema.fields()) {
            match take {
                Take::Column(index, conversion) => {
                    let mut losses = Vec::new();
                    let source = rows.column(*index);
                    columns.push(
                        conversion.apply(field.name(), source, field.data_type(), &mut losses).map_err(failed())?,
                    );
                    for loss in losses {
                        self.answer(loss, &mut refused, &mut saved)?;
                    }
                }
                Take::Nothing => columns.push(new_null_array(field.data_type(), rows.num_rows())),
                // Filled in below, when what it is made from is known.
                Take::Derived(..) => columns.push(new_null_array(field.data_type(), rows.num_rows())),
                Take::Rescued(_) => columns.push(new_null_array(&DataType::Utf8, rows.num_rows())),
            }
        }
        for (index, take) in self.takes.iter().enumerate() {
            match take {
                Take::Rescued(own) => columns[index] = self.rescue(rows, *own, &saved),
                Take::Derived(from, by) => columns[index] = by.apply(&columns[*from]).map_err(failed())?,
                Take::Column(..) | Take::Nothing => {}
            }
        }
        for (field, column) in self.schema.fields().iter().zip(&columns) {
            if !field.is_nullable() && column.logical_null_count() > 0 {
                let nulls = column.logical_nulls();
                let rows = (0..column.len()).filter(|row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(*row)));
                refused.extend(rows.map(|row| Refused {
                    row,
                    code: RejectCode::ContractNotNull,
                    message: format!("column '{}' must not be null", field.name()),
                }));
            }
        }
        for (index, in_key) in &self.partitions {
            let unwritable = partition::unwritable(&columns[*index]);
            if unwritable.is_empty() {
                continue;
            }
            // What takes a row away does not say where that lies, unless it is by the key.
            let stored = |row: &usize| *in_key || weights.is_none_or(|weights| weights.value(*row) >= 0);
            for row in unwritable.iter().copied().filter(stored) {
                let (name, value) = (self.schema.field(*index).name(), shown(&columns[*index], row));
                let message = format!("column '{name}' holds {value}, which no partition of a Delta table can be of");
                refused.push(Refused { row, code: RejectCode::PartitionValue, message });
            }
            let mut lost = vec![false; rows.num_rows()];
            unwritable.iter().for_each(|row| lost[*row] = true);
            let lost = BooleanArray::from(lost);
            columns[*index] = arrow_select::nullif::nullif(&columns[*index], &lost).map_err(failed())?;
        }
        refused.sort_by_key(|refused| refused.row);
        refused.dedup_by_key(|refused| refused.row);
        let shaped = if refused.is_empty() {
            RecordBatch::try_new(Arc::clone(&self.shaped), columns).map_err(failed())?
        } else {
            let mut keep = vec![true; rows.num_rows()];
            refused.iter().for_each(|refused| keep[refused.row] = false);
            let keep = BooleanArray::from(keep);
            let columns = columns
                .iter()
                .map(|column| arrow_select::filter::filter(column, &keep))
                .collect::<Result<Vec<_>, _>>()
                .map_err(failed())?;
            RecordBatch::try_new(Arc::clone(&self.shaped), columns).map_err(failed())?
        };
        Ok((shaped, refused))
    }

    /// What the contract says to values without a place.
    fn answer(&self, loss: Loss, refused: &mut Vec<Refused>, saved: &mut Vec<Loss>) -> Result<(), DeltaError> {
        let (table, column) = (self.table.clone(), loss.path.clone());
        let (drift, code, fault) = match &loss.kind {
            Kind::Changed { expected, .. } => {
                (self.contract.type_change, RejectCode::ContractTypeChange, format!("which is no {}", Named(expected)))
            }
            Kind::New | Kind::Missing => {
                (self.contract.new_column, RejectCode::ContractNewColumn, "which the table does not have".to_owned())
            }
        };
        // A key that is null instead of what it was would be another row's.
        let drift =
            if drift == Drift::NullValue && is_among(&self.deciding, &column) { Drift::RejectRow } else { drift };
        match (drift, loss.kind.clone()) {
            (Drift::NullValue, _) => saved.push(loss),
            (Drift::RejectRow, _) => refused.extend(loss.rows.set_indices().map(|row| {
                let value = shown(&loss.values, row);
                Refused { row, code, message: format!("column '{column}' holds {value}, {fault}") }
            })),
            (Drift::Evolve | Drift::Freeze, Kind::Changed { expected, found }) => {
                return Err(DeltaError::TypeChange { table, column, expected, found });
            }
            (Drift::Evolve | Drift::Freeze, _) => return Err(DeltaError::NewColumn { table, column }),
        }
        Ok(())
    }

    /// `_rescued`: per row one JSON object of what has no place, or null.
    fn rescue(&self, rows: &RecordBatch, own: Option<usize>, saved: &[Loss]) -> ArrayRef {
        let own = own.and_then(|index| rows.column(index).as_string_opt::<i32>());
        let mut builder = StringBuilder::new();
        for row in 0..rows.num_rows() {
            let before = own.filter(|own| own.is_valid(row)).map(|own| own.value(row));
            let mut object = Map::new();
            for loss in saved.iter().filter(|loss| loss.rows.value(row)) {
                object.insert(loss.path.clone(), json::value(&loss.values, row));
            }
            if object.is_empty() {
                builder.append_option(before);
                continue;
            }
            // What the source already rescued stays; text that is no object keeps a name of its own.
            match before.map(|text| (text, serde_json::from_str(text))) {
                Some((_, Ok(Value::Object(mut all)))) => {
                    all.extend(object);
                    object = all;
                }
                Some((text, _)) => {
                    object.insert(SystemColumn::Rescued.name().to_owned(), Value::String(text.to_owned()));
                }
                None => {}
            }
            builder.append_value(Value::Object(object).to_string());
        }
        Arc::new(builder.finish())
    }
}

/// Whether a column is among these; names are equal when they differ only in case.
fn is_among(columns: &[String], name: &str) -> bool {
    columns.iter().any(|column| column.eq_ignore_ascii_case(name))
}

/// Text as a dictionary with 32-bit keys, as the host's own columns come.
fn is_keyed_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(key, value) => **key == DataType::Int32 && **value == DataType::Utf8,
        _ => false,
    }
}

fn present(column: &ArrayRef) -> Vec<usize> {
    match column.logical_nulls() {
        Some(nulls) => nulls.valid_indices().collect(),
        None => (0..column.len()).collect(),
    }
}

/// A value for a message: at most a line's worth of it.
pub(super) fn shown(column: &ArrayRef, row: usize) -> String {
    const MOST: usize = 80;
    let text = json::value(column, row).to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
