//! `sql` steps: a query makes the dataset of its step's name.

use perennial_core::ErrorCode;
use perennial_ingest::datasets;
use perennial_testkit::toml_text;

use crate::support::TestProject;

/// A source, a query over it, and a command that prints the rows of the query.
const FILE: &str = r#"
[datasets.flown]
source = { files = "*.csv" }
mode = "append"

[steps.late]
sql = "late.sql"

[steps.report]
run = ["read:PERENNIAL_INPUT_LATE"]
env = "system"
inputs = ["late"]
"#;

const LATE: &str = "SELECT flight FROM flown WHERE delay > 10";

async fn start(file: &str) -> TestProject {
    let test = TestProject::with_files(file, &[("late.sql", LATE)]).await;
    test.test.data.offer("a.csv", "flight,delay\n1,5\n2,20\n3,90\n");
    test
}

/// The number of the latest version of a dataset.
async fn version(test: &TestProject, dataset: &str) -> i64 {
    let page = datasets::versions(&test.test.system(), &test.project, &dataset.parse().unwrap(), None, 1).await;
    page.unwrap().items[0].number
}

#[tokio::test]
async fn a_query_makes_the_dataset_of_its_step_s_name_and_hands_it_over() {
    let test = start(FILE).await;
    let ended = test.run().await;
    assert_eq!(ended.state(), "succeeded", "{:?}", ended.result);
    assert_eq!(test.values("late").await, [2, 3]);
    assert_eq!(test.log(ended.id, "report").await, "flight\n2\n3\n\n");
}

#[tokio::test]
async fn new_rows_of_its_source_replace_the_rows_of_a_query() {
    let test = start(FILE).await;
    test.run().await;
    test.test.data.offer("b.csv", "flight,delay\n4,30\n");
    assert_eq!(test.run_states().await, ["late succeeded", "report succeeded"]);
    assert_eq!(test.values("late").await, [2, 3, 4]);
    assert_eq!(version(&test, "late").await, 2);
}

#[tokio::test]
async fn a_query_with_the_same_rows_makes_no_version_and_does_not_run_its_followers() {
    let test = start(FILE).await;
    test.run().await;
    test.write_file("late.sql", "SELECT flight FROM flown WHERE delay >= 20");
    test.submit(FILE).await;
    assert_eq!(test.planned().await[0].2, format!("sql changed ({LATE} → SELECT flight FROM flown WHERE delay >= 20)"));
    assert_eq!(test.run_states().await, ["late succeeded", "report cached"]);
    assert_eq!(version(&test, "late").await, 1);
}

#[tokio::test]
async fn a_query_over_a_dataset_without_rows_fails_with_its_name() {
    let test = TestProject::with_files(FILE, &[("late.sql", LATE)]).await;
    let ended = test.run().await;
    assert_eq!(ended.error().message(), "step `late` failed: dataset `flown` has no rows yet");
    assert_eq!(test.states(ended.id).await, ["report skipped"]);
}

#[tokio::test]
async fn a_query_that_the_engine_refuses_fails_its_step() {
    let test = start(FILE).await;
    test.write_file("late.sql", "SELECT flihgt FROM flown");
    test.submit(FILE).await;
    let ended = test.run().await;
    assert_eq!(ended.error().message(), "step `late` failed: column `flihgt` does not exist");
    assert_eq!(test.states(ended.id).await, ["late failed", "report skipped"]);
}

#[tokio::test]
async fn rows_of_a_query_that_fail_a_check_are_held_with_the_command_that_shows_them() {
    let test = start(&format!("{FILE}\n[checks.late]\nfirst = \"flight < 3\"\n")).await;
    let ended = test.run().await;
    let error = ended.error();
    assert_eq!(error.code(), ErrorCode::LoadHeld);
    assert_eq!(error.hint(), Some("`perennial data quarantine late` shows the rows that failed"));
    assert_eq!(test.states(ended.id).await, ["late failed", "report skipped"]);
}

#[tokio::test]
async fn a_check_that_only_warns_lets_the_rows_of_a_query_pass() {
    let test =
        start(&format!("{FILE}\n[checks.late]\nfirst = {{ that = \"flight < 3\", severity = \"warn\" }}\n")).await;
    assert_eq!(test.run().await.state(), "succeeded");
    assert_eq!(test.values("late").await, [2, 3]);
}

#[tokio::test]
async fn a_changed_check_runs_its_query_again_and_is_named() {
    let test = start(&format!("{FILE}\n[checks.late]\nfirst = \"flight > 0\"\n")).await;
    test.run().await;
    test.submit(&format!("{FILE}\n[checks.late]\nfirst = \"flight > 1\"\n")).await;
    let reasons = test.planned().await.remove(0).2;
    assert!(reasons.starts_with("checks.first changed ("), "{reasons}");
    assert_eq!(test.run_states().await, ["late succeeded", "report cached"]);
}

#[tokio::test]
async fn a_query_over_the_rows_of_a_query_follows_it() {
    let file = format!("{FILE}\n[steps.worst]\nsql = \"worst.sql\"\n");
    let files =
        [("late.sql", "SELECT * FROM flown WHERE delay > 10"), ("worst.sql", "SELECT * FROM late WHERE delay > 50")];
    let test = TestProject::with_files(&file, &files).await;
    test.test.data.offer("a.csv", "flight,delay\n1,5\n2,20\n3,90\n");
    assert_eq!(test.run().await.state(), "succeeded");
    assert_eq!(test.values("worst").await, [3]);
}

#[tokio::test]
async fn a_query_that_returns_to_an_earlier_text_hands_over_the_rows_of_that_text() {
    let test = start(FILE).await;
    test.run().await;
    test.write_file("late.sql", "SELECT flight FROM flown WHERE delay > 50");
    test.submit(FILE).await;
    test.run().await;
    assert_eq!(test.values("late").await, [3]);
    test.write_file("late.sql", LATE);
    test.submit(&toml_text::set(FILE, "steps.report.params", "{ again = true }")).await;
    let ended = test.run().await;
    assert_eq!(test.states(ended.id).await, ["late cached", "report succeeded"]);
    assert_eq!(test.log(ended.id, "report").await, "flight\n2\n3\n\n");
}
