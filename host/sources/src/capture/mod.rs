//! Reads files of Event Hubs Capture as the partitions of a hub.
//!
//! A lane is a partition and a position is a sequence number plus one, exactly as for the live
//! hub. A partition's numbers have no holes, and that is what everything here stands on: an event
//! that comes twice is known by its number alone, a file that is late shows as a hole in front of
//! the next one, and the live hub goes on at the very event at which the files end. Where the numbers of a
//! hub that was made anew begin again, the source stops until it is told so.

mod event;
mod handover;
mod layout;
mod partition;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray};
use arrow_schema::{FieldRef, Schema};
use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use self::event::EventColumns;
pub(super) use self::handover::HandOver;
use self::layout::Layout;
use self::partition::{Again, Known, Partition, Segment};
use super::files::{list, with_columns};
use super::kafka::redecode_records;
use super::message_decoder::{self, BodyDecoder};
use super::{Next, OpenSource, Progress, Record, Redecoded, Source, SourceBatch, SourceError, Unit, stream_lane};
use sluicebox_core::batch::{Batch, Lane, Positions, Reject, Stage};
use sluicebox_core::columns::SystemColumn;
use sluicebox_core::left_out::LeftOut;
use sluicebox_core::plan::{
    CaptureFiles, CaptureSpec, ChangedFiles, Compression, Demands, FileColumns, FilesSpec, Format, Gaps, Links,
    Timestamps,
};
use sluicebox_core::redact::redact;
use sluicebox_core::reject::RejectCode;
use sluicebox_formats::{self as format, Decoded, FileSpec, FormatError, Input, Meter, Rows};

/// How many files and folders are looked at: ten years of thirty-two partitions, a file every five minutes.
const MAX_FILES: u64 = 40_000_000;

/// Reads captured files, the oldest first, from all partitions in turn.
///
/// The folder is listed once, when the source is opened.
pub(super) struct CaptureSource {
    name: String,
    spec: CaptureSpec,
    bodies: BodyDecoder,
    partitions: Vec<Partition>,
    open: Option<OpenFile>,
    done_bytes: u64,
    total_bytes: u64,
    /// When the tables were written last.
    since: Option<DateTime<Utc>>,
    left_out: LeftOut,
}

struct OpenFile {
    /// The index of its partition.
    partition: usize,
    segment: Segment,
    rows: Box<dyn Rows>,
    meter: Meter,
}

impl CaptureSource {
    /// Lists the folder and skips what is done.
    pub(super) fn open(request: &OpenSource<'_>, spec: &CaptureSpec) -> Result<Self, SourceError> {
        let name = &request.spec.name;
        let bodies = bodies(name, spec, request.runtime)?.demanding(request.demands());
        let mut partitions = Vec::new();
        let (segments, left_out) = segments(name, &spec.files, request.runtime)?;
        for (lane, files) in segments {
            let known = Known {
                next: request.done.get(&lane),
                since: request.since,
                reset: spec.files.reset,
                overlap: spec.files.overlap,
            };
            partitions.push(Partition::new(name, lane, &known, files)?);
        }
        let total_bytes = partitions.iter().map(Partition::bytes).sum();
        Ok(Self {
            name: name.clone(),
            spec: spec.clone(),
            bodies,
            partitions,
            open: None,
            done_bytes: 0,
            total_bytes,
            since: request.since,
            left_out,
        })
    }

    /// Opens the oldest remaining file of any partition: if one partition were read to its end before the next, all
    /// events of the next would be late.
    fn begin(&mut self) -> Result<Option<OpenFile>, SourceError> {
        let waiting = self.partitions.iter().enumerate();
        let oldest = waiting.filter_map(|(at, partition)| Some((partition.front()?, at))).min();
        let Some((_, at)) = oldest else { return Ok(None) };
        let Some(segment) = self.partitions[at].take_front() else { return Ok(None) };
        let meter = Meter::default();
        let rows = open_file(&segment.input, &meter).map_err(|error| self.failed(&segment, error))?;
        Ok(Some(OpenFile { partition: at, segment, rows, meter }))
    }

    fn failed(&self, segment: &Segment, source: FormatError) -> SourceError {
        SourceError::File { name: self.name.clone(), file: segment.location.clone(), source: Box::new(source) }
    }

    /// The events of a batch that continue their partition; `None` if there are none.
    fn take(&mut self, open: &OpenFile, decoded: &Decoded) -> Result<Option<SourceBatch>, SourceError> {
        let events = EventColumns::of(&decoded.rows).map_err(|column| SourceError::NotCaptured {
            name: self.name.clone(),
            file: open.segment.location.clone(),
            column,
        })?;
        let partition = &mut self.partitions[open.partition];
        let (mut chosen, mut repeated) = (Vec::with_capacity(decoded.rows.num_rows()), 0_u64);
        for row in 0..decoded.rows.num_rows() {
            let sequence = events.sequence(row);
            match partition.next {
                Some(next) if sequence < next => {
                    // What the tables have of this number was taken before they were written.
                    let since = self.since.map(|since| since.timestamp_micros());
                    if let Some(enqueued) = events.enqueued(row).filter(|at| since.is_some_and(|since| *at > since)) {
                        let again = Again { file: open.segment.location.clone(), first: sequence, enqueued };
                        return Err(begun_again(&self.name, partition, &again));
                    }
                    repeated += 1;
                    continue;
                }
                Some(next) if sequence > next => {
                    let (source, lane, file) = (&self.name, &*partition.lane, &open.segment.location);
                    if self.spec.files.gaps == Gaps::Wait {
                        tracing::warn!(
                            source,
                            lane,
                            file,
                            from = next,
                            to = sequence - 1,
                            "events are missing before this file; the partition waits for them"
                        );
                        partition.wait();
                        break;
                    }
                    tracing::warn!(source, lane, file, from = next, to = sequence - 1, "missing events are left out");
                }
                _ => {}
            }
            chosen.push(row);
            partition.next = Some(sequence.saturating_add(1));
        }
        if repeated > 0 {
            tracing::debug!(source = self.name, lane = &*partition.lane, repeated, "events were captured again");
        }
        let Some(position) = partition.next.filter(|_| !chosen.is_empty()) else { return Ok(None) };
        let lane = partition.lane.clone();
        self.batch(&lane, &events, &chosen, position).map(Some)
    }

    /// A batch of events of one lane, with the position after them.
    fn batch(
        &mut self,
        lane: &Lane,
        events: &EventColumns<'_>,
        chosen: &[usize],
        position: i64,
    ) -> Result<SourceBatch, SourceError> {
        let (mut bodies, mut full, mut rejects) = (Vec::with_capacity(chosen.len()), Vec::new(), Vec::new());
        let reject = |row: usize, reason: RejectCode, message: String, payload: &[u8]| Reject {
            lane: lane.clone(),
            position: events.sequence(row),
            line: None,
            reason: reason.into(),
            message,
            stage: Stage::Source,
            payload: payload.to_vec(),
        };
        for row in chosen {
            match events.body(*row) {
                Some(body) => {
                    bodies.push(body);
                    full.push(*row);
                }
                None => rejects.push(reject(*row, RejectCode::CaptureNoBody, "the event has no body".to_owned(), &[])),
            }
        }
        let decoded = self.bodies.decode(lane, &bodies)?;
        for bad in decoded.bad {
            rejects.push(reject(full[bad.at], bad.reason, bad.message, bodies[bad.at]));
        }
        rejects.sort_by_key(|reject| reject.position);
        let taken: Vec<usize> = match decoded.taken {
            None => full,
            Some(taken) => taken.into_iter().map(|at| full[at]).collect(),
        };
        let positions: Int64Array = taken.iter().map(|row| events.sequence(*row)).collect::<Vec<_>>().into();
        let rows = with_envelope(&decoded.rows, events, &taken, self.spec.raw);
        let rows = rows.and_then(|rows| with_columns(&rows, lane, positions));
        let rows = rows.map_err(|error| self.bodies.failed(lane, error))?;
        Ok(SourceBatch {
            batch: Batch { rows, positions: Positions::of(lane.clone(), position) },
            rejects,
            finished: None,
        })
    }
}

impl Source for CaptureSource {
    fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => match self.begin()? {
                    Some(open) => open,
                    None => {
                        let again = self.partitions.iter().find_map(|own| Some((own, own.begins_again()?)));
                        return match again {
                            Some((partition, again)) => Err(begun_again(&self.name, partition, again)),
                            None => Ok(Next::End),
                        };
                    }
                },
            };
            let Some(decoded) = open.rows.next().map_err(|error| self.failed(&open.segment, error))? else {
                self.done_bytes += open.segment.bytes;
                continue;
            };
            let batch = self.take(&open, &decoded)?;
            if self.partitions[open.partition].waits() {
                self.done_bytes += open.segment.bytes;
            } else {
                self.open = Some(open);
            }
            if let Some(batch) = batch {
                return Ok(Next::Rows(batch));
            }
        }
    }

    fn left_out(&self) -> Option<&LeftOut> {
        Some(&self.left_out)
    }

    fn progress(&self) -> Progress {
        let reading = self.open.as_ref().map_or(0, |open| open.meter.bytes().min(open.segment.bytes));
        Progress { done: self.done_bytes + reading, total: Some(self.total_bytes), unit: Unit::Bytes }
    }
}

/// Decodes rejected bodies of one lane again.
pub(super) fn redecode(
    name: &str,
    spec: &CaptureSpec,
    lane: &Lane,
    records: &[Record<'_>],
    demands: Demands,
    runtime: &Handle,
) -> Result<Vec<Redecoded>, SourceError> {
    redecode_records(bodies(name, spec, runtime)?.demanding(demands), spec.raw, lane, records)
}

fn bodies(name: &str, spec: &CaptureSpec, runtime: &Handle) -> Result<BodyDecoder, SourceError> {
    let path = redact(&spec.files.path);
    Ok(BodyDecoder::open(name, &path, &spec.format, &spec.columns, runtime)?.timestamps(spec.timestamps))
}

/// The columns of the rows, without `_lane` and `_position`: those of the live hub.
///
/// # Errors
/// Bodies cannot be decoded into the declared columns.
pub(super) fn schema(name: &str, spec: &CaptureSpec) -> Result<arrow_schema::SchemaRef, SourceError> {
    message_decoder::check(name, &redact(&spec.files.path), &spec.format, &spec.columns)?;
    let mut fields: Vec<FieldRef> = spec.columns.fields().to_vec();
    fields.extend(envelope(spec.raw));
    Ok(Arc::new(Schema::new(fields)))
}

/// The columns of an event besides its body.
fn envelope(raw: bool) -> Vec<FieldRef> {
    let mut columns = vec![SystemColumn::Key, SystemColumn::Headers, SystemColumn::Timestamp];
    if raw {
        columns.push(SystemColumn::Raw);
    }
    columns.into_iter().map(|column| Arc::new(column.field())).collect()
}

/// Adds the columns besides the body to decoded rows.
fn with_envelope(
    rows: &RecordBatch,
    events: &EventColumns<'_>,
    taken: &[usize],
    raw: bool,
) -> Result<RecordBatch, FormatError> {
    let mut keys = BinaryBuilder::with_capacity(taken.len(), 0);
    let mut headers = StringBuilder::with_capacity(taken.len(), 0);
    for row in taken {
        keys.append_option(events.key(*row));
        headers.append_option(events.headers(*row));
    }
    let times: TimestampMicrosecondArray = taken.iter().map(|row| events.enqueued(*row)).collect();
    let mut arrays = rows.columns().to_vec();
    let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
    arrays.extend([Arc::new(keys.finish()) as ArrayRef, Arc::new(headers.finish()), times]);
    if raw {
        let mut bodies = BinaryBuilder::with_capacity(taken.len(), 0);
        taken.iter().for_each(|row| bodies.append_option(events.body(*row)));
        arrays.push(Arc::new(bodies.finish()));
    }
    let mut fields: Vec<FieldRef> = rows.schema().fields().to_vec();
    fields.extend(envelope(raw));
    let options = RecordBatchOptions::new().with_row_count(Some(taken.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(FormatError::Rows)
}

fn open_file(input: &Input, meter: &Meter) -> Result<Box<dyn Rows>, FormatError> {
    let spec = FileSpec {
        format: &Format::Avro,
        compression: Compression::None,
        columns: None,
        own_types: false,
        inferred: false,
        demands: Demands::default(),
        skip: 0,
        timestamps: Timestamps::Exact,
        whole: true,
    };
    format::open(input, &spec, meter)
}

fn begun_again(source: &str, partition: &Partition, again: &Again) -> SourceError {
    SourceError::BegunAgain {
        name: source.to_owned(),
        lane: partition.lane.to_string(),
        file: again.file.clone(),
        first: again.first,
        enqueued: DateTime::from_timestamp_micros(again.enqueued).unwrap_or_default(),
        taken: partition.next.map(|next| next - 1),
    }
}

/// Captured files by their partitions.
type Segments = BTreeMap<Lane, Vec<Segment>>;

/// Every captured file, by its partition, and what was left out.
fn segments(name: &str, spec: &CaptureFiles, runtime: &Handle) -> Result<(Segments, LeftOut), SourceError> {
    let layout = Layout::new(&spec.layout)
        .map_err(|_| SourceError::Layout { name: name.to_owned(), file: redact(&spec.path) })?;
    let files = FilesSpec {
        path: spec.path.clone(),
        glob: vec!["**/*.avro".to_owned()],
        recursive: true,
        links: Links::Inside,
        max_files: MAX_FILES,
        format: Format::Avro,
        compression: Compression::None,
        columns: None,
        file_columns: FileColumns { hive: false, ..FileColumns::default() },
        keep_files: false,
        changed_files: ChangedFiles::Ignore,
        timestamps: Timestamps::Exact,
    };
    let mut found = Segments::new();
    let mut hubs: BTreeMap<String, Option<String>> = BTreeMap::new();
    let (files, left_out) = list(name, &files, runtime)?;
    for file in files {
        let Some(place) = layout.read(&file.lane) else {
            return Err(SourceError::Layout { name: name.to_owned(), file: file.location() });
        };
        let hub = place.hub.or_else(|| spec.hub.clone()).unwrap_or_else(|| name.to_owned());
        // Two hubs with one name would have the same positions.
        let namespace = hubs.entry(hub.clone()).or_insert_with(|| place.namespace.clone());
        if *namespace != place.namespace {
            return Err(SourceError::TwoHubs { name: name.to_owned(), hub, file: file.location() });
        }
        let lane = stream_lane(&hub, &place.partition, spec.reset);
        let segment = Segment {
            time: place.time,
            location: file.location(),
            input: file.input(),
            bytes: file.bytes,
            modified: file.modified,
            name: file.lane,
        };
        found.entry(lane).or_default().push(segment);
    }
    Ok((found, left_out))
}
