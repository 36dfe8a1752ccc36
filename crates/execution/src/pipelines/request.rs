//! Requesting a pipeline run.

use std::sync::Arc;

use perennial_core::cause::Cause;
use perennial_core::entity::{PipelineKind, PipelineOptions, PipelineRun};
use perennial_core::id::PipelineRunId;
use perennial_core::name::StepName;
use perennial_core::permission::Permission;
use perennial_core::rule::did_you_mean;
use perennial_core::state::PipelineRunState;
use perennial_core::{Error, Result};
use perennial_kernel::{Caller, Recorder, first_few};
use perennial_projects::{ProjectState, Submission, approve_content};
use perennial_store::pipeline_runs;

/// Steps that a message names, at most.
const STEPS_NAMED_MAX: usize = 20;

/// Records a pipeline run as pending; `Execution::activate` begins it. A person who requests a release is an approver of the content
/// that it releases.
pub async fn request(
    caller: &Caller,
    project: &Arc<ProjectState>,
    kind: PipelineKind,
    cause: Cause,
    options: &PipelineOptions,
) -> Result<PipelineRun> {
    let run = pending(caller, project, kind, cause, options)?;
    let by = Recorder::new(caller, Some(project.id)).await?;
    let requested = run.clone();
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                pipeline_runs::insert(tx, &requested).await?;
                if !is_release_by_person(&requested) {
                    return Ok(());
                }
                let approved = approve_content(tx, requested.project_id, &requested.file_digest, &by.actor).await?;
                by.record_all(tx, approved.into_iter().collect()).await
            })
        })
        .await?;
    Ok(run)
}

/// Whether a person requested a release, which needs the permission to approve.
fn is_release_by_person(run: &PipelineRun) -> bool {
    run.kind == PipelineKind::Release && matches!(run.cause, Cause::Person { .. })
}

/// A pipeline run as it is asked for, not recorded yet.
pub fn pending(
    caller: &Caller,
    project: &ProjectState,
    kind: PipelineKind,
    cause: Cause,
    options: &PipelineOptions,
) -> Result<PipelineRun> {
    let permission = match kind {
        PipelineKind::Run => Permission::Write,
        PipelineKind::Release => Permission::Approve,
    };
    caller.require(permission, project.id)?;
    let submission = project.submission()?;
    new_run(project, &submission, kind, cause, options)
}

/// A pending pipeline run over the steps of `options`; an error names a step that the project file does not have.
pub(super) fn new_run(
    project: &ProjectState,
    submission: &Submission,
    kind: PipelineKind,
    cause: Cause,
    options: &PipelineOptions,
) -> Result<PipelineRun> {
    let is_known = |asked: &&StepName| submission.graph.steps().any(|step| step == *asked);
    if let Some(unknown) = options.steps.iter().find(|step| !is_known(step)) {
        return Err(Error::not_found("step", unknown).with_hint(known_steps(unknown, submission)));
    }
    let at = project.now();
    Ok(PipelineRun {
        id: PipelineRunId::generate(),
        project_id: project.id,
        kind,
        state: PipelineRunState::Pending,
        cause,
        file_digest: submission.digest.clone(),
        options: options.clone(),
        holder: None,
        message: None,
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
        started_ms: None,
        ended_ms: None,
    })
}

/// A hint for an unknown step: the nearest name, or the steps of the project file.
fn known_steps(unknown: &StepName, submission: &Submission) -> String {
    let known: Vec<&str> = submission.graph.steps().map(StepName::as_str).collect();
    if known.is_empty() {
        return "the project file has no steps".to_owned();
    }
    let all = || format!("the project file has {}", first_few(&known, STEPS_NAMED_MAX, ""));
    did_you_mean(unknown.as_str(), known.iter().copied()).unwrap_or_else(all)
}
