//! How a pipeline run ended.

use perennial_core::Result;
use perennial_core::entity::{Load, PipelineRun};
use perennial_core::state::{PipelineRunEvent, PipelineRunState};
use perennial_kernel::Caller;
use perennial_store::pipeline_runs;

use super::event::PipelineEvent;
use crate::Execution;

/// The most held loads that a run reports one by one.
const HELD_NAMED_MAX: usize = 5;

/// How a pipeline run ended.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    /// Its last state.
    pub state: PipelineRunState,
    /// One line, when there is something to say.
    pub message: Option<String>,
    /// The number of held loads that the run reports.
    pub held: usize,
}

impl Execution {
    /// Records the outcome of a run and notifies its followers.
    pub(super) async fn end(
        &self,
        caller: &Caller,
        run: &PipelineRun,
        result: Result<RunOutcome>,
    ) -> Result<RunOutcome> {
        let held = result.as_ref().map_or(0, |finished| finished.held);
        let (event, state, message, hint) = match &result {
            Ok(finished) => {
                let event = match finished.state {
                    PipelineRunState::NothingToDo => PipelineRunEvent::Idle,
                    _ => PipelineRunEvent::Succeed,
                };
                let hint = "repair their files, or decide on the loads that `perennial data show DATASET` lists: `perennial data accept LOAD` or `perennial data reject LOAD`";
                (event, finished.state, finished.message.clone(), (held > 0).then(|| hint.to_owned()))
            }
            Err(error) => {
                let (message, hint) = (error.message().to_owned(), error.hint().map(str::to_owned));
                (PipelineRunEvent::Fail, PipelineRunState::Failed, Some(message), hint)
            }
        };
        let (id, at_ms) = (run.id, caller.kernel.services.clock.wall_ms());
        let stored = serde_json::json!(PipelineEvent::Ended {
            state: state.as_str().to_owned(),
            message: message.clone(),
            hint,
            held
        });
        caller
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    pipeline_runs::add_event(tx, id, &stored, at_ms).await?;
                    pipeline_runs::apply(tx, id, event, message.as_deref(), at_ms).await?;
                    Ok(())
                })
            })
            .await?;
        self.events.notify_waiters();
        result
    }
}

impl RunOutcome {
    /// Why loads are held, a line for each of the newest.
    pub fn held_lines(held: &[&Load]) -> Vec<String> {
        let newest = held.iter().rev().take(HELD_NAMED_MAX).filter_map(|load| load.message.clone());
        let more = held.len().saturating_sub(HELD_NAMED_MAX);
        newest.chain((more > 0).then(|| format!("{more} more loads are held"))).collect()
    }
}
