//! Measures one window: reads its predictions and their outcomes, and computes results by version.

use std::collections::BTreeMap;
use std::ops::Range;

use perennial_config::Task;
use perennial_core::calendar::Window;
use perennial_core::frame::{Column, Frame, MISSING, TextColumn};
use perennial_core::latency::LatencyHistogram;
use perennial_core::model::Scores;
use perennial_core::name::DatasetName;
use perennial_core::port::data::{FrameRequest, QueryRequest};
use perennial_core::schema::{Schema, TypeClass};
use perennial_core::task::TaskKind;
use perennial_core::{Error, Result};
use perennial_evaluation::{Outcomes, metrics};
use perennial_monitoring::{Distribution, Reference, Summary, WindowResult, drift};
use perennial_store::{model_versions, monitor_results, promotions};

use super::window::MonitorWindow;
use perennial_ingest::predictions::{dataset_of, holds, key_class, logged, quoted, read_as};
use perennial_ingest::snapshot::DatasetSnapshot;
use perennial_release::decisions::reference_of;
use perennial_release::releases::PROMOTIONS_READ;

/// Rows read at once; a window with more is read in several intervals.
const ROWS_READ_MAX: u64 = 250_000;
/// The prefix of input columns in a dataset of predictions.
const INPUT: &str = "in_";

/// The baseline of a release: distributions of its features and scores, and its metrics.
pub(super) struct ReleaseReference {
    distributions: Reference,
    pub(super) measures: BTreeMap<String, f64>,
}

impl MonitorWindow<'_> {
    /// Rows predicted in an interval of the window, by any version, failed ones included.
    pub(super) async fn count_predictions(&self, snapshot: &DatasetSnapshot, interval: Range<i64>) -> Result<u64> {
        let name = dataset_of(&self.endpoint.name)?;
        let Some(table) = snapshot.find(name.as_str()) else { return Ok(0) };
        let sql = format!(
            "SELECT count(*) FROM \"{name}\" WHERE project_ms >= {} AND project_ms < {}",
            interval.start, interval.end
        );
        let request = QueryRequest { sql, tables: vec![table.named_table()], limit: 1 };
        let page = self.caller.kernel.data().query(request).await?;
        Ok(page.rows.first().and_then(|row| row.first()?.as_u64()).unwrap_or_default())
    }

    /// By version: the number of predicted rows, and of these latency, errors, and the drift of inputs and scores.
    pub(super) async fn measure_inputs(&self, snapshot: &DatasetSnapshot) -> Result<Vec<(u64, WindowResult)>> {
        let mut versions: BTreeMap<i64, InputSummary> = BTreeMap::new();
        for interval in self.intervals(snapshot).await? {
            let frame = self.predictions(snapshot, interval).await?;
            for (number, rows) in by_version(&frame) {
                let summary = match versions.remove(&number) {
                    Some(summary) => summary,
                    None => InputSummary::new(self.find_reference(number).await?),
                };
                let rows = frame.take(&rows);
                let summary = self.caller.kernel.run_blocking_short(move || summary.with(&rows)).await?;
                versions.insert(number, summary);
            }
        }
        versions
            .into_iter()
            .map(|(number, summary)| Ok((summary.predictions, summary.result(number, self.window)?)))
            .collect()
    }

    /// The window in intervals, each of at most [`ROWS_READ_MAX`] rows or of a single instant.
    async fn intervals(&self, snapshot: &DatasetSnapshot) -> Result<Vec<Range<i64>>> {
        let whole = self.window.start_ms..self.window.end_ms;
        let (mut intervals, mut open) = (Vec::new(), vec![whole]);
        while let Some(interval) = open.pop() {
            let rows = self.count_predictions(snapshot, interval.clone()).await?;
            let middle = interval.start.midpoint(interval.end);
            if rows > ROWS_READ_MAX && middle > interval.start {
                open.extend([middle..interval.end, interval.start..middle]);
            } else if rows > 0 {
                intervals.push(interval);
            }
        }
        Ok(intervals)
    }

    async fn predictions(&self, snapshot: &DatasetSnapshot, interval: Range<i64>) -> Result<Frame> {
        let name = dataset_of(&self.endpoint.name)?;
        let Some(table) = snapshot.find(name.as_str()) else { return Ok(Frame::new()) };
        let Range { start, end } = interval;
        let sql = format!("SELECT * FROM \"{name}\" WHERE project_ms >= {start} AND project_ms < {end}");
        self.caller.kernel.data().frame(FrameRequest { sql, tables: vec![table.named_table()], keys: Vec::new() }).await
    }

    /// By version: metrics of the window's rows with their outcomes. When a version predicted a key twice, its last
    /// prediction counts. A prediction that is not a number is left out.
    pub(super) async fn measure_quality(&self, snapshot: &DatasetSnapshot) -> Result<Vec<WindowResult>> {
        let Some(task) = &self.submission.project.task else { return Ok(Vec::new()) };
        let name = dataset_of(&self.endpoint.name)?;
        let (Some(predicted), Some(data)) = (snapshot.find(name.as_str()), snapshot.find(task.data.as_str())) else {
            return Ok(Vec::new());
        };
        let Some(sql) = self.outcomes_sql(task, (&name, &predicted.version.schema), &data.version.schema) else {
            return Ok(Vec::new());
        };
        // A class that is an integer has all its digits, as in training.
        let keys = if task.kind == TaskKind::Multiclass { vec!["outcome".to_owned()] } else { Vec::new() };
        let request = FrameRequest { sql, tables: vec![predicted.named_table(), data.named_table()], keys };
        let frame = self.caller.kernel.data().frame(request).await?;
        let mut results = Vec::new();
        for (number, rows) in by_version(&frame) {
            let rows = frame.take(&rows);
            let version =
                model_versions::get(&mut *self.caller.kernel.store().read().await?, self.endpoint.model_id, number)
                    .await?;
            let signature = reference_of(&version)?.signature;
            let classes = signature.as_ref().map(|signature| signature.classes.clone()).unwrap_or_default();
            let width = if task.kind == TaskKind::Multiclass { classes.len() } else { 1 };
            let scores = scores_of(&rows, width);
            let is_number = |row: &usize| scores.row(*row).iter().all(|score| score.is_finite());
            let rows = rows.take(&(0..scores.rows()).filter(is_number).collect::<Vec<_>>());
            let Some(outcome) = rows.column("outcome") else { continue };
            let outcomes = Outcomes::from_column(outcome, task.kind, &classes)
                .map_err(|cause| Error::internal("cannot parse outcomes", cause))?;
            let measured = metrics(&scores_of(&rows, width), &outcomes)
                .map_err(|cause| Error::internal("cannot compute quality metrics", cause))?;
            results.push(WindowResult {
                version: number.to_string(),
                window: self.window,
                rows: rows.rows() as u64,
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

    /// SQL for the window's successful predictions by key, each with its outcome. A key is compared in the type that it
    /// has in the data, whatever type a request had. `None` when no key was logged, the data does not have it, or
    /// it is a list or a struct.
    fn outcomes_sql(&self, task: &Task, (name, logs): (&DatasetName, &Schema), data: &Schema) -> Option<String> {
        let mut columns: Vec<String> = ["version", "project_ms", "wall_ms", "prediction_id"].map(str::to_owned).into();
        let (mut keys, mut same) = (Vec::new(), Vec::new());
        for (index, key) in task.key.iter().enumerate() {
            let own = &data.field(key)?.class;
            let class = key_class(own)?;
            columns.push(format!("{} AS key_{index}", logged(logs, &format!("{INPUT}{key}"), &class)?));
            keys.push(format!("key_{index}"));
            same.push(format!("p.key_{index} = {}", read_as(&format!("d.{}", quoted(key)), own, &class)));
        }
        if keys.is_empty() {
            return None;
        }
        let mut shown = vec!["p.version".to_owned(), format!("d.{} AS outcome", quoted(&task.target))];
        let numbered = (0..).map(|class| format!("score_{class}"));
        for score in std::iter::once("score".to_owned()).chain(numbered) {
            match logged(logs, &score, &TypeClass::Float) {
                Some(values) => columns.push(format!("{values} AS {score}")),
                None if score == "score" => continue,
                None => break,
            }
            shown.push(format!("p.{score}"));
        }
        Some(format!(
            "SELECT {shown} FROM (SELECT *, row_number() OVER (PARTITION BY version, {keys} ORDER BY project_ms DESC, wall_ms DESC, \
             prediction_id DESC) AS answer FROM (SELECT {columns} FROM {predictions} WHERE project_ms >= {start} AND project_ms < {end} \
             AND status < 400) l) p LEFT JOIN {data} d ON {same} WHERE p.answer = 1",
            shown = shown.join(", "),
            keys = keys.join(", "),
            columns = columns.join(", "),
            predictions = quoted(name.as_str()),
            start = self.window.start_ms,
            end = self.window.end_ms,
            data = quoted(task.data.as_str()),
            same = same.join(" AND "),
        ))
    }

    /// The reference of the release that promoted a version at this endpoint.
    pub(super) async fn find_reference(&self, number: i64) -> Result<Option<ReleaseReference>> {
        let mut reader = self.caller.kernel.store().read().await?;
        let promotions =
            promotions::list_of_version(&mut reader, self.endpoint.model_id, number, PROMOTIONS_READ).await?;
        let promoted = promotions.into_iter().filter(|promotion| promotion.to_number == Some(number));
        for digest in promoted.filter_map(|promotion| promotion.release_digest) {
            let Some(row) = monitor_results::find_reference(&mut reader, self.project.id, &digest).await? else {
                continue;
            };
            let distributions = serde_json::from_value(row.body["distributions"].clone())
                .map_err(|cause| Error::internal(format!("cannot parse the reference of release `{digest}`"), cause))?;
            let measures = row.body["measures"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
                .collect();
            return Ok(Some(ReleaseReference { distributions, measures }));
        }
        Ok(None)
    }
}

/// Counts, latency and distributions of the predictions of one version, summed over the intervals of a window.
struct InputSummary {
    /// Rows, failed ones included.
    predictions: u64,
    /// Rows of successful requests.
    succeeded: u64,
    requests: u64,
    errors: u64,
    latency: LatencyHistogram,
    /// The reference, and the bins of inputs and scores counted against it.
    compared: Option<(ReleaseReference, Summary)>,
}

impl InputSummary {
    fn new(reference: Option<ReleaseReference>) -> Self {
        let compared = reference.map(|reference| {
            let summary = Summary::new(&reference.distributions);
            (reference, summary)
        });
        Self { predictions: 0, succeeded: 0, requests: 0, errors: 0, latency: LatencyHistogram::new(), compared }
    }

    /// With the rows of another interval.
    fn with(mut self, rows: &Frame) -> Result<Self> {
        self.predictions += rows.rows() as u64;
        // Each request has one row with number 0.
        for row in rows_where(rows, "row", |row| row == 0.0) {
            self.requests += 1;
            self.errors += u64::from(number_at(rows, "status", row) >= 500.0);
            self.latency.record(number_at(rows, "latency_us", row) / 1000.0);
        }
        let succeeded = rows_where(rows, "status", |status| status < 400.0);
        self.succeeded += succeeded.len() as u64;
        if let Some((reference, summary)) = &mut self.compared {
            let (rows, distributions) = (rows.take(&succeeded), &reference.distributions);
            let scores = scores_of(&rows, distributions.scores.len());
            summary.add(distributions, &inputs_of(&rows, distributions), &scores).map_err(incomparable)?;
        }
        Ok(self)
    }

    fn result(&self, number: i64, window: Window) -> Result<WindowResult> {
        let compared = self.compared.as_ref();
        Ok(WindowResult {
            version: number.to_string(),
            window,
            rows: self.succeeded,
            labelled_rows: 0,
            metrics: BTreeMap::new(),
            drift: compared
                .map(|(reference, summary)| drift(&reference.distributions, summary).map_err(incomparable))
                .transpose()?,
            latency: self.latency.latency(),
            requests: self.requests,
            errors: self.errors,
        })
    }
}

fn incomparable(cause: perennial_monitoring::Error) -> Error {
    Error::internal("the window cannot be compared with its reference", cause)
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

/// The features of a reference by their own names; a feature that was not logged is missing.
fn inputs_of(frame: &Frame, reference: &Reference) -> Frame {
    let mut inputs = Frame::new();
    for feature in &reference.features {
        let name = format!("{INPUT}{}", feature.name);
        let column = match feature.distribution {
            Distribution::Numbers(_) => Column::Number(numbers(frame, &name)),
            Distribution::Categories(_) => Column::Text(texts(frame, &name)),
        };
        inputs.push(&feature.name, column);
    }
    inputs
}

/// `score`, or `score_0`, `score_1` … in the order of the classes.
fn scores_of(frame: &Frame, width: usize) -> Scores {
    let name = |class: usize| if width == 1 { "score".to_owned() } else { format!("score_{class}") };
    let columns: Vec<Vec<f64>> = (0..width).map(|class| numbers(frame, &name(class))).collect();
    let values = (0..frame.rows()).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    Scores { width, values }
}

/// The numbers that were logged as `name`.
fn numbers(frame: &Frame, name: &str) -> Vec<f64> {
    let mut all = vec![f64::NAN; frame.rows()];
    for column in logged_columns(frame, name) {
        if let Column::Number(values) = column {
            all.iter_mut().zip(values).filter(|(own, _)| own.is_nan()).for_each(|(own, value)| *own = *value);
        }
    }
    all
}

/// The texts that were logged as `name`.
fn texts(frame: &Frame, name: &str) -> TextColumn {
    let found = logged_columns(frame, name).find_map(|column| match column {
        Column::Text(text) => Some(text.clone()),
        Column::Number(_) => None,
    });
    found.unwrap_or_else(|| TextColumn { codes: vec![MISSING; frame.rows()], values: Vec::new() })
}

fn logged_columns<'a>(frame: &'a Frame, name: &str) -> impl Iterator<Item = &'a Column> {
    frame.names().iter().zip(frame.columns()).filter(move |(column, _)| holds(column, name)).map(|(_, column)| column)
}
