//! The keys of a pipeline file: how one is declared, and what follows from that.
//!
//! A key is declared once, as a constant beside the code that uses it:
//!
//! ```text
//! const SESSION_TIMEOUT: Key<Time> = Key::new("session_timeout", Time::from_to(1_000, 300_000), "After which …")
//!     .default(|| Duration::from_secs(30))
//!     .example(r#""10s""#);
//! ```
//!
//! A [`KeySet`] lists the keys of one table of the file. From the constant and the list follow the value that
//! `section.get(&SESSION_TIMEOUT)` returns, the reports when it is wrong, missing or misspelt, the JSON Schema, and
//! the table of the reference page. CONTRIBUTING.md says how to add a key.
//!
//! The keys of a source kind are in this crate, one file a kind, and not with the source's reader: this crate must
//! build and be tested without the clients of brokers and stores that sources depend on.

mod describe;
pub(crate) mod json_schema;
mod key;
mod kinds;
mod names;
mod paths;
mod section;

pub(crate) use describe::{AnyKey, KeySet, Shape};
pub(crate) use key::{Key, Kind, Maybe};
pub(crate) use kinds::{
    Address, Char, Column, ColumnValue, ColumnValues, Columns, File, Flag, Location, Name, NamedTables, SecretRef,
    Share, Size, SubTable, TableList, Text, Texts, Time, Whole, Word, Words, find_word, word_of, words,
};
pub(crate) use names::{check_name, check_table_name};
pub(crate) use paths::{absolute, is_url};
pub(crate) use section::{Found, Section};

/// Milliseconds of a day.
pub(crate) const DAY: u64 = 24 * 60 * 60 * 1_000;
/// Bytes of a kibibyte.
pub(crate) const KIB: u64 = 1 << 10;
/// Bytes of a mebibyte.
pub(crate) const MIB: u64 = 1 << 20;
/// Bytes of a gibibyte.
pub(crate) const GIB: u64 = 1 << 30;
