//! How the texts of a column are read.

use std::sync::Arc;

use super::form::Form;
use sluicebox_core::plan::ValueForm;

/// How the texts of a column are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// Nobody declared the column's type: a value counts only if it comes back as it was written.
    pub(super) exact: bool,
    /// Values are written in another form than the usual one.
    pub(super) form: Option<Arc<Form>>,
}

impl Reading {
    /// Of a column whose values have that form.
    pub(super) fn new(exact: bool, form: &ValueForm) -> Self {
        Self { exact, form: Form::new(form).map(Arc::new) }
    }
}
