//! Commands: their inputs, their outputs, and the messages about those that fail.

use perennial_core::ErrorCode;
use perennial_core::entity::StepOutputKind;
use perennial_core::id::RunnerJobId;
use perennial_core::state::RunStatus;
use perennial_execution::pipeline_runs;
use perennial_testkit::toml_text;

use crate::support::{TestProject, name};

/// A step of one command.
fn step(run: &str) -> String {
    format!("[steps.only]\nrun = {run}\nenv = \"system\"\n")
}

/// The message and the hint of a run whose only step fails.
async fn failure(file: &str) -> (String, String) {
    let test = TestProject::start(file).await;
    let ended = test.run().await;
    assert_eq!(test.states(ended.id).await, ["only failed"]);
    let error = ended.error();
    assert_eq!(error.code(), ErrorCode::StepFailed);
    (error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_failed_command_is_named_with_its_exit_and_the_last_lines_of_its_log() {
    let (message, hint) = failure(&step("[\"print:no such column\", \"exit:3\"]")).await;
    assert_eq!(message, "step `only` failed: `print:no such column exit:3` of step `only` exited with status 3");
    assert_eq!(hint, "its last lines:\nno such column\nthe whole log: `perennial logs only`");
}

#[tokio::test]
async fn only_the_last_lines_of_a_long_log_are_repeated() {
    let words: Vec<String> = (1..=20).map(|line| format!("\"print:line {line}\"")).collect();
    let (_, hint) = failure(&step(&format!("[{}, \"exit:1\"]", words.join(", ")))).await;
    assert!(hint.starts_with("its last lines:\nline 9\n") && hint.contains("line 20\n"), "{hint}");
}

#[tokio::test]
async fn a_command_without_output_has_no_last_lines() {
    let (_, hint) = failure(&step("[\"exit:1\"]")).await;
    assert_eq!(hint, "the whole log: `perennial logs only`");
}

#[tokio::test]
async fn each_end_of_a_command_has_its_message_and_remedy() {
    let cases = [
        ("signal:9", "was killed by signal 9", "the whole log"),
        ("time-limit", "ran into its time limit and was stopped", "raise `limits.time` of the step"),
        ("memory-limit", "ran into its memory limit and was stopped", "raise `limits.memory` of the step"),
    ];
    for (word, how, remedy) in cases {
        let (message, hint) = failure(&step(&format!("[\"{word}\"]"))).await;
        assert!(message.ends_with(how), "{message}");
        assert!(hint.contains(remedy), "{hint}");
    }
}

#[tokio::test]
async fn a_command_that_cannot_start_says_why() {
    let (message, hint) = failure(&step("[\"no-such-program\"]")).await;
    assert!(message.contains("the command could not start: "), "{message}");
    assert!(hint.contains("may be executed"), "{hint}");
}

#[tokio::test]
async fn a_denied_path_in_the_log_of_an_isolated_command_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.csv");
    std::fs::write(&path, "1").unwrap();
    let file = step(&format!("[\"print:cannot open '{}'\", \"exit:1\"]", path.display()));
    let (_, hint) = failure(&file).await;
    let path = path.canonicalize().unwrap();
    assert!(hint.contains(&format!("the step may not access `{}`", path.display())), "{hint}");
    let (_, hint) = failure(&toml_text::set(&file, "steps.only.isolation", "\"none\"")).await;
    assert!(!hint.contains("may not access"), "a command without isolation may read every file: {hint}");
}

#[tokio::test]
async fn an_output_that_was_not_written_fails_the_step_with_its_variable() {
    let file = format!("{}outputs = {{ rows = {{ path = \"rows.csv\" }} }}\n", step("[\"print:x\"]"));
    let (message, hint) = failure(&file).await;
    assert!(message.ends_with("step `only` ended well but left nothing at `rows.csv`, its output `rows`"), "{message}");
    assert_eq!(hint, "write to the path in $PERENNIAL_OUTPUT_ROWS");
}

#[tokio::test]
async fn followers_of_a_failed_step_are_skipped_and_other_steps_run() {
    let test = TestProject::start(
        r#"
[steps.broken]
run = ["exit:3"]
env = "system"
outputs = { rows = { path = "rows.csv" } }

[steps.follower]
run = ["write:out.csv:1"]
env = "system"
inputs = ["broken.rows"]
outputs = { rows = { path = "out.csv" } }

[steps.last]
run = ["print:x"]
env = "system"
inputs = ["follower.rows"]

[steps.other]
run = ["print:x"]
env = "system"
"#,
    )
    .await;
    let ended = test.run().await;
    assert_eq!(test.states(ended.id).await, ["broken failed", "follower skipped", "last skipped", "other succeeded"]);
    assert_eq!(test.attempt(ended.id, "last").await.message.as_deref(), Some("`broken` failed"));
    assert!(ended.error().message().starts_with("step `broken` failed: "));
}

#[tokio::test]
async fn a_command_gets_its_parameters_names_and_paths_as_variables() {
    let file = format!(
        "{}params = {{ depth = 3, name = \"x\" }}\noutputs = {{ rows = {{ path = \"rows.csv\" }} }}\n",
        step(
            "[\"env:PERENNIAL_PARAMS\", \"env:PERENNIAL_PARAM_DEPTH\", \"env:PERENNIAL_PARAM_NAME\", \
             \"env:PERENNIAL_STEP\", \"env:PERENNIAL_PROJECT\", \"write:rows.csv:1\", \"env:PATH\"]"
        )
    );
    let test = TestProject::start(&file).await;
    let ended = test.run().await;
    let log = test.log(ended.id, "only").await;
    assert_eq!(log, "{\"depth\":3,\"name\":\"x\"}\n3\nx\nonly\nflights\n\n", "nothing of the server's environment");
}

#[tokio::test]
async fn outputs_of_each_kind_are_recorded() {
    let file = format!(
        "{}outputs = {{ rows = {{ path = \"rows.csv\", kind = \"dataset\" }}, text = {{ path = \"out\" }}, \
         model = {{ path = \"model\", kind = \"model\" }} }}\n",
        step("[\"write:rows.csv:n\\n1\\n2\\n\", \"write:out/a.txt:x\", \"write:model/weights.bin:1\"]")
    );
    let test = TestProject::start(&file).await;
    let ended = test.run().await;
    assert_eq!(ended.state(), "succeeded", "{:?}", ended.result);
    let attempts = test.attempts(ended.id).await;
    let mut kinds: Vec<_> = attempts[0].1.iter().map(|output| (output.name.as_str(), output.kind)).collect();
    kinds.sort_by_key(|(name, _)| *name);
    let expected =
        [("model", StepOutputKind::Model), ("rows", StepOutputKind::Dataset), ("text", StepOutputKind::File)];
    assert_eq!(kinds, expected);
    let message = attempts[0].0.message.clone().unwrap_or_default();
    assert!(message.is_empty() || message.contains("rows"), "{message}");
}

#[tokio::test]
async fn a_dataset_that_its_checks_hold_fails_the_step() {
    let file = format!(
        "{}outputs = {{ rows = {{ path = \"rows.csv\", kind = \"dataset\" }} }}\n\n\
         [checks.rows]\npositive = {{ that = \"n > 0\", at_least = 1.0 }}\n",
        step("[\"write:rows.csv:n\\n1\\n-2\\n\"]")
    );
    let test = TestProject::start(&file).await;
    let ended = test.run().await;
    assert_eq!(ended.error().code(), ErrorCode::LoadHeld);
    assert_eq!(test.states(ended.id).await, ["only failed"]);
}

#[tokio::test]
async fn the_tracked_run_has_params_metrics_and_status() {
    let file = format!(
        "{}params = {{ depth = 3 }}\n",
        step("[\"write:metrics.json:{\\\"auc\\\": 0.75, \\\"note\\\": \\\"x\\\"}\"]")
    );
    let test = TestProject::start(&file).await;
    let ended = test.run().await;
    let attempt = test.attempt(ended.id, "only").await;
    assert_eq!(attempt.runner.as_deref(), Some("fake"));
    let (run, data) = test.tracked(&attempt).await;
    assert_eq!((run.status, run.end_ms.is_some()), (RunStatus::Finished, true));
    assert_eq!(
        data.params.iter().map(|param| (param.key.as_str(), param.value.as_str())).collect::<Vec<_>>(),
        [("depth", "3")]
    );
    assert_eq!(data.metrics.iter().map(|point| (point.key.as_str(), point.value)).collect::<Vec<_>>(), [("auc", 0.75)]);
}

#[tokio::test]
async fn metrics_that_cannot_be_parsed_are_left_out_with_a_line_in_the_log() {
    let test = TestProject::start(&step("[\"write:metrics.json:[1\"]")).await;
    let ended = test.run().await;
    assert_eq!(ended.state(), "succeeded", "{:?}", ended.result);
    let lines = test.lines(ended.id, "only").await;
    assert!(lines.iter().any(|line| line.starts_with("metrics.json is left out: ")), "{lines:?}");
}

#[tokio::test]
async fn the_tracked_run_of_a_failed_command_has_failed_and_keeps_its_params() {
    let test = TestProject::start(&format!("{}params = {{ depth = 3 }}\n", step("[\"exit:1\"]"))).await;
    let ended = test.run().await;
    let (run, data) = test.tracked(&test.attempt(ended.id, "only").await).await;
    assert_eq!((run.status, data.params.len()), (RunStatus::Failed, 1));
}

#[tokio::test]
async fn an_attempt_leaves_no_folder_and_no_job() {
    for word in ["print:x", "exit:1"] {
        let test = TestProject::start(&step(&format!("[\"{word}\"]"))).await;
        let ended = test.run().await;
        let attempt = test.attempt(ended.id, "only").await;
        let services = &test.test.app.kernel.services;
        assert!(!services.work.join("steps").join(attempt.id.to_string()).exists(), "{word}");
        let watched = services.runner.watch(RunnerJobId::from(attempt.id.uuid())).await;
        assert_eq!(watched.err().map(|error| error.code()), Some(ErrorCode::NotFound), "{word}");
    }
}

#[tokio::test]
async fn an_attempt_records_exit_isolation_and_log() {
    let test = TestProject::start(&step("[\"print:hello\", \"exit:2\"]")).await;
    let ended = test.run().await;
    let attempt = test.attempt(ended.id, "only").await;
    assert_eq!(attempt.exit, Some(serde_json::json!({ "code": 2 })));
    assert_eq!(attempt.isolation.as_deref(), Some("fake"));
    assert_eq!(test.log(ended.id, "only").await, "hello\n");
    let newest = pipeline_runs::newest_log(&test.test.system(), &test.project, &name("only")).await.unwrap();
    assert_eq!(newest.1.as_deref(), Some("hello\n"));
}

#[tokio::test]
async fn a_declared_lack_of_isolation_is_recorded_as_declared() {
    let test = TestProject::start(&format!("{}isolation = \"none\"\n", step("[\"print:x\"]"))).await;
    let ended = test.run().await;
    assert_eq!(test.attempt(ended.id, "only").await.isolation.as_deref(), Some("none (declared)"));
}

#[tokio::test]
async fn the_log_of_a_reused_step_is_that_of_the_attempt_that_did_the_work() {
    let test = TestProject::start(&step("[\"print:first\"]")).await;
    test.run().await;
    test.submit(&step("[\"print:second\"]")).await;
    test.run().await;
    test.submit(&step("[\"print:first\"]")).await;
    let third = test.run().await;
    assert_eq!(test.states(third.id).await, ["only cached"]);
    assert_eq!(test.log(third.id, "only").await, "first\n");
}
