//! Grants: a role of a principal, on the server, a project, or one object in it.

use crate::id::{GrantId, PrincipalId, ProjectId};
use crate::permission::{Role, Scope};
use crate::text_enum::text_enum;

text_enum! {
    /// The kind of a grant's scope, as it is stored. A team can become a further kind.
    GrantScopeKind, "grant scope" {
        /// The whole server.
        Server = "server",
        /// One project.
        Project = "project",
        /// One experiment.
        Experiment = "experiment",
        /// One registered model.
        Model = "model",
        /// One endpoint.
        Endpoint = "endpoint",
    }
}

text_enum! {
    /// The origin of a grant. Each origin adds and removes its own grants only; a principal's permissions are the union.
    GrantOrigin, "grant origin" {
        /// Granted by an administrator.
        Direct = "direct",
        /// Derived from the groups of an identity provider, and replaced as a whole when they change.
        Directory = "directory",
    }
}

/// Where a grant applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantScope {
    /// The whole server or a whole project.
    Whole(Scope),
    /// One object of a project. Gives no permission on the project as a whole.
    Object {
        /// The project.
        project_id: ProjectId,
        /// The kind of the object.
        kind: GrantScopeKind,
        /// Its identity: experiment id, model id or endpoint name.
        id: String,
    },
}

impl GrantScope {
    /// The project of the scope; `None` for the server.
    pub fn project_id(&self) -> Option<ProjectId> {
        match self {
            Self::Whole(scope) => scope.project(),
            Self::Object { project_id, .. } => Some(*project_id),
        }
    }

    /// Its kind, as it is stored.
    pub fn kind(&self) -> GrantScopeKind {
        match self {
            Self::Whole(Scope::Server) => GrantScopeKind::Server,
            Self::Whole(Scope::Project(_)) => GrantScopeKind::Project,
            Self::Object { kind, .. } => *kind,
        }
    }

    /// The identity of the object; `None` for a whole project or server.
    pub fn object_id(&self) -> Option<&str> {
        match self {
            Self::Whole(_) => None,
            Self::Object { id, .. } => Some(id),
        }
    }

    /// The scope of three stored columns; `None` when they contradict each other.
    pub fn from_columns(kind: GrantScopeKind, project_id: Option<ProjectId>, id: Option<String>) -> Option<Self> {
        match (kind, project_id, id) {
            (GrantScopeKind::Server, None, None) => Some(Self::Whole(Scope::Server)),
            (GrantScopeKind::Project, Some(project), None) => Some(Self::Whole(Scope::Project(project))),
            (GrantScopeKind::Server | GrantScopeKind::Project, ..) => None,
            (kind, Some(project_id), Some(id)) => Some(Self::Object { project_id, kind, id }),
            _ => None,
        }
    }
}

/// A grant. A principal has any number of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The principal.
    pub principal_id: PrincipalId,
    /// The role.
    pub role: Role,
    /// Where the role applies.
    pub scope: GrantScope,
    /// Its origin.
    pub origin: GrantOrigin,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
}

impl Grant {
    /// The role with its scope, for a grant on the whole server or a whole project.
    pub fn whole(&self) -> Option<(Scope, Role)> {
        match self.scope {
            GrantScope::Whole(scope) => Some((scope, self.role)),
            GrantScope::Object { .. } => None,
        }
    }
}
