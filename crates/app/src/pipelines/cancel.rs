//! Cancelling a pipeline run: a person stops it, and nothing goes on with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use perennial_core::Result;
use perennial_core::id::PipelineRunId;
use perennial_core::permission::Permission;
use perennial_core::state::{PipelineRunEvent, PipelineRunState};
use perennial_store::pipeline_runs::{PipelineKind, PipelineRun};
use perennial_store::{pipeline_runs as table, step_runs};
use tokio_util::sync::CancellationToken;

use super::told::Told;
use super::{Finished, end_tracked};
use crate::app::{Caller, wrong_state};
use crate::pipeline_runs;
use crate::project::ProjectState;
use crate::tracking::Seal;

/// How long one look for the end of a cancelled run takes at most.
const LOOK: Duration = Duration::from_millis(200);

/// The pipeline runs that are carried out here or wait for their turn.
#[derive(Default)]
pub(crate) struct Carried(Mutex<HashMap<PipelineRunId, Arc<Stop>>>);

/// Whether somebody wants a pipeline run to end.
#[derive(Default)]
pub(crate) struct Stop {
    wanted: CancellationToken,
    /// Who does.
    by: OnceLock<Caller>,
}

impl Stop {
    /// Until somebody cancels the run.
    pub(super) async fn wanted(&self) {
        self.wanted.cancelled().await;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.is_cancelled()
    }
}

/// A pipeline run that is carried out here, for as long as this lives.
pub(super) struct Turn {
    caller: Caller,
    id: PipelineRunId,
    pub(super) stop: Arc<Stop>,
}

impl Turn {
    pub(super) fn begin(caller: &Caller, id: PipelineRunId) -> Self {
        let stop = Arc::<Stop>::default();
        caller.app.carried.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, stop.clone());
        Self { caller: caller.clone(), id, stop }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.caller.app.carried.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Stops a pipeline run that is not over: its commands are ended, what they began leaves nothing, and what was done
/// stays. One that decides and releases by now comes to its own end. Gives the run as it ended.
pub async fn cancel(caller: &Caller, project: &Arc<ProjectState>, id: PipelineRunId) -> Result<PipelineRun> {
    let run = pipeline_runs::get(caller, project, id).await?;
    caller.require(if run.kind == PipelineKind::Release { Permission::Approve } else { Permission::Write }, project)?;
    if run.state.is_terminal() {
        return Err(wrong_state(format!("pipeline run `{id}` is over: it is {}", run.state.as_str())));
    }
    loop {
        let told = caller.app.told.notified();
        let carried = caller.app.carried.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let now = pipeline_runs::get(caller, project, id).await?;
        if now.state.is_terminal() {
            return Ok(now);
        }
        match carried {
            Some(stop) => {
                // The first who wants it is told of.
                let _ = stop.by.set(caller.clone());
                stop.wanted.cancel();
            }
            // Left behind by a server before this one, or about to begin here: then it is found at the next look.
            None => end_left(caller, &now).await?,
        }
        // Woken or not, it is looked at again.
        let _ = tokio::time::timeout(LOOK, told).await;
    }
}

/// Ends a run that nobody carries out, unless it begins here at this moment.
async fn end_left(caller: &Caller, run: &PipelineRun) -> Result<()> {
    let is_here = run.holder.as_deref() == Some(&caller.app.server.to_string());
    if run.state == PipelineRunState::Running && is_here {
        return Ok(());
    }
    end_as(caller, run, run.state).await
}

/// How a run ended that somebody cancelled.
pub(super) async fn ended(caller: &Caller, run: &PipelineRun, stop: &Stop) -> Result<Finished> {
    let by = stop.by.get().unwrap_or(caller);
    let by = Caller { cause: caller.cause.clone(), ..by.clone() };
    let state = pipeline_runs::state(&by, run.id).await?;
    end_as(&by, run, state).await?;
    let message = Some(format!("cancelled by {}", by.principal.name));
    Ok(Finished { state: PipelineRunState::Cancelled, message, decided: None, held: 0 })
}

/// Records that a run in a state was cancelled, and tells its followers; one that has moved on is left.
async fn end_as(caller: &Caller, run: &PipelineRun, state: PipelineRunState) -> Result<()> {
    let seal = Seal::new(caller, run.project_id).await?;
    let (id, at_ms) = (run.id, caller.app.services.clock.wall_ms());
    let message = format!("cancelled by {}", caller.principal.name);
    let word = PipelineRunState::Cancelled.as_str().to_owned();
    let told = serde_json::json!(Told::Ended { state: word, message: Some(message.clone()), hint: None, held: 0 });
    caller
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                if table::get(tx, id).await?.state != state {
                    return Ok(());
                }
                let owed = end_tracked(tx, id, &seal, at_ms).await?;
                step_runs::interrupt_running(tx, id, at_ms).await?;
                table::add_event(tx, id, &told, at_ms).await?;
                table::apply(tx, id, PipelineRunEvent::Cancel, Some(&message), at_ms).await?;
                for change in owed {
                    seal.record(tx, change).await?;
                }
                Ok(())
            })
        })
        .await?;
    caller.app.told.notify_waiters();
    Ok(())
}
