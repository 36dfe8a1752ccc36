//! Monitors: each window of an endpoint judged, by version, on inputs when it closes
//! and on quality once its outcomes are there.

mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use perennial_config::{Monitor, Thing};
use perennial_core::calendar::Window;
use perennial_core::id::AlertId;
use perennial_core::name::{MonitorName, StepName};
use perennial_core::rule::Verdict;
use perennial_core::state::AlertState;
use perennial_core::{Error, Result};
use perennial_monitoring::{Reference, WindowResult};
use perennial_store::alerts::Alert;
use perennial_store::endpoints::Endpoint;
use perennial_store::lineage::{Node, NodeKind};
use perennial_store::monitor_results::{MonitorResult, ResultKind};
use perennial_store::pipeline_runs::PipelineKind;
use perennial_store::{alerts, endpoints, lineage, monitor_results, promotions};
use serde_json::{Value, json};

use crate::app::{Caller, Entry, record};
use crate::pipelines::{self, Options};
use crate::predictions;
use crate::project::{ProjectState, Submission};
use crate::split::LABELLED_SHARE;
use crate::tables::Tables;

/// Closed windows that are looked at again, at least: outcomes may still come late.
const WINDOWS_OPEN_MIN: usize = 3;
/// Closed windows that are looked at again, at most, however long outcomes are waited for.
const WINDOWS_OPEN_MAX: usize = 400;

/// Facts that are known as soon as a window closes.
const INPUT_FACTS: [&str; 4] = ["drift", "rows", "latency", "error_rate"];

/// What a release's monitors compare with.
pub(crate) struct Compared {
    pub distributions: Reference,
    pub measures: BTreeMap<String, f64>,
}

/// When the present window of a monitor closes, or the wait for an earlier one's outcomes ends.
pub(crate) async fn next_due(caller: &Caller, project: &ProjectState, submission: &Submission) -> Result<Option<i64>> {
    let now = caller.app.now(project).project_ms;
    let mut due = Vec::new();
    for (name, monitor) in &submission.project.monitors {
        let Some((_, since)) = answering(caller, project, monitor).await? else { continue };
        let present = Window::containing(now, &monitor.window, &submission.zone);
        due.push(present.end_ms);
        let Some(within) = submission.project.task.as_ref().and_then(|task| task.within.as_ref()) else { continue };
        for window in closed(monitor, submission, since, now) {
            let waits_until = within.after(window.end_ms, &submission.zone);
            if waits_until > now && !is_judged(caller, project, name, window).await? {
                due.push(waits_until);
            }
        }
    }
    Ok(due.into_iter().filter(|due| *due > now).min())
}

/// The endpoint a monitor watches, once somebody answers there, and since when.
async fn answering(caller: &Caller, project: &ProjectState, monitor: &Monitor) -> Result<Option<(Endpoint, i64)>> {
    let mut reader = caller.app.store().read().await?;
    let found = endpoints::find(&mut reader, project.id, &monitor.endpoint).await?;
    let Some(endpoint) = found.filter(|endpoint| endpoint.champion_number.is_some()) else { return Ok(None) };
    let since = promotions::first_ms(&mut reader, project.id, &monitor.endpoint).await?;
    Ok(since.map(|since| (endpoint, since)))
}

/// The closed windows since somebody answers whose outcomes are still waited for, and the newest
/// few in any case; oldest first.
fn closed(monitor: &Monitor, submission: &Submission, since: i64, now: i64) -> Vec<Window> {
    let within = submission.project.task.as_ref().and_then(|task| task.within.as_ref());
    let waits = |window: Window| within.is_some_and(|within| within.after(window.end_ms, &submission.zone) > now);
    let mut windows = Vec::new();
    let mut window = Window::containing(now, &monitor.window, &submission.zone);
    loop {
        window = window.previous(&monitor.window, &submission.zone);
        if window.end_ms <= since
            || windows.len() >= WINDOWS_OPEN_MAX
            || windows.len() >= WINDOWS_OPEN_MIN && !waits(window)
        {
            break;
        }
        windows.push(window);
    }
    windows.reverse();
    windows
}

async fn is_judged(caller: &Caller, project: &ProjectState, name: &MonitorName, window: Window) -> Result<bool> {
    let results =
        monitor_results::list_of_window(&mut *caller.app.store().read().await?, project.id, name, window.start_ms)
            .await?;
    Ok(results.iter().any(|result| result.kind == ResultKind::Quality)
        || !results.is_empty() && results.iter().all(|result| result.facts["result"]["rows"] == json!(0)))
}

/// Judges every window that can be judged now; a line for each alert that fires.
pub(crate) async fn judge(
    caller: &Caller,
    project: &Arc<ProjectState>,
    submission: &Submission,
) -> Result<Vec<String>> {
    let now = caller.app.now(project).project_ms;
    let mut told = Vec::new();
    for (name, monitor) in &submission.project.monitors {
        let Some((endpoint, since)) = answering(caller, project, monitor).await? else { continue };
        for window in closed(monitor, submission, since, now) {
            let watched = Watched { caller, project, submission, name, monitor, endpoint: &endpoint, window };
            told.extend(watched.judge(now).await?);
        }
    }
    Ok(told)
}

/// One monitor at one closed window.
pub(crate) struct Watched<'a> {
    pub caller: &'a Caller,
    pub project: &'a Arc<ProjectState>,
    pub submission: &'a Submission,
    pub name: &'a MonitorName,
    pub monitor: &'a Monitor,
    pub endpoint: &'a Endpoint,
    pub window: Window,
}

impl Watched<'_> {
    async fn judge(&self, now: i64) -> Result<Vec<String>> {
        let results = monitor_results::list_of_window(
            &mut *self.caller.app.store().read().await?,
            self.project.id,
            self.name,
            self.window.start_ms,
        )
        .await?;
        let mut told = Vec::new();
        let inputs = results.iter().filter(|result| result.kind == ResultKind::Inputs);
        let judged: u64 = newest_of_each(inputs).iter().filter_map(|known| known.facts["answers"].as_u64()).sum();
        if judged == 0 {
            predictions::take_over(self.caller, self.project, &self.endpoint.name).await?;
        }
        // Predictions that came late make a new revision.
        if self.answers().await? != judged {
            for (answers, result) in self.inputs().await? {
                told.extend(self.keep(ResultKind::Inputs, result, json!({ "answers": answers })).await?);
            }
        }
        told.extend(self.quality(now, &results).await?);
        Ok(told)
    }

    /// Quality, once enough outcomes are there; a later outcome makes a new revision.
    async fn quality(&self, now: i64, before: &[MonitorResult]) -> Result<Vec<String>> {
        let Some(task) = &self.submission.project.task else { return Ok(Vec::new()) };
        self.refresh_data().await?;
        let tables = Tables::newest(&self.caller.app, self.project.id).await?;
        let Some(data) = tables.find(task.data.as_str()) else { return Ok(Vec::new()) };
        let judged_on = json!(data.version.digest);
        let judged = newest_of_each(before.iter().filter(|result| result.kind == ResultKind::Quality));
        let is_judged = |number| judged.iter().any(|known| known.number == number && known.facts["data"] == judged_on);
        // Each version is judged when enough of its own outcomes are there.
        if !judged.is_empty() && before.iter().all(|known| is_judged(known.number)) {
            return Ok(Vec::new());
        }
        let is_old =
            task.within.as_ref().is_some_and(|within| within.after(self.window.end_ms, &self.submission.zone) <= now);
        let mut told = Vec::new();
        for result in self.with_outcomes(&tables).await? {
            let share = result.labelled().unwrap_or(0.0);
            let known = before
                .iter()
                .filter(|known| known.kind == ResultKind::Quality && known.number.to_string() == result.version)
                .max_by_key(|known| known.revision)
                .map(|known| known.facts["result"]["labelled_rows"].as_u64().unwrap_or_default());
            if known == Some(result.labelled_rows) || result.labelled_rows == 0 || share < LABELLED_SHARE && !is_old {
                continue;
            }
            told.extend(self.keep(ResultKind::Quality, result, json!({ "data": judged_on })).await?);
        }
        Ok(told)
    }

    /// Brings `[task].data` up to date with the sources before it is compared with.
    async fn refresh_data(&self) -> Result<()> {
        let Some(task) = &self.submission.project.task else { return Ok(()) };
        let steps: Vec<StepName> =
            self.submission.graph.leading_to(&Thing::Dataset(task.data.clone())).into_iter().cloned().collect();
        if steps.is_empty() || !self.project.sources_changed(&self.caller.app).await? {
            return Ok(());
        }
        let cause = json!({ "kind": "monitor", "monitor": self.name });
        let options = Options { steps, dry_run: false };
        let run = pipelines::request(self.caller, self.project, PipelineKind::Run, cause, &options).await?;
        Box::pin(pipelines::carry_out(self.caller, self.project, &run)).await?;
        Ok(())
    }

    /// The reference of the release by which a version came to answer here.
    pub(crate) async fn compared(&self, number: i64) -> Result<Option<Compared>> {
        let mut reader = self.caller.app.store().read().await?;
        let promotions = promotions::list_of_version(&mut reader, self.endpoint.model_id, number).await?;
        let brought = promotions.into_iter().filter(|promotion| promotion.to_number == Some(number));
        for digest in brought.filter_map(|promotion| promotion.release_digest) {
            let Some(row) = monitor_results::find_reference(&mut reader, self.project.id, &digest).await? else {
                continue;
            };
            let distributions = serde_json::from_value(row.body["distributions"].clone()).map_err(|cause| {
                Error::internal(format!("the reference of release `{digest}` does not read"), cause)
            })?;
            let measures = row.body["measures"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
                .collect();
            return Ok(Some(Compared { distributions, measures }));
        }
        Ok(None)
    }

    /// Stores a result with what it was judged on, and judges the alerts over it, if its version is champion now.
    async fn keep(&self, kind: ResultKind, mut result: WindowResult, judged_on: Value) -> Result<Vec<String>> {
        let app = &self.caller.app;
        let at = app.now(self.project);
        let number: i64 = result.version.parse().unwrap_or_default();
        let compared = self.compared(number).await?;
        let existing = monitor_results::list_of_window(
            &mut *app.store().read().await?,
            self.project.id,
            self.name,
            self.window.start_ms,
        )
        .await?;
        if kind == ResultKind::Quality {
            let inputs = existing
                .iter()
                .filter(|known| known.kind == ResultKind::Inputs && known.number == number)
                .max_by_key(|known| known.revision);
            if let Some(inputs) =
                inputs.and_then(|known| serde_json::from_value::<WindowResult>(known.facts["result"].clone()).ok())
            {
                result = WindowResult { metrics: result.metrics, labelled_rows: result.labelled_rows, ..inputs };
            }
        }
        let facts = Value::Object(result.facts(compared.as_ref().map(|compared| &compared.measures)));
        let row = MonitorResult {
            project_id: self.project.id,
            monitor: self.name.clone(),
            window_start_ms: self.window.start_ms,
            window_end_ms: self.window.end_ms,
            number,
            kind,
            revision: existing
                .iter()
                .filter(|known| known.kind == kind && known.number == number)
                .map(|known| known.revision)
                .max()
                .unwrap_or(0)
                + 1,
            facts: with(json!({ "result": result, "facts": facts }), judged_on),
            wall_ms: at.wall_ms,
            project_ms: at.project_ms,
        };
        let node = result_node(&row);
        app.store().write(move |tx| Box::pin(async move { Ok(monitor_results::insert(tx, &row).await?) })).await?;
        let mut told = Vec::new();
        if Some(number) != self.endpoint.champion_number {
            return Ok(told);
        }
        for (alert, rule) in &self.monitor.alerts {
            let needs_outcomes = rule.roots().iter().any(|root| !INPUT_FACTS.contains(root));
            let rows = if needs_outcomes { result.labelled_rows } else { result.rows };
            if needs_outcomes != (kind == ResultKind::Quality) || rows < self.monitor.min_rows {
                continue;
            }
            let judgement = rule.judge(&facts);
            let (fires, start) = (judgement.verdict == Verdict::Pass, self.window.start_ms);
            let subject = format!("monitor:{}", self.name);
            let is_past = |window: i64| window < start || window == start && !fires;
            crate::alerts::resolve_past(self.caller, self.project, (&subject, alert), is_past).await?;
            if fires {
                told.extend(self.fire(alert, rule.text(), &judgement.values, (number, &node)).await?);
            }
        }
        Ok(told)
    }

    async fn fire(
        &self,
        name: &str,
        expression: &str,
        values: &[(String, Value)],
        (number, result): (i64, &Node),
    ) -> Result<Option<String>> {
        let at = self.caller.app.now(self.project);
        let shown: Vec<String> = values
            .iter()
            .map(|(name, value)| {
                format!("{name} = {}", value.as_f64().map_or_else(|| value.to_string(), |v| format!("{v:.4}")))
            })
            .collect();
        let window = perennial_core::calendar::local(self.window.start_ms, &self.submission.zone);
        let message = format!(
            "alert `{}.{name}` at version {number}, window of {window}: {expression} ({})",
            self.name,
            shown.join(", ")
        );
        let alert = Alert {
            id: AlertId::generate(),
            project_id: self.project.id,
            subject: format!("monitor:{}", self.name),
            name: name.to_owned(),
            window_start_ms: self.window.start_ms,
            number: Some(number),
            expression: Some(expression.to_owned()),
            facts: json!(values),
            message: message.clone(),
            state: AlertState::Firing,
            wall_ms: at.wall_ms,
            project_ms: at.project_ms,
            settled_ms: None,
        };
        Ok(fire(self.caller, alert, Some(result)).await?.then_some(message))
    }
}

/// The newest revision of each version's result.
fn newest_of_each<'a>(results: impl Iterator<Item = &'a MonitorResult>) -> Vec<&'a MonitorResult> {
    let mut newest: BTreeMap<i64, &MonitorResult> = BTreeMap::new();
    for result in results {
        let known = newest.entry(result.number).or_insert(result);
        if known.revision < result.revision {
            *known = result;
        }
    }
    newest.into_values().collect()
}

/// An object with the members of another.
fn with(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// The lineage node of a result.
fn result_node(row: &MonitorResult) -> Node {
    let MonitorResult { monitor, window_start_ms, number, kind, revision, .. } = row;
    Node::new(NodeKind::MonitorResult, format!("{monitor}/{window_start_ms}/{number}/{}/{revision}", kind.as_str()))
}

/// The lineage node of an alert.
pub(crate) fn alert_node(id: AlertId) -> Node {
    Node::new(NodeKind::Alert, id)
}

/// Fires an alert once for its subject, name and window, made `from` what was seen; tells whether it is new.
pub(crate) async fn fire(caller: &Caller, alert: Alert, from: Option<&Node>) -> Result<bool> {
    let at = perennial_core::clock::Instant { wall_ms: alert.wall_ms, project_ms: alert.project_ms };
    let (actor, from) = (caller.principal.name.clone(), from.cloned());
    caller
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                if !alerts::fire(tx, &alert).await? {
                    return Ok(false);
                }
                if let Some(from) = from {
                    lineage::add(tx, alert.project_id, &from, &alert_node(alert.id), at.wall_ms).await?;
                }
                let payload = json!({ "subject": alert.subject, "name": alert.name, "message": alert.message });
                let entry = Entry {
                    project: alert.project_id,
                    noun: "alert",
                    subject: alert.id.to_string(),
                    verb: "fire",
                    actor: &actor,
                    cause: None,
                    at,
                    payload,
                };
                record(tx, entry).await?;
                Ok(true)
            })
        })
        .await
}
