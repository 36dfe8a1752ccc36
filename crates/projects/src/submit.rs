//! Making a submission the one that a project follows.

use std::sync::Arc;

use perennial_config::{Isolation, StepKind};
use perennial_core::entity::ProjectFile;
use perennial_core::id::ProjectId;
use perennial_core::ledger::Chain;
use perennial_core::permission::Permission;
use perennial_core::port::runner::isolation_required;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::{Caller, LedgerEvent, OrderedGuard, Recorder};
use perennial_store::{Tx, projects as table};
use serde_json::{Value, json};

use crate::source_grants;
use crate::state::{ProjectState, Stored};
use crate::submission::Submission;
use crate::uploads::DeleteReplacedUploads;

/// Makes a submission the one that runs, triggers and monitors follow, with the folder of its relative sources.
/// Endpoints follow it from the next release on. Returns a sentence for each change that may surprise.
///
/// It is compared with the stored submission while the project's lock of submissions is held, and replaces that one or
/// nothing.
pub(crate) async fn apply(
    caller: &Caller,
    project: &Arc<ProjectState>,
    submission: Arc<Submission>,
    _submitting: &OrderedGuard,
) -> Result<Vec<String>> {
    let Stored { file: replaced, submission: before } = Stored::load(&caller.kernel, project.id).await?;
    let approver = caller.principal.may(Permission::Approve, Some(project.id)).then(|| caller.principal.name.clone());
    let approves = approver.is_some() && replaced.as_ref().is_some_and(|file| file.approver.is_none());
    let replaced = replaced.map(|file| file.digest);
    authorize(caller, project, before.as_ref(), &submission)?;
    require_isolation(caller, &submission)?;
    let is_same = before.as_ref().is_some_and(|before| before.digest == submission.digest);
    let folder = before.as_ref().and_then(|before| before.folder);
    // The person at the server's own machine has its credentials anyway.
    let mut sources = if caller.is_host() { source_grants::urls(&submission.project) } else { Vec::new() };
    if !sources.is_empty() {
        sources = source_grants::ungranted(&mut *caller.kernel.store().read().await?, project.id, sources).await?;
    }
    if is_same && folder == submission.folder && !approves && sources.is_empty() {
        project.follow(submission);
        return Ok(Vec::new());
    }
    let notices = before.map(|before| submission.project.changed_for_loads(&before.project)).unwrap_or_default();
    let at = project.now();
    let actor = caller.principal.name.clone();
    let file = ProjectFile {
        project_id: project.id,
        digest: submission.digest.clone(),
        body: submission.body()?,
        submitted_ms: at.wall_ms,
        submitted_by: actor.clone(),
        approver,
    };
    let jobs = caller.kernel.jobs.clone();
    let replaces_folder = folder != submission.folder;
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                if table::get(tx, file.project_id).await?.file_digest != replaced {
                    return Err(changed_meanwhile());
                }
                table::submit_file(tx, &file).await?;
                if replaces_folder {
                    jobs.enqueue(tx, &DeleteReplacedUploads { project: file.project_id }).await?;
                }
                let recorder = Recorder { actor, cause: None, at };
                let mut events = source_grants::allow_sources(tx, file.project_id, &sources, &recorder).await?;
                if !is_same {
                    let payload = json!({ "digest": file.digest, "approver": file.approver });
                    events.push(content_event(file.project_id, &file.digest, "submit", payload));
                } else if approves {
                    events.push(approval_event(file.project_id, &file.digest, &recorder.actor));
                }
                recorder.record_all(tx, events).await
            })
        })
        .await?;
    project.follow(submission);
    Ok(notices)
}

/// Records a principal with the permission to approve as the approver of a submitted content, unless it has one. Returns
/// the event to record. What triggers release needs an approver.
pub async fn approve_content(
    tx: &mut Tx,
    project: ProjectId,
    digest: &str,
    approver: &str,
) -> Result<Option<LedgerEvent>> {
    let is_first = table::approve_file(tx, project, digest, approver).await?;
    Ok(is_first.then(|| approval_event(project, digest, approver)))
}

fn approval_event(project: ProjectId, digest: &str, approver: &str) -> LedgerEvent {
    content_event(project, digest, "approve", json!({ "digest": digest, "approver": approver }))
}

fn content_event(project: ProjectId, digest: &str, verb: &'static str, payload: Value) -> LedgerEvent {
    LedgerEvent { chain: Chain::Project(project), noun: "project_file", subject: digest.to_owned(), verb, payload }
}

fn changed_meanwhile() -> Error {
    Error::new(ErrorCode::WrongState, "another server submitted a project file meanwhile").with_hint("submit again")
}

/// Refuses a step without isolation, unless the administrator of the server allows it.
fn require_isolation(caller: &Caller, submission: &Submission) -> Result<()> {
    if caller.kernel.services.may_run_unisolated {
        return Ok(());
    }
    for (name, step) in &submission.project.steps {
        match &step.kind {
            StepKind::Run(run) if run.isolation == Isolation::None => return Err(isolation_required(name)),
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a submission that the caller may not make. A change of what is released, and when, needs the permission
/// to approve.
fn authorize(
    caller: &Caller,
    project: &ProjectState,
    before: Option<&Submission>,
    submission: &Submission,
) -> Result<()> {
    caller.require(Permission::Write, project.id)?;
    let changed = submission.project.changed_in_release(before.map(|before| &before.project));
    if changed.is_empty() {
        return Ok(());
    }
    let sections = changed.join(", ");
    caller.require(Permission::Approve, project.id).map_err(|refused| {
        Error::new(refused.code(), format!("{}: the project file changes {sections}", refused.message())).with_hint(
            format!("leave {sections} unchanged, or submit it with the token of an approver: `perennial run`"),
        )
    })
}
