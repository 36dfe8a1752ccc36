//! Durable jobs. A job is enqueued in the transaction that requires it, claimed by lease, and settled by the holder of
//! the lease. Several servers may claim at the same time: on PostgreSQL each skips rows that another one has locked, on
//! SQLite all writes pass through one writer.

use perennial_core::clock::Instant;
use perennial_core::entity::{Job, JobClaim, JobLease, NewJob, RetryPolicy};
use perennial_core::id::{JobId, ProjectId};
use perennial_core::state::JobState;

use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::page::{NEWEST, Page, rows_for};
use crate::row::{Readable, Record, Row, UnreadableRow};

/// Attempts to enqueue a job whose unique key is taken by a job that ends at the same time.
const ENQUEUE_ATTEMPTS: usize = 3;

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

struct StateCount(JobState, u64);

impl Record for StateCount {
    const TABLE: &'static str = "jobs";
    const KEY: &'static [&'static str] = &["state"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self(row.get("state")?, row.get("job_count")?))
    }
}

/// Enqueues a job. If an open job has its unique key, that one is returned and nothing is enqueued.
pub async fn enqueue(tx: &mut Tx, new: NewJob) -> Result<Job> {
    let job = Job::new(JobId::generate(), new);
    for _ in 0..ENQUEUE_ATTEMPTS {
        if insert(tx, &job).await? {
            return Ok(job);
        }
        let Some(key) = &job.unique_key else { return Err(Error::already_exists("job", job.id)) };
        if let Some(open) = tx.optional(sql!("jobs/find_open"), bind![key]).await? {
            return Ok(open);
        }
    }
    Err(Error::Conflict { noun: "job", name: job.unique_key.unwrap_or_default() })
}

async fn insert(tx: &mut Tx, job: &Job) -> Result<bool> {
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
    Ok(tx.execute(sql!("jobs/insert"), values).await? == 1)
}

/// Claims jobs that are due, and jobs whose lease has expired, the earliest first. Returns them; those that are
/// held by now, because their lease has expired too often, are not to be executed. A job whose row does not convert is
/// held, and does not keep others from being claimed.
pub async fn claim(tx: &mut Tx, claim: &JobClaim) -> Result<Readable<Job>> {
    let (project, project_ms) = claim.project.unzip();
    let (kinds, limit) = (serde_json::json!(claim.kinds), i64::from(claim.limit));
    let values = bind![kinds, claim.wall_ms, project, project_ms, limit];
    let mut claimed: Readable<Job> = tx.readable(list_sql_split!("jobs/list_claimable"), values).await?;
    for job in &mut claimed.rows {
        job.claim(claim)?;
        update(tx, job).await?;
    }
    for UnreadableRow { key, column, why, .. } in &claimed.unreadable {
        let message = format!("column `{column}` does not convert: {why}");
        tx.execute(sql!("jobs/hold_unreadable"), bind![key, message, claim.wall_ms]).await?;
    }
    Ok(claimed)
}

/// Extends a lease; `Conflict` if it was lost.
pub async fn renew(tx: &mut Tx, lease: &JobLease, lease_until_ms: i64) -> Result<()> {
    let mut job = lock_leased(tx, lease).await?;
    job.lease_until_ms = Some(lease_until_ms);
    update(tx, &job).await
}

/// Settles a job that was executed; `Conflict` if the lease was lost. Belongs in the transaction of what the job wrote,
/// so that both happen or none.
pub async fn complete(tx: &mut Tx, lease: &JobLease, wall_ms: i64) -> Result<()> {
    let mut job = lock_leased(tx, lease).await?;
    job.complete(wall_ms)?;
    update(tx, &job).await
}

/// Ends a failed attempt: the job is due again after a delay, or held if no attempt is left. Returns its new state;
/// `Conflict` if the lease was lost.
pub async fn fail(
    tx: &mut Tx,
    lease: &JobLease,
    message: &str,
    policy: &RetryPolicy,
    now: Instant,
) -> Result<JobState> {
    let mut job = lock_leased(tx, lease).await?;
    job.fail(message, policy, now)?;
    update(tx, &job).await?;
    Ok(job.state)
}

/// Ends an attempt that found its work impossible for now, without counting it: the job is due again at `due_ms`.
/// `Conflict` if the lease was lost.
pub async fn postpone(tx: &mut Tx, lease: &JobLease, due_ms: i64) -> Result<()> {
    let mut job = lock_leased(tx, lease).await?;
    job.postpone(due_ms)?;
    update(tx, &job).await
}

/// Gives a held job its attempts back; the next one is due at `due_ms`.
pub async fn requeue(tx: &mut Tx, id: JobId, due_ms: i64) -> Result<()> {
    let mut job = lock(tx, id).await?;
    job.requeue(due_ms)?;
    update(tx, &job).await
}

/// Ends an open job without executing it. A server that executes it loses its lease.
pub async fn cancel(tx: &mut Tx, id: JobId, wall_ms: i64) -> Result<()> {
    let mut job = lock(tx, id).await?;
    job.cancel(wall_ms)?;
    update(tx, &job).await
}

/// A job; an error when there is none.
pub async fn get(conn: &mut Conn, id: JobId) -> Result<Job> {
    conn.required(sql!("jobs/get"), bind![id], "job", id).await
}

/// The job of an id.
pub async fn find_by_id(conn: &mut Conn, id: JobId) -> Result<Option<Job>> {
    conn.optional(sql!("jobs/get"), bind![id]).await
}

/// The open job with a unique key.
pub async fn find_open(conn: &mut Conn, unique_key: &str) -> Result<Option<Job>> {
    conn.optional(sql!("jobs/find_open"), bind![unique_key]).await
}

/// Jobs, newest first: those of a project or of the whole server, in one state or in any.
pub async fn list(
    conn: &mut Conn,
    project_id: Option<ProjectId>,
    state: Option<JobState>,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Job>> {
    let (after, rows) = (after.unwrap_or(NEWEST), rows_for(limit));
    let items = conn.all(list_sql!("jobs/list"), bind![project_id, state, after, rows]).await?;
    Ok(Page::cut(items, limit, |job: &Job| job.id.to_string()))
}

/// The jobs of a project that are held, oldest first.
pub async fn list_held(conn: &mut Conn, project_id: ProjectId) -> Result<Readable<Job>> {
    conn.readable(list_sql!("jobs/list_held"), bind![project_id]).await
}

/// The number of open jobs in each state that has any.
pub async fn count_by_state(conn: &mut Conn) -> Result<Vec<(JobState, u64)>> {
    let counts: Vec<StateCount> = conn.all(list_sql!("jobs/count_by_state"), bind![]).await?;
    Ok(counts.into_iter().map(|StateCount(state, count)| (state, count)).collect())
}

/// The earliest instant of the wall clock at which a job of the kinds can be claimed; `None` while no job waits for it.
pub async fn next_due(conn: &mut Conn, kinds: &[&str]) -> Result<Option<i64>> {
    let kinds = serde_json::json!(kinds);
    Ok(conn.scalar::<Option<i64>>(sql_split!("jobs/next_due"), bind![kinds]).await?.flatten())
}

/// Deletes jobs that succeeded or were cancelled before an instant; returns their number.
pub async fn delete_settled(tx: &mut Tx, before_ms: i64) -> Result<u64> {
    tx.execute(sql!("jobs/delete_settled"), bind![before_ms]).await
}

/// A job, locked until the transaction ends.
async fn lock(tx: &mut Tx, id: JobId) -> Result<Job> {
    tx.required(sql_split!("jobs/lock"), bind![id], "job", id).await
}

/// The job of a lease, locked until the transaction ends; `Conflict` if the lease was lost.
async fn lock_leased(tx: &mut Tx, lease: &JobLease) -> Result<Job> {
    let job = lock(tx, lease.id).await?;
    if job.lease() == Some(*lease) {
        return Ok(job);
    }
    Err(Error::Conflict { noun: "job", name: lease.id.to_string() })
}

async fn update(tx: &mut Tx, job: &Job) -> Result<()> {
    let values = bind![
        job.id,
        job.state,
        job.due_ms,
        job.attempts,
        job.lease_holder,
        job.lease_until_ms,
        job.message,
        job.settled_ms
    ];
    tx.update(sql!("jobs/update"), values, "job", job.id).await
}
