//! Rows on their way to domain types.

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
