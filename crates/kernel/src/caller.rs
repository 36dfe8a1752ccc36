//! Who calls a use case.

use std::sync::Arc;

use perennial_core::Result;
use perennial_core::id::{PrincipalId, ProjectId};
use perennial_core::permission::{Permission, Principal, Role};

use crate::Kernel;

/// The principal behind a call, on the kernel that the call acts on.
#[derive(Clone)]
pub struct Caller {
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// The principal.
    pub principal: Principal,
    /// What the call is part of, such as a pipeline run or a trigger; stored as the cause in records.
    pub cause: Option<String>,
}

impl Caller {
    /// A caller without a cause of its own.
    pub fn new(kernel: Arc<Kernel>, principal: Principal) -> Self {
        Self { kernel, principal, cause: None }
    }

    /// The server itself, acting on clocks and triggers. It holds every permission.
    pub fn system(kernel: Arc<Kernel>, cause: impl Into<String>) -> Self {
        let principal = Principal {
            id: PrincipalId::from(uuid::Uuid::nil()),
            name: "perennial".to_owned(),
            grants: vec![(None, Role::Admin)],
            run: None,
        };
        Self { kernel, principal, cause: Some(cause.into()) }
    }

    /// Refuses when the principal lacks `permission` on the project.
    pub fn require(&self, permission: Permission, project: ProjectId) -> Result<()> {
        self.principal.require(permission, Some(project))
    }
}
