//! Columns from a sample of files, with the evidence.

mod numbers;
mod seen;

use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema, SchemaRef};

pub(crate) use seen::Seen;

use super::csv::CsvSample;
use super::{FormatError, Input, Meter, schema, text};
use crate::guard::guarded;
use sluicebox_core::plan::{Compression, Format};

/// Files of a source that are looked at to infer its columns.
pub const SAMPLE_FILES: usize = 8;

/// Records of them that are looked at, in all.
pub const SAMPLE_RECORDS: usize = 20_000;

/// Bytes of text that are looked at, in all.
const SAMPLE_BYTES: usize = 64 << 20;

/// A file to infer columns from.
#[derive(Clone, Copy, Debug)]
pub struct Sampled<'a> {
    /// Its name.
    pub name: &'a str,
    /// How it is read.
    pub input: &'a Input,
}

/// What a sample says.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The columns, in the order in which files have them.
    pub columns: Vec<InferredColumn>,
    /// Records that were looked at; without any, nothing is said about the types of text.
    pub rows: u64,
    /// The files that were looked at, by their place among those given.
    pub files: Vec<usize>,
}

/// A column, and why it has its type.
#[derive(Clone, Debug)]
pub struct InferredColumn {
    /// Its name and type.
    pub field: FieldRef,
    /// What was seen; `None` where the file says the type itself.
    pub evidence: Option<Evidence>,
}

/// What was seen of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Values that are not null.
    pub values: u64,
    /// Nulls.
    pub nulls: u64,
    /// A few of the values.
    pub examples: Vec<String>,
    /// Sentences that say why the type is no narrower.
    pub against: Vec<String>,
}

/// How much of a file is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Sample {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>()))
    }
}

/// Which of `count` files are looked at: the first, the last and some between, evenly.
pub fn chosen(count: usize) -> Vec<usize> {
    let most = SAMPLE_FILES.min(count);
    (0..most).map(|at| if most == 1 { 0 } else { at * (count - 1) / (most - 1) }).collect()
}

/// The columns of `files`, which are a source's that were [`chosen`], or some of them. A file that says its types is
/// asked alone.
///
/// # Errors
/// The first file cannot be read. Another one that cannot says so when it is its turn.
pub fn infer(files: &[Sampled<'_>], format: &Format, compression: Compression) -> Result<Sample, FormatError> {
    match format {
        Format::Csv(csv) => {
            let mut sample = CsvSample::new(csv);
            let mut read = Vec::new();
            let count = files.len().max(1);
            let budget = Budget { records: SAMPLE_RECORDS / count, bytes: SAMPLE_BYTES / count };
            for (at, file) in files.iter().enumerate() {
                let taken = guarded(0, || {
                    let text = text::open(file.input, compression, csv.encoding, &Meter::default())?;
                    sample.take(file.name, text, budget)
                });
                match taken {
                    Ok(()) => read.push(at),
                    Err(error) if at == 0 => return Err(error),
                    Err(error) => {
                        tracing::debug!(file = file.name, %error, "not looked at for its columns");
                    }
                }
            }
            let rows = sample.rows;
            Ok(Sample { columns: sample.finish(), rows, files: read })
        }
        Format::JsonLines { .. } | Format::Json { .. } | Format::Parquet | Format::Avro => {
            for (at, file) in files.iter().enumerate() {
                let schema = schema(file.input, format, compression)?;
                if !schema.fields().is_empty() {
                    let columns = schema.fields().iter().map(said).collect();
                    return Ok(Sample { columns, rows: 1, files: vec![at] });
                }
            }
            Ok(Sample::default())
        }
    }
}

fn said(field: &FieldRef) -> InferredColumn {
    InferredColumn { field: Arc::new(Field::clone(field)), evidence: None }
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn files_are_chosen_evenly() {
        assert_eq!(chosen(0), [0; 0]);
        assert_eq!(chosen(1), [0]);
        assert_eq!(chosen(3), [0, 1, 2]);
        assert_eq!(chosen(8), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(chosen(1_000), [0, 142, 285, 428, 570, 713, 856, 999]);
    }
}
