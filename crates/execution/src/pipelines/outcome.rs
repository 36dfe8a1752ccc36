//! How a pipeline run ended.

use perennial_core::Result;
use perennial_core::entity::{Load, PipelineRun, ReleaseOutcome};
use perennial_core::state::{PipelineRunEvent, PipelineRunState};
use perennial_kernel::{Caller, access};
use perennial_store::{pipeline_runs, step_runs};

use super::event::PipelineEvent;
use super::recover::{end_tracked, tracked_sealer};
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
    /// The progress of its candidate's release; `None` without a candidate.
    pub release: Option<ReleaseOutcome>,
}

/// How the end of a run is recorded.
pub(super) struct Ending {
    pub(super) event: PipelineRunEvent,
    pub(super) state: PipelineRunState,
    pub(super) message: Option<String>,
    pub(super) hint: Option<String>,
    pub(super) held: usize,
    pub(super) release: Option<ReleaseOutcome>,
}

impl Execution {
    /// Records the outcome of a run and notifies its followers.
    pub(super) async fn end(
        &self,
        caller: &Caller,
        run: &PipelineRun,
        result: Result<RunOutcome>,
    ) -> Result<RunOutcome> {
        let ending = match &result {
            Ok(finished) => {
                let event = match finished.state {
                    PipelineRunState::NothingToDo => PipelineRunEvent::Idle,
                    _ => PipelineRunEvent::Succeed,
                };
                let hint = "repair their files, or decide on the loads that `perennial data show DATASET` lists: `perennial data accept LOAD` or `perennial data reject LOAD`";
                Ending {
                    event,
                    state: finished.state,
                    message: finished.message.clone(),
                    hint: (finished.held > 0).then(|| hint.to_owned()),
                    held: finished.held,
                    release: finished.release.clone(),
                }
            }
            Err(error) => Ending {
                event: PipelineRunEvent::Fail,
                state: PipelineRunState::Failed,
                message: Some(error.message().to_owned()),
                hint: error.hint().map(str::to_owned),
                held: 0,
                release: None,
            },
        };
        self.close(caller, run, ending, None).await?;
        result
    }

    /// Ends a run and everything below it in one transaction, and notifies its followers: attempts that are still running
    /// become interrupted, their tracked runs are killed, the tokens of their steps are revoked. With `expected`, nothing
    /// happens when the state of the run has become another.
    pub(super) async fn close(
        &self,
        caller: &Caller,
        run: &PipelineRun,
        ending: Ending,
        expected: Option<PipelineRunState>,
    ) -> Result<()> {
        let sealer = tracked_sealer(caller, run).await?;
        let (id, at_ms) = (run.id, caller.kernel.services.clock.wall_ms());
        let Ending { event, state, message, hint, held, release } = ending;
        let ended = serde_json::json!(PipelineEvent::Ended {
            state: state.as_str().to_owned(),
            message: message.clone(),
            hint,
            held,
            release
        });
        caller
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(expected) = expected
                        && pipeline_runs::get(tx, id).await?.state != expected
                    {
                        return Ok(());
                    }
                    let recorded = end_tracked(tx, id, &sealer, at_ms).await?;
                    step_runs::interrupt_running(tx, id, at_ms).await?;
                    pipeline_runs::add_event(tx, id, &ended, at_ms).await?;
                    pipeline_runs::apply(tx, id, event, message.as_deref(), at_ms).await?;
                    for event in recorded {
                        sealer.record(tx, event).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        access::forget_cached_principals();
        self.events.notify_waiters();
        Ok(())
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
