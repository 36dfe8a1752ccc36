//! The progress of a release, from its records.

use perennial_core::Result;
use perennial_core::entity::{Decision, Endpoint, ReleaseOutcome};
use perennial_core::id::ProjectId;
use perennial_core::rule::Verdict;
use perennial_core::state::{ApprovalRequestState, CanaryState};
use perennial_kernel::Kernel;
use perennial_store::{Conn, approval_requests, endpoints};

use crate::decisions::gate_reasons;
use crate::refusals::refusal_of;

/// The progress of the release of a Decision.
pub(crate) async fn outcome(kernel: &Kernel, project: ProjectId, decision: &Decision) -> Result<ReleaseOutcome> {
    let (number, digest) = (decision.number, &decision.release_digest);
    let mut reader = kernel.store().read().await?;
    let mut following = endpoints::list(&mut reader, project).await?;
    following.retain(|endpoint| !endpoint.is_retired() && endpoint.model_id == decision.model_id);
    let released = !following.is_empty() && following.iter().all(|endpoint| endpoint.champion_number == Some(number));
    let outcome = ReleaseOutcome {
        verdict: Some(decision.verdict),
        version: Some(number),
        digest: Some(digest.clone()),
        released,
        ..ReleaseOutcome::default()
    };
    if released {
        return Ok(outcome);
    }
    if decision.verdict != Verdict::Pass {
        return Ok(ReleaseOutcome { reasons: gate_reasons(&decision.body), ..outcome });
    }
    following.retain(|endpoint| endpoint.canary_release_digest.as_ref() == Some(digest));
    let (waiting_for, mut reasons) = of_request(&mut reader, project, digest).await?;
    drop(reader);
    let with_canary = following.iter().filter(|endpoint| endpoint.has_active_canary());
    let waiting_for: Vec<String> =
        with_canary.map(|endpoint| format!("canary:{}", endpoint.name)).chain(waiting_for).collect();
    if !waiting_for.is_empty() {
        return Ok(ReleaseOutcome { waiting_for, ..outcome });
    }
    reasons.extend(following.iter().filter_map(ended_canary));
    reasons.extend(refusal_of(kernel, project, decision).await?);
    Ok(ReleaseOutcome { reasons, ..outcome })
}

/// What the latest request about a release waits for, or why it was closed.
async fn of_request(reader: &mut Conn, project: ProjectId, digest: &str) -> Result<(Vec<String>, Vec<String>)> {
    let Some(request) = approval_requests::find_latest_of_release(reader, project, digest).await? else {
        return Ok((Vec::new(), Vec::new()));
    };
    let waiting_for = match request.state {
        ApprovalRequestState::Waiting => {
            let missing = approval_requests::missing_roles(reader, &request).await?;
            missing.into_iter().map(|role| format!("approval:{}", role.as_str())).collect()
        }
        ApprovalRequestState::Approved => vec!["release".to_owned()],
        _ => Vec::new(),
    };
    let is_ended = matches!(request.state, ApprovalRequestState::Failed | ApprovalRequestState::Replaced);
    Ok((waiting_for, request.reason.filter(|_| is_ended).into_iter().collect()))
}

fn ended_canary(endpoint: &Endpoint) -> Option<String> {
    let words = match endpoint.canary_state? {
        CanaryState::RolledBack => "was rolled back",
        CanaryState::Replaced => "was replaced",
        CanaryState::Running | CanaryState::Waiting | CanaryState::Promoted => return None,
    };
    Some(format!("the canary at `{}` {words}", endpoint.name))
}
