//! Making a submission the one that a project follows.

use std::sync::Arc;

use perennial_core::entity::ProjectFile;
use perennial_core::ledger::Chain;
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::{Caller, LedgerEvent, OrderedGuard, Recorder};
use perennial_store::projects as table;

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
    let replaced = replaced.map(|file| file.digest);
    authorize(caller, project, before.as_ref(), &submission)?;
    let is_same = before.as_ref().is_some_and(|before| before.digest == submission.digest);
    let folder = before.as_ref().and_then(|before| before.folder);
    if is_same && folder == submission.folder {
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
                if is_same {
                    return Ok(());
                }
                let payload = serde_json::json!({ "digest": file.digest });
                let event = LedgerEvent {
                    chain: Chain::Project(file.project_id),
                    noun: "project_file",
                    subject: file.digest.clone(),
                    verb: "submit",
                    payload,
                };
                Recorder { actor, cause: None, at }.record(tx, event).await
            })
        })
        .await?;
    project.follow(submission);
    Ok(notices)
}

fn changed_meanwhile() -> Error {
    Error::new(ErrorCode::WrongState, "another server submitted a project file meanwhile").with_hint("submit again")
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
