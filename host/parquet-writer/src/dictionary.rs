//! The dictionary of a text column: each value once, and an id per row.
//!
//! The parquet crate's own dictionary costs 25 to 45 ns a value, a third of it for bounds, which depend on distinct
//! values alone. This one costs about 8, and next to nothing for columns that are Arrow dictionaries already.

use std::hash::{BuildHasher, Hasher};

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32DictionaryArray, StringArray};
use arrow_schema::ArrowError;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::validity::Validity;

/// With at most this many values a dictionary is always worth it.
const FEW: usize = 1_000;
/// Arrow dictionaries with more values are not remembered between batches.
const MANY: usize = 64 << 10;
/// Texts up to this length are compared as one integer.
const SHORT: usize = 15;

/// The values of one row group.
pub struct Dictionary {
    /// Every value once, each after its length in 4 bytes: the dictionary page.
    page: Vec<u8>,
    /// The offset of each value's length in `page`.
    starts: Vec<u32>,
    /// Values of up to 15 bytes, with their length in the 16th.
    short: HashTable<(u128, u32)>,
    long: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The last Arrow dictionary, and the ids of its values that rows have used.
    last: Option<(StringArray, Vec<Option<u32>>)>,
    /// The value id of each non-null row.
    ids: Vec<u32>,
    validity: Validity,
}

impl Dictionary {
    pub fn new() -> Self {
        Self {
            page: Vec::new(),
            starts: Vec::new(),
            short: HashTable::new(),
            long: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            last: None,
            ids: Vec::new(),
            validity: Validity::default(),
        }
    }

    /// Adds rows of text, plain or as a dictionary with 32-bit keys.
    pub fn push(&mut self, column: &ArrayRef) -> Result<(), ArrowError> {
        if let Some(texts) = column.as_string_opt::<i32>() {
            self.push_texts(texts);
        } else if let Some(keyed) = column.as_dictionary_opt::<Int32Type>() {
            self.push_keyed(keyed)?;
        } else {
            let message = format!("a text column has type {}", column.data_type());
            return Err(ArrowError::SchemaError(message));
        }
        Ok(())
    }

    fn push_texts(&mut self, texts: &StringArray) {
        self.validity.push(texts.len(), texts.nulls());
        self.ids.reserve(texts.len());
        let (bytes, offsets) = (texts.value_data(), texts.value_offsets());
        let mut push = |row: usize| {
            // Arrow's offsets are never negative and never fall.
            let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
            let id = self.intern(bytes, from, to);
            self.ids.push(id);
        };
        match texts.nulls() {
            None => (0..texts.len()).for_each(&mut push),
            Some(nulls) => nulls.valid_indices().for_each(&mut push),
        }
    }

    fn push_keyed(&mut self, keyed: &Int32DictionaryArray) -> Result<(), ArrowError> {
        let values = keyed
            .values()
            .as_string_opt::<i32>()
            .ok_or_else(|| ArrowError::SchemaError(format!("a text column has type {}", keyed.data_type())))?;
        let nulls = keyed.logical_nulls();
        self.validity.push(keyed.len(), nulls.as_ref());
        self.ids.reserve(keyed.len());
        let (bytes, offsets) = (values.value_data(), values.value_offsets());
        // Only used values are stored. Readers share one dictionary between many batches.
        let mut known = match self.last.take() {
            Some((last, known)) if is_one(&last, values) => known,
            _ => vec![None; values.len()],
        };
        let keys = keyed.keys().values();
        for row in 0..keyed.len() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            let key = keys[row] as usize;
            let id = match known[key] {
                Some(id) => id,
                None => {
                    let id = self.intern(bytes, offsets[key] as usize, offsets[key + 1] as usize);
                    known[key] = Some(id);
                    id
                }
            };
            self.ids.push(id);
        }
        // A large dictionary would stay in memory longer than its rows.
        self.last = (values.len() <= MANY).then(|| (values.clone(), known));
        Ok(())
    }

    #[inline]
    fn intern(&mut self, bytes: &[u8], from: usize, to: usize) -> u32 {
        let length = to - from;
        if length <= SHORT {
            let key = short_key(bytes, from, length);
            let hash = mix(key);
            if let Some((_, id)) = self.short.find(hash, |(other, _)| *other == key) {
                return *id;
            }
            let id = self.add(&bytes[from..to]);
            self.short.insert_unique(hash, (key, id), |(other, _)| mix(*other));
            return id;
        }
        let text = &bytes[from..to];
        let hash = hash_of(&self.hasher, text);
        let Self { long, page, starts, .. } = self;
        if let Some(id) = long.find(hash, |id| value_at(page, starts[*id as usize]) == text) {
            return *id;
        }
        let id = self.add(text);
        let Self { long, page, starts, hasher, .. } = self;
        long.insert_unique(hash, id, |id| hash_of(hasher, value_at(page, starts[*id as usize])));
        id
    }

    fn add(&mut self, text: &[u8]) -> u32 {
        // Row groups are cut long before a page has 2^32 bytes or values.
        let id = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        self.starts.push(u32::try_from(self.page.len()).unwrap_or(u32::MAX));
        self.page.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.page.extend_from_slice(text);
        id
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.page.len() + self.ids.len() * size_of::<u32>() + self.starts.len() * (size_of::<u32>() + 33)
    }

    /// Whether values repeat enough for a dictionary.
    pub fn repeats(&self) -> bool {
        self.values() <= FEW || self.values() * 2 <= self.ids.len()
    }

    /// Distinct values.
    pub fn values(&self) -> usize {
        self.starts.len()
    }

    /// The dictionary page.
    pub fn page(&self) -> &[u8] {
        &self.page
    }

    /// The value id of each non-null row.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Which rows are null.
    pub fn validity(&self) -> &Validity {
        &self.validity
    }

    /// The text of a value after its length, as in a plain page.
    pub fn plain(&self, id: u32) -> &[u8] {
        let start = self.starts[id as usize] as usize;
        &self.page[start..start + 4 + value_at(&self.page, self.starts[id as usize]).len()]
    }

    /// The least and the greatest value.
    pub fn bounds(&self) -> Option<(&[u8], &[u8])> {
        let mut values = self.starts.iter().map(|start| value_at(&self.page, *start));
        let first = values.next()?;
        Some(values.fold((first, first), |(low, high), value| (low.min(value), high.max(value))))
    }
}

/// Whether two arrays are the same part of the same memory.
fn is_one(a: &StringArray, b: &StringArray) -> bool {
    a.offsets().ptr_eq(b.offsets()) && a.values().ptr_eq(b.values())
}

fn value_at(page: &[u8], start: u32) -> &[u8] {
    let start = start as usize;
    let length = u32::from_le_bytes([page[start], page[start + 1], page[start + 2], page[start + 3]]) as usize;
    &page[start + 4..start + 4 + length]
}

/// The bytes of a short text and its length as one number.
#[inline]
fn short_key(bytes: &[u8], from: usize, length: usize) -> u128 {
    let mut key = [0_u8; 16];
    match bytes.get(from..from + 16) {
        // One load and a mask; most values are not at the very end of their buffer.
        Some(window) => {
            key.copy_from_slice(window);
            let whole = u128::from_le_bytes(key);
            let mask = (1_u128 << (8 * length)) - 1;
            (whole & mask) | ((length as u128) << 120)
        }
        None => {
            key[..length].copy_from_slice(&bytes[from..from + length]);
            u128::from_le_bytes(key) | ((length as u128) << 120)
        }
    }
}

/// Hashes a short key.
#[inline]
fn mix(key: u128) -> u64 {
    let (low, high) = (key as u64, (key >> 64) as u64);
    let product = u128::from(low ^ 0x9E37_79B9_7F4A_7C15) * u128::from(high ^ 0xE703_7ED1_A0B4_28DB | 1);
    (product as u64) ^ ((product >> 64) as u64)
}

fn hash_of(hasher: &DefaultHashBuilder, text: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    state.write(text);
    state.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_text_comes_back() {
        let long = "a text of more than fifteen bytes".to_owned();
        let texts: Vec<Option<String>> = (0..1_000)
            .map(|row| match row % 7 {
                0 => None,
                1 => Some(String::new()),
                2 => Some("\0".to_owned()),
                3 => Some(format!("{long}{}", row % 5)),
                4 => Some("é".repeat(row % 9)),
                _ => Some(format!("P{}", row % 50)),
            })
            .collect();
        let mut dictionary = Dictionary::new();
        let plain: ArrayRef = Arc::new(StringArray::from(texts.clone()));
        let keyed: Int32DictionaryArray = texts.iter().map(Option::as_deref).collect();
        let keyed: ArrayRef = Arc::new(keyed);
        dictionary.push(&plain.slice(0, 400)).expect("text");
        dictionary.push(&keyed.slice(400, 600)).expect("keyed text");
        assert_eq!(dictionary.validity().rows(), 1_000);
        let mut ids = dictionary.ids().iter();
        for (row, text) in texts.iter().enumerate() {
            assert_eq!(dictionary.validity().is_null(row), text.is_none());
            if let Some(text) = text {
                let id = ids.next().expect("an id");
                assert_eq!(&dictionary.plain(*id)[4..], text.as_bytes());
            }
        }
        // One dictionary in slices, another one of the same length, and the first again; both have a null.
        for values in [["a", "b"], ["c", "a"], ["a", "b"]] {
            let (keys, values) = (vec![0, 1, 2, 1, 0], StringArray::from(vec![Some(values[0]), Some(values[1]), None]));
            let keyed: ArrayRef = Arc::new(Int32DictionaryArray::new(keys.into(), Arc::new(values)));
            let before = dictionary.ids().len();
            (0..5).for_each(|row| dictionary.push(&keyed.slice(row, 1)).expect("keyed text"));
            let ids = &dictionary.ids()[before..];
            let text = |id: &u32| String::from_utf8_lossy(&dictionary.plain(*id)[4..]).into_owned();
            let expected: Vec<String> = keyed
                .as_dictionary::<Int32Type>()
                .downcast_dict::<StringArray>()
                .expect("text")
                .into_iter()
                .flatten()
                .map(str::to_owned)
                .collect();
            assert_eq!(ids.iter().map(text).collect::<Vec<_>>(), expected);
        }
        let distinct: std::collections::BTreeSet<&str> =
            texts.iter().flatten().map(String::as_str).chain(["a", "b", "c"]).collect();
        assert_eq!(dictionary.values(), distinct.len());
        let (low, high) = dictionary.bounds().expect("values");
        assert_eq!(Some(low), distinct.first().map(|text| text.as_bytes()));
        assert_eq!(Some(high), distinct.last().map(|text| text.as_bytes()));
    }
}
