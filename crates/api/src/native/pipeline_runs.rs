//! Pipeline runs: starting, following, logs.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use perennial_core::cause::Cause;
use perennial_core::id::PipelineRunId;
use perennial_core::name::{ProjectName, StepName};
use perennial_core::permission::Permission;
use perennial_execution::pipeline_runs::{self, PipelineKind, PipelineRun, StepOutput, StepRun};
use perennial_execution::pipelines::{self, PipelineOptions};
use perennial_http::extract::{CurrentCaller, Path, ProjectCaller, Query};
use perennial_http::{Access, HttpError, ShutdownSignal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::wire::{Items, PageQuery, at};
use crate::extract::Body;
use crate::limits;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes
        .operation::<__path_create, _, _>(Access::Project(Permission::Write), create)
        .operation::<__path_cancel, _, _>(Access::Project(Permission::Write), cancel)
        .operation::<__path_plan, _, _>(Access::Project(Permission::Write), plan)
        .operation::<__path_plan_own, _, _>(Access::Authenticated, plan_own)
        .operation::<__path_list, _, _>(Access::Project(Permission::Read), list)
        .operation::<__path_get, _, _>(Access::Project(Permission::Read), get)
        .long_poll::<__path_events, _, _>(Access::Project(Permission::Read), events)
        .operation::<__path_log, _, _>(Access::Project(Permission::Read), log)
        .operation::<__path_newest_log, _, _>(Access::Project(Permission::Read), newest_log)
}

/// A pipeline run to be started.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    /// `run` brings every step up to date; `release` releases the candidate as well and needs the permission `approve`.
    kind: Kind,
    #[serde(default)]
    options: RunOptions,
    /// Why, in words; kept with the run.
    cause: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Run,
    Release,
}

#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct RunOptions {
    /// Only these steps and the steps that they depend on; all when empty.
    steps: Vec<String>,
    /// The reason for releasing a version again that was rolled back or rejected; only for `release`.
    again: Option<String>,
}

/// A pipeline run.
#[derive(Serialize, ToSchema)]
struct Run {
    id: String,
    /// `run` or `release`.
    kind: &'static str,
    /// `pending`, `running`, `interrupted`, `succeeded`, `nothing-to-do`, `failed`, `cancelled`.
    state: &'static str,
    /// The kind of work that created it.
    cause: Value,
    options: Value,
    /// Digest of the project file that it uses.
    file_digest: String,
    /// How it ended, in one line.
    message: Option<String>,
    wall_at: String,
    project_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    /// The attempts at its steps; only in the answer about one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<Step>>,
}

/// The plan of a pipeline run.
#[derive(Serialize, ToSchema)]
struct Plan {
    /// Every step, with the reasons why it would run.
    plan: Vec<PlannedStep>,
    /// Sources with new files, which are collected first.
    waiting: Vec<Waiting>,
}

impl From<pipelines::Plan> for Plan {
    fn from(planned: pipelines::Plan) -> Self {
        let plan = planned.steps.into_iter().map(|why| PlannedStep {
            step: why.step.to_string(),
            is_cached: why.is_cached,
            reasons: why.reasons,
        });
        let waiting = planned.pending.into_iter().map(|pending| Waiting {
            message: pending.describe(),
            dataset: pending.dataset.to_string(),
            files: pending.files,
        });
        Self { plan: plan.collect(), waiting: waiting.collect() }
    }
}

/// The files of a source that have not been collected yet.
#[derive(Serialize, ToSchema)]
struct Waiting {
    dataset: String,
    files: usize,
    /// How many files, or why they cannot be collected.
    message: String,
}

/// An attempt at a step.
#[derive(Serialize, ToSchema)]
struct Step {
    id: String,
    step: String,
    attempt: i64,
    /// `pending`, `running`, `succeeded`, `cached`, `failed`, `skipped`, `interrupted`.
    state: &'static str,
    cache_key: String,
    /// The attempt whose outputs a cached attempt reuses.
    reused_from: Option<String>,
    /// Its tracked run.
    run_id: Option<String>,
    runner: Option<String>,
    isolation: Option<String>,
    peak_memory_bytes: Option<u64>,
    message: Option<String>,
    has_log: bool,
    started_at: Option<String>,
    ended_at: Option<String>,
    outputs: Vec<Output>,
}

/// An output of a step.
#[derive(Serialize, ToSchema)]
struct Output {
    name: String,
    /// `dataset`, `model`, `file` or `report`.
    kind: &'static str,
    digest: String,
}

/// A planned step.
#[derive(Serialize, ToSchema)]
struct PlannedStep {
    step: String,
    /// Whether cached outputs are reused.
    is_cached: bool,
    /// What has changed since the step last ran.
    reasons: Vec<String>,
}

impl From<PipelineRun> for Run {
    fn from(run: PipelineRun) -> Self {
        Self {
            id: run.id.to_string(),
            kind: run.kind.as_str(),
            state: run.state.as_str(),
            cause: run.cause.to_json(),
            options: json!(run.options),
            file_digest: run.file_digest,
            message: run.message,
            wall_at: at(run.wall_ms),
            project_at: at(run.project_ms),
            started_at: run.started_ms.map(at),
            ended_at: run.ended_ms.map(at),
            steps: None,
        }
    }
}

impl From<(StepRun, Vec<StepOutput>)> for Step {
    fn from((run, outputs): (StepRun, Vec<StepOutput>)) -> Self {
        Self {
            id: run.id.to_string(),
            step: run.step.to_string(),
            attempt: run.attempt,
            state: run.state.as_str(),
            cache_key: run.cache_key,
            reused_from: run.reused_from.map(|id| id.to_string()),
            run_id: run.run_id.map(|id| id.to_string()),
            runner: run.runner,
            isolation: run.isolation,
            peak_memory_bytes: run.peak_memory_bytes,
            message: run.message,
            has_log: run.log_digest.is_some(),
            started_at: run.started_ms.map(at),
            ended_at: run.ended_ms.map(at),
            outputs: outputs
                .into_iter()
                .map(|output| Output { name: output.name, kind: output.kind.as_str(), digest: output.digest })
                .collect(),
        }
    }
}

/// Starts a pipeline run
///
/// Returns when the run is recorded; the run continues in the background. Its events show its progress.
#[utoipa::path(post, path = "/api/v1/projects/{project}/pipeline-runs", tag = "pipeline runs", params(("project" = String, Path)), request_body = Create, responses((status = 200, body = Run)))]
async fn create(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Body(body): Body<Create>,
) -> Result<Json<Run>, HttpError> {
    let kind = match body.kind {
        Kind::Run => PipelineKind::Run,
        Kind::Release => PipelineKind::Release,
    };
    let options = PipelineOptions { steps: names(&body.options.steps)?, again: body.options.again };
    let cause = Cause::Person { by: caller.principal.name.clone(), note: body.cause };
    let run = pipelines::request(&caller, &project, kind, cause, &options).await?;
    let started = run.clone();
    let app = state.app.clone();
    state.app.kernel.work.spawn("pipeline run", async move {
        // The error is stored in the record of the run, which clients follow.
        if let Err(error) = app.runner.run(&caller, &project, &started).await {
            tracing::info!(pipeline_run.id = %started.id, error = error.chain(), "a pipeline run failed");
        }
    });
    Ok(Json(run.into()))
}

fn names(steps: &[String]) -> perennial_core::Result<Vec<StepName>> {
    steps.iter().map(|step| step.parse()).collect()
}

/// Cancels a pipeline run
///
/// Ends the commands of the run; finished steps keep their results. Returns when the run has ended.
#[utoipa::path(post, path = "/api/v1/projects/{project}/pipeline-runs/{id}/cancel", tag = "pipeline runs", params(("project" = String, Path), ("id" = String, Path)), responses((status = 200, body = Run)))]
async fn cancel(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, PipelineRunId)>,
) -> Result<Json<Run>, HttpError> {
    Ok(Json(state.app.execution.cancel(&caller, &project, id).await?.into()))
}

/// The steps to plan.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct PlanRequest {
    /// Only these steps and the steps that they depend on; all when empty.
    steps: Vec<String>,
    /// Digest of the manifest of an uploaded folder; by default the last submitted one.
    folder: Option<String>,
}

/// Plans a pipeline run
///
/// Returns the steps that would run, with the reasons. Runs and submits nothing.
#[utoipa::path(post, path = "/api/v1/projects/{project}/plan", tag = "pipeline runs", params(("project" = String, Path)), request_body = PlanRequest, responses((status = 200, body = Plan)))]
async fn plan(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Body(body): Body<PlanRequest>,
) -> Result<Json<Plan>, HttpError> {
    let steps = names(&body.steps)?;
    let planned = match body.folder {
        Some(folder) => state.app.execution.plan_upload(&caller, &project, folder.parse()?, steps).await?,
        None => state.app.execution.plan(&caller, &project, steps).await?,
    };
    Ok(Json(planned.into()))
}

/// Plans a pipeline run with the server's own project file
///
/// Reads `perennial.toml` in the server's own folder with every file that it declares. Runs and submits nothing.
#[utoipa::path(post, path = "/api/v1/plan", tag = "pipeline runs", request_body = RunOptions, responses((status = 200, body = Plan)))]
async fn plan_own(
    State(state): State<ApiState>,
    CurrentCaller { caller }: CurrentCaller,
    Body(body): Body<RunOptions>,
) -> Result<Json<Plan>, HttpError> {
    let (project, submission) = state.app.projects.own(&caller).await?;
    let planned = state.app.execution.plan_by(&caller, &project, submission, None, names(&body.steps)?).await?;
    Ok(Json(planned.into()))
}

/// Lists pipeline runs, newest first
#[utoipa::path(get, path = "/api/v1/projects/{project}/pipeline-runs", tag = "pipeline runs", params(("project" = String, Path), PageQuery), responses((status = 200, body = Items<Run>)))]
async fn list(
    ProjectCaller { caller, project }: ProjectCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Items<Run>>, HttpError> {
    let found = pipeline_runs::list(&caller, &project, page.after.as_deref(), page.limit()).await?;
    Ok(Json(Items { items: found.items.into_iter().map(Into::into).collect(), next: found.next }))
}

/// Gets a pipeline run with its steps
#[utoipa::path(get, path = "/api/v1/projects/{project}/pipeline-runs/{id}", tag = "pipeline runs", params(("project" = String, Path), ("id" = String, Path)), responses((status = 200, body = Run)))]
async fn get(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, PipelineRunId)>,
) -> Result<Json<Run>, HttpError> {
    let run = pipeline_runs::get(&caller, &project, id).await?;
    let steps = pipeline_runs::steps(&caller, &project, id).await?;
    Ok(Json(Run { steps: Some(steps.into_iter().map(Into::into).collect()), ..run.into() }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct After {
    /// Returns the events after this sequence; 0 for all.
    #[serde(default)]
    after: i64,
    /// How long to wait for the next event, milliseconds, at most 30000.
    #[serde(default)]
    wait_ms: u64,
}

/// Events of a pipeline run.
#[derive(Serialize, ToSchema)]
struct Events {
    events: Vec<Event>,
    /// Whether the run has ended, so that these are its last events.
    is_over: bool,
}

/// An event of a pipeline run.
#[derive(Serialize, ToSchema)]
struct Event {
    /// Its position in the run, from 1.
    sequence: i64,
    /// The event; its field `event` is its kind.
    body: Value,
    at: String,
}

/// Follows a pipeline run
///
/// Returns at once when there are events after `after`; else when the next event is recorded, when the run has ended, or after
/// `wait_ms`.
#[utoipa::path(get, path = "/api/v1/projects/{project}/pipeline-runs/{id}/events", tag = "pipeline runs", params(("project" = String, Path), ("id" = String, Path), After), responses((status = 200, body = Events)))]
async fn events(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, PipelineRunId)>,
    Query(query): Query<After>,
    stopping: Option<Extension<ShutdownSignal>>,
) -> Result<Json<Events>, HttpError> {
    let wait = Duration::from_millis(query.wait_ms.min(limits::WAIT_MS_MAX));
    let next = state.app.execution.events(&caller, &project, id, query.after, wait);
    let (events, is_over) = match stopping {
        None => next.await?,
        Some(Extension(ShutdownSignal(stopping))) => tokio::select! {
            found = next => found?,
            () = stopping.cancelled() => (Vec::new(), false),
        },
    };
    let events =
        events.into_iter().map(|event| Event { sequence: event.sequence, body: event.body, at: at(event.wall_ms) });
    Ok(Json(Events { events: events.collect(), is_over }))
}

/// The log of a step.
#[derive(Serialize, ToSchema)]
struct Log {
    step: String,
    /// `sql`, `train`, `run` or `evaluate`; absent for a step that was skipped.
    kind: Option<String>,
    attempt: i64,
    state: &'static str,
    /// Standard output and error of a command, or the events of a step; absent when the log is empty.
    log: Option<String>,
    /// How it ended; absent when nothing is to be reported.
    message: Option<String>,
}

fn log_of((attempt, log): (StepRun, Option<String>)) -> Json<Log> {
    Json(Log {
        step: attempt.step.to_string(),
        kind: attempt.key_parts.get("kind").and_then(Value::as_str).map(str::to_owned),
        attempt: attempt.attempt,
        state: attempt.state.as_str(),
        log,
        message: attempt.message,
    })
}

/// Gets the log of a step of a pipeline run
#[utoipa::path(get, path = "/api/v1/projects/{project}/pipeline-runs/{id}/steps/{step}/log", tag = "pipeline runs", params(("project" = String, Path), ("id" = String, Path), ("step" = String, Path)), responses((status = 200, body = Log)))]
async fn log(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id, step)): Path<(ProjectName, PipelineRunId, StepName)>,
) -> Result<Json<Log>, HttpError> {
    Ok(log_of(pipeline_runs::log(&caller, &project, id, &step).await?))
}

/// Gets the log of the newest attempt at a step
#[utoipa::path(get, path = "/api/v1/projects/{project}/steps/{step}/log", tag = "pipeline runs", params(("project" = String, Path), ("step" = String, Path)), responses((status = 200, body = Log)))]
async fn newest_log(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, step)): Path<(ProjectName, StepName)>,
) -> Result<Json<Log>, HttpError> {
    Ok(log_of(pipeline_runs::newest_log(&caller, &project, &step).await?))
}
