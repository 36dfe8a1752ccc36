//! What can go wrong with the prediction log.

use std::io;
use std::path::{Path, PathBuf};

use perennial_core::{Error, ErrorCode};

/// Why a call on the log failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The name is none that a log can have.
    #[error("`{0}` is no name of a prediction log: expected `<project>/<endpoint>`")]
    Name(String),
    /// A path that does not pass its judge.
    #[error(transparent)]
    Judged(#[from] Error),
    /// Somebody else holds the folder.
    #[error("the prediction log `{0}` is in use by another process")]
    InUse(PathBuf),
    /// One request is more than a record may hold.
    #[error("a request of {size_bytes} bytes cannot be logged: expected at most {limit_bytes}")]
    TooLarge {
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Too much waits to be taken into the dataset.
    #[error("the prediction log `{name}` is full: {size_bytes} bytes wait to be taken into its dataset")]
    Full {
        /// The log.
        name: String,
        /// What waits.
        size_bytes: u64,
    },
    /// The caller's scores do not fit its rows.
    #[error("a record of {rows} rows came with {scores} scores of width {width}")]
    Shape {
        /// Rows of the inputs.
        rows: usize,
        /// Scores.
        scores: usize,
        /// Scores a row.
        width: usize,
    },
    /// A closed segment does not read back.
    #[error("the prediction segment `{path}` is damaged at byte {offset}: {why}")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// The open segment cannot take a seal or removal.
    #[error("prediction segment {number} of `{name}` is still open")]
    Open {
        /// The log.
        name: String,
        /// The segment.
        number: i64,
    },
    /// The file system said no.
    #[error("`{path}` failed")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// An earlier sync failed: what was written then may be lost.
    #[error("bringing `{0}` to disk failed before")]
    Unsynced(PathBuf),
    /// The thread that syncs could not start.
    #[error("the thread that brings predictions to disk did not start")]
    Thread(#[source] io::Error),
}

impl LogError {
    /// For `map_err` on file operations.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// A segment that does not read back.
    pub(crate) fn damaged(path: &Path, offset: usize, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), offset: offset as u64, why: why.into() }
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        let (code, hint) = match &error {
            LogError::Name(_) | LogError::Judged(_) => (ErrorCode::InvalidArgument, ""),
            LogError::InUse(_) => {
                (ErrorCode::NotReady, "stop the other server, or start this one with a `--data` of its own")
            }
            LogError::TooLarge { .. } => (ErrorCode::TooLarge, "send the rows in several requests"),
            LogError::Full { .. } => {
                (ErrorCode::TooLarge, "`perennial alerts` says why predictions are not taken into their dataset")
            }
            LogError::Shape { .. } | LogError::Thread(_) => (ErrorCode::Internal, ""),
            LogError::Damaged { .. } => (ErrorCode::Corrupt, "restore the file from a backup"),
            LogError::Open { .. } => (ErrorCode::WrongState, ""),
            LogError::Io { .. } | LogError::Unsynced(_) => {
                (ErrorCode::Storage, "`perennial doctor` checks disk and rights")
            }
        };
        if let LogError::Judged(inner) = error {
            return inner;
        }
        let wrapped = Self::new(code, error.to_string());
        let wrapped = if hint.is_empty() { wrapped } else { wrapped.hint(hint) };
        wrapped.because(error)
    }
}
