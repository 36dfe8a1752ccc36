//! Converting rows to domain types.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Row as _};

use crate::error::{Error, Result};
use crate::value::{Column, Raw};

/// A row of either database.
pub(crate) enum AnyRow {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl AnyRow {
    pub(crate) fn raw<T: Raw, I>(&self, index: I) -> Result<T, sqlx::Error>
    where
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        match self {
            Self::Sqlite(row) => row.try_get::<T, I>(index),
            Self::Postgres(row) => row.try_get::<T, I>(index),
        }
    }
}

/// Rows of a list, of which those that do not convert are set aside.
///
/// For reads that must not fail as a whole: at the start of a server, and in loops that serve every project.
#[derive(Debug)]
pub struct Readable<T> {
    /// The rows that convert.
    pub rows: Vec<T>,
    /// Of the others, what does not convert.
    pub unreadable: Vec<UnreadableRow>,
}

/// A row that does not convert to what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreadableRow {
    /// The table.
    pub table: &'static str,
    /// The row's key; the parts of a key of several columns are separated by `/`.
    pub key: String,
    /// The column that does not convert.
    pub column: String,
    /// What does not fit.
    pub why: String,
}

impl<T> Readable<T> {
    /// Sorts converted rows from those that do not convert; any other error is returned.
    pub(crate) fn collect(rows: impl Iterator<Item = Result<T>>) -> Result<Self> {
        let mut readable = Self { rows: Vec::new(), unreadable: Vec::new() };
        for row in rows {
            match row {
                Ok(row) => readable.rows.push(row),
                Err(Error::Corrupt { table, column, key, why }) => {
                    readable.unreadable.push(UnreadableRow { table, key, column, why });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(readable)
    }
}

/// A type read from a row. A value that does not convert is an error that names table, column and key.
pub(crate) trait Record: Sized {
    /// The table, for messages.
    const TABLE: &'static str;

    /// The columns of the row's key, for messages.
    const KEY: &'static [&'static str];

    /// Reads it.
    fn read(row: &Row<'_>) -> Result<Self>;
}

/// A row being read as a [`Record`].
pub(crate) struct Row<'r> {
    raw: &'r AnyRow,
    table: &'static str,
    key: &'static [&'static str],
}

impl Row<'_> {
    pub(crate) fn record<T: Record>(raw: &AnyRow) -> Result<T> {
        T::read(&Row { raw, table: T::TABLE, key: T::KEY })
    }

    /// The value of a column.
    pub(crate) fn get<T: Column>(&self, column: &'static str) -> Result<T> {
        let raw = self.raw.raw::<T::Raw, _>(column).map_err(|error| self.corrupt(column, error.to_string()))?;
        T::from_raw(raw).map_err(|why| self.corrupt(column, why))
    }

    /// An error for a column whose value does not fit.
    pub(crate) fn corrupt(&self, column: &str, why: String) -> Error {
        let part = |column: &&str| {
            let text = self.raw.raw::<String, _>(*column);
            text.or_else(|_| self.raw.raw::<i64, _>(*column).map(|number| number.to_string()))
                .unwrap_or_else(|_| "?".to_owned())
        };
        let key = self.key.iter().map(part).collect::<Vec<_>>().join("/");
        Error::Corrupt { table: self.table, column: column.to_owned(), key, why }
    }
}
