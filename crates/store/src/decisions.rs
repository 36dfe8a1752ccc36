//! Decisions: the gates' answers about candidates.

use perennial_core::entity::Decision;
use perennial_core::id::{DecisionId, EvidenceId, ModelId, ProjectId};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::page::{NEWEST, Page, rows_for};
use crate::row::{Record, Row};

impl Record for Decision {
    const TABLE: &'static str = "decisions";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            pipeline_run_id: row.get("pipeline_run_id")?,
            evidence_id: row.get("evidence_id")?,
            release_digest: row.get("release_digest")?,
            model_id: row.get("model_id")?,
            number: row.get("number")?,
            champion_number: row.get("champion_number")?,
            verdict: row.get("verdict")?,
            body: row.get("body")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
        })
    }
}

/// Inserts a decision.
pub async fn insert(tx: &mut Tx, decision: &Decision) -> Result<()> {
    tx.insert(
        sql!("decisions/insert"),
        bind![
            decision.id,
            decision.project_id,
            decision.pipeline_run_id,
            decision.evidence_id,
            decision.release_digest,
            decision.model_id,
            decision.number,
            decision.champion_number,
            decision.verdict,
            decision.body,
            decision.wall_ms,
            decision.project_ms
        ],
        "decision",
        decision.id,
    )
    .await
}

/// A decision; an error when there is none.
pub async fn get(conn: &mut Conn, id: DecisionId) -> Result<Decision> {
    conn.required(sql!("decisions/get"), bind![id], "decision", id).await
}

/// Decisions of a project, newest first.
pub async fn list(conn: &mut Conn, project_id: ProjectId, after: Option<&str>, limit: u32) -> Result<Page<Decision>> {
    let (after, rows) = (after.unwrap_or(NEWEST), rows_for(limit));
    let values = bind![project_id, after, rows];
    let items = conn.all(list_sql!("decisions/list"), values).await?;
    Ok(Page::cut(items, limit, |item: &Decision| item.id.to_string()))
}

/// The newest `limit` Decisions about a release, newest first.
pub async fn list_of_release(
    conn: &mut Conn,
    project_id: ProjectId,
    digest: &str,
    limit: u32,
) -> Result<Vec<Decision>> {
    conn.all(list_sql!("decisions/list_of_release"), bind![project_id, digest, i64::from(limit)]).await
}

/// The newest Decision about a release.
pub async fn find_latest_of_release(conn: &mut Conn, project_id: ProjectId, digest: &str) -> Result<Option<Decision>> {
    Ok(list_of_release(conn, project_id, digest, 1).await?.pop())
}

/// The newest Decision about a release over one record of evidence.
pub async fn find_by_evidence(
    conn: &mut Conn,
    project_id: ProjectId,
    digest: &str,
    evidence_id: EvidenceId,
) -> Result<Option<Decision>> {
    conn.optional(sql!("decisions/find_by_evidence"), bind![project_id, digest, evidence_id]).await
}

/// The newest `limit` Decisions about a model version, newest first.
pub async fn list_of_version(conn: &mut Conn, model_id: ModelId, number: i64, limit: u32) -> Result<Vec<Decision>> {
    conn.all(list_sql!("decisions/list_of_version"), bind![model_id, number, i64::from(limit)]).await
}
