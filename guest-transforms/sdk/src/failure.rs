//! Why a call failed.

use std::fmt;

/// The result of everything in this crate.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a call failed. It ends the job; to reject a single row, see [`Reject`](crate::Reject).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The configuration is wrong: the user must fix the pipeline file.
    Config(String),
    /// The input as a whole cannot be used.
    Input(String),
    /// The restored state is unusable.
    State(String),
    /// The module found a bug of its own.
    Internal(String),
}

impl Failure {
    /// A wrong configuration.
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config(message.into())
    }

    /// An input that cannot be used as a whole.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    /// An unusable state.
    pub fn state(message: impl Into<String>) -> Self {
        Self::State(message.into())
    }

    /// A bug of the module itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(message) => write!(f, "configuration: {message}"),
            Self::Input(message) => write!(f, "input: {message}"),
            Self::State(message) => write!(f, "state: {message}"),
            Self::Internal(message) => write!(f, "internal: {message}"),
        }
    }
}

impl std::error::Error for Failure {}

/// An Arrow call that fails inside a module is a bug of the module, because its input was checked.
impl From<arrow_schema::ArrowError> for Failure {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Internal(error.to_string())
    }
}
