//! What a sample of delimited text says about its columns.

use std::collections::HashMap;

use arrow_array::Array;
use arrow_array::cast::AsArray;

use super::{CsvRows, Known};
use crate::infer::{Budget, InferredColumn, Seen};
use crate::reading::Reading;
use crate::text::Text;
use crate::{FormatError, Rows};
use sluicebox_core::plan::CsvFormat;

/// The columns of several files, as far as they were looked at.
pub(crate) struct CsvSample<'a> {
    format: &'a CsvFormat,
    columns: Vec<(String, Seen)>,
    /// The place of each name in lower case.
    places: HashMap<String, usize>,
    /// Records that were looked at.
    pub(crate) rows: u64,
}

impl<'a> CsvSample<'a> {
    pub(crate) fn new(format: &'a CsvFormat) -> Self {
        Self { format, columns: Vec::new(), places: HashMap::new(), rows: 0 }
    }

    /// Looks at the first records of the file called `name`.
    ///
    /// # Errors
    /// It cannot be read, or its header is none. What was seen of it before counts.
    pub(crate) fn take(&mut self, name: &str, text: Text, budget: Budget) -> Result<(), FormatError> {
        let mut rows = CsvRows::new(text, &self.format.of_file(name), &Known::default(), 0)?;
        let mut places = Vec::with_capacity(rows.schema().fields().len());
        for field in rows.schema().fields() {
            let place = match self.places.get(&field.name().to_lowercase()) {
                Some(place) => *place,
                None => {
                    self.places.insert(field.name().to_lowercase(), self.columns.len());
                    let reading = Reading::new(true, self.format.values.of(field.name()));
                    self.columns.push((field.name().clone(), Seen::new(reading)));
                    self.columns.len() - 1
                }
            };
            places.push(place);
        }
        let (mut records, mut bytes) = (0, 0);
        while records < budget.records
            && bytes < budget.bytes
            && let Some(decoded) = rows.next()?
        {
            let count = decoded.rows.num_rows().min(budget.records - records);
            let numbers = decoded.numbers.to_vec(decoded.rows.num_rows());
            for (array, place) in decoded.rows.columns().iter().zip(&places) {
                let texts = array.as_string::<i32>();
                let seen = &mut self.columns[*place].1;
                for (row, number) in numbers.iter().enumerate().take(count) {
                    if texts.is_null(row) {
                        seen.add_null();
                    } else {
                        seen.add(texts.value(row).as_bytes(), name, *number);
                    }
                }
                bytes += texts.values().len();
            }
            records += count;
            // Bad records count as well, or a file of nothing else would be read to its end.
            records += decoded.bad.len();
            self.rows += count as u64;
        }
        Ok(())
    }

    /// The columns, each with the narrowest type that gives all of its values back.
    pub(crate) fn finish(self) -> Vec<InferredColumn> {
        self.columns.into_iter().map(|(name, seen)| seen.column(&name)).collect()
    }
}

/// The names of a file's columns, in its order.
pub(crate) fn names(text: Text, format: &CsvFormat) -> Result<Vec<String>, FormatError> {
    let rows = CsvRows::new(text, format, &Known::default(), 0)?;
    Ok(rows.schema().fields().iter().map(|field| field.name().clone()).collect())
}
