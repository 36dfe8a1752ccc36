//! What can go wrong with the store.

use perennial_core::error::DISK_FULL_HINT;
use perennial_core::state::TransitionError;
use perennial_core::{Error as CoreError, ErrorCode};

/// The result of a store function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such row.
    #[error("{noun} `{name}` does not exist")]
    NotFound {
        /// The noun.
        noun: &'static str,
        /// Its id or name.
        name: String,
    },
    /// A row with the same identity exists.
    #[error("{noun} `{name}` already exists")]
    AlreadyExists {
        /// The noun.
        noun: &'static str,
        /// Its id or name.
        name: String,
    },
    /// The state of the row forbids the change.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// Another client changed the row between the read and the write.
    #[error("{noun} `{name}` was changed by another client meanwhile")]
    Conflict {
        /// The noun.
        noun: &'static str,
        /// Its id or name.
        name: String,
    },
    /// The request cannot be kept as it is.
    #[error("{0}")]
    Refused(String),
    /// A row does not convert to what it stands for.
    #[error("table `{table}`, column `{column}`, row `{key}` does not convert: {why}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
        /// The row's key.
        key: String,
        /// What does not fit.
        why: String,
    },
    /// A write came after the ledger entry of its transaction.
    #[error("a write came after the ledger entry, which must be the last of its transaction")]
    AfterLedger,
    /// The scheme of the address is unknown.
    #[error("`{0}` is not a metadata address: expected `sqlite://<path>` or `postgres://<host>/<database>`")]
    Address(String),
    /// The database has tables of a newer version.
    #[error("the metadata was written by a newer version (migration {0})")]
    Newer(i64),
    /// Another server has taken over the database.
    #[error("another server has taken over the database; nothing was written")]
    NotOwner,
    /// A migration failed.
    #[error("migrating the metadata failed")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The server of the database cannot be reached, or refuses the connection.
    #[error("cannot connect to the metadata database: {why}")]
    Unreachable {
        /// Why.
        why: String,
        /// Host and port, for the log and for the person who starts the server.
        #[source]
        place: Place,
    },
    /// Too many writes wait, or the database is held by another process.
    #[error("the metadata store is busy: {0}")]
    Busy(String),
    /// A write took longer than it may.
    #[error("a write took longer than {0:?} and was undone")]
    TooSlow(std::time::Duration),
    /// A write panicked and was undone.
    #[error("a write panicked and was undone: {0}")]
    Panicked(String),
    /// The store was closed.
    #[error("the metadata store is closed")]
    Closed,
    /// The transaction that carried the write could not be committed.
    #[error("the write could not be committed: {0}")]
    NotCommitted(String),
    /// The disk of the database has no room.
    #[error("the disk of the metadata database is full: {0}")]
    DiskFull(String),
    /// A file beside the database could not be written.
    #[error("`{path}` could not be written")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A row with the same identity is there; found by the database itself.
    #[error("a row with the same identity already exists")]
    Duplicate(#[source] sqlx::Error),
    /// The row names one that is not there, or one that is there names it.
    #[error("a row names something that does not exist, or is still named by something that does")]
    Dangling(#[source] sqlx::Error),
    /// The database answered with an error.
    #[error("the metadata database failed")]
    Database(#[source] sqlx::Error),
}

/// Where a PostgreSQL server is expected.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL at {host}:{port}")]
pub struct Place {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Error {
    pub(crate) fn not_found(noun: &'static str, name: impl ToString) -> Self {
        Self::NotFound { noun, name: name.to_string() }
    }

    pub(crate) fn already_exists(noun: &'static str, name: impl ToString) -> Self {
        Self::AlreadyExists { noun, name: name.to_string() }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy("every connection is in use".to_owned()),
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::Database(cause) if cause.is_unique_violation() => {
                Self::Duplicate(sqlx::Error::Database(cause))
            }
            sqlx::Error::Database(cause) if cause.is_foreign_key_violation() => {
                Self::Dangling(sqlx::Error::Database(cause))
            }
            other if is_disk_full(&other) => Self::DiskFull(other.to_string()),
            other => Self::Database(other),
        }
    }
}

/// Whether the database reports that its disk is full: `SQLITE_FULL` and `SQLITE_IOERR_SHMSIZE`, or `disk_full` of
/// PostgreSQL.
fn is_disk_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("13" | "4874" | "53100"))
}

impl From<Error> for CoreError {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::NotFound { .. } => ErrorCode::NotFound,
            Error::AlreadyExists { .. } | Error::Duplicate(_) => ErrorCode::AlreadyExists,
            Error::Transition(_) | Error::Conflict { .. } | Error::Dangling(_) => ErrorCode::WrongState,
            Error::Refused(_) | Error::Address(_) => ErrorCode::InvalidArgument,
            Error::Corrupt { .. } => ErrorCode::Corrupt,
            Error::AfterLedger | Error::Panicked(_) => ErrorCode::Internal,
            Error::Busy(_) | Error::DiskFull(_) | Error::Closed => ErrorCode::Busy,
            Error::TooSlow(_) => ErrorCode::Timeout,
            Error::Newer(_) | Error::NotOwner | Error::Unreachable { .. } => ErrorCode::NotReady,
            Error::Migration(_) | Error::NotCommitted(_) | Error::File { .. } | Error::Database(_) => {
                ErrorCode::Storage
            }
        };
        let hint = match &error {
            Error::Conflict { .. } => Some("read it again, then repeat the request if it still applies"),
            Error::Corrupt { .. } => Some("restore a backup: perennial restore FILE"),
            Error::Newer(_) => Some("start the version of perennial that wrote it, or a later one"),
            Error::NotOwner => Some("send the request to the server that has taken over"),
            Error::Busy(_) => Some("try again in a moment"),
            Error::DiskFull(_) => Some(DISK_FULL_HINT),
            Error::Unreachable { .. } => {
                Some("start the database server, or correct host, port, user and password of `--database`")
            }
            _ => None,
        };
        Self::new(code, error.to_string()).with_source(error).with_optional_hint(hint)
    }
}
