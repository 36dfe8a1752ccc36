//! Alerts: messages that something needs attention.

use std::collections::BTreeMap;

use perennial_core::entity::{Alert, AlertSubject};
use perennial_core::id::{AlertId, ProjectId};
use perennial_core::state::{AlertEvent, AlertState};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::page::{NEWEST, Page, rows_for};
use crate::project_counts;
use crate::row::{Record, Row};

impl Record for Alert {
    const TABLE: &'static str = "alerts";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            subject: row.get("subject")?,
            name: row.get("name")?,
            window_start_ms: row.get("window_start_ms")?,
            number: row.get("number")?,
            expression: row.get("expression")?,
            facts: row.get("facts")?,
            message: row.get("message")?,
            state: row.get("state")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
            settled_ms: row.get("settled_ms")?,
        })
    }
}

/// Fires an alert; returns whether it is new: it fires once for each subject, name and window.
pub async fn fire(tx: &mut Tx, alert: &Alert) -> Result<bool> {
    let values = bind![
        alert.id,
        alert.project_id,
        alert.subject,
        alert.name,
        alert.window_start_ms,
        alert.number,
        alert.expression,
        alert.facts,
        alert.message,
        alert.state,
        alert.wall_ms,
        alert.project_ms,
        alert.settled_ms
    ];
    Ok(tx.execute(sql!("alerts/fire"), values).await? == 1)
}

/// An alert; an error when there is none.
pub async fn get(conn: &mut Conn, id: AlertId) -> Result<Alert> {
    conn.required(sql!("alerts/get"), bind![id], "alert", id).await
}

/// Alerts of a project, newest first.
pub async fn list(conn: &mut Conn, project_id: ProjectId, after: Option<&str>, limit: u32) -> Result<Page<Alert>> {
    let (after, rows) = (after.unwrap_or(NEWEST), rows_for(limit));
    let values = bind![project_id, after, rows];
    let items = conn.all(list_sql!("alerts/list"), values).await?;
    Ok(Page::cut(items, limit, |item: &Alert| item.id.to_string()))
}

/// Alerts of a project that are not resolved, oldest first.
pub async fn list_open(conn: &mut Conn, project_id: ProjectId, after: Option<&str>, limit: u32) -> Result<Page<Alert>> {
    let (after, rows) = (after.unwrap_or_default(), rows_for(limit));
    let values = bind![project_id, after, rows];
    let items = conn.all(list_sql!("alerts/list_open"), values).await?;
    Ok(Page::cut(items, limit, |item: &Alert| item.id.to_string()))
}

/// Alerts of one name about one thing that are not resolved: the first `limit` by window.
pub async fn list_open_about(
    conn: &mut Conn,
    project_id: ProjectId,
    (subject, name): (&AlertSubject, &str),
    limit: u32,
) -> Result<Vec<Alert>> {
    conn.all(list_sql!("alerts/list_open_about"), bind![project_id, subject, name, i64::from(limit)]).await
}

/// The newest `limit` alerts of a project that are firing, newest first.
pub async fn list_firing(conn: &mut Conn, project_id: ProjectId, limit: u32) -> Result<Vec<Alert>> {
    conn.all(list_sql!("alerts/list_firing"), bind![project_id, i64::from(limit)]).await
}

/// The number of alerts of a project that are firing.
pub async fn count_firing(conn: &mut Conn, project_id: ProjectId) -> Result<u64> {
    let count: Option<i64> = conn.scalar(sql!("alerts/count_firing"), bind![project_id]).await?;
    Ok(count.unwrap_or_default() as u64)
}

/// The number of alerts that are firing, of each project that has some.
pub async fn count_firing_by_project(conn: &mut Conn) -> Result<BTreeMap<ProjectId, u64>> {
    project_counts::read(conn, list_sql!("alerts/count_firing_by_project")).await
}

/// Takes an alert through an event; gives its new state.
pub async fn apply(tx: &mut Tx, id: AlertId, event: AlertEvent, at_ms: i64) -> Result<AlertState> {
    let state = get(tx, id).await?.state;
    let next = state.transition(event)?;
    let settled_ms = (next == AlertState::Resolved).then_some(at_ms);
    tx.compare_and_swap(sql!("alerts/set_state"), bind![id, state, next, settled_ms], "alert", id).await?;
    Ok(next)
}
