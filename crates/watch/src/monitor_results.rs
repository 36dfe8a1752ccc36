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

/// The newest windows of a monitor that are listed.
pub const WINDOWS_MAX: u32 = 1_000;
/// The newest revisions of results of one window that are listed.
pub const REVISIONS_MAX: u32 = 1_000;

/// The latest revision of each result in the newest [`WINDOWS_MAX`] windows of a monitor, oldest window first; with
/// `window_start_ms` the revisions of that window, the newest [`REVISIONS_MAX`].
pub async fn list(
    caller: &Caller,
    project: &ProjectState,
    monitor: &MonitorName,
    window_start_ms: Option<i64>,
) -> Result<Vec<MonitorResult>> {
    let declared = monitors(caller, project)?;
    let mut reader = caller.kernel.store().read().await?;
    let found = match window_start_ms {
        Some(start) => table::list_revisions(&mut reader, project.id, monitor, start, REVISIONS_MAX).await?,
        None => table::list(&mut reader, project.id, monitor, None, WINDOWS_MAX).await?,
    };
    if found.is_empty() && !declared.contains(monitor) {
        return Err(Error::not_found("monitor", monitor));
    }
    Ok(found)
}

/// The results of a kind in the latest window of each declared monitor that has one.
pub async fn list_latest(
    caller: &Caller,
    project: &ProjectState,
    kind: MonitorResultKind,
) -> Result<Vec<MonitorResult>> {
    let declared = monitors(caller, project)?;
    Ok(table::list_latest(&mut *caller.kernel.store().read().await?, project.id, &declared, kind).await?)
}
