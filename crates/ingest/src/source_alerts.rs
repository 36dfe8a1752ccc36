//! Alerts about data: files that cannot be loaded, loads that are held, sources that are late.

use std::collections::BTreeMap;
use std::sync::Arc;

use perennial_core::entity::{Alert, AlertSubject};
use perennial_core::name::DatasetName;
use perennial_core::state::{AlertEvent, LoadState};
use perennial_core::{Error, Result};
use perennial_kernel::{Caller, Kernel, alerts};
use perennial_projects::ProjectState;
use perennial_store::{alerts as alert_rows, datasets, loads};
use serde_json::json;

use crate::collect;

/// The errors of one scan of a dataset's source.
#[derive(Debug, Default)]
pub(crate) struct SourceScan {
    /// The files that cannot be loaded, or the whole source; at most [`SOURCE_ERRORS_MAX`].
    errors: Vec<SourceError>,
    /// Whether every file was scanned.
    pub is_complete: bool,
}

/// Files of a dataset for which an alert fires, at most; a pipeline run reports all of them.
const SOURCE_ERRORS_MAX: usize = 100;

/// An error of a file or a source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SourceError {
    /// The subject of its alert.
    subject: AlertSubject,
    /// Distinguishes it from another error of the same subject: the message without its causes, which may vary.
    kind: String,
    /// The message of its alert.
    message: String,
}

impl SourceError {
    pub(crate) fn new(dataset: &DatasetName, path: &str, error: &Error) -> Self {
        let subject = AlertSubject::File { dataset: dataset.clone(), path: path.to_owned() };
        Self { subject, kind: error.message().to_owned(), message: collect::describe_error(error) }
    }

    fn is_reported_by(&self, alert: &Alert) -> bool {
        alert.subject == self.subject && alert.facts["fault"] == self.kind.as_str()
    }
}

impl SourceScan {
    /// Adds an error; those over the limit are dropped.
    pub(crate) fn push(&mut self, error: SourceError) {
        if self.errors.len() < SOURCE_ERRORS_MAX {
            self.errors.push(error);
        }
    }
}

/// Fires an alert for each new error of a scan, and resolves alerts whose cause is gone: files that can be loaded, loads
/// that are no longer held, sources that have delivered. Best effort: errors are logged and retried at the next tick;
/// they never fail the caller.
pub(crate) async fn refresh_after_scan(
    kernel: &Arc<Kernel>,
    project: &ProjectState,
    scans: &BTreeMap<DatasetName, SourceScan>,
) {
    let caller = Caller::system(kernel.clone(), "data");
    if let Err(error) = try_refresh(&caller, project, scans).await {
        tracing::warn!(project = %project.name, error = error.chain(), "alerts about data could not be updated");
    }
}

/// Resolves alerts about data whose cause is gone, without a scan of the sources. Best effort.
pub async fn refresh(kernel: &Arc<Kernel>, project: &ProjectState) {
    refresh_after_scan(kernel, project, &BTreeMap::new()).await;
}

async fn try_refresh(caller: &Caller, project: &ProjectState, scans: &BTreeMap<DatasetName, SourceScan>) -> Result<()> {
    for (dataset, scan) in scans {
        for error in &scan.errors {
            let mut reader = caller.kernel.store().read().await?;
            let about = (&error.subject, "faulty");
            let open = alert_rows::list_open_about(&mut reader, project.id, about, alerts::OPEN_MAX).await?;
            drop(reader);
            if open.iter().any(|alert| error.is_reported_by(alert)) {
                continue;
            }
            let about = (error.subject.clone(), "faulty", caller.kernel.services.clock.wall_ms());
            let facts = json!({ "dataset": dataset, "fault": error.kind });
            alerts::fire(caller, alerts::new(project.id, project.now(), about, facts, error.message.clone()), None)
                .await?;
        }
    }
    let mut after: Option<String> = None;
    loop {
        let mut reader = caller.kernel.store().read().await?;
        let open = alert_rows::list_open(&mut reader, project.id, after.as_deref(), alerts::OPEN_MAX).await?;
        drop(reader);
        resolve_past(caller, project, open.items, scans).await?;
        match open.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Resolves the alerts whose cause is gone.
async fn resolve_past(
    caller: &Caller,
    project: &ProjectState,
    open: Vec<Alert>,
    scans: &BTreeMap<DatasetName, SourceScan>,
) -> Result<()> {
    for alert in open {
        let is_past = match &alert.subject {
            AlertSubject::Load(id) => {
                loads::get(&mut *caller.kernel.store().read().await?, *id).await?.state != LoadState::Held
            }
            AlertSubject::Dataset(name) => has_delivered(caller, project, name, alert.window_start_ms).await?,
            AlertSubject::File { dataset, .. } => is_file_alert_past(project, dataset, &alert, scans),
            AlertSubject::Monitor(_)
            | AlertSubject::Window(_)
            | AlertSubject::Segment { .. }
            | AlertSubject::Endpoint(_)
            | AlertSubject::Job(_)
            | AlertSubject::Work(_)
            | AlertSubject::Release(_) => false,
        };
        if is_past {
            alerts::apply(caller, alert, AlertEvent::Resolve).await?;
        }
    }
    Ok(())
}

/// Whether a dataset has had a load since an instant of the project clock, or does not exist any more.
async fn has_delivered(caller: &Caller, project: &ProjectState, name: &DatasetName, since_ms: i64) -> Result<bool> {
    let mut reader = caller.kernel.store().read().await?;
    let Some(dataset) = datasets::find_by_name(&mut reader, project.id, name).await? else { return Ok(true) };
    let latest = loads::find_latest_arrival(&mut reader, dataset.id).await?;
    Ok(latest.is_some_and(|load| load.project_ms > since_ms))
}

/// Whether the file of an alert is gone, can be loaded or has another error, or its dataset is not declared any more.
fn is_file_alert_past(
    project: &ProjectState,
    dataset: &DatasetName,
    alert: &Alert,
    scans: &BTreeMap<DatasetName, SourceScan>,
) -> bool {
    if project.find_submission().is_some_and(|now| !now.project.datasets.contains_key(dataset)) {
        return true;
    }
    let has_changed = |scan: &SourceScan| match scan.errors.iter().find(|error| error.subject == alert.subject) {
        Some(error) => !error.is_reported_by(alert),
        None => scan.is_complete && scan.errors.len() < SOURCE_ERRORS_MAX,
    };
    scans.get(dataset).is_some_and(has_changed)
}
