//! Kinds of values that several keys have. A kind of one key is beside that key.

mod choice;
mod lists;
mod numbers;
mod places;
mod quantities;
mod tables;
mod text;

pub(crate) use choice::{Word, Words, find as find_word, name as word_of, names as words};
pub(crate) use lists::{ColumnValue, ColumnValues, Columns, Texts};
pub(crate) use numbers::{Flag, Share, Whole};
pub(crate) use places::{Address, File, Location, SecretRef};
pub(crate) use quantities::{Size, Time};
pub(crate) use tables::{NamedTables, SubTable, TableList};
pub(crate) use text::{Char, Column, Name, Text};
