//! Alerts: what needs a look, and that somebody looked.

use std::sync::Arc;

use perennial_core::id::AlertId;
use perennial_core::permission::Permission;
use perennial_core::state::{AlertEvent, AlertState, LoadState};
use perennial_core::{Error, Result};
use perennial_store::{alerts as table, datasets, loads};
use serde_json::json;

use crate::app::{Caller, Entry, record};
use crate::project::ProjectState;

pub use perennial_store::Page;
pub use perennial_store::alerts::Alert;

/// Alerts of a project, newest first.
pub async fn list(caller: &Caller, project: &ProjectState, after: Option<&str>, limit: u32) -> Result<Page<Alert>> {
    caller.require(Permission::Read, project)?;
    Ok(table::list(&mut *caller.app.store().read().await?, project.id, after, limit).await?)
}

/// Notes that a person has seen an alert.
pub async fn acknowledge(caller: &Caller, project: &Arc<ProjectState>, id: AlertId) -> Result<Alert> {
    caller.require(Permission::Write, project)?;
    let alert = table::get(&mut *caller.app.store().read().await?, id).await?;
    if alert.project_id != project.id {
        return Err(Error::not_found("alert", id));
    }
    apply(caller, project, id, AlertEvent::Acknowledge, "acknowledge").await?;
    Ok(table::get(&mut *caller.app.store().read().await?, id).await?)
}

/// Resolves alerts about loads that are no longer held, and about sources that have delivered since.
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
            _ => false,
        };
        drop(reader);
        if is_gone {
            apply(caller, project, alert.id, AlertEvent::Resolve, "resolve").await?;
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
    let known = table::list_of_subject(&mut *caller.app.store().read().await?, project.id, subject).await?;
    let open = known.into_iter().filter(|alert| alert.name == name && alert.state != AlertState::Resolved);
    for alert in open.filter(|alert| is_past(alert.window_start_ms)) {
        apply(caller, project, alert.id, AlertEvent::Resolve, "resolve").await?;
    }
    Ok(())
}

async fn apply(
    caller: &Caller,
    project: &ProjectState,
    id: AlertId,
    event: AlertEvent,
    verb: &'static str,
) -> Result<()> {
    let (at, actor, project_id) = (caller.app.now(project), caller.principal.name.clone(), project.id);
    caller
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                table::apply(tx, id, event, at.wall_ms).await?;
                let payload = json!({ "alert": id });
                let entry = Entry {
                    project: project_id,
                    noun: "alert",
                    subject: id.to_string(),
                    verb,
                    actor: &actor,
                    cause: None,
                    at,
                    payload,
                };
                record(tx, entry).await
            })
        })
        .await
}
