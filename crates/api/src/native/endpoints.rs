//! Endpoints: their routes, and rollback.

use axum::Json;
use axum::extract::State;
use perennial_core::name::{EndpointName, ProjectName};
use perennial_core::permission::Permission;
use perennial_http::extract::{Path, ProjectCaller};
use perennial_http::{Access, HttpError};
use perennial_release::deployments;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{Done, Items, at};
use crate::extract::Body;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let read = Access::Project(Permission::Read);
    routes
        .operation::<__path_list, _, _>(read, list)
        .operation::<__path_get, _, _>(read, get)
        .operation::<__path_rollback, _, _>(Access::Project(Permission::Approve), rollback)
        .operation::<__path_load_predictions, _, _>(Access::Project(Permission::Write), load_predictions)
}

/// An address that answers prediction requests.
#[derive(Serialize, ToSchema)]
struct Endpoint {
    name: String,
    model_id: String,
    alias: String,
    champion_number: Option<i64>,
    /// On the project clock.
    champion_since_at: Option<String>,
    canary_number: Option<i64>,
    /// `running`, `waiting`, `promoted`, `rolled-back` or `replaced`.
    canary_state: Option<&'static str>,
    canary_started_at: Option<String>,
    canary_share: Option<f64>,
    /// What an active canary waits for, in words.
    canary_waits_for: Option<String>,
    canary_release: Option<String>,
    /// Number of changes of the routes.
    generation: i64,
    /// The versions that this server routes requests to: the champion, and the canary if there is one. Empty when no
    /// version is loaded.
    routes: Vec<Route>,
    /// Whether it answers as recorded.
    is_ready: bool,
    /// Why it does not answer as recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    /// The version that would be the champion after a rollback, when no canary is active.
    before_number: Option<i64>,
}

/// Why an endpoint does not answer as recorded.
#[derive(Serialize, ToSchema)]
struct Fault {
    message: String,
    /// What to do.
    hint: Option<String>,
}

/// A version that this server routes requests to.
#[derive(Serialize, ToSchema)]
struct Route {
    number: i64,
    /// `champion` or `canary`.
    role: &'static str,
    /// Requests that it answered since it has this role.
    requests: u64,
    /// Of these, ended with 5xx.
    errors: u64,
    /// Requests of its share that lacked one of its inputs, and that the champion answered.
    fallbacks: u64,
    /// Median latency of its answers, milliseconds.
    p50_ms: Option<f64>,
    /// 99th percentile of the latency, milliseconds.
    p99_ms: Option<f64>,
    /// The names of its inputs.
    inputs: Vec<String>,
}

impl From<deployments::EndpointState> for Endpoint {
    fn from(state: deployments::EndpointState) -> Self {
        let endpoint = state.endpoint;
        let routes = state.routes.into_iter().map(|version| Route {
            number: version.number,
            role: version.role.as_str(),
            requests: version.requests,
            errors: version.errors,
            fallbacks: version.fallbacks,
            p50_ms: version.p50_ms,
            p99_ms: version.p99_ms,
            inputs: version.signature.inputs.iter().map(|input| input.name.clone()).collect(),
        });
        Self {
            name: endpoint.name.to_string(),
            model_id: endpoint.model_id.to_string(),
            alias: endpoint.alias,
            champion_number: endpoint.champion_number,
            champion_since_at: endpoint.champion_since_ms.map(at),
            canary_number: endpoint.canary_number,
            canary_state: endpoint.canary_state.map(perennial_core::state::CanaryState::as_str),
            canary_started_at: endpoint.canary_started_ms.map(at),
            canary_share: endpoint.canary_share,
            canary_waits_for: state.waits_for,
            canary_release: endpoint.canary_release_digest,
            generation: endpoint.generation,
            routes: routes.collect(),
            is_ready: state.fault.is_none(),
            fault: state.fault.map(|fault| Fault { message: fault.message, hint: fault.hint }),
            before_number: state.before,
        }
    }
}

/// Lists endpoints
#[utoipa::path(get, path = "/api/v1/projects/{project}/endpoints", tag = "endpoints", params(("project" = String, Path)), responses((status = 200, body = Items<Endpoint>)))]
async fn list(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
) -> Result<Json<Items<Endpoint>>, HttpError> {
    let found = state.app.endpoints.list(&caller, &project).await?;
    Ok(Json(Items::all(found.into_iter().map(Into::into))))
}

/// Gets an endpoint
#[utoipa::path(get, path = "/api/v1/projects/{project}/endpoints/{name}", tag = "endpoints", params(("project" = String, Path), ("name" = String, Path)), responses((status = 200, body = Endpoint)))]
async fn get(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, name)): Path<(ProjectName, EndpointName)>,
) -> Result<Json<Endpoint>, HttpError> {
    Ok(Json(state.app.endpoints.get(&caller, &project, &name).await?.into()))
}

/// A rollback.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct Rollback {
    /// The reason, which the ledger records.
    reason: Option<String>,
}

/// Rolls an endpoint back
///
/// Ends the active canary, or else restores the previous champion, without gates. A version that was rolled back is refused
/// until a person releases it again with a reason.
#[utoipa::path(post, path = "/api/v1/projects/{project}/endpoints/{name}/rollback", tag = "endpoints", params(("project" = String, Path), ("name" = String, Path)), request_body = Rollback, responses((status = 200, body = Done)))]
async fn rollback(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, name)): Path<(ProjectName, EndpointName)>,
    Body(body): Body<Rollback>,
) -> Result<Json<Done>, HttpError> {
    let message = state.app.endpoints.rollback(&caller, &project, &name, body.reason.as_deref()).await?;
    Ok(Json(Done { message }))
}

/// Loads predictions
///
/// Loads the logged predictions of every endpoint into its dataset `predictions_<endpoint>`. The server does so by itself every 15
/// minutes, and before it evaluates a monitor.
#[utoipa::path(post, path = "/api/v1/projects/{project}/predictions/load", tag = "endpoints", params(("project" = String, Path)), responses((status = 200, body = Done)))]
async fn load_predictions(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
) -> Result<Json<Done>, HttpError> {
    let endpoints = state.app.endpoints.load_predictions(&caller, &project).await?;
    Ok(Json(Done { message: format!("predictions of {endpoints} endpoints are loaded") }))
}
