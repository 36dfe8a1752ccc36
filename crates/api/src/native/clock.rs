//! The project clock.

use axum::Json;
use axum::extract::State;
use perennial_core::permission::Permission;
use perennial_http::extract::ProjectCaller;
use perennial_http::{Access, HttpError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::at;
use crate::extract::Body;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes
        .operation::<__path_get, _, _>(Access::Project(Permission::Read), get)
        .operation::<__path_advance, _, _>(Access::Project(Permission::Manage), advance)
}

/// The wall clock and the project clock.
#[derive(Serialize, ToSchema)]
struct Clocks {
    wall_at: String,
    project_at: String,
    project_ms: i64,
    /// Whether the project's clock is stepped; else it equals the wall clock.
    is_stepped: bool,
}

/// Gets the wall clock and the project clock
#[utoipa::path(get, path = "/api/v1/projects/{project}/clock", tag = "clock", params(("project" = String, Path)), responses((status = 200, body = Clocks)))]
async fn get(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
) -> Result<Json<Clocks>, HttpError> {
    let (now, is_stepped) = state.app.watch.now(&caller, &project)?;
    Ok(Json(Clocks {
        wall_at: at(now.wall_ms),
        project_at: at(now.project_ms),
        project_ms: now.project_ms,
        is_stepped,
    }))
}

/// The new time of the project clock.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Advance {
    /// Epoch milliseconds, not before the present time of the clock.
    to_ms: i64,
}

/// The events of the scheduler up to the new time.
#[derive(Serialize, ToSchema)]
struct Advanced {
    events: Vec<SchedulerEvent>,
}

/// An event of the scheduler.
#[derive(Serialize, ToSchema)]
struct SchedulerEvent {
    project_ms: i64,
    project_at: String,
    message: String,
}

/// Moves the project clock forward
///
/// Returns when every action that was due, and everything that it started, has ended. Only a project with a stepped clock
/// allows it.
#[utoipa::path(post, path = "/api/v1/projects/{project}/clock", tag = "clock", params(("project" = String, Path)), request_body = Advance, responses((status = 200, body = Advanced)))]
async fn advance(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Body(body): Body<Advance>,
) -> Result<Json<Advanced>, HttpError> {
    let fired = state.app.watch.advance(&caller, &project, body.to_ms).await?;
    let events = fired.into_iter().map(|event| SchedulerEvent {
        project_ms: event.project_ms,
        project_at: at(event.project_ms),
        message: event.message,
    });
    Ok(Json(Advanced { events: events.collect() }))
}
