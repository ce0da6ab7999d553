//! The data files of a table, looked at one by one: a large table has too many to describe them all at once.

use std::collections::HashSet;

use deltalake::table::state::DeltaTableState;

use super::read::{DataRef, ReadContext};

/// The files of one version, and what a commit in the making has changed about them.
#[derive(Clone)]
pub(super) struct FileSet {
    state: DeltaTableState,
    context: ReadContext,
    gone: HashSet<String>,
    made: Vec<DataRef>,
}

impl FileSet {
    pub(super) fn new(state: DeltaTableState, context: ReadContext) -> Self {
        Self { state, context, gone: HashSet::new(), made: Vec::new() }
    }

    /// The files for which `wanted` is true, oldest first, then those that were added here. Only these are in
    /// memory afterwards.
    pub(super) fn select(&self, wanted: impl Fn(&DataRef) -> bool) -> Vec<DataRef> {
        let wanted = |file: &DataRef| !self.gone.contains(&file.path) && wanted(file);
        let mut files: Vec<DataRef> = Vec::new();
        for view in self.state.log_data().iter() {
            let file = self.context.named(DataRef {
                path: view.path().into_owned(),
                size: u64::try_from(view.size()).unwrap_or_default(),
                partition: view.partition_values_map(),
                stats: view.stats(),
                modified: view.modification_time(),
                vector: view.deletion_vector_descriptor(),
                only: None,
            });
            if wanted(&file) {
                files.push(file);
            }
        }
        files.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
        files.extend(self.made.iter().filter(|file| wanted(file)).cloned());
        files
    }

    /// From now on the set has this file, too.
    pub(super) fn add(&mut self, file: DataRef) {
        self.made.push(file);
    }

    /// From now on the set has none of these paths.
    pub(super) fn remove(&mut self, paths: HashSet<String>) {
        self.made.retain(|file| !paths.contains(&file.path));
        self.gone.extend(paths);
    }
}
