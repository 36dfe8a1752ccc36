//! Alerts: what needs a look, and that somebody looked.

use std::collections::BTreeMap;
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

use crate::app::{App, Caller};
use crate::collect;
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
pub(crate) async fn follow_data(app: &Arc<App>, project: &ProjectState, looked: &BTreeMap<DatasetName, Looked>) {
    let caller = Caller::system(app.clone(), "data");
    if let Err(error) = try_follow_data(&caller, project, looked).await {
        tracing::warn!(project = %project.name, error = error.chain(), "alerts about data were not brought up to date");
    }
}

async fn try_follow_data(
    caller: &Caller,
    project: &ProjectState,
    looked: &BTreeMap<DatasetName, Looked>,
) -> Result<()> {
    let open = table::list_open(&mut *caller.app.store().read().await?, project.id).await?;
    for (dataset, seen) in looked {
        for fault in &seen.faulty {
            if open.iter().any(|alert| fault.is_told_by(alert)) {
                continue;
            }
            let about = (fault.subject.clone(), "faulty", caller.app.services.clock.wall_ms());
            let facts = json!({ "dataset": dataset, "fault": fault.kind });
            fire(caller, new(caller, project, about, facts, fault.message.clone()), None).await?;
        }
    }
    for alert in open {
        let is_gone = match alert.subject.split_once(':') {
            Some(("load", id)) => {
                loads::get(&mut *caller.app.store().read().await?, id.parse()?).await?.state != LoadState::Held
            }
            Some(("dataset", name)) => has_delivered(caller, project, name, alert.window_start_ms).await?,
            Some(("file", path)) => is_mended(project, path, &alert, looked),
            _ => false,
        };
        if is_gone {
            apply(caller, alert, AlertEvent::Resolve).await?;
        }
    }
    Ok(())
}

async fn has_delivered(caller: &Caller, project: &ProjectState, name: &str, since_ms: i64) -> Result<bool> {
    let mut reader = caller.app.store().read().await?;
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
                // Somebody else may have seen that its cause is gone.
                if event == AlertEvent::Resolve && table::get(tx, alert.id).await?.state == AlertState::Resolved {
                    return Ok(());
                }
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
