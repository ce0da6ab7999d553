//! A file, on this machine or in an object store, as a stream of bytes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use super::FormatError;
use sluicebox_core::plan::Compression;

/// One file.
#[derive(Clone, Debug)]
pub enum Input {
    /// On this machine.
    Local(PathBuf),
    /// In an object store.
    Remote {
        /// The store.
        store: Arc<dyn ObjectStore>,
        /// Where in it.
        path: ObjectPath,
        /// Drives the requests; reading blocks the calling thread on it.
        runtime: Handle,
    },
}

/// Counts the bytes that come over the wire, before decompression.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// The bytes so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds bytes that were read.
    pub(super) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Input {
    /// Its name, by whose ending the compression is known.
    fn name(&self) -> String {
        match self {
            Input::Local(path) => path.to_string_lossy().into_owned(),
            Input::Remote { path, .. } => path.to_string(),
        }
    }

    /// Its bytes, decompressed.
    pub(super) fn reader(&self, compression: Compression, meter: &Meter) -> Result<Box<dyn Read + Send>, FormatError> {
        let raw = Metered { inner: self.raw()?, meter: meter.clone() };
        Ok(match compression.of(&self.name()) {
            Compression::Gzip => {
                Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(READ_BYTES, raw)))
            }
            Compression::Zstd => Box::new(zstd::Decoder::new(raw).map_err(FormatError::Open)?),
            Compression::None | Compression::Auto => Box::new(raw),
        })
    }

    fn raw(&self) -> Result<Box<dyn Read + Send>, FormatError> {
        match self {
            Input::Local(path) => Ok(Box::new(File::open(path).map_err(FormatError::Open)?)),
            Input::Remote { store, path, runtime } => {
                let stream = runtime.block_on(store.get(path))?.into_stream();
                Ok(Box::new(Chunks { stream, runtime: runtime.clone(), present: Bytes::new() }))
            }
        }
    }
}

/// Compressed bytes are read this many at a time.
const READ_BYTES: usize = 256 << 10;

struct Metered<R> {
    inner: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.meter.add(count as u64);
        Ok(count)
    }
}

struct Chunks {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    runtime: Handle,
    present: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.present.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                Some(chunk) => self.present = chunk.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.present.len());
        self.present.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
