//! Column mapping: tables whose files know columns by other names than their readers do, or by numbers.
//!
//! Renaming or dropping a column of such a table leaves its files as they are. We read them and do
//! not write them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use deltalake::table::state::DeltaTableState;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use serde_json::Value;

use super::error::DeltaError;
use super::read::DataRef;
use sluicebox_core::columns::SystemColumn;

/// Where a table's property says how columns are mapped.
const MODE: &str = "delta.columnMapping.mode";
/// What a column is called in files.
const PHYSICAL: &str = "delta.columnMapping.physicalName";
/// The number of a column in files.
const ID: &str = "delta.columnMapping.id";

/// What the columns of a table's files are called in the table.
#[derive(Debug)]
pub(super) struct Mapping {
    names: Names,
    by: By,
}

/// How a column of a file is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Name,
    /// By the number that the file gives its fields. What has none is no column of the table.
    Id,
}

/// The columns of a table or struct.
#[derive(Debug, Default)]
struct Names {
    columns: Vec<Mapped>,
    /// By what files call them.
    by_name: HashMap<String, usize>,
    by_id: HashMap<i64, usize>,
}

#[derive(Debug)]
struct Mapped {
    name: String,
    inner: Inner,
}

impl Names {
    /// The column that a field of a file is.
    fn of(&self, field: &Field, by: By) -> Option<&Mapped> {
        let at = match by {
            By::Name => self.by_name.get(field.name())?,
            By::Id => self.by_id.get(&field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()?)?,
        };
        self.columns.get(*at)
    }
}

/// What lies in a column.
#[derive(Debug)]
enum Inner {
    Plain,
    Struct(Names),
    List(Box<Inner>),
    Map(Box<Inner>, Box<Inner>),
}

impl Mapping {
    /// The mapping of a table that has one.
    ///
    /// # Errors
    /// It is of a kind that is not known, or a column has no name or no number for files.
    pub(super) fn of(table: &str, state: &DeltaTableState) -> Result<Option<Self>, DeltaError> {
        let refused = |feature: String| DeltaError::Feature { table: table.to_owned(), feature };
        let by = match state.metadata().configuration().get(MODE).map(String::as_str) {
            None | Some("none") => return Ok(None),
            Some("name") => By::Name,
            Some("id") => By::Id,
            Some(mode) => return Err(refused(format!("columnMapping by {mode}"))),
        };
        let schema = serde_json::to_value(state.schema()).map_err(|source| DeltaError::Log {
            table: table.to_owned(),
            version: state.version(),
            source,
        })?;
        names(&schema["fields"], by)
            .map(|names| Some(Self { names, by }))
            .ok_or_else(|| refused("columnMapping of columns without names or numbers for files".to_owned()))
    }

    /// The table's names for the columns of a file. What the table has dropped gets a name that no
    /// column has.
    pub(super) fn schema(&self, stored: &Schema) -> Schema {
        Schema::new(renamed(stored.fields(), &self.names, self.by))
    }

    /// Rows of a file under the table's names.
    pub(super) fn rows(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let schema: SchemaRef = Arc::new(self.schema(rows.schema_ref()));
        let columns = rows.columns().iter().zip(schema.fields()).map(|(column, field)| with_type(column, field));
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_, _>>()?, &options)
    }

    /// A file as the log describes it, in the table's names. Its bounds go: they are by the names of
    /// files, and a column may be called now what another one was called then.
    pub(super) fn file(&self, file: DataRef) -> DataRef {
        let column = |physical: &str| self.names.columns.get(*self.names.by_name.get(physical)?);
        let name = |physical: String| column(&physical).map_or(physical, |mapped| mapped.name.clone());
        let partition = file.partition.into_iter().map(|(column, value)| (name(column), value)).collect();
        let stats: Option<Value> = file.stats.as_deref().and_then(|stats| serde_json::from_str(stats).ok());
        let rows = stats.map(|stats| serde_json::json!({ "numRecords": stats["numRecords"] }).to_string());
        DataRef { partition, stats: rows, ..file }
    }
}

fn names(fields: &Value, by: By) -> Option<Names> {
    let mut names = Names::default();
    for (at, field) in fields.as_array()?.iter().enumerate() {
        names.by_name.insert(field["metadata"][PHYSICAL].as_str()?.to_owned(), at);
        if by == By::Id {
            names.by_id.insert(field["metadata"][ID].as_i64()?, at);
        }
        names.columns.push(Mapped { name: field["name"].as_str()?.to_owned(), inner: inner(&field["type"], by)? });
    }
    Some(names)
}

fn inner(kind: &Value, by: By) -> Option<Inner> {
    Some(match kind["type"].as_str() {
        Some("struct") => Inner::Struct(names(&kind["fields"], by)?),
        Some("array") => Inner::List(Box::new(inner(&kind["elementType"], by)?)),
        Some("map") => Inner::Map(Box::new(inner(&kind["keyType"], by)?), Box::new(inner(&kind["valueType"], by)?)),
        _ => Inner::Plain,
    })
}

fn renamed(fields: &Fields, names: &Names, by: By) -> Fields {
    let fields = fields.iter().map(|field| match names.of(field, by) {
        Some(mapped) => Arc::new(of_type(field, &mapped.inner, by).with_name(&mapped.name)),
        // What happened to a row is said under the same name in every file.
        None if field.name() == SystemColumn::ChangeType.name() => field.clone(),
        None => Arc::new(field.as_ref().clone().with_name(format!("\0{}", field.name()))),
    });
    fields.collect()
}

fn of_type(field: &FieldRef, inner: &Inner, by: By) -> Field {
    let kind = match (field.data_type(), inner) {
        (DataType::Struct(fields), Inner::Struct(names)) => DataType::Struct(renamed(fields, names, by)),
        (DataType::List(item), Inner::List(inner)) => DataType::List(Arc::new(of_type(item, inner, by))),
        (DataType::Map(entries, sorted), Inner::Map(key, value)) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let fields = [of_type(&fields[0], key, by), of_type(&fields[1], value, by)];
                let entries = entries.as_ref().clone().with_data_type(DataType::Struct(fields.into_iter().collect()));
                DataType::Map(Arc::new(entries), *sorted)
            }
            other => other.clone(),
        },
        (kind, _) => kind.clone(),
    };
    field.as_ref().clone().with_data_type(kind)
}

/// The same values, the fields inside of them under other names.
fn with_type(array: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == field.data_type() {
        return Ok(array.clone());
    }
    Ok(match field.data_type() {
        DataType::Struct(fields) => Arc::new(with_fields(array.as_struct(), fields)?),
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let values = with_type(list.values(), item)?;
            Arc::new(ListArray::try_new(item.clone(), list.offsets().clone(), values, list.nulls().cloned())?)
        }
        DataType::Map(entries, sorted) => {
            let map = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else { return Ok(array.clone()) };
            let values = with_fields(map.entries(), fields)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::try_new(entries.clone(), offsets, values, nulls, *sorted)?)
        }
        _ => array.clone(),
    })
}

fn with_fields(array: &StructArray, fields: &Fields) -> Result<StructArray, ArrowError> {
    let columns = array.columns().iter().zip(fields).map(|(column, field)| with_type(column, field));
    StructArray::try_new(fields.clone(), columns.collect::<Result<_, _>>()?, array.nulls().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int32Array, StringArray};
    use serde_json::json;

    fn mapping(fields: &Value) -> Mapping {
        Mapping { names: names(fields, By::Name).expect("every column has a name for files"), by: By::Name }
    }

    fn field(name: &str, physical: &str, kind: Value) -> Value {
        json!({ "name": name, "type": kind, "nullable": true, "metadata": { PHYSICAL: physical } })
    }

    fn numbers(values: [i32; 2]) -> ArrayRef {
        Arc::new(Int32Array::from(values.to_vec()))
    }

    #[test]
    fn columns_that_changed_names_with_one_another() {
        let mapping = mapping(&json!([field("a", "b", json!("integer")), field("b", "a", json!("integer"))]));
        let rows = RecordBatch::try_from_iter([("a", numbers([1, 2])), ("b", numbers([3, 4]))]).unwrap();
        let rows = mapping.rows(&rows).unwrap();
        assert_eq!(rows.column_by_name("a").unwrap(), &numbers([3, 4]));
        assert_eq!(rows.column_by_name("b").unwrap(), &numbers([1, 2]));
    }

    #[test]
    fn columns_are_told_by_their_numbers_at_every_depth() {
        let numbered = |name: &str, physical: &str, id: i64, kind: Value| {
            let metadata = json!({ PHYSICAL: physical, ID: id });
            json!({ "name": name, "type": kind, "nullable": true, "metadata": metadata })
        };
        let inside = numbered("n", "p", 3, json!("integer"));
        let fields = json!([
            numbered("a", "p1", 1, json!("integer")),
            numbered("s", "p2", 2, json!({ "type": "struct", "fields": [inside] })),
        ]);
        let mapping = Mapping { names: names(&fields, By::Id).unwrap(), by: By::Id };
        let stored = |name: &str, id: i64, kind: DataType| {
            let id = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
            Arc::new(Field::new(name, kind, true).with_metadata(id))
        };
        // A file may call its columns anything, other columns' names among it.
        let child = stored("s", 3, DataType::Int32);
        let inner = Fields::from(vec![child]);
        let schema = Schema::new(vec![
            stored("s", 1, DataType::Int32),
            stored("a", 2, DataType::Struct(inner.clone())),
            Arc::new(Field::new("p1", DataType::Int32, true)),
        ]);
        let structs: ArrayRef = Arc::new(StructArray::new(inner, vec![numbers([3, 4])], None));
        let rows = RecordBatch::try_new(Arc::new(schema), vec![numbers([1, 2]), structs, numbers([5, 6])]).unwrap();
        let rows = mapping.rows(&rows).unwrap();
        assert_eq!(rows.column_by_name("a").unwrap(), &numbers([1, 2]));
        assert_eq!(rows.column_by_name("s").unwrap().as_struct().column_by_name("n").unwrap(), &numbers([3, 4]));
        assert!(names(&json!([field("a", "p1", json!("integer"))]), By::Id).is_none());
    }

    #[test]
    fn a_dropped_column_is_not_taken_for_a_new_one() {
        let mapping = mapping(&json!([field("a", "col-1", json!("integer"))]));
        let rows = RecordBatch::try_from_iter([("a", numbers([1, 2]))]).unwrap();
        assert!(mapping.rows(&rows).unwrap().column_by_name("a").is_none());
    }

    #[test]
    fn names_inside_of_lists_and_structs() {
        let inside = json!({ "type": "struct", "fields": [field("n", "col-2", json!("integer"))] });
        let list = json!({ "type": "array", "elementType": inside, "containsNull": true });
        let mapping = mapping(&json!([field("l", "col-1", list)]));
        let inner = Fields::from(vec![Field::new("col-2", DataType::Int32, true)]);
        let values = StructArray::new(inner.clone(), vec![numbers([7, 8])], None);
        let item = Arc::new(Field::new("element", DataType::Struct(inner), true));
        let offsets = arrow_buffer::OffsetBuffer::new(vec![0, 2].into());
        let list: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(values), None));
        let rows = mapping.rows(&RecordBatch::try_from_iter([("col-1", list)]).unwrap()).unwrap();
        let values = rows.column_by_name("l").unwrap().as_list::<i32>().values().as_struct().clone();
        assert_eq!(values.column_by_name("n").unwrap(), &numbers([7, 8]));
    }

    #[test]
    fn what_the_log_says_of_a_file() {
        let mapping = mapping(&json!([field("day", "col-1", json!("string"))]));
        let file = DataRef {
            path: "f".into(),
            size: 1,
            partition: HashMap::from([("col-1".to_owned(), Some("x".to_owned()))]),
            stats: Some(json!({ "numRecords": 5, "minValues": { "n": 1 } }).to_string()),
            modified: 0,
            vector: None,
            only: None,
        };
        let file = mapping.file(file);
        assert_eq!(file.partition["day"].as_deref(), Some("x"));
        assert_eq!(file.rows(), Some(5));
        assert_eq!(file.stats.as_deref(), Some(r#"{"numRecords":5}"#));
    }

    #[test]
    fn text_stays_text() {
        let mapping = mapping(&json!([field("t", "col-1", json!("string"))]));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let rows = mapping.rows(&RecordBatch::try_from_iter([("col-1", text.clone())]).unwrap()).unwrap();
        assert_eq!(rows.column_by_name("t").unwrap(), &text);
    }
}
