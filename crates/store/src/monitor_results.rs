//! Results of monitors by window, and what they are compared with.

use perennial_core::id::ProjectId;
use perennial_core::name::MonitorName;

use crate::Json;
use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

words! {
    /// What a result judges.
    ResultKind, "kind of monitor result" {
        /// Inputs and scores.
        Inputs = "inputs",
        /// Quality against outcomes.
        Quality = "quality",
    }
}

/// What one version answered in one window. A later look is a new revision, never an edit.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorResult {
    /// The project.
    pub project_id: ProjectId,
    /// The monitor.
    pub monitor: MonitorName,
    /// Start of the window, epoch milliseconds.
    pub window_start_ms: i64,
    /// End of the window, exclusive.
    pub window_end_ms: i64,
    /// The model version judged.
    pub number: i64,
    /// What was judged.
    pub kind: ResultKind,
    /// From 1.
    pub revision: i64,
    /// What was seen.
    pub facts: Json,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}

impl Record for MonitorResult {
    const TABLE: &'static str = "monitor_results";
    const KEY: &'static [&'static str] = &["monitor", "window_start_ms", "number", "revision"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            project_id: row.get("project_id")?,
            monitor: row.get("monitor")?,
            window_start_ms: row.get("window_start_ms")?,
            window_end_ms: row.get("window_end_ms")?,
            number: row.get("number")?,
            kind: row.get("kind")?,
            revision: row.get("revision")?,
            facts: row.get("facts")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
        })
    }
}

/// What a monitor compares a release with, fixed when it was released.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The project.
    pub project_id: ProjectId,
    /// The release.
    pub release_digest: String,
    /// Distributions and measures.
    pub body: Json,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
}

impl Record for Reference {
    const TABLE: &'static str = "monitor_references";
    const KEY: &'static [&'static str] = &["release_digest"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            project_id: row.get("project_id")?,
            release_digest: row.get("release_digest")?,
            body: row.get("body")?,
            wall_ms: row.get("wall_ms")?,
        })
    }
}

/// Inserts a result; an error when its revision is there.
pub async fn insert(tx: &mut Tx, result: &MonitorResult) -> Result<()> {
    tx.insert(
        sql!("monitor_results/insert"),
        bind![
            result.project_id,
            result.monitor,
            result.window_start_ms,
            result.window_end_ms,
            result.number,
            result.kind,
            result.revision,
            result.facts,
            result.wall_ms,
            result.project_ms
        ],
        "monitor result",
        format!("{}/{}/{}", result.monitor, result.window_start_ms, result.number),
    )
    .await
}

/// The newest revision of every result of a monitor, oldest window first.
pub async fn list(conn: &mut Conn, project_id: ProjectId, monitor: &MonitorName) -> Result<Vec<MonitorResult>> {
    conn.all(sql!("monitor_results/list"), bind![project_id, monitor]).await
}

/// The newest revision of every result of one window.
pub async fn list_of_window(
    conn: &mut Conn,
    project_id: ProjectId,
    monitor: &MonitorName,
    window_start_ms: i64,
) -> Result<Vec<MonitorResult>> {
    conn.all(sql!("monitor_results/list_of_window"), bind![project_id, monitor, window_start_ms]).await
}

/// Every revision of every result of one window.
pub async fn list_revisions(
    conn: &mut Conn,
    project_id: ProjectId,
    monitor: &MonitorName,
    window_start_ms: i64,
) -> Result<Vec<MonitorResult>> {
    conn.all(sql!("monitor_results/list_revisions"), bind![project_id, monitor, window_start_ms]).await
}

/// Fixes the reference of a release.
pub async fn insert_reference(tx: &mut Tx, reference: &Reference) -> Result<()> {
    tx.insert(
        sql!("monitor_results/insert_reference"),
        bind![reference.project_id, reference.release_digest, reference.body, reference.wall_ms],
        "reference",
        &reference.release_digest,
    )
    .await
}

/// The reference of a release.
pub async fn find_reference(conn: &mut Conn, project_id: ProjectId, release_digest: &str) -> Result<Option<Reference>> {
    conn.optional(sql!("monitor_results/find_reference"), bind![project_id, release_digest]).await
}
