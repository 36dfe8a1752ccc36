//! Projects: creating, submitting and validating the project file, the list.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use perennial_execution::column_check::{Unloaded, validate_columns};
use perennial_http::extract::{CurrentCaller, ProjectCaller};
use perennial_http::{Access, HttpError};
use perennial_projects::{ProjectRecord, ProjectState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{Items, at};
use crate::extract::Body;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes
        .operation::<__path_submit, _, _>(Access::Authenticated, submit)
        .operation::<__path_check, _, _>(Access::Authenticated, check)
        .operation::<__path_create, _, _>(Access::Server(Permission::Manage), create)
        .operation::<__path_list, _, _>(Access::Authenticated, list)
        .operation::<__path_get, _, _>(Access::Project(Permission::Read), get)
}

/// A project.
#[derive(Serialize, ToSchema)]
pub(super) struct Project {
    id: String,
    name: String,
    /// The MLflow experiment of its name.
    experiment_id: String,
    /// The goal in the project file.
    goal: Option<String>,
    /// The owners in the project file.
    owners: Vec<String>,
    /// Its timezone.
    timezone: String,
    /// Digest of the last submitted project file, with every file that it declares.
    file_digest: Option<String>,
    /// The last submitted project file.
    file: Option<String>,
    /// The time of its clock, when it is stepped.
    clock_at: Option<String>,
    created_at: String,
    /// Notes about the effects of this submission.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl Project {
    pub(super) fn new(record: ProjectRecord, project: &ProjectState) -> Self {
        let submission = project.find_submission();
        let declared = submission.as_ref().map(|submission| &submission.project.project);
        Self {
            id: record.id.to_string(),
            name: record.name.to_string(),
            experiment_id: record.experiment_id.to_string(),
            goal: declared.map(|declared| declared.goal.clone()).filter(|goal| !goal.is_empty()),
            owners: declared.map(|declared| declared.owners.clone()).unwrap_or_default(),
            timezone: submission
                .as_ref()
                .and_then(|submission| submission.zone.iana_name().map(str::to_owned))
                .unwrap_or_else(|| "UTC".to_owned()),
            file_digest: record.file_digest,
            file: submission.as_ref().map(|submission| submission.text.clone()),
            clock_at: project.clock.stepped_ms().map(at),
            created_at: at(record.created_ms),
            notes: Vec::new(),
        }
    }

    pub(super) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }
}

/// Submits the server's own project file
///
/// Reads `perennial.toml` in the server's own folder with every file that it declares, validates it, and applies it to
/// runs, triggers and monitors. An invalid file is answered with status 400 and `error.diagnostics`.
#[utoipa::path(post, path = "/api/v1/projects/submit", tag = "projects", responses((status = 200, body = Project)))]
async fn submit(
    State(state): State<ApiState>,
    CurrentCaller { caller }: CurrentCaller,
) -> Result<Json<Project>, HttpError> {
    let (project, notes) = state.app.projects.submit(&caller).await?;
    Ok(Json(Project::new(state.app.projects.record(&caller, &project).await?, &project).with_notes(notes)))
}

/// A project to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    /// Its name.
    name: String,
}

/// Creates a project
///
/// The project has no project file until a folder is submitted.
#[utoipa::path(post, path = "/api/v1/projects", tag = "projects", request_body = Create, responses((status = 200, body = Project)))]
async fn create(
    State(state): State<ApiState>,
    CurrentCaller { caller }: CurrentCaller,
    Body(body): Body<Create>,
) -> Result<Json<Project>, HttpError> {
    let name: ProjectName = body.name.parse()?;
    let project = state.app.projects.create(&caller, &name).await?;
    Ok(Json(Project::new(state.app.projects.record(&caller, &project).await?, &project)))
}

/// The project file to validate; without a text, the one in the server's own folder.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct Check {
    /// The project file.
    text: Option<String>,
    /// The declared files that exist, by path or glob as declared: the text of an SQL file, null for others.
    files: BTreeMap<String, Option<String>>,
    /// Whether the file is validated without the data of its project: columns that the data lacks may be added by the next load.
    by_itself: bool,
}

/// A valid project file.
#[derive(Serialize, ToSchema)]
struct Checked {
    /// The project's name.
    name: String,
    /// Digest of the file and of all files that it declares; absent when the file was given as text.
    digest: Option<String>,
    /// Its steps, by name.
    steps: Vec<String>,
    /// Its datasets, by name.
    datasets: Vec<String>,
}

/// Validates a project file
///
/// Runs and stores nothing. Mistakes are answered with status 400; `error.diagnostics` has file, line, column, offset, length,
/// the wrong words, message and suggestion of each.
#[utoipa::path(post, path = "/api/v1/check", tag = "projects", request_body = Check, responses((status = 200, body = Checked)))]
async fn check(
    State(state): State<ApiState>,
    CurrentCaller { caller }: CurrentCaller,
    Body(body): Body<Check>,
) -> Result<Json<Checked>, HttpError> {
    let (submission, is_whole) = match body.text {
        Some(text) => (state.app.projects.check_text(&caller, text, &body.files).await?, false),
        None => (state.app.projects.check(&caller).await?, true),
    };
    if !body.by_itself {
        // A client's files are in the client's folder.
        let unloaded = if is_whole { Unloaded::Files } else { Unloaded::Unknown };
        validate_columns(&caller, &submission, unloaded).await?;
    }
    let project = &submission.project;
    Ok(Json(Checked {
        name: project.project.name.to_string(),
        digest: is_whole.then(|| submission.digest.clone()),
        steps: project.steps.keys().map(ToString::to_string).collect(),
        datasets: project.datasets.keys().map(ToString::to_string).collect(),
    }))
}

/// Lists the projects the caller may read
#[utoipa::path(get, path = "/api/v1/projects", tag = "projects", responses((status = 200, body = Items<Project>)))]
async fn list(
    State(state): State<ApiState>,
    CurrentCaller { caller }: CurrentCaller,
) -> Result<Json<Items<Project>>, HttpError> {
    let mut items = Vec::new();
    for record in state.app.projects.list(&caller).await? {
        let project = state.app.projects.get(record.id).await?;
        items.push(Project { file: None, ..Project::new(record, &project) });
    }
    Ok(Json(Items::all(items)))
}

/// Gets a project
#[utoipa::path(get, path = "/api/v1/projects/{project}", tag = "projects", params(("project" = String, Path)), responses((status = 200, body = Project)))]
async fn get(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
) -> Result<Json<Project>, HttpError> {
    Ok(Json(Project::new(state.app.projects.record(&caller, &project).await?, &project)))
}
