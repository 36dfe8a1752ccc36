//! Results of monitors, by window.

pub use perennial_core::entity::{MonitorResult, MonitorResultKind};
use perennial_core::name::MonitorName;
use perennial_core::permission::Permission;
use perennial_core::{Error, Result};
use perennial_store::monitor_results as table;

use perennial_kernel::Caller;
use perennial_projects::ProjectState;

/// The monitors a project declares.
pub fn monitors(caller: &Caller, project: &ProjectState) -> Result<Vec<MonitorName>> {
    caller.require(Permission::Read, project.id)?;
    let submission = project.find_submission();
    Ok(submission.map(|submission| submission.project.monitors.keys().cloned().collect()).unwrap_or_default())
}

/// The latest revision of each result of a monitor, oldest window first; with `window_start_ms` every revision of that
/// window.
pub async fn list(
    caller: &Caller,
    project: &ProjectState,
    monitor: &MonitorName,
    window_start_ms: Option<i64>,
) -> Result<Vec<MonitorResult>> {
    let declared = monitors(caller, project)?;
    let mut reader = caller.kernel.store().read().await?;
    let found = match window_start_ms {
        Some(start) => table::list_revisions(&mut reader, project.id, monitor, start).await?,
        None => table::list(&mut reader, project.id, monitor).await?,
    };
    if found.is_empty() && !declared.contains(monitor) {
        return Err(Error::not_found("monitor", monitor));
    }
    Ok(found)
}
