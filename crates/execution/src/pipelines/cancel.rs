//! Cancelling a pipeline run.

use std::sync::Arc;
use std::time::Duration;

use perennial_core::Result;
use perennial_core::entity::{PipelineKind, PipelineRun};
use perennial_core::id::PipelineRunId;
use perennial_core::permission::Permission;
use perennial_core::state::{PipelineRunEvent, PipelineRunState};

use super::active_runs::Cancellation;
use super::outcome::{Ending, RunOutcome};
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
            // Read before `active`: a run that is running and not active here has no task any more.
            let now = pipeline_runs::get(caller, project, id).await?;
            if now.state.is_terminal() {
                return Ok(now);
            }
            let active = self.active.lock().get(&id).cloned();
            match active {
                Some(cancellation) => {
                    // The first caller is recorded.
                    let _ = cancellation.by.set(caller.clone());
                    cancellation.requested.cancel();
                }
                None => self.end_as(caller, &now, now.state).await?,
            }
            // Notified or timed out, the run is read again.
            let _ = tokio::time::timeout(POLL, changed).await;
        }
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
        Ok(RunOutcome { state: PipelineRunState::Cancelled, message, held: 0, release: None })
    }

    /// Records that a run was cancelled and notifies its followers, unless its state is not `state` any more.
    async fn end_as(&self, caller: &Caller, run: &PipelineRun, state: PipelineRunState) -> Result<()> {
        let ending = Ending {
            event: PipelineRunEvent::Cancel,
            state: PipelineRunState::Cancelled,
            message: Some(format!("cancelled by {}", caller.principal.name)),
            hint: None,
            held: 0,
            release: None,
        };
        self.close(caller, run, ending, Some(state)).await
    }
}
