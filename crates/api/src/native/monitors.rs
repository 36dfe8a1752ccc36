//! The results of monitors.

use std::collections::BTreeMap;

use axum::Json;
use perennial_core::name::{MonitorName, ProjectName};
use perennial_core::permission::Permission;
use perennial_http::extract::{Path, ProjectCaller, Query};
use perennial_http::{Access, HttpError};
use perennial_projects::ProjectState;
use perennial_watch::monitor_results;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::wire::{Items, PageQuery, at};
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let read = Access::Project(Permission::Read);
    routes.operation::<__path_list, _, _>(read, list).operation::<__path_get, _, _>(read, get)
}

/// The result of a monitor about one version in one window.
#[derive(Serialize, ToSchema)]
struct MonitorResult {
    monitor: String,
    window_start_ms: i64,
    window_start_at: String,
    window_end_at: String,
    /// The model version evaluated.
    number: i64,
    /// `inputs` (with scores) or `quality`.
    kind: &'static str,
    /// Revision, from 1: each further evaluation of the window adds one.
    revision: i64,
    /// Rows evaluated; absent when the facts do not contain it.
    rows: Option<u64>,
    /// Share of drifted features; absent when the facts do not contain it.
    drift_share: Option<f64>,
    /// The task's metric; empty until outcomes have arrived.
    measures: BTreeMap<String, f64>,
    /// The facts of the window.
    facts: Value,
    wall_at: String,
    project_at: String,
}

impl MonitorResult {
    /// A result, measured by the project's metric.
    fn new(result: monitor_results::MonitorResult, metric: Option<&str>) -> Self {
        let facts = |name: &str| result.facts.get("facts")?.get(name)?.as_f64();
        let measured = metric.and_then(|metric| Some((metric.to_owned(), facts(metric)?)));
        Self {
            measures: measured.into_iter().collect(),
            monitor: result.monitor.to_string(),
            window_start_ms: result.window_start_ms,
            window_start_at: at(result.window_start_ms),
            window_end_at: at(result.window_end_ms),
            number: result.number,
            kind: result.kind.as_str(),
            revision: result.revision,
            rows: result.facts.pointer("/facts/rows").and_then(Value::as_f64).map(|rows| rows as u64),
            drift_share: result.facts.pointer("/facts/drift/share").and_then(Value::as_f64),
            facts: result.facts.get("facts").cloned().unwrap_or(result.facts),
            wall_at: at(result.wall_ms),
            project_at: at(result.project_ms),
        }
    }
}

/// Lists the results of every monitor, newest revision each, oldest window first
#[utoipa::path(get, path = "/api/v1/projects/{project}/monitors", tag = "monitors", params(("project" = String, Path), PageQuery), responses((status = 200, body = Items<MonitorResult>)))]
async fn list(
    ProjectCaller { caller, project }: ProjectCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Items<MonitorResult>>, HttpError> {
    let metric = metric(&project);
    let mut items = Vec::new();
    for monitor in monitor_results::monitors(&caller, &project)? {
        items.extend(
            monitor_results::list(&caller, &project, &monitor, None)
                .await?
                .into_iter()
                .map(|result| MonitorResult::new(result, metric.as_deref())),
        );
    }
    let surplus = items.len().saturating_sub(page.limit() as usize);
    Ok(Json(Items::all(items.into_iter().skip(surplus))))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Window {
    /// Start of a window, epoch milliseconds; returns every revision of that window.
    window_start_ms: Option<i64>,
}

/// Lists the results of one monitor
#[utoipa::path(get, path = "/api/v1/projects/{project}/monitors/{monitor}", tag = "monitors", params(("project" = String, Path), ("monitor" = String, Path), Window), responses((status = 200, body = Items<MonitorResult>)))]
async fn get(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, monitor)): Path<(ProjectName, MonitorName)>,
    Query(window): Query<Window>,
) -> Result<Json<Items<MonitorResult>>, HttpError> {
    let found = monitor_results::list(&caller, &project, &monitor, window.window_start_ms).await?;
    let metric = metric(&project);
    Ok(Json(Items::all(found.into_iter().map(|result| MonitorResult::new(result, metric.as_deref())))))
}

/// The measure of the project's goal.
fn metric(project: &ProjectState) -> Option<String> {
    let submission = project.find_submission()?;
    Some(submission.project.task.as_ref()?.metric.clone())
}
