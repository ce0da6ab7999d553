//! Decodes rejected records from quarantine again, with the present settings of the source.

use std::io::Write;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::SchemaRef;
use tokio::runtime::Handle;

use super::columns::{PathColumns, PathValues};
use super::inference::declared;
use super::{listing, with_columns};
use crate::{Record, Redecoded, SourceError};
use sluicebox_core::batch::Lane;
use sluicebox_core::plan::{Compression, CsvFormat, Demands, Encoding, FilesSpec, Format, Quoting, Timestamps};
use sluicebox_core::reject::RejectCode;
use sluicebox_formats::{self as format, FileSpec, FormatError, Input, LocalFile, Meter, PAYLOAD_BYTES};

/// Why a record whose payload was truncated stays in quarantine.
pub const NOT_WHOLE: &str = "records of this size are not kept whole";

/// Decodes records of one lane. `Ok(Err(why))` if single records of this source cannot be decoded.
pub(crate) fn redecode(
    name: &str,
    spec: &FilesSpec,
    lane: &Lane,
    records: &[Record<'_>],
    (known, demands): (Option<SchemaRef>, Demands),
    runtime: &Handle,
) -> Result<Result<Vec<Redecoded>, String>, SourceError> {
    if records.iter().any(|record| record.bytes.len() >= PAYLOAD_BYTES) {
        return Ok(Err(NOT_WHOLE.to_owned()));
    }
    let (files, _) = listing::list(name, spec, runtime)?;
    let beside = PathColumns::of(spec, &files, known.as_ref());
    let file = files.into_iter().find(|file| file.lane == **lane);
    let values = match beside.values_of(lane, file.as_ref()) {
        Ok(values) => values,
        Err(why) => return Ok(Err(format!("`{lane}` is left out by now: {why}"))),
    };
    let columns = declared(spec, known).map(|columns| beside.without(&columns));
    let mut header = Vec::new();
    let (format, columns) = match &spec.format {
        Format::Parquet | Format::Avro => {
            return Ok(Err("records of Parquet and Avro files cannot be read by themselves".to_owned()));
        }
        Format::JsonLines { .. } => (spec.format.clone(), columns),
        // A record was taken out of its document.
        Format::Json { encoding, .. } => (Format::Json { encoding: *encoding, path: Vec::new() }, columns),
        Format::Csv(csv) => {
            let csv = &csv.of_file(lane);
            let names = match (csv.header, &columns) {
                (true, _) => {
                    // Which field is which is said by the file alone.
                    let Some(file) = &file else {
                        return Ok(Err(format!("the header of `{lane}` is needed, and the file is gone")));
                    };
                    let names = format::csv::names(&file.input(), csv, spec.compression);
                    names.map_err(|source| SourceError::File {
                        name: name.to_owned(),
                        file: file.location(),
                        source: Box::new(source),
                    })?
                }
                (false, Some(columns)) => columns.fields().iter().map(|field| field.name().clone()).collect(),
                (false, None) => return Ok(Err("the file has no header, and no columns are declared".to_owned())),
            };
            if csv.encoding != Encoding::Utf8 && !names.iter().all(|name| name.is_ascii()) {
                return Ok(Err("its header has letters that are not ASCII, in another encoding than UTF-8".to_owned()));
            }
            header = header_line(&names, csv);
            // Only a header stands above the records.
            let alone = CsvFormat { header: true, comment: None, skip_rows: 0, skip_blank: Some(false), ..csv.clone() };
            (Format::Csv(alone), columns)
        }
    };
    let failed = |source| SourceError::File { name: name.to_owned(), file: lane.to_string(), source: Box::new(source) };
    let inferred = spec.columns.is_none();
    let how = How { header, format, columns, inferred, demands, beside, values, timestamps: spec.timestamps };
    let all: Vec<usize> = (0..records.len()).collect();
    let together = decode(&how, lane, records, &all).map_err(failed)?;
    let counted: usize = together.iter().map(|again| again.rows.num_rows() + again.bad.len()).sum();
    if counted == records.len() {
        return Ok(Ok(together));
    }
    // A record with an unclosed quote swallows those after it, so each is read alone.
    let mut apart = Vec::new();
    for index in all {
        let one = decode(&how, lane, records, &[index]).map_err(failed)?;
        let counted: usize = one.iter().map(|again| again.rows.num_rows() + again.bad.len()).sum();
        if counted == 1 {
            apart.extend(one);
        } else {
            let message = format!("the record is {counted} records by now");
            apart.push(Redecoded {
                rows: super::stamp::no_rows(),
                bad: vec![(index, RejectCode::RetryRecords, message)],
            });
        }
    }
    Ok(Ok(apart))
}

/// How single records are decoded.
struct How {
    /// The header line before each.
    header: Vec<u8>,
    format: Format,
    columns: Option<SchemaRef>,
    inferred: bool,
    demands: Demands,
    /// What the rows have beside their own columns.
    beside: PathColumns,
    values: PathValues,
    timestamps: Timestamps,
}

/// A header line of these columns. Names are quoted, so that none is taken for two; where quotes have no meaning,
/// no name has a delimiter but behind an escape.
fn header_line(names: &[String], csv: &CsvFormat) -> Vec<u8> {
    let delimiter = csv.delimiter.unwrap_or(b',');
    let quotes = csv.quoting != Quoting::None;
    let mut line = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            line.push(delimiter);
        }
        line.extend(quotes.then_some(csv.quote));
        for byte in name.bytes() {
            match csv.escape {
                Some(escape) if byte == escape || byte == csv.quote || byte == delimiter => line.push(escape),
                None if quotes && byte == csv.quote => line.push(byte),
                _ => {}
            }
            line.push(byte);
        }
        line.extend(quotes.then_some(csv.quote));
    }
    line.push(b'\n');
    line
}

fn decode(how: &How, lane: &Lane, records: &[Record<'_>], chosen: &[usize]) -> Result<Vec<Redecoded>, FormatError> {
    let mut file = tempfile::NamedTempFile::new().map_err(FormatError::Open)?;
    file.write_all(&how.header).map_err(FormatError::Write)?;
    for index in chosen {
        file.write_all(records[*index].bytes).and_then(|()| file.write_all(b"\n")).map_err(FormatError::Write)?;
    }
    file.flush().map_err(FormatError::Write)?;
    let spec = FileSpec {
        format: &how.format,
        compression: Compression::None,
        columns: how.columns.as_ref(),
        own_types: false,
        inferred: how.inferred,
        demands: how.demands,
        skip: 0,
        timestamps: how.timestamps,
        whole: false,
    };
    let mut rows = format::open(&Input::Local(LocalFile::new(file.path())), &spec, &Meter::default())?;
    let mut found = Vec::new();
    while let Some(decoded) = rows.next()? {
        let numbers = decoded.numbers.to_vec(decoded.rows.num_rows());
        let place = |number: u64| usize::try_from(number).ok().and_then(|number| chosen.get(number)).copied();
        let taken: Option<Vec<usize>> = numbers.into_iter().map(place).collect();
        let bad = decoded.bad.iter().map(|bad| Some((place(bad.record)?, bad.reason, bad.message.clone())));
        // More records than were put in: the caller counts and notices.
        let (Some(taken), Some(bad)) = (taken, bad.collect::<Option<Vec<_>>>()) else { continue };
        let positions: Int64Array = taken.iter().map(|index| records[*index].position).collect();
        let rows: RecordBatch = with_columns(&how.beside.add(decoded.rows, &how.values)?, lane, positions)?;
        found.push(Redecoded { rows, bad });
    }
    Ok(found)
}
