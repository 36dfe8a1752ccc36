//! Reading one window: what was answered, and how it turned out.

use std::collections::BTreeMap;
use std::ops::Range;

use perennial_config::Task;
use perennial_core::calendar::Window;
use perennial_core::frame::{Column, Frame, MISSING, TextColumn};
use perennial_core::model::Scores;
use perennial_core::name::DatasetName;
use perennial_core::port::data::{FrameRequest, QueryRequest};
use perennial_core::schema::{Schema, TypeClass};
use perennial_core::task::TaskKind;
use perennial_core::{Error, Result};
use perennial_evaluation::{Outcomes, metrics};
use perennial_monitoring::{Distribution, LatencyHistogram, Reference, Summary, WindowResult, drift};
use perennial_store::model_versions;

use super::{Compared, Watched};
use perennial_ingest::predictions::{dataset_of, holds, key_class, logged, quoted, read_as};
use perennial_ingest::snapshot::Tables;
use perennial_release::decisions::reference_of;

/// Rows that are read at once; a window of more is read in stretches of time.
const ROWS_AT_ONCE: u64 = 250_000;
/// The prefix of input columns in a dataset of predictions.
const INPUT: &str = "in_";

impl Watched<'_> {
    /// Rows that were answered in a stretch of the window, by any version, well or not.
    pub(super) async fn answers(&self, tables: &Tables, stretch: Range<i64>) -> Result<u64> {
        let name = dataset_of(&self.endpoint.name)?;
        let Some(table) = tables.find(name.as_str()) else { return Ok(0) };
        let sql = format!(
            "SELECT count(*) FROM \"{name}\" WHERE project_ms >= {} AND project_ms < {}",
            stretch.start, stretch.end
        );
        let page = self.caller.kernel.data().query(QueryRequest { sql, tables: vec![table.named()], limit: 1 }).await?;
        Ok(page.rows.first().and_then(|row| row.first()?.as_u64()).unwrap_or_default())
    }

    /// Per version: rows that were answered, and of these latency, errors, and the drift of inputs and scores.
    pub(super) async fn inputs(&self, tables: &Tables) -> Result<Vec<(u64, WindowResult)>> {
        let mut versions: BTreeMap<i64, Answered> = BTreeMap::new();
        for stretch in self.stretches(tables).await? {
            let frame = self.answered(tables, stretch).await?;
            for (number, rows) in by_version(&frame) {
                let so_far = match versions.remove(&number) {
                    Some(so_far) => so_far,
                    None => Answered::new(self.compared(number).await?),
                };
                let rows = frame.take(&rows);
                let counted = self.caller.kernel.run_blocking_short(move || so_far.with(&rows)).await?;
                versions.insert(number, counted);
            }
        }
        versions
            .into_iter()
            .map(|(number, answered)| Ok((answered.answers, answered.result(number, self.window)?)))
            .collect()
    }

    /// The window in stretches of time, each with as many rows as are read at once, or at one instant.
    async fn stretches(&self, tables: &Tables) -> Result<Vec<Range<i64>>> {
        let whole = self.window.start_ms..self.window.end_ms;
        let (mut stretches, mut open) = (Vec::new(), vec![whole]);
        while let Some(stretch) = open.pop() {
            let answers = self.answers(tables, stretch.clone()).await?;
            let middle = stretch.start.midpoint(stretch.end);
            if answers > ROWS_AT_ONCE && middle > stretch.start {
                open.extend([middle..stretch.end, stretch.start..middle]);
            } else if answers > 0 {
                stretches.push(stretch);
            }
        }
        Ok(stretches)
    }

    async fn answered(&self, tables: &Tables, stretch: Range<i64>) -> Result<Frame> {
        let name = dataset_of(&self.endpoint.name)?;
        let Some(table) = tables.find(name.as_str()) else { return Ok(Frame::new()) };
        let sql =
            format!("SELECT * FROM \"{name}\" WHERE project_ms >= {} AND project_ms < {}", stretch.start, stretch.end);
        self.caller.kernel.data().frame(FrameRequest { sql, tables: vec![table.named()] }).await
    }

    /// Per version: the window's rows with their outcomes, measured. When a version answered a key
    /// twice, its last answer counts. An answer that is no number cannot be measured.
    pub(super) async fn with_outcomes(&self, tables: &Tables) -> Result<Vec<WindowResult>> {
        let Some(task) = &self.submission.project.task else { return Ok(Vec::new()) };
        let name = dataset_of(&self.endpoint.name)?;
        let (Some(predicted), Some(data)) = (tables.find(name.as_str()), tables.find(task.data.as_str())) else {
            return Ok(Vec::new());
        };
        let Some(sql) = self.outcomes_sql(task, (&name, &predicted.version.schema), &data.version.schema) else {
            return Ok(Vec::new());
        };
        let frame = self
            .caller
            .kernel
            .data()
            .frame(FrameRequest { sql, tables: vec![predicted.named(), data.named()] })
            .await?;
        let mut results = Vec::new();
        for (number, rows) in by_version(&frame) {
            let answered = frame.take(&rows);
            let version =
                model_versions::get(&mut *self.caller.kernel.store().read().await?, self.endpoint.model_id, number)
                    .await?;
            let signature = reference_of(&version)?.signature;
            let classes = signature.as_ref().map(|signature| signature.classes.clone()).unwrap_or_default();
            let width = if task.kind == TaskKind::Multiclass { classes.len() } else { 1 };
            let scores = scores_of(&answered, width);
            let is_number = |row: &usize| scores.row(*row).iter().all(|score| score.is_finite());
            let answered = answered.take(&(0..scores.rows()).filter(is_number).collect::<Vec<_>>());
            let Some(outcome) = answered.column("outcome") else { continue };
            let outcomes = Outcomes::from_column(outcome, task.kind, &classes)
                .map_err(|cause| Error::internal("outcomes do not read", cause))?;
            let measured = metrics(&scores_of(&answered, width), &outcomes)
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

    /// The window's good answers by key, each beside its outcome. A key is compared in the type that the
    /// data has for it, however it was sent. `None` while no key was logged, or the data has none.
    fn outcomes_sql(&self, task: &Task, (name, logs): (&DatasetName, &Schema), data: &Schema) -> Option<String> {
        let mut columns: Vec<String> = ["version", "project_ms", "wall_ms", "prediction_id"].map(str::to_owned).into();
        let (mut keys, mut same) = (Vec::new(), Vec::new());
        for (place, key) in task.key.iter().enumerate() {
            let own = &data.field(key)?.class;
            let class = key_class(own);
            columns.push(format!("{} AS key_{place}", logged(logs, &format!("{INPUT}{key}"), &class)?));
            keys.push(format!("key_{place}"));
            same.push(format!("p.key_{place} = {}", read_as(&format!("d.{}", quoted(key)), own, &class)));
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
}

/// What one version answered in the stretches of a window so far.
struct Answered {
    answers: u64,
    good: u64,
    requests: u64,
    errors: u64,
    latency: LatencyHistogram,
    /// What its inputs and scores are compared with, and where they lie there.
    compared: Option<(Compared, Summary)>,
}

impl Answered {
    fn new(compared: Option<Compared>) -> Self {
        let compared = compared.map(|compared| {
            let summary = Summary::new(&compared.distributions);
            (compared, summary)
        });
        Self { answers: 0, good: 0, requests: 0, errors: 0, latency: LatencyHistogram::new(), compared }
    }

    /// With the rows of another stretch.
    fn with(mut self, rows: &Frame) -> Result<Self> {
        self.answers += rows.rows() as u64;
        // A request's first row stands for the request.
        for row in rows_where(rows, "row", |row| row == 0.0) {
            self.requests += 1;
            self.errors += u64::from(number_at(rows, "status", row) >= 500.0);
            self.latency.record(number_at(rows, "latency_us", row) / 1000.0);
        }
        let good = rows_where(rows, "status", |status| status < 400.0);
        self.good += good.len() as u64;
        if let Some((compared, summary)) = &mut self.compared {
            let (good, reference) = (rows.take(&good), &compared.distributions);
            let scores = scores_of(&good, reference.scores.len());
            summary.add(reference, &inputs_of(&good, reference), &scores).map_err(incomparable)?;
        }
        Ok(self)
    }

    fn result(&self, number: i64, window: Window) -> Result<WindowResult> {
        let compared = self.compared.as_ref();
        Ok(WindowResult {
            version: number.to_string(),
            window,
            rows: self.good,
            labelled_rows: 0,
            metrics: BTreeMap::new(),
            drift: compared
                .map(|(compared, summary)| drift(&compared.distributions, summary).map_err(incomparable))
                .transpose()?,
            latency: self.latency.latency(),
            requests: self.requests,
            errors: self.errors,
        })
    }
}

fn incomparable(cause: perennial_monitoring::Error) -> Error {
    Error::internal("the window does not compare with its reference", cause)
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

/// The features of a reference by their own names; one that was not logged is missing.
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
