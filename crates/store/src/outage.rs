//! A PostgreSQL server that does not answer: callers get the cause at once instead of waiting for it.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::timeout;

use crate::error::{Error, Place, Result};

/// How long a caller waits for the server before it is asked whether it is there.
const PATIENCE: Duration = Duration::from_millis(800);

/// How long the server may take to accept a connection.
const ANSWER_WAIT: Duration = Duration::from_millis(800);

/// How long a caller waits for a server that is there before it is asked again.
const PATIENCE_AGAIN: Duration = Duration::from_secs(5);

/// Gets a connection. When that takes long, the server is asked first: where it is gone, the caller gets the cause at
/// once, and does not wait for a connection that cannot come.
pub(crate) async fn connection<T, F>(server: &PgConnectOptions, attempt: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    match timeout(PATIENCE, attempt()).await {
        Ok(done) => done.map_err(|cause| lost(server, cause)),
        Err(_) => {
            require_answer(server).await?;
            attempt().await.map_err(|cause| lost(server, cause))
        }
    }
}

/// The answer to a statement. While it is missing, the server is asked whether it is there: a statement may take as long
/// as it needs, and an outage ends it.
pub(crate) async fn answer<T>(
    server: &PgConnectOptions,
    statement: impl Future<Output = sqlx::Result<T>>,
) -> Result<T> {
    let mut statement = pin!(statement);
    let mut patience = PATIENCE;
    loop {
        match timeout(patience, &mut statement).await {
            Ok(done) => return done.map_err(|cause| lost(server, cause)),
            Err(_) => require_answer(server).await?,
        }
        patience = PATIENCE_AGAIN;
    }
}

/// Whether the server accepts connections. A server that refuses this one because it has too many is available.
async fn require_answer(server: &PgConnectOptions) -> Result<()> {
    match timeout(ANSWER_WAIT, PgConnection::connect_with(server)).await {
        // The server ends the session itself when its socket closes, and the caller does not wait for it.
        Ok(Ok(conn)) => {
            drop(conn);
            Ok(())
        }
        Ok(Err(sqlx::Error::Database(_))) => Ok(()),
        Ok(Err(cause)) => Err(unreachable(server, &cause)),
        Err(_) => Err(silent(server, ANSWER_WAIT)),
    }
}

/// A connection that broke is an outage of the server; another error stays what it is.
fn lost(server: &PgConnectOptions, cause: sqlx::Error) -> Error {
    match cause {
        sqlx::Error::Io(_) => unreachable(server, &cause),
        cause => cause.into(),
    }
}

/// The server cannot be reached.
pub(crate) fn unreachable(server: &PgConnectOptions, cause: &sqlx::Error) -> Error {
    let why = match cause {
        sqlx::Error::Io(cause) => cause.to_string(),
        sqlx::Error::Database(cause) => cause.message().to_owned(),
        cause => cause.to_string(),
    };
    let place = Place { host: server.get_host().to_owned(), port: server.get_port() };
    Error::Unreachable { why, place }
}

/// The server did not answer for a while.
pub(crate) fn silent(server: &PgConnectOptions, waited: Duration) -> Error {
    let why = format!("no answer within {} ms", waited.as_millis());
    unreachable(server, &sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, why)))
}
