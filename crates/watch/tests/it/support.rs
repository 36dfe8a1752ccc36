//! A project whose version 1 answers at `delay` since June 2013, and predictions at chosen instants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use perennial_core::calendar::Window;
use perennial_core::cause::Cause;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::RequestId;
use perennial_core::model::Scores;
use perennial_core::port::prediction::{PredictionRecord, TrafficRole};
use perennial_core::state::AlertState;
use perennial_execution::pipeline_runs::{self, PipelineRun};
use perennial_kernel::alerts::{self, Alert};
use perennial_projects::ProjectState;
use perennial_testkit::{PROJECT_FILE, TestApp, TestModel, TrainedProject, WALL_MS, by_person, toml_text};
use perennial_watch::monitor_results::{self, MonitorResult, MonitorResultKind};

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// [`PROJECT_FILE`], with one rule for the alerts of its monitor.
pub(crate) fn alerting(name: &str, rule: &str) -> String {
    let file = toml_text::set(PROJECT_FILE, "monitors.delay.min_rows", "1");
    toml_text::set(&file, "monitors.delay.alerts", &format!("{{ {name} = \"{rule}\" }}"))
}

/// A request that succeeded, and three that failed.
pub(crate) const FAILING: [u16; 4] = [200, 500, 500, 500];

/// [`PROJECT_FILE`], with an alert about requests that fail.
pub(crate) fn failing() -> String {
    alerting("failing", "error_rate > 0.5")
}

/// A month, counted from June 2013.
pub(crate) fn month(number: usize) -> Window {
    let length = "1 month".parse().unwrap();
    let june = Window::containing(WALL_MS, &length, &jiff::tz::TimeZone::UTC);
    (0..number).fold(june, |month, _| Window::containing(month.end_ms, &length, &jiff::tz::TimeZone::UTC))
}

/// Predictions of one request, a row each.
pub(crate) struct Request {
    pub(crate) at_ms: i64,
    pub(crate) version: i64,
    pub(crate) status: u16,
    pub(crate) rows: usize,
    pub(crate) dep_hour: f64,
}

impl Request {
    /// One row by version 1, successful.
    pub(crate) fn at(at_ms: i64) -> Self {
        Self { at_ms, version: 1, status: 200, rows: 1, dep_hour: 7.0 }
    }
}

/// A row with its outcome: the version, its score, the outcome if it is known.
pub(crate) type Outcome = (i64, f64, Option<bool>);

/// A released project.
pub(crate) struct Monitored {
    pub(crate) trained: TrainedProject,
    /// Outcomes by the start of their window, and how often they were read.
    outcomes: Arc<Mutex<Outcomes>>,
}

#[derive(Default)]
struct Outcomes {
    by_window: BTreeMap<i64, Vec<Outcome>>,
    reads: usize,
}

impl Monitored {
    pub(crate) async fn start(file: &str) -> Self {
        let trained = TrainedProject::of(file).await;
        trained.renew(1, TestModel::binary(0.0)).await;
        trained.release(by_person()).await;
        let outcomes = Arc::<Mutex<Outcomes>>::default();
        let answered = outcomes.clone();
        trained.test.data.answer_frames_with(move |sql| {
            if !sql.contains("AS outcome") {
                return None;
            }
            let mut outcomes = answered.lock().unwrap();
            outcomes.reads += 1;
            let is_of = |start: &i64| sql.contains(&format!("project_ms >= {start} "));
            let rows = outcomes.by_window.iter().find(|(start, _)| is_of(start)).map(|(_, rows)| rows.as_slice());
            Some(outcome_frame(rows.unwrap_or_default()))
        });
        Self { trained, outcomes }
    }

    pub(crate) fn test(&self) -> &TestApp {
        &self.trained.test
    }

    pub(crate) fn project(&self) -> &Arc<ProjectState> {
        &self.trained.project
    }

    /// Logs a request at an endpoint.
    pub(crate) fn predict_at(&self, endpoint: &str, request: &Request) {
        let mut inputs = Frame::new();
        let numbers = |value: f64| Column::Number(vec![value; request.rows]);
        inputs.push("flight_id", Column::Number((0..request.rows).map(|row| row as f64).collect()));
        inputs.push("dep_hour", numbers(request.dep_hour));
        inputs.push("distance", numbers(500.0));
        inputs.push("carrier", Column::Text(TextColumn::encode(vec![Some("AA"); request.rows])));
        let scores = Scores { width: 1, values: vec![0.5; request.rows] };
        let record = PredictionRecord {
            request: RequestId::generate(),
            version: request.version,
            role: TrafficRole::Champion,
            status: request.status,
            wall_ms: request.at_ms,
            project_ms: request.at_ms,
            latency_us: 1_000,
            inputs: &inputs,
            scores: (request.status < 400).then_some(&scores),
        };
        let log = format!("{}/{endpoint}", self.project().id);
        self.test().app.kernel.services.predictions.append(&log, record).unwrap();
    }

    pub(crate) fn predict(&self, request: &Request) {
        self.predict_at("delay", request);
    }

    /// Logs one request of one row for each status.
    pub(crate) fn answer(&self, at_ms: i64, statuses: &[u16]) {
        for status in statuses {
            self.predict(&Request { status: *status, ..Request::at(at_ms) });
        }
    }

    /// The outcomes of the predictions in a window, from now on.
    pub(crate) fn set_outcomes(&self, window: Window, rows: &[Outcome]) {
        self.outcomes.lock().unwrap().by_window.insert(window.start_ms, rows.to_vec());
    }

    /// How often outcomes were read.
    pub(crate) fn outcome_reads(&self) -> usize {
        self.outcomes.lock().unwrap().reads
    }

    /// Ticks once. Returns the messages of events.
    pub(crate) async fn tick(&self) -> Vec<String> {
        let events = self.test().app.watch.tick(&self.test().system(), self.project()).await.unwrap();
        events.into_iter().map(|event| event.message).collect()
    }

    /// Moves the wall clock to an instant, and ticks once.
    pub(crate) async fn tick_at(&self, ms: i64) -> Vec<String> {
        self.test().clock.advance(ms - self.project().now().wall_ms);
        self.tick().await
    }

    /// The latest results, oldest window first.
    pub(crate) async fn results(&self, kind: MonitorResultKind) -> Vec<MonitorResult> {
        let (caller, name) = (self.test().system(), "delay".parse().unwrap());
        let mut results = monitor_results::list(&caller, self.project(), &name, None).await.unwrap();
        results.retain(|result| result.kind == kind);
        results
    }

    /// The windows with results about inputs, and the requests in each.
    pub(crate) async fn evaluated(&self) -> Vec<(i64, u64)> {
        let results = self.results(MonitorResultKind::Inputs).await;
        let requests = |result: &MonitorResult| result.facts["result"]["requests"].as_u64().unwrap();
        results.iter().map(|result| (result.window_start_ms, requests(result))).collect()
    }

    /// Alerts of a name, first to last.
    pub(crate) async fn alerts(&self, name: &str) -> Vec<Alert> {
        let mut alerts = alerts::list(&self.test().system(), self.project().id, None, 100).await.unwrap().items;
        alerts.retain(|alert| alert.name == name);
        alerts.reverse();
        alerts
    }

    /// Window and state of alerts of a name, first to last.
    pub(crate) async fn alert_states(&self, name: &str) -> Vec<(i64, AlertState)> {
        self.alerts(name).await.into_iter().map(|alert| (alert.window_start_ms, alert.state)).collect()
    }

    /// Pipeline runs that a trigger or a monitor started, first to last.
    pub(crate) async fn started_runs(&self) -> Vec<PipelineRun> {
        let page = pipeline_runs::list(&self.test().system(), self.project(), None, 100).await.unwrap();
        let is_started = |run: &PipelineRun| matches!(run.cause, Cause::Trigger { .. } | Cause::Monitor { .. });
        page.items.into_iter().filter(is_started).rev().collect()
    }

    /// Waits for background work.
    pub(crate) async fn work_ends(&self) {
        self.test().app.kernel.work.stop(Duration::from_secs(60)).await;
    }
}

fn outcome_frame(rows: &[Outcome]) -> Frame {
    let mut frame = Frame::new();
    let outcome = |row: &Outcome| row.2.map_or(f64::NAN, |late| f64::from(u8::from(late)));
    frame.push("version", Column::Number(rows.iter().map(|row| row.0 as f64).collect()));
    frame.push("outcome", Column::Number(rows.iter().map(outcome).collect()));
    frame.push("score", Column::Number(rows.iter().map(|row| row.1).collect()));
    frame
}
