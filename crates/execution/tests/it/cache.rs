//! Which steps run again, and why.

use perennial_testkit::toml_text;

use crate::support::TestProject;

/// A command that writes a file, and one that reads it.
const CHAIN: &str = r#"
[steps.features]
run = ["write:rows.csv:1"]
env = "system"
outputs = { rows = { path = "rows.csv" } }

[steps.report]
run = ["write:report.txt:done"]
env = "system"
inputs = ["features.rows"]
outputs = { text = { path = "report.txt" } }
"#;

#[tokio::test]
async fn a_step_runs_once_while_nothing_that_it_depends_on_changes() {
    let test = TestProject::start(CHAIN).await;
    let first = test.run().await;
    assert_eq!(first.state(), "succeeded");
    assert_eq!(test.states(first.id).await, ["features succeeded", "report succeeded"]);
    let second = test.run().await;
    assert_eq!(second.state(), "nothing-to-do");
    assert!(test.states(second.id).await.is_empty(), "an unchanged step is not recorded again");
}

#[tokio::test]
async fn a_step_that_never_ran_says_so() {
    let test = TestProject::start(CHAIN).await;
    let planned = test.planned().await;
    assert_eq!(planned[0], ("features".to_owned(), false, "it has not run before".to_owned()));
    assert_eq!(planned[1].2, "it waits for `features`, which would run");
}

#[tokio::test]
async fn an_unchanged_step_is_planned_as_cached() {
    let test = TestProject::start(CHAIN).await;
    test.run().await;
    let reason = "nothing it depends on has changed".to_owned();
    let expected = |step: &str| (step.to_owned(), true, reason.clone());
    assert_eq!(test.planned().await, [expected("features"), expected("report")]);
}

#[tokio::test]
async fn a_changed_output_runs_the_steps_that_read_it() {
    let test = TestProject::start(CHAIN).await;
    test.run().await;
    test.submit(&toml_text::set(CHAIN, "steps.features.run", "[\"write:rows.csv:2\"]")).await;
    assert_eq!(test.run_states().await, ["features succeeded", "report succeeded"]);
}

#[tokio::test]
async fn a_step_whose_inputs_have_the_same_content_does_not_run_again() {
    let test = TestProject::start(CHAIN).await;
    test.run().await;
    let other = toml_text::set(CHAIN, "steps.features.run", "[\"print:again\", \"write:rows.csv:1\"]");
    test.submit(&other).await;
    let ended = test.run().await;
    let states = test.states(ended.id).await;
    assert!(states.contains(&"features succeeded".to_owned()), "{states:?}");
    assert!(!states.contains(&"report succeeded".to_owned()), "{states:?}");
}

/// The step `features` after an edit of the project file: whether it runs again, and a part that its reasons name.
async fn check(path: &str, value: &str, part: Option<&str>) {
    let test = TestProject::start(CHAIN).await;
    test.run().await;
    test.submit(&toml_text::set(CHAIN, path, value)).await;
    let planned = test.planned().await;
    let (_, is_cached, reasons) = &planned[0];
    assert_eq!(*is_cached, part.is_none(), "{path}: {reasons}");
    if let Some(part) = part {
        assert!(reasons.contains(part), "{path}: {reasons}");
    }
    let is_run = test.run_states().await.contains(&"features succeeded".to_owned());
    assert_eq!(is_run, part.is_some(), "{path}: the run agrees with the plan");
}

#[tokio::test]
async fn everything_that_decides_about_the_outputs_runs_a_command_again() {
    check("steps.features.run", "[\"write:rows.csv:2\"]", Some("command")).await;
    check("steps.features.params", "{ depth = 3 }", Some("params")).await;
    check(
        "steps.features.outputs",
        "{ rows = { path = \"rows.csv\" }, more = { path = \"rows.csv\" } }",
        Some("outputs"),
    )
    .await;
    check("steps.features.isolation", "\"none\"", Some("isolation changed (full → none)")).await;
    check("steps.features.network", "\"none\"", Some("network")).await;
}

#[tokio::test]
async fn limits_and_retries_do_not_run_a_command_again() {
    check("steps.features.limits", "{ time = \"1 hour\" }", None).await;
    check("steps.features.retries", "1", None).await;
}

#[tokio::test]
async fn a_changed_parameter_is_named_with_both_values() {
    let with = |depth: u8| toml_text::set(CHAIN, "steps.features.params", &format!("{{ depth = {depth}, rate = 1 }}"));
    let test = TestProject::start(&with(3)).await;
    test.run().await;
    test.submit(&with(4)).await;
    assert_eq!(test.planned().await[0].2, "params.depth changed (3 → 4)");
}

#[tokio::test]
async fn a_step_that_returns_to_an_earlier_command_takes_its_outputs_from_that_attempt() {
    let test = TestProject::start(CHAIN).await;
    let first = test.run().await;
    let earlier = test.attempt(first.id, "features").await;
    test.submit(&toml_text::set(CHAIN, "steps.features.run", "[\"write:rows.csv:2\"]")).await;
    test.run().await;
    test.submit(CHAIN).await;
    let third = test.run().await;
    assert_eq!(test.states(third.id).await, ["features cached", "report cached"]);
    assert_eq!(test.attempt(third.id, "features").await.reused_from, Some(earlier.id));
    assert_eq!(test.outputs(third.id, "features").await, test.outputs(first.id, "features").await);
}

#[tokio::test]
async fn a_step_whose_outputs_are_gone_runs_again() {
    let test = TestProject::start(CHAIN).await;
    let first = test.run().await;
    for (_, digest) in test.outputs(first.id, "report").await {
        test.test.app.kernel.services.blobs.delete(digest.parse().unwrap()).await.unwrap();
    }
    assert_eq!(test.run_states().await, ["features cached", "report succeeded"]);
}

#[tokio::test]
async fn a_failed_step_is_not_cached() {
    let test = TestProject::start("[steps.broken]\nrun = [\"exit:3\"]\nenv = \"system\"\n").await;
    for _ in 0..2 {
        let ended = test.run().await;
        assert_eq!(test.states(ended.id).await, ["broken failed"]);
    }
    assert_eq!(test.planned().await[0].2, "it has not run before");
}

#[tokio::test]
async fn a_run_over_some_steps_runs_those_and_what_they_need() {
    let file = format!("{CHAIN}\n[steps.other]\nrun = [\"print:x\"]\nenv = \"system\"\n");
    let test = TestProject::start(&file).await;
    let ended = test.run_steps(&["report"]).await;
    assert_eq!(test.states(ended.id).await, ["features succeeded", "report succeeded"]);
    assert_eq!(test.run_states().await, ["features cached", "other succeeded", "report cached"]);
}
