//! Generated rows as CSV, generated events as lines.

use std::io::{self, Write};
use std::ops::Range;

use super::{Events, batches};
use sluicebox_core::plan::SimulateSpec;
use sluicebox_formats::FormatError;
use sluicebox_formats::csv::CsvWriter;

/// Writes a dataset as CSV (RFC 4180) with a header; two-line addresses are in quotes.
/// `output` should be buffered.
///
/// # Errors
/// Writing to the output fails.
pub fn write_csv(spec: &SimulateSpec, output: impl Write) -> Result<(), FormatError> {
    let mut writer = CsvWriter::new(output);
    for rows in batches(spec, 8_192) {
        writer.write(&rows)?;
    }
    Ok(())
}

/// Writes the events `range` of a dataset, one a line. No event has a line end. `output` should be buffered.
///
/// # Errors
/// Writing to the output fails.
pub fn write_events(spec: &SimulateSpec, range: Range<u64>, mut output: impl Write) -> io::Result<()> {
    for event in Events::of(spec, range).iter() {
        output.write_all(event)?;
        output.write_all(b"\n")?;
    }
    output.flush()
}
