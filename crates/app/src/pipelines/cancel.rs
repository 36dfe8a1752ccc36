//! Cancelling a pipeline run: a person stops it, and nothing goes on with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
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

/// The pipeline runs that are carried out here.
#[derive(Default)]
pub(crate) struct Carried(Arc<Mutex<HashMap<PipelineRunId, CancellationToken>>>);

/// A pipeline run that is carried out here, for as long as this lives.
pub(super) struct Turn {
    carried: Arc<Mutex<HashMap<PipelineRunId, CancellationToken>>>,
    id: PipelineRunId,
    stop: CancellationToken,
}

impl Carried {
    pub(super) fn begin(&self, id: PipelineRunId) -> Turn {
        let stop = CancellationToken::new();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, stop.clone());
        Turn { carried: self.0.clone(), id, stop }
    }

    fn find(&self, id: PipelineRunId) -> Option<CancellationToken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

impl Turn {
    /// Until somebody cancels the run.
    pub(super) async fn cancelled(&self) {
        self.stop.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Stops a pipeline run that is not over: its commands are ended, what they began leaves nothing, and what was done
/// stays. Gives the run as it ended.
pub async fn cancel(caller: &Caller, project: &Arc<ProjectState>, id: PipelineRunId) -> Result<PipelineRun> {
    let run = pipeline_runs::get(caller, project, id).await?;
    caller.require(if run.kind == PipelineKind::Release { Permission::Approve } else { Permission::Write }, project)?;
    if run.state.is_terminal() {
        return Err(wrong_state(format!("pipeline run `{id}` is over: it is {}", run.state.as_str())));
    }
    let by = Caller { cause: Some(format!("cancelled by {}", caller.principal.name)), ..caller.clone() };
    // Whoever carries it out ends it.
    while let Some(stop) = caller.app.carried.find(id) {
        stop.cancel();
        let told = caller.app.told.notified();
        if pipeline_runs::get(caller, project, id).await?.state.is_terminal() {
            break;
        }
        // Woken or not, it is looked at again.
        let _ = tokio::time::timeout(LOOK, told).await;
    }
    let run = pipeline_runs::get(caller, project, id).await?;
    if !run.state.is_terminal() {
        // A server before this one left it behind.
        end(&by, &run).await?;
    }
    pipeline_runs::get(caller, project, id).await
}

/// Records that a run was cancelled, and tells its followers.
pub(super) async fn end(caller: &Caller, run: &PipelineRun) -> Result<Finished> {
    let seal = Seal::new(caller, run.project_id).await?;
    let (id, at_ms) = (run.id, caller.app.services.clock.wall_ms());
    let state = PipelineRunState::Cancelled;
    let message = "cancelled".to_owned();
    let told = Told::Ended { state: state.as_str().to_owned(), message: Some(message.clone()), hint: None, held: 0 };
    let told = serde_json::json!(told);
    caller
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let owed = end_tracked(tx, id, &seal, at_ms).await?;
                step_runs::interrupt_running(tx, id, at_ms).await?;
                table::add_event(tx, id, &told, at_ms).await?;
                table::apply(tx, id, PipelineRunEvent::Cancel, Some("cancelled"), at_ms).await?;
                for change in owed {
                    seal.record(tx, change).await?;
                }
                Ok(())
            })
        })
        .await?;
    caller.app.told.notify_waiters();
    Ok(Finished { state, message: Some(message), decided: None, held: 0 })
}
