//! `layout` of a table: how its data files are made.

use crate::keys::{Columns, Flag, GIB, KIB, Key, KeySet, MIB, Section, Size, SubTable};
use sluicebox_core::plan::Layout;

const FILE_SIZE: Key<Size<u64>> =
    Key::new("file_size", Size::from_to(64 * KIB, 4 * GIB), "A file is complete at this size.")
        .default(|| Layout::default().file_bytes)
        .example(r#""64 MiB""#);
const SORT_BY: Key<Columns> =
    Key::new("sort_by", Columns, "Columns by which the rows of a commit are sorted, so that readers can skip more.")
        .more("Nulls come first, and each partition is sorted by itself.")
        .default(|| Layout::default().sort_by)
        .absent("none")
        .example(r#"["ordered_at"]"#);
const DELETION_VECTORS: Key<Flag> = Key::new(
    "deletion_vectors",
    Flag,
    "Whether replaced rows are marked instead of their files being rewritten; readers must know how.",
)
.default(|| Layout::default().deletion_vectors)
.example("true");
const MEMORY: Key<Size<u64>> =
    Key::new("memory", Size::from_to(16 * MIB, 64 * GIB), "Bytes that an upsert or a sort may hold in memory.")
        .default(|| Layout::default().memory)
        .example(r#""512 MiB""#);

/// `layout` of a table.
pub(super) static KEYS: KeySet =
    KeySet { about: "How the table's data files are made.", keys: &[&FILE_SIZE, &SORT_BY, &DELETION_VECTORS, &MEMORY] };

/// The value of a key `layout`.
pub(super) const LAYOUT: SubTable<Layout> = SubTable { keys: &KEYS, read };

fn read(section: &Section<'_>) -> Option<Layout> {
    let file_bytes = section.get(&FILE_SIZE);
    let sort_by = section.get(&SORT_BY);
    let deletion_vectors = section.get(&DELETION_VECTORS);
    let memory = section.get(&MEMORY);
    Some(Layout { file_bytes: file_bytes?, sort_by: sort_by?, deletion_vectors: deletion_vectors?, memory: memory? })
}
