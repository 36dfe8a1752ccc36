//! Results of monitors by window, and what they are compared with.

use perennial_core::entity::{MonitorReference, MonitorResult};
use perennial_core::id::ProjectId;
use perennial_core::name::MonitorName;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

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

impl Record for MonitorReference {
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
pub async fn insert_reference(tx: &mut Tx, reference: &MonitorReference) -> Result<()> {
    tx.insert(
        sql!("monitor_results/insert_reference"),
        bind![reference.project_id, reference.release_digest, reference.body, reference.wall_ms],
        "reference",
        &reference.release_digest,
    )
    .await
}

/// The reference of a release.
pub async fn find_reference(
    conn: &mut Conn,
    project_id: ProjectId,
    release_digest: &str,
) -> Result<Option<MonitorReference>> {
    conn.optional(sql!("monitor_results/find_reference"), bind![project_id, release_digest]).await
}
