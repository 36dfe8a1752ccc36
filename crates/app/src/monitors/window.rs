//! Reading one window: what was answered, and how it turned out.

use std::collections::BTreeMap;

use perennial_core::frame::{Column, Frame};
use perennial_core::model::Scores;
use perennial_core::port::data::FrameRequest;
use perennial_core::task::TaskKind;
use perennial_core::{Error, Result};
use perennial_evaluation::{Outcomes, metrics};
use perennial_monitoring::{LatencyHistogram, Summary, WindowResult, drift};
use perennial_store::model_versions;

use super::Watched;
use crate::decisions::reference_of;
use crate::predictions::dataset_of;
use crate::tables::Tables;

/// The prefix of input columns in a dataset of predictions.
const INPUT: &str = "in_";

impl Watched<'_> {
    /// Per version: rows, latency, errors, and the drift of inputs and scores.
    pub(super) async fn inputs(&self) -> Result<Vec<WindowResult>> {
        let Some(frame) = self.answered().await? else { return Ok(Vec::new()) };
        let mut results = Vec::new();
        for (number, rows) in by_version(&frame) {
            let answered = frame.take(&rows);
            let mut result = self.counted(number, &answered);
            if let Some(compared) = self.compared(number).await? {
                let good = rows_where(&answered, "status", |status| status < 400.0);
                let good = answered.take(&good);
                let (features, scores) = (inputs_of(&good), scores_of(&good));
                let measured = self
                    .caller
                    .app
                    .compute(move || {
                        let wrong = |cause| Error::internal("the window does not compare with its reference", cause);
                        let mut summary = Summary::new(&compared.distributions);
                        summary.add(&compared.distributions, &features, &scores).map_err(wrong)?;
                        drift(&compared.distributions, &summary).map_err(wrong)
                    })
                    .await?;
                result.drift = Some(measured);
            }
            results.push(result);
        }
        Ok(results)
    }

    async fn answered(&self) -> Result<Option<Frame>> {
        let tables = Tables::newest(&self.caller.app, self.project.id).await?;
        let name = dataset_of(&self.endpoint.name)?;
        let Some(table) = tables.find(name.as_str()) else { return Ok(None) };
        let sql = format!(
            "SELECT * FROM \"{name}\" WHERE project_ms >= {} AND project_ms < {}",
            self.window.start_ms, self.window.end_ms
        );
        let frame = self.caller.app.data().frame(FrameRequest { sql, tables: vec![table.named()] }).await?;
        Ok((frame.rows() > 0).then_some(frame))
    }

    fn counted(&self, number: i64, answered: &Frame) -> WindowResult {
        let mut latency = LatencyHistogram::new();
        let (mut requests, mut errors) = (0, 0);
        // A request's first row stands for the request.
        for row in rows_where(answered, "row", |row| row == 0.0) {
            requests += 1;
            errors += u64::from(number_at(answered, "status", row) >= 500.0);
            latency.record(number_at(answered, "latency_us", row) / 1000.0);
        }
        WindowResult {
            version: number.to_string(),
            window: self.window,
            rows: rows_where(answered, "status", |status| status < 400.0).len() as u64,
            labelled_rows: 0,
            metrics: BTreeMap::new(),
            drift: None,
            latency: latency.latency(),
            requests,
            errors,
        }
    }

    /// Per version: the window's rows with their outcomes, measured. When a version answered a key
    /// twice, its last answer counts.
    pub(super) async fn with_outcomes(&self, tables: &Tables) -> Result<Vec<WindowResult>> {
        let Some(task) = &self.submission.project.task else { return Ok(Vec::new()) };
        let name = dataset_of(&self.endpoint.name)?;
        let (Some(predicted), Some(data)) = (tables.find(name.as_str()), tables.find(task.data.as_str())) else {
            return Ok(Vec::new());
        };
        let has_keys = task.key.iter().all(|key| predicted.version.schema.field(&format!("{INPUT}{key}")).is_some());
        if !has_keys {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = task.key.iter().map(|key| format!("p.\"{INPUT}{key}\"")).collect();
        let on: Vec<String> = task.key.iter().map(|key| format!("p.\"{INPUT}{key}\" = d.\"{key}\"")).collect();
        let scores: Vec<String> = predicted
            .version
            .schema
            .fields
            .iter()
            .filter(|field| field.name.starts_with("score"))
            .map(|field| format!("p.\"{}\"", field.name))
            .collect();
        let sql = format!(
            "SELECT p.version, {scores}, d.\"{target}\" AS outcome FROM (SELECT *, row_number() OVER (PARTITION BY version, {unprefixed} \
             ORDER BY project_ms DESC, wall_ms DESC, prediction_id DESC) AS answer FROM \"{name}\" \
             WHERE project_ms >= {start} AND project_ms < {end} AND status < 400) p LEFT JOIN \"{data}\" d ON {on} WHERE p.answer = 1",
            scores = scores.join(", "),
            target = task.target,
            unprefixed = keys.iter().map(|key| key.trim_start_matches("p.")).collect::<Vec<_>>().join(", "),
            start = self.window.start_ms,
            end = self.window.end_ms,
            data = task.data,
            on = on.join(" AND "),
        );
        let frame =
            self.caller.app.data().frame(FrameRequest { sql, tables: vec![predicted.named(), data.named()] }).await?;
        let mut results = Vec::new();
        for (number, rows) in by_version(&frame) {
            let answered = frame.take(&rows);
            let version =
                model_versions::get(&mut *self.caller.app.store().read().await?, self.endpoint.model_id, number)
                    .await?;
            let signature = reference_of(&version)?.signature;
            let classes = signature.as_ref().map(|signature| signature.classes.clone()).unwrap_or_default();
            let Some(outcome) = answered.column("outcome") else { continue };
            let outcomes = Outcomes::read(outcome, task.kind, &classes)
                .map_err(|cause| Error::internal("outcomes do not read", cause))?;
            let measured = metrics(&ordered_scores(&answered, task.kind, classes.len()), &outcomes)
                .map_err(|cause| Error::internal("quality cannot be measured", cause))?;
            results.push(WindowResult {
                version: number.to_string(),
                window: self.window,
                rows: answered.rows() as u64,
                labelled_rows: outcomes.labelled() as u64,
                metrics: measured.values,
                drift: None,
                latency: None,
                requests: 0,
                errors: 0,
            });
        }
        Ok(results)
    }
}

fn by_version(frame: &Frame) -> BTreeMap<i64, Vec<usize>> {
    let mut rows: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    if let Some(Column::Number(versions)) = frame.column("version") {
        for (row, version) in versions.iter().enumerate().filter(|(_, version)| !version.is_nan()) {
            rows.entry(*version as i64).or_default().push(row);
        }
    }
    rows
}

fn number_at(frame: &Frame, column: &str, row: usize) -> f64 {
    match frame.column(column) {
        Some(Column::Number(values)) => values[row],
        _ => f64::NAN,
    }
}

fn rows_where(frame: &Frame, column: &str, holds: impl Fn(f64) -> bool) -> Vec<usize> {
    (0..frame.rows()).filter(|row| holds(number_at(frame, column, *row))).collect()
}

/// The inputs by their own names.
fn inputs_of(frame: &Frame) -> Frame {
    let mut inputs = Frame::new();
    for (name, column) in frame.names().iter().zip(frame.columns()) {
        if let Some(name) = name.strip_prefix(INPUT) {
            inputs.push(name, column.clone());
        }
    }
    inputs
}

fn scores_of(frame: &Frame) -> Scores {
    let classes = frame.names().iter().filter(|name| name.starts_with("score_")).count();
    let kind = if classes > 0 { TaskKind::Multiclass } else { TaskKind::Regression };
    ordered_scores(frame, kind, classes)
}

/// `score`, or `score_0`, `score_1` … in the order of the classes.
fn ordered_scores(frame: &Frame, kind: TaskKind, classes: usize) -> Scores {
    let names: Vec<String> = if kind == TaskKind::Multiclass {
        (0..classes).map(|class| format!("score_{class}")).collect()
    } else {
        vec!["score".to_owned()]
    };
    let mut values = Vec::with_capacity(frame.rows() * names.len());
    for row in 0..frame.rows() {
        values.extend(names.iter().map(|name| number_at(frame, name, row)));
    }
    Scores { width: names.len(), values }
}
