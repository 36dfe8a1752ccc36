//! What a server before this one left of pipeline runs.

use perennial_core::Result;
use perennial_core::entity::{PipelineRun, RunUpdate};
use perennial_core::id::PipelineRunId;
use perennial_core::state::{Lifecycle, PipelineRunEvent, PipelineRunState, RunStatus, StepRunState};
use perennial_kernel::{Caller, LedgerEvent, access};
use perennial_store::{Tx, pipeline_runs, runs, step_runs};
use perennial_tracking::Seal;

/// Marks the pipeline runs that a previous server left behind as interrupted and returns them, to be resumed. Called
/// before this server accepts requests, so that every open run belongs to another server.
pub async fn recover(caller: &Caller) -> Result<Vec<PipelineRun>> {
    let open = pipeline_runs::list_open(&mut *caller.kernel.store().read().await?).await?;
    let mut left = Vec::new();
    for run in open.into_iter().filter(|run| run.holder.as_deref() != Some(&caller.kernel.server.to_string())) {
        let (id, state, at_ms) = (run.id, run.state, caller.kernel.services.clock.wall_ms());
        let seal = Seal::new(caller, run.project_id).await?;
        caller
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let owed = end_tracked(tx, id, &seal, at_ms).await?;
                    step_runs::interrupt_running(tx, id, at_ms).await?;
                    if state == PipelineRunState::Running {
                        pipeline_runs::apply(tx, id, PipelineRunEvent::Interrupt, Some("the server stopped"), at_ms)
                            .await?;
                    }
                    for change in owed {
                        seal.record(tx, change).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        left.push(pipeline_runs::get(&mut *caller.kernel.store().read().await?, id).await?);
    }
    access::revoke_step_tokens(caller).await?;
    Ok(left)
}

/// Ends the tracked runs of interrupted attempts as killed and revokes their tokens; returns the events to record.
pub(super) async fn end_tracked(tx: &mut Tx, id: PipelineRunId, seal: &Seal, at_ms: i64) -> Result<Vec<LedgerEvent>> {
    let mut owed = Vec::new();
    for attempt in step_runs::list(tx, id).await? {
        let Some(run) = attempt.run_id.filter(|_| attempt.state == StepRunState::Running) else { continue };
        owed.extend(access::revoke_run_tokens(tx, run, at_ms).await?);
        let kept = runs::get(tx, run).await?;
        if kept.lifecycle == Lifecycle::Active && !kept.status.is_terminal() {
            let killed = RunUpdate { status: Some(RunStatus::Killed), end_ms: Some(at_ms), name: None };
            runs::update(tx, run, &killed).await?;
            owed.push(seal.close(tx, run, "end").await?);
        }
    }
    Ok(owed)
}
