//! Held work: files, steps and models during whose processing servers died, and durable jobs whose attempts have all failed.

use axum::Json;
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use perennial_http::extract::{Path, ProjectCaller};
use perennial_http::{Access, HttpError};
use perennial_kernel::held;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{Done, Items, at};
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes
        .operation::<__path_list, _, _>(Access::Project(Permission::Read), list)
        .operation::<__path_release, _, _>(Access::Project(Permission::Write), release)
        .operation::<__path_cancel, _, _>(Access::Project(Permission::Write), cancel)
}

/// Work that the server does not start again until a person releases it.
#[derive(Serialize, ToSchema)]
struct Held {
    id: String,
    /// `load`, `step`, `model` or `job`.
    kind: &'static str,
    /// What is held, in words.
    what: String,
    /// Why it is held.
    reason: String,
    /// When the last attempt began, or the job was held.
    since_at: String,
}

impl From<&held::Held> for Held {
    fn from(held: &held::Held) -> Self {
        Self {
            id: held.id(),
            kind: held.kind(),
            what: held.description(),
            reason: held.reason(),
            since_at: at(held.since_ms()),
        }
    }
}

/// Lists held work, oldest first
///
/// Files, steps and models that the server was processing when it died, twice; and jobs whose attempts have all failed.
#[utoipa::path(get, path = "/api/v1/projects/{project}/held", tag = "held work", params(("project" = String, Path)), responses((status = 200, body = Items<Held>)))]
async fn list(ProjectCaller { caller, project }: ProjectCaller) -> Result<Json<Items<Held>>, HttpError> {
    let held = held::list(&caller, project.id).await?;
    Ok(Json(Items::all(held.iter().map(Held::from))))
}

/// Releases held work: it is tried again
#[utoipa::path(post, path = "/api/v1/projects/{project}/held/{id}/release", tag = "held work", params(("project" = String, Path), ("id" = String, Path)), responses((status = 200, body = Done)))]
async fn release(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, String)>,
) -> Result<Json<Done>, HttpError> {
    let released = held::release(&caller, project.id, &id).await?;
    Ok(Json(Done { message: format!("{} is released: it will be tried again", released.description()) }))
}

/// Cancels a held job
#[utoipa::path(post, path = "/api/v1/projects/{project}/held/{id}/cancel", tag = "held work", params(("project" = String, Path), ("id" = String, Path)), responses((status = 200, body = Done)))]
async fn cancel(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, String)>,
) -> Result<Json<Done>, HttpError> {
    let cancelled = held::cancel(&caller, project.id, &id).await?;
    Ok(Json(Done { message: format!("{} is cancelled", cancelled.description()) }))
}
