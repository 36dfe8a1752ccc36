//! Loads: getting one, accepting or rejecting a held one.

use axum::Json;
use axum::extract::State;
use perennial_core::id::LoadId;
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use perennial_http::extract::{Path, ProjectCaller};
use perennial_http::{Access, HttpError};
use perennial_ingest::datasets;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::wire::{Done, at};
use crate::extract::Body;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes
        .operation::<__path_get, _, _>(Access::Project(Permission::Read), get)
        .operation::<__path_accept, _, _>(Access::Project(Permission::Approve), accept)
        .operation::<__path_reject, _, _>(Access::Project(Permission::Approve), reject)
}

/// One arrival of rows.
#[derive(Serialize, ToSchema)]
pub(super) struct Load {
    id: String,
    dataset: String,
    /// `file`, `batch`, `sql`, `stream`, `push`, `step` or `predictions`.
    origin: &'static str,
    origin_id: Option<String>,
    source_path: Option<String>,
    content_digest: Option<String>,
    size_bytes: Option<u64>,
    /// `staged`, `held`, `committing`, `committed`, `rejected`, `replaced` or `failed`.
    state: &'static str,
    arrived: u64,
    passing: u64,
    /// Rows that were added to the dataset; absent until the load is committed.
    entered: Option<u64>,
    set_aside: u64,
    /// Rows in quarantine, by reason.
    reasons: Value,
    message: Option<String>,
    replaces: Option<String>,
    replaced_by: Option<String>,
    /// Number of the dataset version that it created.
    number: Option<i64>,
    cause: Option<String>,
    wall_at: String,
    project_at: String,
    settled_at: Option<String>,
}

impl Load {
    pub(super) fn new(load: datasets::Load, dataset: String) -> Self {
        let source_path = (!load.files.is_empty()).then(|| load.paths().collect::<Vec<_>>().join("\n"));
        Self {
            id: load.id.to_string(),
            dataset,
            origin: load.origin.as_str(),
            origin_id: load.origin_id,
            source_path,
            content_digest: load.content_digest,
            size_bytes: load.size_bytes,
            state: load.state.as_str(),
            arrived: load.arrived,
            passing: load.passing,
            entered: load.number.map(|_| load.passing),
            set_aside: load.set_aside,
            reasons: load.reasons,
            message: load.message,
            replaces: load.replaces.map(|id| id.to_string()),
            replaced_by: load.replaced_by.map(|id| id.to_string()),
            number: load.number,
            cause: load.cause.map(|cause| cause.to_string()),
            wall_at: at(load.wall_ms),
            project_at: at(load.project_ms),
            settled_at: load.settled_ms.map(at),
        }
    }
}

/// Gets a load
#[utoipa::path(get, path = "/api/v1/projects/{project}/loads/{load}", tag = "loads", params(("project" = String, Path), ("load" = String, Path)), responses((status = 200, body = Load)))]
async fn get(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, LoadId)>,
) -> Result<Json<Load>, HttpError> {
    let load = datasets::load(&caller, &project, id).await?;
    let name = datasets::names(&caller, &project).await?.remove(&load.dataset_id).map(|name| name.to_string());
    Ok(Json(Load::new(load, name.unwrap_or_default())))
}

/// Which rows of a held load are committed.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct Accept {
    /// Whether all rows are committed, also those that failed a check; by default only the passing ones.
    all: bool,
}

/// Accepts a held load
///
/// Commits the passing rows of the load, or all of its rows.
#[utoipa::path(post, path = "/api/v1/projects/{project}/loads/{load}/accept", tag = "loads", params(("project" = String, Path), ("load" = String, Path)), request_body = Accept, responses((status = 200, body = Done)))]
async fn accept(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, LoadId)>,
    Body(body): Body<Accept>,
) -> Result<Json<Done>, HttpError> {
    let (load, made) = state.app.ingest.accept_load(&caller, &project, id, body.all).await?;
    let (dataset, version) = (&made.dataset.name, &made.version);
    let message = format!(
        "{} of {} rows of load `{id}` entered `{dataset}`: version {} has {} rows",
        load.passing, load.arrived, version.number, version.row_count
    );
    Ok(Json(Done { message }))
}

/// Rejects a held load
///
/// The file of the load is loaded again only when its content has changed.
#[utoipa::path(post, path = "/api/v1/projects/{project}/loads/{load}/reject", tag = "loads", params(("project" = String, Path), ("load" = String, Path)), responses((status = 200, body = Done)))]
async fn reject(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, LoadId)>,
) -> Result<Json<Done>, HttpError> {
    let (load, dataset) = state.app.ingest.reject_load(&caller, &project, id).await?;
    let paths: Vec<&str> = load.paths().collect();
    let from = if paths.is_empty() { String::new() } else { format!(" from {}", paths.join(", ")) };
    let message = format!(
        "load `{id}`{from} is discarded: none of its {} rows enters `{}` unless the file changes",
        load.arrived, dataset.name
    );
    Ok(Json(Done { message }))
}
