//! Opening the store.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use perennial_core::id::ServerId;
use perennial_core::{ErrorCode, Result as CoreResult};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, SqlSafeStr as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::conn::{Reader, Tx};
use crate::error::{Error, Result};
use crate::outage;
use crate::servers;
use crate::writer::{self, Command, QUEUE_MAX, Waiting};

/// The migrations of each database: number, what it does, its statements. A server takes the lease before it migrates, so
/// no migration changes the table `servers`.
const SQLITE: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../migrations/sqlite/0001_initial.sql")),
    (2, "reject loads", include_str!("../migrations/sqlite/0002_reject_loads.sql")),
    (3, "hold jobs", include_str!("../migrations/sqlite/0003_hold_jobs.sql")),
    (4, "run contents", include_str!("../migrations/sqlite/0004_run_contents.sql")),
    (5, "several grants", include_str!("../migrations/sqlite/0005_several_grants.sql")),
    (6, "load files", include_str!("../migrations/sqlite/0006_load_files.sql")),
    (7, "index open alerts", include_str!("../migrations/sqlite/0007_index_open_alerts.sql")),
    (8, "approvers and source grants", include_str!("../migrations/sqlite/0008_approvers_and_source_grants.sql")),
    (9, "count attempts", include_str!("../migrations/sqlite/0009_count_attempts.sql")),
    (10, "approval requests", include_str!("../migrations/sqlite/0010_approval_requests.sql")),
    (11, "experiment names of projects", include_str!("../migrations/sqlite/0011_experiment_names_of_projects.sql")),
];
const POSTGRES: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../migrations/postgres/0001_initial.sql")),
    (2, "reject loads", include_str!("../migrations/postgres/0002_reject_loads.sql")),
    (3, "hold jobs", include_str!("../migrations/postgres/0003_hold_jobs.sql")),
    (4, "run contents", include_str!("../migrations/postgres/0004_run_contents.sql")),
    (5, "several grants", include_str!("../migrations/postgres/0005_several_grants.sql")),
    (6, "load files", include_str!("../migrations/postgres/0006_load_files.sql")),
    (7, "index open alerts", include_str!("../migrations/postgres/0007_index_open_alerts.sql")),
    (8, "approvers and source grants", include_str!("../migrations/postgres/0008_approvers_and_source_grants.sql")),
    (9, "count attempts", include_str!("../migrations/postgres/0009_count_attempts.sql")),
    (10, "approval requests", include_str!("../migrations/postgres/0010_approval_requests.sql")),
    (11, "experiment names of projects", include_str!("../migrations/postgres/0011_experiment_names_of_projects.sql")),
];

fn migrator(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = migrations.iter().map(|(number, description, sql)| {
        Migration::new(*number, (*description).into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// How long a statement waits for a lock that another process holds.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// How long a write may be idle between two statements, in PostgreSQL's notation. A write does nothing between them, so its
/// process is paused; the database then ends its session and releases its locks.
const IDLE_WRITE_MAX: &str = "10s";

/// How long a caller waits for a connection.
const CONNECTION_WAIT: Duration = Duration::from_secs(30);

/// How long the first connection to PostgreSQL may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// How long closing waits for connections still in use.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// Statements a connection keeps prepared.
const STATEMENTS_MAX: usize = 400;

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections for reading (SQLite), or in all (PostgreSQL).
    pub connections: u32,
    /// Whether an answered write is on disk. Off for tests alone: a power cut may then take writes.
    pub is_durable: bool,
    /// How long one write may take before it is undone.
    pub write_limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 16, is_durable: true, write_limit: Duration::from_mins(1) }
    }
}

/// The metadata store. Clones share one database.
#[derive(Clone)]
pub struct Store {
    backend: Arc<Backend>,
}

enum Backend {
    Sqlite {
        writer: mpsc::Sender<Command>,
        readers: SqlitePool,
        /// One connection, see [`Store::probe`].
        probe: SqlitePool,
        path: PathBuf,
        write: Box<SqliteConnectOptions>,
    },
    Postgres {
        pool: PgPool,
        /// One connection, see [`Store::probe`].
        probe: PgPool,
        server: Arc<PgConnectOptions>,
        write_limit: Duration,
        owner: OnceLock<ServerId>,
    },
}

/// The version of a database's tables, relative to this binary's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// The database has no tables.
    Empty,
    /// The tables are those of an earlier version: the last migration.
    Older(i64),
    /// The tables are up to date.
    Current,
}

impl Store {
    /// Connects to `sqlite://<path>` (the file is created if missing; its folder must exist) or `postgres://…`, and changes
    /// no table.
    ///
    /// # Errors
    /// If the database cannot be reached, or if its tables are those of a newer version.
    pub async fn connect(url: &str, options: Options) -> Result<Self> {
        let store = if let Some(path) = url.strip_prefix("sqlite://") {
            Self::connect_sqlite(Path::new(path), &options).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::connect_postgres(url, &options).await?
        } else {
            return Err(Error::Address(url.split('@').next_back().unwrap_or_default().to_owned()));
        };
        store.schema().await?;
        Ok(store)
    }

    /// Connects to a database that no server uses, and brings its tables up to date.
    ///
    /// # Errors
    /// As [`Store::connect`] and [`Store::migrate`].
    pub async fn open(url: &str, options: Options) -> Result<Self> {
        let store = Self::connect(url, options).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// The version of the tables.
    ///
    /// # Errors
    /// If the database cannot be read, or if its tables are those of a newer version.
    pub async fn schema(&self) -> Result<Schema> {
        let mut conn = self.reader().await?;
        let has_migrations = conn.scalar::<i64>(sql_split!("schema/has_migrations"), &[]).await? == Some(1);
        if !has_migrations {
            return Ok(Schema::Empty);
        }
        let version = conn.scalar::<i64>(sql!("schema/version"), &[]).await?.unwrap_or(0);
        let known = match &*self.backend {
            Backend::Sqlite { .. } => SQLITE,
            Backend::Postgres { .. } => POSTGRES,
        };
        let last = known.last().map_or(0, |(number, ..)| *number);
        if version > last {
            return Err(Error::Newer(version));
        }
        let count = conn.scalar::<i64>(sql!("schema/count"), &[]).await?;
        match count {
            Some(0) => Ok(Schema::Empty),
            Some(count) if count == known.len() as i64 => Ok(Schema::Current),
            _ => Ok(Schema::Older(version)),
        }
    }

    /// The latest time of the ids of stored rows, epoch milliseconds; `None` without rows.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn latest_id_ms(&self) -> Result<Option<u64>> {
        let latest: Option<Option<String>> = self.reader().await?.scalar(sql!("schema/latest_id"), &[]).await?;
        Ok(latest.flatten().and_then(|id| perennial_core::id::time_ms(&id)))
    }

    /// Brings the tables up to date. The caller owns the database: it holds the lock of the SQLite file's folder or the
    /// lease on the PostgreSQL database, or the database is empty.
    ///
    /// # Errors
    /// If a migration fails; the tables are then those of the last migration that succeeded.
    pub async fn migrate(&self) -> Result<()> {
        if self.schema().await? == Schema::Current {
            return Ok(());
        }
        match &*self.backend {
            Backend::Sqlite { write, .. } => {
                let mut conn = SqliteConnection::connect_with(write.as_ref()).await?;
                migrator(SQLITE).run(&mut conn).await.map_err(migration_error)?;
                Ok(conn.close().await?)
            }
            Backend::Postgres { pool, .. } => migrator(POSTGRES).run(pool).await.map_err(migration_error),
        }
    }

    /// From now on, a write to PostgreSQL is committed only while `owner` is a row of the table `servers`. The row is
    /// locked until the write has ended, so a server that takes over by deleting it waits for the write. SQLite needs no
    /// such check: its folder is locked. Only the first call has an effect.
    pub fn write_as(&self, owner: ServerId) {
        if let Backend::Postgres { owner: known, .. } = &*self.backend {
            let _ = known.set(owner);
        }
    }

    async fn connect_sqlite(path: &Path, options: &Options) -> Result<Self> {
        let synchronous = if options.is_durable { SqliteSynchronous::Full } else { SqliteSynchronous::Off };
        let base = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .busy_timeout(LOCK_WAIT)
            .statement_cache_capacity(STATEMENTS_MAX)
            .pragma("temp_store", "memory");
        let write = base
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .pragma("cache_size", "-32000");
        let conn = SqliteConnection::connect_with(&write).await?;
        let readers = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(CONNECTION_WAIT)
                .test_before_acquire(false)
                .connect_lazy_with(base.clone().read_only(true))
        };
        let (readers, probe) = (readers(options.connections), readers(1));
        let (writer, commands) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(writer::serve(Tx::sqlite(conn), commands, options.write_limit));
        Ok(Self {
            backend: Arc::new(Backend::Sqlite {
                writer,
                readers,
                probe,
                path: path.to_owned(),
                write: Box::new(write),
            }),
        })
    }

    async fn connect_postgres(url: &str, options: &Options) -> Result<Self> {
        let commit = if options.is_durable { "on" } else { "off" };
        let connect: PgConnectOptions = url.parse()?;
        let connect = connect.application_name("perennial").statement_cache_capacity(STATEMENTS_MAX).options([
            ("synchronous_commit", commit),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", IDLE_WRITE_MAX),
        ]);
        // The pool tries again until its time is over and forgets why; one connection reports the cause at once.
        match timeout(CONNECT_WAIT, PgConnection::connect_with(&connect)).await {
            Ok(conn) => conn.map_err(|cause| outage::unreachable(&connect, &cause))?.close().await?,
            Err(_) => return Err(outage::silent(&connect, CONNECT_WAIT)),
        }
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(CONNECTION_WAIT)
            .connect_with(connect.clone())
            .await?;
        let probe = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECTION_WAIT);
        let probe = probe.connect_lazy_with(connect.clone());
        let (server, write_limit) = (Arc::new(connect), options.write_limit);
        let backend = Backend::Postgres { pool, probe, server, write_limit, owner: OnceLock::new() };
        Ok(Self { backend: Arc::new(backend) })
    }

    /// Runs `work` in a transaction and answers when it is on disk; an error leaves
    /// nothing behind. `work` does nothing but read and write through its [`Tx`]:
    /// while it waits for anything else, on SQLite every other write waits with it.
    /// A write whose caller is dropped may or may not be committed, like any interrupted request.
    ///
    /// ```ignore
    /// let load = store.write(move |tx| Box::pin(async move {
    ///     loads::insert(tx, &load).await?;
    ///     Ok(load)
    /// })).await?;
    /// ```
    pub async fn write<T, F>(&self, work: F) -> CoreResult<T>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, CoreResult<T>> + Send + 'static,
        T: Send + 'static,
    {
        match &*self.backend {
            Backend::Sqlite { writer, .. } => {
                let (waiting, answer) = Waiting::new(work);
                writer.try_send(Command::Write(Box::new(waiting))).map_err(|refused| match refused {
                    mpsc::error::TrySendError::Full(_) => Error::Busy(format!("{QUEUE_MAX} writes wait")),
                    mpsc::error::TrySendError::Closed(_) => Error::Closed,
                })?;
                answer.await.map_err(|_| Error::Closed)?
            }
            Backend::Postgres { pool, server, write_limit, owner, .. } => {
                let tx = outage::connection(server, || pool.begin()).await?;
                let mut tx = Tx::postgres(tx, server.clone());
                if let Some(owner) = owner.get() {
                    servers::require(&mut tx, *owner).await?;
                }
                let result = match writer::guarded(work, &mut tx, *write_limit).await {
                    Ok(result) => result,
                    Err(error) => {
                        // Its locks are released before the caller has the error. A write that was too slow may still wait for
                        // the database, and one that lost it would wait: its connection is closed instead.
                        if !matches!(error.code(), ErrorCode::Timeout | ErrorCode::NotReady)
                            && let Err(cause) = tx.roll_back_postgres().await
                        {
                            tracing::warn!(error = %cause, "a write was not rolled back; its connection is closed");
                        }
                        return Err(error);
                    }
                };
                let waiters = tx.take_waiters();
                tx.commit_postgres().await?;
                writer::notify(&waiters);
                Ok(result)
            }
        }
    }

    /// A connection to read from.
    pub async fn read(&self) -> CoreResult<Reader> {
        Ok(self.reader().await?)
    }

    async fn reader(&self) -> Result<Reader> {
        Ok(match &*self.backend {
            Backend::Sqlite { readers, .. } => Reader::sqlite(readers.acquire().await?),
            Backend::Postgres { pool, server, .. } => {
                let conn = outage::connection(server, || pool.acquire()).await?;
                Reader::postgres(conn, server.clone())
            }
        })
    }

    /// A connection to read from that other readers never take: a probe is answered while they use all of theirs. Probes
    /// wait for each other.
    pub async fn probe(&self) -> CoreResult<Reader> {
        Ok(match &*self.backend {
            Backend::Sqlite { probe, .. } => Reader::sqlite(probe.acquire().await.map_err(Error::from)?),
            Backend::Postgres { probe, server, .. } => {
                let conn = outage::connection(server, || probe.acquire()).await?;
                Reader::postgres(conn, server.clone())
            }
        })
    }

    /// A connection to read from in one transaction: every statement sees the same state. Other writes do not wait.
    pub async fn snapshot(&self) -> CoreResult<Reader> {
        let reader = match &*self.backend {
            Backend::Sqlite { readers, .. } => Reader::sqlite_snapshot(readers.begin().await.map_err(Error::from)?),
            Backend::Postgres { pool, server, .. } => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
                let tx = outage::connection(server, || pool.begin_with(begin)).await?;
                Reader::postgres_snapshot(tx, server.clone())
            }
        };
        Ok(reader)
    }

    /// Finishes what waits and closes every connection; one still in use is left after a while.
    pub async fn close(&self) -> Result<()> {
        match &*self.backend {
            Backend::Sqlite { writer, readers, probe, .. } => {
                wait_for(async { tokio::join!(readers.close(), probe.close()) }).await;
                let (done, closed) = oneshot::channel();
                if writer.send(Command::Close(done)).await.is_err() {
                    return Ok(());
                }
                closed.await.unwrap_or(Ok(()))
            }
            Backend::Postgres { pool, probe, .. } => {
                wait_for(async { tokio::join!(pool.close(), probe.close()) }).await;
                Ok(())
            }
        }
    }

    /// How many writes wait for their turn; on PostgreSQL they wait in the database.
    pub fn waiting(&self) -> usize {
        match &*self.backend {
            Backend::Sqlite { writer, .. } => writer.max_capacity() - writer.capacity(),
            Backend::Postgres { .. } => 0,
        }
    }

    /// `sqlite` or `postgres`.
    pub fn dialect(&self) -> &'static str {
        match &*self.backend {
            Backend::Sqlite { .. } => "sqlite",
            Backend::Postgres { .. } => "postgres",
        }
    }

    /// The SQLite file, when it is one.
    pub fn sqlite_path(&self) -> Option<&Path> {
        match &*self.backend {
            Backend::Sqlite { path, .. } => Some(path),
            Backend::Postgres { .. } => None,
        }
    }
}

/// Waits until connections are returned, for a limited time.
async fn wait_for(closing: impl Future<Output = ((), ())>) {
    if tokio::time::timeout(CLOSE_WAIT, closing).await.is_err() {
        tracing::warn!("a connection to the metadata was still in use when the store closed");
    }
}

fn migration_error(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(version) => Error::Newer(version),
        other => Error::Migration(other),
    }
}
