//! What can go wrong in this crate, and what the use cases hear of it.

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;
use perennial_core::{Error as CoreError, ErrorCode};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The result of anything in this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// An error, by what a caller might tell apart.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A source file is not what it claims to be; the text names file, line, column, value.
    #[error("{message}")]
    SourceFile {
        message: String,
        hint: Option<String>,
        #[source]
        source: Option<Cause>,
    },
    /// A source file was written to while it was read.
    #[error("file `{0}` changed while it was read, and nothing of it was loaded")]
    Moving(String),
    /// Arriving rows do not fit the dataset.
    #[error("{message}")]
    Schema { message: String, hint: &'static str },
    /// SQL that does not parse, plan or run; with line and column where known.
    #[error("{message}")]
    Sql { message: String, hint: Option<String> },
    /// A path, glob, URL or option that is not allowed.
    #[error("{0}")]
    Argument(String),
    /// Something that does not exist.
    #[error("{noun} `{name}` does not exist")]
    NotFound { noun: &'static str, name: String },
    /// The state of a table or staging area forbids it.
    #[error("{message}")]
    State { message: String, hint: String },
    /// A named limit was reached.
    #[error("{0}")]
    Limit(String),
    /// Storage failed.
    #[error("{what}")]
    Storage {
        what: String,
        #[source]
        source: Cause,
    },
    /// Our fault.
    #[error("{what}")]
    Internal {
        what: String,
        #[source]
        source: Cause,
    },
}

impl Error {
    /// A source file at fault.
    pub(crate) fn source_file(message: impl Into<String>) -> Self {
        Self::SourceFile { message: message.into(), hint: None, source: None }
    }

    /// SQL at fault.
    pub(crate) fn sql(message: impl Into<String>) -> Self {
        Self::Sql { message: message.into(), hint: None }
    }

    /// SQL of people that is wrong, with the next act.
    pub(crate) fn sql_with(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Sql { message: message.into(), hint: Some(hint.into()) }
    }

    /// Storage failed while doing `what`.
    pub(crate) fn storage(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Storage { what: what.into(), source: source.into() }
    }

    /// Our fault while doing `what`.
    pub(crate) fn internal(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Internal { what: what.into(), source: source.into() }
    }

    /// A Delta operation failed while doing `what`.
    pub(crate) fn delta(what: impl Into<String>, source: DeltaTableError) -> Self {
        Self::storage(what, source)
    }

    /// A DataFusion operation over our own plan failed while doing `what`.
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
        Self::Limit(format!("{what} needs more memory than it may use: {}", one_line(message)))
    }
}

/// Folds a foreign message into one line without final stop.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

impl From<Error> for CoreError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::SourceFile { hint, source, .. } => {
                let mut error =
                    Self::new(ErrorCode::SourceFile, message).hint(hint.unwrap_or_else(|| {
                        "repair the file at its source; its load enters when the file is whole".into()
                    }));
                if let Some(source) = source {
                    error = error.because(source);
                }
                error
            }
            Error::Moving(_) => Self::new(ErrorCode::FileChanged, message).hint(
                "it is taken the next time, when it rests; whoever writes it best writes another name and renames it",
            ),
            Error::Schema { hint, .. } => Self::new(ErrorCode::SchemaChanged, message).hint(hint),
            Error::Sql { hint, .. } => Self::new(ErrorCode::Sql, message).hint_if_known(hint),
            Error::Argument(_) => Self::new(ErrorCode::InvalidArgument, message),
            Error::NotFound { .. } => Self::new(ErrorCode::NotFound, message),
            Error::State { hint, .. } => Self::new(ErrorCode::WrongState, message).hint(hint),
            Error::Limit(_) => Self::new(ErrorCode::TooLarge, message)
                .hint("take less at once, or give the server more memory (`--memory`)"),
            Error::Storage { source, .. } => Self::new(ErrorCode::Storage, message).because(source),
            Error::Internal { source, .. } => Self::internal(message, source),
        }
    }
}
