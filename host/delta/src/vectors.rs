//! Deletion vectors: which rows of a data file are deleted, in Delta's format.
//!
//! A vector is a 64-bit roaring bitmap of row numbers. A small one is inline in the log; others are in a file with
//! all vectors of one commit.

use std::io::Write;

use bytes::Bytes;
use deltalake::kernel::{DeletionVectorDescriptor, StorageType};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use roaring::RoaringTreemap;

use super::data_file::Target;
use super::error::DeltaError;
use super::read::ReadContext;
use sluicebox_stores::Upload;

/// The first bytes of every vector, little-endian.
const MAGIC: u32 = 1_681_511_377;
/// The version of files of vectors.
const FILE_VERSION: u8 = 1;
/// A vector of at most this many bytes is inline in the log.
const INLINE_BYTES: usize = 120;
/// The length of 16 bytes as text.
const UUID_TEXT: usize = 20;

/// Why the vector of a file is not valid.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// Its descriptor in the log entry is not valid.
    #[error("'{0}' names no deletion vector")]
    Name(String),
    /// Its first bytes are wrong.
    #[error("it begins with {0:08x}")]
    Magic(u32),
    /// It is truncated.
    #[error("it has only {0} bytes")]
    Short(usize),
    /// Its checksum does not match.
    #[error("its checksum is {found:08x}, not {wanted:08x}")]
    Checksum {
        /// The checksum of its bytes.
        found: u32,
        /// The checksum in the file.
        wanted: u32,
    },
    /// Its bitmap is damaged.
    #[error("its bitmap is damaged")]
    Bitmap(#[source] std::io::Error),
}

/// The file of a vector of which the log says `<prefix><uuid in base 85>`, from the table's folder; `None` where
/// it is not written so.
pub(super) fn relative_path(text: &str) -> Option<String> {
    let (prefix, id) = text.split_at_checked(text.len().checked_sub(UUID_TEXT)?)?;
    let id: [u8; 16] = z85::decode(id).ok()?.try_into().ok()?;
    let name = file_name(u128::from_be_bytes(id));
    Some(if prefix.is_empty() { name } else { format!("{prefix}/{name}") })
}

/// Reads a vector.
pub(super) async fn load(
    context: &ReadContext,
    file: &str,
    descriptor: &DeletionVectorDescriptor,
) -> Result<RoaringTreemap, DeltaError> {
    let failed = |source| DeltaError::Vector { path: format!("{}/{file}", context.table), source };
    let text = &descriptor.path_or_inline_dv;
    let wrong = || failed(VectorError::Name(text.clone()));
    let size = usize::try_from(descriptor.size_in_bytes).map_err(|_| wrong())?;
    let path = match descriptor.storage_type {
        StorageType::Inline => {
            let mut bytes = z85::decode(text).map_err(|_| wrong())?;
            // The text encodes a multiple of four bytes.
            bytes.truncate(size);
            return parse(&bytes).map_err(failed);
        }
        StorageType::UuidRelativePath => Path::parse(relative_path(text).ok_or_else(wrong)?),
        StorageType::AbsolutePath => {
            let feature = format!("a deletion vector outside of it ({text})");
            return Err(DeltaError::Feature { table: context.table.clone(), feature });
        }
    };
    let path = path.map_err(|_| wrong())?;
    let name = format!("{}/{path}", context.table);
    let start = u64::try_from(descriptor.offset.unwrap_or(1)).map_err(|_| wrong())?;
    // The length is before the vector, and the checksum after it.
    let range = start..start + size as u64 + 8;
    let bytes: Bytes =
        context.store.get_range(&path, range).await.map_err(DeltaError::store("read deletion vectors", name))?;
    let body = bytes.get(4..4 + size).ok_or_else(|| failed(VectorError::Short(bytes.len())))?;
    let wanted = bytes.get(4 + size..8 + size).and_then(|crc| crc.try_into().ok()).map(u32::from_be_bytes);
    let wanted = wanted.ok_or_else(|| failed(VectorError::Short(bytes.len())))?;
    let found = crc32fast::hash(body);
    if found != wanted {
        return Err(failed(VectorError::Checksum { found, wanted }));
    }
    parse(body).map_err(failed)
}

fn parse(bytes: &[u8]) -> Result<RoaringTreemap, VectorError> {
    let magic = bytes.first_chunk::<4>().ok_or(VectorError::Short(bytes.len()))?;
    let magic = u32::from_le_bytes(*magic);
    if magic != MAGIC {
        return Err(VectorError::Magic(magic));
    }
    RoaringTreemap::deserialize_from(&bytes[4..]).map_err(VectorError::Bitmap)
}

fn file_name(id: u128) -> String {
    let hex = format!("{id:032x}");
    format!("deletion_vector_{}-{}-{}-{}-{}.bin", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A writer of the vectors of one commit.
pub(super) struct Vectors {
    target: Target,
    id: u128,
    bytes: Vec<u8>,
}

impl Vectors {
    pub(super) fn new(target: &Target) -> Self {
        Self { target: target.clone(), id: rand::random(), bytes: vec![FILE_VERSION] }
    }

    /// Adds the vector of one file and returns its descriptor.
    pub(super) fn add(&mut self, deleted: &RoaringTreemap) -> Result<DeletionVectorDescriptor, VectorError> {
        let mut body = Vec::with_capacity(4 + deleted.serialized_size());
        body.extend_from_slice(&MAGIC.to_le_bytes());
        deleted.serialize_into(&mut body).map_err(VectorError::Bitmap)?;
        let size_in_bytes = i32::try_from(body.len()).map_err(|_| VectorError::Short(body.len()))?;
        let cardinality = i64::try_from(deleted.len()).unwrap_or(i64::MAX);
        if body.len() <= INLINE_BYTES {
            body.resize(body.len().next_multiple_of(4), 0);
            return Ok(DeletionVectorDescriptor {
                storage_type: StorageType::Inline,
                path_or_inline_dv: z85::encode(&body),
                offset: None,
                size_in_bytes,
                cardinality,
            });
        }
        let offset = i32::try_from(self.bytes.len()).map_err(|_| VectorError::Short(self.bytes.len()))?;
        self.bytes.extend_from_slice(&size_in_bytes.to_be_bytes());
        self.bytes.extend_from_slice(&body);
        self.bytes.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
        Ok(DeletionVectorDescriptor {
            storage_type: StorageType::UuidRelativePath,
            path_or_inline_dv: z85::encode(self.id.to_be_bytes()),
            offset: Some(offset),
            size_in_bytes,
            cardinality,
        })
    }

    /// Writes the file, if there is something to write, and returns its path.
    pub(super) fn finish(self) -> Result<Option<String>, DeltaError> {
        if self.bytes.len() == 1 {
            return Ok(None);
        }
        let path = file_name(self.id);
        let mut sink = Upload::create(&self.target.location, &path, &self.target.runtime)?;
        sink.write_all(&self.bytes).map_err(DeltaError::io("write", &path))?;
        sink.finish()?;
        Ok(Some(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_named_as_the_protocol_says() {
        // The example of the protocol's own text.
        let path = relative_path("ab^-aqEH.-t@S}K{vb[*k^");
        assert_eq!(path.as_deref(), Some("ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"));
        // What a damaged log may hold: too short, no base 85, and characters that do not end where the name begins.
        for text in ["", "short", "ééééééééééé", "x^-aqEH.-t@S}K{vb[*k\u{20}", "日本語日本語日本語"]
        {
            assert_eq!(relative_path(text), None, "{text}");
        }
    }

    #[test]
    fn vectors_come_back() {
        for rows in [vec![0], vec![1, 5, 70_000], (0..5_000).collect::<Vec<u64>>()] {
            let deleted: RoaringTreemap = rows.iter().copied().collect();
            let mut body = MAGIC.to_le_bytes().to_vec();
            deleted.serialize_into(&mut body).expect("a vector takes all bytes");
            assert_eq!(parse(&body).expect("a bitmap"), deleted);
            body[0] ^= 1;
            assert!(matches!(parse(&body), Err(VectorError::Magic(_))));
            assert!(matches!(parse(&body[..3]), Err(VectorError::Short(3))));
        }
    }

    #[test]
    fn files_are_named_as_delta_names_them() {
        // The protocol's own example.
        assert_eq!(
            file_name(0xd2c6_39aa_8816_431a_aaf6_d3fe_2512_ff61),
            "deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"
        );
        let text = z85::encode(0xd2c6_39aa_8816_431a_aaf6_d3fe_2512_ff61_u128.to_be_bytes());
        assert_eq!(text, "^-aqEH.-t@S}K{vb[*k^");
    }
}
