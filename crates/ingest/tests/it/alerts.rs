//! Alerts about data: each fires once, and resolves when its cause is gone.

use perennial_core::state::AlertState::{self, Firing, Resolved};
use perennial_ingest::source_alerts;
use perennial_testkit::fakes::Call;

use crate::support::{FLOWN, TestProject};

/// Name and state of each alert, first to last.
async fn states(test: &TestProject) -> Vec<(String, AlertState)> {
    test.alerts().await.into_iter().map(|(name, state, _)| (name, state)).collect()
}

fn faulty(states: &[AlertState]) -> Vec<(String, AlertState)> {
    states.iter().map(|state| ("faulty".to_owned(), *state)).collect()
}

#[tokio::test]
async fn a_broken_file_alerts_once_and_resolves_when_it_is_repaired_or_removed() {
    for is_removed in [false, true] {
        let test = TestProject::start(FLOWN).await;
        test.offer(&[("a.csv", "n,m\n1\n")]);
        for _ in 0..3 {
            test.collect().await;
            assert_eq!(states(&test).await, faulty(&[Firing]));
        }
        assert!(test.alerts().await[0].2.contains("a.csv line 2"), "{:?}", test.alerts().await);
        if is_removed {
            test.test.data.remove_file("a.csv");
        } else {
            test.offer(&[("a.csv", "n,m\n1,2\n")]);
        }
        test.collect().await;
        assert_eq!(states(&test).await, faulty(&[Resolved]));
        test.collect().await;
        assert_eq!(states(&test).await, faulty(&[Resolved]));
    }
}

#[tokio::test]
async fn another_error_of_the_same_file_is_another_alert() {
    let test = TestProject::start(FLOWN).await;
    test.offer(&[("a.csv", "n,m\n1\n")]);
    test.collect().await;
    test.test.clock.advance(1);
    test.offer(&[("a.csv", "n,m\n1,2\n3\n")]);
    test.collect().await;
    assert_eq!(states(&test).await, faulty(&[Resolved, Firing]));
}

#[tokio::test]
async fn a_changed_file_and_other_columns_alert_and_a_file_being_written_does_not() {
    let test = TestProject::start(FLOWN).await;
    test.offer(&[("a.csv", "n\n1\n")]);
    test.test.data.fail_next_with(Call::Stage, perennial_core::ErrorCode::FileChanged);
    assert_eq!(test.collect().await.failed.len(), 1);
    assert_eq!(states(&test).await, []);
    test.collect().await;
    test.offer(&[("a.csv", "n\n2\n"), ("b.csv", "m\n1\n")]);
    test.collect().await;
    assert_eq!(states(&test).await, faulty(&[Firing, Firing]));
    test.offer(&[("a.csv", "n\n1\n")]);
    test.test.data.remove_file("b.csv");
    test.collect().await;
    assert_eq!(states(&test).await, faulty(&[Resolved, Resolved]));
}

#[tokio::test]
async fn a_source_that_cannot_be_listed_alerts_until_it_can() {
    let test = TestProject::start(FLOWN).await;
    for _ in 0..2 {
        test.test.data.fail_next(Call::List);
        test.collect().await;
        assert_eq!(states(&test).await, faulty(&[Firing]));
    }
    test.collect().await;
    assert_eq!(states(&test).await, faulty(&[Resolved]));
}

#[tokio::test]
async fn an_incomplete_scan_resolves_nothing() {
    let test = TestProject::start(FLOWN).await;
    test.offer(&[("a.csv", "n,m\n1\n")]);
    test.collect().await;
    test.test.data.remove_file("a.csv");
    test.test.data.fail_next(Call::List);
    test.collect().await;
    assert_eq!(states(&test).await, faulty(&[Firing, Firing]), "of the file and of the source");
    test.collect().await;
    assert_eq!(states(&test).await, faulty(&[Resolved, Resolved]));
}

#[tokio::test]
async fn alerts_of_a_dataset_that_is_not_declared_any_more_resolve() {
    let test = TestProject::start(FLOWN).await;
    test.offer(&[("a.csv", "n,m\n1\n")]);
    test.collect().await;
    test.submit(&FLOWN.replace("flown", "planes").replace("*.csv", "planes.csv")).await;
    source_alerts::refresh(&test.test.app.kernel, &test.project).await;
    assert_eq!(states(&test).await, faulty(&[Resolved]));
}

#[tokio::test]
async fn files_over_the_limit_do_not_alert_and_do_not_resolve_others() {
    let test = TestProject::start(FLOWN).await;
    for number in 0..110 {
        test.test.data.offer(&format!("{number:03}.csv"), "n,m\n1\n");
    }
    assert_eq!(test.collect().await.failed.len(), 110, "a run reports all of them");
    assert_eq!(states(&test).await.len(), 100);
    test.test.data.remove_file("000.csv");
    test.collect().await;
    let firing = states(&test).await.iter().filter(|(_, state)| *state == Firing).count();
    assert_eq!(firing, 100, "a removed file is certain only when the list of errors is complete");
}
