//! Reading pipeline runs: state, steps, events, logs.

pub use perennial_core::entity::{EventRecord, PipelineKind, PipelineRun, StepOutput, StepRun};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use perennial_artifacts::Error as BlobError;
use perennial_core::id::PipelineRunId;
use perennial_core::name::StepName;
use perennial_core::permission::Permission;
use perennial_core::state::PipelineRunState;
use perennial_core::{Error, Result};
use perennial_store::{pipeline_runs as table, step_runs};

use crate::Execution;
use crate::pipelines::PipelineEvent;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

pub use perennial_store::Page;

/// The most events in one page.
pub const EVENTS_MAX: u32 = 1_000;
/// The most bytes of a step's log that are returned: its end.
pub const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Kinds of events about steps and the release: a few for each step.
const RUN_EVENTS: [&str; 3] = ["step_started", "decided", "released"];
/// Kinds of events about loads: one for each file.
const LOAD_EVENTS: [&str; 2] = ["load_ended", "load_failed"];
/// Followers poll at this interval even without a notification: another server may execute the run.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Pipeline runs of a project, newest first.
pub async fn list(
    caller: &Caller,
    project: &ProjectState,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<PipelineRun>> {
    caller.require(Permission::Read, project.id)?;
    Ok(table::list(&mut *caller.kernel.store().read().await?, project.id, after, limit).await?)
}

/// A pipeline run of the project.
pub async fn get(caller: &Caller, project: &ProjectState, id: PipelineRunId) -> Result<PipelineRun> {
    caller.require(Permission::Read, project.id)?;
    let run = table::get(&mut *caller.kernel.store().read().await?, id).await?;
    if run.project_id != project.id {
        return Err(Error::not_found("pipeline run", id));
    }
    Ok(run)
}

/// The state of a pipeline run, for the code that executes it.
pub(crate) async fn state(caller: &Caller, id: PipelineRunId) -> Result<PipelineRunState> {
    Ok(table::get(&mut *caller.kernel.store().read().await?, id).await?.state)
}

/// Attempts at the steps of a pipeline run, each with what it left, in the order of their beginning.
pub async fn steps(
    caller: &Caller,
    project: &ProjectState,
    id: PipelineRunId,
) -> Result<Vec<(StepRun, Vec<StepOutput>)>> {
    get(caller, project, id).await?;
    let mut reader = caller.kernel.store().read().await?;
    let mut steps = Vec::new();
    for step in step_runs::list(&mut reader, id).await? {
        let made_by = step.reused_from.unwrap_or(step.id);
        let outputs = step_runs::list_outputs(&mut reader, made_by).await?;
        steps.push((step, outputs));
    }
    Ok(steps)
}

impl Execution {
    /// Events after a sequence, oldest first, and whether the run has ended. Waits up to `wait` for one to come.
    pub async fn events(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        id: PipelineRunId,
        after: i64,
        wait: Duration,
    ) -> Result<(Vec<EventRecord>, bool)> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let mut woken = std::pin::pin!(self.events.notified());
            // From here on, an event that is stored while the store is read wakes this task.
            woken.as_mut().enable();
            let is_over = get(caller, project, id).await?.state.is_terminal();
            let events = table::list_events(&mut *caller.kernel.store().read().await?, id, after, EVENTS_MAX).await?;
            let now = tokio::time::Instant::now();
            if !events.is_empty() || is_over || now >= deadline {
                // A full page may not be the last.
                let is_last = is_over && events.len() < EVENTS_MAX as usize;
                return Ok((events, is_last));
            }
            let until = deadline.min(now + POLL_INTERVAL);
            // Notified or timed out, the store is read again.
            let _ = tokio::time::timeout_at(until, woken).await;
        }
    }
}

/// What a pipeline run did, oldest first: why its steps started, its decision and release, and its first loads. Lines of
/// logs are left out, so that their number hides nothing.
pub async fn milestones(caller: &Caller, project: &ProjectState, id: PipelineRunId) -> Result<Vec<EventRecord>> {
    get(caller, project, id).await?;
    let mut reader = caller.kernel.store().read().await?;
    let mut events = table::list_events_of(&mut reader, id, &LOAD_EVENTS, EVENTS_MAX).await?;
    events.extend(table::list_events_of(&mut reader, id, &RUN_EVENTS, EVENTS_MAX).await?);
    events.sort_by_key(|event| event.sequence);
    Ok(events)
}

/// The newest attempt at a step in a pipeline run, with its log when one was kept.
pub async fn log(
    caller: &Caller,
    project: &ProjectState,
    id: PipelineRunId,
    step: &StepName,
) -> Result<(StepRun, Option<String>)> {
    get(caller, project, id).await?;
    let attempts = step_runs::list(&mut *caller.kernel.store().read().await?, id).await?;
    let newest = attempts.into_iter().filter(|attempt| attempt.step == *step).max_by_key(|attempt| attempt.attempt);
    let attempt = newest.ok_or_else(|| Error::not_found("step of pipeline run", step))?;
    let text = log_of(caller, &attempt).await?;
    Ok((attempt, text))
}

/// The newest attempt at a step of the project, with its log when one was kept.
pub async fn newest_log(caller: &Caller, project: &ProjectState, step: &StepName) -> Result<(StepRun, Option<String>)> {
    caller.require(Permission::Read, project.id)?;
    let newest = step_runs::list_of_step(&mut *caller.kernel.store().read().await?, project.id, step, None, 1).await?;
    let attempt = newest.items.into_iter().next().ok_or_else(|| {
        Error::not_found("run of step", step)
            .with_hint("`perennial run` runs the steps of the project file, and no other")
    })?;
    let text = log_of(caller, &attempt).await?;
    Ok((attempt, text))
}

/// The log of the attempt that did the work: its command's output, or the log events of a built-in step.
async fn log_of(caller: &Caller, attempt: &StepRun) -> Result<Option<String>> {
    let kernel = &caller.kernel;
    let found = match attempt.reused_from {
        Some(id) => Some(step_runs::get(&mut *kernel.store().read().await?, id).await?),
        None => None,
    };
    let made_by = found.as_ref().unwrap_or(attempt);
    let Some(digest) = &made_by.log_digest else { return log_events(caller, made_by).await };
    let (digest, blobs) = (digest.parse()?, &kernel.services.blobs);
    match blobs.get_bytes(digest, LOG_BYTES_MAX).await {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(BlobError::TooLarge { size_bytes, .. }) => {
            let left_out = size_bytes - LOG_BYTES_MAX;
            let parts: Vec<Bytes> = blobs.get_stream(digest, Some(left_out..size_bytes)).await?.try_collect().await?;
            let end = parts.concat();
            Ok(Some(format!("… {left_out} bytes before this are left out\n{}", String::from_utf8_lossy(&end))))
        }
        Err(error) => Err(error.into()),
    }
}

/// The log events of a step; `None` when there are none.
async fn log_events(caller: &Caller, attempt: &StepRun) -> Result<Option<String>> {
    let (mut text, mut after) = (String::new(), 0);
    loop {
        let mut reader = caller.kernel.store().read().await?;
        let events = table::list_events(&mut reader, attempt.pipeline_run_id, after, EVENTS_MAX).await?;
        for event in &events {
            after = event.sequence;
            if let Ok(PipelineEvent::StepLog { step, line }) = serde_json::from_value(event.body.clone())
                && step == attempt.step
            {
                text.push_str(&line);
                text.push('\n');
            }
        }
        if events.len() < EVENTS_MAX as usize || text.len() as u64 > LOG_BYTES_MAX {
            return Ok((!text.is_empty()).then_some(text));
        }
    }
}
