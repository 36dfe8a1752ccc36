//! What a server before this one left of pipeline runs.

use perennial_core::entity::{PipelineRun, RunUpdate, StepRun};
use perennial_core::id::{PipelineRunId, RunId, RunnerJobId};
use perennial_core::port::runner::{Adoption, Runner};
use perennial_core::state::{Lifecycle, PipelineRunEvent, PipelineRunState, RunStatus, StepRunState};
use perennial_core::{ErrorCode, Result};
use perennial_kernel::{Caller, Kernel, LedgerEvent, access};
use perennial_store::{Tx, pipeline_runs, runs, step_runs};
use perennial_tracking::RunSealer;

use crate::steps::cancel_job;

/// Marks the pipeline runs that a previous server left behind as interrupted and returns them, to be resumed. Called
/// before this server accepts requests, so that every open run belongs to another server.
pub async fn recover(caller: &Caller) -> Result<Vec<PipelineRun>> {
    let kernel = &caller.kernel;
    let open = kernel.readable(pipeline_runs::list_open(&mut *kernel.store().read().await?).await?);
    let mut left = Vec::new();
    for run in open.into_iter().filter(|run| run.holder.as_deref() != Some(&kernel.server.to_string())) {
        // A run that cannot be recovered keeps no server from starting; the next start tries again.
        match interrupt(caller, &run).await {
            Ok(run) => left.push(run),
            Err(error) => {
                tracing::error!(pipeline_run.id = %run.id, error = error.chain(), "a pipeline run cannot be recovered");
            }
        }
    }
    access::revoke_step_tokens(caller).await?;
    Ok(left)
}

/// Marks a run as interrupted, and ends what is left of its attempts.
async fn interrupt(caller: &Caller, run: &PipelineRun) -> Result<PipelineRun> {
    end_jobs(&caller.kernel, run.id).await?;
    let (id, state, at_ms) = (run.id, run.state, caller.kernel.services.clock.wall_ms());
    let sealer = tracked_sealer(caller, run).await?;
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let events = end_tracked(tx, id, &sealer, at_ms).await?;
                step_runs::interrupt_running(tx, id, at_ms).await?;
                if state == PipelineRunState::Running {
                    pipeline_runs::apply(tx, id, PipelineRunEvent::Interrupt, Some("the server stopped"), at_ms)
                        .await?;
                }
                for event in events {
                    sealer.record(tx, event).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(pipeline_runs::get(&mut *caller.kernel.store().read().await?, id).await?)
}

/// A sealer for the tracked runs that [`end_tracked`] ends. Their content is summed before the transaction.
pub(super) async fn tracked_sealer(caller: &Caller, run: &PipelineRun) -> Result<RunSealer> {
    let sealer = RunSealer::new(caller, run.project_id).await?;
    let attempts = step_runs::list(&mut *caller.kernel.store().read().await?, run.id).await?;
    for tracked in attempts.iter().filter_map(running) {
        sealer.prepare(caller, tracked).await?;
    }
    Ok(sealer)
}

/// The tracked run of an attempt that has not ended.
fn running(attempt: &StepRun) -> Option<RunId> {
    attempt.run_id.filter(|_| attempt.state == StepRunState::Running)
}

/// Ends what is left of the jobs of interrupted attempts: a resumed run starts new attempts. Best effort: an error is
/// logged.
async fn end_jobs(kernel: &Kernel, run: PipelineRunId) -> Result<()> {
    let runner = &*kernel.services.runner;
    let attempts = step_runs::list(&mut *kernel.store().read().await?, run).await?;
    let is_left =
        |attempt: &&StepRun| attempt.state == StepRunState::Running && attempt.runner.as_deref() == Some(runner.name());
    for attempt in attempts.iter().filter(is_left) {
        if let Err(error) = end_job(runner, RunnerJobId::from(attempt.id.uuid())).await {
            tracing::warn!(step_run.id = %attempt.id, error = error.chain(), "cannot end the job of an interrupted step");
        }
    }
    Ok(())
}

async fn end_job(runner: &dyn Runner, id: RunnerJobId) -> Result<()> {
    match runner.adopt(id).await {
        Ok(Adoption::Running) => cancel_job(runner, id).await,
        Ok(Adoption::Ended(_)) => runner.forget(id).await,
        // It was interrupted before its command started.
        Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Ends the tracked runs of interrupted attempts as killed and revokes their tokens; returns the events to record.
pub(super) async fn end_tracked(
    tx: &mut Tx,
    id: PipelineRunId,
    sealer: &RunSealer,
    at_ms: i64,
) -> Result<Vec<LedgerEvent>> {
    let mut events = Vec::new();
    for tracked in step_runs::list(tx, id).await?.iter().filter_map(running) {
        events.extend(access::revoke_run_tokens(tx, tracked, at_ms).await?);
        let found = runs::get(tx, tracked).await?;
        if found.lifecycle == Lifecycle::Active && !found.status.is_terminal() {
            let killed = RunUpdate { status: Some(RunStatus::Killed), end_ms: Some(at_ms), name: None };
            let ended = runs::update(tx, tracked, &killed).await?;
            events.push(sealer.seal(tx, &ended, "end").await?);
        }
    }
    Ok(events)
}
