//! Group commit on SQLite: one task owns the only write connection. Whatever
//! waits shares one transaction, each write in a savepoint of its own, so a
//! refused one fails no neighbour; answers go out after the commit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use perennial_core::Result as CoreResult;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::conn::Tx;
use crate::error::{Error, Result};

/// Writes that may wait; beyond it a write is refused as busy.
pub(crate) const QUEUE_MAX: usize = 10_000;

/// Writes that share one transaction at most.
pub(crate) const GROUP_MAX: usize = 256;

/// What the writer is asked to do.
pub(crate) enum Command {
    /// A write.
    Write(Box<dyn Work>),
    /// Finish what waits, close the connection, say so.
    Close(oneshot::Sender<Result<()>>),
}

/// A write that waits for its turn, and its caller for the answer.
pub(crate) trait Work: Send {
    /// Runs the write; returns whether its savepoint is kept.
    fn run<'t>(&'t mut self, tx: &'t mut Tx, limit: Duration) -> BoxFuture<'t, bool>;

    /// Answers the caller. `failure`: why nothing of the group is on disk.
    fn answer(self: Box<Self>, failure: Option<Error>);
}

/// A closure with the way back to its caller.
pub(crate) struct Waiting<F, T> {
    write: Option<F>,
    result: Option<CoreResult<T>>,
    caller: oneshot::Sender<CoreResult<T>>,
    /// Notified after the commit.
    waiters: Vec<Arc<Notify>>,
}

impl<F, T> Waiting<F, T> {
    pub(crate) fn new(write: F) -> (Self, oneshot::Receiver<CoreResult<T>>) {
        let (caller, answer) = oneshot::channel();
        (Self { write: Some(write), result: None, caller, waiters: Vec::new() }, answer)
    }
}

impl<F, T> Work for Waiting<F, T>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, CoreResult<T>> + Send,
    T: Send,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx, limit: Duration) -> BoxFuture<'t, bool> {
        Box::pin(async move {
            let Some(write) = self.write.take() else {
                return false;
            };
            let result = guarded(write, tx, limit).await;
            let keep = result.is_ok();
            self.waiters = tx.take_waiters();
            self.result = Some(result);
            keep
        })
    }

    fn answer(self: Box<Self>, failure: Option<Error>) {
        let result = match (failure, self.result) {
            // A write refused for its own reasons keeps its own answer.
            (_, Some(Err(own))) => Err(own),
            (Some(failure), _) => Err(failure.into()),
            (None, Some(result)) => result,
            (None, None) => Err(Error::Closed.into()),
        };
        if result.is_ok() {
            notify(&self.waiters);
        }
        // A caller that went away wants no answer; the write stands.
        drop(self.caller.send(result));
    }
}

/// Notifies the tasks that wait for a write that has committed.
pub(crate) fn notify(waiters: &[Arc<Notify>]) {
    for waiter in waiters {
        waiter.notify_one();
    }
}

/// Runs a write; a panic or a write that takes too long is an error.
pub(crate) async fn guarded<F, T>(write: F, tx: &mut Tx, limit: Duration) -> CoreResult<T>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, CoreResult<T>>,
{
    let work = AssertUnwindSafe(async move { write(tx).await }).catch_unwind();
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Error::Panicked(said).into())
        }
        Err(_) => Err(Error::TooSlow(limit).into()),
    }
}

/// Serves commands until the last sender is gone or a close is asked for.
/// `limit`: how long one write may take before it is undone.
pub(crate) async fn serve(mut tx: Tx, mut commands: mpsc::Receiver<Command>, limit: Duration) {
    let mut waiting = Vec::new();
    while commands.recv_many(&mut waiting, GROUP_MAX).await > 0 {
        let mut group = Vec::with_capacity(waiting.len());
        let mut closing = None;
        for command in waiting.drain(..) {
            match command {
                Command::Write(work) if closing.is_none() => group.push(work),
                Command::Write(work) => work.answer(Some(Error::Closed)),
                Command::Close(done) => closing = Some(done),
            }
        }
        commit_group(&mut tx, group, limit).await;
        if let Some(done) = closing {
            commands.close();
            drop(done.send(finish(tx).await));
            return;
        }
    }
}

async fn finish(mut tx: Tx) -> Result<()> {
    tx.control("PRAGMA optimize").await?;
    tx.control("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    tx.close_sqlite().await
}

async fn commit_group(tx: &mut Tx, mut group: Vec<Box<dyn Work>>, limit: Duration) {
    if group.is_empty() {
        return;
    }
    let outcome = run_group(tx, &mut group, limit).await;
    if let Err(failure) = &outcome {
        tracing::error!(error = %failure, writes = group.len(), "a group of writes was not committed");
        // Fails where the database undid the transaction by itself, which is just as well.
        drop(tx.control("ROLLBACK").await);
    }
    let failure = outcome.err();
    for work in group {
        work.answer(failure.as_ref().map(not_committed));
    }
}

/// The error of each write of a group that was not committed.
fn not_committed(error: &Error) -> Error {
    match error {
        Error::DiskFull(reason) => Error::DiskFull(reason.clone()),
        error => Error::NotCommitted(reason(error)),
    }
}

/// Runs every write of a group and commits. An error means that nothing of it is on disk.
async fn run_group(tx: &mut Tx, group: &mut [Box<dyn Work>], limit: Duration) -> Result<()> {
    tx.control("BEGIN IMMEDIATE").await?;
    if let [only] = group {
        tx.reset();
        let end = if only.run(tx, limit).await { "COMMIT" } else { "ROLLBACK" };
        return tx.control(end).await;
    }
    for work in group {
        tx.reset();
        tx.control("SAVEPOINT write").await?;
        if !work.run(tx, limit).await {
            // Fails when the database undid the whole transaction: then no write of the group is kept.
            tx.control("ROLLBACK TO write").await?;
        }
        tx.control("RELEASE write").await?;
    }
    tx.control("COMMIT").await
}

/// The error and its causes as one line.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
