//! Errors of the prediction log.

use std::io;
use std::path::{Path, PathBuf};

use perennial_core::error::DISK_FULL_HINT;
use perennial_core::{Error, ErrorCode};

/// An error of the prediction log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The name has too many components.
    #[error("`{0}` is not a valid name of a prediction log: expected `<project>/<endpoint>`")]
    Name(String),
    /// The name is not a valid path.
    #[error(transparent)]
    Path(#[from] Error),
    /// Another log has the folder open.
    #[error("the prediction log `{0}` is in use by another process")]
    InUse(PathBuf),
    /// A record is too large.
    #[error("a request of {size_bytes} bytes cannot be logged: expected at most {limit_bytes}")]
    TooLarge {
        /// The record's size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Closed segments that were not ingested yet exceed the limit.
    #[error("the prediction log `{name}` is full: {size_bytes} bytes wait to be ingested into its dataset")]
    Full {
        /// The log.
        name: String,
        /// Size of the segments that wait.
        size_bytes: u64,
    },
    /// The scores do not match the rows.
    #[error("a record of {rows} rows has {scores} scores of width {width}")]
    Shape {
        /// Number of rows.
        rows: usize,
        /// Number of scores.
        scores: usize,
        /// Scores per row.
        width: usize,
    },
    /// A closed segment cannot be decoded.
    #[error("the prediction segment `{path}` is damaged at byte {offset}: {reason}")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Position of the damage.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The open segment can be neither read nor removed.
    #[error("prediction segment {number} of `{name}` is still open")]
    Open {
        /// The log.
        name: String,
        /// The segment.
        number: i64,
    },
    /// The disk has no room for a record.
    #[error("predictions cannot be logged: the disk of `{}` is full", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file operation failed.
    #[error("cannot access `{path}`")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// An earlier sync failed, so records may be lost in a power failure.
    #[error("an earlier sync of `{0}` to disk failed")]
    Unsynced(PathBuf),
    /// The sync thread did not start.
    #[error("the thread that syncs predictions to disk did not start")]
    Thread(#[source] io::Error),
}

impl LogError {
    /// Wraps an error of a file operation on `path`; for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path: path.to_owned(), source }
            }
            _ => Self::Io { path: path.to_owned(), source },
        }
    }

    /// A segment that cannot be decoded.
    pub(crate) fn damaged(path: &Path, offset: usize, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), offset: offset as u64, reason: reason.into() }
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        let (code, hint) = match &error {
            LogError::Name(_) | LogError::Path(_) => (ErrorCode::InvalidArgument, ""),
            LogError::InUse(_) => {
                (ErrorCode::NotReady, "stop the other server, or start this one with a `--data` of its own")
            }
            LogError::TooLarge { .. } => (ErrorCode::TooLarge, "send the rows in several requests"),
            LogError::Full { .. } => (ErrorCode::Busy, "`perennial alerts` shows why predictions are not ingested"),
            LogError::DiskFull { .. } => (ErrorCode::Busy, DISK_FULL_HINT),
            LogError::Shape { .. } | LogError::Thread(_) => (ErrorCode::Internal, ""),
            LogError::Damaged { .. } => (ErrorCode::Corrupt, "restore the file from a backup"),
            LogError::Open { .. } => (ErrorCode::WrongState, ""),
            LogError::Io { .. } | LogError::Unsynced(_) => {
                (ErrorCode::Storage, "`perennial doctor` checks the disk and its permissions")
            }
        };
        if let LogError::Path(inner) = error {
            return inner;
        }
        let wrapped = Self::new(code, error.to_string());
        let wrapped = if hint.is_empty() { wrapped } else { wrapped.with_hint(hint) };
        wrapped.with_source(error)
    }
}
