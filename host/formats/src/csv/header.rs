//! Which field of the file is which column.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema};

use crate::FormatError;
use crate::plain::type_name;
use crate::reading::Reading;
use crate::scalar::readable;
use sluicebox_core::columns::ColumnName;
use sluicebox_core::plan::TextValues;

/// A column to decode.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// The field in the file, from 0.
    pub(super) field: usize,
    /// Its name and type in the batch.
    pub(super) target: FieldRef,
    /// How its texts are read.
    pub(super) reading: Reading,
}

/// The names of a file's fields, to be looked up.
struct Names<'a> {
    places: HashMap<&'a str, usize>,
    /// The place of each name in lower case; none where several names are the same but for the case of letters.
    lower: HashMap<String, Option<usize>>,
}

impl<'a> Names<'a> {
    fn new(names: &'a [String]) -> Self {
        let places = names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let mut lower: HashMap<String, Option<usize>> = HashMap::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            lower.entry(name.to_lowercase()).and_modify(|place| *place = None).or_insert(Some(at));
        }
        Self { places, lower }
    }

    /// The same name, or else the only one that differs in the case of its letters alone.
    fn find(&self, wanted: &str) -> Option<usize> {
        self.places.get(wanted).copied().or_else(|| self.lower.get(&wanted.to_lowercase()).copied().flatten())
    }
}

/// The columns of a file whose fields have those names: the declared ones that it has, in
/// their order and under their declared names, then the others as strings.
/// `exact` says that nobody declared them.
pub(super) fn columns(
    file: &[String],
    declared: Option<&Schema>,
    header: bool,
    exact: bool,
    values: &TextValues,
) -> Result<Vec<Column>, FormatError> {
    let names = Names::new(file);
    let declared = declared.map_or(&[][..], |schema| schema.fields());
    let mut columns = Vec::with_capacity(file.len());
    let mut left: Vec<bool> = vec![true; file.len()];
    for target in declared {
        let Some(field) = names.find(target.name()) else {
            continue;
        };
        if !readable(target.data_type()) {
            return Err(FormatError::UnsupportedType {
                column: target.name().clone(),
                kind: type_name(target.data_type()),
            });
        }
        left[field] = false;
        let reading = Reading::new(exact, values.of(target.name()));
        columns.push(Column { field, target: target.clone(), reading });
    }
    if columns.is_empty() && !declared.is_empty() && !file.is_empty() && header {
        let mut header = file.join(",");
        if let Some((at, _)) = header.char_indices().nth(120) {
            header.truncate(at);
            header.push('…');
        }
        return Err(FormatError::ForeignHeader { header });
    }
    for (field, name) in file.iter().enumerate().filter(|(field, _)| left[*field]) {
        let target = Arc::new(Field::new(name, DataType::Utf8, true));
        columns.push(Column { field, target, reading: Reading::default() });
    }
    Ok(columns)
}

/// The header's names, trimmed; each must be there once, and Delta does not tell names apart by case.
pub(super) fn clean(names: Vec<String>) -> Result<Vec<String>, FormatError> {
    let mut seen = HashSet::new();
    let mut clean = Vec::with_capacity(names.len());
    for (at, name) in names.into_iter().enumerate() {
        let name = name.trim_start_matches('\u{feff}').trim();
        let name = if name.is_empty() { counted(at) } else { name.to_owned() };
        if !seen.insert(ColumnName(&name).key()) {
            return Err(FormatError::DuplicateColumn { name });
        }
        clean.push(name);
    }
    Ok(clean)
}

/// Names for a file without a header: the declared ones, then counted ones. A file is as
/// wide as what is declared for it, so that a shorter first record is a bad record.
pub(super) fn counted_names(fields: usize, declared: Option<&Schema>) -> Vec<String> {
    let mut names = declared_names(declared);
    for at in names.len()..fields {
        names.push(counted(at));
    }
    names
}

/// The declared names.
pub(super) fn declared_names(declared: Option<&Schema>) -> Vec<String> {
    declared.map_or_else(Vec::new, |schema| schema.fields().iter().map(|field| field.name().clone()).collect())
}

fn counted(at: usize) -> String {
    format!("column_{}", at + 1)
}
