//! Generated rows as CSV.

use std::io::Write;

use super::batches;
use crate::format::FormatError;
use crate::format::csv::CsvWriter;
use crate::plan::SimulateSpec;

/// Writes a dataset as CSV (RFC 4180) with a header; two-line addresses are in quotes.
/// `output` should be buffered.
///
/// # Errors
/// The output refuses.
pub fn write_csv(spec: &SimulateSpec, output: impl Write) -> Result<(), FormatError> {
    let mut writer = CsvWriter::new(output);
    for rows in batches(spec, 8_192) {
        writer.write(&rows)?;
    }
    Ok(())
}
