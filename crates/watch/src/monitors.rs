//! Monitors evaluate each closed window of an endpoint, by version: inputs when the window closes, quality once its
//! outcomes are known.

mod evaluate;
mod measure;
mod refresh;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use perennial_config::Monitor;
use perennial_core::calendar::Window;
use perennial_core::name::MonitorName;
use perennial_core::{Error, Result};

use perennial_ingest::predictions::INGEST_FAILED;
use perennial_ingest::snapshot::DatasetSnapshot;
use perennial_kernel::{Caller, alerts};
use perennial_projects::{ProjectState, Submission};

use crate::watch::Watch;

use window::{
    MonitorWindow, OPEN_WINDOWS_MIN, closed_windows, failure_subject, find_endpoint, is_quality_known, label_delay,
    results_of,
};

/// The outcome of evaluating every monitor.
pub(crate) struct Evaluated {
    /// A message for each alert that fired, and an error for each window that could not be evaluated.
    pub messages: Vec<Result<String>>,
    /// Whether quality waits for `[task].data`, which is being brought up to date.
    pub waits_for_data: bool,
}

impl Watch {
    /// The next instant after `from` at which a window of a monitor closes or the label delay of an earlier one ends.
    pub(crate) async fn next_window_due(
        &self,
        caller: &Caller,
        project: &ProjectState,
        submission: &Submission,
        from: i64,
    ) -> Result<Option<i64>> {
        let mut due = Vec::new();
        for (name, monitor) in &submission.project.monitors {
            let Some((_, since)) = find_endpoint(caller, project, monitor).await? else { continue };
            due.push(Window::containing(from, &monitor.window, &submission.zone).end_ms);
            let Some(delay) = label_delay(submission) else { continue };
            for window in closed_windows(monitor, submission, since, from) {
                let delay_ends = delay.after(window.end_ms, &submission.zone);
                if delay_ends > from && !is_quality_known(&results_of(caller, project, name, window).await?) {
                    due.push(delay_ends);
                }
            }
        }
        Ok(due.into_iter().filter(|due| *due > from).min())
    }

    /// Evaluates every window that can be evaluated now. An error in one affects no other.
    pub(crate) async fn evaluate_monitors(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: &Submission,
    ) -> Evaluated {
        let mut evaluated = Evaluated { messages: Vec::new(), waits_for_data: false };
        let mut open = Vec::new();
        // Starts of the windows that may still not be evaluated, by monitor.
        let mut failed: BTreeMap<&MonitorName, Vec<i64>> = BTreeMap::new();
        for (name, monitor) in &submission.project.monitors {
            match open_windows(self, caller, project, submission, (name, monitor)).await {
                Ok(windows) => {
                    failed.insert(name, Vec::new());
                    open.extend(windows);
                }
                Err(error) => evaluated.messages.push(Err(error)),
            }
        }
        if open.is_empty() {
            evaluated.messages.extend(resolve_failures(caller, project, &failed).await.err().map(Err));
            return evaluated;
        }
        let is_fresh = match self.refresh_data(caller, project, submission).await {
            Ok(is_fresh) => {
                evaluated.waits_for_data = !is_fresh;
                is_fresh
            }
            Err(error) => {
                evaluated.messages.push(Err(error));
                false
            }
        };
        // Read after predictions were loaded and data was refreshed.
        let snapshot = match DatasetSnapshot::latest(&caller.kernel, project.id).await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                evaluated.messages.push(Err(error));
                return evaluated;
            }
        };
        for window in open {
            let result = window.evaluate(&snapshot, is_fresh).await;
            if result.is_err() || !is_fresh {
                failed.entry(window.name).or_default().push(window.window.start_ms);
            }
            match result {
                Ok(messages) => evaluated.messages.extend(messages.into_iter().map(Ok)),
                Err(error) => {
                    evaluated.messages.extend(window.alert_failure(&error).await.transpose());
                    evaluated.messages.push(Err(error));
                }
            }
        }
        evaluated.messages.extend(resolve_failures(caller, project, &failed).await.err().map(Err));
        evaluated
    }
}

/// The windows of a monitor that are evaluated now, oldest first, once every prediction is in its dataset.
async fn open_windows<'a>(
    watch: &'a Watch,
    caller: &'a Caller,
    project: &'a Arc<ProjectState>,
    submission: &'a Submission,
    (name, monitor): (&'a MonitorName, &'a Monitor),
) -> Result<Vec<MonitorWindow<'a>>> {
    let Some((endpoint, since)) = find_endpoint(caller, project, monitor).await? else { return Ok(Vec::new()) };
    let now = project.now().project_ms;
    let windows = closed_windows(monitor, submission, since, now);
    let latest = windows.len().saturating_sub(OPEN_WINDOWS_MIN);
    let mut open = Vec::new();
    for (index, window) in windows.into_iter().enumerate() {
        let results = results_of(caller, project, name, window).await?;
        // Without a label delay, a window stays open until its quality is known.
        if index >= latest || label_delay(submission).is_some() || !is_quality_known(&results) {
            let endpoint = endpoint.clone();
            open.push(MonitorWindow { watch, caller, project, submission, name, monitor, endpoint, window, results });
        }
    }
    if open.iter().any(|window| window.results.is_empty()) {
        watch.ingest.ingest_segments(caller, project, &endpoint.name).await?;
    }
    Ok(open)
}

/// Resolves alerts about windows that could not be evaluated, except those that still may not be.
async fn resolve_failures(
    caller: &Caller,
    project: &ProjectState,
    failed: &BTreeMap<&MonitorName, Vec<i64>>,
) -> Result<(), Error> {
    for (name, windows) in failed {
        let subject = failure_subject(name);
        alerts::resolve_past(caller, project.id, (&subject, INGEST_FAILED), |start| !windows.contains(&start)).await?;
    }
    Ok(())
}
