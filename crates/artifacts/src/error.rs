//! What can go wrong with blobs.

use std::io;
use std::path::{Path, PathBuf};

use perennial_core::ErrorCode;

use crate::BlobDigest;

/// The result of a call on blobs.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call on blobs failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is kept under this digest.
    #[error("blob `{0}` does not exist")]
    NotFound(BlobDigest),
    /// What is kept under this digest has other content.
    #[error("blob `{0}` is damaged: its bytes no longer hash to its name")]
    Corrupt(BlobDigest),
    /// A blob is larger than the caller takes.
    #[error("blob `{digest}` has {size_bytes} bytes, expected at most {limit_bytes}")]
    TooLarge {
        /// The blob.
        digest: BlobDigest,
        /// Its size.
        size_bytes: u64,
        /// What the caller takes.
        limit_bytes: u64,
    },
    /// A file changed while it was read.
    #[error("file `{0}` changed while it was read")]
    Changed(PathBuf),
    /// Something in a folder cannot be kept.
    #[error("`{path}` cannot be kept: {why}")]
    Refused {
        /// What it is.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The place is none that this build can open.
    #[error("`{place}` is no place for blobs: {why}")]
    Place {
        /// A path or URL.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// A path or manifest that does not pass its judge.
    #[error(transparent)]
    Judged(#[from] perennial_core::Error),
    /// The file system said no.
    #[error("reading `{path}`, or keeping its content, failed: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The object store said no.
    #[error("the object store failed")]
    Store(#[from] object_store::Error),
    /// What the caller streams in failed.
    #[error("the incoming bytes failed")]
    Incoming(#[source] io::Error),
    /// A worker died.
    #[error("a worker thread died")]
    Worker(#[source] tokio::task::JoinError),
}

impl Error {
    /// For `map_err` on file operations.
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
                Some("restore the blob from a backup, or run again the step that made it after `perennial doctor`"),
            ),
            Error::TooLarge { .. } => (ErrorCode::TooLarge, None),
            Error::Changed(_) => (ErrorCode::FileChanged, Some("run it again when nothing writes the file")),
            Error::Refused { .. } | Error::Place { .. } | Error::Judged(_) => (ErrorCode::InvalidArgument, None),
            Error::Io { .. } | Error::Store(_) => {
                (ErrorCode::Storage, Some("`perennial doctor` checks disk, rights and object store"))
            }
            Error::Incoming(_) => (ErrorCode::InvalidArgument, Some("send it again")),
            Error::Worker(_) => (ErrorCode::Internal, None),
        };
        if let Error::Judged(inner) = error {
            return inner;
        }
        let wrapped = Self::new(code, error.to_string()).hint_if_known(hint);
        // The text of these tells the cause.
        if let Error::Io { .. } = error { wrapped } else { wrapped.because(error) }
    }
}
