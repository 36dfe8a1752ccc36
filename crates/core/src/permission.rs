//! Who may do what.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};
use crate::id::{PrincipalId, ProjectId, RunId};

/// What a route or use case asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read everything; request predictions of an endpoint.
    Read,
    /// Log, load, run.
    Write,
    /// Say yes to a release, roll back.
    Approve,
    /// Grants, tokens, settings, the clock.
    Manage,
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
    /// Every role, the one that may least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Contributor, Self::Approver, Self::Admin];

    /// Whether the bundle holds `permission`.
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

/// Who calls, and with which grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Their id.
    pub id: PrincipalId,
    /// Their name, as the ledger shows it.
    pub name: String,
    /// Roles by project; a role on `None` holds on the whole server.
    pub grants: Vec<(Option<ProjectId>, Role)>,
    /// A step's token writes only its own run, its children and their models.
    pub run: Option<RunId>,
}

impl Principal {
    /// Whether `permission` is granted on `project` (`None`: on the server).
    pub fn may(&self, permission: Permission, project: Option<ProjectId>) -> bool {
        self.grants.iter().any(|(scope, role)| (scope.is_none() || *scope == project) && role.allows(permission))
    }

    /// Refuses when `permission` is not granted on `project`.
    pub fn require(&self, permission: Permission, project: Option<ProjectId>) -> Result<()> {
        if self.may(permission, project) {
            return Ok(());
        }
        let word = match permission {
            Permission::Read => "read",
            Permission::Write => "write",
            Permission::Approve => "approve",
            Permission::Manage => "manage",
        };
        Err(Error::new(ErrorCode::PermissionDenied, format!("`{}` lacks the permission `{word}` here", self.name))
            .with_hint("ask an administrator of the project for a role that holds it"))
    }
}
