//! Evidence: the facts that gates are evaluated over.

use perennial_core::entity::Evidence;
use perennial_core::id::{EvidenceId, StepRunId};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for Evidence {
    const TABLE: &'static str = "evidence";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            pipeline_run_id: row.get("pipeline_run_id")?,
            step_run_id: row.get("step_run_id")?,
            release_digest: row.get("release_digest")?,
            body: row.get("body")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
            expires_project_ms: row.get("expires_project_ms")?,
        })
    }
}

/// Inserts evidence.
pub async fn insert(tx: &mut Tx, evidence: &Evidence) -> Result<()> {
    tx.insert(
        sql!("evidence/insert"),
        bind![
            evidence.id,
            evidence.project_id,
            evidence.pipeline_run_id,
            evidence.step_run_id,
            evidence.release_digest,
            evidence.body,
            evidence.wall_ms,
            evidence.project_ms,
            evidence.expires_project_ms
        ],
        "evidence",
        evidence.id,
    )
    .await
}

/// A record of evidence; an error when there is none.
pub async fn get(conn: &mut Conn, id: EvidenceId) -> Result<Evidence> {
    conn.required(sql!("evidence/get"), bind![id], "evidence", id).await
}

/// The newest evidence an attempt measured.
pub async fn find_by_step_run(conn: &mut Conn, step_run_id: StepRunId) -> Result<Option<Evidence>> {
    conn.optional(sql!("evidence/find_by_step_run"), bind![step_run_id]).await
}
