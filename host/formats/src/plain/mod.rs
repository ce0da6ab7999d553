//! Types as people name them, and the plain types that the lake carries.
//!
//! A row with a value that its column's declared type does not hold is a bad record, one of
//! its own; only a column of which no value could be cast stops the file.

mod union;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, new_empty_array};
use arrow_cast::display::array_value_to_string;
use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_ord::cmp::not_distinct;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow_select::filter::filter_record_batch;

use self::union::flatten;
pub(super) use self::union::has_union;
use super::csv::excerpt;
use super::{BadRecord, Decoded, FileSpec, FormatError, Numbers, PAYLOAD_BYTES, limits, names, rows_as_json};
use sluicebox_core::columns::unmarked;
use sluicebox_core::plan::Timestamps;
use sluicebox_core::reject::RejectCode;
pub(super) use sluicebox_core::types::type_name;

/// The plain type that holds every value of `kind`: no unsigned numbers, no other units of
/// time than microseconds, no views, dictionaries or large offsets.
pub(super) fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Null | DataType::LargeUtf8 | DataType::Utf8View | DataType::Union(..) => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone.as_ref().map_or("UTC", |_| "UTC").into()))
        }
        DataType::Time32(_) | DataType::Time64(_) => DataType::Utf8,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::FixedSizeList(field, _) => DataType::List(plain_field(field)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    }
}

/// Refuses columns that nothing could be read into without harm.
pub(super) fn check_types(fields: &Fields) -> Result<(), FormatError> {
    if fields.iter().map(|field| limits::columns(field.data_type())).sum::<usize>() > limits::COLUMNS {
        return Err(FormatError::Columns { most: limits::COLUMNS });
    }
    fields.iter().try_for_each(|field| check_type(field, field.name(), 1, false))
}

fn check_type(field: &Field, column: &str, depth: usize, item: bool) -> Result<(), FormatError> {
    let refused = |problem: String| Err(FormatError::Type { column: column.to_owned(), problem });
    let kind = field.data_type();
    if depth > limits::TYPE_DEPTH {
        return refused(format!("has types that lie in each other deeper than {}", limits::TYPE_DEPTH));
    }
    match kind {
        DataType::FixedSizeBinary(bytes) if *bytes as usize > limits::FIXED_BYTES => {
            return refused(format!(
                "has values of {bytes} bytes each, and no more than {} are read",
                limits::FIXED_BYTES
            ));
        }
        kind if item && limits::width(kind) > limits::ITEM_BYTES => {
            return refused(format!("has lists of values that take more than {} bytes each", limits::ITEM_BYTES));
        }
        DataType::List(inner) | DataType::Map(inner, _) if takes_nothing(inner) => {
            return refused(format!("has lists of {}, which take no bytes", type_name(inner.data_type())));
        }
        _ => {}
    }
    match kind {
        DataType::List(inner) | DataType::Map(inner, _) => check_type(inner, column, depth + 1, true),
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check_type(field, column, depth + 1, false)),
        DataType::Union(fields, _) => {
            fields.iter().try_for_each(|(_, field)| check_type(field, column, depth + 1, false))
        }
        _ => Ok(()),
    }
}

/// Whether a value takes no bytes in a file, so that a few bytes could promise billions.
fn takes_nothing(field: &Field) -> bool {
    match field.data_type() {
        DataType::Null | DataType::FixedSizeBinary(0) => true,
        DataType::Struct(fields) => !field.is_nullable() && fields.iter().all(|field| takes_nothing(field)),
        _ => false,
    }
}

/// Refuses names in one place that differ in the case of their letters alone: no table holds both.
fn twins(fields: &[FieldRef], above: &str) -> Result<(), FormatError> {
    let mut known: HashMap<String, &str> = HashMap::new();
    for field in fields {
        let name = format!("{above}{}", field.name());
        if let Some(other) = known.insert(field.name().to_lowercase(), field.name()) {
            return Err(FormatError::Twins { one: format!("{above}{other}"), other: name });
        }
        nested_twins(field.data_type(), &name)?;
    }
    Ok(())
}

fn nested_twins(kind: &DataType, name: &str) -> Result<(), FormatError> {
    match kind {
        DataType::Struct(fields) => twins(fields, &format!("{name}.")),
        DataType::List(item) => nested_twins(item.data_type(), name),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.iter().try_for_each(|field| nested_twins(field.data_type(), name)),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn plain_field(field: &FieldRef) -> FieldRef {
    if is_uuid(field) {
        return Arc::new(Field::new(field.name(), DataType::Utf8, field.is_nullable()));
    }
    // A union may hold a null without saying so itself.
    let nullable = field.is_nullable() || matches!(field.data_type(), DataType::Union(..));
    Arc::new(Field::new(field.name(), plain_type(field.data_type()), nullable))
}

/// Rows with a value that does not fit, each with the code and the message of the first.
pub(super) type Misfits = BTreeMap<usize, (RejectCode, String)>;

/// The codes of records with a value that does not fit its column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Codes {
    /// It is not of the column's type.
    pub(super) kind: RejectCode,
    /// It is null, and the column must not be.
    pub(super) null: RejectCode,
}

/// How a file's columns become the declared ones and plain ones.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    codes: Codes,
    timestamps: Timestamps,
    /// For every column of the result: where it comes from.
    sources: Vec<usize>,
    /// The result.
    pub(super) schema: SchemaRef,
}

impl Plan {
    /// Every column of the file: the declared ones in their order, then the others, as their plain types.
    pub(super) fn new(file: &Schema, declared: Option<&Schema>, codes: Codes) -> Result<Self, FormatError> {
        let nothing = || Self::checked(codes, Vec::new(), Vec::new());
        let Self { mut sources, schema, .. } =
            declared.map_or_else(nothing, |declared| Self::of_declared(file, declared, codes))?;
        let mut fields = schema.fields().to_vec();
        for (source, field) in file.fields().iter().enumerate() {
            if !sources.contains(&source) {
                sources.push(source);
                // A column without a type holds nothing, and fits whatever a table makes of it.
                let untyped = field.data_type() == &DataType::Null;
                fields.push(if untyped { field.clone() } else { plain_field(field) });
            }
        }
        Self::checked(codes, sources, fields)
    }

    /// The columns of a file as they are asked for.
    pub(super) fn of_file(file: &Schema, spec: &FileSpec<'_>, codes: Codes) -> Result<Self, FormatError> {
        let columns = spec.columns.map(AsRef::as_ref);
        match columns.filter(|_| spec.own_types) {
            Some(known) => {
                // A file with none of a table's columns is not one of its files.
                Self::of_declared(file, known, codes)?;
                Self::new(file, None, codes)
            }
            None => Self::new(file, columns, codes),
        }
    }

    /// The declared columns that the file has, in their order, and no others.
    pub(super) fn of_declared(file: &Schema, declared: &Schema, codes: Codes) -> Result<Self, FormatError> {
        let mut sources = Vec::new();
        let mut fields = Vec::new();
        for target in declared.fields() {
            let present = file.fields().iter().map(|field| field.name().as_str());
            let Some(source) = names::find(present, target.name()) else {
                continue;
            };
            sources.push(source);
            fields.push(target.clone());
        }
        if sources.is_empty() && !declared.fields().is_empty() {
            let names: Vec<_> = file.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(FormatError::ForeignHeader { header: names.join(", ") });
        }
        Self::checked(codes, sources, fields)
    }

    /// The columns of the result, as a table would have them before there is a value.
    pub(super) fn inferred(&self) -> SchemaRef {
        Arc::new(Schema::new(self.schema.fields().iter().map(plain_field).collect::<Vec<_>>()))
    }

    fn checked(codes: Codes, sources: Vec<usize>, fields: Vec<FieldRef>) -> Result<Self, FormatError> {
        twins(&fields, "")?;
        // What a file says of its columns in the host's words is not the host's word.
        let schema = unmarked(&Arc::new(Schema::new(fields)));
        Ok(Self { codes, timestamps: Timestamps::Exact, sources, schema })
    }

    /// The same for times of which digits below microseconds are cut off, or not.
    pub(super) fn exact(self, timestamps: Timestamps) -> Self {
        Self { timestamps, ..self }
    }

    /// The first column of the file of which no value can become the declared type, with both.
    pub(super) fn uncastable<'a>(&'a self, file: &'a Schema) -> Option<(&'a Field, &'a Field)> {
        let columns = self.schema.fields().iter().zip(&self.sources);
        let mut columns = columns.map(|(target, source)| (file.field(*source), target.as_ref()));
        columns.find(|(source, target)| {
            source.data_type() != target.data_type() && !castable(&new_empty_array(source.data_type()), target)
        })
    }

    /// Which of the file's columns are used.
    pub(super) fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// The columns of `rows`, which has the file's columns and begins with record `first`, as
    /// planned. A row with a value that does not fit is bad, never null.
    pub(super) fn decode(&self, rows: &RecordBatch, first: u64) -> Result<Decoded, FormatError> {
        self.decode_besides(rows, first, BTreeMap::new())
    }

    /// The same for rows of which some are known to be bad, with code and message.
    pub(super) fn decode_besides(&self, rows: &RecordBatch, first: u64, bad: Misfits) -> Result<Decoded, FormatError> {
        let done = first + rows.num_rows() as u64;
        let known = bad.len();
        let mut misfits = bad;
        match self.apply(rows) {
            Ok(rows) if known == 0 => {
                return Ok(Decoded { rows, numbers: Numbers::From(first), bad: Vec::new(), done });
            }
            Ok(_) => {}
            Err(error) => {
                self.misfits(rows, &mut misfits)?;
                if misfits.len() == known {
                    return Err(error);
                }
            }
        }
        let good: BooleanArray = (0..rows.num_rows()).map(|row| Some(!misfits.contains_key(&row))).collect();
        let kept = filter_record_batch(rows, &good).map_err(FormatError::Rows)?;
        let numbers = (0..rows.num_rows()).filter(|row| good.value(*row)).map(|row| first + row as u64).collect();
        let bad = bad_records(rows, first, misfits);
        Ok(Decoded { rows: self.apply(&kept)?, numbers: Numbers::Each(numbers), bad, done })
    }

    /// The rows with a value that does not fit, each with the code and the message of the first.
    fn misfits(&self, rows: &RecordBatch, misfits: &mut Misfits) -> Result<(), FormatError> {
        for (target, source) in self.schema.fields().iter().zip(&self.sources) {
            let array = rows.column(*source);
            let (name, kind) = (target.name(), type_name(target.data_type()));
            if !target.is_nullable() {
                for row in (0..array.len()).filter(|row| array.is_null(*row)) {
                    let message = format!("column `{name}` must not be null");
                    misfits.entry(row).or_insert((self.codes.null, message));
                }
            }
            match self.to_type(array, target) {
                Ok(_) => continue,
                Err(error) if !castable(array, target) => return Err(error),
                Err(_) => {}
            }
            for row in 0..array.len() {
                let alone = array.slice(row, 1);
                if self.to_type(&alone, target).is_err() {
                    let value = array_value_to_string(array, row).unwrap_or_default();
                    let value = excerpt(value.as_bytes());
                    let message = if self.is_finer(&alone, target) {
                        format!("column `{name}`: microseconds do not hold `{value}`")
                    } else {
                        format!("column `{name}`: `{value}` is not of type {kind}")
                    };
                    misfits.entry(row).or_insert((self.codes.kind, message));
                }
            }
        }
        Ok(())
    }

    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch, FormatError> {
        let mut arrays = Vec::with_capacity(self.sources.len());
        for (target, source) in self.schema.fields().iter().zip(&self.sources) {
            arrays.push(self.to_type(rows.column(*source), target)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map_err(FormatError::Rows)
    }
}

/// Records as JSON objects of the columns that are read, because no format of these has bytes
/// for a single row.
fn bad_records(rows: &RecordBatch, first: u64, misfits: Misfits) -> Vec<BadRecord> {
    let indexes: Vec<usize> = misfits.keys().copied().collect();
    let payloads = flat_json(rows, &indexes);
    let record = |((row, (reason, message)), mut payload): ((usize, (RejectCode, String)), Vec<u8>)| {
        payload.truncate(PAYLOAD_BYTES);
        BadRecord { record: first + row as u64, line: None, reason, message, payload }
    };
    misfits.into_iter().zip(payloads).map(record).collect()
}

/// Some rows as JSON objects, in which unions are text, as they are in tables.
pub(super) fn flat_json(rows: &RecordBatch, indexes: &[usize]) -> Vec<Vec<u8>> {
    // JSON has no unions; what cannot be flattened shows up as unprintable.
    let columns = rows.schema_ref().fields().iter().zip(rows.columns());
    let flat = columns.map(|(field, column)| (field.name(), flatten(column).unwrap_or_else(|_| column.clone()), true));
    let flat = RecordBatch::try_from_iter_with_nullable(flat).unwrap_or_else(|_| rows.clone());
    rows_as_json(&flat, indexes)
}

/// Whether Avro's schema says that it is a UUID, which people write as text.
fn is_uuid(field: &Field) -> bool {
    field.data_type() == &DataType::FixedSizeBinary(16)
        && field.metadata().get("logicalType").is_some_and(|kind| kind == "uuid")
}

/// Sixteen bytes for a column of text can only be meant as a UUID.
fn from_uuids(array: &ArrayRef, target: &Field) -> Option<ArrayRef> {
    let bytes = array.as_fixed_size_binary_opt().filter(|bytes| bytes.value_length() == 16)?;
    if target.data_type() != &DataType::Utf8 {
        return None;
    }
    let text = |value: &[u8]| uuid::Uuid::from_slice(value).ok().map(|uuid| uuid.hyphenated().to_string());
    Some(Arc::new(bytes.iter().map(|value| value.and_then(text)).collect::<StringArray>()))
}

/// Whether some value of the array's type can become one of the target's.
fn castable(array: &ArrayRef, target: &Field) -> bool {
    if from_uuids(array, target).is_some() {
        return true;
    }
    flatten(array).is_ok_and(|array| can_cast_types(array.data_type(), target.data_type()))
}

/// Whether some time in `array` has digits below microseconds.
fn finer(array: &ArrayRef) -> bool {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().iter().flatten().any(|nanos| nanos % 1_000 != 0)
        }
        DataType::Struct(_) => array.as_struct().columns().iter().any(finer),
        DataType::List(item) if has_nanos(item.data_type()) => {
            array.as_list::<i32>().iter().flatten().any(|items| finer(&items))
        }
        DataType::Map(entries, _) if has_nanos(entries.data_type()) => {
            array.as_map().iter().flatten().any(|entries| entries.columns().iter().any(finer))
        }
        _ => false,
    }
}

fn has_nanos(kind: &DataType) -> bool {
    match kind {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_nanos(field.data_type())),
        DataType::List(item) | DataType::Map(item, _) => has_nanos(item.data_type()),
        _ => false,
    }
}

/// Whether a cast may quietly change a value. Nanoseconds that become microseconds are looked at by
/// themselves.
fn rounds(from: &DataType, to: &DataType) -> bool {
    let whole =
        |kind: &DataType| kind.is_integer() || matches!(kind, DataType::Decimal128(..) | DataType::Decimal256(..));
    (from.is_floating() && whole(to))
        || (matches!(from, DataType::Decimal128(..) | DataType::Decimal256(..)) && !matches!(to, DataType::Utf8))
        || (from.is_integer() && to.is_floating())
        || matches!((from, to), (DataType::Float64, DataType::Float32) | (DataType::Timestamp(..), DataType::Date32))
}

impl Plan {
    /// `array` as the target's type.
    fn to_type(&self, array: &ArrayRef, target: &Field) -> Result<ArrayRef, FormatError> {
        if array.data_type() == target.data_type() {
            return Ok(array.clone());
        }
        if let Some(texts) = from_uuids(array, target) {
            return Ok(texts);
        }
        let failed = |source: ArrowError| FormatError::Cast {
            column: target.name().clone(),
            from: type_name(array.data_type()),
            to: type_name(target.data_type()),
            source,
        };
        let array = &flatten(array).map_err(failed)?;
        if self.is_finer(array, target) {
            return Err(failed(ArrowError::CastError("microseconds do not hold all digits of a time".to_owned())));
        }
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let result = cast_with_options(array, target.data_type(), &options).map_err(failed)?;
        if rounds(array.data_type(), target.data_type()) {
            // Such a cast says nothing when it rounds, so that only the way back shows it.
            let back = cast_with_options(&result, array.data_type(), &options).map_err(failed)?;
            let same = not_distinct(array, &back).map_err(failed)?;
            if let Some(row) = (0..same.len()).find(|row| !same.value(*row)) {
                let value = array_value_to_string(array, row).unwrap_or_default();
                return Err(failed(ArrowError::CastError(format!("{value} would be rounded"))));
            }
        }
        Ok(result)
    }

    /// Whether digits of a time would be cut off that nobody said may be.
    fn is_finer(&self, array: &ArrayRef, target: &Field) -> bool {
        self.timestamps == Timestamps::Exact && target.data_type() != &DataType::Utf8 && finer(array)
    }

    /// The same for rows that have only the used columns, in the file's order.
    pub(super) fn compact(mut self) -> Self {
        let mut order: Vec<usize> = self.sources.clone();
        order.sort_unstable();
        for source in &mut self.sources {
            *source = order.partition_point(|other| other < source);
        }
        self
    }
}
