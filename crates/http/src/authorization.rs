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
    /// A permission on the project of the endpoint that `{endpoint}` in the path names, with `{project}` if the path has it.
    Endpoint(Permission),
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Authenticated => f.write_str("any token"),
            Self::Server(permission) => write!(f, "{} on the server", permission.as_str()),
            Self::Project(permission) => write!(f, "{} on the project", permission.as_str()),
            Self::Endpoint(permission) => write!(f, "{} on the endpoint's project", permission.as_str()),
        }
    }
}

/// The project that the path names, resolved during authorization; an extension of the request.
#[derive(Clone)]
pub struct ResolvedProject(
    /// The project.
    pub Arc<ProjectState>,
);

/// The endpoint that the path names, resolved during authorization; an extension of the request.
#[derive(Debug, Clone)]
pub struct ResolvedEndpoint {
    /// Its project.
    pub project: ProjectId,
    /// Its name in the project.
    pub name: String,
    /// The name that the client used.
    pub asked: String,
}

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
            let endpoint = resolve_endpoint(perimeter, parts, principal).await?;
            principal.require(permission, Some(endpoint.project))?;
            parts.extensions.insert(endpoint);
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

/// The endpoint that the path names, whether or not its model is loaded: by its name where that is unique among the
/// projects that the caller may read, by `project.name`, or below `/projects/{project}`. `NotFound` when the caller lacks
/// read access, so that names do not leak.
async fn resolve_endpoint(perimeter: &Perimeter, parts: &mut Parts, principal: &Principal) -> Result<ResolvedEndpoint> {
    let asked = path_param(parts, "endpoint").await?;
    let (project, name) = match (find_path_param(parts, "project").await?, asked.rsplit_once('.')) {
        (Some(project), _) => (Some(project), asked.clone()),
        (None, Some((project, name))) => (Some(project.to_owned()), name.to_owned()),
        (None, None) => (None, asked.clone()),
    };
    let mut projects = perimeter.app().endpoints.projects_of(&name).await?;
    projects.retain(|found| {
        let is_named = project.as_ref().is_none_or(|project| found.name.as_str() == project);
        is_named && principal.may(Permission::Read, Some(found.id))
    });
    match projects.as_slice() {
        [] => Err(deployments::missing(&asked)),
        [only] => Ok(ResolvedEndpoint { project: only.id, name, asked }),
        several => Err(deployments::ambiguous(&name, several)),
    }
}

async fn path_param(parts: &mut Parts, name: &str) -> Result<String> {
    find_path_param(parts, name).await?.ok_or_else(|| {
        Error::internal(format!("the path of the route has no `{{{name}}}`"), "the route is declared wrongly")
    })
}

async fn find_path_param(parts: &mut Parts, name: &str) -> Result<Option<String>> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|rejection| Error::new(ErrorCode::InvalidArgument, rejection.to_string()))?;
    Ok(params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()))
}
