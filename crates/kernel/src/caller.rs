//! Who calls a use case.

use std::collections::BTreeMap;
use std::sync::Arc;

use perennial_core::Result;
use perennial_core::cause::ChangeCause;
use perennial_core::id::{PrincipalId, ProjectId};
use perennial_core::permission::{Grants, Permission, Principal, Role, Scope};

use crate::Kernel;

/// The names of the server's own machine, which no person can have.
pub(crate) const HOST_NAMES: [&str; 3] = ["host", "local", "perennial"];

/// The principal behind a call, on the kernel that the call acts on.
#[derive(Clone)]
pub struct Caller {
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// The principal.
    pub principal: Principal,
    /// The work that the call is part of, such as a pipeline run; recorded as the cause of its changes.
    pub cause: Option<ChangeCause>,
}

impl Caller {
    /// A caller without a cause of its own.
    pub fn new(kernel: Arc<Kernel>, principal: Principal) -> Self {
        Self { kernel, principal, cause: None }
    }

    /// The server itself with every permission, executing a task such as `clock`.
    pub fn system(kernel: Arc<Kernel>, task: &str) -> Self {
        let principal = Principal {
            id: PrincipalId::from(uuid::Uuid::nil()),
            name: "perennial".to_owned(),
            grants: Grants::one(Scope::Server, Role::Admin),
            run: None,
        };
        Self { kernel, principal, cause: Some(ChangeCause::Named(task.to_owned())) }
    }

    /// The text of the cause, for ledger entries.
    pub fn cause_text(&self) -> Option<String> {
        self.cause.as_ref().map(ToString::to_string)
    }

    /// Whether the caller is the server's own machine: the server itself, a command in its folder, or a local peer while
    /// authentication is off. No person can have these names.
    pub fn is_host(&self) -> bool {
        HOST_NAMES.contains(&self.principal.name.as_str())
    }

    /// Those of the counts whose projects the caller may read.
    pub fn readable_counts(&self, mut counts: BTreeMap<ProjectId, u64>) -> BTreeMap<ProjectId, u64> {
        counts.retain(|project, _| self.principal.may(Permission::Read, Some(*project)));
        counts
    }

    /// Refuses when the principal lacks `permission` on the project.
    pub fn require(&self, permission: Permission, project: ProjectId) -> Result<()> {
        self.principal.require(permission, Some(project))
    }
}
