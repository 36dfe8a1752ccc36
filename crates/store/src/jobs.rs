//! Jobs: slow work, claimed by lease. A job may run twice and must not care.

use perennial_core::id::{JobId, ProjectId};
use perennial_core::state::{JobEvent, JobState};

use crate::Json;
use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::page::{NEWEST, Page, rows_for};
use crate::row::{Record, Row};

words! {
    /// The clock a job's time is read on.
    JobClock, "clock of a job" {
        /// The wall clock.
        Wall = "wall",
        /// The clock of its project: the stepped one, else the wall clock.
        Project = "project",
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The project, if it is for one.
    pub project_id: Option<ProjectId>,
    /// What is to be done.
    pub kind: String,
    /// With what.
    pub payload: Json,
    /// At most one open job has it.
    pub unique_key: Option<String>,
    /// Where it stands.
    pub state: JobState,
    /// The clock `due_ms` is read on.
    pub clock: JobClock,
    /// When it is due, epoch milliseconds.
    pub due_ms: i64,
    /// How often it was claimed.
    pub attempts: i64,
    /// The server that holds it.
    pub lease_holder: Option<String>,
    /// Wall clock until which it does.
    pub lease_until_ms: Option<i64>,
    /// Why the last attempt failed.
    pub message: Option<String>,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
    /// Wall clock of its end.
    pub settled_ms: Option<i64>,
}

impl Record for Job {
    const TABLE: &'static str = "jobs";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            kind: row.get("kind")?,
            payload: row.get("payload")?,
            unique_key: row.get("unique_key")?,
            state: row.get("state")?,
            clock: row.get("clock")?,
            due_ms: row.get("due_ms")?,
            attempts: row.get("attempts")?,
            lease_holder: row.get("lease_holder")?,
            lease_until_ms: row.get("lease_until_ms")?,
            message: row.get("message")?,
            created_ms: row.get("created_ms")?,
            settled_ms: row.get("settled_ms")?,
        })
    }
}

/// Inserts a job; tells whether it is new: while an open job has its `unique_key`, nothing is inserted.
pub async fn enqueue(tx: &mut Tx, job: &Job) -> Result<bool> {
    let values = bind![
        job.id,
        job.project_id,
        job.kind,
        job.payload,
        job.unique_key,
        job.state,
        job.clock,
        job.due_ms,
        job.attempts,
        job.lease_holder,
        job.lease_until_ms,
        job.message,
        job.created_ms,
        job.settled_ms
    ];
    Ok(tx.execute(sql!("jobs/enqueue"), values).await? == 1)
}

/// A job; an error when there is none.
pub async fn get(conn: &mut Conn, id: JobId) -> Result<Job> {
    conn.required(sql!("jobs/get"), bind![id], "job", id).await
}

/// Claims due jobs for a server until `lease_until_ms`, `limit` at most, those due first before others.
/// A job whose lease ran out is claimed again.
pub async fn claim(tx: &mut Tx, holder: &str, wall_ms: i64, lease_until_ms: i64, limit: u32) -> Result<Vec<Job>> {
    let rows = i64::from(limit);
    let values = bind![wall_ms, holder, lease_until_ms, rows];
    let mut jobs: Vec<Job> = tx.all(sql_split!("jobs/claim"), values).await?;
    jobs.sort_by_key(|job| (job.due_ms, job.id));
    Ok(jobs)
}

/// Keeps a job that its server still works on. An error when it is no longer its holder.
pub async fn renew(tx: &mut Tx, id: JobId, holder: &str, lease_until_ms: i64) -> Result<()> {
    tx.swap(sql!("jobs/renew"), bind![id, holder, lease_until_ms], "job", id).await
}

/// Takes a job through `Complete`, `GiveUp` or `Cancel`. Only its holder completes a job or gives it up.
pub async fn settle(
    tx: &mut Tx,
    id: JobId,
    holder: &str,
    event: JobEvent,
    message: Option<&str>,
    at_ms: i64,
) -> Result<JobState> {
    let job = get(tx, id).await?;
    let next = job.state.transition(event)?;
    if !next.is_terminal() {
        return Err(Error::Refused(format!("a job is not settled by `{event:?}`")));
    }
    if event != JobEvent::Cancel && job.lease_holder.as_deref() != Some(holder) {
        return Err(Error::Raced { noun: "job", name: id.to_string() });
    }
    tx.swap(sql!("jobs/settle"), bind![id, job.state, job.lease_holder, next, message, at_ms], "job", id).await?;
    Ok(next)
}

/// Puts a job that failed back until `due_ms` on its clock.
pub async fn retry(tx: &mut Tx, id: JobId, holder: &str, message: &str, due_ms: i64) -> Result<()> {
    let next = get(tx, id).await?.state.transition(JobEvent::Retry)?;
    tx.swap(sql!("jobs/retry"), bind![id, holder, next, message, due_ms], "job", id).await
}

/// Open jobs of a project that are due at an instant: a step of the clock has ended when there are none.
pub async fn count_unfinished(conn: &mut Conn, project_id: ProjectId, project_ms: i64, wall_ms: i64) -> Result<u64> {
    let values = bind![project_id, project_ms, wall_ms];
    Ok(conn.scalar(sql!("jobs/count_unfinished"), values).await?.unwrap_or(0))
}

/// When the next open job of a project is due on the project clock.
pub async fn next_due(conn: &mut Conn, project_id: ProjectId) -> Result<Option<i64>> {
    let due: Option<Option<i64>> = conn.scalar(sql!("jobs/next_due"), bind![project_id]).await?;
    Ok(due.flatten())
}

/// Jobs of a project, newest first.
pub async fn list(conn: &mut Conn, project_id: ProjectId, after: Option<&str>, limit: u32) -> Result<Page<Job>> {
    let (after, rows) = (after.unwrap_or(NEWEST), rows_for(limit));
    let values = bind![project_id, after, rows];
    let items = conn.all(sql!("jobs/list"), values).await?;
    Ok(Page::cut(items, limit, |item: &Job| item.id.to_string()))
}

/// Puts back what a server held that is known to be gone; tells how many.
pub async fn release_leases(tx: &mut Tx, holder: &str) -> Result<u64> {
    tx.execute(sql!("jobs/release_leases"), bind![holder]).await
}

/// Forgets jobs that ended before an instant; tells how many.
pub async fn delete_settled(tx: &mut Tx, before_ms: i64) -> Result<u64> {
    tx.execute(sql!("jobs/delete_settled"), bind![before_ms]).await
}
