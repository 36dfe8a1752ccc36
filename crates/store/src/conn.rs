//! Connections: to read from, and to write through.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Postgres, SqlSafeStr, Sqlite, Transaction};
use tokio::sync::Notify;

use crate::dynamic::{Dialect, Sql, row_width};
use crate::error::{Error, Result};
use crate::outage;
use crate::query::{ListQuery, Query};
use crate::row::{AnyRow, Readable, Record, Row};
use crate::value::{Column, Value};

/// Rows one statement inserts at most.
const BULK_ROWS: usize = 128;

/// A connection that functions read from.
pub struct Conn {
    inner: Inner,
}

enum Inner {
    SqliteWriter(Box<SqliteConnection>),
    SqliteReader(PoolConnection<Sqlite>),
    SqliteSnapshot(Transaction<'static, Sqlite>),
    PostgresTransaction(Transaction<'static, Postgres>, Arc<PgConnectOptions>),
    PostgresReader(PoolConnection<Postgres>, Arc<PgConnectOptions>),
}

enum Raw<'c> {
    Sqlite(&'c mut SqliteConnection),
    /// With the server's address, to ask whether it is there.
    Postgres(&'c mut PgConnection, &'c PgConnectOptions),
}

fn sqlite_query<'q>(sql: impl SqlSafeStr, values: &[Value<'_>]) -> sqlx::query::Query<'q, Sqlite, SqliteArguments> {
    let mut query = sqlx::query(sql);
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(text.as_deref()),
            Value::Int(number) => query.bind(*number),
            Value::Real(number) => query.bind(*number),
            Value::Bool(claim) => query.bind(*claim),
            Value::TooDeep => query.bind(None::<&str>),
        };
    }
    query
}

fn postgres_query<'q>(sql: impl SqlSafeStr, values: &[Value<'_>]) -> sqlx::query::Query<'q, Postgres, PgArguments> {
    let mut query = sqlx::query(sql);
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(text.as_deref()),
            Value::Int(number) => query.bind(*number),
            Value::Real(number) => query.bind(*number),
            Value::Bool(claim) => query.bind(*claim),
            Value::TooDeep => query.bind(None::<&str>),
        };
    }
    query
}

/// Refuses what could not be read again once it is stored.
fn refuse_unreadable(values: &[Value<'_>]) -> Result<()> {
    if values.contains(&Value::TooDeep) {
        return Err(Error::Refused("a value is nested too deeply: what is stored has to be readable again".to_owned()));
    }
    Ok(())
}

impl Conn {
    fn raw(&mut self) -> Raw<'_> {
        match &mut self.inner {
            Inner::SqliteWriter(conn) => Raw::Sqlite(conn),
            Inner::SqliteReader(conn) => Raw::Sqlite(conn),
            Inner::SqliteSnapshot(tx) => Raw::Sqlite(tx),
            Inner::PostgresTransaction(tx, server) => Raw::Postgres(tx, server),
            Inner::PostgresReader(conn, server) => Raw::Postgres(conn, server),
        }
    }

    async fn run(&mut self, query: &Query, values: &[Value<'_>]) -> Result<u64> {
        refuse_unreadable(values)?;
        let changed = match self.raw() {
            Raw::Sqlite(conn) => sqlite_query(query.sqlite, values).execute(conn).await?.rows_affected(),
            Raw::Postgres(conn, server) => {
                outage::answer(server, postgres_query(query.postgres, values).execute(conn)).await?.rows_affected()
            }
        };
        Ok(changed)
    }

    async fn rows(&mut self, query: &Query, values: &[Value<'_>]) -> Result<Vec<AnyRow>> {
        refuse_unreadable(values)?;
        Ok(match self.raw() {
            Raw::Sqlite(conn) => {
                let rows = sqlite_query(query.sqlite, values).fetch_all(conn).await?;
                rows.into_iter().map(AnyRow::Sqlite).collect()
            }
            Raw::Postgres(conn, server) => {
                let rows = outage::answer(server, postgres_query(query.postgres, values).fetch_all(conn)).await?;
                rows.into_iter().map(AnyRow::Postgres).collect()
            }
        })
    }

    async fn row(&mut self, query: &Query, values: &[Value<'_>]) -> Result<Option<AnyRow>> {
        refuse_unreadable(values)?;
        Ok(match self.raw() {
            Raw::Sqlite(conn) => sqlite_query(query.sqlite, values).fetch_optional(conn).await?.map(AnyRow::Sqlite),
            Raw::Postgres(conn, server) => {
                let row = postgres_query(query.postgres, values).fetch_optional(conn);
                outage::answer(server, row).await?.map(AnyRow::Postgres)
            }
        })
    }

    /// Which database this is.
    pub(crate) fn dialect(&self) -> Dialect {
        match self.inner {
            Inner::SqliteWriter(_) | Inner::SqliteReader(_) | Inner::SqliteSnapshot(_) => Dialect::Sqlite,
            Inner::PostgresTransaction(..) | Inner::PostgresReader(..) => Dialect::Postgres,
        }
    }

    /// The rows of a statement put together at run time.
    pub(crate) async fn rows_of(&mut self, sql: Sql) -> Result<Vec<AnyRow>> {
        let (text, values) = sql.into_parts();
        self.rows_of_text(text, &values).await
    }

    async fn rows_of_text(&mut self, text: String, values: &[Value<'_>]) -> Result<Vec<AnyRow>> {
        refuse_unreadable(values)?;
        Ok(match self.raw() {
            Raw::Sqlite(conn) => {
                let rows = sqlite_query(AssertSqlSafe(text), values).fetch_all(conn).await?;
                rows.into_iter().map(AnyRow::Sqlite).collect()
            }
            Raw::Postgres(conn, server) => {
                let rows = outage::answer(server, postgres_query(AssertSqlSafe(text), values).fetch_all(conn)).await?;
                rows.into_iter().map(AnyRow::Postgres).collect()
            }
        })
    }

    async fn run_text(&mut self, text: String, values: &[Value<'_>]) -> Result<u64> {
        refuse_unreadable(values)?;
        let changed = match self.raw() {
            Raw::Sqlite(conn) => sqlite_query(AssertSqlSafe(text), values).execute(conn).await?.rows_affected(),
            Raw::Postgres(conn, server) => {
                outage::answer(server, postgres_query(AssertSqlSafe(text), values).execute(conn)).await?.rows_affected()
            }
        };
        Ok(changed)
    }

    /// Every row of the answer.
    pub(crate) async fn all<T: Record>(&mut self, query: ListQuery, values: &[Value<'_>]) -> Result<Vec<T>> {
        self.rows(query.0, values).await?.iter().map(Row::record).collect()
    }

    /// Every row of the answer that converts, and what does not convert of the others.
    pub(crate) async fn readable<T: Record>(&mut self, query: ListQuery, values: &[Value<'_>]) -> Result<Readable<T>> {
        Readable::collect(self.rows(query.0, values).await?.iter().map(Row::record))
    }

    /// The row of the answer, if there is one.
    pub(crate) async fn optional<T: Record>(&mut self, query: &Query, values: &[Value<'_>]) -> Result<Option<T>> {
        self.row(query, values).await?.as_ref().map(Row::record).transpose()
    }

    /// The row of the answer; an error that names the thing when there is none.
    pub(crate) async fn required<T: Record>(
        &mut self,
        query: &Query,
        values: &[Value<'_>],
        noun: &'static str,
        name: impl ToString,
    ) -> Result<T> {
        self.optional(query, values).await?.ok_or_else(|| Error::not_found(noun, name))
    }

    /// The first column of the answer's row, if there is one.
    pub(crate) async fn scalar<T: Column>(&mut self, query: &Query, values: &[Value<'_>]) -> Result<Option<T>> {
        let Some(row) = self.row(query, values).await? else {
            return Ok(None);
        };
        let raw = row.raw::<T::Raw, _>(0)?;
        let value = T::from_raw(raw).map_err(|why| Error::Corrupt {
            table: "(answer)",
            column: "1".to_owned(),
            key: String::new(),
            why,
        })?;
        Ok(Some(value))
    }
}

/// Splits the rows of a bulk insert into groups of a few sizes, so that few statements are kept prepared.
struct BulkGroups<'v, 'q> {
    values: &'v [Value<'q>],
    width: usize,
}

struct BulkGroup<'v, 'q> {
    rows: usize,
    values: &'v [Value<'q>],
}

impl<'v, 'q> BulkGroups<'v, 'q> {
    fn new(query: &Query, values: &'v [Value<'q>]) -> Self {
        Self { values, width: row_width(query.sqlite) }
    }
}

impl<'v, 'q> Iterator for BulkGroups<'v, 'q> {
    type Item = BulkGroup<'v, 'q>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = (self.values.len() / self.width).min(BULK_ROWS);
        let rows = if left == BULK_ROWS { left } else { 1 << left.checked_ilog2()? };
        let (values, rest) = self.values.split_at(rows * self.width);
        self.values = rest;
        Some(BulkGroup { rows, values })
    }
}

/// A transaction that functions write through. It commits when the closure given
/// to [`crate::Store::write`] ends well, and leaves nothing behind when it does not.
pub struct Tx {
    conn: Conn,
    has_entry: bool,
    /// Notified after the commit.
    waiters: Vec<Arc<Notify>>,
}

impl Tx {
    pub(crate) fn sqlite(conn: SqliteConnection) -> Self {
        Self { conn: Conn { inner: Inner::SqliteWriter(Box::new(conn)) }, has_entry: false, waiters: Vec::new() }
    }

    pub(crate) fn postgres(tx: Transaction<'static, Postgres>, server: Arc<PgConnectOptions>) -> Self {
        Self { conn: Conn { inner: Inner::PostgresTransaction(tx, server) }, has_entry: false, waiters: Vec::new() }
    }

    pub(crate) async fn commit_postgres(self) -> Result<()> {
        match self.conn.inner {
            Inner::PostgresTransaction(tx, server) => outage::answer(&server, tx.commit()).await,
            _ => Err(Error::Closed),
        }
    }

    pub(crate) async fn roll_back_postgres(self) -> Result<()> {
        match self.conn.inner {
            Inner::PostgresTransaction(tx, server) => outage::answer(&server, tx.rollback()).await,
            _ => Err(Error::Closed),
        }
    }

    pub(crate) async fn close_sqlite(self) -> Result<()> {
        match self.conn.inner {
            Inner::SqliteWriter(conn) => Ok(sqlx::Connection::close(*conn).await?),
            _ => Err(Error::Closed),
        }
    }

    /// Forgets what the transaction before did on this connection.
    pub(crate) fn reset(&mut self) {
        self.has_entry = false;
        self.waiters.clear();
    }

    /// Notifies a task that waits for what this transaction writes, once it has committed; never when it has not.
    pub fn notify_after_commit(&mut self, waiter: &Arc<Notify>) {
        if !self.waiters.iter().any(|known| Arc::ptr_eq(known, waiter)) {
            self.waiters.push(waiter.clone());
        }
    }

    /// The tasks to notify after the commit.
    pub(crate) fn take_waiters(&mut self) -> Vec<Arc<Notify>> {
        std::mem::take(&mut self.waiters)
    }

    /// Runs a statement of transaction control.
    pub(crate) async fn control(&mut self, sql: &'static str) -> Result<()> {
        self.conn.run(&Query { sqlite: sql, postgres: sql }, &[]).await.map(|_| ())
    }

    /// Executes a write; returns the number of rows changed.
    pub(crate) async fn execute(&mut self, query: &Query, values: &[Value<'_>]) -> Result<u64> {
        if self.has_entry {
            return Err(Error::AfterLedger);
        }
        self.conn.run(query, values).await
    }

    /// Writes; returns the rows of the statement's `RETURNING` clause.
    pub(crate) async fn execute_returning<T: Record>(&mut self, query: &Query, values: &[Value<'_>]) -> Result<Vec<T>> {
        if self.has_entry {
            return Err(Error::AfterLedger);
        }
        self.conn.rows(query, values).await?.iter().map(Row::record).collect()
    }

    /// Inserts many rows by a statement for one, `values` row after row; returns the number of changed rows.
    pub(crate) async fn execute_bulk(&mut self, query: &Query, values: &[Value<'_>]) -> Result<u64> {
        if self.has_entry {
            return Err(Error::AfterLedger);
        }
        let mut changed = 0;
        for group in BulkGroups::new(query, values) {
            changed += match group.rows {
                1 => self.conn.run(query, group.values).await?,
                rows => {
                    let text = self.conn.dialect().repeat_row(query, rows);
                    self.conn.run_text(text, group.values).await?
                }
            };
        }
        Ok(changed)
    }

    /// Inserts many rows as [`Tx::execute_bulk`]; returns the rows of the statement's `RETURNING` clause.
    pub(crate) async fn execute_bulk_returning<T: Record>(
        &mut self,
        query: &Query,
        values: &[Value<'_>],
    ) -> Result<Vec<T>> {
        if self.has_entry {
            return Err(Error::AfterLedger);
        }
        let mut returned = Vec::new();
        for group in BulkGroups::new(query, values) {
            let text = self.conn.dialect().repeat_row(query, group.rows);
            let rows = self.conn.rows_of_text(text, group.values).await?;
            for row in &rows {
                returned.push(Row::record(row)?);
            }
        }
        Ok(returned)
    }

    /// Writes what belongs to a ledger entry; nothing but entries may follow.
    pub(crate) async fn execute_entry(&mut self, query: &Query, values: &[Value<'_>]) -> Result<u64> {
        self.has_entry = true;
        self.conn.run(query, values).await
    }

    /// Inserts a row by a statement that does nothing when it is there; then an error names it.
    pub(crate) async fn insert(
        &mut self,
        query: &Query,
        values: &[Value<'_>],
        noun: &'static str,
        name: impl ToString,
    ) -> Result<()> {
        match self.execute(query, values).await? {
            0 => Err(Error::already_exists(noun, name)),
            _ => Ok(()),
        }
    }

    /// Changes a row; an error names it when it is not there.
    pub(crate) async fn update(
        &mut self,
        query: &Query,
        values: &[Value<'_>],
        noun: &'static str,
        name: impl ToString,
    ) -> Result<()> {
        match self.execute(query, values).await? {
            0 => Err(Error::not_found(noun, name)),
            _ => Ok(()),
        }
    }

    /// Changes a row by a statement that asks for the state it was read with.
    pub(crate) async fn compare_and_swap(
        &mut self,
        query: &Query,
        values: &[Value<'_>],
        noun: &'static str,
        name: impl ToString,
    ) -> Result<()> {
        match self.execute(query, values).await? {
            0 => Err(Error::Conflict { noun, name: name.to_string() }),
            _ => Ok(()),
        }
    }
}

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

/// A connection to read from; each statement sees what was committed before it, and in a snapshot all of them what was
/// committed before the first.
pub struct Reader {
    conn: Conn,
}

impl Reader {
    pub(crate) fn sqlite(conn: PoolConnection<Sqlite>) -> Self {
        Self { conn: Conn { inner: Inner::SqliteReader(conn) } }
    }

    pub(crate) fn postgres(conn: PoolConnection<Postgres>, server: Arc<PgConnectOptions>) -> Self {
        Self { conn: Conn { inner: Inner::PostgresReader(conn, server) } }
    }

    pub(crate) fn sqlite_snapshot(tx: Transaction<'static, Sqlite>) -> Self {
        Self { conn: Conn { inner: Inner::SqliteSnapshot(tx) } }
    }

    pub(crate) fn postgres_snapshot(tx: Transaction<'static, Postgres>, server: Arc<PgConnectOptions>) -> Self {
        Self { conn: Conn { inner: Inner::PostgresTransaction(tx, server) } }
    }
}

impl Deref for Reader {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}
