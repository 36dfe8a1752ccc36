//! Datasets: versions, loads, checks, profile, quarantine, queries.

use axum::Json;
use axum::response::Response;
use perennial_core::id::LoadId;
use perennial_core::name::{DatasetName, ProjectName};
use perennial_core::permission::Permission;
use perennial_core::port::data::{Mode, Severity};
use perennial_http::extract::{Path, ProjectCaller, Query};
use perennial_http::{Access, HttpError};
use perennial_ingest::datasets;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::loads::Load;
use super::wire::{Items, PageQuery, Rows, at, rows_answer, verdict};
use crate::extract::Body;
use crate::limits;
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let read = Access::Project(Permission::Read);
    routes
        .operation::<__path_list, _, _>(read, list)
        .operation::<__path_get, _, _>(read, get)
        .operation::<__path_versions, _, _>(read, versions)
        .operation::<__path_loads, _, _>(read, loads)
        .operation::<__path_checks, _, _>(read, checks)
        .operation::<__path_profile, _, _>(read, profile)
        .operation::<__path_quarantine, _, _>(read, quarantine)
        .operation::<__path_query, _, _>(read, query)
}

/// A dataset.
#[derive(Serialize, ToSchema)]
struct Dataset {
    id: String,
    name: String,
    /// `table` or `files`.
    kind: &'static str,
    /// `append`, `merge` or `replace`.
    mode: &'static str,
    key: Vec<String>,
    /// Its newest version.
    version: Option<Version>,
    created_at: String,
}

/// One state of a dataset.
#[derive(Serialize, ToSchema)]
struct Version {
    number: i64,
    /// The Delta version that holds it.
    delta_version: Option<i64>,
    rows: u64,
    size_bytes: u64,
    /// Digest of its content.
    digest: String,
    columns: Vec<Column>,
    /// `load` or `step_run`: what made it.
    origin_kind: &'static str,
    origin_id: String,
    wall_at: String,
    project_at: String,
}

/// A column of a dataset.
#[derive(Serialize, ToSchema)]
struct Column {
    name: String,
    class: String,
    is_nullable: bool,
}

impl From<datasets::DatasetVersion> for Version {
    fn from(version: datasets::DatasetVersion) -> Self {
        let columns = version.schema.fields.into_iter().map(|field| Column {
            name: field.name,
            class: field.class.to_string(),
            is_nullable: field.nullable,
        });
        Self {
            number: version.number,
            delta_version: version.delta_version,
            rows: version.row_count,
            size_bytes: version.size_bytes,
            digest: version.digest,
            columns: columns.collect(),
            origin_kind: version.origin_kind.as_str(),
            origin_id: version.origin_id,
            wall_at: at(version.wall_ms),
            project_at: at(version.project_ms),
        }
    }
}

impl From<(datasets::Dataset, Option<datasets::DatasetVersion>)> for Dataset {
    fn from((dataset, version): (datasets::Dataset, Option<datasets::DatasetVersion>)) -> Self {
        Self {
            id: dataset.id.to_string(),
            name: dataset.name.to_string(),
            kind: dataset.kind.as_str(),
            mode: match dataset.mode {
                Mode::Append => "append",
                Mode::Merge => "merge",
                Mode::Replace => "replace",
            },
            key: dataset.key_columns,
            version: version.map(Into::into),
            created_at: at(dataset.created_ms),
        }
    }
}

/// Lists datasets with their newest versions
#[utoipa::path(get, path = "/api/v1/projects/{project}/datasets", tag = "datasets", params(("project" = String, Path)), responses((status = 200, body = Items<Dataset>)))]
async fn list(ProjectCaller { caller, project }: ProjectCaller) -> Result<Json<Items<Dataset>>, HttpError> {
    let found = datasets::list(&caller, &project).await?;
    Ok(Json(Items::all(found.into_iter().map(Into::into))))
}

/// Gets a dataset with its newest version
#[utoipa::path(get, path = "/api/v1/projects/{project}/datasets/{dataset}", tag = "datasets", params(("project" = String, Path), ("dataset" = String, Path)), responses((status = 200, body = Dataset)))]
async fn get(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, name)): Path<(ProjectName, DatasetName)>,
) -> Result<Json<Dataset>, HttpError> {
    Ok(Json(datasets::get(&caller, &project, &name).await?.into()))
}

/// Lists versions of a dataset, newest first
#[utoipa::path(get, path = "/api/v1/projects/{project}/datasets/{dataset}/versions", tag = "datasets", params(("project" = String, Path), ("dataset" = String, Path), PageQuery), responses((status = 200, body = Items<Version>)))]
async fn versions(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, name)): Path<(ProjectName, DatasetName)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Items<Version>>, HttpError> {
    let before = page.after.as_deref().map(cursor).transpose()?;
    let found = datasets::versions(&caller, &project, &name, before, page.limit()).await?;
    Ok(Json(Items { items: found.items.into_iter().map(Into::into).collect(), next: found.next }))
}

/// A cursor that is a number.
pub(super) fn cursor(text: &str) -> Result<i64, perennial_core::Error> {
    let refused = || {
        perennial_core::Error::new(
            perennial_core::ErrorCode::InvalidArgument,
            format!("`{}` is not a page token of this list", text.escape_debug()),
        )
    };
    text.parse().map_err(|_| refused().with_hint("give back `next` of the page before as `after`"))
}

/// Lists loads of a dataset, newest first
#[utoipa::path(get, path = "/api/v1/projects/{project}/datasets/{dataset}/loads", tag = "datasets", params(("project" = String, Path), ("dataset" = String, Path), PageQuery), responses((status = 200, body = Items<Load>)))]
async fn loads(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, name)): Path<(ProjectName, DatasetName)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Items<Load>>, HttpError> {
    let found = datasets::loads(&caller, &project, &name, page.after.as_deref(), page.limit()).await?;
    let items = found.items.into_iter().map(|load| Load::new(load, name.to_string()));
    Ok(Json(Items { items: items.collect(), next: found.next }))
}

/// Check results of a load.
#[derive(Serialize, ToSchema)]
struct CheckedLoad {
    load: Load,
    results: Vec<CheckResult>,
}

/// The result of a check.
#[derive(Serialize, ToSchema)]
struct CheckResult {
    name: String,
    /// `error` or `warn`.
    severity: &'static str,
    /// `pass`, `fail` or `unknown`.
    verdict: &'static str,
    /// The result of the scan: counts, samples, values.
    answer: Value,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Newest {
    /// Maximum number of loads, the latest first, 1 to 100; default 10.
    loads: Option<u32>,
}

/// Lists check results of the newest loads of a dataset
#[utoipa::path(get, path = "/api/v1/projects/{project}/datasets/{dataset}/checks", tag = "datasets", params(("project" = String, Path), ("dataset" = String, Path), Newest), responses((status = 200, body = Items<CheckedLoad>)))]
async fn checks(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, name)): Path<(ProjectName, DatasetName)>,
    Query(newest): Query<Newest>,
) -> Result<Json<Items<CheckedLoad>>, HttpError> {
    let found = datasets::checks(&caller, &project, &name, newest.loads.unwrap_or(10).clamp(1, 100)).await?;
    let items = found.into_iter().map(|(load, results)| CheckedLoad {
        load: Load::new(load, name.to_string()),
        results: results
            .into_iter()
            .map(|result| CheckResult {
                name: result.name,
                severity: match result.severity {
                    Severity::Error => "error",
                    Severity::Warn => "warn",
                },
                verdict: verdict(result.verdict),
                answer: result.answer,
            })
            .collect(),
    });
    Ok(Json(Items::all(items)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfLoad {
    /// A load of the dataset; by default the latest committed one.
    load: Option<String>,
    /// Maximum number of rows.
    limit: Option<usize>,
}

impl OfLoad {
    fn load(&self) -> Result<Option<LoadId>, perennial_core::Error> {
        self.load.as_deref().map(str::parse).transpose()
    }
}

/// Statistics of the rows of a load.
#[derive(Serialize, ToSchema)]
struct Profile {
    load: Option<String>,
    /// One object per column: rows, nulls, distinct, min, max, mean, deviation, quantiles, top.
    columns: Value,
}

/// Gets the profile of a dataset's load
#[utoipa::path(get, path = "/api/v1/projects/{project}/datasets/{dataset}/profile", tag = "datasets", params(("project" = String, Path), ("dataset" = String, Path), OfLoad), responses((status = 200, body = Profile)))]
async fn profile(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, name)): Path<(ProjectName, DatasetName)>,
    Query(of): Query<OfLoad>,
) -> Result<Json<Profile>, HttpError> {
    let found = datasets::profile(&caller, &project, &name, of.load()?).await?;
    Ok(Json(match found {
        Some(profile) => Profile { load: Some(profile.load_id.to_string()), columns: profile.body },
        None => Profile { load: None, columns: Value::Array(Vec::new()) },
    }))
}

/// Lists the rows in quarantine, of the latest load first
#[utoipa::path(get, path = "/api/v1/projects/{project}/datasets/{dataset}/quarantine", tag = "datasets", params(("project" = String, Path), ("dataset" = String, Path), OfLoad), responses((status = 200, body = Rows)))]
async fn quarantine(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, name)): Path<(ProjectName, DatasetName)>,
    Query(of): Query<OfLoad>,
) -> Result<Json<Rows>, HttpError> {
    let limit = of.limit.unwrap_or(limits::PAGE_DEFAULT as usize);
    Ok(Json(datasets::quarantine(&caller, &project, &name, of.load()?, limit).await?.into()))
}

/// A query.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// One SELECT in DataFusion's dialect over the project's datasets.
    sql: String,
    /// Maximum number of rows, 1 to 10000; default 100.
    limit: Option<usize>,
}

/// Runs a query
///
/// Reads the latest version of each dataset.
#[utoipa::path(post, path = "/api/v1/projects/{project}/query", tag = "datasets", params(("project" = String, Path)), request_body = Ask, responses((status = 200, body = Rows)))]
async fn query(ProjectCaller { caller, project }: ProjectCaller, Body(ask): Body<Ask>) -> Result<Response, HttpError> {
    let limit = ask.limit.unwrap_or(limits::PAGE_DEFAULT as usize);
    Ok(rows_answer(datasets::query(&caller, &project, ask.sql, limit).await?).await?)
}
