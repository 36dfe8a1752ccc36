//! Executes durable jobs: claims them by lease, retries those that fail, and holds those that keep failing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all, ready};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use perennial_core::entity::{DEATHS_MAX, Job, JobClaim, JobLease, RetryPolicy};
use perennial_core::state::JobState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Tx, jobs as table};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::alerts::{self, AlertSubject};
use crate::held::HELD;
use crate::jobs::{JobKind, JobOutcome};
use crate::{Caller, Kernel, LedgerEvent, Recorder};

/// Attempts before a job is held, after 1, 2, 4, … seconds: about eight minutes.
const RETRY: RetryPolicy = RetryPolicy { attempts_max: 10, first_delay_ms: 1_000, delay_max_ms: 3_600_000 };
/// Jobs that a worker executes at the same time.
const RUNNING_MAX: usize = 4;
/// How long a lease lasts; it is renewed after a third of that time.
const LEASE: Duration = Duration::from_secs(30);
/// How long jobs that succeeded or were cancelled stay in the table.
const SETTLED_RETENTION_MS: i64 = 24 * 3_600_000;
/// The pause after an error of the database, and while another server locks the jobs that are due.
const CLAIM_RETRY: Duration = Duration::from_secs(1);

/// Executes one attempt, by the stored payload.
type Handler = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<JobOutcome>> + Send + Sync>;

/// Claims and executes jobs of the kinds that have a handler.
pub struct Worker {
    kernel: Arc<Kernel>,
    handlers: BTreeMap<&'static str, Handler>,
    lease: Duration,
}

impl Worker {
    /// A worker without handlers.
    pub fn new(kernel: Arc<Kernel>) -> Self {
        Self { kernel, handlers: BTreeMap::new(), lease: LEASE }
    }

    /// Sets how long leases last.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Registers the handler of a kind. It may be called twice for one job, and a call may be dropped at any await.
    #[must_use]
    pub fn handle<J, F>(mut self, handler: impl Fn(J) -> F + Send + Sync + 'static) -> Self
    where
        J: JobKind,
        F: Future<Output = Result<JobOutcome>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |payload| match serde_json::from_value(payload) {
            Ok(job) => handler(job).boxed(),
            Err(cause) => ready(Err(Error::internal("cannot parse the payload of the job", cause))).boxed(),
        });
        self.handlers.insert(J::NAME, handler);
        self
    }

    /// Executes jobs at their due times, until the supervisor stops; attempts that are running then are finished. An idle
    /// worker reads nothing: it waits for the next due time, or for [`Jobs::enqueue`](crate::jobs::Jobs::enqueue).
    pub async fn run(self) {
        let mut running = FuturesUnordered::new();
        loop {
            let (claimed, pause) = self.claim_due(RUNNING_MAX - running.len()).await.unwrap_or_else(|error| {
                tracing::warn!(error = error.chain(), "jobs could not be claimed");
                (Vec::new(), Some(CLAIM_RETRY))
            });
            running.extend(claimed.into_iter().map(|job| self.execute(job)));
            tokio::select! {
                biased;
                () = self.kernel.work.stopping() => break,
                Some(()) = running.next() => {}
                () = self.kernel.jobs.enqueued.notified() => {}
                () = sleep(pause) => {}
            }
        }
        while running.next().await.is_some() {}
    }

    /// Executes jobs until none is due.
    ///
    /// # Errors
    /// If the database cannot be read or written. A failed attempt is not an error: its job is due again later.
    pub async fn run_due(&self) -> Result<()> {
        loop {
            let (claimed, _) = self.claim_due(RUNNING_MAX).await?;
            if claimed.is_empty() {
                return Ok(());
            }
            join_all(claimed.into_iter().map(|job| self.execute(job))).await;
        }
    }

    /// Claims jobs that are due, at most `limit`. Returns them, and the pause before the next claim; without one, until
    /// a job is enqueued or an attempt ends.
    async fn claim_due(&self, limit: usize) -> Result<(Vec<Job>, Option<Duration>)> {
        let kinds: Vec<&str> = self.handlers.keys().copied().collect();
        let now_ms = self.kernel.services.clock.wall_ms();
        let next_ms = table::next_due(&mut *self.kernel.store().read().await?, &kinds).await?;
        let Some(next_ms) = next_ms.filter(|_| limit > 0) else { return Ok((Vec::new(), None)) };
        if next_ms > now_ms {
            return Ok((Vec::new(), Some(Duration::from_millis(next_ms.abs_diff(now_ms)))));
        }
        let claim = JobClaim {
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            holder: self.kernel.server,
            wall_ms: now_ms,
            project: None,
            lease_until_ms: now_ms + self.lease.as_millis() as i64,
            attempts_max: DEATHS_MAX,
            limit: limit as u32,
        };
        let write = self.kernel.store().write(move |tx| {
            Box::pin(async move {
                table::delete_settled(tx, now_ms - SETTLED_RETENTION_MS).await?;
                Ok(table::claim(tx, &claim).await?)
            })
        });
        let claimed = self.kernel.readable(write.await?);
        let pause = if claimed.is_empty() { CLAIM_RETRY } else { Duration::ZERO };
        Ok((claimed, Some(pause)))
    }

    /// Makes the claimed attempt and stores how it ended. An attempt whose end cannot be stored is made again.
    async fn execute(&self, job: Job) {
        let result = match (job.lease(), self.handlers.get(job.kind.as_str())) {
            (Some(lease), Some(handler)) => {
                let (handler, payload) = (handler.clone(), job.payload.clone());
                // A task of its own, which keeps a panic and the order of locks to itself.
                let attempt = AbortOnDropHandle::new(tokio::spawn(async move { handler(payload).await }));
                tokio::select! {
                    ended = attempt => {
                        let panicked = |panic| Err(Error::internal("the handler of the job panicked", panic));
                        self.settle(&job, lease, ended.unwrap_or_else(panicked)).await
                    }
                    () = self.renew(lease) => Err(Error::new(ErrorCode::WrongState, "the lease was lost")),
                }
            }
            // The servers of all its attempts died.
            _ => self.report_held(&job).await,
        };
        if let Err(error) = result {
            tracing::warn!(job.id = %job.id, job.kind, error = error.chain(), "the end of a job was not stored");
        }
    }

    /// Renews a lease for as long as it is polled; completes when the lease is lost.
    async fn renew(&self, lease: JobLease) {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            let until_ms = self.kernel.services.clock.wall_ms() + self.lease.as_millis() as i64;
            let write = self
                .kernel
                .store()
                .write(move |tx| Box::pin(async move { Ok(table::renew(tx, &lease, until_ms).await?) }));
            match write.await {
                Err(error) if matches!(error.code(), ErrorCode::WrongState | ErrorCode::NotFound) => return,
                Err(error) => {
                    tracing::warn!(job.id = %lease.id, error = error.chain(), "the lease of a job was not renewed");
                }
                Ok(()) => {}
            }
        }
    }

    /// Stores how an attempt ended, with the alert that follows from it.
    async fn settle(&self, job: &Job, lease: JobLease, ended: Result<JobOutcome>) -> Result<()> {
        if let Err(error) = &ended {
            let error = error.chain();
            tracing::warn!(job.id = %job.id, job.kind, job.attempt = job.attempts, error, "an attempt at a job failed");
        }
        let (by, job) = (self.recorder(job).await?, job.clone());
        let write = self.kernel.store().write(move |tx| {
            Box::pin(async move {
                let events = match ended {
                    Ok(JobOutcome::Done) => {
                        table::complete(tx, &lease, by.at.wall_ms).await?;
                        resolve_held(tx, &job, by.at.wall_ms).await?
                    }
                    Ok(JobOutcome::Postponed(delay)) => {
                        table::postpone(tx, &lease, by.at.wall_ms + delay.as_millis() as i64).await?;
                        Vec::new()
                    }
                    Err(error) => match table::fail(tx, &lease, &error.chain(), &RETRY, by.at).await? {
                        JobState::Held => fire_held(tx, &job, &error.chain(), &by).await?.into_iter().collect(),
                        _ => Vec::new(),
                    },
                };
                for event in events {
                    by.record(tx, event).await?;
                }
                Ok(())
            })
        });
        write.await
    }

    /// Fires the alert about a job that was held when it was claimed.
    async fn report_held(&self, job: &Job) -> Result<()> {
        let (by, job) = (self.recorder(job).await?, job.clone());
        let write = self.kernel.store().write(move |tx| {
            Box::pin(async move {
                match fire_held(tx, &job, job.message.as_deref().unwrap_or_default(), &by).await? {
                    Some(event) => by.record(tx, event).await,
                    None => Ok(()),
                }
            })
        });
        write.await
    }

    async fn recorder(&self, job: &Job) -> Result<Recorder> {
        Recorder::new(&Caller::system(self.kernel.clone(), "job"), job.project_id).await
    }
}

/// Waits for a pause; without one it never completes.
async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// Fires the alert about a held job within a transaction; returns the event to record when the alert is new.
async fn fire_held(tx: &mut Tx, job: &Job, error: &str, by: &Recorder) -> Result<Option<LedgerEvent>> {
    let Some(project) = job.project_id else { return Ok(None) };
    let message = format!("job `{}` is held after {} attempts: {error}", job.kind, job.attempts);
    let about = (AlertSubject::Job(job.kind.clone()), HELD, job.created_ms);
    let facts = json!({ "job": job.id, "attempts": job.attempts, "payload": job.payload });
    alerts::fire_in(tx, &alerts::new(project, by.at, about, facts, message), None).await
}

/// Resolves the alerts about jobs of the kind that are not newer than this one, which is done; returns the events to
/// record.
async fn resolve_held(tx: &mut Tx, job: &Job, wall_ms: i64) -> Result<Vec<LedgerEvent>> {
    let Some(project) = job.project_id else { return Ok(Vec::new()) };
    let subject = AlertSubject::Job(job.kind.clone());
    alerts::resolve_past_in(tx, project, (&subject, HELD), |start_ms| start_ms <= job.created_ms, wall_ms).await
}
