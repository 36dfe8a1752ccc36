//! The approvals that a release needs.
//!
//! A release acts with the rights of those who submitted its content: project file, SQL, code. Content has an approver when
//! a principal with the permission to approve submitted it, released it, or approved a release of it. Without one a release
//! ends at its passed Decision and waits, whatever started it.

use perennial_core::Result;
use perennial_core::entity::{Approval, Decision};
use perennial_core::permission::Role;
use perennial_execution::pipelines::Context;
use perennial_store::{projects, releases};

/// Whether the content that a pipeline run executes has an approver.
pub(crate) async fn has_approver(context: &Context) -> Result<bool> {
    let mut reader = context.caller.kernel.store().read().await?;
    let file = projects::get_file(&mut reader, context.project.id, &context.submission.digest).await?;
    Ok(file.approver.is_some())
}

/// The roles that must approve a release: those that `[release] approve` declares; where it declares none, an approver
/// for content without one.
fn required(declared: &[Role], has_approver: bool) -> Vec<Role> {
    if declared.is_empty() && !has_approver { vec![Role::Approver] } else { declared.to_vec() }
}

/// The message about the approvals that a passed Decision still needs; `None` when it has all of them.
pub(crate) async fn missing(context: &Context, decision: &Decision, has_approver: bool) -> Result<Option<String>> {
    let declared = context.submission.project.release.as_ref().map(|release| release.approve.as_slice());
    let mut reader = context.caller.kernel.store().read().await?;
    let given: Vec<Approval> =
        releases::list_approvals(&mut reader, context.project.id, &decision.release_digest).await?;
    let required = required(declared.unwrap_or_default(), has_approver || !given.is_empty());
    let is_missing = |role: &&Role| !given.iter().any(|approval| approval.role == **role);
    let missing: Vec<&str> = required.iter().filter(is_missing).map(|role| role.as_str()).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let why = if has_approver { "" } else { ", because no approver has submitted or released its content" };
    let (number, roles, short) = (decision.number, missing.join(", "), &decision.release_digest[..12]);
    Ok(Some(format!("version {number} needs approval from role {roles}{why}: `perennial releases approve {short}`")))
}
