//! Checks: what they quarantine, when they hold a load, and what they report.

use perennial_core::ErrorCode;
use perennial_core::rule::Verdict;
use perennial_core::state::{AlertState, LoadState};
use perennial_ingest::datasets;

use crate::support::{FLOWN, TestProject, name};

/// Rows `n` from 1 to 10.
const TEN: &str = "n\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

fn checked(checks: &str) -> String {
    format!("{FLOWN}\n[checks.flown]\n{checks}\n")
}

/// The results of the checks of the latest load: name, verdict, message.
async fn results(test: &TestProject) -> Vec<(String, Verdict, String)> {
    let loads = datasets::checks(&test.test.system(), &test.project, &name("flown"), 1).await.unwrap();
    let message = |answer: &serde_json::Value| answer["message"].as_str().unwrap().to_owned();
    loads[0].1.iter().map(|result| (result.name.clone(), result.verdict, message(&result.answer))).collect()
}

#[tokio::test]
async fn a_check_quarantines_rows_and_holds_the_load_by_its_share_and_severity() {
    // The check, rows quarantined, state of the load, its verdict.
    let cases = [
        ("small = \"n <= 10\"", 0, LoadState::Committed, Verdict::Pass),
        ("small = \"n <= 9\"", 1, LoadState::Held, Verdict::Fail),
        ("small = { that = \"n <= 9\", at_least = 0.9 }", 1, LoadState::Committed, Verdict::Pass),
        ("small = { that = \"n <= 8\", at_least = 0.9 }", 2, LoadState::Held, Verdict::Fail),
        ("small = { that = \"n <= 1\", at_least = 0.1 }", 9, LoadState::Committed, Verdict::Pass),
        ("small = { that = \"n <= 0\", severity = \"warn\" }", 0, LoadState::Committed, Verdict::Fail),
        ("volume = \"count(*) BETWEEN 5 AND 10\"", 0, LoadState::Committed, Verdict::Pass),
        ("volume = \"count(*) > 10\"", 0, LoadState::Held, Verdict::Fail),
        ("volume = { that = \"count(*) > 10\", severity = \"warn\" }", 0, LoadState::Committed, Verdict::Fail),
        ("mean = \"avg(n) = 5.5\"", 0, LoadState::Committed, Verdict::Pass),
    ];
    for (check, quarantined, state, verdict) in cases {
        let test = TestProject::start(&checked(check)).await;
        let load = test.load("a.csv", TEN).await;
        assert_eq!((load.state, load.set_aside), (state, quarantined), "{check}");
        assert_eq!(results(&test).await[0].1, verdict, "{check}");
        let rows = if state == LoadState::Held { 0 } else { 10 - quarantined };
        assert_eq!(test.versions("flown").await.first().map_or(0, |version| version.row_count), rows, "{check}");
    }
}

#[tokio::test]
async fn an_aggregate_over_no_values_is_unknown_and_holds_the_load() {
    let test = TestProject::start(&checked("mean = \"avg(n) > 0\"")).await;
    let load = test.load("a.csv", "n,m\n,1\n").await;
    assert_eq!(load.state, LoadState::Held);
    assert_eq!(results(&test).await, [("mean".to_owned(), Verdict::Unknown, "is null: avg(n) = null".to_owned())]);
}

#[tokio::test]
async fn results_say_what_was_expected_and_quote_failing_rows() {
    let checks = "far = { that = \"n > 2\", at_least = 0.75 }\nnear = { that = \"n < 4\", at_least = 0.25 }\nsome = \"count(*) > 0\"";
    let test = TestProject::start(&checked(checks)).await;
    test.load("a.csv", "n\n1\n2\n3\n4\n").await;
    let messages: Vec<String> = results(&test).await.into_iter().map(|(_, _, message)| message).collect();
    let expected = [
        "2 of 4 rows fail (share passing 0.500000, expected at least 0.75), such as a.csv line 2: n = 1; a.csv line 3: n = 2",
        "1 of 4 rows fail, within at_least = 0.25, such as a.csv line 5: n = 4",
        "holds: count(*) = 4",
    ];
    assert_eq!(messages, expected);
}

#[tokio::test]
async fn a_held_load_changes_nothing_and_alerts_with_its_files_and_checks() {
    let test = TestProject::start(&checked("positive = \"n > 0\"\nsmall = \"n < 100\"")).await;
    test.load("a.csv", "n\n1\n").await;
    let load = test.load("b.csv", "n\n-1\n200\n").await;
    assert_eq!((load.state, test.number("flown").await), (LoadState::Held, 1));
    let [(name, state, message)] = &test.alerts().await[..] else { panic!("one alert") };
    assert_eq!((name.as_str(), *state), ("held", AlertState::Firing));
    assert!(message.starts_with("load from `b.csv` into `flown` is held: `positive`: 1 of 2 rows fail"), "{message}");
    assert!(message.contains("; `small`: 1 of 2 rows fail"), "{message}");
    assert_eq!(load.message.as_ref(), Some(message));
    assert!(test.collect().await.is_idle(), "its file is known");
    assert_eq!(test.collect().await.holding.iter().map(|held| held.id).collect::<Vec<_>>(), [load.id]);
    test.test.data.remove_file("b.csv");
    assert!(test.collect().await.holding.is_empty(), "a held load whose file is gone does not concern a run");
}

#[tokio::test]
async fn columns_that_may_not_be_null_or_repeated_are_checked() {
    let test = TestProject::start(&checked(
        "any = { column = \"n\", not_null = true, at_least = 0.5 }\nonce = { column = \"m\", unique = true, at_least = 0.5 }",
    ))
    .await;
    let load = test.load("a.csv", "n,m\n1,1\n,2\n3,2\n4,3\n").await;
    assert_eq!(load.reasons, serde_json::json!({ "any": 1, "once": 1 }), "a row has one reason");
    assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "1 4");
}

/// Datasets `flown` and `planes`; the first refers to the second.
fn referring(severity: &str) -> String {
    let check = format!("known = {{ column = \"tail\", references = \"planes.tail\", severity = \"{severity}\" }}");
    let planes = "[datasets.planes]\nsource = { files = \"planes/*.csv\" }\nmode = \"append\"\n";
    format!("{}\n{planes}\n[checks.flown]\n{check}\n", FLOWN.replace("*.csv", "flown/*.csv"))
}

#[tokio::test]
async fn the_dataset_that_a_check_refers_to_is_collected_first() {
    let test = TestProject::start(&referring("error")).await;
    test.offer(&[("flown/a.csv", "tail\nN1\nN2\n"), ("planes/a.csv", "tail\nN1\nN2\n")]);
    assert_eq!(test.collect().await.committed.len(), 2);
    let load = test.load("flown/b.csv", "tail\nN1\nN9\n").await;
    assert_eq!((load.state, load.set_aside), (LoadState::Held, 1));
    test.load("planes/b.csv", "tail\nN9\n").await;
    assert_eq!(test.accept(load.id, false).await.passing, 2, "the reference is checked again");
}

#[tokio::test]
async fn a_reference_that_only_warns_quarantines_nothing() {
    let test = TestProject::start(&referring("warn")).await;
    test.offer(&[("planes/a.csv", "tail\nN1\n")]);
    test.collect().await;
    let load = test.load("flown/a.csv", "tail\nN1\nN9\n").await;
    assert_eq!((load.state, load.set_aside), (LoadState::Committed, 0));
    assert_eq!(test.values("SELECT tail FROM flown ORDER BY tail").await, "N1 N9");
}

#[tokio::test]
async fn a_reference_to_a_dataset_without_a_version_fails_with_what_to_do() {
    let test = TestProject::start(&referring("error")).await;
    test.offer(&[("flown/a.csv", "tail\nN1\n")]);
    let collected = test.collect().await;
    let error = &collected.failed[0].1;
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert_eq!(error.message(), "check `known` refers to dataset `planes`, which has no version yet");
    assert_eq!(error.hint(), Some("put the file of that dataset in place first"));
    test.offer(&[("planes/a.csv", "tail\nN1\n")]);
    assert_eq!(test.collect().await.committed.len(), 2);
}
