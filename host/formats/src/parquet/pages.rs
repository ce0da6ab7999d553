//! The pages of a row group on their way to the decoder: how much a batch would become is seen here,
//! before it does.
//!
//! A page of a few bytes may stand for gigabytes: a text in its dictionary counts once and is copied
//! for every row. So a batch has a budget, and where its pages would go beyond that, it is read again
//! with fewer rows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use super::delta::longest;
use super::int96::Marks;
use super::ranges::{Chunk, Source};
use crate::FormatError;
use crate::limits::{BATCH_BYTES, PAGE_BYTES};

/// What the pages of one batch may become.
#[derive(Debug)]
pub(super) struct Budget {
    /// Rows of the batch.
    rows: usize,
    /// Bytes of pages that came for this batch.
    pages: AtomicUsize,
    /// Bytes that the present pages' texts may become, over all columns.
    texts: AtomicUsize,
    /// More than there is.
    over: AtomicBool,
    /// Pages come only because rows before the batch are left out.
    skipping: AtomicBool,
}

impl Budget {
    /// For batches of so many rows; the first may come after others that are left out.
    pub(super) fn new(rows: usize, skipping: bool) -> Arc<Self> {
        Arc::new(Self {
            rows,
            pages: AtomicUsize::new(0),
            texts: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            skipping: AtomicBool::new(skipping),
        })
    }

    /// The batch is there.
    pub(super) fn end(&self) {
        self.skipping.store(false, Ordering::Relaxed);
    }

    /// Begins with the next batch.
    pub(super) fn begin(&self) {
        self.pages.store(0, Ordering::Relaxed);
    }

    /// Whether a batch of so many rows is too much.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Puts what the page of a column may become in the place of what the one before it might.
    fn take(&self, page: usize, before: usize, texts: usize) -> Result<()> {
        let pages = self.pages.fetch_add(page, Ordering::Relaxed).saturating_add(page);
        self.texts.fetch_sub(before, Ordering::Relaxed);
        let texts = self.texts.fetch_add(texts, Ordering::Relaxed).saturating_add(texts);
        let most = match (self.skipping.load(Ordering::Relaxed), self.rows) {
            (true, _) => usize::MAX,
            (false, 1) => ROW_BYTES,
            (false, _) => PAGE_BYTES,
        };
        if (texts <= BATCH_BYTES || self.rows == 1) && pages <= most {
            return Ok(());
        }
        self.over.store(true, Ordering::Relaxed);
        Err(ParquetError::General(format!("the pages of {} rows have more than {most} bytes", self.rows)))
    }
}

/// One row group.
pub(super) struct Group {
    metadata: Arc<ParquetMetaData>,
    at: usize,
    columns: Mutex<HashMap<usize, Pages>>,
}

impl Group {
    /// The chosen columns of row group `at`.
    pub(super) fn open(
        source: &Source,
        metadata: &Arc<ParquetMetaData>,
        at: usize,
        chosen: &[usize],
        (budget, marks): (&Arc<Budget>, &Arc<Marks>),
    ) -> Result<Self, FormatError> {
        let group = metadata.row_group(at);
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let chunks: Vec<_> = chosen.iter().map(|column| group.column(*column)).collect();
        let mut columns = HashMap::new();
        for ((column, chunk), reader) in chosen.iter().zip(&chunks).zip(source.chunks(&chunks)?) {
            let reader =
                SerializedPageReader::new(reader, chunk, rows, None).map_err(|error| super::broken(0, error))?;
            let pages = Pages {
                reader,
                column: chunk.column_descr_ptr(),
                longest: 0,
                texts: 0,
                budget: budget.clone(),
                marks: marks.clone(),
            };
            columns.insert(*column, pages);
        }
        Ok(Self { metadata: metadata.clone(), at, columns: Mutex::new(columns) })
    }
}

impl RowGroups for Group {
    fn num_rows(&self) -> usize {
        usize::try_from(self.metadata.row_group(self.at).num_rows()).unwrap_or(0)
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = || ParquetError::General(format!("column {column} is read twice, or was not asked for"));
        Ok(Box::new(Once(Some(columns.remove(&column).ok_or_else(missing)?))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.at)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

struct Once(Option<Pages>);

impl Iterator for Once {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(|pages| Ok(Box::new(pages) as Box<dyn PageReader>))
    }
}

impl PageIterator for Once {}

/// The pages of one column chunk.
struct Pages {
    reader: SerializedPageReader<Chunk>,
    column: ColumnDescPtr,
    /// The longest text of the dictionary.
    longest: usize,
    /// What the present page counts for in the budget.
    texts: usize,
    budget: Arc<Budget>,
    marks: Arc<Marks>,
}

impl Pages {
    fn check(&mut self, page: Page) -> Result<Page> {
        let (buffer, values, encoding) = match &page {
            Page::DictionaryPage { buf, num_values, .. } => (buf, *num_values, None),
            Page::DataPage { buf, num_values, encoding, .. } | Page::DataPageV2 { buf, num_values, encoding, .. } => {
                (buf, *num_values, Some(*encoding))
            }
        };
        // A few bytes may say that billions of items are alike.
        let items = if self.column.max_rep_level() > 0 { (values as usize).saturating_mul(ITEM) } else { 0 };
        let bytes = buffer.len().max(items);
        if self.column.physical_type() != Type::BYTE_ARRAY {
            self.budget.take(bytes, 0, 0)?;
            return if self.column.physical_type() == Type::INT96 {
                self.marks.mark(page, &self.column)
            } else {
                Ok(page)
            };
        }
        let longest = match encoding {
            None => {
                self.longest = longest_plain(buffer);
                0
            }
            #[allow(deprecated, reason = "old files have it")]
            Some(Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY) => self.longest,
            Some(Encoding::DELTA_BYTE_ARRAY) => longest(&page, &self.column),
            // Every text lies in the page itself.
            Some(_) => 0,
        };
        // In a list a row may have all of the page's texts.
        let most = if self.column.max_rep_level() > 0 { usize::MAX } else { self.budget.rows };
        let texts = longest.saturating_mul(most.min(values as usize));
        if self.column.max_rep_level() > 0 && texts > PAGE_BYTES && longest > LIST_TEXT {
            let message = format!("{values} texts of up to {longest} bytes in lists of `{}`", self.column.name());
            return Err(ParquetError::General(format!("{message} are too much")));
        }
        let texts = if self.column.max_rep_level() > 0 { 0 } else { texts };
        self.budget.take(bytes, std::mem::replace(&mut self.texts, texts), texts)?;
        Ok(page)
    }
}

/// Bytes of pages that a single row may need.
const ROW_BYTES: usize = 4 * PAGE_BYTES;

/// Bytes that an item of a list takes with its levels.
const ITEM: usize = 16;

/// Texts of lists that are longer than this are counted as if every one was as long.
const LIST_TEXT: usize = 4 << 10;

/// The longest text of a dictionary: each has its length before it.
fn longest_plain(mut buffer: &[u8]) -> usize {
    let mut longest = 0;
    while let Some((length, rest)) = buffer.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some(rest) = rest.get(length..) else { break };
        longest = longest.max(length);
        buffer = rest;
    }
    longest
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        match self.reader.get_next_page()? {
            Some(page) => self.check(page).map(Some),
            None => Ok(None),
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.reader.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.reader.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.reader.at_record_boundary()
    }
}
