//! Quality: evaluated when enough outcomes are known or the label delay is over, and again when more become known.

use perennial_core::state::AlertState::{Firing, Resolved};
use perennial_testkit::{TestModel, toml_text};
use perennial_watch::monitor_results::MonitorResultKind;

use crate::support::{DAY_MS, Monitored, Outcome, Request, alerting, month};

/// An alert about quality, with outcomes awaited for 40 days.
fn file() -> String {
    toml_text::set(&alerting("stale", "auc < 0.9"), "task.label_delay", "\"40 days\"")
}

/// Outcomes of `rows` predictions of version 1, of which `known` are known; the AUC is 1 or 0.
fn outcomes(rows: usize, known: usize, is_good: bool) -> Vec<Outcome> {
    let row = |row: usize| {
        let late = row.is_multiple_of(2);
        (1, if late == is_good { 0.9 } else { 0.1 }, (row < known).then_some(late))
    };
    (0..rows).map(row).collect()
}

/// A project with predictions in June, ticked at the end of June.
async fn june() -> Monitored {
    let monitored = Monitored::start(&file()).await;
    monitored.answer(month(0).start_ms, &[200]);
    monitored.tick_at(month(0).end_ms).await;
    monitored
}

/// Revision, labelled rows and AUC of the quality of each window.
async fn quality(monitored: &Monitored) -> Vec<(i64, u64, Option<f64>)> {
    let results = monitored.results(MonitorResultKind::Quality).await;
    let of = |result: &perennial_watch::monitor_results::MonitorResult| {
        let facts = &result.facts;
        (result.revision, facts["result"]["labelled_rows"].as_u64().unwrap(), facts["facts"]["auc"].as_f64())
    };
    results.iter().map(of).collect()
}

/// Adds a version of the dataset with outcomes, so that the windows are evaluated again.
async fn renew(monitored: &Monitored, number: i64) {
    monitored.trained.renew(number, TestModel::binary(0.0)).await;
}

#[tokio::test]
async fn quality_is_evaluated_at_95_percent_of_the_outcomes() {
    for (known, expected) in [(94, vec![]), (95, vec![(1, 95, Some(1.0))]), (100, vec![(1, 100, Some(1.0))])] {
        let monitored = Monitored::start(&file()).await;
        monitored.answer(month(0).start_ms, &[200]);
        monitored.set_outcomes(month(0), &outcomes(100, known, true));
        monitored.tick_at(month(0).end_ms).await;
        assert_eq!(quality(&monitored).await, expected, "{known} of 100");
    }
}

#[tokio::test]
async fn quality_is_evaluated_with_fewer_outcomes_when_the_label_delay_is_over() {
    let monitored = Monitored::start(&file()).await;
    monitored.predict(&Request { rows: 100, ..Request::at(month(0).start_ms) });
    monitored.set_outcomes(month(0), &outcomes(100, 20, true));
    let delay_ends = month(0).end_ms + 40 * DAY_MS;
    monitored.tick_at(delay_ends - 1).await;
    assert_eq!(quality(&monitored).await, []);
    monitored.tick_at(delay_ends).await;
    assert_eq!(quality(&monitored).await, [(1, 20, Some(1.0))]);
    let facts = monitored.results(MonitorResultKind::Quality).await.remove(0).facts;
    assert_eq!(facts["facts"]["labelled"], 0.2, "the share is stated");
    assert_eq!(facts["result"]["requests"], 1, "with the facts of the inputs");
}

#[tokio::test]
async fn without_any_outcome_there_is_no_quality_after_the_label_delay() {
    let monitored = Monitored::start(&file()).await;
    monitored.answer(month(0).start_ms, &[200]);
    monitored.set_outcomes(month(0), &outcomes(10, 0, true));
    monitored.tick_at(month(0).end_ms + 41 * DAY_MS).await;
    assert_eq!(quality(&monitored).await, []);
}

#[tokio::test]
async fn outcomes_are_awaited_without_end_unless_the_label_delay_is_declared() {
    let monitored = Monitored::start(&alerting("stale", "auc < 0.9")).await;
    monitored.answer(month(0).start_ms, &[200]);
    monitored.set_outcomes(month(0), &outcomes(100, 20, true));
    monitored.tick_at(month(5).end_ms).await;
    assert_eq!(quality(&monitored).await, []);
    monitored.set_outcomes(month(0), &outcomes(100, 100, true));
    renew(&monitored, 2).await;
    monitored.tick_at(month(6).end_ms).await;
    assert_eq!(quality(&monitored).await, [(1, 100, Some(1.0))]);
}

#[tokio::test]
async fn later_outcomes_make_a_new_revision_that_may_resolve_the_alert() {
    let monitored = june().await;
    monitored.set_outcomes(month(0), &outcomes(20, 19, false));
    renew(&monitored, 2).await;
    let messages = monitored.tick_at(month(1).end_ms).await;
    let expected = "alert `delay.stale` at version 1, window of 2013-06-01 00:00: auc < 0.9 (auc = 0.0000)";
    assert_eq!((quality(&monitored).await, messages), (vec![(1, 19, Some(0.0))], vec![expected.to_owned()]));
    monitored.set_outcomes(month(0), &outcomes(20, 20, true));
    renew(&monitored, 3).await;
    monitored.tick_at(month(2).end_ms).await;
    assert_eq!(quality(&monitored).await, [(2, 20, Some(1.0))]);
    assert_eq!(monitored.alert_states("stale").await, [(month(0).start_ms, Resolved)]);
}

#[tokio::test]
async fn equal_outcomes_of_newer_data_make_no_revision() {
    let monitored = june().await;
    monitored.set_outcomes(month(0), &outcomes(20, 20, false));
    renew(&monitored, 2).await;
    monitored.tick_at(month(1).end_ms).await;
    renew(&monitored, 3).await;
    monitored.tick_at(month(2).end_ms).await;
    assert_eq!(quality(&monitored).await, [(1, 20, Some(0.0))]);
    assert_eq!(monitored.alert_states("stale").await, [(month(0).start_ms, Firing)]);
}

#[tokio::test]
async fn unchanged_predictions_and_outcomes_are_not_measured_again() {
    let monitored = Monitored::start(&file()).await;
    monitored.answer(month(0).start_ms, &[200]);
    monitored.set_outcomes(month(0), &outcomes(20, 1, true));
    monitored.tick_at(month(0).end_ms).await;
    assert_eq!(monitored.outcome_reads(), 1);
    monitored.tick_at(month(1).end_ms).await;
    assert_eq!(monitored.outcome_reads(), 1, "outcomes are too few as before");
    renew(&monitored, 2).await;
    monitored.tick_at(month(1).end_ms + 9 * DAY_MS).await;
    assert_eq!(monitored.outcome_reads(), 2, "the data is newer");
}

#[tokio::test]
async fn each_version_is_measured_with_its_own_outcomes() {
    let monitored = Monitored::start(&file()).await;
    monitored.trained.renew(2, TestModel::binary(1.0)).await;
    monitored.trained.release(perennial_testkit::by_person()).await;
    monitored.answer(month(0).start_ms, &[200]);
    let mut rows = outcomes(20, 20, true);
    rows.extend(outcomes(20, 3, false).into_iter().map(|(_, score, late)| (2, score, late)));
    monitored.set_outcomes(month(0), &rows);
    monitored.tick_at(month(0).end_ms).await;
    let results = monitored.results(MonitorResultKind::Quality).await;
    assert_eq!(results.iter().map(|result| result.number).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_score_that_is_not_a_number_is_left_out() {
    let monitored = Monitored::start(&file()).await;
    monitored.answer(month(0).start_ms, &[200]);
    let mut rows = outcomes(20, 20, true);
    rows.push((1, f64::NAN, Some(true)));
    monitored.set_outcomes(month(0), &rows);
    monitored.tick_at(month(0).end_ms).await;
    assert_eq!(quality(&monitored).await, [(1, 20, Some(1.0))]);
}

#[tokio::test]
async fn quality_needs_the_key_in_the_requests() {
    let monitored = Monitored::start(&toml_text::set(&file(), "task.key", "[\"hour\"]")).await;
    monitored.answer(month(0).start_ms, &[200]);
    monitored.set_outcomes(month(0), &outcomes(20, 20, true));
    monitored.tick_at(month(0).end_ms).await;
    assert_eq!((quality(&monitored).await, monitored.outcome_reads()), (vec![], 0));
}
