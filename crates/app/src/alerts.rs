//! Alerts: what needs a look, and that somebody looked.

use std::sync::Arc;

use perennial_core::id::AlertId;
use perennial_core::permission::Permission;
use perennial_core::state::AlertEvent;
use perennial_core::{Error, Result};
use perennial_store::alerts as table;
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
    let (at, actor, project_id) = (caller.app.now(project), caller.principal.name.clone(), project.id);
    caller
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                table::apply(tx, id, AlertEvent::Acknowledge, at.wall_ms).await?;
                let payload = json!({ "alert": id });
                let entry = Entry {
                    project: project_id,
                    noun: "alert",
                    subject: id.to_string(),
                    verb: "acknowledge",
                    actor: &actor,
                    cause: None,
                    at,
                    payload,
                };
                record(tx, entry).await
            })
        })
        .await?;
    Ok(table::get(&mut *caller.app.store().read().await?, id).await?)
}
