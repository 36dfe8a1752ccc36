//! Authorization: what a route requires of its caller.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use perennial_core::id::ProjectId;
use perennial_core::permission::{Permission, Principal};
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::access::own_run_only;
use perennial_projects::ProjectState;
use perennial_release::deployments;

use crate::authentication::Identity;
use crate::perimeter::Perimeter;

/// What a route requires of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the route is open to all.
    Public,
    /// Valid credentials; the use case requires the permission.
    Authenticated,
    /// A permission on the whole server.
    Server(Permission),
    /// A permission on the project that `{project}` in the path names.
    Project(Permission),
    /// A permission on the project of the endpoint that `{endpoint}` in the path names.
    Endpoint(Permission),
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |permission: &Permission| match permission {
            Permission::Read => "read",
            Permission::Write => "write",
            Permission::Approve => "approve",
            Permission::Manage => "manage",
        };
        match self {
            Self::Public => f.write_str("public"),
            Self::Authenticated => f.write_str("any token"),
            Self::Server(permission) => write!(f, "{} on the server", name(permission)),
            Self::Project(permission) => write!(f, "{} on the project", name(permission)),
            Self::Endpoint(permission) => write!(f, "{} on the endpoint's project", name(permission)),
        }
    }
}

/// The project that the path names, resolved during authorization; an extension of the request.
#[derive(Clone)]
pub struct ResolvedProject(
    /// The project.
    pub Arc<ProjectState>,
);

/// Refuses a caller that lacks what the route requires, and resolves the project that the path names.
pub(crate) async fn authorize(
    perimeter: &Perimeter,
    access: Access,
    identity: &Identity,
    parts: &mut Parts,
) -> Result<()> {
    let principal = &identity.principal;
    match access {
        Access::Public | Access::Authenticated => {}
        Access::Server(permission) => {
            own_run_only(principal, permission)?;
            principal.require(permission, None)?;
        }
        Access::Project(permission) => {
            let project = resolve_project(perimeter, parts, principal).await?;
            parts.extensions.insert(ResolvedProject(project.clone()));
            own_run_only(principal, permission)?;
            principal.require(permission, Some(project.id))?;
        }
        Access::Endpoint(permission) => {
            let project = resolve_endpoint(perimeter, parts, principal).await?;
            principal.require(permission, Some(project))?;
        }
    }
    Ok(())
}

/// The project that the path names. `NotFound` when the caller lacks read access, so that names do not leak.
async fn resolve_project(perimeter: &Perimeter, parts: &mut Parts, principal: &Principal) -> Result<Arc<ProjectState>> {
    let name = path_param(parts, "project").await?;
    let missing = || {
        Error::not_found("project", name.escape_debug()).with_hint("`perennial run` in the project's folder creates it")
    };
    let parsed = name.parse().map_err(|_| missing())?;
    let project = perimeter.app().projects.get_by_name(&parsed).await?;
    if principal.may(Permission::Read, Some(project.id)) { Ok(project) } else { Err(missing()) }
}

/// The project of the endpoint that the path names, whether or not its model is loaded. `NotFound` when the caller lacks
/// read access, so that names do not leak.
async fn resolve_endpoint(perimeter: &Perimeter, parts: &mut Parts, principal: &Principal) -> Result<ProjectId> {
    let name = path_param(parts, "endpoint").await?;
    let app = perimeter.app();
    let projects = match app.endpoints.router.find(&name) {
        Some(deployment) => vec![deployment.project.id],
        None => deployments::projects_with_champion(&app.kernel, &name).await?,
    };
    let readable = projects.into_iter().find(|project| principal.may(Permission::Read, Some(*project)));
    readable.ok_or_else(|| deployments::missing(&name))
}

async fn path_param(parts: &mut Parts, name: &str) -> Result<String> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|rejection| Error::new(ErrorCode::InvalidArgument, rejection.to_string()))?;
    let found = params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
    found.ok_or_else(|| {
        Error::internal(format!("the path of the route has no `{{{name}}}`"), "the route is declared wrongly")
    })
}
