//! A file, on this machine or in an object store, as a stream of bytes.

use std::io::{self, BufReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use bzip2::bufread::BzDecoder;
use crc32fast::Hasher;
use flate2::bufread::GzDecoder;
use futures::StreamExt;
use futures::stream::BoxStream;
use liblzma::bufread::XzDecoder;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use super::members::{Member, Members};
use super::{FormatError, LocalFile};
use sluicebox_core::plan::Compression;

/// One file.
#[derive(Clone, Debug)]
pub enum Input {
    /// On this machine.
    Local(LocalFile),
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

/// Counts the bytes that come over the wire, before decompression, and sums them up.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    bytes: Arc<AtomicU64>,
    /// Of the bytes that were read one after another from the first on: how many, and their CRC-32.
    summed: Arc<Mutex<(u64, u32)>>,
}

impl Meter {
    /// The bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many bytes were read one after another from the first on, and their CRC-32. None where a format picks
    /// out what it needs.
    pub fn sum(&self) -> (u64, u32) {
        *self.summed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds bytes that were read.
    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Input {
    /// Its name, by whose ending the compression is known.
    fn name(&self) -> String {
        match self {
            Input::Local(file) => file.path().to_string_lossy().into_owned(),
            Input::Remote { path, .. } => path.to_string(),
        }
    }

    /// Its bytes, decompressed.
    pub(super) fn reader(&self, compression: Compression, meter: &Meter) -> Result<Box<dyn Read + Send>, FormatError> {
        let raw = Metered { inner: self.raw()?, meter: meter.clone(), sum: Hasher::new() };
        Ok(match compression.of(&self.name()) {
            Compression::Gzip => members::<GzDecoder<_>>(raw)?,
            Compression::Bzip2 => members::<BzDecoder<_>>(raw)?,
            Compression::Xz => members::<XzDecoder<_>>(raw)?,
            Compression::Zstd => Box::new(zstd::Decoder::new(raw).map_err(FormatError::Open)?),
            Compression::None | Compression::Auto => Box::new(raw),
        })
    }

    /// Its bytes as they are stored.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn raw(&self) -> Result<Box<dyn Read + Send>, FormatError> {
        match self {
            Input::Local(file) => match file.bytes() {
                Some(bytes) => Ok(Box::new(file.open()?.take(bytes))),
                None => Ok(Box::new(file.open()?)),
            },
            Input::Remote { store, path, runtime } => {
                let stream = runtime.block_on(store.get(path))?.into_stream();
                Ok(Box::new(Chunks { stream, runtime: runtime.clone(), present: Bytes::new() }))
            }
        }
    }
}

fn members<M>(raw: Metered<Box<dyn Read + Send>>) -> Result<Box<dyn Read + Send>, FormatError>
where
    M: Member<BufReader<Metered<Box<dyn Read + Send>>>> + Send + 'static,
{
    let reader = BufReader::with_capacity(READ_BYTES, raw);
    Ok(Box::new(Members::<M, _>::new(reader).map_err(FormatError::Open)?))
}

/// Compressed bytes are read this many at a time.
const READ_BYTES: usize = 256 << 10;

struct Metered<R> {
    inner: R,
    meter: Meter,
    sum: Hasher,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.meter.add(count as u64);
        self.sum.update(&buffer[..count]);
        let mut summed = self.meter.summed.lock().unwrap_or_else(PoisonError::into_inner);
        *summed = (summed.0 + count as u64, self.sum.clone().finalize());
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
