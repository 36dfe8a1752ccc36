//! Windows of a monitor: inputs are evaluated when a window closes, and each alert fires once a window.

use perennial_core::calendar::Window;
use perennial_core::state::AlertState::{Firing, Resolved};
use perennial_testkit::fakes::Call;
use perennial_testkit::{TestModel, by_person, toml_text};
use perennial_watch::monitor_results::MonitorResultKind;

use crate::support::{DAY_MS, FAILING, MINUTE_MS, Monitored, Request, alerting, failing, month};

/// The query that counts the predictions of a window.
fn count_sql(endpoint: &str, window: Window) -> String {
    let Window { start_ms, end_ms } = window;
    format!("SELECT count(*) FROM \"predictions_{endpoint}\" WHERE project_ms >= {start_ms} AND project_ms < {end_ms}")
}

#[tokio::test]
async fn a_window_is_evaluated_when_it_closes_and_not_before() {
    let monitored = Monitored::start(&failing()).await;
    let june = month(0);
    monitored.answer(june.start_ms + DAY_MS, &FAILING);
    monitored.tick_at(june.end_ms - 1).await;
    assert!(monitored.evaluated().await.is_empty());
    let messages = monitored.tick_at(june.end_ms).await;
    assert_eq!(monitored.evaluated().await, [(june.start_ms, 4)]);
    let expected =
        "alert `delay.failing` at version 1, window of 2013-06-01 00:00: error_rate > 0.5 (error_rate = 0.7500)";
    assert_eq!(messages, [expected]);
    monitored.tick_at(june.end_ms + 1).await;
    assert_eq!(monitored.evaluated().await.len(), 1);
}

#[tokio::test]
async fn a_window_without_predictions_has_no_result() {
    let monitored = Monitored::start(&failing()).await;
    monitored.answer(month(1).start_ms, &FAILING);
    monitored.tick_at(month(1).end_ms).await;
    assert_eq!(monitored.evaluated().await, [(month(1).start_ms, 4)]);
}

#[tokio::test]
async fn a_result_has_the_counts_latency_and_drift_of_its_version() {
    let monitored = Monitored::start(&alerting("drifted", "drift.share > 0.9")).await;
    let june = month(0);
    monitored.predict(&Request { rows: 40, dep_hour: 99.0, ..Request::at(june.start_ms) });
    monitored.answer(june.start_ms, &[400, 503]);
    let messages = monitored.tick_at(june.end_ms).await;
    let result = monitored.results(MonitorResultKind::Inputs).await.remove(0);
    let (facts, result) = (&result.facts["facts"], &result.facts["result"]);
    assert_eq!((result["rows"].as_u64(), result["requests"].as_u64()), (Some(40), Some(3)));
    assert_eq!(result["errors"].as_u64(), Some(1), "a request that is refused is not an error of the endpoint");
    assert!(facts["latency"]["p99_ms"].as_f64().is_some_and(|ms| (0.9..1.2).contains(&ms)), "{}", facts["latency"]);
    assert_eq!(facts["drift"]["share"], 1.0, "constant inputs are not those of the training rows");
    assert_eq!(messages.len(), 1, "{messages:?}");
}

#[tokio::test]
async fn every_version_has_results_and_only_the_champion_alerts() {
    let monitored = Monitored::start(&failing()).await;
    let june = month(0);
    monitored.answer(june.start_ms, &[200]);
    for _ in 0..3 {
        monitored.predict(&Request { version: 2, status: 500, ..Request::at(june.start_ms) });
    }
    assert!(monitored.tick_at(june.end_ms).await.is_empty());
    let results = monitored.results(MonitorResultKind::Inputs).await;
    let requests = results.iter().map(|result| (result.number, result.facts["result"]["requests"].as_u64().unwrap()));
    assert_eq!(requests.collect::<Vec<_>>(), [(1, 1), (2, 3)]);
}

#[tokio::test]
async fn an_alert_needs_the_declared_number_of_rows() {
    for (rows, fires) in [(2, false), (3, true)] {
        let file = toml_text::set(&alerting("drifted", "drift.share > 0.5"), "monitors.delay.min_rows", "3");
        let monitored = Monitored::start(&file).await;
        monitored.predict(&Request { rows, ..Request::at(month(0).start_ms) });
        monitored.tick_at(month(0).end_ms).await;
        assert_eq!(monitored.alerts("drifted").await.len(), usize::from(fires), "{rows} rows");
    }
}

#[tokio::test]
async fn an_alert_fires_once_a_window_and_resolves_with_the_next_window() {
    let monitored = Monitored::start(&failing()).await;
    let (june, july, august) = (month(0), month(1), month(2));
    monitored.answer(june.start_ms, &FAILING);
    monitored.tick_at(june.end_ms).await;
    monitored.tick_at(june.end_ms + DAY_MS).await;
    assert_eq!(monitored.alert_states("failing").await, [(june.start_ms, Firing)]);
    monitored.answer(july.start_ms, &FAILING);
    monitored.tick_at(july.end_ms).await;
    assert_eq!(monitored.alert_states("failing").await, [(june.start_ms, Resolved), (july.start_ms, Firing)]);
    monitored.answer(august.start_ms, &[200]);
    monitored.tick_at(august.end_ms).await;
    assert_eq!(monitored.alert_states("failing").await, [(june.start_ms, Resolved), (july.start_ms, Resolved)]);
}

#[tokio::test]
async fn late_predictions_make_a_new_revision_that_may_resolve_the_alert() {
    let monitored = Monitored::start(&failing()).await;
    let (june, july) = (month(0), month(1));
    monitored.answer(june.start_ms, &FAILING);
    monitored.tick_at(june.end_ms).await;
    monitored.answer(june.end_ms - 1, &[200; 4]);
    monitored.tick_at(july.end_ms).await;
    let results = monitored.results(MonitorResultKind::Inputs).await;
    assert_eq!(results.iter().map(|result| result.revision).collect::<Vec<_>>(), [2]);
    assert_eq!(monitored.evaluated().await, [(june.start_ms, 8)]);
    assert_eq!(monitored.alert_states("failing").await, [(june.start_ms, Resolved)]);
}

#[tokio::test]
async fn a_rule_whose_facts_are_missing_does_not_fire() {
    // Nothing was answered well: there is no drift.
    let monitored = Monitored::start(&alerting("drifted", "drift.share > 0.0 || error_rate > 2.0")).await;
    monitored.answer(month(0).start_ms, &[500]);
    monitored.tick_at(month(0).end_ms).await;
    assert_eq!((monitored.evaluated().await.len(), monitored.alerts("drifted").await.len()), (1, 0));
}

#[tokio::test]
async fn a_monitor_without_a_champion_evaluates_nothing() {
    let trained = perennial_testkit::TrainedProject::of(&failing()).await;
    let (caller, project) = (trained.test.system(), &trained.project);
    trained.test.clock.advance(40 * DAY_MS);
    trained.test.app.watch.tick(&caller, project).await.unwrap();
    let results = perennial_watch::monitor_results::list(&caller, project, &"delay".parse().unwrap(), None).await;
    assert!(results.unwrap().is_empty());
}

#[tokio::test]
async fn every_endpoint_of_a_release_may_be_monitored() {
    let file = failing().replace("[endpoints.delay]", "[endpoints.delay]\n\n[endpoints.early]");
    let monitored = Monitored::start(&toml_text::set(&file, "monitors.delay.endpoint", "\"early\"")).await;
    monitored.predict_at("early", &Request::at(month(0).start_ms));
    monitored.answer(month(0).start_ms, &FAILING);
    monitored.tick_at(month(0).end_ms).await;
    assert_eq!(monitored.evaluated().await, [(month(0).start_ms, 1)]);
}

#[tokio::test]
async fn several_windows_that_closed_unnoticed_are_evaluated_together() {
    let monitored = Monitored::start(&failing()).await;
    for number in 0..6 {
        monitored.answer(month(number).start_ms, &[200]);
    }
    monitored.tick_at(month(5).end_ms).await;
    assert_eq!(monitored.evaluated().await, [0, 1, 2, 3, 4, 5].map(|number| (month(number).start_ms, 1)));
}

#[tokio::test]
async fn windows_whose_label_delay_is_over_are_evaluated_again_for_three_windows() {
    let file = toml_text::set(&failing(), "task.label_delay", "\"1 day\"");
    let monitored = Monitored::start(&file).await;
    for number in 0..6 {
        monitored.answer(month(number).start_ms, &[200]);
    }
    monitored.tick_at(month(5).end_ms).await;
    assert_eq!(monitored.evaluated().await, [3, 4, 5].map(|number| (month(number).start_ms, 1)));
}

#[tokio::test]
async fn a_window_that_closed_while_the_ledger_changed_is_evaluated() {
    let monitored = Monitored::start(&failing()).await;
    monitored.tick().await;
    monitored.answer(month(0).start_ms, &[200]);
    monitored.test().clock.advance(month(0).end_ms - monitored.project().now().wall_ms);
    // Its ledger entries invalidate the cached next instant.
    monitored.trained.renew(2, TestModel::binary(0.0)).await;
    monitored.trained.release(by_person()).await;
    monitored.tick().await;
    assert_eq!(monitored.evaluated().await, [(month(0).start_ms, 1)]);
}

#[tokio::test]
async fn a_window_of_many_rows_is_read_in_several_intervals() {
    use perennial_core::frame::{Column, Frame};
    use perennial_core::port::data::Page;
    use perennial_core::schema::Schema;

    let monitored = Monitored::start(&failing()).await;
    let (june, data) = (month(0), &monitored.test().data);
    let middle = june.start_ms.midpoint(june.end_ms);
    monitored.answer(june.start_ms, &[200]);
    for (interval, rows, statuses) in [
        (june.start_ms..june.end_ms, 300_000, &[][..]),
        (june.start_ms..middle, 200_000, &[200.0, 500.0, 500.0, 500.0]),
        (middle..june.end_ms, 100_000, &[200.0, 500.0]),
    ] {
        let (start, end) = (interval.start, interval.end);
        let sql = format!("FROM \"predictions_delay\" WHERE project_ms >= {start} AND project_ms < {end}");
        let page = Page { schema: Schema::default(), rows: vec![vec![serde_json::json!(rows)]], truncated: false };
        data.answer(&format!("SELECT count(*) {sql}"), page);
        let mut frame = Frame::new();
        for (name, value) in [("version", 1.0), ("row", 0.0), ("latency_us", 1_000.0)] {
            frame.push(name, Column::Number(vec![value; statuses.len()]));
        }
        frame.push("status", Column::Number(statuses.to_vec()));
        data.answer_frame(&format!("SELECT * {sql}"), frame);
    }
    monitored.tick_at(june.end_ms).await;
    assert_eq!(monitored.evaluated().await, [(june.start_ms, 6)]);
    assert!(monitored.alerts("failing").await[0].message.contains("error_rate = 0.6667"));
}

#[tokio::test]
async fn a_window_that_cannot_be_evaluated_alerts_once_is_retried_and_leaves_the_others() {
    let file = format!("{}\n[monitors.early]\nendpoint = \"early\"\nwindow = \"1 month\"\n", failing());
    let monitored =
        Monitored::start(&file.replace("[endpoints.delay]", "[endpoints.delay]\n\n[endpoints.early]")).await;
    let june = month(0);
    monitored.answer(june.start_ms, &[200]);
    monitored.predict_at("early", &Request::at(june.start_ms));
    monitored.test().data.fail_query(&count_sql("early", june));
    monitored.tick_at(june.end_ms).await;
    assert_eq!(monitored.evaluated().await, [(june.start_ms, 1)], "the other monitor");
    let [alert] = &monitored.alerts("stuck").await[..] else { panic!("one alert") };
    assert_eq!((alert.subject.to_string().as_str(), alert.window_start_ms), ("window:early", june.start_ms));
    assert!(
        alert.message.starts_with("monitor `early` cannot evaluate the window of 2013-06-01 00:00: "),
        "{}",
        alert.message
    );
    assert!(alert.message.ends_with("; it is retried"), "{}", alert.message);
    monitored.test().data.stop_failing();
    monitored.tick().await;
    assert_eq!(monitored.alert_states("stuck").await, [(june.start_ms, Firing)], "no retry is due");
    monitored.tick_at(june.end_ms + MINUTE_MS).await;
    assert_eq!(monitored.alert_states("stuck").await, [(june.start_ms, Resolved)]);
}

#[tokio::test]
async fn an_alert_about_a_window_that_is_not_evaluated_any_more_resolves() {
    let file = toml_text::set(&failing(), "task.label_delay", "\"1 day\"");
    let monitored = Monitored::start(&file).await;
    let june = month(0);
    monitored.answer(june.start_ms, &[200]);
    monitored.test().data.fail_query(&count_sql("delay", june));
    monitored.tick_at(month(1).end_ms).await;
    assert_eq!(monitored.alert_states("stuck").await, [(june.start_ms, Firing)]);
    monitored.tick_at(month(4).end_ms).await;
    assert_eq!(monitored.alert_states("stuck").await, [(june.start_ms, Resolved)]);
}

#[tokio::test]
async fn predictions_that_cannot_be_loaded_do_not_stop_the_evaluation_of_others() {
    let monitored = Monitored::start(&failing()).await;
    let june = month(0);
    monitored.answer(june.start_ms, &[200]);
    monitored
        .test()
        .app
        .ingest
        .ingest_segments(&monitored.test().system(), monitored.project(), &"delay".parse().unwrap())
        .await
        .unwrap();
    monitored.answer(june.start_ms, &[200]);
    monitored.test().data.fail_always(Call::Stage);
    monitored.tick_at(june.end_ms).await;
    assert_eq!(monitored.evaluated().await, [(june.start_ms, 1)]);
    monitored.test().data.stop_failing();
    monitored.tick_at(month(1).end_ms).await;
    assert_eq!(monitored.evaluated().await, [(june.start_ms, 2)]);
}
