//! Releases, the approvals given to them, and refusals of versions that were rolled back or rejected.

use perennial_core::entity::{Approval, Refusal, Release};
use perennial_core::id::{ApprovalRequestId, ModelId, ProjectId};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for Release {
    const TABLE: &'static str = "releases";
    const KEY: &'static [&'static str] = &["project_id", "digest"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            project_id: row.get("project_id")?,
            digest: row.get("digest")?,
            model_id: row.get("model_id")?,
            number: row.get("number")?,
            body: row.get("body")?,
            ledger_head: row.get("ledger_head")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
        })
    }
}

impl Record for Approval {
    const TABLE: &'static str = "approvals";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            request_id: row.get("request_id")?,
            release_digest: row.get("release_digest")?,
            role: row.get("role")?,
            principal_id: row.get("principal_id")?,
            note: row.get("note")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
        })
    }
}

impl Record for Refusal {
    const TABLE: &'static str = "refusals";
    const KEY: &'static [&'static str] = &["project_id", "endpoint", "release_digest"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            project_id: row.get("project_id")?,
            endpoint: row.get("endpoint")?,
            release_digest: row.get("release_digest")?,
            number: row.get("number")?,
            cause: row.get("cause")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
        })
    }
}

/// Inserts a release; the same content again is the same release and changes nothing.
pub async fn insert(tx: &mut Tx, release: &Release) -> Result<()> {
    tx.execute(
        sql!("releases/insert"),
        bind![
            release.project_id,
            release.digest,
            release.model_id,
            release.number,
            release.body,
            release.ledger_head,
            release.wall_ms,
            release.project_ms
        ],
    )
    .await?;
    Ok(())
}

/// A release; an error when there is none.
pub async fn get(conn: &mut Conn, project_id: ProjectId, digest: &str) -> Result<Release> {
    conn.required(sql!("releases/get"), bind![project_id, digest], "release", digest).await
}

/// The release of a digest.
pub async fn find(conn: &mut Conn, project_id: ProjectId, digest: &str) -> Result<Option<Release>> {
    conn.optional(sql!("releases/find"), bind![project_id, digest]).await
}

/// Releases whose digest is in a range, two at most: two show that a prefix is not unique.
pub async fn find_by_prefix(conn: &mut Conn, project_id: ProjectId, from: &str, to: &str) -> Result<Vec<Release>> {
    conn.all(list_sql!("releases/find_by_prefix"), bind![project_id, from, to]).await
}

/// Releases of a project, newest first, `limit` at most.
pub async fn list(conn: &mut Conn, project_id: ProjectId, limit: u32) -> Result<Vec<Release>> {
    conn.all(list_sql!("releases/list"), bind![project_id, i64::from(limit)]).await
}

/// The newest `limit` releases of a model version, newest first.
pub async fn list_of_version(conn: &mut Conn, model_id: ModelId, number: i64, limit: u32) -> Result<Vec<Release>> {
    conn.all(list_sql!("releases/list_of_version"), bind![model_id, number, i64::from(limit)]).await
}

/// Inserts an approval; a person approves a request once in each role.
pub async fn approve(tx: &mut Tx, approval: &Approval) -> Result<()> {
    tx.insert(
        sql!("releases/approve"),
        bind![
            approval.id,
            approval.project_id,
            approval.request_id,
            approval.release_digest,
            approval.role,
            approval.principal_id,
            approval.note,
            approval.wall_ms,
            approval.project_ms
        ],
        "approval",
        approval.id,
    )
    .await
}

/// The approvals of a release, oldest first.
pub async fn list_approvals(conn: &mut Conn, project_id: ProjectId, digest: &str) -> Result<Vec<Approval>> {
    conn.all(list_sql!("releases/list_approvals"), bind![project_id, digest]).await
}

/// The approvals of a request, oldest first.
pub async fn list_approvals_of_request(conn: &mut Conn, request: ApprovalRequestId) -> Result<Vec<Approval>> {
    conn.all(list_sql!("releases/list_approvals_of_request"), bind![request]).await
}

/// Records that a release was rolled back; a refusal that was lifted is in force again.
pub async fn refuse(tx: &mut Tx, refusal: &Refusal) -> Result<()> {
    tx.execute(
        sql!("releases/refuse"),
        bind![
            refusal.project_id,
            refusal.endpoint,
            refusal.release_digest,
            refusal.number,
            refusal.cause,
            refusal.wall_ms,
            refusal.project_ms
        ],
    )
    .await?;
    Ok(())
}

/// The newest refusal of a model version that is in force, in whichever release and at whichever endpoint.
pub async fn find_refusal(conn: &mut Conn, project_id: ProjectId, number: i64) -> Result<Option<Refusal>> {
    conn.optional(sql!("releases/find_refusal"), bind![project_id, number]).await
}

/// Lifts every refusal of a model version; returns how many were in force.
pub async fn lift_refusals(
    tx: &mut Tx,
    (project_id, number): (ProjectId, i64),
    by: &str,
    reason: &str,
    at_ms: i64,
) -> Result<u64> {
    tx.execute(sql!("releases/lift_refusals"), bind![project_id, number, by, reason, at_ms]).await
}
