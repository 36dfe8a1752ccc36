//! Durable jobs: work that is enqueued in the transaction that requires it, and executed by the server that holds its
//! lease. A job may be executed more than once, so it must be idempotent.

use serde_json::Value;

use crate::clock::Instant;
use crate::id::{JobId, ProjectId, ServerId};
use crate::state::{JobEvent, JobState, TransitionError};
use crate::text_enum::text_enum;

#[cfg(test)]
mod tests;

text_enum! {
    /// The clock that the due time of a job refers to.
    JobClock, "job clock" {
        /// The wall clock.
        Wall = "wall",
        /// The clock of the job's project.
        Project = "project",
    }
}

/// A durable job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The project, if it belongs to one.
    pub project_id: Option<ProjectId>,
    /// What is to be done, such as `ingest_segments`; the code that executes it is registered under this name.
    pub kind: String,
    /// Its input, JSON.
    pub payload: Value,
    /// At most one open job has this key.
    pub unique_key: Option<String>,
    /// Its state.
    pub state: JobState,
    /// The clock of `due_ms`.
    pub clock: JobClock,
    /// The earliest instant of the next attempt, epoch milliseconds.
    pub due_ms: i64,
    /// Attempts so far, the running one included.
    pub attempts: i64,
    /// The server that executes it.
    pub lease_holder: Option<ServerId>,
    /// Wall clock at which the lease expires, epoch milliseconds.
    pub lease_until_ms: Option<i64>,
    /// The error of the last failed attempt.
    pub message: Option<String>,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
    /// Wall clock when it succeeded, was held or cancelled.
    pub settled_ms: Option<i64>,
}

/// A job to be enqueued.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// The project, if it belongs to one.
    pub project_id: Option<ProjectId>,
    /// What is to be done.
    pub kind: String,
    /// Its input, JSON.
    pub payload: Value,
    /// At most one open job has this key.
    pub unique_key: Option<String>,
    /// The clock of `due_ms`.
    pub clock: JobClock,
    /// The earliest instant of the first attempt, epoch milliseconds.
    pub due_ms: i64,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
}

/// A request for jobs that are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobClaim {
    /// The kinds that the server executes.
    pub kinds: Vec<String>,
    /// The server.
    pub holder: ServerId,
    /// Wall clock, epoch milliseconds: jobs on the wall clock that are due, and leases that have expired.
    pub wall_ms: i64,
    /// A project and its clock: its jobs on the project clock that are due.
    pub project: Option<(ProjectId, i64)>,
    /// Wall clock at which the leases end, epoch milliseconds.
    pub lease_until_ms: i64,
    /// Jobs whose lease has expired after this many attempts are held, for they may crash their server.
    pub attempts_max: i64,
    /// Most jobs to claim.
    pub limit: u32,
}

/// One attempt at a job: the right to renew, complete and fail it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobLease {
    /// The job.
    pub id: JobId,
    /// The server.
    pub holder: ServerId,
    /// The attempt, from 1. A later attempt invalidates the lease.
    pub attempt: i64,
}

/// How often and when failed attempts are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most attempts; after that the job is held.
    pub attempts_max: i64,
    /// Delay after the first failed attempt, milliseconds; it doubles with each further one.
    pub first_delay_ms: i64,
    /// The longest delay, milliseconds.
    pub delay_max_ms: i64,
}

impl Default for RetryPolicy {
    /// Five attempts, after 1, 2, 4 and 8 seconds.
    fn default() -> Self {
        Self { attempts_max: 5, first_delay_ms: 1_000, delay_max_ms: 3_600_000 }
    }
}

impl RetryPolicy {
    /// The delay after a number of failed attempts, milliseconds; `None` when no attempt is left.
    pub fn delay_ms(&self, attempts: i64) -> Option<i64> {
        if attempts >= self.attempts_max {
            return None;
        }
        let doublings = u32::try_from(attempts - 1).unwrap_or_default().min(62);
        Some(self.first_delay_ms.saturating_mul(1 << doublings).min(self.delay_max_ms))
    }
}

impl Job {
    /// A pending job.
    pub fn new(id: JobId, new: NewJob) -> Self {
        Self {
            id,
            project_id: new.project_id,
            kind: new.kind,
            payload: new.payload,
            unique_key: new.unique_key,
            state: JobState::Pending,
            clock: new.clock,
            due_ms: new.due_ms,
            attempts: 0,
            lease_holder: None,
            lease_until_ms: None,
            message: None,
            created_ms: new.created_ms,
            settled_ms: None,
        }
    }

    /// The lease of the running attempt.
    pub fn lease(&self) -> Option<JobLease> {
        let holder = self.lease_holder.filter(|_| self.state == JobState::Running)?;
        Some(JobLease { id: self.id, holder, attempt: self.attempts })
    }

    /// Starts an attempt. A job whose lease expired too often is held instead.
    pub fn claim(&mut self, claim: &JobClaim) -> Result<(), TransitionError> {
        if self.state == JobState::Running && self.attempts >= claim.attempts_max {
            let message =
                format!("the lease of attempt {} expired: its server died or lost the database", self.attempts);
            return self.settle(JobEvent::Hold, Some(message), claim.wall_ms);
        }
        self.state = self.state.transition(JobEvent::Claim)?;
        self.attempts += 1;
        self.lease_holder = Some(claim.holder);
        self.lease_until_ms = Some(claim.lease_until_ms);
        Ok(())
    }

    /// Ends the running attempt with success.
    pub fn complete(&mut self, wall_ms: i64) -> Result<(), TransitionError> {
        self.settle(JobEvent::Complete, None, wall_ms)
    }

    /// Ends the running attempt with an error: another attempt follows after a delay, or the job is held.
    pub fn fail(&mut self, message: &str, policy: &RetryPolicy, now: Instant) -> Result<(), TransitionError> {
        let Some(delay_ms) = policy.delay_ms(self.attempts) else {
            return self.settle(JobEvent::Hold, Some(message.to_owned()), now.wall_ms);
        };
        let now_ms = match self.clock {
            JobClock::Wall => now.wall_ms,
            JobClock::Project => now.project_ms,
        };
        self.state = self.state.transition(JobEvent::Retry)?;
        self.due_ms = now_ms.saturating_add(delay_ms);
        self.message = Some(message.to_owned());
        self.lease_holder = None;
        self.lease_until_ms = None;
        Ok(())
    }

    /// Ends the running attempt without counting it: the next one is due at `due_ms`.
    pub fn postpone(&mut self, due_ms: i64) -> Result<(), TransitionError> {
        self.state = self.state.transition(JobEvent::Retry)?;
        self.attempts -= 1;
        self.due_ms = due_ms;
        self.lease_holder = None;
        self.lease_until_ms = None;
        Ok(())
    }

    /// Gives a held job its attempts back; the next one is due at `due_ms`.
    pub fn requeue(&mut self, due_ms: i64) -> Result<(), TransitionError> {
        self.state = self.state.transition(JobEvent::Requeue)?;
        self.attempts = 0;
        self.due_ms = due_ms;
        self.settled_ms = None;
        Ok(())
    }

    /// Ends an open job without success.
    pub fn cancel(&mut self, wall_ms: i64) -> Result<(), TransitionError> {
        let message = self.message.take();
        self.settle(JobEvent::Cancel, message, wall_ms)
    }

    fn settle(&mut self, event: JobEvent, message: Option<String>, wall_ms: i64) -> Result<(), TransitionError> {
        self.state = self.state.transition(event)?;
        self.message = message;
        self.lease_holder = None;
        self.lease_until_ms = None;
        self.settled_ms = Some(wall_ms);
        Ok(())
    }
}
