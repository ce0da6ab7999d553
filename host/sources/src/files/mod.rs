//! Files in a folder, each a lane named by its path.

mod columns;
mod globs;
mod inference;
mod lane;
mod listing;
mod position;
mod redecode;
mod seal;
mod stamp;
mod waiting;
mod walk;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_schema::{FieldRef, Schema, SchemaRef};

pub(super) use inference::{infer, schema};
pub(super) use listing::list;
pub use position::Position;
pub use redecode::NOT_WHOLE;
pub(super) use redecode::redecode;
pub(super) use stamp::{no_rows, with_columns};

use self::columns::{PathColumns, PathValues};
use self::inference::{declared, inferred, sample};
use self::listing::Listed;
pub use self::seal::Seal;
use self::waiting::{Waiting, what_waits};
use super::{FinishedFile, Next, OpenSource, Progress, Source, SourceBatch, SourceError, Unit};
use sluicebox_core::batch::{Batch, Lane, Positions, Reject, Stage};
use sluicebox_core::left_out::LeftOut;
use sluicebox_core::plan::{Demands, FilesSpec};
use sluicebox_formats::{self as format, Decoded, FileSpec, FormatError, Input, Meter, Rows};

/// Reads the files of a folder one after another, in the order of their names.
///
/// The folder is listed once, when the source is opened. Files that appear later are read by the next run.
pub(super) struct FileSource {
    name: String,
    spec: FilesSpec,
    /// The declared, known or inferred columns.
    columns: Option<SchemaRef>,
    /// The types come from the files and are checked by the table's contract, because none were declared.
    own_types: bool,
    demands: Demands,
    /// The files from which columns are inferred, until they are.
    sample: Vec<Listed>,
    waiting: VecDeque<Waiting>,
    open: Option<OpenFile>,
    /// Columns that files have beside their own.
    beside: PathColumns,
    left_out: LeftOut,
    /// Bytes of the files that are finished, and of all that there were to read.
    done_bytes: u64,
    total_bytes: u64,
}

struct OpenFile {
    file: Listed,
    input: Input,
    lane: Lane,
    rows: Box<dyn Rows>,
    meter: Meter,
    /// What its rows have beside their own columns.
    beside: PathValues,
    /// The batch after the one given out, so that the last one is known to be the last. An error
    /// waits here too, so that what was read before it is not lost.
    ahead: Result<Option<Decoded>, FormatError>,
}

impl FileSource {
    /// Lists the folder and skips files that are done.
    pub(super) fn open(request: &OpenSource<'_>, spec: &FilesSpec) -> Result<Self, SourceError> {
        let name = &request.spec.name;
        let (files, mut left_out) = listing::list(name, spec, request.runtime)?;
        let beside = PathColumns::of(spec, &files, request.known.as_ref());
        let columns = declared(spec, request.known.clone()).map(|columns| beside.without(&columns));
        let columns = columns.filter(|columns| !columns.fields().is_empty());
        let sample = if columns.is_none() { sample(&files) } else { Vec::new() };
        let waiting = what_waits(request, spec, files, &beside, &mut left_out)?;
        let total_bytes = waiting.iter().map(|waiting| waiting.file.bytes).sum();
        Ok(Self {
            name: name.clone(),
            spec: spec.clone(),
            columns,
            own_types: spec.columns.is_none() && request.contract.is_some(),
            demands: request.demands(),
            sample,
            waiting,
            open: None,
            beside,
            left_out,
            done_bytes: 0,
            total_bytes,
        })
    }

    fn failed(&self, file: &Listed, source: FormatError) -> SourceError {
        SourceError::File { name: self.name.clone(), file: file.location(), source: Box::new(source) }
    }

    /// Begins with the next file that may be read, if there is one.
    fn begin_next(&mut self) -> Result<Option<OpenFile>, SourceError> {
        while let Some(waiting) = self.waiting.pop_front() {
            let (name, bytes) = (waiting.file.lane.clone(), waiting.file.bytes);
            match self.begin(waiting) {
                Ok(open) => return Ok(Some(open)),
                // Its turn comes when it may be read; the others need not wait for that.
                Err(error) if error.is_forbidden() => {
                    self.left_out.add(name, "it may not be read by the user of this program");
                    self.total_bytes -= bytes;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Begins with a file and reads its first batch.
    fn begin(&mut self, waiting: Waiting) -> Result<OpenFile, SourceError> {
        let Waiting { file, lane, done, beside } = waiting;
        let (meter, input) = (Meter::default(), file.input());
        if file.bytes == 0 {
            return Ok(OpenFile { file, input, lane, rows: Box::new(NoRows), meter, beside, ahead: Ok(None) });
        }
        if self.columns.is_none() {
            let inferred = inferred(&file, &self.sample, &self.spec);
            let inferred = inferred.map_err(|(file, error)| self.failed(&file, error))?;
            // A file without rows says nothing about the columns of later ones.
            let columns = inferred.map(|inferred| self.beside.without(&inferred));
            self.columns = columns.filter(|columns| !columns.fields().is_empty());
        }
        let name = &file.lane;
        let (rows, ahead) =
            self.open_rows(&input, name, &meter, done, &[]).map_err(|error| self.failed(&file, error))?;
        let held = ahead.as_ref().map_or_else(Vec::new, |first| self.beside.held_by(&first.rows.schema()));
        if held.is_empty() || self.columns.is_none() {
            return Ok(OpenFile { file, input, lane, rows, meter, beside, ahead: Ok(ahead) });
        }
        // What the file itself says counts, and is read as it was declared.
        let meter = Meter::default();
        let (rows, ahead) =
            self.open_rows(&input, name, &meter, done, &held).map_err(|error| self.failed(&file, error))?;
        Ok(OpenFile { file, input, lane, rows, meter, beside, ahead: Ok(ahead) })
    }

    /// Opens a file of that name, of which `held` are declared beside the other columns, and reads its first batch.
    fn open_rows(
        &self,
        input: &Input,
        name: &str,
        meter: &Meter,
        done: u64,
        held: &[FieldRef],
    ) -> Result<(Box<dyn Rows>, Option<Decoded>), FormatError> {
        let columns = self.columns.as_ref().map(|columns| {
            let fields = columns.fields().iter().chain(held).cloned();
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        });
        let format = inference::of_file(&self.spec.format, name);
        let spec = FileSpec {
            format: &format,
            compression: self.spec.compression,
            columns: columns.as_ref(),
            own_types: self.own_types,
            inferred: self.spec.columns.is_none(),
            demands: self.demands,
            skip: done,
            timestamps: self.spec.timestamps,
            whole: true,
        };
        let mut rows = format::open(input, &spec, meter)?;
        let ahead = rows.next()?;
        Ok((rows, ahead))
    }
}

impl Source for FileSource {
    fn next(&mut self) -> Result<Next, SourceError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => match self.begin_next()? {
                Some(open) => open,
                None => return Ok(Next::End),
            },
        };
        let decoded = match std::mem::replace(&mut open.ahead, Ok(None)) {
            Ok(decoded) => decoded,
            Err(error) => return Err(self.failed(&open.file, error)),
        };
        let Some(decoded) = decoded else {
            // The file is empty, or done already.
            let batch = SourceBatch {
                batch: Batch { rows: stamp::no_rows(), positions: Positions::default() },
                rejects: Vec::new(),
                finished: None,
            };
            return self.finish(open, batch).map(Next::Rows);
        };
        open.ahead = open.rows.next();
        let position = Position::Records(decoded.done).to_i64();
        let rejects = decoded.bad.iter().map(|bad| reject(bad, &open.lane)).collect();
        let Decoded { rows, numbers, .. } = decoded;
        let rows = self.beside.add(rows, &open.beside).and_then(|rows| stamp::stamp(&rows, numbers, &open.lane));
        let rows = rows.map_err(|error| self.failed(&open.file, error))?;
        let batch = Batch { rows, positions: Positions::of(open.lane.clone(), position) };
        let batch = SourceBatch { batch, rejects, finished: None };
        if !matches!(open.ahead, Ok(None)) {
            self.open = Some(open);
            return Ok(Next::Rows(batch));
        }
        self.finish(open, batch).map(Next::Rows)
    }

    fn left_out(&self) -> Option<&LeftOut> {
        Some(&self.left_out)
    }

    fn progress(&self) -> Progress {
        let reading = self.open.as_ref().map_or(0, |open| open.meter.bytes().min(open.file.bytes));
        Progress { done: self.done_bytes + reading, total: Some(self.total_bytes), unit: Unit::Bytes }
    }
}

impl FileSource {
    /// Seals the lane with the file's last batch.
    fn finish(&mut self, open: OpenFile, mut batch: SourceBatch) -> Result<SourceBatch, SourceError> {
        let OpenFile { file, input, lane, meter, .. } = open;
        let seal = Seal::of(file.look, file.bytes, &input, &meter).map_err(|error| self.failed(&file, error))?;
        self.done_bytes += file.bytes;
        batch.batch.positions.advance(lane.clone(), Position::Sealed(seal).to_i64());
        let (bytes, modified) = (file.bytes, file.modified);
        batch.finished = Some(FinishedFile { lane, location: file.location(), bytes, modified, input });
        Ok(batch)
    }
}

fn reject(bad: &format::BadRecord, lane: &Lane) -> Reject {
    Reject {
        lane: lane.clone(),
        position: Position::Records(bad.record).to_i64(),
        line: bad.line,
        reason: bad.reason.into(),
        message: bad.message.clone(),
        stage: Stage::Source,
        payload: bad.payload.clone(),
    }
}

/// Reader of an empty file.
struct NoRows;

impl Rows for NoRows {
    fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
        Ok(None)
    }
}
