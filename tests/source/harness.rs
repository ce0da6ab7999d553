//! A folder of files and what a source makes of it.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};
use sluicebox_core::batch::{Positions, Reject};
use sluicebox_core::columns::SystemColumn;
use sluicebox_core::left_out::LeftOut;
use sluicebox_core::plan::{
    ChangedFiles, Compression, CsvFormat, Encoding, FileColumns, FilesSpec, Format, Links, SourceKind, SourceSpec,
    Timestamps,
};
use sluicebox_sources::{self as source, FinishedFile, OpenSource, Position, SourceError};
use tokio::runtime::Runtime;

/// One for all tests: hundreds of cases would otherwise start hundreds of threads.
pub static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap());

/// A folder with one source over it.
pub struct Folder {
    pub dir: tempfile::TempDir,
    pub spec: FilesSpec,
}

/// All that a source gave.
#[derive(Default)]
pub struct Read {
    pub batches: Vec<RecordBatch>,
    pub rejects: Vec<Reject>,
    pub finished: Vec<FinishedFile>,
    pub positions: Positions,
    /// The positions of every batch by itself.
    pub steps: Vec<Positions>,
    /// What was left out.
    pub left_out: LeftOut,
}

pub fn csv() -> CsvFormat {
    CsvFormat::default()
}

impl Folder {
    pub fn new(format: Format) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let spec = FilesSpec {
            path: dir.path().display().to_string(),
            glob: vec!["**/*".to_owned()],
            recursive: true,
            links: Links::Inside,
            max_files: FilesSpec::MAX_FILES,
            format,
            compression: Compression::Auto,
            columns: None,
            file_columns: FileColumns::default(),
            keep_files: false,
            changed_files: ChangedFiles::Stop,
            timestamps: Timestamps::Exact,
        };
        Self { dir, spec }
    }

    pub fn csv() -> Self {
        Self::new(Format::Csv(csv()))
    }

    pub fn json() -> Self {
        Self::new(Format::JsonLines { encoding: Encoding::Utf8 })
    }

    pub fn columns(mut self, columns: &[(&str, &str)]) -> Self {
        self.spec.columns = Some(schema(columns));
        self
    }

    pub fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(name, content);
        self
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn source(&self) -> SourceSpec {
        SourceSpec { name: "files".to_owned(), kind: SourceKind::Files(self.spec.clone()), names: Default::default() }
    }

    pub fn open(&self, done: &Positions, known: Option<SchemaRef>) -> Result<Box<dyn source::Source>, SourceError> {
        source::open(OpenSource {
            spec: &self.source(),
            done,
            since: None,
            known,
            contract: None,
            runtime: RUNTIME.handle(),
            follow: false,
        })
    }

    /// Opens with positions that were recorded at `since`.
    pub fn open_since(&self, done: &Positions, since: DateTime<Utc>) -> Result<Box<dyn source::Source>, SourceError> {
        let (spec, since) = (self.source(), Some(since));
        source::open(OpenSource {
            spec: &spec,
            done,
            since,
            known: None,
            contract: None,
            runtime: RUNTIME.handle(),
            follow: false,
        })
    }

    pub fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub fn schema(&self, known: Option<SchemaRef>) -> Result<SchemaRef, SourceError> {
        source::schema(&self.source(), known, RUNTIME.handle())
    }

    pub fn read(&self) -> Read {
        self.try_read(&Positions::default()).unwrap()
    }

    pub fn read_after(&self, done: &Positions) -> Read {
        self.try_read(done).unwrap()
    }

    pub fn try_read(&self, done: &Positions) -> Result<Read, SourceError> {
        self.try_read_known(done, None)
    }

    /// Reads what lands in a table with these columns.
    pub fn try_read_known(&self, done: &Positions, known: Option<SchemaRef>) -> Result<Read, SourceError> {
        let mut source = self.open(done, known)?;
        let mut read = Read::default();
        while let Some(next) = source.next()?.rows() {
            read.positions.merge(&next.batch.positions);
            read.steps.push(next.batch.positions);
            if next.batch.rows.num_rows() > 0 {
                read.batches.push(next.batch.rows);
            }
            read.rejects.extend(next.rejects);
            read.finished.extend(next.finished);
        }
        read.left_out = source.left_out().cloned().unwrap_or_default();
        let progress = source.progress();
        assert_eq!(Some(progress.done), progress.total, "all bytes are counted at the end");
        Ok(read)
    }

    /// What stops the reading.
    pub fn fails(&self) -> SourceError {
        match self.try_read(&Positions::default()) {
            Ok(_) => panic!("the source should have stopped"),
            Err(error) => error,
        }
    }
}

impl Read {
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Every row's own columns as text, `∅` for null.
    pub fn table(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                rows.push((0..batch.num_columns() - 2).map(|at| shown(batch.column(at), row)).collect());
            }
        }
        rows
    }

    /// Lane and position of every row.
    pub fn places(&self) -> Vec<(String, i64)> {
        let mut places = Vec::new();
        for batch in &self.batches {
            let lanes = batch.column_by_name(SystemColumn::Lane.name()).unwrap().as_dictionary::<Int32Type>();
            let positions = batch
                .column_by_name(SystemColumn::Position.name())
                .unwrap()
                .as_primitive::<arrow_array::types::Int64Type>();
            let lane = lanes.values().as_string::<i32>();
            assert_eq!(lane.len(), 1, "a batch has one lane");
            places.extend(positions.values().iter().map(|position| (lane.value(0).to_owned(), *position)));
        }
        places
    }

    /// Position, line, reason and payload of every reject.
    pub fn bad(&self) -> Vec<(i64, u64, &str, String)> {
        self.rejects
            .iter()
            .map(|reject| {
                let payload = String::from_utf8_lossy(&reject.payload).into_owned();
                (reject.position, reject.line.unwrap_or(0), reject.reason.as_str(), payload)
            })
            .collect()
    }

    /// How many bytes the file had that was read to its end.
    pub fn sealed(&self, lane: &str) -> Option<u64> {
        let end = Position::read(self.positions.get(lane)).is_end();
        self.finished.iter().find(|file| end && *file.lane == *lane).map(|file| file.bytes)
    }
}

pub fn shown(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) { "∅".to_owned() } else { array_value_to_string(array, row).unwrap() }
}

/// Every cell of a batch as text.
pub fn cells(rows: &RecordBatch) -> Vec<Vec<String>> {
    (0..rows.num_rows()).map(|row| rows.columns().iter().map(|column| shown(column, row)).collect()).collect()
}

pub fn schema(columns: &[(&str, &str)]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, kind)| {
            let bare = kind.strip_suffix(" not null");
            Field::new(*name, data_type(bare.unwrap_or(kind)), bare.is_none())
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn data_type(kind: &str) -> DataType {
    match kind {
        "string" => DataType::Utf8,
        "binary" => DataType::Binary,
        "bool" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => {
            let (precision, scale) =
                kind.strip_prefix("decimal(").unwrap().strip_suffix(')').unwrap().split_once(',').unwrap();
            DataType::Decimal128(precision.parse().unwrap(), scale.parse().unwrap())
        }
    }
}

/// The shared test data, or a clear word that it is absent.
pub fn data(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SLUICE_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: test data is absent: {} (set SLUICE_DATA)", path.display());
    None
}
