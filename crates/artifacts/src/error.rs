//! Errors of the blob store.

use std::io;
use std::path::{Path, PathBuf};

use perennial_core::ErrorCode;

use crate::BlobDigest;

/// The result of a call to the blob store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call to the blob store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No blob is stored under this digest.
    #[error("blob `{0}` does not exist")]
    NotFound(BlobDigest),
    /// The bytes stored under this digest do not hash to it.
    #[error("blob `{0}` is damaged: its bytes no longer hash to its name")]
    Corrupt(BlobDigest),
    /// A blob is larger than the caller's limit.
    #[error("blob `{digest}` has {size_bytes} bytes, expected at most {limit_bytes}")]
    TooLarge {
        /// The blob.
        digest: BlobDigest,
        /// Its size.
        size_bytes: u64,
        /// The caller's limit.
        limit_bytes: u64,
    },
    /// Incoming bytes do not have the digest that the caller announced.
    #[error("the incoming content has the digest `{found}`, expected `{expected}`")]
    Unexpected {
        /// The digest announced.
        expected: BlobDigest,
        /// The digest of the bytes.
        found: BlobDigest,
    },
    /// A file changed while it was read.
    #[error("file `{0}` changed while it was read")]
    Changed(PathBuf),
    /// An entry of a folder cannot be stored.
    #[error("cannot store `{path}`: {reason}")]
    Refused {
        /// The entry.
        path: PathBuf,
        /// Why it cannot be stored.
        reason: &'static str,
    },
    /// The location cannot be opened as a blob store.
    #[error("cannot open blob store `{location}`: {reason}")]
    Location {
        /// A path or URL.
        location: String,
        /// Why it cannot be opened.
        reason: String,
    },
    /// The object store does not answer, or refuses requests.
    #[error("the object store at `{location}` does not answer: {reason}")]
    Unreachable {
        /// The URL.
        location: String,
        /// Why.
        reason: String,
    },
    /// A path or manifest is invalid.
    #[error(transparent)]
    Invalid(#[from] perennial_core::Error),
    /// A file operation failed.
    #[error("cannot read or write `{path}`: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// A request to the object store failed.
    #[error("the object store failed")]
    Store(#[from] object_store::Error),
    /// The caller's byte stream failed.
    #[error("the incoming bytes failed")]
    Incoming(#[source] io::Error),
    /// A worker thread panicked or was cancelled.
    #[error("a worker thread died")]
    Worker(#[source] tokio::task::JoinError),
}

impl Error {
    /// Wraps the error of a file operation; for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

impl From<Error> for perennial_core::Error {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::NotFound(_) => (ErrorCode::NotFound, None),
            Error::Corrupt(_) => (
                ErrorCode::Corrupt,
                Some(
                    "repeat the step or the upload that produced it, which stores it again, or restore it from a backup",
                ),
            ),
            Error::TooLarge { .. } => (ErrorCode::TooLarge, None),
            Error::Changed(_) => (ErrorCode::FileChanged, Some("repeat the command when no process writes the file")),
            Error::Refused { .. } | Error::Location { .. } | Error::Invalid(_) => (ErrorCode::InvalidArgument, None),
            Error::Io { .. } | Error::Store(_) => {
                (ErrorCode::Storage, Some("`perennial doctor` checks disk, permissions and object store"))
            }
            Error::Unreachable { .. } => (
                ErrorCode::NotReady,
                Some("correct `--artifacts`, and the endpoint and credentials of the object store"),
            ),
            Error::Unexpected { .. } => {
                (ErrorCode::InvalidArgument, Some("upload it again: the file changed during the upload"))
            }
            Error::Incoming(_) => (ErrorCode::InvalidArgument, Some("upload it again")),
            Error::Worker(_) => (ErrorCode::Internal, None),
        };
        if let Error::Invalid(inner) = error {
            return inner;
        }
        let wrapped = Self::new(code, error.to_string()).with_optional_hint(hint);
        // The message of an I/O error already contains its cause.
        if let Error::Io { .. } = error { wrapped } else { wrapped.with_source(error) }
    }
}
