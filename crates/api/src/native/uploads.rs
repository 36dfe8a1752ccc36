//! Uploads of folders: the missing files, the files, the submission.

use axum::Json;
use axum::extract::Request;
use axum::extract::State;
use perennial_core::blob::BlobDigest;
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use perennial_http::extract::{Path, ProjectCaller};
use perennial_http::{Access, HttpError, body};
use perennial_projects::uploads;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::projects::Project;
use crate::extract::Body;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes
        .operation::<__path_missing, _, _>(Access::Project(Permission::Write), missing)
        .operation::<__path_put, _, _>(Access::Project(Permission::Write), put)
        .operation::<__path_submit, _, _>(Access::Project(Permission::Write), submit)
}

/// Digests of files: BLAKE3, 64 lowercase hexadecimal digits each.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Digests {
    /// At most 10,000.
    digests: Vec<String>,
}

/// Lists the files that must be uploaded
///
/// Returns the digests that are neither in the project's current folder nor uploaded since.
#[utoipa::path(post, path = "/api/v1/projects/{project}/files/missing", tag = "projects", params(("project" = String, Path)), request_body = Digests, responses((status = 200, body = Digests)))]
async fn missing(
    ProjectCaller { caller, project }: ProjectCaller,
    Body(body): Body<Digests>,
) -> Result<Json<Digests>, HttpError> {
    let asked = body.digests.iter().map(|digest| digest.parse()).collect::<Result<Vec<BlobDigest>, _>>()?;
    let missing = uploads::missing(&caller, &project, &asked).await?;
    Ok(Json(Digests { digests: missing.iter().map(ToString::to_string).collect() }))
}

/// An uploaded file.
#[derive(Serialize, ToSchema)]
struct Taken {
    /// Its size in bytes.
    size_bytes: u64,
}

/// Uploads a file
///
/// The body is the file, at most 16 GiB; its BLAKE3 digest must equal the name. The file is stored for the next submission.
#[utoipa::path(put, path = "/api/v1/projects/{project}/files/{digest}", tag = "projects", params(("project" = String, Path), ("digest" = String, Path)), request_body(content = String, content_type = "application/octet-stream"), responses((status = 200, body = Taken)))]
async fn put(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, digest)): Path<(ProjectName, BlobDigest)>,
    request: Request,
) -> Result<Json<Taken>, HttpError> {
    let incoming = std::pin::pin!(body::stream(request.into_body()));
    Ok(Json(Taken { size_bytes: uploads::put(&caller, &project, digest, incoming).await? }))
}

/// An uploaded folder.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Folder {
    /// Digest of its manifest, which is uploaded like the other files: the line `perennial manifest 1`, then a line
    /// `<digest> <bytes> <x or -> <path>` for each file.
    folder: String,
}

/// Submits a folder
///
/// The folder contains `perennial.toml`, every file that it declares, and the files of its relative sources. A valid folder
/// becomes the current submission: runs, triggers and monitors use it, and sources are read from it. Mistakes are answered with
/// status 400 and `error.diagnostics`, and change nothing.
#[utoipa::path(post, path = "/api/v1/projects/{project}/submit", tag = "projects", params(("project" = String, Path)), request_body = Folder, responses((status = 200, body = Project)))]
async fn submit(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Body(body): Body<Folder>,
) -> Result<Json<Project>, HttpError> {
    let notes = uploads::submit(&caller, &project, body.folder.parse()?).await?;
    Ok(Json(Project::new(state.app.projects.record(&caller, &project).await?, &project).with_notes(notes)))
}
