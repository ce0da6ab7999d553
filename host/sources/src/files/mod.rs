//! Files in a folder, each a lane named by its path.

mod listing;
mod position;
mod redecode;
mod stamp;

use std::collections::VecDeque;

use arrow_schema::SchemaRef;
use tokio::runtime::Handle;

pub(super) use listing::list;
pub use position::Position;
pub use redecode::NOT_WHOLE;
pub(super) use redecode::redecode;
pub(super) use stamp::{no_rows, with_columns};

use self::listing::Listed;
use super::{FinishedFile, Next, OpenSource, Progress, Source, SourceBatch, SourceError, Unit};
use sluicebox_core::batch::{Batch, Lane, Positions, Reject, Stage};
use sluicebox_core::plan::{ChangedFiles, Demands, FilesSpec};
use sluicebox_formats::{self as format, Decoded, FileSpec, FormatError, Meter, Rows};

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
    waiting: VecDeque<(Listed, u64)>,
    open: Option<OpenFile>,
    /// Bytes of finished files, and of all files to read.
    done_bytes: u64,
    total_bytes: u64,
}

struct OpenFile {
    file: Listed,
    lane: Lane,
    rows: Box<dyn Rows>,
    meter: Meter,
    /// The batch after the one returned last, so that the last one is recognised. An error is held here too, so that
    /// rows before it are not lost.
    ahead: Result<Option<Decoded>, FormatError>,
}

impl FileSource {
    /// Lists the folder and skips files that are done.
    pub(super) fn open(request: &OpenSource<'_>, spec: &FilesSpec) -> Result<Self, SourceError> {
        let name = &request.spec.name;
        let mut waiting = VecDeque::new();
        for file in listing::list(name, spec, request.runtime)? {
            match Position::read(request.done.get(&file.name)) {
                // The skipped records must be those that were read. A size proves nothing in the middle of a file,
                // but a file that was not written to since is the same.
                Position::Records(done)
                    if done > 0
                        && spec.changed_files == ChangedFiles::Stop
                        && request.since.is_some_and(|since| file.modified > since) =>
                {
                    return Err(SourceError::ChangedWithin { name: name.clone(), file: file.location, records: done });
                }
                Position::Records(done) => waiting.push_back((file, done)),
                Position::Sealed(before) if before == file.bytes => {}
                Position::Sealed(before) => match spec.changed_files {
                    ChangedFiles::Stop => {
                        return Err(SourceError::Changed {
                            name: name.clone(),
                            file: file.location,
                            before,
                            after: file.bytes,
                        });
                    }
                    ChangedFiles::Ignore => {
                        tracing::warn!(
                            source = name,
                            file = file.location,
                            before,
                            after = file.bytes,
                            "changed file ignored"
                        );
                    }
                },
            }
        }
        let columns = declared(spec, request.known.clone());
        let total_bytes = waiting.iter().map(|(file, _)| file.bytes).sum();
        Ok(Self {
            name: name.clone(),
            spec: spec.clone(),
            columns,
            own_types: spec.columns.is_none() && request.contract.is_some(),
            demands: request.demands(),
            waiting,
            open: None,
            done_bytes: 0,
            total_bytes,
        })
    }

    fn failed(&self, file: &Listed, source: FormatError) -> SourceError {
        SourceError::File { name: self.name.clone(), file: file.location.clone(), source: Box::new(source) }
    }

    /// Opens a file and reads its first batch.
    fn begin(&mut self, file: Listed, done: u64) -> Result<OpenFile, SourceError> {
        let lane: Lane = file.name.as_str().into();
        let meter = Meter::default();
        if file.bytes == 0 {
            return Ok(OpenFile { file, lane, rows: Box::new(NoRows), meter, ahead: Ok(None) });
        }
        if self.columns.is_none() {
            let inferred = format::schema(&file.input, &self.spec.format, self.spec.compression);
            let inferred = inferred.map_err(|error| self.failed(&file, error))?;
            // A file without rows says nothing about the columns of later ones.
            self.columns = Some(inferred).filter(|columns| !columns.fields().is_empty());
        }
        let spec = FileSpec {
            format: &self.spec.format,
            compression: self.spec.compression,
            columns: self.columns.as_ref(),
            own_types: self.own_types,
            demands: self.demands,
            skip: done,
        };
        let opened = format::open(&file.input, &spec, &meter).and_then(|mut rows| {
            let ahead = rows.next()?;
            Ok((rows, ahead))
        });
        match opened {
            Ok((rows, ahead)) => Ok(OpenFile { file, lane, rows, meter, ahead: Ok(ahead) }),
            Err(error) => Err(self.failed(&file, error)),
        }
    }
}

impl Source for FileSource {
    fn next(&mut self) -> Result<Next, SourceError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => match self.waiting.pop_front() {
                Some((file, done)) => self.begin(file, done)?,
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
            return Ok(Next::Rows(self.finish(open, batch)));
        };
        open.ahead = open.rows.next();
        let position = Position::Records(decoded.done).to_i64();
        let rejects = decoded.bad.iter().map(|bad| reject(bad, &open.lane)).collect();
        let rows = stamp::stamp(decoded, &open.lane).map_err(|error| self.failed(&open.file, error))?;
        let batch = Batch { rows, positions: Positions::of(open.lane.clone(), position) };
        let batch = SourceBatch { batch, rejects, finished: None };
        if !matches!(open.ahead, Ok(None)) {
            self.open = Some(open);
            return Ok(Next::Rows(batch));
        }
        Ok(Next::Rows(self.finish(open, batch)))
    }

    fn progress(&self) -> Progress {
        let reading = self.open.as_ref().map_or(0, |open| open.meter.bytes().min(open.file.bytes));
        Progress { done: self.done_bytes + reading, total: Some(self.total_bytes), unit: Unit::Bytes }
    }
}

impl FileSource {
    /// Seals the lane with the file's last batch.
    fn finish(&mut self, open: OpenFile, mut batch: SourceBatch) -> SourceBatch {
        // A file that grew after the listing was read to its new end.
        let bytes = open.file.bytes.max(open.meter.bytes());
        self.done_bytes += open.file.bytes;
        batch.batch.positions.advance(open.lane.clone(), Position::Sealed(bytes).to_i64());
        batch.finished = Some(FinishedFile { lane: open.lane, location: open.file.location, bytes });
        batch
    }
}

fn reject(bad: &format::BadRecord, lane: &Lane) -> Reject {
    Reject {
        lane: lane.clone(),
        position: Position::Records(bad.record).to_i64(),
        line: bad.line,
        reason: bad.reason.to_owned(),
        message: bad.message.clone(),
        stage: Stage::Source,
        payload: bad.payload.clone(),
    }
}

fn declared(spec: &FilesSpec, known: Option<SchemaRef>) -> Option<SchemaRef> {
    let columns = spec.columns.clone().or_else(|| known.map(|known| format::without_system_columns(&known)));
    columns.filter(|columns| !columns.fields().is_empty())
}

/// The columns of the source's files.
pub(super) fn schema(
    name: &str,
    spec: &FilesSpec,
    known: Option<SchemaRef>,
    runtime: &Handle,
) -> Result<SchemaRef, SourceError> {
    if let Some(columns) = declared(spec, known) {
        return Ok(columns);
    }
    for file in listing::list(name, spec, runtime)?.into_iter().filter(|file| file.bytes > 0) {
        let inferred = format::schema(&file.input, &spec.format, spec.compression).map_err(|error| {
            SourceError::File { name: name.to_owned(), file: file.location, source: Box::new(error) }
        })?;
        if !inferred.fields().is_empty() {
            return Ok(inferred);
        }
    }
    Err(SourceError::NothingToInfer { name: name.to_owned(), path: spec.path.clone() })
}

/// Reader of an empty file.
struct NoRows;

impl Rows for NoRows {
    fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
        Ok(None)
    }
}
