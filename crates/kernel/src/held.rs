//! What is held: work during which servers died, and durable jobs whose attempts all failed.

use perennial_core::entity::{AlertSubject, Attempts, Job};
use perennial_core::id::{AttemptsId, JobId, ProjectId};
use perennial_core::ledger::Chain;
use perennial_core::permission::Permission;
use perennial_core::state::JobState;
use perennial_core::{Error, Result};
use perennial_store::{attempts, jobs};
use serde_json::json;

use crate::{Caller, LedgerEvent, Recorder, alerts, wrong_state};

/// The name of alerts about what is held.
pub(crate) const HELD: &str = "held";

/// Work that is not started again until a person releases or cancels it.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// Work during which servers died.
    Work(Attempts),
    /// A durable job that was given up.
    Job(Job),
}

impl Held {
    /// Its id.
    pub fn id(&self) -> String {
        match self {
            Self::Work(attempts) => attempts.id.to_string(),
            Self::Job(job) => job.id.to_string(),
        }
    }

    /// `load`, `step`, `model` or `job`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Work(attempts) => attempts.kind.as_str(),
            Self::Job(_) => "job",
        }
    }

    /// What is held, in words.
    pub fn description(&self) -> String {
        match self {
            Self::Work(attempts) => attempts.description.clone(),
            Self::Job(job) => format!("job `{}`", job.kind),
        }
    }

    /// Why it is held.
    pub fn reason(&self) -> String {
        match self {
            Self::Work(attempts) => format!("the server died {} times while it processed it", attempts.deaths),
            Self::Job(job) => job.message.clone().unwrap_or_else(|| format!("{} attempts failed", job.attempts)),
        }
    }

    /// When the last attempt began, or the job was held: wall clock, epoch milliseconds.
    pub fn since_ms(&self) -> i64 {
        match self {
            Self::Work(attempts) => attempts.wall_ms,
            Self::Job(job) => job.settled_ms.unwrap_or(job.created_ms),
        }
    }
}

/// What is held in a project, oldest first.
pub async fn list(caller: &Caller, project: ProjectId) -> Result<Vec<Held>> {
    caller.require(Permission::Read, project)?;
    let mut reader = caller.kernel.store().read().await?;
    let work = attempts::list_held(&mut reader, project).await?;
    let jobs = caller.kernel.readable(jobs::list_held(&mut reader, project).await?);
    let mut held: Vec<Held> = work.into_iter().map(Held::Work).chain(jobs.into_iter().map(Held::Job)).collect();
    held.sort_by_key(Held::since_ms);
    Ok(held)
}

/// Lets something that is held be tried again.
///
/// # Errors
/// If nothing of this id is held in the project.
pub async fn release(caller: &Caller, project: ProjectId, id: &str) -> Result<Held> {
    let held = find(caller, project, id).await?;
    let (by, now_ms) = (Recorder::new(caller, Some(project)).await?, caller.kernel.services.clock.wall_ms());
    let (change, enqueued) = (held.clone(), caller.kernel.jobs.enqueued.clone());
    let write = caller.kernel.store().write(move |tx| {
        Box::pin(async move {
            match &change {
                Held::Work(work) => attempts::delete(tx, work.id).await?,
                Held::Job(job) => {
                    jobs::requeue(tx, job.id, now_ms).await?;
                    tx.notify_after_commit(&enqueued);
                }
            }
            by.record(tx, event(project, &change, "release")).await
        })
    });
    write.await?;
    resolve(caller, project, &held).await?;
    Ok(held)
}

/// Gives up a job that is held: it is not executed any more.
///
/// # Errors
/// If nothing of this id is held in the project, or if it is not a job.
pub async fn cancel(caller: &Caller, project: ProjectId, id: &str) -> Result<Held> {
    let held = find(caller, project, id).await?;
    let Held::Job(job) = &held else {
        let message = format!("`{id}` is not a job: it stays held until it is released");
        return Err(wrong_state(message).with_hint("change its file, step or model: other content is not held"));
    };
    let (by, now_ms, job) =
        (Recorder::new(caller, Some(project)).await?, caller.kernel.services.clock.wall_ms(), job.id);
    let change = held.clone();
    let write = caller.kernel.store().write(move |tx| {
        Box::pin(async move {
            jobs::cancel(tx, job, now_ms).await?;
            by.record(tx, event(project, &change, "cancel")).await
        })
    });
    write.await?;
    resolve(caller, project, &held).await?;
    Ok(held)
}

async fn find(caller: &Caller, project: ProjectId, id: &str) -> Result<Held> {
    caller.require(Permission::Write, project)?;
    let missing = || Error::not_found("held work", id.escape_debug()).with_hint("`perennial held` lists what is held");
    let mut reader = caller.kernel.store().read().await?;
    let (Ok(work), Ok(job)) = (id.parse::<AttemptsId>(), id.parse::<JobId>()) else { return Err(missing()) };
    if let Some(work) = attempts::find_by_id(&mut reader, work).await?
        && work.project_id == project
        && work.is_held()
    {
        return Ok(Held::Work(work));
    }
    match jobs::find_by_id(&mut reader, job).await? {
        Some(job) if job.project_id == Some(project) && job.state == JobState::Held => Ok(Held::Job(job)),
        _ => Err(missing()),
    }
}

/// Resolves the alert about it.
async fn resolve(caller: &Caller, project: ProjectId, held: &Held) -> Result<()> {
    let system = Caller::system(caller.kernel.clone(), "held");
    match held {
        Held::Work(work) => {
            alerts::resolve_past(&system, project, (&AlertSubject::Work(work.id), HELD), |_| true).await
        }
        Held::Job(job) => {
            let subject = AlertSubject::Job(job.kind.clone());
            alerts::resolve_past(&system, project, (&subject, HELD), |created_ms| created_ms == job.created_ms).await
        }
    }
}

fn event(project: ProjectId, held: &Held, verb: &'static str) -> LedgerEvent {
    let payload = json!({ "kind": held.kind(), "what": held.description() });
    LedgerEvent { chain: Chain::Project(project), noun: "held", subject: held.id(), verb, payload }
}
