//! `layout` and `upkeep` of a table: how its data files are made, and what is done to keep them in shape.

use super::section::Section;
use sluicebox_core::plan::{Layout, Upkeep};

/// Reads `layout`; what is wrong is reported.
pub(super) fn read(section: &Section<'_>) -> Option<Layout> {
    let standard = Layout::default();
    let file_bytes = section.or("file_size", standard.file_bytes, Section::size);
    let sort_by = section.or("sort_by", standard.sort_by, Section::columns);
    let deletion_vectors = section.or("deletion_vectors", standard.deletion_vectors, Section::flag);
    let memory = section.or("memory", standard.memory, Section::size);
    Some(Layout { file_bytes: file_bytes?, sort_by: sort_by?, deletion_vectors: deletion_vectors?, memory: memory? })
}

/// Reads `upkeep`; what is wrong is reported.
pub(super) fn upkeep(section: &Section<'_>) -> Option<Upkeep> {
    let standard = Upkeep::default();
    let compact_at =
        section.or("compact_at", standard.compact_at, |section, key| u64::try_from(section.integer(key)?).ok());
    let z_order = section.or("z_order", standard.z_order, Section::columns);
    let keep_files = section.or("keep_files", standard.keep_files, Section::time);
    let keep_log = section.or("keep_log", standard.keep_log, Section::time);
    let every = section.or("every", standard.every, |section, key| section.time(key).map(Some));
    let (keep_files, keep_log) = (keep_files?, keep_log?);
    if keep_log < keep_files {
        section.misplaced(
            "keep_log",
            "is shorter than `keep_files`",
            "the log says which files are still needed, so it is kept at least as long",
        );
        return None;
    }
    Some(Upkeep { compact_at: compact_at?, z_order: z_order?, keep_files, keep_log, every: every? })
}
