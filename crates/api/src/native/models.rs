//! Registered models and their versions.

use std::collections::BTreeMap;

use axum::Json;
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use perennial_http::extract::{Path, ProjectCaller};
use perennial_http::{Access, HttpError};
use perennial_release::models;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::releases::{Decision, Release};
use super::wire::{Items, at};
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let read = Access::Project(Permission::Read);
    routes.operation::<__path_list, _, _>(read, list).operation::<__path_get, _, _>(read, get)
}

/// A version of a registered model.
#[derive(Serialize, ToSchema)]
struct Version {
    /// The registered model.
    model: String,
    number: i64,
    aliases: Vec<String>,
    /// `PENDING_REGISTRATION`, `READY` or `FAILED_REGISTRATION`.
    state: &'static str,
    /// `onnx`, `sklearn`, …: how it is loaded.
    flavor: Option<String>,
    /// The task's metric in the latest Decision about the version.
    measures: BTreeMap<String, f64>,
    /// Start of the test window of the measures; measures of different windows cannot be compared.
    test_start_at: Option<String>,
    test_end_at: Option<String>,
    source: String,
    run_id: Option<String>,
    step_run_id: Option<String>,
    content_digest: Option<String>,
    /// Its inputs and outputs.
    signature: Option<Value>,
    description: Option<String>,
    user: String,
    wall_at: String,
    project_at: String,
}

impl Version {
    fn new(
        model: &str,
        aliases: Vec<String>,
        measured: Option<models::Measured>,
        version: models::ModelVersion,
    ) -> Self {
        Self {
            model: model.to_owned(),
            number: version.number,
            aliases,
            state: version.state.as_str(),
            flavor: version.flavor,
            test_start_at: measured.as_ref().map(|measured| at(measured.test.start_ms)),
            test_end_at: measured.as_ref().map(|measured| at(measured.test.end_ms)),
            measures: measured.into_iter().map(|measured| (measured.metric, measured.value)).collect(),
            source: version.source,
            run_id: version.run_id.map(|id| id.to_string()),
            step_run_id: version.step_run_id.map(|id| id.to_string()),
            content_digest: version.content_digest,
            signature: version.signature,
            description: version.description,
            user: version.user_id,
            wall_at: at(version.wall_ms),
            project_at: at(version.project_ms),
        }
    }
}

/// A version with its decisions and releases.
#[derive(Serialize, ToSchema)]
struct VersionDetails {
    version: Version,
    /// Newest first.
    decisions: Vec<Decision>,
    /// Newest first.
    releases: Vec<Release>,
}

/// Lists model versions, newest first
#[utoipa::path(get, path = "/api/v1/projects/{project}/models", tag = "models", params(("project" = String, Path)), responses((status = 200, body = Items<Version>)))]
async fn list(ProjectCaller { caller, project }: ProjectCaller) -> Result<Json<Items<Version>>, HttpError> {
    let found = models::list(&caller, &project).await?;
    let mut items = Vec::new();
    for model in found {
        for version in model.versions {
            let its = model.aliases.iter().filter(|alias| alias.number == version.number);
            let aliases = its.map(|alias| alias.alias.clone()).collect();
            let measure = models::measure(&caller, &project, &version).await?;
            items.push(Version::new(&model.model.name, aliases, measure, version));
        }
    }
    Ok(Json(Items::all(items)))
}

/// Gets a model version with its decisions and releases
#[utoipa::path(get, path = "/api/v1/projects/{project}/models/{model}/versions/{number}", tag = "models", params(("project" = String, Path), ("model" = String, Path), ("number" = i64, Path)), responses((status = 200, body = VersionDetails)))]
async fn get(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, model, number)): Path<(ProjectName, String, i64)>,
) -> Result<Json<VersionDetails>, HttpError> {
    let found = models::version(&caller, &project, &model, number).await?;
    let measure = models::measure(&caller, &project, &found.version).await?;
    Ok(Json(VersionDetails {
        version: Version::new(&model, found.aliases, measure, found.version),
        decisions: found.decisions.into_iter().map(Into::into).collect(),
        releases: found.releases.into_iter().map(Into::into).collect(),
    }))
}
