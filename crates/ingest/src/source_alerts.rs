//! Alerts about data: files that cannot be loaded, loads that are held, sources that are late.

use std::collections::BTreeMap;
use std::sync::Arc;

use perennial_core::name::DatasetName;
use perennial_core::state::{AlertEvent, LoadState};
use perennial_core::{Error, Result};
use perennial_kernel::{Caller, Kernel, alerts};
use perennial_projects::ProjectState;
use perennial_store::alerts::Alert;
use perennial_store::{alerts as table, datasets, loads};
use serde_json::json;

use crate::collect;

/// What a look at a dataset's source found of its files.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// The files that cannot be loaded, or the whole source, at most [`FAULTS_MAX`].
    pub faulty: Vec<Fault>,
    /// Whether every file was looked at.
    pub is_whole: bool,
}

/// Files of a dataset that are alerted of, at most; a run tells them all.
pub(crate) const FAULTS_MAX: usize = 100;

/// What is wrong with a file or a source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What an alert about it is about.
    subject: String,
    /// What parts it from another fault of the same thing: the error without its causes, which may be told otherwise
    /// each time.
    kind: String,
    /// What people read.
    message: String,
}

impl Fault {
    pub(crate) fn new(dataset: &DatasetName, path: &str, error: &Error) -> Self {
        let subject = format!("file:{dataset}/{path}");
        Self { subject, kind: error.message().to_owned(), message: collect::in_words(error) }
    }

    fn is_told_by(&self, alert: &Alert) -> bool {
        alert.subject == self.subject && alert.facts["fault"] == self.kind.as_str()
    }
}

impl Looked {
    pub(crate) fn fault(&mut self, fault: Fault) {
        if self.faulty.len() < FAULTS_MAX {
            self.faulty.push(fault);
        }
    }
}

/// Brings alerts about data in line with what was just seen: of files that cannot be loaded, of loads that are no longer
/// held, of sources that have delivered since. Whoever just changed data has done so, whatever comes of this: what fails
/// here is logged, and the next look does it again.
pub(crate) async fn follow_scan(kernel: &Arc<Kernel>, project: &ProjectState, looked: &BTreeMap<DatasetName, Looked>) {
    let caller = Caller::system(kernel.clone(), "data");
    if let Err(error) = try_follow_data(&caller, project, looked).await {
        tracing::warn!(project = %project.name, error = error.chain(), "alerts about data were not brought up to date");
    }
}

/// Brings alerts about data in line with what was loaded since, without a scan of the sources.
pub async fn follow_data(kernel: &Arc<Kernel>, project: &ProjectState) {
    follow_scan(kernel, project, &BTreeMap::new()).await;
}

async fn try_follow_data(
    caller: &Caller,
    project: &ProjectState,
    looked: &BTreeMap<DatasetName, Looked>,
) -> Result<()> {
    let open = table::list_open(&mut *caller.kernel.store().read().await?, project.id).await?;
    for (dataset, seen) in looked {
        for fault in &seen.faulty {
            if open.iter().any(|alert| fault.is_told_by(alert)) {
                continue;
            }
            let about = (fault.subject.clone(), "faulty", caller.kernel.services.clock.wall_ms());
            let facts = json!({ "dataset": dataset, "fault": fault.kind });
            alerts::fire(caller, alerts::new(project.id, project.now(), about, facts, fault.message.clone()), None)
                .await?;
        }
    }
    for alert in open {
        let is_gone = match alert.subject.split_once(':') {
            Some(("load", id)) => {
                loads::get(&mut *caller.kernel.store().read().await?, id.parse()?).await?.state != LoadState::Held
            }
            Some(("dataset", name)) => has_delivered(caller, project, name, alert.window_start_ms).await?,
            Some(("file", path)) => is_mended(project, path, &alert, looked),
            _ => false,
        };
        if is_gone {
            alerts::apply(caller, alert, AlertEvent::Resolve).await?;
        }
    }
    Ok(())
}

async fn has_delivered(caller: &Caller, project: &ProjectState, name: &str, since_ms: i64) -> Result<bool> {
    let mut reader = caller.kernel.store().read().await?;
    let Some(dataset) = datasets::find_by_name(&mut reader, project.id, &name.parse()?).await? else { return Ok(true) };
    let newest = loads::find_latest_arrival(&mut reader, dataset.id).await?;
    Ok(newest.is_some_and(|load| load.project_ms > since_ms))
}

/// Whether the file of an alert is gone, whole or at fault otherwise, or its dataset is declared no more.
fn is_mended(project: &ProjectState, path: &str, alert: &Alert, looked: &BTreeMap<DatasetName, Looked>) -> bool {
    let Some(dataset) = path.split('/').next().and_then(|name| name.parse::<DatasetName>().ok()) else { return true };
    if project.find_submission().is_some_and(|now| !now.project.datasets.contains_key(&dataset)) {
        return true;
    }
    let is_another = |seen: &Looked| match seen.faulty.iter().find(|fault| fault.subject == alert.subject) {
        Some(fault) => !fault.is_told_by(alert),
        None => seen.is_whole && seen.faulty.len() < FAULTS_MAX,
    };
    looked.get(&dataset).is_some_and(is_another)
}
