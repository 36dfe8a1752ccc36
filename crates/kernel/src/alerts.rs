//! Alerts: firing, acknowledging and resolving them.

use std::collections::BTreeMap;

use perennial_core::clock::Instant;
use perennial_core::id::{AlertId, ProjectId};
use perennial_core::ledger::Chain;
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::permission::Permission;
use perennial_core::state::{AlertEvent, AlertState};
use perennial_core::{Error, Result};
use perennial_store::{Conn, Tx, alerts as table, lineage};
use serde_json::{Value, json};

use crate::Caller;
use crate::ledger::{LedgerEvent, Recorder};

pub use perennial_core::entity::{Alert, AlertSubject};
pub use perennial_store::Page;

/// Open alerts of one name about one thing that are read at once; those beyond are read the next time.
pub const OPEN_MAX: u32 = 1_000;

/// Alerts of a project, newest first.
pub async fn list(caller: &Caller, project: ProjectId, after: Option<&str>, limit: u32) -> Result<Page<Alert>> {
    caller.require(Permission::Read, project)?;
    Ok(table::list(&mut *caller.kernel.store().read().await?, project, after, limit).await?)
}

/// The newest `limit` alerts of a project that are firing, newest first.
pub async fn list_firing(caller: &Caller, project: ProjectId, limit: u32) -> Result<Vec<Alert>> {
    caller.require(Permission::Read, project)?;
    Ok(table::list_firing(&mut *caller.kernel.store().read().await?, project, limit).await?)
}

/// The number of alerts of a project that are firing.
pub async fn count_firing(caller: &Caller, project: ProjectId) -> Result<u64> {
    caller.require(Permission::Read, project)?;
    Ok(table::count_firing(&mut *caller.kernel.store().read().await?, project).await?)
}

/// The number of alerts that are firing, of each project that the caller may read and that has some.
pub async fn count_firing_by_project(caller: &Caller) -> Result<BTreeMap<ProjectId, u64>> {
    let counts = table::count_firing_by_project(&mut *caller.kernel.store().read().await?).await?;
    Ok(caller.readable_counts(counts))
}

/// An alert that fires at `at` about a subject, identified by its name and the start of its window.
pub fn new(
    project: ProjectId,
    at: Instant,
    (subject, name, window_start_ms): (AlertSubject, &str, i64),
    facts: Value,
    message: String,
) -> Alert {
    Alert {
        id: AlertId::generate(),
        project_id: project,
        subject,
        name: name.to_owned(),
        window_start_ms,
        number: None,
        expression: None,
        facts,
        message,
        state: AlertState::Firing,
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
        settled_ms: None,
    }
}

/// The lineage node of an alert.
pub fn node(id: AlertId) -> Node {
    Node::new(NodeKind::Alert, id)
}

/// Fires an alert once for its subject, name and window, with a lineage edge `from` its cause. Returns whether it is new.
pub async fn fire(caller: &Caller, alert: Alert, from: Option<&Node>) -> Result<bool> {
    let (by, from) = (Recorder::new(caller, Some(alert.project_id)).await?, from.cloned());
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let Some(change) = fire_in(tx, &alert, from.as_ref()).await? else { return Ok(false) };
                by.record(tx, change).await?;
                Ok(true)
            })
        })
        .await
}

/// Fires an alert within a transaction; returns the event to record when it is new.
pub async fn fire_in(tx: &mut Tx, alert: &Alert, from: Option<&Node>) -> Result<Option<LedgerEvent>> {
    if !table::fire(tx, alert).await? {
        return Ok(None);
    }
    if let Some(from) = from {
        lineage::add(tx, alert.project_id, from, &node(alert.id), alert.wall_ms).await?;
    }
    let payload = json!({ "subject": alert.subject, "name": alert.name, "message": alert.message });
    Ok(Some(LedgerEvent {
        chain: Chain::Project(alert.project_id),
        noun: "alert",
        subject: alert.id.to_string(),
        verb: "fire",
        payload,
    }))
}

/// Records that a person has seen an alert.
pub async fn acknowledge(caller: &Caller, project: ProjectId, id: AlertId) -> Result<Alert> {
    caller.require(Permission::Write, project)?;
    let alert = table::get(&mut *caller.kernel.store().read().await?, id).await?;
    if alert.project_id != project {
        return Err(Error::not_found("alert", id));
    }
    apply(caller, alert, AlertEvent::Acknowledge).await?;
    Ok(table::get(&mut *caller.kernel.store().read().await?, id).await?)
}

/// Resolves the open alerts of a name about one thing whose window `is_past`: a newer window was evaluated.
pub async fn resolve_past(
    caller: &Caller,
    project: ProjectId,
    (subject, name): (&AlertSubject, &str),
    is_past: impl Fn(i64) -> bool,
) -> Result<()> {
    for alert in list_past(caller, project, (subject, name), is_past).await? {
        apply(caller, alert, AlertEvent::Resolve).await?;
    }
    Ok(())
}

/// The open alerts of a name about one thing whose window `is_past`, among the first [`OPEN_MAX`].
pub async fn list_past(
    caller: &Caller,
    project: ProjectId,
    (subject, name): (&AlertSubject, &str),
    is_past: impl Fn(i64) -> bool,
) -> Result<Vec<Alert>> {
    list_past_in(&mut *caller.kernel.store().read().await?, project, (subject, name), is_past).await
}

async fn list_past_in(
    conn: &mut Conn,
    project: ProjectId,
    about: (&AlertSubject, &str),
    is_past: impl Fn(i64) -> bool,
) -> Result<Vec<Alert>> {
    let mut open = table::list_open_about(conn, project, about, OPEN_MAX).await?;
    open.retain(|alert| is_past(alert.window_start_ms));
    Ok(open)
}

/// [`resolve_past`] within a transaction; returns the events to record.
pub async fn resolve_past_in(
    tx: &mut Tx,
    project: ProjectId,
    about: (&AlertSubject, &str),
    is_past: impl Fn(i64) -> bool,
    wall_ms: i64,
) -> Result<Vec<LedgerEvent>> {
    let mut events = Vec::new();
    for alert in list_past_in(tx, project, about, is_past).await? {
        events.push(apply_in(tx, &alert, AlertEvent::Resolve, wall_ms).await?);
    }
    Ok(events)
}

/// Takes an alert through an event; resolving one that is resolved does nothing.
pub async fn apply(caller: &Caller, alert: Alert, event: AlertEvent) -> Result<()> {
    let by = Recorder::new(caller, Some(alert.project_id)).await?;
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                // Another task may have resolved it.
                if event == AlertEvent::Resolve && table::get(tx, alert.id).await?.state == AlertState::Resolved {
                    return Ok(());
                }
                let change = apply_in(tx, &alert, event, by.at.wall_ms).await?;
                by.record(tx, change).await
            })
        })
        .await
}

/// Takes an alert through an event within a transaction; returns the event to record.
pub async fn apply_in(tx: &mut Tx, alert: &Alert, event: AlertEvent, wall_ms: i64) -> Result<LedgerEvent> {
    table::apply(tx, alert.id, event, wall_ms).await?;
    Ok(LedgerEvent {
        chain: Chain::Project(alert.project_id),
        noun: "alert",
        subject: alert.id.to_string(),
        verb: match event {
            AlertEvent::Acknowledge => "acknowledge",
            AlertEvent::Resolve => "resolve",
        },
        payload: json!({ "alert": alert.id }),
    })
}
