//! Errors of stores.

use std::io;
use std::path::Path;

use sluicebox_core::fault::{Fault, Remedy};

/// The hint for missing permissions.
pub const FORBIDDEN: &str = "make the lake's place readable and writable for this user";

/// An operation of a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The location cannot be opened.
    #[error("'{location}' cannot be used as a lake: {reason}")]
    Location {
        /// As the caller gave it.
        location: String,
        /// Why not.
        reason: String,
    },
    /// The path exists and is not a folder.
    #[error("'{path}' is not a folder")]
    NotAFolder {
        /// The path.
        path: String,
    },
    /// The object store failed.
    #[error("could not {action} '{path}'")]
    Object {
        /// What was attempted.
        action: &'static str,
        /// The object.
        path: String,
        /// The error of the store.
        #[source]
        source: Box<object_store::Error>,
    },
    /// The file system failed.
    #[error("could not {action} '{path}'")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A background task ended without a result.
    #[error("the task that was to {action} '{path}' did not finish")]
    Task {
        /// What it attempted.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// How it ended.
        #[source]
        source: tokio::task::JoinError,
    },
}

impl StoreError {
    /// Wraps an error of an object store with the attempted `action` and the object's path.
    pub fn object(action: &'static str, path: impl ToString) -> impl FnOnce(object_store::Error) -> Self {
        let path = path.to_string();
        move |source| Self::Object { action, path, source: Box::new(source) }
    }

    /// Wraps an error of the file system with the attempted `action` and the file's path.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().display().to_string();
        move |source| Self::Io { action, path, source }
    }

    /// Wraps the end of a task with the attempted `action` and the file's path.
    pub fn task(action: &'static str, path: impl ToString) -> impl FnOnce(tokio::task::JoinError) -> Self {
        let path = path.to_string();
        move |source| Self::Task { action, path, source }
    }

    /// The chain of causes from other libraries, outermost first.
    pub fn causes(&self) -> impl Iterator<Item = Cause<'_>> {
        let first: Option<Cause<'_>> = match self {
            // A boxed source would be seen as its box, which no downcast looks into.
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

/// Whether any cause is a missing permission, whichever library reported it.
pub fn is_forbidden<'a>(mut causes: impl Iterator<Item = Cause<'a>>) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    causes.any(|error| matches!(error.downcast_ref(), Some(PermissionDenied { .. } | Unauthenticated { .. })))
}

/// The kind of the operating system's error, whichever library reported it.
pub fn io_kind<'a>(mut causes: impl Iterator<Item = Cause<'a>>) -> Option<io::ErrorKind> {
    causes.find_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// The hint for an error of the operating system.
pub fn io_hint(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    match kind {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            Some("free some space; nothing was committed, so the run can simply be started again")
        }
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Some(FORBIDDEN),
        Kind::InvalidFilename => {
            Some("the path is longer than the file system allows: give the lake or the table a shorter one")
        }
        Kind::NotADirectory | Kind::AlreadyExists => Some("something that is not a folder lies in the way"),
        _ => None,
    }
}

/// Whether the process or the system may open no more files, whichever library passed it on.
pub fn is_out_of_handles<'a>(mut causes: impl Iterator<Item = Cause<'a>>) -> bool {
    // EMFILE and ENFILE: the standard library has no kind for them.
    causes.any(|error| matches!(error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error), Some(23 | 24)))
}

/// What helps if no more files can be opened.
pub const TOO_MANY_FILES: &str =
    "this process may open no more files: raise its limit (`ulimit -n`), or let fewer hops run at a time";

/// Whether an error of the operating system may pass by itself.
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
                } else if is_out_of_handles(self.causes()) {
                    TOO_MANY_FILES
                } else {
                    io_hint(io_kind(self.causes())?)?
                }
            }
        };
        Some(hint.to_owned())
    }
}
