//! A pipeline run from its beginning to what follows from its result: execute, decide, promote.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use perennial_core::entity::{PipelineKind, PipelineRun, ReleaseOutcome};
use perennial_core::state::PipelineRunState;
use perennial_core::text::join_distinct;
use perennial_core::{Error, ErrorCode, Result};
use perennial_execution::Execution;
use perennial_execution::pipelines::{Activation, Context, Executed, PipelineEvent, RunOutcome};
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

use crate::decisions::{self, Decided};
use crate::outcome::outcome;
use crate::releasing::Releasing;
use crate::{Endpoints, approvals};

fn panicked() -> Error {
    Error::new(ErrorCode::Internal, "a fault of the server interrupted the run")
        .with_hint("the server's log has the details; report it with them")
}

/// Runs pipelines to their end.
pub struct PipelineRunner {
    execution: Arc<Execution>,
    endpoints: Arc<Endpoints>,
}

impl PipelineRunner {
    /// Runs pipelines by `execution` and releases to `endpoints`.
    pub fn new(execution: Arc<Execution>, endpoints: Arc<Endpoints>) -> Self {
        Self { execution, endpoints }
    }

    /// Runs a recorded pipeline run to its end, or until it is cancelled. One at a time a project; another waits.
    pub async fn run(&self, caller: &Caller, project: &Arc<ProjectState>, run: &PipelineRun) -> Result<RunOutcome> {
        self.run_or_resume(caller, project, run, false).await
    }

    /// Resumes a pipeline run that a server before this one left behind. A release whose project file has changed
    /// since then fails: nothing of it is promoted.
    pub async fn resume(&self, caller: &Caller, project: &Arc<ProjectState>, run: &PipelineRun) -> Result<RunOutcome> {
        self.run_or_resume(caller, project, run, true).await
    }

    async fn run_or_resume(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        run: &PipelineRun,
        resumes: bool,
    ) -> Result<RunOutcome> {
        let active = match self.execution.activate(caller, project, run, resumes).await? {
            Activation::Active(active) => active,
            Activation::Cancelled(outcome) => return Ok(outcome),
        };
        let executed = async {
            match active.execute().await? {
                Some(executed) => self.conclude(&executed).await.map(Some),
                None => Ok(None),
            }
        };
        // A panic ends the run as failed: otherwise it would stay running until the next start.
        let result = AssertUnwindSafe(executed).catch_unwind().await;
        active.end(result.unwrap_or_else(|_| Err(panicked()))).await
    }

    /// Decides over the candidate, releases it when asked to, and says how the run ended.
    async fn conclude(&self, executed: &Executed) -> Result<RunOutcome> {
        let Executed { context, collected, steps_run } = executed;
        let decided = if context.runs_all_steps() { decisions::decide(context).await? } else { None };
        let is_release = context.run.kind == PipelineKind::Release;
        let mut message = None;
        let mut acted = *steps_run > 0 || !collected.committed.is_empty();
        if let Some(decided) = &decided {
            acted |= decided.is_new;
            message = Some(decided.message.clone());
            if decided.is_new {
                let verdict = decided.verdict.map(|verdict| verdict.as_str().to_owned());
                context.emit(PipelineEvent::Decided { verdict, message: decided.message.clone() }).await;
            }
        } else if is_release {
            message = Some("the project file has no `[release]`, so nothing is released".to_owned());
        }
        let releases = is_release && collected.failed.is_empty();
        let lines = if releases { self.release(context, decided.as_ref()).await? } else { Vec::new() };
        if !lines.is_empty() {
            acted = true;
            let released = lines.join("; ");
            context.emit(PipelineEvent::Released { message: released.clone() }).await;
            message = Some(released);
        }
        if let Some((_, error)) = collected.failed.first() {
            let failed = join_distinct(collected.failed.iter().map(|(_, error)| error.message()), "; ");
            let nothing = if is_release { "; nothing was released" } else { "" };
            return Err(error.with_message(format!("{failed}{nothing}")));
        }
        let held = executed.held();
        if !held.is_empty() {
            message = Some(message.into_iter().chain(RunOutcome::held_lines(&held)).collect::<Vec<_>>().join("; "));
            acted |= !collected.held.is_empty();
        }
        let state = if acted { PipelineRunState::Succeeded } else { PipelineRunState::NothingToDo };
        let release = match &decided {
            Some(decided) => Some(release_outcome(context, decided).await?),
            None => None,
        };
        Ok(RunOutcome { state, message, held: held.len(), release })
    }

    /// Applies the endpoint declarations of the project file, and brings a passed candidate to them.
    async fn release(&self, context: &Context, decided: Option<&Decided>) -> Result<Vec<String>> {
        let Context { caller, project, submission, run, .. } = context;
        // Endpoints neither follow nor answer with content that no approver has let through.
        let has_approver = approvals::has_approver(&caller.kernel, project.id, &submission.digest).await?;
        let mut lines = Vec::new();
        if has_approver {
            lines = self.endpoints.apply_declarations(caller, project, submission).await?;
        }
        if let Some(decided) = decided {
            let again = run.options.again.as_deref();
            let releasing = Releasing { caller, project, submission, cause: &run.cause, has_approver, again };
            lines.extend(self.endpoints.release(&releasing, decided.decision.as_ref()).await?);
        }
        Ok(lines)
    }
}

/// The progress of the candidate's release. A candidate that is already the champion is released.
async fn release_outcome(context: &Context, decided: &Decided) -> Result<ReleaseOutcome> {
    match &decided.decision {
        Some(decision) => outcome(&context.caller.kernel, context.project.id, decision).await,
        None => Ok(ReleaseOutcome { version: Some(decided.number), released: true, ..ReleaseOutcome::default() }),
    }
}
