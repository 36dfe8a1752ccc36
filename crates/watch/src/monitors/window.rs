//! The windows of a monitor.

use std::sync::Arc;

use perennial_config::Monitor;
use perennial_core::Result;
use perennial_core::calendar::{Duration, Window};
use perennial_core::entity::{AlertSubject, Endpoint, MonitorResult, MonitorResultKind};
use perennial_core::name::MonitorName;
use perennial_store::{endpoints, monitor_results, promotions};
use serde_json::json;

use perennial_kernel::Caller;
use perennial_projects::{ProjectState, Submission};

use crate::watch::Watch;

/// The closed windows that are evaluated again, at least: predictions and outcomes may still arrive.
pub(super) const OPEN_WINDOWS_MIN: usize = 3;
/// The closed windows that are evaluated again, at most, however long the label delay is.
const OPEN_WINDOWS_MAX: usize = 400;

/// One monitor at one closed window.
pub(super) struct MonitorWindow<'a> {
    pub(super) watch: &'a Watch,
    pub(super) caller: &'a Caller,
    pub(super) project: &'a Arc<ProjectState>,
    pub(super) submission: &'a Submission,
    pub(super) name: &'a MonitorName,
    pub(super) monitor: &'a Monitor,
    pub(super) endpoint: Endpoint,
    pub(super) window: Window,
    /// The latest results of the window.
    pub(super) results: Vec<MonitorResult>,
}

/// How long outcomes are waited for; without end when the project file does not limit it.
pub(super) fn label_delay(submission: &Submission) -> Option<&Duration> {
    submission.project.task.as_ref()?.label_delay.as_ref()
}

/// The endpoint of a monitor and the instant of its first promotion, once it has a champion.
pub(super) async fn find_endpoint(
    caller: &Caller,
    project: &ProjectState,
    monitor: &Monitor,
) -> Result<Option<(Endpoint, i64)>> {
    let mut reader = caller.kernel.store().read().await?;
    let found = endpoints::find(&mut reader, project.id, &monitor.endpoint).await?;
    let Some(endpoint) = found.filter(|endpoint| endpoint.champion_number.is_some()) else { return Ok(None) };
    let since = promotions::first_ms(&mut reader, project.id, &monitor.endpoint).await?;
    Ok(since.map(|since| (endpoint, since)))
}

/// The closed windows since the first promotion whose label delay has not ended, and in any case the latest
/// [`OPEN_WINDOWS_MIN`]; oldest first.
pub(super) fn closed_windows(monitor: &Monitor, submission: &Submission, since: i64, now: i64) -> Vec<Window> {
    let awaits_outcomes =
        |window: Window| label_delay(submission).is_none_or(|delay| delay.after(window.end_ms, &submission.zone) > now);
    let mut windows = Vec::new();
    let mut window = Window::containing(now, &monitor.window, &submission.zone);
    loop {
        window = window.previous(&monitor.window, &submission.zone);
        if window.end_ms <= since
            || windows.len() >= OPEN_WINDOWS_MAX
            || windows.len() >= OPEN_WINDOWS_MIN && !awaits_outcomes(window)
        {
            break;
        }
        windows.push(window);
    }
    windows.reverse();
    windows
}

/// The latest results of one window.
pub(super) async fn results_of(
    caller: &Caller,
    project: &ProjectState,
    name: &MonitorName,
    window: Window,
) -> Result<Vec<MonitorResult>> {
    let mut reader = caller.kernel.store().read().await?;
    Ok(monitor_results::list_of_window(&mut reader, project.id, name, window.start_ms).await?)
}

/// Whether the quality of every version with predictions in the window is known.
pub(super) fn is_quality_known(results: &[MonitorResult]) -> bool {
    let is_known =
        |number| results.iter().any(|known| known.number == number && known.kind == MonitorResultKind::Quality);
    !results.is_empty()
        && results.iter().all(|result| result.facts["result"]["rows"] == json!(0) || is_known(result.number))
}

/// The subject of alerts about windows of a monitor that could not be evaluated.
pub(super) fn failure_subject(monitor: &MonitorName) -> AlertSubject {
    AlertSubject::Window(monitor.clone())
}
