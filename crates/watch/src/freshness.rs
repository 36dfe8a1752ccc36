//! Freshness of sources: which deliver at a declared interval, and which are late.

use perennial_core::Result;
use perennial_core::calendar::{Duration, local};
use perennial_core::entity::AlertSubject;
use perennial_core::name::DatasetName;
use perennial_kernel::{Caller, Kernel, alerts};
use perennial_projects::{ProjectState, Submission};
use perennial_store::{datasets, loads};
use serde_json::json;

/// A source is late after this many times its expected interval.
const LATE_AFTER: f64 = 1.1;

/// A source with a declared interval (`every`).
pub(crate) struct ExpectedInterval {
    dataset: DatasetName,
    every: Duration,
    /// When it last delivered, or else when it was first expected to, on the project clock.
    since_ms: i64,
    has_delivered: bool,
    /// The instant from which it is late.
    pub(crate) late_ms: i64,
}

/// The sources of a project file that declare an interval, and whose dataset exists.
pub(crate) async fn list(
    kernel: &Kernel,
    project: &ProjectState,
    submission: &Submission,
) -> Result<Vec<ExpectedInterval>> {
    let mut found = Vec::new();
    let mut reader = kernel.store().read().await?;
    for (name, declared) in &submission.project.datasets {
        let Some(every) = declared.source.every.clone() else { continue };
        let Some(dataset) = datasets::find_by_name(&mut reader, project.id, name).await? else { continue };
        let last = loads::find_latest_arrival(&mut reader, dataset.id).await?;
        // A dataset is created when its source is first scanned.
        let since_ms = last.as_ref().map_or_else(|| project.clock.since_ms(dataset.created_ms), |load| load.project_ms);
        let late_ms = every.scaled_after(since_ms, LATE_AFTER, &submission.zone);
        found.push(ExpectedInterval { dataset: name.clone(), every, since_ms, has_delivered: last.is_some(), late_ms });
    }
    Ok(found)
}

/// Fires an alert for each late source, once for each gap in its deliveries. Returns the messages of new alerts.
pub(crate) async fn alert_late_sources(
    caller: &Caller,
    project: &ProjectState,
    submission: &Submission,
) -> Result<Vec<String>> {
    let now = project.now();
    let mut messages = Vec::new();
    for ExpectedInterval { dataset, every, since_ms, has_delivered, late_ms } in
        list(&caller.kernel, project, submission).await?
    {
        if now.project_ms < late_ms {
            continue;
        }
        let since = local(since_ms, &submission.zone);
        let gap = if has_delivered {
            format!("its last load was at {since}")
        } else {
            format!("it has had no load since {since}")
        };
        let message = format!("dataset `{dataset}` is late: {gap}, expected every {every}");
        let facts = json!({ "last_ms": has_delivered.then_some(since_ms), "every": every.to_string() });
        let about = (AlertSubject::Dataset(dataset.clone()), "late", since_ms);
        let alert = alerts::new(project.id, now, about, facts, message.clone());
        if alerts::fire(caller, alert, None).await? {
            messages.push(message);
        }
    }
    Ok(messages)
}
