//! Results of monitors by window, and what they are compared with.

use perennial_core::entity::{MonitorReference, MonitorResult, MonitorResultKind};
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

/// The newest revision of every result of the newest `windows` windows of a monitor that begin before an instant
/// (`None`: the newest of all), oldest window first.
pub async fn list(
    conn: &mut Conn,
    project_id: ProjectId,
    monitor: &MonitorName,
    before_ms: Option<i64>,
    windows: u32,
) -> Result<Vec<MonitorResult>> {
    let (before_ms, windows) = (before_ms.unwrap_or(i64::MAX), i64::from(windows));
    let values = bind![project_id, monitor, before_ms, windows];
    conn.all(list_sql!("monitor_results/list"), values).await
}

/// Of each of these monitors, the newest revision of every result of its latest window that has results of that kind.
pub async fn list_latest(
    conn: &mut Conn,
    project_id: ProjectId,
    monitors: &[MonitorName],
    kind: MonitorResultKind,
) -> Result<Vec<MonitorResult>> {
    let names = serde_json::json!(monitors.iter().map(ToString::to_string).collect::<Vec<_>>());
    conn.all(list_sql_split!("monitor_results/list_latest"), bind![project_id, names, kind]).await
}

/// The newest revision of every result of one window.
pub async fn list_of_window(
    conn: &mut Conn,
    project_id: ProjectId,
    monitor: &MonitorName,
    window_start_ms: i64,
) -> Result<Vec<MonitorResult>> {
    conn.all(list_sql!("monitor_results/list_of_window"), bind![project_id, monitor, window_start_ms]).await
}

/// The revisions of every result of one window, the latest `limit` of them, by version, kind and revision.
pub async fn list_revisions(
    conn: &mut Conn,
    project_id: ProjectId,
    monitor: &MonitorName,
    window_start_ms: i64,
    limit: u32,
) -> Result<Vec<MonitorResult>> {
    let limit = i64::from(limit);
    let values = bind![project_id, monitor, window_start_ms, limit];
    let mut latest: Vec<MonitorResult> = conn.all(list_sql!("monitor_results/list_revisions"), values).await?;
    latest.sort_by_key(|result| (result.number, result.kind, result.revision));
    Ok(latest)
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
