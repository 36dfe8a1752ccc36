//! What monitors and the clock see: all of it, and nothing that fails keeps the rest waiting.

use std::future::{Future, pending, poll_fn};
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use perennial_core::calendar::Window;
use perennial_core::frame::{Column, Frame};
use perennial_core::port::data::Page;
use perennial_core::schema::Schema;
use perennial_core::state::AlertState;
use perennial_execution::pipeline_runs;
use perennial_execution::pipeline_runs::PipelineRun;
use perennial_kernel::alerts;
use perennial_kernel::alerts::Alert;
use perennial_projects::ProjectState;
use perennial_testkit::{PROJECT_FILE, TestApp, TestModel, TrainedProject, WALL_MS};
use perennial_watch::monitor_results;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// A request that was answered, and three that were not.
const FAILING: [f64; 4] = [200.0, 500.0, 500.0, 500.0];

/// [`PROJECT_FILE`], with an alert about requests that fail.
fn file() -> String {
    PROJECT_FILE
        .replace("drifted = \"drift.share > 0.5\"", "failing = \"error_rate > 0.5\"")
        .replace("endpoint = \"delay\"\n", "endpoint = \"delay\"\nmin_rows = 1\n")
}

/// A project whose version 1 answers from June 2013 on, at an endpoint among others.
async fn released(file: &str, endpoint: &str) -> TrainedProject {
    let flown = TrainedProject::of(file).await;
    flown.renew(1, TestModel::binary(0.0)).await;
    flown.release(perennial_testkit::by_person()).await;
    let predictions = perennial_testkit::dataset(&flown.test, &flown.project, &format!("predictions_{endpoint}")).await;
    flown.version(predictions, 1, &[]).await;
    flown
}

/// A month, counted from June 2013 on.
fn month(number: usize) -> Window {
    let length = "1 month".parse().unwrap();
    let june = Window::containing(WALL_MS, &length, &jiff::tz::TimeZone::UTC);
    (0..number).fold(june, |month, _| Window::containing(month.end_ms, &length, &jiff::tz::TimeZone::UTC))
}

/// Gives the engine the number of an endpoint's rows in an interval, and the statuses of some of them.
fn answered(test: &TestApp, endpoint: &str, stretch: Range<i64>, count: u64, statuses: &[f64]) {
    let Range { start, end } = stretch;
    let rows = format!("FROM \"predictions_{endpoint}\" WHERE project_ms >= {start} AND project_ms < {end}");
    let page = Page { schema: Schema::default(), rows: vec![vec![json!(count)]], truncated: false };
    test.data.answer(&format!("SELECT count(*) {rows}"), page);
    let mut frame = Frame::new();
    for (name, value) in [("version", 1.0), ("row", 0.0), ("latency_us", 1_000.0)] {
        frame.push(name, Column::Number(vec![value; statuses.len()]));
    }
    frame.push("status", Column::Number(statuses.to_vec()));
    test.data.answer_frame(&format!("SELECT * {rows}"), frame);
}

fn answered_in(test: &TestApp, month: Window) {
    answered(test, "delay", month.start_ms..month.end_ms, FAILING.len() as u64, &FAILING);
}

/// Looks once; what happened, in lines.
async fn look(test: &TestApp, project: &Arc<ProjectState>) -> Vec<String> {
    test.app.watch.tick(&test.system(), project).await.unwrap().into_iter().map(|happened| happened.message).collect()
}

/// Windows that were evaluated, and the requests in each.
async fn evaluated(flown: &TrainedProject) -> Vec<(i64, u64)> {
    let (caller, name) = (flown.test.system(), "delay".parse().unwrap());
    let results = monitor_results::list(&caller, &flown.project, &name, None).await.unwrap();
    results.iter().map(|of| (of.window_start_ms, of.facts["result"]["requests"].as_u64().unwrap())).collect()
}

async fn open_alerts(test: &TestApp, project: &ProjectState) -> Vec<Alert> {
    alerts::list(&test.system(), project.id, None, 100).await.unwrap().items
}

/// Pipeline runs that bring data up to date for monitors.
async fn refreshes(flown: &TrainedProject) -> Vec<PipelineRun> {
    let mut runs = pipeline_runs::list(&flown.test.system(), &flown.project, None, 100).await.unwrap().items;
    runs.retain(|run| matches!(run.cause, perennial_core::cause::Cause::Monitor { .. }));
    runs
}

async fn work_is_done(test: &TestApp) {
    while !test.app.kernel.work.is_empty() {
        tokio::task::yield_now().await;
    }
}

/// What a future comes to, unless it has to wait more often than this: then it is given up where it stands.
async fn cut_off<F: Future>(future: F, waits: usize) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), waits);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn every_endpoint_that_a_promotion_switches_is_watched() {
    let file = file().replace("[endpoints.delay]", "[endpoints.delay]\n\n[endpoints.early]");
    let file = file.replace("endpoint = \"delay\"", "endpoint = \"early\"");
    let flown = released(&file, "early").await;
    flown.test.clock.advance(31 * DAY_MS);
    answered(&flown.test, "early", month(0).start_ms..month(0).end_ms, 4, &FAILING);
    look(&flown.test, &flown.project).await;
    assert_eq!(evaluated(&flown).await, [(month(0).start_ms, 4)]);
}

#[tokio::test]
async fn wherever_a_server_dies_a_result_has_its_alert() {
    let flown = released(&file().replace("metric =", "label_delay = \"1 day\"\nmetric ="), "delay").await;
    for waits in 0.. {
        let window = month(waits);
        let start = async || {
            let test = TestApp::beside(&flown.test).await.unwrap();
            test.clock.advance(window.end_ms - WALL_MS);
            (waits.saturating_sub(3)..=waits).for_each(|number| answered_in(&test, month(number)));
            let project = test.app.projects.get(flown.project.id).await.unwrap();
            (test, project)
        };
        let (test, project) = start().await;
        let whole = cut_off(Box::pin(look(&test, &project)), waits).await;
        let (test, project) = start().await;
        look(&test, &project).await;
        let alerts = open_alerts(&test, &project).await;
        let fired = alerts.iter().filter(|alert| alert.name == "failing" && alert.window_start_ms == window.start_ms);
        assert_eq!(fired.count(), 1, "cut off after {waits} waits");
        if whole.is_some() {
            return;
        }
    }
}

#[tokio::test]
async fn a_window_that_cannot_be_evaluated_raises_one_alert_blocks_no_other_and_is_retried_soon() {
    let flown = released(&file(), "delay").await;
    let (june, july) = (month(0), month(1));
    flown.test.clock.advance(july.end_ms - WALL_MS);
    answered_in(&flown.test, july);
    look(&flown.test, &flown.project).await;
    assert_eq!(evaluated(&flown).await, [(july.start_ms, 4)]);
    let stuck = async || {
        let alerts = open_alerts(&flown.test, &flown.project).await.into_iter().filter(|alert| alert.name == "stuck");
        alerts.map(|alert| (alert.subject.to_string(), alert.window_start_ms, alert.state)).collect::<Vec<_>>()
    };
    let about = |state| [("window:delay".to_owned(), june.start_ms, state)];
    assert_eq!(stuck().await, about(AlertState::Firing));
    answered_in(&flown.test, june);
    look(&flown.test, &flown.project).await;
    assert_eq!(evaluated(&flown).await.len(), 1, "nothing is due");
    flown.test.clock.advance(MINUTE_MS);
    look(&flown.test, &flown.project).await;
    assert_eq!(evaluated(&flown).await, [(june.start_ms, 4), (july.start_ms, 4)]);
    assert_eq!(stuck().await, about(AlertState::Resolved));
}

#[tokio::test]
async fn the_alert_of_a_failed_window_ends_once_it_is_too_old_to_be_evaluated() {
    let flown = released(&file().replace("metric =", "label_delay = \"1 day\"\nmetric ="), "delay").await;
    (1..=4).for_each(|number| answered_in(&flown.test, month(number)));
    let states = async |to: Window| {
        let now = flown.project.now().project_ms;
        flown.test.clock.advance(to.end_ms - now);
        look(&flown.test, &flown.project).await;
        let alerts = open_alerts(&flown.test, &flown.project).await.into_iter().filter(|alert| alert.name == "stuck");
        alerts.map(|alert| (alert.window_start_ms, alert.state)).collect::<Vec<_>>()
    };
    assert_eq!(states(month(1)).await, [(month(0).start_ms, AlertState::Firing)]);
    assert_eq!(states(month(4)).await, [(month(0).start_ms, AlertState::Resolved)]);
}

#[tokio::test]
async fn a_window_that_closed_while_the_ledger_moved_is_evaluated() {
    let flown = released(&file(), "delay").await;
    look(&flown.test, &flown.project).await;
    flown.test.clock.advance(month(0).end_ms - WALL_MS);
    answered_in(&flown.test, month(0));
    // Its entries make void what was known to come due.
    flown.renew(2, TestModel::binary(0.0)).await;
    look(&flown.test, &flown.project).await;
    assert_eq!(evaluated(&flown).await, [(month(0).start_ms, 4)]);
}

#[tokio::test]
async fn a_window_of_many_rows_is_read_in_stretches_of_time() {
    let flown = released(&file(), "delay").await;
    let Window { start_ms, end_ms } = month(0);
    let middle = start_ms.midpoint(end_ms);
    flown.test.clock.advance(end_ms - WALL_MS);
    answered(&flown.test, "delay", start_ms..end_ms, 300_000, &[]);
    answered(&flown.test, "delay", start_ms..middle, 200_000, &FAILING);
    answered(&flown.test, "delay", middle..end_ms, 100_000, &FAILING[..2]);
    look(&flown.test, &flown.project).await;
    assert_eq!(evaluated(&flown).await, [(start_ms, 6)]);
    assert!(open_alerts(&flown.test, &flown.project).await[0].message.contains("error_rate = 0.6667"));
}

#[tokio::test]
async fn outcomes_are_waited_for_without_end_when_nothing_says_how_long() {
    let flown = released(&file(), "delay").await;
    flown.test.clock.advance(month(5).end_ms - WALL_MS);
    (0..6).for_each(|number| answered_in(&flown.test, month(number)));
    look(&flown.test, &flown.project).await;
    assert_eq!(evaluated(&flown).await, [0, 1, 2, 3, 4, 5].map(|number| (month(number).start_ms, 4)));
}

#[tokio::test]
async fn a_tick_waits_for_no_pipeline_and_a_failed_one_runs_again() {
    let flown = released(&file(), "delay").await;
    let file = file().replace("data = \"flown\"", "data = \"features\"");
    std::fs::create_dir(flown.test.folder.path().join("root/sql")).unwrap();
    std::fs::write(flown.test.folder.path().join("root/sql/features.sql"), "SELECT * FROM flown").unwrap();
    flown.test.data.offer("sql/features.sql", "SELECT * FROM flown");
    flown.test.submit(&format!("{file}\n[steps.features]\nsql = \"sql/features.sql\"\n")).await.unwrap();
    flown.test.clock.advance(month(0).end_ms - WALL_MS);
    answered_in(&flown.test, month(0));
    let turn = Arc::new(Semaphore::new(0));
    flown.test.data.limit_sql_staging(turn.clone());
    look(&flown.test, &flown.project).await;
    assert_eq!(evaluated(&flown).await.len(), 1);
    assert!(!flown.test.app.kernel.work.is_empty(), "its data are still being brought up to date");
    turn.add_permits(1);
    work_is_done(&flown.test).await;
    assert_eq!(refreshes(&flown).await.len(), 1);
    look(&flown.test, &flown.project).await;
    assert_eq!(refreshes(&flown).await.len(), 1, "nothing is due");
    flown.test.clock.advance(MINUTE_MS);
    look(&flown.test, &flown.project).await;
    work_is_done(&flown.test).await;
    assert_eq!(refreshes(&flown).await.len(), 2);
}

#[tokio::test]
async fn a_canary_is_evaluated_while_other_work_takes_its_time() {
    let canary = "canary = { share = 0.5, for = \"3 days\", min_requests = 10, rollback = \"canary.requests >= 0\" }";
    let file = file().replace("[endpoints.delay]", &format!("[endpoints.delay]\n{canary}"));
    let flown = released(&file, "delay").await;
    flown.test.clock.advance(month(0).end_ms - WALL_MS);
    answered_in(&flown.test, month(0));
    let began = Arc::new(Notify::new());
    let begins = began.clone();
    flown.test.data.before_frame(move |sql| {
        if !sql.contains("predictions_delay") {
            return Box::pin(std::future::ready(()));
        }
        begins.notify_one();
        Box::pin(pending())
    });
    let (caller, project) = (flown.test.system(), flown.project.clone());
    let watch = flown.test.app.watch.clone();
    let long = tokio::spawn(async move { watch.tick(&caller, &project).await });
    began.notified().await;
    flown.renew(2, TestModel::binary(1.0)).await;
    assert!(flown.release(perennial_testkit::by_person()).await.starts_with("version 2 is the canary at `delay`"));
    assert_eq!(
        look(&flown.test, &flown.project).await,
        ["version 2 was rolled back at `delay`: its rollback rule holds"]
    );
    long.abort();
}

#[tokio::test]
async fn a_source_that_never_delivers_is_late_too() {
    let test = TestApp::start().await.unwrap();
    let source = "files = \"data/*.csv\"";
    let file = PROJECT_FILE.replace(source, &format!("{source}, every = \"1 day\""));
    let project = test.submit(&file).await.unwrap();
    look(&test, &project).await;
    test.clock.advance(DAY_MS);
    look(&test, &project).await;
    assert_eq!(open_alerts(&test, &project).await, []);
    test.clock.advance(DAY_MS);
    look(&test, &project).await;
    look(&test, &project).await;
    let messages: Vec<String> = open_alerts(&test, &project).await.into_iter().map(|alert| alert.message).collect();
    let expected = "dataset `flown` is late: it has had no load since 2013-06-01 00:00, expected every 1 day";
    assert_eq!(messages, [expected]);
}
