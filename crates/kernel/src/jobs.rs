//! Durable jobs: background work that survives the end of the server.
//!
//! A write that requires later work enqueues a job in its own transaction ([`Jobs::enqueue`]), so both are stored or
//! none. A [`Worker`](crate::job_worker::Worker) claims jobs by lease and executes them with the handlers that the slices register. A server that
//! dies during an attempt loses the lease, and the job is executed again: a handler must be idempotent.

use std::sync::Arc;
use std::time::Duration;

use perennial_core::clock::Clock;
use perennial_core::entity::{JobClock, NewJob};
use perennial_core::id::ProjectId;
use perennial_core::{Error, Result};
use perennial_store::{Tx, jobs as table};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

/// A kind of job; the value is the payload of one job. It is stored as JSON, so a later version must be able to read it.
pub trait JobKind: Serialize + DeserializeOwned + Send + 'static {
    /// The name under which jobs of the kind are stored, such as `delete_folder`.
    const NAME: &'static str;

    /// The project that the job belongs to, and that an alert about it goes to.
    fn project(&self) -> ProjectId;
}

/// How an attempt ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// The job is done.
    Done,
    /// The work is impossible for now, which is not an error: the job is due again after a delay.
    Postponed(Duration),
}

/// Enqueues jobs. Clones share it.
#[derive(Clone)]
pub struct Jobs {
    clock: Arc<dyn Clock>,
    /// Notified after the commit of an enqueued job.
    pub(crate) enqueued: Arc<Notify>,
}

impl Jobs {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, enqueued: Arc::default() }
    }

    /// Enqueues a job that is due at once. The worker starts it after the commit.
    pub async fn enqueue<J: JobKind>(&self, tx: &mut Tx, job: &J) -> Result<()> {
        let payload = serde_json::to_value(job)
            .map_err(|cause| Error::internal(format!("cannot serialize a job `{}`", J::NAME), cause))?;
        let now_ms = self.clock.wall_ms();
        let new = NewJob {
            project_id: Some(job.project()),
            kind: J::NAME.to_owned(),
            payload,
            unique_key: None,
            clock: JobClock::Wall,
            due_ms: now_ms,
            created_ms: now_ms,
        };
        table::enqueue(tx, new).await?;
        tx.notify_after_commit(&self.enqueued);
        Ok(())
    }
}
