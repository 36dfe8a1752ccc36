//! Errors of this crate, and their conversion to those of the core.

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;
use perennial_core::text::one_line;
use perennial_core::{Error as CoreError, ErrorCode};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The result of a call in this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// An error, by kinds that a caller might distinguish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A source file is invalid; the message names file, line, column and value.
    #[error("{message}")]
    SourceFile {
        message: String,
        hint: Option<String>,
        #[source]
        source: Option<Cause>,
    },
    /// A source file was modified while it was read.
    #[error("file `{0}` changed while it was read, so none of its rows were loaded")]
    FileChanged(String),
    /// The columns of arriving rows do not match those of the dataset.
    #[error("{message}")]
    Schema { message: String, hint: &'static str },
    /// SQL that cannot be parsed, planned or executed; with line and column where known.
    #[error("{message}")]
    Sql { message: String, hint: Option<String> },
    /// An invalid path, glob, URL or option.
    #[error("{0}")]
    Argument(String),
    /// Something that does not exist.
    #[error("{noun} `{name}` does not exist")]
    NotFound { noun: &'static str, name: String },
    /// The state of a table or staging area does not allow the operation.
    #[error("{message}")]
    State { message: String, hint: String },
    /// A limit was exceeded.
    #[error("{0}")]
    Limit(String),
    /// Reading or writing storage failed.
    #[error("{what} failed")]
    Storage {
        what: String,
        #[source]
        source: Cause,
    },
    /// A bug in this crate.
    #[error("{what} failed")]
    Internal {
        what: String,
        #[source]
        source: Cause,
    },
}

impl Error {
    /// An error in a source file.
    pub(crate) fn source_file(message: impl Into<String>) -> Self {
        Self::SourceFile { message: message.into(), hint: None, source: None }
    }

    /// An error in SQL.
    pub(crate) fn sql(message: impl Into<String>) -> Self {
        Self::Sql { message: message.into(), hint: None }
    }

    /// An error in SQL, with a hint.
    pub(crate) fn sql_with(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Sql { message: message.into(), hint: Some(hint.into()) }
    }

    /// Storage failed while doing `what`.
    pub(crate) fn storage(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Storage { what: what.into(), source: source.into() }
    }

    /// A bug that showed while doing `what`.
    pub(crate) fn internal(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Internal { what: what.into(), source: source.into() }
    }

    /// A Delta operation failed while doing `what`.
    pub(crate) fn delta(what: impl Into<String>, source: DeltaTableError) -> Self {
        Self::storage(what, source)
    }

    /// A DataFusion operation of this crate's own plan failed while doing `what`.
    pub(crate) fn engine(what: &str, source: DataFusionError) -> Self {
        match source.find_root() {
            DataFusionError::ResourcesExhausted(message) => Self::exhausted(what, message),
            DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) | DataFusionError::ParquetError(_) => {
                Self::storage(what.to_owned(), source)
            }
            _ => Self::internal(what.to_owned(), source),
        }
    }

    /// Memory or spill space ran out while doing `what`.
    pub(crate) fn exhausted(what: &str, message: &str) -> Self {
        Self::Limit(format!("{what} exceeds the memory limit: {}", one_line(message)))
    }
}

impl From<Error> for CoreError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::SourceFile { hint, source, .. } => {
                let mut error = Self::new(ErrorCode::SourceFile, message).with_hint(
                    hint.unwrap_or_else(|| "repair the file; it is loaded again when its content has changed".into()),
                );
                if let Some(source) = source {
                    error = error.with_source(source);
                }
                error
            }
            Error::FileChanged(_) => Self::new(ErrorCode::FileChanged, message).with_hint(
                "it is loaded once it is unchanged; writers should write to a temporary name and rename the file",
            ),
            Error::Schema { hint, .. } => Self::new(ErrorCode::SchemaChanged, message).with_hint(hint),
            Error::Sql { hint, .. } => Self::new(ErrorCode::Sql, message).with_optional_hint(hint),
            Error::Argument(_) => Self::new(ErrorCode::InvalidArgument, message),
            Error::NotFound { .. } => Self::new(ErrorCode::NotFound, message),
            Error::State { hint, .. } => Self::new(ErrorCode::WrongState, message).with_hint(hint),
            Error::Limit(_) => Self::new(ErrorCode::TooLarge, message).with_hint("process less data at once"),
            Error::Storage { source, .. } => Self::new(ErrorCode::Storage, message).with_source(source),
            Error::Internal { source, .. } => Self::internal(message, source),
        }
    }
}
