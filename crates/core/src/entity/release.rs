//! Releases, their approvals, and the refusals that follow a rollback.

use serde_json::Value;

use crate::cause::Cause;
use crate::id::{ApprovalId, ModelId, PrincipalId, ProjectId};
use crate::name::EndpointName;
use crate::permission::Role;

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

/// A person's consent to a release.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The project.
    pub project_id: ProjectId,
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

/// A release that was rolled back: triggers may not release it again.
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
