//! Refusals: a version that was rolled back or rejected is not released again until a person names it.

use perennial_core::Result;
use perennial_core::cause::Cause;
use perennial_core::entity::Decision;
use perennial_core::id::ProjectId;
use perennial_core::ledger::Chain;
use perennial_core::state::ApprovalRequestState;
use perennial_kernel::{Kernel, LedgerEvent, Recorder};
use perennial_store::{approval_requests, releases};
use serde_json::json;

use crate::releasing::Releasing;

/// Why a release is refused until a person names it: its version was rolled back, or its newest request was rejected.
pub(crate) async fn refusal_of(kernel: &Kernel, project: ProjectId, decision: &Decision) -> Result<Option<String>> {
    let mut reader = kernel.store().read().await?;
    let number = decision.number;
    if let Some(refusal) = releases::find_refusal(&mut reader, project, number).await? {
        let (endpoint, why) = (&refusal.endpoint, describe(&refusal.cause));
        return Ok(Some(format!("version {number} was rolled back at `{endpoint}`{why}")));
    }
    let latest = approval_requests::find_latest_of_release(&mut reader, project, &decision.release_digest).await?;
    let rejected = latest.filter(|latest| latest.state == ApprovalRequestState::Rejected);
    Ok(rejected.map(|rejected| {
        let by = rejected.closed_by.unwrap_or_default();
        format!("version {number} was rejected by {by}: {}", rejected.reason.unwrap_or_default())
    }))
}

/// Who or what rolled a version back, as the end of a sentence.
fn describe(cause: &Cause) -> String {
    match cause {
        Cause::Person { by, note: Some(note) } => format!(" by {by}: {note}"),
        Cause::Person { by, note: None } => format!(" by {by}"),
        Cause::RollbackRule { .. } => " by its rollback rule".to_owned(),
        _ => String::new(),
    }
}

/// Lifts the refusals of a version: a person names it again, with a reason.
pub(crate) async fn lift(releasing: &Releasing<'_>, decision: &Decision, reason: &str) -> Result<()> {
    let Releasing { caller, project, .. } = releasing;
    let at = project.now();
    let by = Recorder { actor: caller.principal.name.clone(), cause: caller.cause_text(), at };
    let (version, reason) = ((project.id, decision.number), reason.to_owned());
    let digest = decision.release_digest.clone();
    let write = caller.kernel.store().write(move |tx| {
        Box::pin(async move {
            releases::lift_refusals(tx, version, &by.actor, &reason, at.wall_ms).await?;
            let payload = json!({ "number": version.1, "reason": reason });
            let chain = Chain::Project(version.0);
            by.record(tx, LedgerEvent { chain, noun: "release", subject: digest, verb: "allow", payload }).await
        })
    });
    write.await
}
