//! Permissions, roles, and the grants that give them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};
use crate::id::{PrincipalId, ProjectId, RunId};

#[cfg(test)]
mod tests;

/// What a route or use case requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read everything; request predictions of an endpoint.
    Read,
    /// Log, load data, run pipelines.
    Write,
    /// Approve a release, roll back.
    Approve,
    /// Change grants, tokens, settings and the clock.
    Manage,
}

impl Permission {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Approve => "approve",
            Self::Manage => "manage",
        }
    }

    /// The role with the fewest permissions that has it.
    pub fn lowest_role(self) -> Role {
        match self {
            Self::Read => Role::Viewer,
            Self::Write => Role::Contributor,
            Self::Approve => Role::Approver,
            Self::Manage => Role::Admin,
        }
    }
}

/// A bundle of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// `read`.
    Viewer,
    /// `read`, `write`.
    Contributor,
    /// `read`, `write`, `approve`.
    Approver,
    /// All four.
    Admin,
}

impl Role {
    /// Every role, the one with the fewest permissions first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Contributor, Self::Approver, Self::Admin];

    /// Whether the role includes `permission`.
    pub fn allows(self, permission: Permission) -> bool {
        let highest = match self {
            Self::Viewer => Permission::Read,
            Self::Contributor => Permission::Write,
            Self::Approver => Permission::Approve,
            Self::Admin => Permission::Manage,
        };
        permission <= highest
    }

    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Contributor => "contributor",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidArgument,
                format!("`{}` is not a role: expected viewer, contributor, approver or admin", text.escape_debug()),
            )
        })
    }
}

/// Where a role applies. A role on the server applies in every project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole server.
    Server,
    /// One project.
    Project(ProjectId),
}

impl Scope {
    /// Whether a role in this scope applies in `other`.
    pub fn covers(self, other: Self) -> bool {
        self == Self::Server || self == other
    }

    /// The project; `None` for the server.
    pub fn project(self) -> Option<ProjectId> {
        match self {
            Self::Server => None,
            Self::Project(id) => Some(id),
        }
    }
}

impl From<Option<ProjectId>> for Scope {
    /// `None` is the server.
    fn from(project: Option<ProjectId>) -> Self {
        project.map_or(Self::Server, Self::Project)
    }
}

/// The grants of a principal: any number of roles, each in a scope. A permission is held when at least one of them
/// gives it, so a further grant never takes a permission away. Grants of any origin are united the same way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(BTreeSet<(Scope, Role)>);

impl Grants {
    /// One role in one scope.
    pub fn one(scope: Scope, role: Role) -> Self {
        Self(BTreeSet::from([(scope, role)]))
    }

    /// Whether one of the grants gives `permission` in `scope`.
    pub fn allow(&self, permission: Permission, scope: Scope) -> bool {
        self.roles_in(scope).any(|role| role.allows(permission))
    }

    /// The highest role that applies in `scope`.
    pub fn highest_role(&self, scope: Scope) -> Option<Role> {
        self.roles_in(scope).max()
    }

    /// The projects in which `permission` is held.
    pub fn projects(&self, permission: Permission) -> ProjectSet {
        if self.allow(permission, Scope::Server) {
            return ProjectSet::All;
        }
        let allowing = self.0.iter().filter(|(_, role)| role.allows(permission));
        ProjectSet::Only(allowing.filter_map(|(scope, _)| scope.project()).collect())
    }

    /// The roles that apply in `project`, as grants on `project` alone: what a token of that project carries.
    #[must_use]
    pub fn limited_to(&self, project: ProjectId) -> Self {
        let scope = Scope::Project(project);
        self.roles_in(scope).map(|role| (scope, role)).collect()
    }

    /// Each grant, sorted by scope and role.
    pub fn iter(&self) -> impl Iterator<Item = (Scope, Role)> + '_ {
        self.0.iter().copied()
    }

    /// Whether the principal holds no grant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn roles_in(&self, scope: Scope) -> impl Iterator<Item = Role> + '_ {
        self.iter().filter(move |(held, _)| held.covers(scope)).map(|(_, role)| role)
    }
}

impl FromIterator<(Scope, Role)> for Grants {
    fn from_iter<I: IntoIterator<Item = (Scope, Role)>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}

/// A set of projects, to filter lists with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectSet {
    /// Every project, also those created later.
    All,
    /// These projects.
    Only(BTreeSet<ProjectId>),
}

/// The caller of a use case, with its grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its id.
    pub id: PrincipalId,
    /// Its name, as the ledger shows it.
    pub name: String,
    /// Its roles with their scopes.
    pub grants: Grants,
    /// The run of a step's token, which writes only that run, its child runs and their models.
    pub run: Option<RunId>,
}

impl Principal {
    /// Whether `permission` is granted in `scope`.
    pub fn may(&self, permission: Permission, scope: impl Into<Scope>) -> bool {
        self.grants.allow(permission, scope.into())
    }

    /// Returns PermissionDenied unless `permission` is granted in `scope`.
    pub fn require(&self, permission: Permission, scope: impl Into<Scope>) -> Result<()> {
        let scope = scope.into();
        if self.may(permission, scope) {
            return Ok(());
        }
        let (name, word) = (&self.name, permission.as_str());
        let role = permission.lowest_role().as_str();
        let on = if scope == Scope::Server { "" } else { " --on PROJECT" };
        let hint = format!(
            "the role {role} has it: an administrator grants it with `perennial principals grant {name} --role {role}{on}`"
        );
        Err(Error::new(ErrorCode::PermissionDenied, format!("`{name}` lacks the permission `{word}` here"))
            .with_hint(hint))
    }
}
