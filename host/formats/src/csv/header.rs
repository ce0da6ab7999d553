//! Which field of the file is which column.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema};

use crate::plain::type_name;
use crate::scalar::readable;
use crate::{FormatError, names};
use sluicebox_core::columns::ColumnName;

/// A column to decode.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// The field in the file, from 0.
    pub(super) field: usize,
    /// Its name and type in the batch.
    pub(super) target: FieldRef,
}

/// The columns of a file whose fields have those names: the declared ones that it has, in
/// their order and under their declared names, then the others as strings.
pub(super) fn columns(file: &[String], declared: Option<&Schema>, header: bool) -> Result<Vec<Column>, FormatError> {
    let declared = declared.map_or(&[][..], |schema| schema.fields());
    let mut columns = Vec::with_capacity(file.len());
    let mut left: Vec<bool> = vec![true; file.len()];
    for target in declared {
        let Some(field) = names::find(file.iter().map(String::as_str), target.name()) else {
            continue;
        };
        if !readable(target.data_type()) {
            return Err(FormatError::UnsupportedType {
                column: target.name().clone(),
                kind: type_name(target.data_type()),
            });
        }
        left[field] = false;
        columns.push(Column { field, target: target.clone() });
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
        columns.push(Column { field, target: Arc::new(Field::new(name, DataType::Utf8, true)) });
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
