//! What follows the last approval: a durable job continues the release as it was decided.

use std::sync::Arc;
use std::time::Duration;

use perennial_core::entity::ApprovalRequest;
use perennial_core::id::ApprovalRequestId;
use perennial_core::permission::Role;
use perennial_core::state::{ApprovalRequestEvent, ApprovalRequestState};
use perennial_core::{Error, ErrorCode, ErrorKind, Result};
use perennial_kernel::alerts::{self, AlertSubject};
use perennial_kernel::jobs::JobOutcome;
use perennial_kernel::{Caller, Recorder, wrong_state};
use perennial_projects::ProjectState;
use perennial_store::{approval_requests as table, decisions, evidence};
use serde_json::json;

use super::Endpoints;
use crate::approvals::{ContinueRelease, approve, close, names, short};
use crate::decisions::release_node;
use crate::refusals::refusal_of;
use crate::releasing::Releasing;

/// The name of the alert about an approved release that could not continue.
const FAILED: &str = "failed";
/// The interval at which the end of a continued release is polled.
const POLL: Duration = Duration::from_millis(200);
/// How long an approval waits for the release that it continues.
const CONTINUATION_LIMIT: Duration = Duration::from_secs(20);

impl Endpoints {
    /// Executes the job that continues an approved release. Done twice, the second has nothing to do.
    pub async fn continue_release(self: &Arc<Self>, job: ContinueRelease) -> Result<JobOutcome> {
        let request = table::get(&mut *self.kernel.store().read().await?, job.request).await?;
        if request.state != ApprovalRequestState::Approved {
            return Ok(JobOutcome::Done);
        }
        let project = self.projects.get(request.project_id).await?;
        let (change, reason) = match self.release_request(&project, &request).await {
            Ok(lines) => (ApprovalRequestEvent::Release, lines.join("; ")),
            Err(error) if is_transient(&error) => return Err(error),
            Err(error) => (ApprovalRequestEvent::Fail, error.chain()),
        };
        let at = project.now();
        let by = Recorder { actor: request.closed_by.clone().unwrap_or_default(), cause: None, at };
        let write = self.kernel.store().write(move |tx| {
            Box::pin(async move {
                let mut events = close(tx, &request, change, (None, Some(&reason)), at.wall_ms).await?;
                if change == ApprovalRequestEvent::Fail {
                    let about = (AlertSubject::Release(request.release_digest.clone()), FAILED, request.wall_ms);
                    let message = format!("version {} is approved, but it was not released: {reason}", request.number);
                    let alert = alerts::new(request.project_id, at, about, json!({}), message);
                    events.extend(alerts::fire_in(tx, &alert, Some(&release_node(&request.release_digest))).await?);
                }
                by.record_all(tx, events).await
            })
        });
        write.await?;
        self.continued.notify_waiters();
        Ok(JobOutcome::Done)
    }

    async fn release_request(
        self: &Arc<Self>,
        project: &Arc<ProjectState>,
        request: &ApprovalRequest,
    ) -> Result<Vec<String>> {
        let mut reader = self.kernel.store().read().await?;
        let decision = decisions::get(&mut reader, request.decision_id).await?;
        let evidence = evidence::get(&mut reader, decision.evidence_id).await?;
        drop(reader);
        if project.now().project_ms >= evidence.expires_project_ms {
            let message = format!("the evidence about version {} has expired", decision.number);
            return Err(Error::new(ErrorCode::Evidence, message).with_hint("`perennial release` evaluates it again"));
        }
        if let Some(refused) = refusal_of(&self.kernel, project.id, &decision).await? {
            return Err(wrong_state(refused));
        }
        let submission = project.submission_of(&self.kernel, &decision.body.content.code).await?;
        let mut caller = Caller::system(self.kernel.clone(), "approval");
        // The person who completed the approvals is the actor of what follows.
        caller.principal.name = request.closed_by.clone().unwrap_or(caller.principal.name);
        let releasing = Releasing {
            caller: &caller,
            project,
            submission: &submission,
            cause: &request.cause,
            has_approver: true,
            again: None,
        };
        // The endpoints follow the project file that was approved with the release.
        let mut lines = self.apply_declarations(&caller, project, &submission).await?;
        lines.extend(self.release_approved(&releasing, &decision).await?);
        Ok(lines)
    }

    /// [`approve`]; after the last approval it waits until the release has continued, 20 s at most. Returns what was done.
    ///
    /// # Errors
    /// Also if the approved release cannot continue.
    pub async fn approve(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        prefix: &str,
        role: Option<Role>,
        note: Option<String>,
    ) -> Result<String> {
        let given = approve(caller, project, prefix, role, note).await?;
        let (digest, role) = (short(&given.approval.release_digest), given.approval.role.as_str());
        if !given.missing.is_empty() {
            return Ok(format!("release {digest} is approved as {role}; it waits for role {}", names(&given.missing)));
        }
        let Some(ended) = self.wait_for_continuation(given.request).await? else {
            return Ok(format!("release {digest} is approved as {role}; it continues in the background"));
        };
        let reason = ended.reason.unwrap_or_default();
        match ended.state {
            ApprovalRequestState::Released => Ok(format!("release {digest} is approved as {role}: {reason}")),
            _ => Err(wrong_state(format!("release {digest} is approved, but it was not released: {reason}"))
                .with_hint("`perennial release` evaluates the candidate again")),
        }
    }

    /// The request of an approved release after it has continued; `None` when it still continues after 20 s.
    async fn wait_for_continuation(self: &Arc<Self>, request: ApprovalRequestId) -> Result<Option<ApprovalRequest>> {
        let ended = async {
            loop {
                let changed = self.continued.notified();
                let now = table::get(&mut *self.kernel.store().read().await?, request).await?;
                if !now.state.is_open() {
                    return Ok(Some(now));
                }
                // Notified or timed out, the request is read again.
                let _ = tokio::time::timeout(POLL, changed).await;
            }
        };
        tokio::time::timeout(CONTINUATION_LIMIT, ended).await.unwrap_or(Ok(None))
    }
}

/// Whether another attempt may succeed.
fn is_transient(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::DeadlineExceeded | ErrorKind::Internal)
}
