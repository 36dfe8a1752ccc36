//! Releases, decisions, evidence, promotions.

use axum::Json;
use axum::extract::State;
use perennial_core::id::{DecisionId, EvidenceId};
use perennial_core::name::ProjectName;
use perennial_core::permission::{Permission, Role};
use perennial_core::port::prediction::TrafficRole;
use perennial_http::extract::{CurrentCaller, Path, ProjectCaller, Query};
use perennial_http::{Access, HttpError};
use perennial_release::{approvals, releases};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::wire::{Done, Items, PageQuery, at, verdict};
use crate::extract::Body;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let read = Access::Project(Permission::Read);
    routes
        .operation::<__path_list, _, _>(read, list)
        .operation::<__path_get, _, _>(read, get)
        .operation::<__path_approve, _, _>(Access::Project(Permission::Approve), approve)
        .operation::<__path_reject, _, _>(Access::Project(Permission::Approve), reject)
        .operation::<__path_list_approvals, _, _>(Access::Authenticated, list_approvals)
        .operation::<__path_list_decisions, _, _>(read, list_decisions)
        .operation::<__path_get_decision, _, _>(read, get_decision)
        .operation::<__path_get_evidence, _, _>(read, get_evidence)
        .operation::<__path_list_promotions, _, _>(read, list_promotions)
}

/// Model, data, code, environment and configuration as one digest.
#[derive(Serialize, ToSchema)]
pub(super) struct Release {
    digest: String,
    model_id: String,
    /// The model version's number.
    number: i64,
    /// The verdict of the latest decision about it: `pass`, `fail` or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    /// The role of its version at an endpoint now: `champion` or `canary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// The roles in which it was approved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approved: Vec<&'static str>,
    /// The digests of model, data, code, environment and configuration.
    content: Value,
    /// Head of the ledger when it was made.
    ledger_head: String,
    wall_at: String,
    project_at: String,
}

impl From<releases::Release> for Release {
    fn from(release: releases::Release) -> Self {
        Self {
            digest: release.digest,
            model_id: release.model_id.to_string(),
            number: release.number,
            verdict: None,
            role: None,
            approved: Vec::new(),
            content: release.body,
            ledger_head: release.ledger_head,
            wall_at: at(release.wall_ms),
            project_at: at(release.project_ms),
        }
    }
}

/// The verdict of the gates about a candidate.
#[derive(Serialize, ToSchema)]
pub(super) struct Decision {
    id: String,
    pipeline_run_id: Option<String>,
    evidence_id: String,
    release: String,
    number: i64,
    champion_number: Option<i64>,
    /// `pass`, `fail` or `unknown`.
    verdict: &'static str,
    /// The expression of each gate with its values and its verdict; features that leak the target or almost predict it alone.
    body: Value,
    /// Features that leak the target, and features that almost predict it alone, each with its remedy.
    features: Vec<String>,
    wall_at: String,
    project_at: String,
}

impl From<releases::Decision> for Decision {
    fn from(decision: releases::Decision) -> Self {
        Self {
            id: decision.id.to_string(),
            pipeline_run_id: decision.pipeline_run_id.map(|id| id.to_string()),
            evidence_id: decision.evidence_id.to_string(),
            release: decision.release_digest,
            number: decision.number,
            champion_number: decision.champion_number,
            verdict: verdict(decision.verdict),
            features: decision.body.feature_lines(),
            body: serde_json::json!(decision.body),
            wall_at: at(decision.wall_ms),
            project_at: at(decision.project_ms),
        }
    }
}

/// An approval of a release, in a role.
#[derive(Serialize, ToSchema)]
struct Approval {
    id: String,
    role: &'static str,
    /// The principal that gave it.
    principal: String,
    principal_id: String,
    note: Option<String>,
    wall_at: String,
    project_at: String,
}

impl From<(releases::Approval, String)> for Approval {
    fn from((approval, principal): (releases::Approval, String)) -> Self {
        Self {
            principal,
            id: approval.id.to_string(),
            role: approval.role.as_str(),
            principal_id: approval.principal_id.to_string(),
            note: approval.note,
            wall_at: at(approval.wall_ms),
            project_at: at(approval.project_ms),
        }
    }
}

/// A promotion or rollback.
#[derive(Serialize, ToSchema)]
struct Promotion {
    id: String,
    endpoint: Option<String>,
    alias: String,
    from_number: Option<i64>,
    to_number: Option<i64>,
    /// `canary`, `promotion`, `rollback` or `replacement`.
    kind: &'static str,
    decision_id: Option<String>,
    release: Option<String>,
    cause: Value,
    actor: String,
    wall_at: String,
    project_at: String,
}

impl From<releases::Promotion> for Promotion {
    fn from(promotion: releases::Promotion) -> Self {
        Self {
            id: promotion.id.to_string(),
            endpoint: promotion.endpoint.map(|name| name.to_string()),
            alias: promotion.alias,
            from_number: promotion.from_number,
            to_number: promotion.to_number,
            kind: promotion.kind.as_str(),
            decision_id: promotion.decision_id.map(|id| id.to_string()),
            release: promotion.release_digest,
            cause: promotion.cause.to_json(),
            actor: promotion.actor,
            wall_at: at(promotion.wall_ms),
            project_at: at(promotion.project_ms),
        }
    }
}

/// A release with its decisions, approvals and promotions.
#[derive(Serialize, ToSchema)]
struct ReleaseDetails {
    release: Release,
    /// Newest first.
    decisions: Vec<Decision>,
    approvals: Vec<Approval>,
    /// Newest first.
    promotions: Vec<Promotion>,
    /// The newest request for its approval; absent when none was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_request: Option<ApprovalRequest>,
    #[serde(flatten)]
    outcome: Outcome,
}

/// A request for the approval of a release.
#[derive(Serialize, ToSchema)]
struct ApprovalRequest {
    id: String,
    /// The roles that must approve.
    roles: Vec<&'static str>,
    /// `waiting`, `approved`, `released`, `failed`, `rejected` or `replaced`.
    state: &'static str,
    requested_by: String,
    /// The principal that gave the last approval, or rejected the release.
    closed_by: Option<String>,
    /// Why it was rejected, replaced or failed; of a released one, what the release did.
    reason: Option<String>,
    wall_at: String,
    project_at: String,
}

impl From<releases::ApprovalRequest> for ApprovalRequest {
    fn from(request: releases::ApprovalRequest) -> Self {
        Self {
            id: request.id.to_string(),
            roles: request.roles.into_iter().map(Role::as_str).collect(),
            state: request.state.as_str(),
            requested_by: request.requested_by,
            closed_by: request.closed_by,
            reason: request.reason,
            wall_at: at(request.wall_ms),
            project_at: at(request.project_ms),
        }
    }
}

/// The progress of a release.
#[derive(Serialize, ToSchema)]
struct Outcome {
    /// Whether its version is the champion at every endpoint.
    released: bool,
    /// What it waits for: `approval:<role>`, `canary:<endpoint>`, or `release` while an approved one continues.
    waiting_for: Vec<String>,
    /// The reasons, when it is neither released nor waiting.
    reasons: Vec<String>,
}

/// Lists releases, newest first
#[utoipa::path(get, path = "/api/v1/projects/{project}/releases", tag = "releases", params(("project" = String, Path), PageQuery), responses((status = 200, body = Items<Release>)))]
async fn list(
    ProjectCaller { caller, project }: ProjectCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Items<Release>>, HttpError> {
    let found = releases::list(&caller, &project, page.limit()).await?;
    let items = found.into_iter().map(|listed| Release {
        verdict: listed.decision.map(|decision| verdict(decision.verdict)),
        role: listed.role.map(TrafficRole::as_str),
        approved: listed.approved.into_iter().map(Role::as_str).collect(),
        ..listed.release.into()
    });
    Ok(Json(Items::all(items)))
}

/// Gets a release by the first digits of its digest
#[utoipa::path(get, path = "/api/v1/projects/{project}/releases/{digest}", tag = "releases", params(("project" = String, Path), ("digest" = String, Path)), responses((status = 200, body = ReleaseDetails)))]
async fn get(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, digest)): Path<(ProjectName, String)>,
) -> Result<Json<ReleaseDetails>, HttpError> {
    let found = releases::get(&caller, &project, &digest).await?;
    Ok(Json(ReleaseDetails {
        release: Release {
            verdict: found.decisions.first().map(|decision| verdict(decision.verdict)),
            ..found.release.into()
        },
        decisions: found.decisions.into_iter().map(Into::into).collect(),
        approvals: found.approvals.into_iter().map(Into::into).collect(),
        promotions: found.promotions.into_iter().map(Into::into).collect(),
        approval_request: found.request.map(Into::into),
        outcome: Outcome {
            released: found.outcome.released,
            waiting_for: found.outcome.waiting_for,
            reasons: found.outcome.reasons,
        },
    }))
}

/// An approval.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct Approve {
    /// The role of the approval; by default the role that the project file asks for.
    role: Option<String>,
    note: Option<String>,
}

/// Approves a release
///
/// The last approval that is needed continues the release: the version becomes canary or champion without another request.
#[utoipa::path(post, path = "/api/v1/projects/{project}/releases/{digest}/approve", tag = "releases", params(("project" = String, Path), ("digest" = String, Path)), request_body = Approve, responses((status = 200, body = Done)))]
async fn approve(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, digest)): Path<(ProjectName, String)>,
    Body(body): Body<Approve>,
) -> Result<Json<Done>, HttpError> {
    let role = body.role.as_deref().map(str::parse::<Role>).transpose()?;
    let message = state.app.endpoints.approve(&caller, &project, &digest, role, body.note).await?;
    Ok(Json(Done { message }))
}

/// A rejection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reject {
    /// The reason, which the ledger records.
    reason: String,
}

/// Rejects a release that waits for approvals
///
/// The version is refused until a person releases it again with a reason.
#[utoipa::path(post, path = "/api/v1/projects/{project}/releases/{digest}/reject", tag = "releases", params(("project" = String, Path), ("digest" = String, Path)), request_body = Reject, responses((status = 200, body = Done)))]
async fn reject(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, digest)): Path<(ProjectName, String)>,
    Body(body): Body<Reject>,
) -> Result<Json<Done>, HttpError> {
    let message = approvals::reject(&caller, &project, &digest, &body.reason).await?;
    Ok(Json(Done { message }))
}

/// A release that waits for approvals.
#[derive(Serialize, ToSchema)]
struct WaitingRelease {
    project: String,
    release: String,
    /// The model version's number.
    number: i64,
    /// The roles that must approve.
    roles: Vec<&'static str>,
    /// Of these, the roles that have not approved yet.
    missing: Vec<&'static str>,
    /// Whether the caller may give one of the missing approvals.
    is_for_caller: bool,
    requested_by: String,
    cause: Value,
    wall_at: String,
    project_at: String,
}

/// Lists the releases that wait for approvals, oldest first
///
/// The releases of every project that the caller may read.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "releases", responses((status = 200, body = Items<WaitingRelease>)))]
async fn list_approvals(
    State(state): State<ApiState>,
    CurrentCaller { caller }: CurrentCaller,
) -> Result<Json<Items<WaitingRelease>>, HttpError> {
    let mut items = Vec::new();
    for waiting in approvals::list_waiting(&caller).await? {
        let request = waiting.request;
        items.push(WaitingRelease {
            project: state.app.projects.get(request.project_id).await?.name.to_string(),
            release: request.release_digest,
            number: request.number,
            roles: request.roles.into_iter().map(Role::as_str).collect(),
            missing: waiting.missing.into_iter().map(Role::as_str).collect(),
            is_for_caller: waiting.is_for_caller,
            requested_by: request.requested_by,
            cause: request.cause.to_json(),
            wall_at: at(request.wall_ms),
            project_at: at(request.project_ms),
        });
    }
    Ok(Json(Items::all(items)))
}

/// Lists decisions, newest first
#[utoipa::path(get, path = "/api/v1/projects/{project}/decisions", tag = "releases", params(("project" = String, Path), PageQuery), responses((status = 200, body = Items<Decision>)))]
async fn list_decisions(
    ProjectCaller { caller, project }: ProjectCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Items<Decision>>, HttpError> {
    let found = releases::list_decisions(&caller, &project, page.after.as_deref(), page.limit()).await?;
    Ok(Json(Items { items: found.items.into_iter().map(Into::into).collect(), next: found.next }))
}

/// Gets a decision
#[utoipa::path(get, path = "/api/v1/projects/{project}/decisions/{id}", tag = "releases", params(("project" = String, Path), ("id" = String, Path)), responses((status = 200, body = Decision)))]
async fn get_decision(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, DecisionId)>,
) -> Result<Json<Decision>, HttpError> {
    Ok(Json(releases::decision(&caller, &project, id).await?.into()))
}

/// The facts that the gates of a decision use.
#[derive(Serialize, ToSchema)]
struct Evidence {
    id: String,
    pipeline_run_id: String,
    step_run_id: String,
    /// Split, dataset versions, evaluated models with their metrics and slices, latency, checks, plots.
    body: Value,
    wall_at: String,
    project_at: String,
    /// When the evidence expires, on the project clock.
    expires_at: String,
}

/// Gets evidence
#[utoipa::path(get, path = "/api/v1/projects/{project}/evidence/{id}", tag = "releases", params(("project" = String, Path), ("id" = String, Path)), responses((status = 200, body = Evidence)))]
async fn get_evidence(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, id)): Path<(ProjectName, EvidenceId)>,
) -> Result<Json<Evidence>, HttpError> {
    let evidence = releases::evidence(&caller, &project, id).await?;
    Ok(Json(Evidence {
        id: evidence.id.to_string(),
        pipeline_run_id: evidence.pipeline_run_id.to_string(),
        step_run_id: evidence.step_run_id.to_string(),
        body: evidence.body,
        wall_at: at(evidence.wall_ms),
        project_at: at(evidence.project_ms),
        expires_at: at(evidence.expires_project_ms),
    }))
}

/// Lists promotions and rollbacks, newest first
#[utoipa::path(get, path = "/api/v1/projects/{project}/promotions", tag = "releases", params(("project" = String, Path), PageQuery), responses((status = 200, body = Items<Promotion>)))]
async fn list_promotions(
    ProjectCaller { caller, project }: ProjectCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Items<Promotion>>, HttpError> {
    let found = releases::list_promotions(&caller, &project, page.after.as_deref(), page.limit()).await?;
    Ok(Json(Items { items: found.items.into_iter().map(Into::into).collect(), next: found.next }))
}
