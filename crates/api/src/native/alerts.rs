//! Alerts.

use axum::Json;
use perennial_core::id::AlertId;
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use perennial_http::extract::{Path, ProjectCaller, Query};
use perennial_http::{Access, HttpError};
use perennial_kernel::alerts;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::wire::{Items, PageQuery, at};
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes
        .operation::<__path_list, _, _>(Access::Project(Permission::Read), list)
        .operation::<__path_acknowledge, _, _>(Access::Project(Permission::Write), acknowledge)
}

/// A condition that needs attention.
#[derive(Serialize, ToSchema)]
struct Alert {
    id: String,
    /// `monitor:<name>`, `window:<monitor>`, `dataset:<name>`, `load:<id>`, `file:<dataset>/<path>`,
    /// `segment:<endpoint>/<number>`, `endpoint:<name>`, `job:<kind>` or `work:<id>`.
    subject: String,
    name: String,
    /// `firing`, `acknowledged` or `resolved`.
    state: &'static str,
    message: String,
    /// The model version evaluated.
    number: Option<i64>,
    /// Start of the window, where there is one.
    window_start_at: Option<String>,
    /// The expression of the rule.
    expression: Option<String>,
    /// The values of the facts that its rule used.
    facts: Value,
    wall_at: String,
    project_at: String,
    settled_at: Option<String>,
}

impl From<alerts::Alert> for Alert {
    fn from(alert: alerts::Alert) -> Self {
        Self {
            id: alert.id.to_string(),
            subject: alert.subject.to_string(),
            name: alert.name,
            state: alert.state.as_str(),
            message: alert.message,
            number: alert.number,
            window_start_at: (alert.window_start_ms != 0).then(|| at(alert.window_start_ms)),
            expression: alert.expression,
            facts: alert.facts,
            wall_at: at(alert.wall_ms),
            project_at: at(alert.project_ms),
            settled_at: alert.settled_ms.map(at),
        }
    }
}

/// Lists alerts, newest first
#[utoipa::path(get, path = "/api/v1/projects/{project}/alerts", tag = "alerts", params(("project" = String, Path), PageQuery), responses((status = 200, body = Items<Alert>)))]
async fn list(
    ProjectCaller { caller, project }: ProjectCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Items<Alert>>, HttpError> {
    let found = alerts::list(&caller, project.id, page.after.as_deref(), page.limit()).await?;
    Ok(Json(Items { items: found.items.into_iter().map(Into::into).collect(), next: found.next }))
}

/// Acknowledges an alert
#[utoipa::path(post, path = "/api/v1/projects/{project}/alerts/{id}/acknowledge", tag = "alerts", params(("project" = String, Path), ("id" = String, Path)), responses((status = 200, body = Alert)))]
async fn acknowledge(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, AlertId)>,
) -> Result<Json<Alert>, HttpError> {
    Ok(Json(alerts::acknowledge(&caller, project.id, id).await?.into()))
}
