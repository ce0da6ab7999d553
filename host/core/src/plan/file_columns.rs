//! Columns that are said of a file and not in it.

/// Which columns the rows of a file have beside its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileColumns {
    /// Whether folders such as `year=2024` are columns.
    pub hive: bool,
    /// How the name of a file says values of columns, such as `{store}-{date}.csv`.
    pub name: Option<Vec<NamePart>>,
    /// Columns with what is known of a file, in the order in which they were written.
    pub facts: Vec<(String, FileFact)>,
}

/// A part of the name of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePart {
    /// This text.
    Text(String),
    /// The value of this column: the shortest text, not empty, that lets the rest fit.
    Column(String),
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFact {
    /// Its name without its folders, as text.
    Name,
    /// Its path from the source's folder on, as text.
    Path,
    /// When it was last written, as an instant.
    Modified,
    /// How many bytes it has, as a 64-bit number.
    Size,
}

impl Default for FileColumns {
    fn default() -> Self {
        Self { hive: true, name: None, facts: Vec::new() }
    }
}
