//! Collecting at the beginning of a run: loads that are committed, held or fail, and what steps then read.

use perennial_core::ErrorCode;
use perennial_core::cause::Cause;
use perennial_core::id::PipelineRunId;
use perennial_core::permission::Role;
use perennial_execution::pipelines::PipelineEvent;
use perennial_testkit::by_trigger;
use perennial_testkit::fakes::Call;

use crate::support::TestProject;

/// A checked source, and a command that prints its rows.
const FILE: &str = r#"
[datasets.flown]
source = { files = "*.csv" }
mode = "append"

[checks.flown]
positive = "n > 0"

[steps.report]
run = ["read:PERENNIAL_INPUT_FLOWN"]
env = "system"
inputs = ["flown"]
"#;

/// A project with the row 1.
async fn start() -> TestProject {
    let test = TestProject::start(FILE).await;
    test.test.data.offer("a.csv", "n\n1\n");
    test
}

/// A project with the row 1, and a held load of the rows 2 and -1 that a run has reported.
async fn held() -> (TestProject, PipelineRunId) {
    let test = start().await;
    test.run().await;
    test.test.data.offer("b.csv", "n\n2\n-1\n");
    let ended = test.run().await;
    assert_eq!(ended.state(), "succeeded", "{:?}", ended.result);
    (test, ended.id)
}

/// The last event of a run: its state, message, hint and number of held loads.
async fn last(test: &TestProject, id: PipelineRunId) -> (String, String, String, usize) {
    match test.events(id).await.pop() {
        Some(PipelineEvent::Ended { state, message, hint, held, .. }) => {
            (state, message.unwrap_or_default(), hint.unwrap_or_default(), held)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rows_of_a_held_load_are_not_handed_over() {
    let (test, id) = held().await;
    assert!(test.states(id).await.is_empty(), "the dataset has no new version");
    assert_eq!(test.values("flown").await, [1]);
}

#[tokio::test]
async fn a_run_with_a_held_load_succeeds_and_says_how_to_decide_on_it() {
    let (test, id) = held().await;
    let (state, message, hint, held) = last(&test, id).await;
    assert_eq!((state.as_str(), held), ("succeeded", 1));
    assert!(message.starts_with("load from `b.csv` into `flown` is held: `positive`: 1 of 2 rows fail"), "{message}");
    assert!(hint.contains("`perennial data accept LOAD`") && hint.contains("`perennial data reject LOAD`"), "{hint}");
}

#[tokio::test]
async fn a_held_load_is_reported_by_each_run_until_it_is_decided() {
    let (test, _) = held().await;
    let ended = test.run().await;
    assert_eq!((ended.state(), ended.result.unwrap().held), ("nothing-to-do", 1));
    test.test.data.remove_file("b.csv");
    assert_eq!(test.run().await.result.unwrap().held, 0, "its file is gone");
}

#[tokio::test]
async fn a_triggered_run_reports_the_loads_that_it_held_itself() {
    let (test, _) = held().await;
    assert_eq!(test.run_by(by_trigger()).await.result.unwrap().held, 0);
    test.test.data.offer("c.csv", "n\n-3\n");
    assert_eq!(test.run_by(by_trigger()).await.result.unwrap().held, 1);
}

#[tokio::test]
async fn an_accepted_load_runs_the_steps_that_read_its_dataset() {
    let (test, id) = held().await;
    let approver = test.test.caller("ann", Role::Approver).await.unwrap();
    let name = "flown".parse().unwrap();
    let loads = perennial_ingest::datasets::loads(&approver, &test.project, &name, None, 10).await.unwrap();
    test.test.app.ingest.accept_load(&approver, &test.project, loads.items[0].id, true).await.unwrap();
    let ended = test.run().await;
    assert_ne!(ended.id, id);
    assert_eq!(test.states(ended.id).await, ["report succeeded"]);
    assert_eq!(test.log(ended.id, "report").await, "n\n1\n2\n-1\n\n");
}

#[tokio::test]
async fn the_events_of_a_load_have_its_files_state_rows_and_findings() {
    let (test, id) = held().await;
    let events = test.events(id).await;
    assert!(matches!(&events[0], PipelineEvent::LoadStarted { path, .. } if path == "b.csv"), "{events:?}");
    let PipelineEvent::LoadEnded { state, rows, set_aside, findings, .. } = &events[1] else { panic!("{events:?}") };
    assert_eq!((state.as_str(), *rows), ("held", 2), "the rows that arrived");
    assert_eq!(*set_aside, 1);
    assert!(findings.iter().any(|finding| finding.contains("positive")), "{findings:?}");
}

#[tokio::test]
async fn a_committed_load_counts_the_rows_that_entered() {
    let test = start().await;
    let ended = test.run().await;
    let events = test.events(ended.id).await;
    let committed = events.iter().find_map(|event| match event {
        PipelineEvent::LoadEnded { state, rows, set_aside, .. } => Some((state.as_str(), *rows, *set_aside)),
        _ => None,
    });
    assert_eq!(committed, Some(("committed", 1, 0)));
}

#[tokio::test]
async fn a_source_without_files_is_an_event_with_its_pattern() {
    let test = TestProject::start(FILE).await;
    let ended = test.run().await;
    let events = test.events(ended.id).await;
    let is_empty =
        |event: &PipelineEvent| matches!(event, PipelineEvent::SourceEmpty { files, .. } if files == "*.csv");
    assert!(events.iter().any(is_empty), "{events:?}");
    assert_eq!(ended.error().message(), "step `report` failed: dataset `flown` has no rows yet");
}

#[tokio::test]
async fn a_source_that_cannot_be_listed_fails_the_run_after_its_steps_ran_over_earlier_rows() {
    let test = start().await;
    test.run().await;
    test.submit(&perennial_testkit::toml_text::set(FILE, "steps.report.params", "{ again = true }")).await;
    test.test.data.fail_next(Call::List);
    let ended = test.run().await;
    assert_eq!(ended.error().code(), ErrorCode::Storage);
    assert_eq!(test.states(ended.id).await, ["report succeeded"]);
    let events = test.events(ended.id).await;
    let is_failed = |event: &PipelineEvent| matches!(event, PipelineEvent::LoadFailed { .. });
    assert!(events.iter().any(is_failed), "{events:?}");
    assert_eq!(last(&test, ended.id).await.0, "failed");
}

#[tokio::test]
async fn a_step_without_rows_fails_with_the_cause_of_the_failed_load() {
    let test = TestProject::start(FILE).await;
    test.test.data.offer("a.csv", "n\n1\n");
    test.test.data.fail_next(Call::List);
    let ended = test.run().await;
    let message = ended.error().message().to_owned();
    let (cause, step) = message.split_once("; ").unwrap_or_else(|| panic!("{message}"));
    assert!(cause.starts_with("dataset `flown` was not loaded: "), "{message}");
    assert_eq!(step, "step `report` failed: dataset `flown` has no rows yet");
    assert_eq!(ended.error().code(), ErrorCode::Storage, "that of the cause");
}

#[tokio::test]
async fn a_run_for_a_monitor_collects_nothing() {
    let test = start().await;
    test.run().await;
    test.test.data.offer("b.csv", "n\n2\n");
    let ended = test.run_by(Cause::Monitor { dataset: "flown".parse().unwrap() }).await;
    assert_eq!(ended.state(), "nothing-to-do");
    assert_eq!(test.values("flown").await, [1]);
}

#[tokio::test]
async fn a_dry_run_names_the_files_that_cannot_be_collected() {
    let test = start().await;
    test.run().await;
    test.test.data.fail_next(Call::List);
    let (_, is_cached, reasons) = test.planned().await.remove(0);
    assert!(!is_cached && reasons.starts_with("it waits for dataset `flown`: cannot be collected: "), "{reasons}");
}
