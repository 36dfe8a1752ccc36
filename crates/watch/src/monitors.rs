//! Monitors: each window of an endpoint judged, by version, on inputs when it closes
//! and on quality once its outcomes are there.

mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use perennial_config::{GraphNode, Monitor};
use perennial_core::calendar::{Duration, Window, local};
use perennial_core::name::{MonitorName, StepName};
use perennial_core::rule::Verdict;
use perennial_core::state::{AlertEvent, PipelineRunState};
use perennial_core::{Error, Result};
use perennial_monitoring::{Reference, WindowResult};
use perennial_store::alerts::Alert;
use perennial_store::endpoints::Endpoint;
use perennial_store::lineage::{Node, NodeKind};
use perennial_store::monitor_results::{MonitorResult, ResultKind};
use perennial_store::pipeline_runs::PipelineKind;
use perennial_store::{endpoints, monitor_results, promotions};
use serde_json::{Value, json};

use perennial_execution::LABELLED_SHARE;
use perennial_execution::pipelines::{self, MONITOR_CAUSE, Options};
use perennial_ingest::predictions::INGEST_FAILED;
use perennial_ingest::snapshot::Tables;
use perennial_kernel::alerts;
use perennial_kernel::ledger::Recorder;
use perennial_kernel::{Caller, wrong_state};
use perennial_projects::{ProjectState, Submission};

use crate::watch::{Watch, lock};

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

impl Watch {
    /// When, after `from`, the window of a monitor closes or the wait for an earlier one's outcomes ends.
    pub(crate) async fn next_window_due(
        &self,
        caller: &Caller,
        project: &ProjectState,
        submission: &Submission,
        from: i64,
    ) -> Result<Option<i64>> {
        let mut due = Vec::new();
        for (name, monitor) in &submission.project.monitors {
            let Some((_, since)) = answering(caller, project, monitor).await? else { continue };
            let present = Window::containing(from, &monitor.window, &submission.zone);
            due.push(present.end_ms);
            let Some(delay) = label_delay(submission) else { continue };
            for window in closed(monitor, submission, since, from) {
                let waits_until = delay.after(window.end_ms, &submission.zone);
                if waits_until > from && !is_judged(&results_of(caller, project, name, window).await?) {
                    due.push(waits_until);
                }
            }
        }
        Ok(due.into_iter().filter(|due| *due > from).min())
    }
}

/// How long outcomes are waited for; for ever if not said.
fn label_delay(submission: &Submission) -> Option<&Duration> {
    submission.project.task.as_ref()?.label_delay.as_ref()
}

/// The endpoint a monitor watches, once somebody answers there, and since when.
async fn answering(caller: &Caller, project: &ProjectState, monitor: &Monitor) -> Result<Option<(Endpoint, i64)>> {
    let mut reader = caller.kernel.store().read().await?;
    let found = endpoints::find(&mut reader, project.id, &monitor.endpoint).await?;
    let Some(endpoint) = found.filter(|endpoint| endpoint.champion_number.is_some()) else { return Ok(None) };
    let since = promotions::first_ms(&mut reader, project.id, &monitor.endpoint).await?;
    Ok(since.map(|since| (endpoint, since)))
}

/// The closed windows since somebody answers whose outcomes are still waited for, and the newest
/// few in any case; oldest first.
fn closed(monitor: &Monitor, submission: &Submission, since: i64, now: i64) -> Vec<Window> {
    let waits =
        |window: Window| label_delay(submission).is_none_or(|delay| delay.after(window.end_ms, &submission.zone) > now);
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

/// The newest results of one window.
async fn results_of(
    caller: &Caller,
    project: &ProjectState,
    name: &MonitorName,
    window: Window,
) -> Result<Vec<MonitorResult>> {
    let mut reader = caller.kernel.store().read().await?;
    Ok(monitor_results::list_of_window(&mut reader, project.id, name, window.start_ms).await?)
}

/// Whether the quality of all that was answered is known.
fn is_judged(results: &[MonitorResult]) -> bool {
    let is_known = |number| results.iter().any(|known| known.number == number && known.kind == ResultKind::Quality);
    !results.is_empty()
        && results.iter().all(|result| result.facts["result"]["rows"] == json!(0) || is_known(result.number))
}

/// What judging came to.
pub(crate) struct Judged {
    /// A line for each alert that fired, and what could not be judged.
    pub lines: Vec<Result<String>>,
    /// Whether quality waits for data that are being brought up to date.
    pub waits: bool,
}

impl Watch {
    /// Judges every window that can be judged now. One that cannot keeps no other from it.
    pub(crate) async fn evaluate_monitors(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: &Submission,
    ) -> Judged {
        let mut judged = Judged { lines: Vec::new(), waits: false };
        let mut open = Vec::new();
        // The windows of which it is not known that they can be judged, by monitor.
        let mut stuck: BTreeMap<&MonitorName, Vec<i64>> = BTreeMap::new();
        for (name, monitor) in &submission.project.monitors {
            match watched(self, caller, project, submission, (name, monitor)).await {
                Ok(windows) => {
                    stuck.insert(name, Vec::new());
                    open.extend(windows);
                }
                Err(error) => judged.lines.push(Err(error)),
            }
        }
        if open.is_empty() {
            // None is looked at any more.
            judged.lines.extend(unstick(caller, project, &stuck).await.err().map(Err));
            return judged;
        }
        let is_fresh = match self.refresh_data(caller, project, submission).await {
            Ok(is_fresh) => {
                judged.waits = !is_fresh;
                is_fresh
            }
            Err(error) => {
                judged.lines.push(Err(error));
                false
            }
        };
        // What the windows are read from, as it stands now that predictions and data are there.
        let tables = match Tables::newest(&caller.kernel, project.id).await {
            Ok(tables) => tables,
            Err(error) => {
                judged.lines.push(Err(error));
                return judged;
            }
        };
        for watched in open {
            let looked = watched.judge(&tables, is_fresh).await;
            if looked.is_err() || !is_fresh {
                stuck.entry(watched.name).or_default().push(watched.window.start_ms);
            }
            match looked {
                Ok(lines) => judged.lines.extend(lines.into_iter().map(Ok)),
                Err(error) => {
                    judged.lines.extend(watched.stuck(&error).await.transpose());
                    judged.lines.push(Err(error));
                }
            }
        }
        judged.lines.extend(unstick(caller, project, &stuck).await.err().map(Err));
        judged
    }
}

/// What alerts about the reading of a monitor's windows are about.
fn reading_of(monitor: &MonitorName) -> String {
    format!("window:{monitor}")
}

/// Resolves what was told of windows that could not be judged and now are, or are looked at no more.
async fn unstick(caller: &Caller, project: &ProjectState, stuck: &BTreeMap<&MonitorName, Vec<i64>>) -> Result<()> {
    for (name, windows) in stuck {
        alerts::resolve_past(caller, project.id, (&reading_of(name), INGEST_FAILED), |start| !windows.contains(&start))
            .await?;
    }
    Ok(())
}

/// The windows of a monitor that are looked at now, with every prediction in its dataset; oldest first.
async fn watched<'a>(
    watch: &'a Watch,
    caller: &'a Caller,
    project: &'a Arc<ProjectState>,
    submission: &'a Submission,
    (name, monitor): (&'a MonitorName, &'a Monitor),
) -> Result<Vec<Watched<'a>>> {
    let Some((endpoint, since)) = answering(caller, project, monitor).await? else { return Ok(Vec::new()) };
    let now = project.now().project_ms;
    let windows = closed(monitor, submission, since, now);
    let newest = windows.len().saturating_sub(WINDOWS_OPEN_MIN);
    let mut watched = Vec::new();
    for (place, window) in windows.into_iter().enumerate() {
        let results = results_of(caller, project, name, window).await?;
        // What is waited for without end is no longer waited for once it is known.
        if place >= newest || label_delay(submission).is_some() || !is_judged(&results) {
            watched.push(Watched {
                watch,
                caller,
                project,
                submission,
                name,
                monitor,
                endpoint: endpoint.clone(),
                window,
                results,
            });
        }
    }
    if watched.iter().any(|watched| watched.results.is_empty()) {
        watch.ingest.ingest_segments(caller, project, &endpoint.name).await?;
    }
    Ok(watched)
}

impl Watch {
    /// Whether `[task].data` is up to date with the sources, as whoever compares with it has to know. Where it is not,
    /// bringing it there is work of its own; on a stepped clock the step waits for it.
    async fn refresh_data(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: &Submission,
    ) -> Result<bool> {
        let Some(task) = &submission.project.task else { return Ok(true) };
        let data = GraphNode::Dataset(task.data.clone());
        let steps: Vec<StepName> = submission.graph.required_steps(&data).into_iter().cloned().collect();
        if steps.is_empty() {
            return Ok(true);
        }
        let state = self.state(project.id);
        let is_stepped = project.clock.stepped_ms().is_some();
        let Some(refreshing) = state.refreshing.lock_or_try(is_stepped).await else { return Ok(false) };
        let Some(sources) = state.changed_sources(&self.kernel, project, submission).await? else { return Ok(true) };
        let cause = json!({ "kind": MONITOR_CAUSE, "dataset": task.data });
        let options = Options { steps };
        let run = pipelines::request(caller, project, PipelineKind::Run, cause, &options).await?;
        let (watch, caller, refreshed) = (self.clone(), caller.clone(), project.clone());
        let refresh = async move {
            let _refreshing = refreshing.adopt();
            let ended = watch.runner.run(&caller, &refreshed, &run).await?;
            if ended.state == PipelineRunState::Cancelled {
                return Err(wrong_state("bringing the monitors' data up to date was cancelled"));
            }
            watch.state(refreshed.id).set_refreshed(sources);
            Ok(true)
        };
        if is_stepped {
            return Box::pin(refresh).await;
        }
        let project = project.clone();
        self.kernel.work.spawn("data of monitors", async move {
            match refresh.await {
                Ok(_) => state.retry_at_once(),
                Err(error) => {
                    tracing::warn!(project = %project.name, error = error.chain(), "monitors wait for data that cannot be brought up to date");
                }
            }
        });
        Ok(false)
    }
}

/// One monitor at one closed window.
pub(crate) struct Watched<'a> {
    watch: &'a Watch,
    pub caller: &'a Caller,
    pub project: &'a Arc<ProjectState>,
    pub submission: &'a Submission,
    pub name: &'a MonitorName,
    pub monitor: &'a Monitor,
    pub endpoint: Endpoint,
    pub window: Window,
    /// What is known of it.
    results: Vec<MonitorResult>,
}

impl Watched<'_> {
    async fn judge(&self, tables: &Tables, is_fresh: bool) -> Result<Vec<String>> {
        let inputs = self.results.iter().filter(|result| result.kind == ResultKind::Inputs);
        let judged: u64 = newest_of_each(inputs).iter().filter_map(|known| known.facts["answers"].as_u64()).sum();
        let answers = self.answers(tables, self.window.start_ms..self.window.end_ms).await?;
        let mut told = Vec::new();
        // Predictions that came late make a new revision.
        if answers != judged {
            for (answers, result) in self.inputs(tables).await? {
                told.extend(self.keep(ResultKind::Inputs, result, json!({ "answers": answers })).await?);
            }
        }
        if answers > 0 && is_fresh {
            told.extend(self.quality(tables, answers).await?);
        }
        Ok(told)
    }

    /// Tells once that it could not be judged.
    async fn stuck(&self, error: &Error) -> Result<Option<String>> {
        let start = self.window.start_ms;
        let message = format!(
            "monitor `{}` cannot judge the window of {}: {}; it is tried again",
            self.name,
            local(start, &self.submission.zone),
            error.message()
        );
        let facts = json!({ "monitor": self.name, "code": error.code().name() });
        let alert = alerts::new(
            self.project.id,
            self.project.now(),
            (reading_of(self.name), INGEST_FAILED, start),
            facts,
            message.clone(),
        );
        Ok(alerts::fire(self.caller, alert, None).await?.then_some(message))
    }

    /// Quality, once enough outcomes are there; a later outcome makes a new revision.
    async fn quality(&self, tables: &Tables, answers: u64) -> Result<Vec<String>> {
        let Some(task) = &self.submission.project.task else { return Ok(Vec::new()) };
        let (now, before) = (self.project.now().project_ms, &self.results);
        let Some(data) = tables.find(task.data.as_str()) else { return Ok(Vec::new()) };
        let judged_on = json!(data.version.digest);
        let judged = newest_of_each(before.iter().filter(|result| result.kind == ResultKind::Quality));
        let is_judged = |number| judged.iter().any(|known| known.number == number && known.facts["data"] == judged_on);
        // Each version is judged when enough of its own outcomes are there.
        if !judged.is_empty() && before.iter().all(|known| is_judged(known.number)) {
            return Ok(Vec::new());
        }
        let is_old = label_delay(self.submission)
            .is_some_and(|delay| delay.after(self.window.end_ms, &self.submission.zone) <= now);
        // The same answers beside the same outcomes come to the same.
        let place = (self.name.to_string(), self.window.start_ms);
        let looked_at = format!("{} {} {answers} {is_old}", self.submission.digest, data.version.digest);
        let known = |unlabelled: &BTreeMap<(String, i64), String>| unlabelled.get(&place) == Some(&looked_at);
        if known(&lock(&self.watch.state(self.project.id).unlabelled)) {
            return Ok(Vec::new());
        }
        let mut told = Vec::new();
        for result in self.with_outcomes(tables).await? {
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
        lock(&self.watch.state(self.project.id).unlabelled).insert(place, looked_at);
        Ok(told)
    }

    /// The reference of the release by which a version came to answer here.
    pub(crate) async fn compared(&self, number: i64) -> Result<Option<Compared>> {
        let mut reader = self.caller.kernel.store().read().await?;
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

    /// Stores a result with what it was judged on and, if its version is champion now, the alerts that it settles:
    /// all of it or nothing. A line for each alert that fires.
    async fn keep(&self, kind: ResultKind, mut result: WindowResult, judged_on: Value) -> Result<Vec<String>> {
        let kernel = &self.caller.kernel;
        let at = self.project.now();
        let number: i64 = result.version.parse().unwrap_or_default();
        let compared = self.compared(number).await?;
        let mut existing = results_of(self.caller, self.project, self.name, self.window).await?;
        existing.retain(|known| known.number == number);
        let newest = |kind| existing.iter().find(|known| known.kind == kind);
        if kind == ResultKind::Quality
            && let Some(inputs) = newest(ResultKind::Inputs)
            && let Ok(inputs) = serde_json::from_value::<WindowResult>(inputs.facts["result"].clone())
        {
            result = WindowResult { metrics: result.metrics, labelled_rows: result.labelled_rows, ..inputs };
        }
        let facts = Value::Object(result.facts(compared.as_ref().map(|compared| &compared.measures)));
        let row = MonitorResult {
            project_id: self.project.id,
            monitor: self.name.clone(),
            window_start_ms: self.window.start_ms,
            window_end_ms: self.window.end_ms,
            number,
            kind,
            revision: newest(kind).map_or(0, |known| known.revision) + 1,
            facts: with(json!({ "result": result, "facts": facts }), judged_on),
            wall_ms: at.wall_ms,
            project_ms: at.project_ms,
        };
        let (past, firing) = self.settled(kind, &result, &facts, number).await?;
        let (node, by) = (result_node(&row), Recorder::new(self.caller, Some(self.project.id)).await?);
        kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    monitor_results::insert(tx, &row).await?;
                    let (mut owed, mut told) = (Vec::new(), Vec::new());
                    for alert in past {
                        owed.push(alerts::apply_in(tx, &alert, AlertEvent::Resolve, by.at.wall_ms).await?);
                    }
                    for alert in firing {
                        if let Some(change) = alerts::fire_in(tx, &alert, Some(&node)).await? {
                            owed.push(change);
                            told.push(alert.message);
                        }
                    }
                    for change in owed {
                        by.record(tx, change).await?;
                    }
                    Ok(told)
                })
            })
            .await
    }

    /// The alerts that a result puts an end to, and those that fire.
    async fn settled(
        &self,
        kind: ResultKind,
        result: &WindowResult,
        facts: &Value,
        number: i64,
    ) -> Result<(Vec<Alert>, Vec<Alert>)> {
        let (mut past, mut firing) = (Vec::new(), Vec::new());
        if Some(number) != self.endpoint.champion_number {
            return Ok((past, firing));
        }
        for (name, rule) in &self.monitor.alerts {
            let needs_outcomes = rule.roots().iter().any(|root| !INPUT_FACTS.contains(root));
            let rows = if needs_outcomes { result.labelled_rows } else { result.rows };
            if needs_outcomes != (kind == ResultKind::Quality) || rows < self.monitor.min_rows {
                continue;
            }
            let evaluation = rule.evaluate(facts);
            let (fires, start) = (evaluation.verdict == Verdict::Pass, self.window.start_ms);
            let subject = format!("monitor:{}", self.name);
            let is_past = |window: i64| window < start || window == start && !fires;
            past.extend(alerts::list_past(self.caller, self.project.id, (&subject, name), is_past).await?);
            if fires {
                firing.push(self.alert(subject, name, rule.text(), &evaluation.values, number));
            }
        }
        Ok((past, firing))
    }

    fn alert(&self, subject: String, name: &str, expression: &str, values: &[(String, Value)], number: i64) -> Alert {
        let shown: Vec<String> = values
            .iter()
            .map(|(name, value)| {
                format!("{name} = {}", value.as_f64().map_or_else(|| value.to_string(), |v| format!("{v:.4}")))
            })
            .collect();
        let window = local(self.window.start_ms, &self.submission.zone);
        let message = format!(
            "alert `{}.{name}` at version {number}, window of {window}: {expression} ({})",
            self.name,
            shown.join(", ")
        );
        let at = (subject, name, self.window.start_ms);
        Alert {
            number: Some(number),
            expression: Some(expression.to_owned()),
            ..alerts::new(self.project.id, self.project.now(), at, json!(values), message)
        }
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
