//! Source grants: the URL prefixes below which the sources of a project may read.

use axum::Json;
use perennial_core::permission::Permission;
use perennial_http::extract::{ProjectCaller, Query};
use perennial_http::{Access, HttpError};
use perennial_projects::source_grants;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::wire::{Done, Items, at};
use crate::extract::Body;
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes
        .operation::<__path_list, _, _>(Access::Project(Permission::Read), list)
        .operation::<__path_allow, _, _>(Access::Project(Permission::Manage), allow)
        .operation::<__path_deny, _, _>(Access::Project(Permission::Manage), deny)
}

/// A URL prefix that a project was granted.
#[derive(Serialize, ToSchema)]
struct SourceGrant {
    /// The prefix, such as `s3://bucket/in/`.
    prefix: String,
    /// The name of the administrator who granted it.
    granted_by: String,
    created_at: String,
}

impl From<source_grants::SourceGrant> for SourceGrant {
    fn from(grant: source_grants::SourceGrant) -> Self {
        Self { prefix: grant.prefix.to_string(), granted_by: grant.granted_by, created_at: at(grant.created_ms) }
    }
}

/// A URL prefix.
#[derive(Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PrefixOf {
    /// The prefix, such as `s3://bucket/in/`.
    prefix: String,
}

/// Lists the URL prefixes that a project may read
#[utoipa::path(get, path = "/api/v1/projects/{project}/source-grants", tag = "access", params(("project" = String, Path)), responses((status = 200, body = Items<SourceGrant>)))]
async fn list(ProjectCaller { caller, project }: ProjectCaller) -> Result<Json<Items<SourceGrant>>, HttpError> {
    Ok(Json(Items::all(source_grants::list(&caller, &project).await?.into_iter().map(Into::into))))
}

/// Grants a project a URL prefix
///
/// Sources of the project may read there with the credentials of the server. Needs the permission `manage` on the server.
#[utoipa::path(post, path = "/api/v1/projects/{project}/source-grants", tag = "access", params(("project" = String, Path)), request_body = PrefixOf, responses((status = 200, body = Done)))]
async fn allow(
    ProjectCaller { caller, project }: ProjectCaller,
    Body(body): Body<PrefixOf>,
) -> Result<Json<Done>, HttpError> {
    let (grant, is_new) = source_grants::allow(&caller, &project, &body.prefix).await?;
    let verb = if is_new { "may read" } else { "could already read" };
    Ok(Json(Done { message: format!("sources of project `{}` {verb} below `{}`", project.name, grant.prefix) }))
}

/// Withdraws a URL prefix from a project
///
/// Rows that were loaded stay in the dataset. Needs the permission `manage` on the server.
#[utoipa::path(delete, path = "/api/v1/projects/{project}/source-grants", tag = "access", params(("project" = String, Path), PrefixOf), responses((status = 200, body = Done)))]
async fn deny(
    ProjectCaller { caller, project }: ProjectCaller,
    Query(query): Query<PrefixOf>,
) -> Result<Json<Done>, HttpError> {
    let prefix = source_grants::deny(&caller, &project, &query.prefix).await?;
    Ok(Json(Done { message: format!("sources of project `{}` may no longer read below `{prefix}`", project.name) }))
}
