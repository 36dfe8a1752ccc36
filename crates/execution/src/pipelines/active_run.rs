//! A pipeline run that is executed here.

use std::sync::Arc;

use perennial_core::Result;
use perennial_core::cause::ChangeCause;
use perennial_core::entity::{PipelineKind, PipelineRun};
use perennial_core::state::{PipelineRunEvent, PipelineRunState};
use perennial_kernel::{Caller, OrderedGuard, wrong_state};
use perennial_projects::{ProjectState, Submission};
use perennial_store::pipeline_runs;

use super::active_runs::RunGuard;
use super::execute::{self, Executed};
use super::outcome::RunOutcome;
use crate::Execution;

/// A pipeline run that is executed here. Until it is dropped no other of the project runs, and it can be cancelled.
pub struct ActiveRun {
    execution: Arc<Execution>,
    caller: Caller,
    project: Arc<ProjectState>,
    run: PipelineRun,
    resumes: bool,
    guard: RunGuard,
    _running: OrderedGuard,
}

/// What became of a run that waited for its turn.
pub enum Activation {
    /// It is active.
    Active(Box<ActiveRun>),
    /// It was cancelled before, and ended like this.
    Cancelled(RunOutcome),
}

impl Execution {
    /// Waits until the project runs no other pipeline; then the run is active. `resumes` says that a server before
    /// this one left it behind.
    pub async fn activate(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        run: &PipelineRun,
        resumes: bool,
    ) -> Result<Activation> {
        let guard = RunGuard::new(&self.active, run.id);
        let caller = Caller { cause: Some(ChangeCause::PipelineRun(run.id)), ..caller.clone() };
        let running = self.running(project.id);
        let running = tokio::select! {
            biased;
            () = guard.cancellation.requested() => {
                let outcome = self.end_cancelled(&caller, run, &guard.cancellation).await?;
                return Ok(Activation::Cancelled(outcome));
            }
            running = running.lock() => running,
        };
        // Without the lease the run belongs to another server, which resumes it.
        caller.kernel.lease.require()?;
        let (execution, project, run) = (self.clone(), project.clone(), run.clone());
        let active = ActiveRun { execution, caller, project, run, resumes, guard, _running: running };
        Ok(Activation::Active(Box::new(active)))
    }
}

impl ActiveRun {
    /// Collects every source and brings every step up to date; `None` when the run was cancelled.
    pub async fn execute(&self) -> Result<Option<Executed>> {
        let submission = begin(&self.caller, &self.project, &self.run, self.resumes).await?;
        execute::execute(&self.execution, &self.caller, &self.project, &self.run, &self.guard.cancellation, submission)
            .await
    }

    /// Records how the run ended, from what followed from its result; `None` when it was cancelled.
    pub async fn end(self, result: Result<Option<RunOutcome>>) -> Result<RunOutcome> {
        match result.transpose() {
            None => self.execution.end_cancelled(&self.caller, &self.run, &self.guard.cancellation).await,
            Some(result) => self.execution.end(&self.caller, &self.run, result).await,
        }
    }
}

/// Marks a run as under way here; gives the project file it follows.
async fn begin(caller: &Caller, project: &ProjectState, run: &PipelineRun, resumes: bool) -> Result<Arc<Submission>> {
    let submission = project.submission_of(&caller.kernel, &run.file_digest).await?;
    let is_current = project.find_submission().is_none_or(|now| now.digest == submission.digest);
    if resumes && run.kind == PipelineKind::Release && !is_current {
        return Err(wrong_state(
            "the project file changed since this release was interrupted: nothing of it goes live",
        )
        .with_hint("`perennial release` releases by the file as it is now"));
    }
    let (id, server, at) = (run.id, caller.kernel.server.to_string(), project.now());
    let event =
        if run.state == PipelineRunState::Interrupted { PipelineRunEvent::Resume } else { PipelineRunEvent::Start };
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                pipeline_runs::set_holder(tx, id, Some(&server)).await?;
                pipeline_runs::apply(tx, id, event, None, at.wall_ms).await?;
                Ok(())
            })
        })
        .await?;
    Ok(submission)
}
