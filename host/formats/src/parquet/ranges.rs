//! Parts of a Parquet file, on this machine or in an object store.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;

use super::thrift::{Broken, Compact, I32};
use crate::limits::PAGE_BYTES;
use crate::{FormatError, Input};

/// A file of which any part can be read.
pub(super) trait Ranges {
    /// Its bytes in all.
    fn size(&self) -> u64;

    /// Some of them.
    fn range(&self, range: Range<u64>) -> Result<Bytes, FormatError>;
}

/// A Parquet file.
pub(super) enum Source {
    /// On this machine.
    Local(Arc<File>, u64),
    /// In an object store.
    Remote(Object),
}

/// One object.
pub(super) struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
    runtime: Handle,
    bytes: u64,
}

impl Source {
    /// Opens `input`.
    pub(super) fn open(input: &Input) -> Result<Self, FormatError> {
        Ok(match input {
            Input::Local(file) => {
                let file = file.open_whole()?;
                let bytes = file.metadata().map_err(FormatError::Open)?.len();
                Self::Local(Arc::new(file), bytes)
            }
            Input::Remote { store, path, runtime } => {
                let bytes = runtime.block_on(store.head(path))?.size;
                Self::Remote(Object { store: store.clone(), path: path.clone(), runtime: runtime.clone(), bytes })
            }
        })
    }

    /// What the pages of some column chunks are read from: of an object, all of their bytes at once.
    pub(super) fn chunks(&self, columns: &[&ColumnChunkMetaData]) -> Result<Vec<Arc<Chunk>>, FormatError> {
        match self {
            Self::Local(file, bytes) => {
                let chunk = Arc::new(Chunk { bytes: *bytes, place: Place::File(file.clone()) });
                Ok(vec![chunk; columns.len()])
            }
            Self::Remote(object) => {
                let ranges: Vec<Range<u64>> = columns
                    .iter()
                    .map(|column| {
                        let (start, length) = column.byte_range();
                        start..start.saturating_add(length).min(object.bytes)
                    })
                    .collect();
                let parts = object.runtime.block_on(object.store.get_ranges(&object.path, &ranges))?;
                let chunk = |(part, range): (Bytes, &Range<u64>)| {
                    Arc::new(Chunk { bytes: object.bytes, place: Place::Memory(part, range.start) })
                };
                Ok(parts.into_iter().zip(&ranges).map(chunk).collect())
            }
        }
    }
}

impl Ranges for Source {
    fn size(&self) -> u64 {
        match self {
            Self::Local(_, bytes) => *bytes,
            Self::Remote(object) => object.bytes,
        }
    }

    fn range(&self, range: Range<u64>) -> Result<Bytes, FormatError> {
        match self {
            Self::Local(file, _) => {
                let mut part = Vec::new();
                let mut reader = file.as_ref();
                reader.seek(SeekFrom::Start(range.start)).map_err(FormatError::Open)?;
                reader
                    .take(range.end.saturating_sub(range.start))
                    .read_to_end(&mut part)
                    .map_err(|source| FormatError::Read { done: 0, source })?;
                Ok(part.into())
            }
            Self::Remote(object) => Ok(object.runtime.block_on(object.store.get_range(&object.path, range))?),
        }
    }
}

/// Where the pages of a column chunk lie. What it gives begins with the header of a page, and no page
/// is larger than [`PAGE_BYTES`].
pub(super) struct Chunk {
    /// The file's size.
    bytes: u64,
    place: Place,
}

enum Place {
    File(Arc<File>),
    /// A part of the file, and where it begins.
    Memory(Bytes, u64),
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Chunk {
    type T = Header;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let inner: Box<dyn BufRead + Send> = match &self.place {
            Place::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(start))?;
                Box::new(BufReader::new(file))
            }
            Place::Memory(part, from) => Box::new(Cursor::new(within(part, *from, start, None)?)),
        };
        Ok(Header { inner, checked: false })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        match &self.place {
            Place::File(file) => file.get_bytes(start, length),
            Place::Memory(part, from) => within(part, *from, start, Some(length)),
        }
    }
}

/// The header of a page. It is checked when it is read; it is not read where the page was looked at before.
pub(super) struct Header {
    inner: Box<dyn BufRead + Send>,
    checked: bool,
}

impl Read for Header {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.checked {
            check(self.inner.fill_buf()?).map_err(io::Error::other)?;
            self.checked = true;
        }
        self.inner.read(buffer)
    }
}

fn within(part: &Bytes, from: u64, start: u64, length: Option<usize>) -> Result<Bytes> {
    let outside = || ParquetError::EOF("a page lies outside of its column chunk".to_owned());
    let start = start.checked_sub(from).and_then(|start| usize::try_from(start).ok()).ok_or_else(outside)?;
    let end = match length {
        Some(length) => start.checked_add(length),
        None => Some(part.len()),
    };
    let end = end.filter(|end| *end <= part.len() && start <= *end).ok_or_else(outside)?;
    Ok(part.slice(start..end))
}

/// Refuses a page of a size that nobody writes, before there is room made for it. Sizes are the second
/// and the third field of a page's header.
fn check(header: &[u8]) -> Result<()> {
    let mut bytes = Compact::new(header);
    let mut sizes = || -> Result<[i64; 3], Broken> {
        let (mut last, mut sizes) = (0, [0; 3]);
        for (at, size) in sizes.iter_mut().enumerate() {
            match bytes.field(last)? {
                Some((field, I32)) if field == at as i64 + 1 => *size = bytes.number()?,
                _ => return Err(Broken),
            }
            last += 1;
        }
        Ok(sizes)
    };
    let [_, uncompressed, compressed] =
        sizes().map_err(|_| ParquetError::General("the header of a page is damaged".to_owned()))?;
    let most = PAGE_BYTES as i64;
    match uncompressed.max(compressed) {
        bytes if !(0..=most).contains(&bytes) || compressed < 0 => {
            Err(ParquetError::General(format!("a page has {bytes} bytes, and no more than {most} are read")))
        }
        _ => Ok(()),
    }
}
