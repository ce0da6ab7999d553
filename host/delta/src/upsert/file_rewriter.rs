//! The file rewriter: writes the file that replaces another, from copied, patched and rewritten row groups.

use arrow_array::{ArrayRef, RecordBatch};

use super::file::OpenFile;
use super::lane::{Halt, Lane};
use super::rewrite::Rewriter;
use crate::data_file::{DataFile, Written};
use crate::read::DataRef;
use sluicebox_parquet_writer::takes;

/// Files below this size are merged: their rows are written together.
const POUR_BYTES: u64 = 4 << 20;
/// A row group with fewer rows is merged with the next.
const SMALL_GROUP: usize = 8 << 10;

/// The replacement of a file.
pub(super) struct FileRewriter<'a> {
    of: &'a Rewriter<'a>,
    pub(super) file: &'a DataRef,
    pub(super) open: &'a OpenFile<'a>,
    /// Row groups before the first change.
    before: Vec<usize>,
    begun: bool,
    /// Its own file, unless it is so small that its rows are merged with others.
    own: Option<DataFile>,
    rows: usize,
    /// Row groups can be copied as encoded bytes.
    pub(super) spliceable: bool,
}

impl<'a> FileRewriter<'a> {
    pub(super) fn new(of: &'a Rewriter<'a>, file: &'a DataRef, open: &'a OpenFile<'a>) -> Self {
        let spliceable = file.size >= POUR_BYTES && takes(&of.data_schema, open.footer());
        Self { of, file, open, before: Vec::new(), begun: false, own: None, rows: 0, spliceable }
    }

    /// Creates the file, with a sample for its encodings.
    fn begin(&mut self, sample: &[RecordBatch], lane: &mut Lane<'_, '_, '_>) -> Result<(), Halt> {
        self.begun = true;
        if self.file.size >= POUR_BYTES {
            let sample = sample.iter().map(|rows| self.of.data_of(rows)).collect::<Result<Vec<_>, _>>()?;
            let partition = self.of.context.partition_by.iter();
            let partition = partition.map(|column| self.file.partition.get(column).cloned().flatten()).collect();
            let schema = self.of.data_schema.clone();
            self.own = Some(DataFile::create(&self.of.target, schema, partition, &sample)?);
        }
        for group in std::mem::take(&mut self.before) {
            self.copy(group, lane)?;
        }
        Ok(())
    }

    /// Copies an unchanged row group.
    pub(super) fn copy(&mut self, group: usize, lane: &mut Lane<'_, '_, '_>) -> Result<(), Halt> {
        if !self.begun {
            self.before.push(group);
            return Ok(());
        }
        let (open, footer) = (self.open, self.open.footer());
        match &mut self.own {
            Some(own) if self.spliceable && open.is_whole(group) => {
                let chunks: Vec<_> =
                    (0..footer.row_group(group).num_columns()).map(|leaf| open.range(group, leaf)).collect();
                self.rows += open.rows(group);
                Ok(own.splice(&open.fetch(&chunks)?, footer, group)?)
            }
            _ => {
                let mut first = open.first(group);
                for rows in open.read(group, self.of.schema)? {
                    let rows = rows?;
                    let here = first;
                    first += rows.num_rows() as u64;
                    self.put(open.live(rows, here)?, lane)?;
                }
                self.end_group()
            }
        }
    }

    /// Copies a row group with new values in some columns.
    pub(super) fn patch(
        &mut self,
        group: usize,
        columns: &[Option<Vec<ArrayRef>>],
        lane: &mut Lane<'_, '_, '_>,
    ) -> Result<(), Halt> {
        if !self.begun {
            self.begin(&[], lane)?;
        }
        let (open, footer) = (self.open, self.open.footer());
        let Some(own) = &mut self.own else {
            return Ok(());
        };
        // The bytes of a replaced column are not needed.
        let descriptors = footer.file_metadata().schema_descr();
        let kept = |leaf: &usize| columns[descriptors.get_column_root_idx(*leaf)].is_none();
        let chunks: Vec<_> = (0..descriptors.num_columns()).filter(kept).map(|leaf| open.range(group, leaf)).collect();
        self.rows += open.rows(group);
        Ok(own.patch(&open.fetch(&chunks)?, footer, group, columns)?)
    }

    /// Writes rows of a changed row group.
    pub(super) fn write(&mut self, batches: Vec<RecordBatch>, lane: &mut Lane<'_, '_, '_>) -> Result<(), Halt> {
        if !self.begun {
            self.begin(&batches, lane)?;
        }
        batches.into_iter().try_for_each(|rows| self.put(rows, lane))
    }

    fn put(&mut self, rows: RecordBatch, lane: &mut Lane<'_, '_, '_>) -> Result<(), Halt> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.rows += rows.num_rows();
        match &mut self.own {
            Some(own) => Ok(own.write(&self.of.data_of(&rows)?)?),
            None => lane.write(rows),
        }
    }

    /// Row groups keep their borders, so that the next change touches few of them; very small ones are merged.
    pub(super) fn end_group(&mut self) -> Result<(), Halt> {
        match &mut self.own {
            Some(own) if own.rows_buffered() >= SMALL_GROUP => Ok(own.flush()?),
            _ => Ok(()),
        }
    }

    /// Completes the file. Returns whether any row changed, and the file, if there is one.
    pub(super) fn finish(self) -> Result<(bool, Option<Written>), Halt> {
        let written = match self.own {
            Some(own) if self.rows > 0 => Some(own.finish()?),
            // A file without rows is removed when it is dropped.
            _ => None,
        };
        Ok((self.begun, written))
    }
}
