//! Releases, the requests for their approval, and the refusals that follow a rollback.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cause::Cause;
use crate::id::{ApprovalId, ApprovalRequestId, DecisionId, ModelId, PrincipalId, ProjectId};
use crate::name::EndpointName;
use crate::permission::Role;
use crate::rule::Verdict;
use crate::state::ApprovalRequestState;

/// The digest that binds model, data, code, environment and configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// The project.
    pub project_id: ProjectId,
    /// The digest, hex.
    pub digest: String,
    /// The registered model.
    pub model_id: ModelId,
    /// The model version's number.
    pub number: i64,
    /// The bound contents, JSON.
    pub body: Value,
    /// Head of the project's ledger chain when it was created.
    pub ledger_head: String,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}

impl Release {
    /// The digest of the submitted content that it binds: project file, SQL, code.
    pub fn content_digest(&self) -> Option<&str> {
        self.body.get("code")?.as_str()
    }
}

/// A passed Decision whose release waits for approvals, and how that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalRequest {
    /// Its id.
    pub id: ApprovalRequestId,
    /// The project.
    pub project_id: ProjectId,
    /// The Decision.
    pub decision_id: DecisionId,
    /// The release.
    pub release_digest: String,
    /// The model version's number.
    pub number: i64,
    /// The roles that must approve.
    pub roles: Vec<Role>,
    /// Cause of the release.
    pub cause: Cause,
    /// The name of the principal whose release it is.
    pub requested_by: String,
    /// Its state.
    pub state: ApprovalRequestState,
    /// The name of the principal who gave the last approval or rejected the release.
    pub closed_by: Option<String>,
    /// Why it was rejected, replaced or failed; of a released one, what the release did.
    pub reason: Option<String>,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
    /// Wall clock of the last change of its state.
    pub closed_ms: Option<i64>,
}

impl ApprovalRequest {
    /// The roles that have not approved yet, in the declared order.
    pub fn missing(&self, given: &[Approval]) -> Vec<Role> {
        let is_given = |role: &Role| given.iter().any(|approval| approval.role == *role);
        self.roles.iter().copied().filter(|role| !is_given(role)).collect()
    }
}

/// The progress of a release. It is written into the last event of a pipeline run and into responses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseOutcome {
    /// The verdict of the gates; `None` when the candidate is the champion already.
    pub verdict: Option<Verdict>,
    /// The candidate's number.
    pub version: Option<i64>,
    /// The release; `None` without a Decision.
    pub digest: Option<String>,
    /// Whether the version is the champion at every endpoint of the project.
    pub released: bool,
    /// What the release waits for: `approval:<role>`, `canary:<endpoint>`, or `release` while an approved one continues.
    pub waiting_for: Vec<String>,
    /// Why the version is not released and waits for nothing, a sentence each.
    pub reasons: Vec<String>,
}

/// A person's consent to a release.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The project.
    pub project_id: ProjectId,
    /// The request that it answers; `None` for approvals of versions before requests were stored, which count no more.
    pub request_id: Option<ApprovalRequestId>,
    /// The release.
    pub release_digest: String,
    /// The role in which consent was given.
    pub role: Role,
    /// The principal who gave it.
    pub principal_id: PrincipalId,
    /// Their comment.
    pub note: Option<String>,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}

/// A version that was rolled back: it is not released again until a person lifts the refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The project.
    pub project_id: ProjectId,
    /// The endpoint of the rollback.
    pub endpoint: EndpointName,
    /// The release.
    pub release_digest: String,
    /// The model version's number.
    pub number: i64,
    /// Cause of the rollback.
    pub cause: Cause,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}
