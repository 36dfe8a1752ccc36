//! Cancelling a pipeline run.

use std::sync::Arc;
use std::time::Duration;

use perennial_core::Result;
use perennial_core::entity::{PipelineKind, PipelineRun};
use perennial_core::id::PipelineRunId;
use perennial_core::permission::Permission;
use perennial_core::state::{PipelineRunEvent, PipelineRunState};
use perennial_store::{pipeline_runs as table, step_runs};

use super::active_runs::Cancellation;
use super::event::PipelineEvent;
use super::outcome::RunOutcome;
use super::recover::{end_tracked, tracked_sealer};
use crate::{Execution, pipeline_runs};
use perennial_kernel::{Caller, wrong_state};
use perennial_projects::ProjectState;

/// The interval at which the end of a cancelled run is polled.
const POLL: Duration = Duration::from_millis(200);

impl Execution {
    /// Cancels a pipeline run that has not ended: its commands are killed, their partial outputs are discarded, and
    /// completed steps stay. From the Decision on a run is not cancelled any more, it ends by itself. Returns the run
    /// as it ended.
    pub async fn cancel(&self, caller: &Caller, project: &Arc<ProjectState>, id: PipelineRunId) -> Result<PipelineRun> {
        let run = pipeline_runs::get(caller, project, id).await?;
        caller.require(
            if run.kind == PipelineKind::Release { Permission::Approve } else { Permission::Write },
            project.id,
        )?;
        if run.state.is_terminal() {
            return Err(wrong_state(format!("pipeline run `{id}` has ended: it is {}", run.state.as_str())));
        }
        loop {
            let changed = self.events.notified();
            let active = self.active.lock().get(&id).cloned();
            let now = pipeline_runs::get(caller, project, id).await?;
            if now.state.is_terminal() {
                return Ok(now);
            }
            match active {
                Some(cancellation) => {
                    // The first caller is recorded.
                    let _ = cancellation.by.set(caller.clone());
                    cancellation.requested.cancel();
                }
                // A server before this one left it behind, or it is about to begin here: then the next poll finds it.
                None => self.end_left(caller, &now).await?,
            }
            // Notified or timed out, the run is read again.
            let _ = tokio::time::timeout(POLL, changed).await;
        }
    }

    /// Ends a run that is not executed anywhere, unless it begins here at this moment.
    async fn end_left(&self, caller: &Caller, run: &PipelineRun) -> Result<()> {
        let is_here = run.holder.as_deref() == Some(&caller.kernel.server.to_string());
        if run.state == PipelineRunState::Running && is_here {
            return Ok(());
        }
        self.end_as(caller, run, run.state).await
    }

    /// The outcome of a cancelled run.
    pub(super) async fn end_cancelled(
        &self,
        caller: &Caller,
        run: &PipelineRun,
        cancellation: &Cancellation,
    ) -> Result<RunOutcome> {
        let by = cancellation.by.get().unwrap_or(caller);
        let by = Caller { cause: caller.cause.clone(), ..by.clone() };
        let state = pipeline_runs::state(&by, run.id).await?;
        self.end_as(&by, run, state).await?;
        let message = Some(format!("cancelled by {}", by.principal.name));
        Ok(RunOutcome { state: PipelineRunState::Cancelled, message, held: 0 })
    }

    /// Records that a run was cancelled and notifies its followers, unless its state is not `state` any more.
    async fn end_as(&self, caller: &Caller, run: &PipelineRun, state: PipelineRunState) -> Result<()> {
        let sealer = tracked_sealer(caller, run).await?;
        let (id, at_ms) = (run.id, caller.kernel.services.clock.wall_ms());
        let message = format!("cancelled by {}", caller.principal.name);
        let word = PipelineRunState::Cancelled.as_str().to_owned();
        let event = serde_json::json!(PipelineEvent::Ended {
            state: word,
            message: Some(message.clone()),
            hint: None,
            held: 0
        });
        caller
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    if table::get(tx, id).await?.state != state {
                        return Ok(());
                    }
                    let events = end_tracked(tx, id, &sealer, at_ms).await?;
                    step_runs::interrupt_running(tx, id, at_ms).await?;
                    table::add_event(tx, id, &event, at_ms).await?;
                    table::apply(tx, id, PipelineRunEvent::Cancel, Some(&message), at_ms).await?;
                    for event in events {
                        sealer.record(tx, event).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        self.events.notify_waiters();
        Ok(())
    }
}
