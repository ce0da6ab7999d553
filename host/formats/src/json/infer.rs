//! Columns from a sample of JSON records.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::framing::{Framing, Front};
use super::{depth, object};
use crate::evidence::Numbers;
use crate::limits::{COLUMNS, OBJECT_FIELDS, TYPE_DEPTH};
use crate::{FormatError, SAMPLE_RECORDS};

/// The fields of the first records, in the order in which they first appear. Records that are
/// not objects do not count; they are bad when the file is read.
pub(crate) fn infer(mut records: Framing) -> Result<SchemaRef, FormatError> {
    let mut sample = Sample::default();
    sample.take(&mut records)?;
    sample.schema()
}

/// What was seen of the records' fields.
#[derive(Default)]
pub(super) struct Sample {
    records: usize,
    fields: Object,
}

/// The fields of objects in one place. Names that differ in the case of their letters alone are one
/// field, the first of them, since no table holds both; what the others hold is rescued.
#[derive(Default)]
struct Object {
    fields: Vec<(String, Seen)>,
    places: HashMap<String, usize>,
}

/// What the values of one place were so far.
#[derive(Default)]
enum Seen {
    /// Null, or nothing at all.
    #[default]
    Nothing,
    /// True or false.
    Boolean,
    /// Numbers alone.
    Numbers(Numbers),
    /// Texts, or scalars of several kinds.
    Text,
    /// Lists, with what was in them.
    List(Box<Seen>),
    /// Objects.
    Object(Object),
    /// Lists or objects that no type is made for: too deep, or with the keys of a map.
    Json,
}

/// A list or an object where others were something else.
struct Clash;

impl Sample {
    /// Takes records until there are [`SAMPLE_RECORDS`], or no more.
    pub(super) fn take(&mut self, records: &mut Framing) -> Result<(), FormatError> {
        while self.records < SAMPLE_RECORDS {
            match records.front(SAMPLE_RECORDS - self.records, self.records as u64)? {
                Front::End => break,
                Front::TooLong(..) => {}
                Front::Records(found, bytes, count) => {
                    for line in found {
                        let text = records.text(&line);
                        if depth::too_deep(text) || serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err() {
                            continue;
                        }
                        let Some(fields) = object::fields(text) else { continue };
                        self.records += 1;
                        self.fields.add(fields, 1).map_err(|field| FormatError::Infer { line: line.number, field })?;
                        if self.fields.fields.len() > COLUMNS {
                            return Err(FormatError::Columns { most: COLUMNS });
                        }
                    }
                    records.take(bytes, count);
                }
            }
        }
        Ok(())
    }

    /// The columns.
    pub(super) fn schema(&self) -> Result<SchemaRef, FormatError> {
        let fields = self.fields.fields.iter();
        let fields: Vec<FieldRef> = fields
            .map(|(name, seen)| Arc::new(Field::new(name, seen.kind(1).unwrap_or(DataType::Utf8), true)))
            .collect();
        let columns: usize = fields.iter().map(|field| crate::limits::columns(field.data_type())).sum();
        if columns > COLUMNS {
            return Err(FormatError::Columns { most: COLUMNS });
        }
        Ok(Arc::new(Schema::new(fields)))
    }
}

impl Object {
    /// Takes the fields of one object. Fails with the path of a field that is of another kind than before.
    fn add(&mut self, fields: Vec<(&[u8], &[u8])>, depth: usize) -> Result<(), String> {
        for (at, (key, value)) in fields.into_iter().enumerate() {
            let Some(name) = object::name(key) else { continue };
            // Fields stand in the same order in most records.
            let place = match self.fields.get(at) {
                Some((known, _)) if *known == name => Some(at),
                _ => self.places.get(&name.to_lowercase()).copied(),
            };
            let place = match place {
                Some(place) if self.fields[place].0 == name => place,
                Some(_) => continue,
                None => {
                    self.places.insert(name.to_lowercase(), self.fields.len());
                    self.fields.push((name.into_owned(), Seen::Nothing));
                    self.fields.len() - 1
                }
            };
            let (name, seen) = &mut self.fields[place];
            seen.add(value, depth + 1).map_err(|below| match below {
                Some(path) => format!("{name}.{path}"),
                None => name.clone(),
            })?;
        }
        Ok(())
    }
}

impl Seen {
    /// Takes a value. Fails with the path below it, if there is one, of what is of another kind than before.
    fn add(&mut self, value: &[u8], depth: usize) -> Result<(), Option<String>> {
        let nested = match value.first() {
            Some(b'{') => self.add_object(value, depth),
            Some(b'[') => self.add_list(value, depth),
            Some(b'n') => return Ok(()),
            Some(first) => {
                self.add_scalar(*first, value).map_err(|Clash| None)?;
                return Ok(());
            }
            None => return Ok(()),
        };
        match nested? {
            Ok(()) => Ok(()),
            Err(Clash) => Err(None),
        }
    }

    fn add_object(&mut self, value: &[u8], depth: usize) -> Result<Result<(), Clash>, Option<String>> {
        if matches!(self, Self::Nothing) {
            *self = Self::Object(Object::default());
        }
        let object = match self {
            Self::Object(object) => object,
            Self::Json => return Ok(Ok(())),
            _ => return Ok(Err(Clash)),
        };
        object.add(object::fields(value).unwrap_or_default(), depth).map_err(Some)?;
        if object.fields.len() > OBJECT_FIELDS || depth > TYPE_DEPTH {
            *self = Self::Json;
        }
        Ok(Ok(()))
    }

    fn add_list(&mut self, value: &[u8], depth: usize) -> Result<Result<(), Clash>, Option<String>> {
        if matches!(self, Self::Nothing) {
            *self = Self::List(Box::default());
        }
        let items = match self {
            Self::List(items) => items,
            Self::Json => return Ok(Ok(())),
            _ => return Ok(Err(Clash)),
        };
        for item in object::items(value).unwrap_or_default() {
            items.add(item, depth + 1)?;
        }
        if depth > TYPE_DEPTH {
            *self = Self::Json;
        }
        Ok(Ok(()))
    }

    fn add_scalar(&mut self, first: u8, value: &[u8]) -> Result<(), Clash> {
        *self = match (std::mem::take(self), first) {
            (Self::Nothing | Self::Boolean, b't' | b'f') => Self::Boolean,
            (Self::Nothing, b'-' | b'0'..=b'9') => {
                let mut numbers = Numbers::default();
                numbers.add(value);
                Self::Numbers(numbers)
            }
            (Self::Numbers(mut numbers), b'-' | b'0'..=b'9') => {
                numbers.add(value);
                Self::Numbers(numbers)
            }
            (Self::Nothing | Self::Boolean | Self::Numbers(_) | Self::Text, _) => Self::Text,
            // A column of JSON is text, and takes everything.
            (Self::Json, _) => Self::Json,
            (Self::List(_) | Self::Object(_), _) => return Err(Clash),
        };
        Ok(())
    }

    /// The type that holds all of them; `None` where only text does.
    fn kind(&self, depth: usize) -> Option<DataType> {
        Some(match self {
            Self::Nothing | Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Numbers(numbers) => numbers.kind(),
            Self::List(items) if depth < TYPE_DEPTH => {
                DataType::List(Arc::new(Field::new("item", items.kind(depth + 1)?, true)))
            }
            Self::Object(object) if depth < TYPE_DEPTH && !object.fields.is_empty() => {
                let field = |(name, seen): &(String, Seen)| Some(Field::new(name, seen.kind(depth + 1)?, true));
                let mut fields: Vec<Field> = object.fields.iter().map(field).collect::<Option<_>>()?;
                fields.sort_by(|one, other| one.name().cmp(other.name()));
                DataType::Struct(fields.into())
            }
            Self::List(_) | Self::Object(_) | Self::Json => return None,
        })
    }
}
