//! Why bytes could not be reached, read or put.

use std::io;
use std::path::Path;

use sluicebox_core::fault::{Fault, Remedy};

/// What helps where rights are missing.
pub const FORBIDDEN: &str = "make the lake's place readable and writable for this user";

/// A store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The text that names a folder is not a place we can open.
    #[error("'{location}' cannot be used as a lake: {reason}")]
    Location {
        /// As the caller gave it.
        location: String,
        /// Why not.
        reason: String,
    },
    /// Something else lies where a folder is needed.
    #[error("'{path}' is not a folder")]
    NotAFolder {
        /// The path.
        path: String,
    },
    /// The object store refused.
    #[error("could not {action} '{path}'")]
    Object {
        /// What was attempted.
        action: &'static str,
        /// The object.
        path: String,
        /// What the store said.
        #[source]
        source: Box<object_store::Error>,
    },
    /// The file system refused.
    #[error("could not {action} '{path}'")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A background task ended without a result.
    #[error("the task that was to {action} '{path}' did not finish")]
    Task {
        /// What it was to do.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// How it ended.
        #[source]
        source: tokio::task::JoinError,
    },
}

impl StoreError {
    /// What an object store said when it was asked to `action` the object at `path`.
    pub fn object(action: &'static str, path: impl ToString) -> impl FnOnce(object_store::Error) -> Self {
        let path = path.to_string();
        move |source| Self::Object { action, path, source: Box::new(source) }
    }

    /// What the file system said when it was asked to `action` the file at `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().display().to_string();
        move |source| Self::Io { action, path, source }
    }

    /// How the task ended that was to `action` the file at `path`.
    pub fn task(action: &'static str, path: impl ToString) -> impl FnOnce(tokio::task::JoinError) -> Self {
        let path = path.to_string();
        move |source| Self::Task { action, path, source }
    }

    /// What other libraries said, outermost first.
    pub fn causes(&self) -> impl Iterator<Item = Cause<'_>> {
        let first: Option<Cause<'_>> = match self {
            // A boxed source would show as its box, which no downcast sees through.
            Self::Object { source, .. } => Some(source.as_ref()),
            Self::Io { source, .. } => Some(source),
            Self::Task { source, .. } => Some(source),
            Self::Location { .. } | Self::NotAFolder { .. } => None,
        };
        std::iter::successors(first, |error| error.source())
    }
}

/// An error as one of a chain of causes.
pub type Cause<'a> = &'a (dyn std::error::Error + 'static);

/// Whether a store refused for want of rights, whichever library carried that up.
pub fn is_forbidden<'a>(mut causes: impl Iterator<Item = Cause<'a>>) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    causes.any(|error| matches!(error.downcast_ref(), Some(PermissionDenied { .. } | Unauthenticated { .. })))
}

/// The kind of the system's own error, whichever library carried it up.
pub fn io_kind<'a>(mut causes: impl Iterator<Item = Cause<'a>>) -> Option<io::ErrorKind> {
    causes.find_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// What helps against an error of the system.
pub fn io_hint(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    match kind {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            Some("free some space; nothing was committed, so the run can simply be started again")
        }
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Some(FORBIDDEN),
        Kind::NotADirectory | Kind::AlreadyExists => Some("something that is not a folder lies in the way"),
        _ => None,
    }
}

/// Whether the system's error may pass by itself.
pub fn is_passing(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::Interrupted | io::ErrorKind::TimedOut | io::ErrorKind::ConnectionReset)
}

impl Fault for StoreError {
    fn remedy(&self) -> Remedy {
        if is_forbidden(self.causes()) {
            return Remedy::Stop;
        }
        match io_kind(self.causes()) {
            Some(kind) if is_passing(kind) => Remedy::Retry,
            Some(_) => Remedy::Stop,
            None if matches!(self, Self::Object { .. }) => Remedy::Retry,
            None => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Location { .. } => "give a folder such as 'lake' or '/data/lake', or a file:// URL",
            Self::NotAFolder { .. } => "move the file away or choose another place for the lake",
            Self::Object { .. } | Self::Io { .. } | Self::Task { .. } => {
                if is_forbidden(self.causes()) {
                    FORBIDDEN
                } else {
                    io_hint(io_kind(self.causes())?)?
                }
            }
        };
        Some(hint.to_owned())
    }
}
