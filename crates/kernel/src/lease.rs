//! The lease by which one server at a time owns a database that others can reach.
//!
//! A data folder belongs to the server that locked it, and its SQLite database with it. A PostgreSQL database can be
//! reached from anywhere: its server has a row there, which it renews every second.
//!
//! - A server takes over when it has seen the row of another unchanged for six seconds (`TTL`) by its own monotonic clock;
//!   wall clocks are not compared. It deletes the row that it saw.
//! - Each write locks the row of its server ([`Store::write_as`]). It is committed before another server takes over, or
//!   not at all.
//! - A server that has not renewed for four seconds (`SAFE_TTL`) answers no request ([`Lease::require`]). A machine that was
//!   paused may answer reads until its next renewal fails, a second at most.
//! - A server migrates the tables after it has taken the lease.
//!
//! [`Store::write_as`]: perennial_store::Store::write_as

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use perennial_core::entity::Server;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Schema, servers};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Kernel;

/// How long a row stays unchanged before another server takes over.
const TTL: Duration = Duration::from_secs(6);
/// How long its owner answers requests without renewing it.
const SAFE_TTL: Duration = Duration::from_secs(4);
/// How often an owner renews its lease.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long a server tries to take over, despite errors of the database.
const TAKEOVER_MAX: Duration = Duration::from_mins(1);
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

/// A lease that is renewed until this is dropped.
pub struct Held {
    kernel: Arc<Kernel>,
    renewal: Option<JoinHandle<()>>,
}

impl Held {
    /// Releases the lease, so that the next server need not wait.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn give_back(self) -> Result<()> {
        if self.renewal.is_none() || self.kernel.lease.lost.is_cancelled() {
            return Ok(());
        }
        delete(&self.kernel).await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
    }
}

/// Makes this server the owner of the database, begins to renew its lease, and brings the tables up to date. Waits until
/// the lease of a dead server expires.
///
/// # Errors
/// As soon as another server renews its lease; if the database cannot be reached or a migration fails.
pub async fn take(kernel: &Arc<Kernel>, address: &str) -> Result<Held> {
    let store = kernel.store();
    let renewal = if store.sqlite_path().is_some() {
        None
    } else {
        if store.schema().await? == Schema::Empty {
            store.migrate().await?;
        }
        wait_for_lease(kernel, address).await?;
        store.write_as(kernel.server);
        Some(tokio::spawn(renew(kernel.clone())))
    };
    store.migrate().await?;
    Ok(Held { kernel: kernel.clone(), renewal })
}

async fn wait_for_lease(kernel: &Arc<Kernel>, address: &str) -> Result<()> {
    let mut seen: Option<(Server, Instant)> = None;
    loop {
        let asked = Instant::now();
        let expired = seen.as_ref().filter(|(_, since)| since.elapsed() >= TTL).map(|(other, _)| other.clone());
        let other = match try_take(kernel, address, expired).await {
            Ok(None) => {
                kernel.lease.extend(asked);
                return Ok(());
            }
            Ok(Some(other)) => other,
            // A server that was paused within a write has its row locked until the database ends its session.
            Err(error) if seen.as_ref().is_some_and(|(_, since)| since.elapsed() < TAKEOVER_MAX) => {
                tracing::warn!(error = error.chain(), "the lease could not be taken yet");
                tokio::time::sleep(RETRY_EVERY).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        seen = match seen {
            Some((known, _)) if known.id == other.id && known.lease_until_ms != other.lease_until_ms => {
                return Err(Error::new(
                    ErrorCode::AlreadyExists,
                    format!("the database is held by the server at `{}`", other.address),
                )
                .with_hint("set PERENNIAL_SERVER to its address, or stop that server first"));
            }
            Some((known, since)) if known.id == other.id => Some((known, since)),
            _ => Some((other, Instant::now())),
        };
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// Tries to become the owner, instead of the server `expired`; returns the server that holds the lease otherwise. Two
/// servers that start at the same time both release it and try again.
async fn try_take(kernel: &Arc<Kernel>, address: &str, expired: Option<Server>) -> Result<Option<Server>> {
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
                if let Some(expired) = &expired {
                    servers::delete_unrenewed(tx, expired).await?;
                }
                let present = servers::list(tx).await?;
                if present.is_empty() {
                    servers::insert(tx, &server).await?;
                }
                Ok(present.into_iter().next())
            })
        })
        .await?;
    if present.is_some() {
        return Ok(present);
    }
    let present = servers::list(&mut *kernel.store().read().await?).await?;
    let other = present.into_iter().find(|other| other.id != id);
    if other.is_some() {
        delete(kernel).await?;
    }
    Ok(other)
}

/// Renews the lease. Errors of the database are retried; when another server has taken over, this returns.
async fn renew(kernel: Arc<Kernel>) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let asked = Instant::now();
        let (id, until) = (kernel.server, kernel.services.clock.wall_ms() + TTL.as_millis() as i64);
        let renewed =
            kernel.store().write(move |tx| Box::pin(async move { Ok(servers::renew(tx, id, until).await?) })).await;
        match renewed {
            Ok(()) => kernel.lease.extend(asked),
            // The row is missing.
            Err(error) if error.code() == ErrorCode::NotReady => {
                tracing::error!(server.id = %id, "another server has taken over the database");
                kernel.lease.give_up();
                return;
            }
            Err(error) => tracing::warn!(server.id = %id, error = error.chain(), "the lease could not be renewed"),
        }
    }
}

async fn delete(kernel: &Arc<Kernel>) -> Result<()> {
    let id = kernel.server;
    kernel.store().write(move |tx| Box::pin(async move { Ok(servers::delete(tx, id).await?) })).await
}
