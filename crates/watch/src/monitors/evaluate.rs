//! Evaluates one window: measures it, records results, fires and resolves alerts.

use std::collections::BTreeMap;

use perennial_core::Result;
use perennial_core::calendar::local;
use perennial_core::entity::{Alert, AlertSubject, MonitorResult, MonitorResultKind};
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::rule::Verdict;
use perennial_core::state::AlertEvent;
use perennial_monitoring::WindowResult;
use perennial_store::monitor_results;
use serde_json::{Value, json};

use perennial_execution::LABELLED_SHARE;
use perennial_ingest::predictions::INGEST_FAILED;
use perennial_ingest::snapshot::DatasetSnapshot;
use perennial_kernel::alerts;
use perennial_kernel::ledger::Recorder;

use super::window::{MonitorWindow, failure_subject, label_delay, results_of};
use crate::watch::lock;

/// Facts that are known when a window closes.
const INPUT_FACTS: [&str; 4] = ["drift", "rows", "latency", "error_rate"];

impl MonitorWindow<'_> {
    /// Records what is new about the window. Returns a message for each alert that fires.
    pub(super) async fn evaluate(&self, snapshot: &DatasetSnapshot, is_fresh: bool) -> Result<Vec<String>> {
        let inputs = self.results.iter().filter(|result| result.kind == MonitorResultKind::Inputs);
        let recorded: u64 = latest_of_each(inputs).iter().filter_map(|known| known.facts["answers"].as_u64()).sum();
        let predictions = self.count_predictions(snapshot, self.window.start_ms..self.window.end_ms).await?;
        let mut messages = Vec::new();
        // Late predictions make a new revision.
        if predictions != recorded {
            for (answers, result) in self.measure_inputs(snapshot).await? {
                messages.extend(self.record(MonitorResultKind::Inputs, result, json!({ "answers": answers })).await?);
            }
        }
        if predictions > 0 && is_fresh {
            messages.extend(self.evaluate_quality(snapshot, predictions).await?);
        }
        Ok(messages)
    }

    /// Fires an alert, once, that the window could not be evaluated. Returns its message when it is new.
    pub(super) async fn alert_failure(&self, error: &perennial_core::Error) -> Result<Option<String>> {
        let start = self.window.start_ms;
        let message = format!(
            "monitor `{}` cannot evaluate the window of {}: {}; it is retried",
            self.name,
            local(start, &self.submission.zone),
            error.message()
        );
        let facts = json!({ "monitor": self.name, "code": error.code().name() });
        let about = (failure_subject(self.name), INGEST_FAILED, start);
        let alert = alerts::new(self.project.id, self.project.now(), about, facts, message.clone());
        Ok(alerts::fire(self.caller, alert, None).await?.then_some(message))
    }

    /// Records the quality of each version once enough of its outcomes are known; a later outcome makes a new revision.
    async fn evaluate_quality(&self, snapshot: &DatasetSnapshot, predictions: u64) -> Result<Vec<String>> {
        let Some(task) = &self.submission.project.task else { return Ok(Vec::new()) };
        let (now, before) = (self.project.now().project_ms, &self.results);
        let Some(data) = snapshot.find(task.data.as_str()) else { return Ok(Vec::new()) };
        let digest = json!(data.version.digest);
        let quality = latest_of_each(before.iter().filter(|result| result.kind == MonitorResultKind::Quality));
        let is_current = |number| quality.iter().any(|known| known.number == number && known.facts["data"] == digest);
        if !quality.is_empty() && before.iter().all(|known| is_current(known.number)) {
            return Ok(Vec::new());
        }
        let is_delay_over = label_delay(self.submission)
            .is_some_and(|delay| delay.after(self.window.end_ms, &self.submission.zone) <= now);
        // The same predictions with the same outcomes give the same result.
        let key = (self.name.to_string(), self.window.start_ms);
        let inputs = format!("{} {} {predictions} {is_delay_over}", self.submission.digest, data.version.digest);
        let state = self.watch.state(self.project.id);
        if lock(&state.unlabelled).get(&key) == Some(&inputs) {
            return Ok(Vec::new());
        }
        let mut messages = Vec::new();
        for result in self.measure_quality(snapshot).await? {
            let share = result.labelled().unwrap_or(0.0);
            let recorded = before
                .iter()
                .filter(|known| known.kind == MonitorResultKind::Quality && known.number.to_string() == result.version)
                .max_by_key(|known| known.revision)
                .map(|known| known.facts["result"]["labelled_rows"].as_u64().unwrap_or_default());
            let has_enough = result.labelled_rows > 0 && (share >= LABELLED_SHARE || is_delay_over);
            if has_enough && recorded != Some(result.labelled_rows) {
                messages.extend(self.record(MonitorResultKind::Quality, result, json!({ "data": digest })).await?);
            }
        }
        lock(&state.unlabelled).insert(key, inputs);
        Ok(messages)
    }

    /// Stores a result with its `inputs` and, for the current champion, fires and resolves its alerts, in one
    /// transaction. Returns a message for each alert that fires.
    async fn record(&self, kind: MonitorResultKind, mut result: WindowResult, inputs: Value) -> Result<Vec<String>> {
        let kernel = &self.caller.kernel;
        let at = self.project.now();
        let number: i64 = result.version.parse().unwrap_or_default();
        let reference = self.find_reference(number).await?;
        let mut existing = results_of(self.caller, self.project, self.name, self.window).await?;
        existing.retain(|known| known.number == number);
        let latest = |kind| existing.iter().find(|known| known.kind == kind);
        if kind == MonitorResultKind::Quality
            && let Some(inputs) = latest(MonitorResultKind::Inputs)
            && let Ok(inputs) = serde_json::from_value::<WindowResult>(inputs.facts["result"].clone())
        {
            result = WindowResult { metrics: result.metrics, labelled_rows: result.labelled_rows, ..inputs };
        }
        let facts = Value::Object(result.facts(reference.as_ref().map(|reference| &reference.measures)));
        let row = MonitorResult {
            project_id: self.project.id,
            monitor: self.name.clone(),
            window_start_ms: self.window.start_ms,
            window_end_ms: self.window.end_ms,
            number,
            kind,
            revision: latest(kind).map_or(0, |known| known.revision) + 1,
            facts: merged(json!({ "result": result, "facts": facts }), inputs),
            wall_ms: at.wall_ms,
            project_ms: at.project_ms,
        };
        let (past, firing) = self.alerts_of(kind, &result, &facts, number).await?;
        let node = result_node(&row);
        let recorder = Recorder::new(self.caller, Some(self.project.id)).await?;
        kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    monitor_results::insert(tx, &row).await?;
                    let (mut entries, mut messages) = (Vec::new(), Vec::new());
                    for alert in past {
                        entries.push(alerts::apply_in(tx, &alert, AlertEvent::Resolve, recorder.at.wall_ms).await?);
                    }
                    for alert in firing {
                        if let Some(entry) = alerts::fire_in(tx, &alert, Some(&node)).await? {
                            entries.push(entry);
                            messages.push(alert.message);
                        }
                    }
                    for entry in entries {
                        recorder.record(tx, entry).await?;
                    }
                    Ok(messages)
                })
            })
            .await
    }

    /// The open alerts that a result resolves, and the alerts that it fires.
    async fn alerts_of(
        &self,
        kind: MonitorResultKind,
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
            if needs_outcomes != (kind == MonitorResultKind::Quality) || rows < self.monitor.min_rows {
                continue;
            }
            let evaluation = rule.evaluate(facts);
            let (fires, start) = (evaluation.verdict == Verdict::Pass, self.window.start_ms);
            let subject = AlertSubject::Monitor(self.name.clone());
            let is_past = |window: i64| window < start || window == start && !fires;
            past.extend(alerts::list_past(self.caller, self.project.id, (&subject, name), is_past).await?);
            if fires {
                firing.push(self.alert(subject, name, rule.text(), &evaluation.values, number));
            }
        }
        Ok((past, firing))
    }

    fn alert(
        &self,
        subject: AlertSubject,
        name: &str,
        expression: &str,
        values: &[(String, Value)],
        number: i64,
    ) -> Alert {
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

/// The latest revision of each version's result.
fn latest_of_each<'a>(results: impl Iterator<Item = &'a MonitorResult>) -> Vec<&'a MonitorResult> {
    let mut latest: BTreeMap<i64, &MonitorResult> = BTreeMap::new();
    for result in results {
        let known = latest.entry(result.number).or_insert(result);
        if known.revision < result.revision {
            *known = result;
        }
    }
    latest.into_values().collect()
}

/// An object with the members of another added.
fn merged(mut object: Value, more: Value) -> Value {
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
