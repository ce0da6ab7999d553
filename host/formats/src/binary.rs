//! Files that are no text although they are read as such.

use std::fmt;

/// What a file that is no text begins like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// A Parquet file.
    Parquet,
    /// An Avro object container.
    Avro,
    /// A gzip archive.
    Gzip,
    /// A zstd frame.
    Zstd,
    /// A bzip2 archive.
    Bzip2,
    /// An xz archive.
    Xz,
    /// A zip archive, as spreadsheets are, too.
    Zip,
    /// Something else, with a byte that text does not hold.
    Unknown,
}

impl Binary {
    /// How many bytes of a file [`Binary::of`] should see.
    pub(super) const HEAD: u64 = 512;

    /// What `head`, the first bytes of a file, begins like, if it is no text.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let begins = [
            (&b"PAR1"[..], Self::Parquet),
            (b"Obj\x01", Self::Avro),
            (b"\x1f\x8b", Self::Gzip),
            (b"\x28\xb5\x2f\xfd", Self::Zstd),
            (b"BZh", Self::Bzip2),
            (b"\xfd7zXZ\0", Self::Xz),
            (b"PK\x03\x04", Self::Zip),
        ];
        let known = begins.into_iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| kind);
        // UTF-16 and UTF-32 are full of zeros, and known by their byte-order mark.
        known.or_else(|| head.contains(&0).then_some(Self::Unknown))
    }

    /// What to do about it.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Parquet => "set `format = \"parquet\"`, or leave the file out with `glob`",
            Self::Avro => "set `format = \"avro\"`, or leave the file out with `glob`",
            Self::Gzip => "set `compression = \"gzip\"`, or let the file's name end in `.gz`",
            Self::Zstd => "set `compression = \"zstd\"`, or let the file's name end in `.zst`",
            Self::Bzip2 => "set `compression = \"bzip2\"`, or let the file's name end in `.bz2`",
            Self::Xz => "set `compression = \"xz\"`, or let the file's name end in `.xz`",
            Self::Zip => "unpack it, or save the spreadsheet as CSV",
            Self::Unknown => "save it as UTF-8, or leave the file out with `glob`",
        }
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parquet => "it begins like a Parquet file",
            Self::Avro => "it begins like an Avro file",
            Self::Gzip => "it begins like a gzip archive",
            Self::Zstd => "it begins like a zstd archive",
            Self::Bzip2 => "it begins like a bzip2 archive",
            Self::Xz => "it begins like an xz archive",
            Self::Zip => "it begins like a zip archive or a spreadsheet",
            Self::Unknown => "it holds zero bytes",
        })
    }
}
