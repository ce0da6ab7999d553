//! Columns that a file does not hold but is: of its folders, its name, its time.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow_array::{UInt32Array, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use chrono::NaiveDate;
use percent_encoding::percent_decode_str;
use regex::Regex;

use super::listing::Listed;
use sluicebox_core::plan::{FileFact, FilesSpec, NamePart};
use sluicebox_formats::FormatError;

/// The name that Hive gives to a folder of rows without a value.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// The columns that files have beside their own.
#[derive(Clone, Debug, Default)]
pub(super) struct PathColumns {
    columns: Vec<PathColumn>,
    name: Option<Regex>,
    /// All columns in their order, where they are declared.
    declared: Option<SchemaRef>,
}

#[derive(Clone, Debug)]
struct PathColumn {
    field: FieldRef,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    /// The folder `<key>=…`.
    Folder(String),
    /// A part of the file's name.
    Part(String),
    Fact(FileFact),
}

/// The values that a file has in such columns, each an array of one.
pub(super) type PathValues = Vec<(FieldRef, ArrayRef)>;

impl PathColumns {
    /// The columns of the files of a source. `known` are the columns of the table that they land in.
    pub(super) fn of(spec: &FilesSpec, files: &[Listed], known: Option<&SchemaRef>) -> Self {
        let wanted = &spec.file_columns;
        let types = spec.columns.as_ref().or(known);
        let find = |name: &str| {
            let mut fields = types.into_iter().flat_map(|schema| schema.fields().iter());
            fields.find(|field| field.name().eq_ignore_ascii_case(name)).cloned()
        };
        let mut columns: Vec<PathColumn> = Vec::new();
        let mut add = |field: FieldRef, origin: Origin| {
            if columns.iter().all(|column| !column.field.name().eq_ignore_ascii_case(field.name())) {
                columns.push(PathColumn { field, origin });
            }
        };
        for (name, fact) in &wanted.facts {
            add(Arc::new(Field::new(name, fact_type(*fact), true)), Origin::Fact(*fact));
        }
        for part in wanted.name.iter().flatten() {
            if let NamePart::Column(name) = part {
                let field = find(name).unwrap_or_else(|| Arc::new(Field::new(name, DataType::Utf8, true)));
                add(field, Origin::Part(name.clone()));
            }
        }
        if wanted.hive {
            let keys = folder_keys(files);
            // Who declares columns says which of them there are, and a table that was made without these stays so.
            let open = spec.columns.is_none() && known.is_none_or(|_| keys.keys().any(|key| find(key).is_some()));
            for (key, values) in keys {
                match find(&key) {
                    Some(field) => add(field, Origin::Folder(key)),
                    None if open => add(Arc::new(Field::new(&key, inferred(&values), true)), Origin::Folder(key)),
                    None => {}
                }
            }
        }
        // As they are met on the way to a file. What was asked for by name was added first, since it counts.
        columns.sort_by_key(|column| match column.origin {
            Origin::Folder(_) => 0,
            Origin::Part(_) => 1,
            Origin::Fact(_) => 2,
        });
        Self { columns, name: wanted.name.as_deref().and_then(name_pattern), declared: spec.columns.clone() }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The columns without those that are made here: what a decoder has to look for.
    pub(super) fn without(&self, columns: &SchemaRef) -> SchemaRef {
        if self.is_empty() {
            return columns.clone();
        }
        let own = columns.fields().iter().filter(|field| !self.makes(field.name())).cloned();
        Arc::new(Schema::new(own.collect::<Vec<_>>()))
    }

    /// All columns of rows of which a file has these.
    pub(super) fn with(&self, own: &SchemaRef) -> SchemaRef {
        let made = self.columns.iter().map(|column| column.field.clone());
        Arc::new(Schema::new(self.ordered(own.fields().iter().cloned(), made)))
    }

    /// Of the columns that are made here those that a file has as well, which then count.
    pub(super) fn held_by(&self, own: &SchemaRef) -> Vec<FieldRef> {
        let held = |column: &&PathColumn| has(own, column.field.name());
        self.columns.iter().filter(held).map(|column| column.field.clone()).collect()
    }

    /// The values of a file; or why it has none.
    pub(super) fn values(&self, file: &Listed) -> Result<PathValues, String> {
        self.values_of(&file.lane, Some(file))
    }

    /// The values of a lane of which the file may be gone.
    pub(super) fn values_of(&self, lane: &str, file: Option<&Listed>) -> Result<PathValues, String> {
        let name = lane.rsplit('/').next().unwrap_or(lane);
        let parts = match &self.name {
            None => None,
            Some(pattern) => match pattern.captures(name) {
                Some(parts) => Some(parts),
                None => return Err("its name is not as `file_name` says".to_owned()),
            },
        };
        let folders = folders(lane);
        let value = |column: &PathColumn| {
            let text = match &column.origin {
                Origin::Fact(fact) => return Ok(fact_value(*fact, lane, name, file)),
                Origin::Part(name) => parts.as_ref().and_then(|parts| Some(parts.name(name)?.as_str().to_owned())),
                Origin::Folder(key) => folders
                    .iter()
                    .rev()
                    .find(|(own, _)| own.eq_ignore_ascii_case(key))
                    .and_then(|(_, value)| value.clone()),
            };
            typed(&column.field, text)
        };
        self.columns.iter().map(|column| Ok((column.field.clone(), value(column)?))).collect()
    }

    /// Rows of a file with these values.
    pub(super) fn add(&self, rows: RecordBatch, values: &PathValues) -> Result<RecordBatch, FormatError> {
        let schema = rows.schema();
        let values: Vec<_> = values.iter().filter(|(field, _)| !has(&schema, field.name())).collect();
        if values.is_empty() {
            return Ok(rows);
        }
        let count = rows.num_rows();
        let first = UInt32Array::from(vec![0; count]);
        let mut made = Vec::with_capacity(values.len());
        for (field, value) in values {
            let repeated = arrow_select::take::take(value, &first, None).map_err(FormatError::Rows)?;
            made.push((field.clone(), repeated));
        }
        let own = schema.fields().iter().cloned().zip(rows.columns().iter().cloned());
        let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = self.ordered(own, made.into_iter()).into_iter().unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(FormatError::Rows)
    }

    fn makes(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.field.name().eq_ignore_ascii_case(name))
    }

    /// Columns in the order of the declared ones; others come behind, those of the file first.
    fn ordered<T: Named>(&self, own: impl Iterator<Item = T>, made: impl Iterator<Item = T>) -> Vec<T> {
        let mut all: Vec<T> = own.collect();
        for column in made {
            if all.iter().all(|other| !other.name().eq_ignore_ascii_case(column.name())) {
                all.push(column);
            }
        }
        if let Some(declared) = &self.declared {
            let place = |column: &T| declared.fields().iter().position(|field| field.name() == column.name());
            all.sort_by_key(|column| place(column).unwrap_or(usize::MAX));
        }
        all
    }
}

/// A column, with or without its values.
trait Named {
    fn name(&self) -> &str;
}

impl Named for FieldRef {
    fn name(&self) -> &str {
        Field::name(self)
    }
}

impl Named for (FieldRef, ArrayRef) {
    fn name(&self) -> &str {
        self.0.name()
    }
}

fn has(schema: &SchemaRef, name: &str) -> bool {
    schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name))
}

/// The keys of the folders of a lane with their values, the outermost first.
fn folders(lane: &str) -> Vec<(String, Option<String>)> {
    let folders = lane.rsplit_once('/').map_or("", |(folders, _)| folders);
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let text = |text: &str| percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), Into::into);
        let key = text(key);
        let usable = !key.is_empty() && !key.starts_with('_');
        usable.then(|| (key, (value != NULL_FOLDER).then(|| text(value))))
    };
    folders.split('/').filter_map(pair).collect()
}

/// The keys of all folders in the order in which they stand, each with its values.
fn folder_keys(files: &[Listed]) -> FolderKeys {
    let mut keys = FolderKeys::default();
    let mut last = "";
    for file in files {
        let folder = file.lane.rsplit_once('/').map_or("", |(folder, _)| folder);
        if folder != last {
            last = folder;
            folders(&file.lane).into_iter().for_each(|(key, value)| keys.add(key, value));
        }
    }
    keys
}

/// Keys in the order in which they came, each with the values that it has.
#[derive(Default)]
struct FolderKeys {
    order: Vec<String>,
    values: BTreeMap<String, Vec<String>>,
}

impl FolderKeys {
    fn add(&mut self, key: String, value: Option<String>) {
        let own = self.order.iter().find(|own| own.eq_ignore_ascii_case(&key)).cloned();
        let own = own.unwrap_or_else(|| {
            self.order.push(key.clone());
            key
        });
        self.values.entry(own).or_default().extend(value);
    }

    fn keys(&self) -> impl Iterator<Item = &String> {
        self.order.iter()
    }
}

impl IntoIterator for FolderKeys {
    type Item = (String, Vec<String>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(mut self) -> Self::IntoIter {
        let taken = |key: String| {
            let values = self.values.remove(&key).unwrap_or_default();
            (key, values)
        };
        self.order.into_iter().map(taken).collect::<Vec<_>>().into_iter()
    }
}

/// The type that gives back every one of these texts as it is.
fn inferred(values: &[String]) -> DataType {
    let all = |is: fn(&str) -> bool| !values.is_empty() && values.iter().all(|value| is(value));
    if all(|text| text.parse::<i64>().is_ok_and(|number| number.to_string() == text)) {
        DataType::Int64
    } else if all(|text| text.len() == 10 && text.parse::<NaiveDate>().is_ok_and(|date| date.to_string() == text)) {
        DataType::Date32
    } else {
        DataType::Utf8
    }
}

/// A text as the one value of a column; or why it is none.
fn typed(field: &FieldRef, text: Option<String>) -> Result<ArrayRef, String> {
    let (name, kind) = (field.name(), field.data_type());
    let is_text = *kind == DataType::Utf8;
    let Some(text) = text.filter(|text| is_text || !text.is_empty()) else {
        return match field.is_nullable() {
            true => Ok(new_null_array(kind, 1)),
            false => Err(format!("its path has no value of the column `{name}`")),
        };
    };
    if is_text {
        return Ok(Arc::new(StringArray::from(vec![text])));
    }
    let wrong = || format!("its path has `{text}` for the column `{name}`, whose type is {kind}");
    if let DataType::Decimal128(_, scale) = kind
        && text.split_once('.').is_some_and(|(_, digits)| digits.len() > usize::try_from(*scale).unwrap_or(0))
    {
        return Err(wrong());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let value = cast_with_options(&StringArray::from(vec![text.trim()]), kind, &options).map_err(|_| wrong())?;
    if value.is_null(0) { Err(wrong()) } else { Ok(value) }
}

fn fact_type(fact: FileFact) -> DataType {
    match fact {
        FileFact::Name | FileFact::Path => DataType::Utf8,
        FileFact::Modified => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        FileFact::Size => DataType::Int64,
    }
}

fn fact_value(fact: FileFact, lane: &str, name: &str, file: Option<&Listed>) -> ArrayRef {
    match fact {
        FileFact::Name => Arc::new(StringArray::from(vec![name])),
        FileFact::Path => Arc::new(StringArray::from(vec![lane])),
        FileFact::Modified => {
            let time = file.map(|file| file.modified.timestamp_micros());
            Arc::new(TimestampMicrosecondArray::from(vec![time]).with_timezone("UTC"))
        }
        FileFact::Size => {
            Arc::new(Int64Array::from(vec![file.map(|file| i64::try_from(file.bytes).unwrap_or(i64::MAX))]))
        }
    }
}

/// What names of files have to look like; the plan has looked that it can be built.
fn name_pattern(parts: &[NamePart]) -> Option<Regex> {
    let mut pattern = "^".to_owned();
    for part in parts {
        match part {
            NamePart::Text(text) => pattern.push_str(&regex::escape(text)),
            NamePart::Column(name) => pattern.push_str(&format!("(?P<{name}>.+?)")),
        }
    }
    Regex::new(&format!("(?s){pattern}$")).ok()
}
