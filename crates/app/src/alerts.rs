//! Alerts: what needs a look, and that somebody looked.

use std::sync::Arc;

use perennial_core::id::AlertId;
use perennial_core::ledger::Chain;
use perennial_core::name::DatasetName;
use perennial_core::permission::Permission;
use perennial_core::state::{AlertEvent, AlertState, LoadState};
use perennial_core::{Error, Result};
use perennial_store::lineage::{Node, NodeKind};
use perennial_store::{Tx, alerts as table, datasets, lineage, loads};
use serde_json::{Value, json};

use crate::app::Caller;
use crate::ledger::{By, Change};
use crate::project::ProjectState;

pub use perennial_store::Page;
pub use perennial_store::alerts::Alert;

/// Alerts of a project, newest first.
pub async fn list(caller: &Caller, project: &ProjectState, after: Option<&str>, limit: u32) -> Result<Page<Alert>> {
    caller.require(Permission::Read, project)?;
    Ok(table::list(&mut *caller.app.store().read().await?, project.id, after, limit).await?)
}

/// An alert that fires now about a subject, by its name and the start of its window.
pub(crate) fn new(
    caller: &Caller,
    project: &ProjectState,
    (subject, name, window_start_ms): (String, &str, i64),
    facts: Value,
    message: String,
) -> Alert {
    let at = caller.app.now(project);
    Alert {
        id: AlertId::generate(),
        project_id: project.id,
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
pub(crate) fn node(id: AlertId) -> Node {
    Node::new(NodeKind::Alert, id)
}

/// Fires an alert once for its subject, name and window, made `from` what was seen; tells whether it is new.
pub(crate) async fn fire(caller: &Caller, alert: Alert, from: Option<&Node>) -> Result<bool> {
    let (by, from) = (By::new(caller, Some(alert.project_id)).await?, from.cloned());
    caller
        .app
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

/// The same within a transaction; gives the entry that is owed when it is new.
pub(crate) async fn fire_in(tx: &mut Tx, alert: &Alert, from: Option<&Node>) -> Result<Option<Change>> {
    if !table::fire(tx, alert).await? {
        return Ok(None);
    }
    if let Some(from) = from {
        lineage::add(tx, alert.project_id, from, &node(alert.id), alert.wall_ms).await?;
    }
    let payload = json!({ "subject": alert.subject, "name": alert.name, "message": alert.message });
    Ok(Some(Change {
        chain: Chain::Project(alert.project_id),
        noun: "alert",
        subject: alert.id.to_string(),
        verb: "fire",
        payload,
    }))
}

/// Notes that a person has seen an alert.
pub async fn acknowledge(caller: &Caller, project: &Arc<ProjectState>, id: AlertId) -> Result<Alert> {
    caller.require(Permission::Write, project)?;
    let alert = table::get(&mut *caller.app.store().read().await?, id).await?;
    if alert.project_id != project.id {
        return Err(Error::not_found("alert", id));
    }
    apply(caller, alert, AlertEvent::Acknowledge).await?;
    Ok(table::get(&mut *caller.app.store().read().await?, id).await?)
}

/// Resolves alerts about loads that are no longer held, sources that have delivered since, and files of datasets that
/// are declared no more.
pub(crate) async fn resolve_gone(caller: &Caller, project: &ProjectState) -> Result<()> {
    for alert in table::list_open(&mut *caller.app.store().read().await?, project.id).await? {
        let mut reader = caller.app.store().read().await?;
        let is_gone = match alert.subject.split_once(':') {
            Some(("load", id)) => loads::get(&mut reader, id.parse()?).await?.state != LoadState::Held,
            Some(("dataset", name)) => match datasets::find_by_name(&mut reader, project.id, &name.parse()?).await? {
                Some(dataset) => loads::find_latest_arrival(&mut reader, dataset.id)
                    .await?
                    .is_some_and(|load| load.project_ms > alert.window_start_ms),
                None => true,
            },
            Some(("file", path)) => {
                let dataset = path.split('/').next().unwrap_or_default();
                let is_named = |name: &DatasetName| name.as_str() == dataset;
                project.find_submission().is_some_and(|now| !now.project.datasets.keys().any(is_named))
            }
            _ => false,
        };
        drop(reader);
        if is_gone {
            apply(caller, alert, AlertEvent::Resolve).await?;
        }
    }
    Ok(())
}

/// Resolves the open alerts whose subject begins so, as far as they are over by their subject and window.
pub(crate) async fn resolve_of(
    caller: &Caller,
    project: &ProjectState,
    subjects: &str,
    is_over: impl Fn(&str, i64) -> bool,
) -> Result<()> {
    for alert in table::list_open(&mut *caller.app.store().read().await?, project.id).await? {
        if alert.subject.starts_with(subjects) && is_over(&alert.subject, alert.window_start_ms) {
            apply(caller, alert, AlertEvent::Resolve).await?;
        }
    }
    Ok(())
}

/// Resolves the open alerts of a name about one thing whose window `is_past`: a newer window was judged.
pub(crate) async fn resolve_past(
    caller: &Caller,
    project: &ProjectState,
    (subject, name): (&str, &str),
    is_past: impl Fn(i64) -> bool,
) -> Result<()> {
    for alert in list_past(caller, project, (subject, name), is_past).await? {
        apply(caller, alert, AlertEvent::Resolve).await?;
    }
    Ok(())
}

/// The open alerts of a name about one thing whose window `is_past`.
pub(crate) async fn list_past(
    caller: &Caller,
    project: &ProjectState,
    (subject, name): (&str, &str),
    is_past: impl Fn(i64) -> bool,
) -> Result<Vec<Alert>> {
    let mut known = table::list_of_subject(&mut *caller.app.store().read().await?, project.id, subject).await?;
    known.retain(|alert| alert.name == name && alert.state != AlertState::Resolved && is_past(alert.window_start_ms));
    Ok(known)
}

async fn apply(caller: &Caller, alert: Alert, event: AlertEvent) -> Result<()> {
    let by = By::new(caller, Some(alert.project_id)).await?;
    caller
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let change = apply_in(tx, &alert, event, by.at.wall_ms).await?;
                by.record(tx, change).await
            })
        })
        .await
}

/// Takes an alert through an event within a transaction; gives the entry that is owed.
pub(crate) async fn apply_in(tx: &mut Tx, alert: &Alert, event: AlertEvent, wall_ms: i64) -> Result<Change> {
    table::apply(tx, alert.id, event, wall_ms).await?;
    Ok(Change {
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
