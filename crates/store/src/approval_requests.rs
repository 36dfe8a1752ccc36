//! Requests for approvals: passed Decisions whose releases wait for people.

use std::collections::BTreeMap;

use perennial_core::entity::ApprovalRequest;
use perennial_core::id::{ApprovalRequestId, ProjectId};
use perennial_core::permission::Role;
use perennial_core::state::{ApprovalRequestEvent, ApprovalRequestState};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};
use crate::{project_counts, releases};

impl Record for ApprovalRequest {
    const TABLE: &'static str = "approval_requests";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            decision_id: row.get("decision_id")?,
            release_digest: row.get("release_digest")?,
            number: row.get("number")?,
            roles: row.get("roles")?,
            cause: row.get("cause")?,
            requested_by: row.get("requested_by")?,
            state: row.get("state")?,
            closed_by: row.get("closed_by")?,
            reason: row.get("reason")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
            closed_ms: row.get("closed_ms")?,
        })
    }
}

/// A request with one of its approvals; with none when it has none.
struct RequestWithApproval {
    request: ApprovalRequest,
    approved: Option<Role>,
}

impl Record for RequestWithApproval {
    const TABLE: &'static str = ApprovalRequest::TABLE;
    const KEY: &'static [&'static str] = ApprovalRequest::KEY;

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { request: ApprovalRequest::read(row)?, approved: row.get("approved")? })
    }
}

/// Inserts a request.
pub async fn insert(tx: &mut Tx, request: &ApprovalRequest) -> Result<()> {
    tx.insert(
        sql!("approval_requests/insert"),
        bind![
            request.id,
            request.project_id,
            request.decision_id,
            request.release_digest,
            request.number,
            request.roles,
            request.cause,
            request.requested_by,
            request.state,
            request.closed_by,
            request.reason,
            request.wall_ms,
            request.project_ms,
            request.closed_ms
        ],
        "approval request",
        request.id,
    )
    .await
}

/// A request; an error when there is none.
pub async fn get(conn: &mut Conn, id: ApprovalRequestId) -> Result<ApprovalRequest> {
    conn.required(sql!("approval_requests/get"), bind![id], "approval request", id).await
}

/// The newest request about a release.
pub async fn find_latest_of_release(
    conn: &mut Conn,
    project_id: ProjectId,
    digest: &str,
) -> Result<Option<ApprovalRequest>> {
    conn.optional(sql!("approval_requests/find_latest_of_release"), bind![project_id, digest]).await
}

/// The requests of a project that wait for approvals, or whose release continues, oldest first.
pub async fn list_open(conn: &mut Conn, project_id: ProjectId) -> Result<Vec<ApprovalRequest>> {
    conn.all(list_sql!("approval_requests/list_open"), bind![project_id]).await
}

/// The oldest `limit` requests of all projects that wait for approvals, each with the roles that have not approved yet,
/// oldest first.
pub async fn list_waiting(conn: &mut Conn, limit: u32) -> Result<Vec<(ApprovalRequest, Vec<Role>)>> {
    let rows: Vec<RequestWithApproval> =
        conn.all(list_sql!("approval_requests/list_waiting"), bind![i64::from(limit)]).await?;
    let mut waiting: Vec<(ApprovalRequest, Vec<Role>)> = Vec::new();
    for RequestWithApproval { request, approved } in rows {
        if waiting.last().is_none_or(|(last, _)| last.id != request.id) {
            let roles = request.roles.clone();
            waiting.push((request, roles));
        }
        if let Some((_, missing)) = waiting.last_mut() {
            missing.retain(|role| Some(*role) != approved);
        }
    }
    Ok(waiting)
}

/// The number of requests that wait for approvals, of each project that has some.
pub async fn count_waiting(conn: &mut Conn) -> Result<BTreeMap<ProjectId, u64>> {
    project_counts::read(conn, list_sql!("approval_requests/count_waiting")).await
}

/// The roles that have not approved a request yet.
pub async fn missing_roles(conn: &mut Conn, request: &ApprovalRequest) -> Result<Vec<Role>> {
    Ok(request.missing(&releases::list_approvals_of_request(conn, request.id).await?))
}

/// Locks a waiting request until the transaction ends; an error when it waits no more.
pub async fn lock_waiting(tx: &mut Tx, id: ApprovalRequestId) -> Result<()> {
    tx.compare_and_swap(sql!("approval_requests/lock_waiting"), bind![id], "approval request", id).await
}

/// Takes a request through an event, with the principal who caused it and the reason; returns its new state.
pub async fn apply(
    tx: &mut Tx,
    id: ApprovalRequestId,
    event: ApprovalRequestEvent,
    (by, reason): (Option<&str>, Option<&str>),
    at_ms: i64,
) -> Result<ApprovalRequestState> {
    let state = get(tx, id).await?.state;
    let next = state.transition(event)?;
    let values = bind![id, state, next, by, reason, at_ms];
    tx.compare_and_swap(sql!("approval_requests/set_state"), values, "approval request", id).await?;
    Ok(next)
}
