//! The lease by which one server at a time owns a database that others can reach.
//!
//! A data folder belongs to the server that locked it, and its SQLite database with it. A
//! PostgreSQL database can be opened from anywhere: its server holds a lease there, renews it
//! every second, and answers nothing once it could not. Time is kept by this process's own
//! monotonic clock from before each renewal was sent, and ends early by a margin, so that the
//! holder has stopped before anybody else may start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use perennial_core::entity::Server;
use perennial_core::{Error, ErrorCode, ErrorKind, Result};
use perennial_store::servers;
use tokio_util::sync::CancellationToken;

use crate::Kernel;

/// How long a lease lasts that is not renewed.
const TTL: Duration = Duration::from_secs(6);
/// How long its holder answers without renewing it: less, for the wall clocks of two servers differ.
const SAFE_TTL: Duration = Duration::from_secs(4);
/// How often a holder renews its lease.
pub const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How often a server that waits for the lease tries again.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// Stands for a lease that never expires: an SQLite store has one server.
const FOR_EVER: u64 = u64::MAX;

/// Whether this server may answer and act.
pub struct Lease {
    began: Instant,
    until_ms: AtomicU64,
    lost: CancellationToken,
}

impl Default for Lease {
    fn default() -> Self {
        Self { began: Instant::now(), until_ms: AtomicU64::new(FOR_EVER), lost: CancellationToken::new() }
    }
}

impl Lease {
    /// Returns `NotReady` when the lease could not be renewed in time.
    pub fn require(&self) -> Result<()> {
        let until = self.until_ms.load(Ordering::Acquire);
        if until == FOR_EVER || (self.began.elapsed().as_millis() as u64) < until {
            return Ok(());
        }
        Err(Error::new(ErrorCode::NotReady, "this server could not renew its lease on the database")
            .with_hint("it recovers when the database answers again; use another server meanwhile"))
    }

    /// Completes when another server has taken over.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    fn extend(&self, asked: Instant) {
        let until = asked.duration_since(self.began) + SAFE_TTL;
        self.until_ms.store(until.as_millis() as u64, Ordering::Release);
    }

    fn give_up(&self) {
        self.until_ms.store(0, Ordering::Release);
        self.lost.cancel();
    }
}

/// Takes the lease on a shared database. Waits until the lease of a dead server expires; returns an error as soon as
/// another holder renews its lease.
pub async fn take(kernel: &Arc<Kernel>, address: &str) -> Result<()> {
    if kernel.store().sqlite_path().is_some() {
        return Ok(());
    }
    let mut seen: Option<Server> = None;
    loop {
        let asked = Instant::now();
        let Some(other) = try_take(kernel, address).await? else {
            kernel.lease.extend(asked);
            return Ok(());
        };
        if seen.is_some_and(|seen| seen.id == other.id && seen.lease_until_ms < other.lease_until_ms) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!("the database is held by the server at `{}`", other.address),
            )
            .with_hint("set PERENNIAL_SERVER to its address, or stop that server first"));
        }
        seen = Some(other);
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// Tries to become the holder; returns the server that holds the lease otherwise. Two servers that start at the same
/// time both release it and try again.
async fn try_take(kernel: &Arc<Kernel>, address: &str) -> Result<Option<Server>> {
    let (id, now) = (kernel.server, kernel.services.clock.wall_ms());
    let server = Server {
        id,
        address: address.to_owned(),
        version: kernel.services.version.to_owned(),
        is_serving: true,
        started_ms: now,
        lease_until_ms: now + TTL.as_millis() as i64,
    };
    let present = kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                servers::delete_expired(tx, now).await?;
                let live = servers::list_live(tx, now).await?;
                if live.is_empty() {
                    servers::insert(tx, &server).await?;
                }
                Ok(live.into_iter().next())
            })
        })
        .await?;
    if present.is_some() {
        return Ok(present);
    }
    let live = servers::list_live(&mut *kernel.store().read().await?, now).await?;
    let other = live.into_iter().find(|live| live.id != id);
    if other.is_some() {
        give_back(kernel).await?;
    }
    Ok(other)
}

/// Renews the lease until the server stops. Errors of the database are retried; when another server has taken the lease,
/// this returns.
pub async fn keep(kernel: Arc<Kernel>) {
    if kernel.store().sqlite_path().is_some() {
        return;
    }
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let asked = Instant::now();
        let (id, until) = (kernel.server, kernel.services.clock.wall_ms() + TTL.as_millis() as i64);
        let renewed =
            kernel.store().write(move |tx| Box::pin(async move { Ok(servers::renew(tx, id, until).await?) })).await;
        match renewed {
            Ok(()) => kernel.lease.extend(asked),
            Err(error) if error.code().kind() == ErrorKind::NotFound => {
                tracing::error!(server.id = %id, "another server has taken over the database");
                kernel.lease.give_up();
                return;
            }
            Err(error) => tracing::warn!(server.id = %id, error = error.chain(), "the lease could not be renewed"),
        }
    }
}

/// Releases the lease, so that the next server need not wait.
pub async fn give_back(kernel: &Arc<Kernel>) -> Result<()> {
    if kernel.store().sqlite_path().is_some() {
        return Ok(());
    }
    let id = kernel.server;
    kernel.store().write(move |tx| Box::pin(async move { Ok(servers::delete(tx, id).await?) })).await
}
