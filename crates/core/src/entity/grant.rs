//! Grants: a role of a principal, on the server, a project, or one thing in it.

use crate::id::{GrantId, PrincipalId, ProjectId};
use crate::permission::Role;
use crate::text_enum::text_enum;

text_enum! {
    /// Kind of object that a grant is narrowed to.
    GrantScope, "grant scope" {
        /// One experiment.
        Experiment = "experiment",
        /// One registered model.
        Model = "model",
        /// One endpoint.
        Endpoint = "endpoint",
    }
}

/// A grant.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The principal.
    pub principal_id: PrincipalId,
    /// The project; `None` is the whole server.
    pub project_id: Option<ProjectId>,
    /// The role.
    pub role: Role,
    /// Kind of object it is narrowed to; `None` covers the whole project or server.
    pub scope_kind: Option<GrantScope>,
    /// Identity of that object: experiment id, model id or endpoint name.
    pub scope_id: Option<String>,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
}
